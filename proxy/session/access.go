package session

import (
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
)

// access checks what the user may do: the schemas of every table named, and
// whether a read-only user only reads. Serval connects to the servers with one
// account for all users, so nobody else checks.
func (s *Session) access(e *planned) error {
	u := s.c.User
	if len(u.Schemas) > 0 {
		for _, t := range e.tables {
			if schema := s.schemaOr(t.Schema); schema != "" && !allowed(u, schema) {
				return sqlerr.New(sqlerr.TableAccessDenied, "%s command denied to user '%s'@'%s' for table '%s'.'%s'",
					e.verb, u.Name, host(s.c.Remote), schema, t.Table)
			}
		}
		if err := s.accessBeyond(e); err != nil {
			return err
		}
	}
	if u.ReadOnly && !reads(e) {
		table := ""
		if len(e.tables) > 0 {
			table = e.tables[0].Table
		}
		return sqlerr.New(sqlerr.TableAccessDenied, "%s command denied to user '%s'@'%s' for table '%s': the user is read_only",
			e.verb, u.Name, host(s.c.Remote), table)
	}
	return nil
}

func reads(e *planned) bool {
	switch e.kind {
	case parser.KindShow:
		return true
	case parser.KindExplain:
		return !e.beyond.writes
	}
	return e.plan.ReadOnly
}

// reach is what a statement touches besides the tables it names.
type reach struct {
	// schemas are databases it names as such.
	schemas []string
	// server: it reaches past schemas altogether (accounts, server
	// administration, routines, whose bodies run with Serval's own account).
	server string
	// misspelt: its first word begins no statement of a server's, so that it is
	// none to be allowed.
	misspelt bool
	// writes: an EXPLAIN that runs the change it explains (EXPLAIN ANALYZE, and
	// MariaDB's ANALYZE).
	writes bool
}

// mayReachBeyond reports kinds for which beyondTables has anything to read.
func mayReachBeyond(k parser.Kind) bool {
	switch k {
	case parser.KindDDL, parser.KindShow, parser.KindOther, parser.KindAdmin, parser.KindCall, parser.KindLoad, parser.KindExplain:
		return true
	}
	return false
}

// beyondTables reads it from the text.
func beyondTables(e *planned, tokens []token) reach {
	var r reach
	tokens = trimSemicolon(tokens)
	name := func(i int) {
		if i < len(tokens) {
			r.schemas = append(r.schemas, tokens[i].name())
		}
	}
	switch e.kind {
	case parser.KindDDL, parser.KindShow, parser.KindOther, parser.KindAdmin:
	case parser.KindCall:
		if len(tokens) > 3 && tokens[2].op(".") {
			name(1)
		}
		return r
	case parser.KindLoad:
		r.server = "LOAD DATA"
		return r
	case parser.KindExplain:
		r.writes = runsChange(tokens)
		return r
	default:
		return r
	}
	if e.kind == parser.KindShow {
		r.server = ofServer(tokens)
	}
	froms := 0
	for i, t := range tokens {
		switch {
		case i > 0 && i < 4 && (t.is("DATABASE") || t.is("SCHEMA")):
			next := i + 1
			for next < len(tokens) && (tokens[next].is("IF") || tokens[next].is("NOT") || tokens[next].is("EXISTS")) {
				next++
			}
			name(next)
		case e.kind == parser.KindShow && (t.is("FROM") || t.is("IN")):
			// SHOW COLUMNS FROM table FROM schema, SHOW TABLES FROM schema.
			if froms++; froms > 1 || showsSchema(tokens[1:i]) {
				name(i + 1)
			}
		case e.kind != parser.KindShow && i > 0 && i < 12 && serverObject(t) && (tokens[0].is("CREATE") || tokens[0].is("ALTER") || tokens[0].is("DROP")):
			r.server = words(tokens[:1]) + " " + strings.ToUpper(t.Text)
		}
	}
	if e.kind == parser.KindAdmin && !onTables(e, tokens) || e.kind == parser.KindOther {
		r.server = e.verb
	}
	r.misspelt = e.kind == parser.KindOther && !beginsStatement(e.verb)
	return r
}

// beginsStatement: of the statements that Serval's parser knows no kind of.
func beginsStatement(verb string) bool {
	switch verb {
	case "ALTER", "ANALYZE", "BEGIN", "CREATE", "DROP", "EXECUTE", "GET", "HANDLER", "HELP", "LOCK", "RENAME", "RESIGNAL", "SET", "SIGNAL", "START", "WITH":
		return true
	}
	return false
}

// runsChange reports an EXPLAIN that executes and whose statement may change
// rows. A word too many only costs a read-only user an answer.
func runsChange(tokens []token) bool {
	runs, changes := false, false
	for i, t := range tokens {
		runs = runs || i < 2 && t.is("ANALYZE")
		changes = changes || t.is("UPDATE") || t.is("DELETE") || t.is("INSERT") || t.is("REPLACE")
	}
	return runs && changes
}

// onTables reports administration that concerns nothing but the tables it
// names. What else looks like a table's name (RESET MASTER, GRANT … ON t) is
// none.
func onTables(e *planned, tokens []token) bool {
	if len(e.tables) == 0 {
		return false
	}
	switch e.verb {
	case "ANALYZE", "CHECK", "CHECKSUM", "OPTIMIZE", "REPAIR":
		return true
	case "FLUSH":
		return len(tokens) > 1 && (tokens[1].is("TABLE") || tokens[1].is("TABLES"))
	}
	return false
}

// showsSchema: what stands between SHOW and FROM says that x is a database.
func showsSchema(tokens []token) bool {
	for _, t := range tokens {
		if t.is("TABLES") || t.is("TABLE") || t.is("TRIGGERS") || t.is("EVENTS") {
			return true
		}
	}
	return false
}

func serverObject(t token) bool {
	for _, word := range [...]string{"PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "USER", "ROLE", "SERVER", "TABLESPACE", "INSTANCE", "PACKAGE"} {
		if t.is(word) {
			return true
		}
	}
	return false
}

// accessBeyond checks what no table's name shows.
func (s *Session) accessBeyond(e *planned) error {
	if e.beyond.misspelt {
		return sqlerr.New(sqlerr.Parse, "You have an error in your SQL syntax near '%s'", e.verb)
	}
	if e.beyond.server != "" {
		return sqlerr.New(errSpecificAccessDenied, "Access denied; user '%s' may only use the schemas %s and %s reaches past them",
			s.c.User.Name, strings.Join(s.c.User.Schemas, ", "), e.beyond.server)
	}
	for _, schema := range e.beyond.schemas {
		if !allowed(s.c.User, schema) {
			return sqlerr.New(sqlerr.DBAccessDenied, "Access denied for user '%s'@'%%' to database '%s'", s.c.User.Name, schema)
		}
	}
	return nil
}

// errSpecificAccessDenied is ER_SPECIFIC_ACCESS_DENIED_ERROR.
const errSpecificAccessDenied = 1227
