package control

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
)

// lookupsTable says which lookup tables are being built; one that it does not
// name has all its rows.
const lookupsTable = "lookups"

// uniques gives each table the unique keys that are kept over its shards: those
// whose lookup table is there and fits.
func (b *builder) uniques(out *catalog.Schema, s *config.Schema) {
	for i := range s.Tables {
		rule := &s.Tables[i]
		t := out.Tables[b.facts.fold(rule.Name)]
		if t == nil || len(t.Columns) == 0 {
			continue
		}
		for _, key := range rule.Unique {
			lookup := out.Tables[b.facts.fold(config.LookupName(rule.Name, key))]
			fact := b.facts.Tables[TableName{out.Name, t.Name}]
			if lookup == nil || len(lookup.Columns) == 0 || fact == nil {
				continue
			}
			if u, why := uniqueOf(fact, key, t.Placement.Keys()); why == "" {
				u.Lookup = lookup
				u.Ready = !b.facts.Building[TableName{out.Name, lookup.Name}] && sameColumns(t, lookup)
				t.Uniques = append(t.Uniques, u)
			}
		}
	}
}

// uniqueOf finds the table's own unique key of these columns; why not, else.
func uniqueOf(fact *TableFact, key, sharding []string) (u catalog.Unique, why string) {
	if len(fact.PrimaryKey) == 0 {
		return u, "the table has no primary key"
	}
	for _, name := range append(slices.Clone(key), sharding...) {
		i := slices.IndexFunc(fact.Columns, func(c catalog.Column) bool { return strings.EqualFold(c.Name, name) })
		if i < 0 {
			return u, "the table has no column " + name
		}
		if why := notKept(&fact.Columns[i]); why != "" {
			return u, why
		}
	}
	if !fact.PrimaryPrefix && len(fact.PrimaryKey) == len(key) && !slices.ContainsFunc(key, func(c string) bool { return !hasFold(fact.PrimaryKey, c) }) {
		return catalog.Unique{Key: "PRIMARY", Columns: fact.PrimaryKey}, ""
	}
	for i, columns := range fact.UniqueKeys {
		if len(columns) == len(key) && !slices.ContainsFunc(key, func(c string) bool { return !hasFold(columns, c) }) && wholeColumns(fact, columns) {
			return catalog.Unique{Key: fact.UniqueNames[i], Columns: columns}, ""
		}
	}
	return u, "the table has no unique key of the whole columns " + strings.Join(key, ", ")
}

// notKept: values of such a column do not stay the same on their way.
func notKept(c *catalog.Column) string {
	if !catalog.KeepsValues(c.DataType) {
		return "column " + c.Name + " is a " + strings.ToUpper(c.DataType) + ", whose values are not kept in a lookup table"
	}
	if c.Generated {
		return "column " + c.Name + " is generated"
	}
	return ""
}

// wholeColumns: the key has no prefixes.
func wholeColumns(fact *TableFact, columns []string) bool {
	return slices.ContainsFunc(fact.Indexes, func(x catalog.Index) bool {
		return slices.EqualFunc(x, columns, func(c catalog.IndexColumn, name string) bool { return c.Name == name && c.Prefix == 0 })
	})
}

func hasFold(list []string, name string) bool {
	return slices.ContainsFunc(list, func(x string) bool { return strings.EqualFold(x, name) })
}

// sameColumns: what is equal in the lookup table is equal in the table.
func sameColumns(t, lookup *catalog.Table) bool {
	for i := range lookup.Columns {
		l := &lookup.Columns[i]
		if !slices.ContainsFunc(t.Columns, func(c catalog.Column) bool {
			return strings.EqualFold(c.Name, l.Name) && c.SQLType == l.SQLType && c.Collation == l.Collation
		}) {
			return false
		}
	}
	return true
}

// lookups reads which lookup tables are being built, where there are any. One
// that appeared behind its table in this very reading is read again: whoever
// knows a table must know what is kept of it.
func (r *factReader) lookups(ctx context.Context, plain *catalog.Catalog, facts *Facts) {
	for _, s := range plain.Schemas {
		for _, t := range s.Tables {
			name := TableName{s.Name, t.Name}
			if rule := ruleOf(r.cfg, facts, name); len(rule.Unique) > 0 && facts.Tables[name] != nil {
				r.lookupsOf(ctx, name, rule, plain, facts)
			}
		}
	}
}

// refreshLookups is lookups of one table.
func (r *factReader) refreshLookups(ctx context.Context, name TableName, rule *config.Table, facts *Facts) {
	if len(rule.Unique) == 0 {
		return
	}
	plain, err := Build(r.cfg, Facts{Now: r.now, FoldNames: facts.FoldNames})
	if err != nil {
		return // publishing says it
	}
	facts.Building = maps.Clone(facts.Building)
	for _, key := range rule.Unique { // read anew
		delete(facts.Tables, TableName{name.Schema, facts.fold(config.LookupName(rule.Name, key))})
	}
	r.lookupsOf(ctx, name, rule, plain, facts)
}

func (r *factReader) lookupsOf(ctx context.Context, name TableName, rule *config.Table, plain *catalog.Catalog, facts *Facts) {
	if facts.Building == nil {
		facts.Building = map[TableName]bool{}
	}
	building, known := r.building(ctx, plain.HomeOf(name.Schema), name.Schema)
	for _, key := range rule.Unique {
		lookup := TableName{name.Schema, facts.fold(config.LookupName(rule.Name, key))}
		t := plain.Schemas[name.Schema].Tables[lookup.Table]
		if facts.Tables[lookup] == nil && t != nil {
			for _, s := range t.Placement.Shards {
				delete(r.read, place{cluster: s.Cluster, database: s.Database})
			}
			if fact, ok := r.table(ctx, lookup, ruleOf(r.cfg, facts, lookup), t.Placement); ok && fact != nil {
				facts.Tables[lookup] = fact
			}
		}
		delete(facts.Building, lookup)
		if !known || building[lookup.Table] {
			facts.Building[lookup] = true
		}
	}
}

// building are the lookup tables of a schema that are being built.
func (r *factReader) building(ctx context.Context, home, schema string) (tables map[string]bool, known bool) {
	if _, ok := r.ask(ctx, home); !ok {
		return nil, false
	}
	rows, err := r.servers.Select(ctx, home, "SELECT table_name FROM "+metaSchema+"."+lookupsTable+" WHERE schema_name = "+quote(schema))
	if noTable(err) {
		return nil, true
	}
	if err != nil {
		return nil, false
	}
	tables = map[string]bool{}
	for _, row := range rows {
		tables[string(row[0])] = true
	}
	return tables, true
}
