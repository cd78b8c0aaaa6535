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

// CopiesReturn: a leaf's tasks are the same change on each copy of a global
// table, and answered with its rows, of which one copy's are shown.
func CopiesReturn(leaf Node) bool {
	switch n := leaf.(type) {
	case *Route:
		return n.Returns && Copies(n)
	case *Insert:
		return n.Returns && Copies(n)
	}
	return false
}
