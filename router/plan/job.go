package plan

import "strings"

// Job is a definition on every shard of a table, which is written down before
// the first is touched. Only the root of a plan.
type Job struct {
	Table TableName
	// Home is the cluster that has the job's row.
	Home string
	// Verb is create, change, drop or empty (see package ddl).
	Verb string
	// Lenient: the statement says IF EXISTS or IF NOT EXISTS.
	Lenient bool
	// Before are run first, on each run of the job.
	Before []Node
	// Route is the statement on the shards.
	Route *Route
}

func (*Job) isNode() {}

// Children of a Job: what comes before, then the statement.
func (n *Job) Children() []Node {
	return append(append([]Node(nil), n.Before...), n.Route)
}

func (n *Job) line() string {
	return strings.TrimRight("Job "+n.Verb+" "+n.Table.Schema+"."+n.Table.Table+", written down on "+n.Home, " ")
}
