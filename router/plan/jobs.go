package plan

import "github.com/servaldb/serval/topology"

// Jobs are definitions of several tables, one after the other: each step is a
// Job, or a Route to one server. Only the root of a plan.
type Jobs struct {
	Steps []Node
	// Undo are run where the last step fails: step i is taken back by Undo[i].
	Undo []*Job
}

// CreateLike creates a table by the definition of another one, as one of its
// servers has it: its text is read, and run as a CREATE TABLE of the client's.
// Only the root of a plan.
type CreateLike struct {
	Table, Source TableName
	// From is a table on a server that has the definition.
	From        topology.Shard
	IfNotExists bool
}

func (*Jobs) isNode()       {}
func (*CreateLike) isNode() {}

// Children of Jobs.
func (n *Jobs) Children() []Node { return n.Steps }

// Children of a CreateLike are none: its statement is planned when it runs.
func (*CreateLike) Children() []Node { return nil }

func (n *CreateLike) line() string {
	return "CreateLike " + n.Table.Schema + "." + n.Table.Table + " as " + n.From.Database + "." + n.From.Table + " on " + n.From.Cluster
}
