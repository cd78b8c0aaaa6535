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
		if err := s.accessWithoutTables(e); err != nil {
			return err
		}
	}
	if u.ReadOnly && !e.plan.ReadOnly && !reads(e.kind) {
		table := ""
		if len(e.tables) > 0 {
			table = e.tables[0].Table
		}
		return sqlerr.New(sqlerr.TableAccessDenied, "%s command denied to user '%s'@'%s' for table '%s': the user is read_only",
			e.verb, u.Name, host(s.c.Remote), table)
	}
	return nil
}

func reads(k parser.Kind) bool {
	return k == parser.KindShow || k == parser.KindExplain
}

// accessWithoutTables refuses to a user with a list of schemas what names no
// table but reaches past them: accounts and server administration.
func (s *Session) accessWithoutTables(e *planned) error {
	switch e.kind {
	case parser.KindAdmin:
		if len(e.tables) == 0 {
			return sqlerr.New(errSpecificAccessDenied, "Access denied; user '%s' may only use %s", s.c.User.Name, strings.Join(s.c.User.Schemas, ", "))
		}
	}
	return nil
}

// errSpecificAccessDenied is ER_SPECIFIC_ACCESS_DENIED_ERROR.
const errSpecificAccessDenied = 1227
