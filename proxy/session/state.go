package session

import (
	"slices"
	"strings"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/parser"
)

// settings is the session's state as its statements see it: current database,
// system and user variables. The two States made of it are shared with
// connections and never changed, only replaced.
type settings struct {
	// db is the current logical database, empty for none.
	db string
	// plain is the state without a database, for SQL whose names are
	// complete; inDB the same with db, made when first asked for.
	plain, inDB *backend.State
	// mode is the part of sql_mode that changes how text is read.
	mode parser.Mode
	// charset is character_set_client.
	charset string
	// zeroIsValue: sql_mode has NO_AUTO_VALUE_ON_ZERO.
	zeroIsValue bool
	// limit is sql_select_limit, empty where it is not set.
	limit string
}

// maxUserVars and maxVarBytes bound what one session may keep: it is replayed
// on every connection it uses.
const (
	maxUserVars = 1000
	maxVarBytes = 64 << 10
)

func newSettings() settings {
	return settings{plain: &backend.State{}, charset: "utf8mb4"}
}

// state is what a statement's connection must be in.
func (s *settings) state(needsDB bool) *backend.State {
	if !needsDB || s.db == "" {
		return s.plain
	}
	if s.inDB == nil {
		in := *s.plain
		if in.DB = s.db; s.db == ownSchema {
			in.DB = "information_schema" // no server has it, and names must not be found elsewhere
		}
		s.inDB = &in
	}
	return s.inDB
}

// use changes the current database.
func (s *settings) use(db string) { s.db, s.inDB = db, nil }

// set gives a system variable a value, written as SQL.
func (s *settings) set(name, sql string) {
	next := *s.plain
	next.Vars = put(next.Vars, name, sql)
	s.plain, s.inDB = &next, nil
	text := strings.ToUpper(unquoteIfString(sql))
	switch name {
	case "sql_mode":
		s.mode, s.zeroIsValue = parserMode(text), hasMode(text, "NO_AUTO_VALUE_ON_ZERO")
	case "character_set_client":
		s.charset = strings.ToLower(text)
	case selectLimit:
		s.limit = sql
	}
}

// unset takes a system variable back to what a fresh connection has.
func (s *settings) unset(name string) {
	next := *s.plain
	next.Vars = drop(next.Vars, name)
	s.plain, s.inDB = &next, nil
	if name == selectLimit {
		s.limit = ""
	}
}

// setUser gives a user variable a value as SQL; NULL is as good as unset.
func (s *settings) setUser(name, sql string) {
	next := *s.plain
	if sql == "NULL" {
		next.UserVars = drop(next.UserVars, name)
	} else {
		next.UserVars = put(next.UserVars, name, sql)
	}
	s.plain, s.inDB = &next, nil
}

// value is a variable's SQL, if the session has set it.
func (s *settings) value(name string) (sql string, ok bool) {
	i, ok := search(s.plain.Vars, name)
	if !ok {
		return "", false
	}
	return s.plain.Vars[i].SQL, true
}

func search(vars []backend.Var, name string) (int, bool) {
	return slices.BinarySearchFunc(vars, name, func(v backend.Var, name string) int { return strings.Compare(v.Name, name) })
}

// put returns a copy of vars, which are sorted, with name set.
func put(vars []backend.Var, name, sql string) []backend.Var {
	i, found := search(vars, name)
	out := make([]backend.Var, 0, len(vars)+1)
	out = append(append(out, vars[:i]...), backend.Var{Name: name, SQL: sql})
	if found {
		i++
	}
	return append(out, vars[i:]...)
}

func drop(vars []backend.Var, name string) []backend.Var {
	i, found := search(vars, name)
	if !found {
		return vars
	}
	return slices.Delete(slices.Clone(vars), i, i+1)
}

// parserMode picks from sql_mode, in upper case, what the parser must know.
func parserMode(sqlMode string) parser.Mode {
	var m parser.Mode
	for word := range strings.SplitSeq(sqlMode, ",") {
		switch strings.TrimSpace(word) {
		case "ANSI_QUOTES":
			m |= parser.AnsiQuotes
		case "NO_BACKSLASH_ESCAPES":
			m |= parser.NoBackslashEscapes
		case "PIPES_AS_CONCAT":
			m |= parser.PipesAsConcat
		case "IGNORE_SPACE":
			m |= parser.IgnoreSpace
		case "HIGH_NOT_PRECEDENCE":
			m |= parser.HighNotPrecedence
		case "ANSI", "DB2", "MAXDB", "MSSQL", "ORACLE", "POSTGRESQL": // MariaDB lists the parts too
			m |= parser.AnsiQuotes | parser.PipesAsConcat | parser.IgnoreSpace
		}
	}
	return m
}

func hasMode(sqlMode, word string) bool {
	return slices.Contains(strings.Split(sqlMode, ","), word)
}

func unquoteIfString(sql string) string {
	if len(sql) > 1 && sql[0] == '\'' {
		return unquote(sql)
	}
	return sql
}

// variableSQL writes a value that a server reported as SQL for SET: numbers
// bare, since numeric variables take no strings, all else quoted.
func variableSQL(value string) string {
	if isNumber(value) {
		return value
	}
	return quoteText(value)
}

func isNumber(s string) bool {
	digits, points := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			points++
		case c == '-' && i == 0:
		default:
			return false
		}
	}
	return digits > 0 && points <= 1
}

// dangerousCharset reports a character set whose second bytes can be quotes or
// backslashes: text in it cannot be read byte by byte, so that a literal's end
// would be a guess.
func dangerousCharset(name string) bool {
	switch strings.ToLower(name) {
	case "gbk", "sjis", "big5", "cp932", "gb18030":
		return true
	}
	return false
}
