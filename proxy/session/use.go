package session

import (
	"context"
	"slices"
	"strings"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/topology"
)

// useStatement answers USE x.
func (s *Session) useStatement(ctx context.Context, text string) (bool, error) {
	tokens := trimSemicolon(scan(text, s.settings.mode))
	if len(tokens) < 2 {
		return true, syntaxError(text)
	}
	name := tokens[1].name()
	if len(tokens) > 2 {
		// A name may hold characters that scan cuts at (USE my-db works in
		// the mysql client, which sends COM_INIT_DB); MySQL wants quotes here.
		return true, syntaxError(text)
	}
	return true, s.initDB(ctx, name)
}

// initDB changes the database and answers OK.
func (s *Session) initDB(ctx context.Context, name string) error {
	if err := s.useSchema(ctx, name); err != nil {
		return err
	}
	s.ok(wire.OK{Tracked: wire.Tracked{Schema: s.settings.db, SchemaChanged: true}})
	return nil
}

// useSchema checks that the schema exists and the user may use it.
func (s *Session) useSchema(ctx context.Context, name string) error {
	if name == "" {
		return sqlerr.New(sqlerr.NoDB, "No database selected")
	}
	if err := CheckSchema(ctx, s.deps, s.c.User, name); err != nil {
		return err
	}
	s.settings.use(name)
	return nil
}

// CheckSchema reports whether the user may use a schema (ER_DBACCESS_DENIED)
// and whether there is one (ER_BAD_DB_ERROR): in the catalog, else on its home
// server.
func CheckSchema(ctx context.Context, deps Deps, user *catalog.User, name string) error {
	if !allowed(user, name) {
		return sqlerr.New(sqlerr.DBAccessDenied, "Access denied for user '%s'@'%%' to database '%s'", user.Name, name)
	}
	cat := deps.Catalog.Load()
	if cat.Schemas[name] != nil || alwaysThere(name) || name == ownSchema && deps.Own != nil {
		return nil
	}
	conns, err := deps.Fleet.Acquire(ctx, backend.Want{Cluster: cat.HomeOf(name), Target: topology.TargetPrimary, N: 1, Zone: deps.Zone})
	if err != nil {
		return err
	}
	_, rows, err := conns[0].Select(ctx, "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = "+quoteText(name))
	conns[0].Release(err)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return sqlerr.New(sqlerr.BadDB, "Unknown database '%s'", name)
	}
	return nil
}

// alwaysThere are the schemas every server, or Serval itself, has.
func alwaysThere(name string) bool {
	switch strings.ToLower(name) {
	case "information_schema", "performance_schema", "mysql", "sys":
		return true
	}
	return false
}

// allowed reports whether the user may name a schema in a statement.
func allowed(user *catalog.User, schema string) bool {
	if len(user.Schemas) == 0 || slices.Contains(user.Schemas, schema) {
		return true
	}
	// What MySQL shows of information_schema to anybody. It is filtered where
	// the planner answers for the logical schema.
	return strings.EqualFold(schema, "information_schema")
}

func trimSemicolon(tokens []token) []token {
	for len(tokens) > 0 && tokens[len(tokens)-1].op(";") {
		tokens = tokens[:len(tokens)-1]
	}
	return tokens
}
