package plan

// CreateFrom is CREATE TABLE … SELECT where the rows do not all come from the
// table's own server. A server says what the table is like: it runs the
// statement over empty copies of the tables it reads, in scratch databases. Then
// the table is created by that definition and the rows are inserted, all of them
// or neither. Only the root of a plan.
type CreateFrom struct {
	// Scratch is the copies and the statement over them; its View is the table.
	Scratch *DefineView
	// Columns is the query over the copies, which has no rows: its columns are
	// those that are inserted.
	Columns *Route
	// Query is the client's, which is planned when it runs.
	Query *Route
	// Temporary, IfNotExists, Ignore and Replace are the words of the statement.
	Temporary, IfNotExists, Ignore, Replace bool
}

// ScratchTarget is the new table's name among the copies: its query may read one
// that is called as the table is to be.
const ScratchTarget = "serval_target"

func (*CreateFrom) isNode() {}

// Children of a CreateFrom are its texts.
func (n *CreateFrom) Children() []Node { return []Node{n.Scratch.Create, n.Columns, n.Query} }

func (n *CreateFrom) line() string {
	return "CreateFrom " + n.Scratch.View.Schema + "." + n.Scratch.View.Table + ", as " + n.Scratch.Home + " says it is over empty copies"
}
