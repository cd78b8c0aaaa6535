package backend

import (
	"slices"
	"strings"

	"github.com/servaldb/serval/internal/wire"
)

// Var is one session variable and its value as SQL (quoted where it is text).
// The SQL must mean the same under every sql_mode: no backslash escapes; text
// with quotes or backslashes in it as a hexadecimal literal (_utf8mb4 x'…').
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

// Var is the SQL of a system variable, empty where it is a fresh connection's.
func (s *State) Var(name string) string {
	sql, _ := lookup(s.Vars, name)
	return sql
}

// With is the state with another value of a system variable.
func (s *State) With(v Var) *State {
	out := *s
	out.Vars = withVar(s.Vars, v)
	return &out
}

var zeroState = &State{}

// setHave says what state the connection is in now.
func (c *Conn) setHave(s *State) {
	c.have, c.db = s, s.DB
	c.stmtScope = c.stmtScope[:0]
	for _, v := range s.Vars {
		c.tainted = c.tainted || slices.Contains(noWayBack, v.Name)
	}
}

// Adopt says that the connection is now in this state, and that this is all
// there is: a session calls it after a SET or USE it ran here itself. State
// that the server reported changed and nobody adopted closes the connection at
// Release.
func (c *Conn) Adopt(s *State) {
	c.changed = false
	c.moveTo(s)
}

func (c *Conn) moveTo(s *State) {
	db := c.db
	c.setHave(s)
	if s.DB == "" {
		c.db = db // "whatever it is" does not change it
	}
}

// Want brings the connection's session state to want: only the difference is
// sent, at once and without waiting. Its answers are read by the next Flush
// before any command leaves: MySQL would run a command that is pipelined
// behind a failed SET or USE, in the wrong state. A failure is that Flush's
// error (and every later call's); the connection is closed at Release.
func (c *Conn) Want(want *State) {
	if want == c.have && (want.DB == "" || want.DB == c.db) || c.broken != nil {
		return
	}
	queued := 0
	if want.DB != "" && want.DB != c.db {
		c.beginInitDB(want.DB)
		c.endCommand()
		queued++
	}
	if c.beginSet(want) {
		c.endCommand()
		queued++
	}
	if queued > 0 {
		c.stateAnswers += queued
		c.write()
	}
	c.moveTo(want)
}

// QueueWant is Want for a caller that queues commands right behind it, to be
// sent in one write: what it queues are n ordinary commands, whose answers the
// caller reads with Header. A command behind one that failed has run in the
// wrong state; so it may only be one that changes nothing, and the caller
// forgets its answer and gives the connection up.
//
// When all answers are read the caller calls Adopt(want): the server reports
// the changes as if they were a statement's.
func (c *Conn) QueueWant(want *State) (n int) {
	if want == c.have && (want.DB == "" || want.DB == c.db) || c.broken != nil {
		return 0
	}
	if want.DB != "" && want.DB != c.db {
		c.beginInitDB(want.DB)
		c.queueCommand()
		n++
	}
	if c.beginSet(want) {
		c.queueCommand()
		n++
	}
	return n
}

func (c *Conn) beginInitDB(db string) {
	c.beginCommand(wire.ComInitDB)
	c.scratch = append(c.scratch, db...)
}

// beginSet builds the SET that leads to want; false where there is nothing to
// set.
func (c *Conn) beginSet(want *State) bool {
	c.beginCommand(wire.ComQuery)
	c.scratch = append(c.scratch, "SET "...)
	empty := len(c.scratch)
	c.scratch = appendSet(c.scratch, c.have, want)
	if len(c.scratch) == empty {
		return false
	}
	c.scratch = c.scratch[:len(c.scratch)-1] // the last comma
	return true
}

// readState reads the answers of what Want sent.
func (c *Conn) readState() error {
	for c.stateAnswers > 0 {
		c.stateAnswers--
		c.r.SetSeq(1)
		payload, err := c.r.Packet()
		if err != nil {
			return c.lost(err)
		}
		if wire.IsErr(payload) {
			e, err := wire.DecodeErr(payload)
			if err != nil {
				return c.lost(err)
			}
			c.broken = e
			return e
		}
		ok, err := wire.DecodeOK(payload, backendCaps)
		if err != nil {
			return c.lost(err)
		}
		c.status = ok.Status
	}
	return nil
}

// track notes what a command changed behind the session's back (a stored
// procedure's SET, DROP of the current database): the connection is in no
// known state then, and the next Want undoes it by name.
func (c *Conn) track(t *wire.Tracked) {
	c.changed = c.changed || t.StateChanged
	if t.SchemaChanged {
		c.db = t.Schema
		c.stmtScope = c.stmtScope[:0]
	}
	for _, v := range t.Vars {
		switch v.Name {
		case "last_gtid", "character_set_database", "collation_database", "xa_detach_on_prepare":
			continue // follow from what was run, or see AttachBranches: nothing to undo
		}
		c.setHave(&State{DB: c.db, Vars: withVar(c.have.Vars, Var{Name: v.Name}), UserVars: c.have.UserVars})
	}
}

// withVar gives vars with v in the place of the one of its name. Without SQL it
// is something no session wants, so that it differs from every state.
func withVar(vars []Var, v Var) []Var {
	i, found := slices.BinarySearchFunc(vars, v.Name, func(v Var, name string) int { return strings.Compare(v.Name, name) })
	out := slices.Clone(vars)
	if found {
		out[i] = v
		return out
	}
	return slices.Insert(out, i, v)
}

// appendSet appends the assignments, each with a comma behind, that lead from
// have to want.
func appendSet(dst []byte, have, want *State) []byte {
	charset := false
	dst = appendDiff(dst, have.Vars, want.Vars, func(dst []byte, name, sql string) []byte {
		if name == "character_set_connection" || name == "collation_connection" {
			charset = true
			return dst
		}
		if sql == "" {
			sql = fresh(name)
		}
		return appendAssign(append(dst, "SESSION "...), name, sql)
	})
	if charset {
		dst = appendCharset(dst, want.Vars)
	}
	return appendDiff(dst, have.UserVars, want.UserVars, func(dst []byte, name, sql string) []byte {
		if sql == "" {
			sql = "NULL"
		}
		dst = append(dst, '@', '`')
		dst = append(dst, strings.ReplaceAll(name, "`", "``")...)
		return appendAssign(append(dst, '`'), "", sql)
	})
}

// appendCharset sets the connection's character set, then its collation: the
// first brings the server's default collation with it.
func appendCharset(dst []byte, want []Var) []byte {
	set, hasSet := lookup(want, "character_set_connection")
	coll, hasColl := lookup(want, "collation_connection")
	if !hasSet && !hasColl {
		set, coll = fresh("character_set_connection"), fresh("collation_connection")
	}
	if set != "" {
		dst = appendAssign(append(dst, "SESSION "...), "character_set_connection", set)
	}
	if coll != "" {
		dst = appendAssign(append(dst, "SESSION "...), "collation_connection", coll)
	}
	return dst
}

func lookup(vars []Var, name string) (sql string, ok bool) {
	for _, v := range vars {
		if v.Name == name {
			return v.SQL, true
		}
	}
	return "", false
}

// fresh is a variable's value on a fresh connection.
func fresh(name string) string {
	if sql, ok := baseline[name]; ok {
		return sql
	}
	return "DEFAULT"
}

func appendAssign(dst []byte, name, sql string) []byte {
	dst = append(dst, name...)
	dst = append(dst, '=')
	dst = append(dst, sql...)
	return append(dst, ',')
}

// appendDiff walks two lists sorted by name and calls set for what differs;
// sql is empty for what want does not have.
func appendDiff(dst []byte, have, want []Var, set func(dst []byte, name, sql string) []byte) []byte {
	for len(have) > 0 || len(want) > 0 {
		switch {
		case len(want) == 0 || len(have) > 0 && have[0].Name < want[0].Name:
			dst = set(dst, have[0].Name, "")
			have = have[1:]
		case len(have) == 0 || want[0].Name < have[0].Name:
			dst = set(dst, want[0].Name, want[0].SQL)
			want = want[1:]
		default:
			if have[0].SQL != want[0].SQL {
				dst = set(dst, want[0].Name, want[0].SQL)
			}
			have, want = have[1:], want[1:]
		}
	}
	return dst
}

// scope is what, besides its text, decides what a statement means when it is
// prepared: names resolve in the current database, sql_mode and character sets
// decide how it parses, and user variables have the type they have then.
func (c *Conn) scope() []byte {
	if len(c.stmtScope) == 0 {
		s := append(c.stmtScope, c.db...)
		for _, v := range c.have.Vars {
			s = append(append(append(append(s, 0), v.Name...), '='), v.SQL...)
		}
		for _, v := range c.have.UserVars {
			s = append(append(append(append(s, 0, '@'), v.Name...), '='), typeOf(v.SQL)...)
		}
		c.stmtScope = append(s, 0)
	}
	return c.stmtScope
}

// typeOf tells user variables of different types apart by their SQL; it may tell
// more apart.
func typeOf(sql string) string {
	const shortest = 18 // digits that are signed for certain
	switch {
	case strings.HasPrefix(sql, "CONVERT("):
		return sql[strings.LastIndexByte(sql, ' ')+1:] // the collation
	case strings.HasPrefix(sql, "x'"):
		return "x"
	case strings.Trim(sql, "-0123456789") == "" && len(sql) <= shortest:
		return "1"
	case strings.Trim(sql, "-0123456789.") == "" && strings.Contains(sql, "."):
		return "."
	}
	return sql
}
