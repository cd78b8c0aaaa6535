package control

import (
	"context"
	"slices"
	"strings"

	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/internal/sqlerr"
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
	if l := c.lostLocked(schema, table); l != nil {
		why, instead := l.Told()
		return sqlerr.Refuse("CREATE TABLE "+table, why, instead)
	}
	rows, err := c.servers.Select(ctx, home, "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = "+quote(schema)+" AND TABLE_NAME = "+quote(table))
	if err != nil || len(rows) > 0 {
		return err
	}
	for _, sql := range []string{
		"CREATE DATABASE IF NOT EXISTS " + metaSchema,
		"CREATE TABLE IF NOT EXISTS " + metaSchema + "." + givenTable + " (schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL," +
			" table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, rule TEXT CHARACTER SET utf8mb4 NOT NULL, PRIMARY KEY (schema_name, table_name)) ENGINE=InnoDB",
		"INSERT IGNORE INTO " + metaSchema + "." + givenTable + " VALUES (" + quote(s.Name) + ", " + quote(c.mu.facts.fold(table)) + ", " + quote(s.NewTables.GivenRule(column)) + ")",
	} {
		if err := c.servers.Exec(ctx, home, sql); err != nil {
			return err
		}
	}
	if err := c.giveAnewLocked(ctx, home, s, table, s.NewTables.GivenRule(column)); err != nil {
		return err
	}
	return c.learnGivenLocked(ctx)
}

// giveAnewLocked changes the rule of a table that was dropped past Serval, so that
// the record is left. While somebody makes the table it stays.
func (c *Controller) giveAnewLocked(ctx context.Context, home string, s *config.Schema, table, rule string) error {
	row := "schema_name = " + quote(s.Name) + " AND table_name = " + quote(c.mu.facts.fold(table))
	err := c.servers.Exec(ctx, home, "UPDATE "+metaSchema+"."+givenTable+" SET rule = "+quote(rule)+" WHERE "+row+
		" AND NOT EXISTS (SELECT 1 FROM "+metaSchema+".ddl_jobs WHERE "+row+" AND state = 'running')")
	if !noTable(err) {
		return err
	}
	return c.servers.Exec(ctx, home, "UPDATE "+metaSchema+"."+givenTable+" SET rule = "+quote(rule)+" WHERE "+row)
}

// KeepRule makes sure that the rule by which a table is about to be made, as a job
// of which there is one at a time, is the one that is written down: whoever dropped
// it meanwhile took the record along.
func (c *Controller) KeepRule(ctx context.Context, schema, table string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.mu.cfg.Given(), c.isOf(schema, table))
	home := c.store.Load().HomeOf(schema)
	if i < 0 || home == "" {
		return nil
	}
	g := c.mu.cfg.Given()[i]
	row := quote(g.Schema) + ", " + quote(g.Table)
	if err := c.servers.Exec(ctx, home, "INSERT IGNORE INTO "+metaSchema+"."+givenTable+" VALUES ("+row+", "+quote(g.Rule)+")"); err != nil {
		return err
	}
	rows, err := c.servers.Select(ctx, home, "SELECT rule FROM "+metaSchema+"."+givenTable+" WHERE (schema_name, table_name) = ("+row+")")
	if err == nil && (len(rows) != 1 || string(rows[0][0]) != g.Rule) {
		err = sqlerr.New(sqlerr.UnknownError, "Serval: another Serval has given table %s.%s another rule meanwhile; run it again", schema, table)
	}
	return err
}

// lostLocked is the table's own rule that cannot be carried, nil if it is not so.
func (c *Controller) lostLocked(schema, table string) *config.Lost {
	lost := c.mu.cfg.Lost()
	is := c.isOf(schema, table)
	for i := range lost {
		if is(lost[i].Given) {
			return &lost[i]
		}
	}
	return nil
}

// tellLostLocked logs the rules that cfg cannot carry.
func (c *Controller) tellLostLocked(cfg *config.Config) {
	for _, l := range cfg.Lost() {
		what, do := l.Told()
		c.log.Error(what, "schema", l.Schema, "table", l.Table, "do", do)
	}
}

// lostFindings are the rules that the configuration cannot carry.
func lostFindings(cfg *config.Config) []Finding {
	var out []Finding
	for _, l := range cfg.Lost() {
		what, do := l.Told()
		out = append(out, Finding{Schema: l.Schema, Table: l.Table, Shard: -1, Line: l.Line, What: what, Do: do})
	}
	return out
}

func (c *Controller) isGivenLocked(schema, table string) bool {
	return slices.ContainsFunc(c.mu.cfg.Given(), c.isOf(schema, table))
}

// isOf tells the table's own rule; the caller holds the lock.
func (c *Controller) isOf(schema, table string) func(config.Given) bool {
	return func(g config.Given) bool {
		return c.mu.facts.fold(g.Schema) == c.mu.facts.fold(schema) && c.mu.facts.fold(g.Table) == c.mu.facts.fold(table)
	}
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
