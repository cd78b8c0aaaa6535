package control

import (
	"context"
	"slices"
	"strings"

	"github.com/servaldb/serval/config"
)

// Tables that are created through Serval and have no rule get the one of
// new_tables:. Which did, and by what rule, is written down on their schema's home
// before they are made, so every Serval knows, whatever new_tables: is later.

// givenTable says which tables got a rule.
const givenTable = "tables"

// GiveRule gives a table that is to be created the rule of its schema's
// new_tables:, by the column. A table that has a rule, or is at home already,
// stays as it is.
func (c *Controller) GiveRule(ctx context.Context, schema, table, column string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.store.Load().Table(schema, table); t != nil && (len(t.Columns) > 0 || !c.isGivenLocked(schema, table)) {
		return nil
	}
	s := schemaOf(c.mu.cfg, &c.mu.facts, schema)
	home := c.store.Load().HomeOf(schema)
	if s == nil || s.NewTables == nil || home == "" {
		return nil
	}
	rows, err := c.servers.Select(ctx, home, "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = "+quote(schema)+" AND TABLE_NAME = "+quote(table))
	if err != nil || len(rows) > 0 {
		return err
	}
	for _, sql := range []string{
		"CREATE DATABASE IF NOT EXISTS " + metaSchema,
		"CREATE TABLE IF NOT EXISTS " + metaSchema + "." + givenTable + " (schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL," +
			" table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, rule TEXT CHARACTER SET utf8mb4 NOT NULL, PRIMARY KEY (schema_name, table_name)) ENGINE=InnoDB",
		"REPLACE INTO " + metaSchema + "." + givenTable + " VALUES (" + quote(s.Name) + ", " + quote(c.mu.facts.fold(table)) + ", " + quote(s.NewTables.GivenRule(column)) + ")",
	} {
		if err := c.servers.Exec(ctx, home, sql); err != nil {
			return err
		}
	}
	return c.learnGivenLocked(ctx)
}

func (c *Controller) isGivenLocked(schema, table string) bool {
	return slices.ContainsFunc(c.mu.cfg.Given(), func(g config.Given) bool {
		return c.mu.facts.fold(g.Schema) == c.mu.facts.fold(schema) && c.mu.facts.fold(g.Table) == c.mu.facts.fold(table)
	})
}

// learnGivenLocked reads which tables got a rule, and publishes what is new.
func (c *Controller) learnGivenLocked(ctx context.Context) error {
	cfg := c.reader(c.mu.cfg).withGiven(ctx, c.mu.cfg.Given())
	if cfg == c.mu.cfg {
		return nil
	}
	return c.publishLocked(cfg, c.mu.facts)
}

// schemaOf finds a schema by its name in the catalog.
func schemaOf(cfg *config.Config, facts *Facts, name string) *config.Schema {
	for i := range cfg.Schemas {
		if facts.fold(cfg.Schemas[i].Name) == facts.fold(name) {
			return &cfg.Schemas[i]
		}
	}
	return nil
}

// withGiven is the configuration with the rules that tables got. Of a home that
// does not answer they are what they were.
func (r *factReader) withGiven(ctx context.Context, old []config.Given) *config.Config {
	var out []config.Given
	for _, cluster := range homes(r.cfg) {
		here := func(schema string) bool { return slices.Contains(schemasAt(r.cfg, cluster), schema) }
		if cluster == "" {
			continue
		}
		rows, known := r.givenAt(ctx, cluster)
		if !known {
			rows = old
		}
		for _, g := range rows {
			if here(g.Schema) {
				out = append(out, g)
			}
		}
	}
	slices.SortFunc(out, func(a, b config.Given) int { return strings.Compare(a.Schema+"."+a.Table, b.Schema+"."+b.Table) })
	r.cfg = r.cfg.With(out)
	return r.cfg
}

func schemasAt(cfg *config.Config, home string) []string {
	var out []string
	for _, s := range cfg.Schemas {
		if s.Home == home || s.Home == "" && cfg.Home == home {
			out = append(out, s.Name)
		}
	}
	return out
}

func (r *factReader) givenAt(ctx context.Context, cluster string) ([]config.Given, bool) {
	if _, ok := r.ask(ctx, cluster); !ok {
		return nil, false
	}
	rows, err := r.servers.Select(ctx, cluster, "SELECT schema_name, table_name, rule FROM "+metaSchema+"."+givenTable)
	if noTable(err) {
		return nil, true
	}
	if err != nil {
		r.fail(cluster, err)
		return nil, false
	}
	var out []config.Given
	for _, row := range rows {
		if len(row) == 3 {
			out = append(out, config.Given{Schema: string(row[0]), Table: string(row[1]), Rule: string(row[2])})
		}
	}
	return out, true
}
