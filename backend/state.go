package backend

// Var is one session variable and its value as SQL (quoted where it is text).
type Var struct{ Name, SQL string }

// State is the session state a statement expects of the connection it runs on:
// the database, system variables, user variables. Immutable, so connections
// and sessions share it; the zero state is a fresh connection's.
type State struct {
	// DB is the current database, empty for "whatever it is".
	DB string
	// Vars are system variables that differ from a fresh connection, sorted by
	// name, UserVars user variables, sorted by name, without @.
	Vars, UserVars []Var
}
