package plan

import "github.com/servaldb/serval/shardrule"

// Copies reports that the leaf's tasks all write the same rows, to the copies
// of a global table: one of them is what the statement did.
func Copies(leaf Node) bool {
	switch n := leaf.(type) {
	case *Route:
		return n.Choice.Kind == ChooseCopies
	case *Insert:
		return n.Table.Placement != nil && n.Table.Placement.Kind == shardrule.Global
	}
	return false
}
