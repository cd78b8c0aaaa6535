package plan

import (
	"strings"

	"github.com/servaldb/serval/shardrule"
)

// Emptied is TRUNCATE of a table with lookup tables: all shards of all of them are
// locked, then emptied, so that no row comes between. Only the root of a plan.
type Emptied struct {
	Table TableName
	// Home is the cluster on which definitions of the table wait for each other.
	Home string
	// Of are the table's placement and those of its lookup tables, behind it.
	Of []*shardrule.Placement
}

func (*Emptied) isNode() {}

// Children of an Emptied are none.
func (*Emptied) Children() []Node { return nil }

func (n *Emptied) line() string {
	names := make([]string, len(n.Of))
	for i, p := range n.Of {
		names[i] = p.Table
	}
	return "Empty " + strings.Join(names, ", then ") + ", locked on every shard"
}
