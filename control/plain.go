package control

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/servaldb/serval/catalog"
)

// mostPlainColumns bounds what is read of the tables without a rule of one
// cluster. Where there are more, only those of the schemas in the
// configuration are known, and if that is too much too, none.
const mostPlainColumns = 100_000

// systemDatabases are the servers' own.
var systemDatabases = []string{"information_schema", "performance_schema", "mysql", "sys", "serval_meta"}

// homes reads, with one query a cluster, the tables of the databases that are
// schemas' homes, and on the cluster of home: those of all databases that are
// nobody's shards.
func (r *factReader) homes(ctx context.Context, plain *catalog.Catalog) {
	schemas := map[string][]string{}
	for name := range plain.Schemas {
		cluster := plain.HomeOf(name)
		schemas[cluster] = append(schemas[cluster], name)
	}
	if plain.Home != "" && schemas[plain.Home] == nil {
		schemas[plain.Home] = []string{}
	}
	for cluster, named := range schemas {
		s, ok := r.ask(ctx, cluster)
		if !ok {
			continue
		}
		where := "TABLE_SCHEMA IN (" + quoteAll(named) + ")"
		all, err := map[TableName]*TableFact(nil), errTooManyTables
		if cluster == plain.Home {
			all, err = readDefinitions(ctx, r.servers, cluster, "TABLE_SCHEMA NOT IN ("+quoteAll(notAtHome(plain))+")", mostPlainColumns, s.flavor)
		}
		if errors.Is(err, errTooManyTables) && len(named) > 0 {
			all, err = readDefinitions(ctx, r.servers, cluster, where, mostPlainColumns, s.flavor)
		}
		switch {
		case errors.Is(err, errTooManyTables):
			continue
		case err != nil:
			r.fail(cluster, err)
			continue
		}
		r.homed[cluster] = all
		for _, database := range named { // so that they are not asked for again
			r.read[place{cluster: cluster, database: database}] = map[string]*TableFact{}
		}
		for name, t := range all {
			if s.fold {
				name.Schema = strings.ToLower(name.Schema)
			}
			if tables := r.read[place{cluster: cluster, database: name.Schema}]; tables != nil {
				tables[name.Table] = t
			}
		}
	}
}

// notAtHome are the databases that are no logical ones on the cluster of
// home:, in order: the servers' own, those of shards, and schemas with another
// home.
func notAtHome(c *catalog.Catalog) []string {
	out := map[string]bool{}
	for _, name := range systemDatabases {
		out[name] = true
	}
	for _, s := range c.Schemas {
		for _, t := range s.Tables {
			for _, shard := range t.Placement.Shards {
				out[shard.Database] = true
			}
		}
	}
	for name := range c.Schemas {
		out[name] = c.HomeOf(name) != c.Home
	}
	maps.DeleteFunc(out, func(_ string, not bool) bool { return !not })
	return slices.Sorted(maps.Keys(out))
}

func quoteAll(names []string) string {
	names = slices.Sorted(slices.Values(names))
	for i, n := range names {
		names[i] = quote(n)
	}
	return strings.Join(names, ", ")
}

// plain keeps what homes read of tables without a rule, and what was known of
// those of clusters that do not answer.
func (r *factReader) plain(plain *catalog.Catalog, facts *Facts) {
	facts.Plain = map[TableName]*TableFact{}
	for cluster, tables := range r.homed {
		for name, t := range tables {
			name = TableName{facts.fold(name.Schema), facts.fold(name.Table)}
			if !catalog.IsBeside(name.Table) && plain.HomeOf(name.Schema) == cluster && plain.Table(name.Schema, name.Table) == nil {
				facts.Plain[name] = t
			}
		}
	}
	r.beside(plain, facts)
	for name, t := range r.old.Plain {
		if r.down[plain.HomeOf(name.Schema)] != nil {
			facts.Plain[name] = t
		}
	}
}

// plainTables are the facts as the catalog has them.
func (f *Facts) plainTables() map[string]map[string]*catalog.Table {
	out := map[string]map[string]*catalog.Table{}
	for name, t := range f.Plain {
		if out[name.Schema] == nil {
			out[name.Schema] = map[string]*catalog.Table{}
		}
		out[name.Schema][name.Table] = &catalog.Table{Name: name.Table, Columns: t.Columns, PrimaryKey: t.PrimaryKey,
			UniqueKeys: t.UniqueKeys, Indexes: t.Indexes, AutoIncrement: t.AutoIncrement}
	}
	return out
}

// refreshPlainLocked reads a table without a rule again, and publishes if it
// is another than was known. One of a database that is not read at all (the
// servers' own, shards') stays unknown.
func (c *Controller) refreshPlainLocked(ctx context.Context, schema, table string) error {
	cat := c.store.Load()
	cluster := cat.HomeOf(schema)
	if cluster == "" || schema == "" || catalog.IsBeside(table) || slices.Contains(notAtHome(cat), schema) && cat.Schema(schema) == nil {
		return nil
	}
	r := c.reader(c.mu.cfg)
	s, ok := r.ask(ctx, cluster)
	if !ok {
		return errors.Join(r.errs...)
	}
	read, err := readTables(ctx, r.servers, place{cluster, schema, table}, s.flavor)
	if err != nil {
		return err
	}
	facts := c.mu.facts
	facts.Now = c.now()
	facts.Plain = maps.Clone(facts.Plain)
	if facts.Plain == nil {
		facts.Plain = map[TableName]*TableFact{}
	}
	name := TableName{facts.fold(schema), facts.fold(table)}
	old := facts.Plain[name]
	delete(facts.Plain, name)
	for _, t := range read { // one, or none
		facts.Plain[name] = t
	}
	facts.withCollations()
	if reflect.DeepEqual(old, facts.Plain[name]) {
		return nil
	}
	return c.publishLocked(c.mu.cfg, facts)
}
