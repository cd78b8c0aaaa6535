package plan

import (
	"strconv"

	"github.com/servaldb/serval/topology"
)

// DefineView is CREATE or ALTER VIEW of a view that does not stand on one
// server. A server writes its definition down: it is created over empty copies
// of its tables in databases of their own on the home cluster, ScratchDatabase,
// is read back, and goes with them.
type DefineView struct {
	View           TableName
	Replace, Alter bool
	// Exists: there is a logical view of that name.
	Exists bool
	// Home is the schema's home cluster.
	Home string
	// Columns, Algorithm, Definer, Security and Check are as written.
	Columns                             []string
	Algorithm, Definer, Security, Check string
	// Schemas are the logical schemas that the scratch databases stand for.
	Schemas []string
	// Tables are to be copied, then Views created, in their order.
	Tables []ScratchTable
	Views  []string
	// Create makes the view itself, in the session's own state.
	Create *Route
}

// ScratchTable is a table to be copied without its rows.
type ScratchTable struct {
	Table TableName
	// Schema is its number in DefineView.Schemas.
	Schema int
	// From is a server's table that has its definition.
	From topology.Shard
}

// ScratchDatabases is how the names of all scratch databases begin.
const ScratchDatabases = "serval_scratch_"

// ScratchDatabase is the database that stands for schema number i.
func ScratchDatabase(i int) string { return ScratchDatabases + strconv.Itoa(i) }

func (*DefineView) isNode() {}

// Children of a DefineView: what makes the view.
func (n *DefineView) Children() []Node { return []Node{n.Create} }

func (n *DefineView) line() string {
	s := "DefineView " + n.View.Schema + "." + n.View.Table + " in serval_meta.views on " + n.Home
	for _, t := range n.Tables {
		s += ", over " + t.Table.Schema + "." + t.Table.Table + " as on " + t.From.Cluster
	}
	return s
}
