package parser

// Facts are what in a statement matters to routing and to the session beyond
// its tables.
type Facts struct {
	// LastInsertID, RowCount, FoundRows: it reads them.
	LastInsertID, RowCount, FoundRows bool
	// SetsLastInsertID: LAST_INSERT_ID(expr).
	SetsLastInsertID bool
	// NamedLock: GET_LOCK and its family.
	NamedLock bool
	// UserVarsRead and UserVarsSet are in lower case without @.
	UserVarsRead, UserVarsSet []string
	// SystemVars are read, in lower case without @@ and scope.
	SystemVars []string
	// Random: RAND, UUID and others whose value differs on each server or
	// call. NOW is not among them.
	Random bool
	// UnknownFuncs are functions that are not built in (stored, loadable), in
	// lower case, with their schema if written.
	UnknownFuncs []string
	// Locking: FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE.
	Locking bool
	// Sleep: SLEEP or BENCHMARK.
	Sleep bool
	// Aggregates, Windows, Subqueries: it has some.
	Aggregates, Windows, Subqueries bool
	// IntoFile: SELECT … INTO OUTFILE or DUMPFILE.
	IntoFile bool
	// IntoVar: SELECT … INTO @x.
	IntoVar bool
	// Sequence: NEXTVAL, LASTVAL, SETVAL.
	Sequence bool
	// CalcFoundRows: SQL_CALC_FOUND_ROWS.
	CalcFoundRows bool
	// TemporaryTable: CREATE or DROP TEMPORARY TABLE.
	TemporaryTable bool
	// Doubt, if not empty, says why servers may read the statement otherwise
	// than Serval; it must not be routed by its tree.
	Doubt string
}

// Facts looks through the tree, or where there is none through the tokens
// (then what it cannot tell it assumes).
func (s *Statement) Facts() *Facts { return &Facts{} }
