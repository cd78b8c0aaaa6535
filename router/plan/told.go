package plan

import "github.com/servaldb/serval/shardrule"

// Told is what SHOW tells of a sharded table: the rows of its first shard under
// the table's own name, with the other shards' numbers in them. Only the root of
// a plan.
type Told struct {
	// Input asks the shards; its answers have less than a few hundred rows.
	Input *Route
	// Physical is the first shard's name of the table, Logical the table's. It
	// stands in column Name, -1 for none.
	Physical, Logical string
	Name              int
	// Sum is the column whose numbers are added over the rows of all shards that
	// are equal in the columns Same; -1 for none.
	Sum  int
	Same []int
	// Definition is the column of SHOW CREATE TABLE's text: its AUTO_INCREMENT
	// is the highest of the shards'; -1 for none.
	Definition int
}

func (*Told) isNode() {}

// Children of a Told.
func (n *Told) Children() []Node { return []Node{n.Input} }

// Define is a shard's definition with the names of constraints that clients know.
func (n *Told) Define(sql string) string {
	return shardrule.LogicalDefinition(sql, n.Logical, n.Physical)
}
