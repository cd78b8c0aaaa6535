package session

import (
	"context"
	"slices"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/ddl"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router"
	"github.com/servaldb/serval/router/plan"
)

// RuleGiver gives a table that is to be created the rule of new_tables:.
type RuleGiver interface {
	GiveRule(ctx context.Context, schema, table, column string) error
	// KeepRule is asked once nobody else can define the table.
	KeepRule(ctx context.Context, schema, table string) error
}

// giveRule gives a table that the statement creates its rule; the catalog has it
// then.
func (s *Session) giveRule(cat *catalog.Catalog, text []byte) error {
	giver, ok := s.deps.Refresher.(RuleGiver)
	if !ok || s.c.User.ReadOnly {
		return nil
	}
	schema, table, column, ok := router.GetsRule(cat, s.settings.db, parser.Parse(text, parser.Options{Mode: s.settings.mode}))
	if !ok || len(s.c.User.Schemas) > 0 && !slices.Contains(s.c.User.Schemas, schema) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), learnTime)
	defer cancel()
	return giver.GiveRule(ctx, schema, table, column)
}

// keepRule is about a table that a job is about to make.
func (s *Session) keepRule(ctx context.Context, n *plan.Job) error {
	giver, ok := s.deps.Refresher.(RuleGiver)
	if !ok || n.Verb != string(ddl.Create) {
		return nil
	}
	return giver.KeepRule(ctx, n.Table.Schema, n.Table.Table)
}

// mayHaveRule: another Serval may have given the table a rule, of which nothing
// is known here yet.
func mayHaveRule(cat *catalog.Catalog, schema, table string) bool {
	s := cat.Schema(schema)
	return s != nil && s.NewTables != nil && cat.PlainTable(schema, table) == nil
}
