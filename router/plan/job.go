package plan

import (
	"strings"

	"github.com/servaldb/serval/shardrule"
)

// Job is a definition on every shard of a table, which is written down before
// the first is touched. Only the root of a plan.
type Job struct {
	Table TableName
	// Home is the cluster that has the job's row.
	Home string
	// Verb is create, change, drop, empty or rename (see package ddl).
	Verb string
	// Renames are what a rename does, in turn.
	Renames []Renaming
	// Lenient: the statement says IF EXISTS or IF NOT EXISTS.
	Lenient bool
	// Before are run first, on each run of the job.
	Before []Node
	// Route is the statement on the shards.
	Route *Route
}

// Renaming is one table's new name.
type Renaming struct {
	From, To *shardrule.Placement
	// Numbered: its rows are numbered by a sequence that has the table's name.
	Numbered bool
}

func (*Job) isNode() {}

// Children of a Job: what comes before, then the statement.
func (n *Job) Children() []Node {
	return append(append([]Node(nil), n.Before...), n.Route)
}

func (n *Job) line() string {
	return strings.TrimRight("Job "+n.Verb+" "+n.Table.Schema+"."+n.Table.Table+", written down on "+n.Home, " ")
}
