package router

import (
	"slices"
	"sort"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// logical is how the clusters' information_schema tells of the logical tables:
// on each cluster one shard speaks for its table, under the table's name; the
// others are not seen, or only add their numbers of rows and bytes. A database
// that has no rule is told of by its home.
type logical struct {
	*planning
	// only are the databases the user may see; nil for all.
	only []string
	// databases have nothing but shards, or what Serval keeps, in them.
	databases []string
	clusters  map[string]*told
}

// told is what one cluster tells of.
type told struct {
	// speaks speak for their tables, adds only add to a speaker's numbers.
	speaks, adds []teller
	// hidden are tables in logical databases that are not to be seen as what
	// they are: shards, and what has a table's name without being it.
	hidden []topology.Shard
}

type teller struct {
	topology.Shard
	schema, table string
	// known: some server had the table when it was last looked.
	known bool
}

// logicalView reads it out of the catalog.
func (p *planning) logicalView() *logical {
	v := &logical{planning: p, only: p.visible, clusters: map[string]*told{}}
	for name := range p.cat.Clusters {
		v.clusters[name] = &told{}
	}
	databases := map[string]bool{metaSchema: true}
	for _, name := range sortedSchemas(p.cat) {
		for _, t := range sortedTables(p.cat.Schemas[name]) {
			if t.Placement != nil {
				v.addTable(name, t, databases)
			}
		}
	}
	for _, d := range p.cat.Beside.Databases {
		databases[d] = true
	}
	for cluster, tables := range p.cat.Beside.Tables {
		v.on(cluster).hidden = append(v.on(cluster).hidden, tables...)
	}
	for d := range databases {
		v.databases = append(v.databases, d)
	}
	sort.Strings(v.databases)
	return v
}

func sortedSchemas(c *catalog.Catalog) []string {
	names := make([]string, 0, len(c.Schemas))
	for n := range c.Schemas {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

func (v *logical) addTable(schema string, t *catalog.Table, databases map[string]bool) {
	home := v.cat.HomeOf(schema)
	if v.sees(schema) {
		v.on(home).hidden = append(v.on(home).hidden, topology.Shard{Database: schema, Table: t.Name})
	}
	speaker := speakerOf(t.Placement, home)
	for i, s := range t.Placement.Shards {
		at := v.on(s.Cluster)
		if v.cat.Schemas[s.Database] == nil {
			databases[s.Database] = true
		} else if v.sees(s.Database) && (s.Cluster != home || s.Database != schema || s.Table != t.Name) {
			at.hidden = append(at.hidden, s)
		}
		switch {
		case !v.sees(schema) || t.LookupOf != "":
			continue
		case i == speaker:
			at.speaks = append(at.speaks, teller{s, schema, t.Name, len(t.Columns) > 0})
		case t.Placement.Kind == shardrule.Sharded:
			at.adds = append(at.adds, teller{s, schema, t.Name, len(t.Columns) > 0})
		}
	}
}

// speakerOf is the place in Shards of the one that speaks: at the home, where
// one is there, for then one cluster may tell all.
func speakerOf(p *shardrule.Placement, home string) int {
	return max(0, slices.IndexFunc(p.Shards, func(s topology.Shard) bool { return s.Cluster == home }))
}

func (v *logical) on(cluster string) *told {
	if v.clusters[cluster] == nil {
		v.clusters[cluster] = &told{}
	}
	return v.clusters[cluster]
}

// sees: the user may see the database.
func (v *logical) sees(database string) bool {
	return v.only == nil || isInformation(database) || slices.ContainsFunc(v.only, func(n string) bool {
		return n == database || v.cat.FoldNames && strings.EqualFold(n, database)
	})
}

// needed are the clusters that have something to tell of what info is about,
// the home first; with sums, those too that only add to numbers.
func (v *logical) needed(info *infoTable, sums bool) []string {
	var out []string
	for name, t := range v.clusters {
		if name == v.cat.Home || len(v.homes(name)) > 0 || info.of(t.speaks) != "" || sums && len(t.adds) > 0 {
			out = append(out, name)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if (out[i] == v.cat.Home) != (out[j] == v.cat.Home) {
			return out[i] == v.cat.Home
		}
		return out[i] < out[j]
	})
	return out
}

// homes are the databases that only this cluster tells of, in order: those of
// the schemas at home here, or of those the user may see. On the cluster Home
// and without a list it is all that are not told of elsewhere.
func (v *logical) homes(cluster string) []string {
	names := v.only
	if names == nil {
		names = sortedSchemas(v.cat)
	}
	var out []string
	for _, n := range names {
		if v.cat.FoldNames {
			n = strings.ToLower(n)
		}
		if v.cat.HomeOf(n) == cluster {
			out = append(out, n)
		}
	}
	if v.only != nil && cluster == v.cat.Home {
		out = append(out, "information_schema")
	}
	return out
}

// plain is the condition for what is told of as it stands on the cluster;
// empty for nothing.
func (v *logical) plain(cluster string, info *infoTable) string {
	schema, table := info.schema, info.table
	where := schema + " IN (" + quoteList(v.homes(cluster)) + ")"
	switch {
	case v.only == nil && cluster == v.cat.Home:
		not := slices.Clone(v.databases)
		for _, n := range sortedSchemas(v.cat) {
			if v.cat.HomeOf(n) != cluster {
				not = append(not, n)
			}
		}
		where = schema + " NOT IN (" + quoteList(not) + ")"
	case len(v.homes(cluster)) == 0:
		return ""
	}
	hidden := pairs(v.on(cluster).hidden)
	switch {
	case hidden == "":
	case table != "":
		where += " AND (" + schema + ", " + table + ") NOT IN (" + hidden + ")"
	case info.name == "CHECK_CONSTRAINTS":
		where += " AND (CONSTRAINT_SCHEMA, CONSTRAINT_NAME) NOT IN (" + checksOf(hidden) + ")"
	}
	return where
}

func pairs(shards []topology.Shard) string {
	var list []string
	for _, s := range shards {
		list = append(list, "("+quoteText(s.Database)+", "+quoteText(s.Table)+")")
	}
	return strings.Join(list, ", ")
}

func shardsOf(tellers []teller) []topology.Shard {
	var out []topology.Shard
	for _, t := range tellers {
		out = append(out, t.Shard)
	}
	return out
}

// speaksColumn is 1 in the rows of shards that speak for their tables.
const speaksColumn = "serval_speaks"

// query is the rows of a table of information_schema that one cluster has for
// it; with sums also of shards that only add to numbers, told by speaksColumn.
func (v *logical) query(cluster string, info *infoTable, columns []*catalog.Column, sums bool) string {
	t := v.on(cluster)
	tellers := t.speaks
	if sums {
		tellers = append(slices.Clone(t.speaks), t.adds...)
	}
	var list []string
	for _, c := range columns {
		list = append(list, t.column(info, c.Name, tellers)+" AS "+sqlval.QuoteName(c.Name))
	}
	if sums {
		speaks := "1"
		if len(t.adds) > 0 {
			speaks = "(" + info.schema + ", " + info.table + ") NOT IN (" + pairs(shardsOf(t.adds)) + ")"
		}
		list = append(list, speaks+" AS "+speaksColumn)
	}
	sql := "SELECT " + strings.Join(list, ", ") + " FROM information_schema." + sqlval.QuoteName(info.name)
	if info.schema == "" {
		return sql
	}
	where := v.plain(cluster, info)
	if told := info.of(tellers); told != "" {
		where = strings.TrimPrefix(where+" OR "+told, " OR ")
	}
	if where == "" {
		where = "FALSE"
	}
	sql += " WHERE " + where
	for _, row := range v.views(cluster, info, columns) {
		sql += " UNION ALL " + row + pick(sums, ", 1", "")
	}
	return sql
}

// views are the rows of the table that the cluster tells of logical views, each
// as a SELECT.
func (v *logical) views(cluster string, info *infoTable, columns []*catalog.Column) []string {
	var names []string
	for _, c := range columns {
		names = append(names, c.Name)
	}
	return viewRows(v.cat, info.name, names, func(view *catalog.View) bool {
		return v.cat.HomeOf(view.Schema) == cluster && v.sees(view.Schema)
	})
}

// column is one column as the application is to see it.
func (t *told) column(info *infoTable, name string, tellers []teller) string {
	switch {
	case name == info.table:
		return nameExpr(info, sqlval.QuoteName(name), tellers, false)
	case name == "CONSTRAINT_NAME":
		return nameExpr(info, sqlval.QuoteName(name), tellers, true)
	case info.table != "" && (strings.HasSuffix(name, "_SCHEMA") || name == "SCHEMA_NAME"), info.name == "CHECK_CONSTRAINTS" && name == info.schema:
		return schemaExpr(name, tellers)
	}
	return sqlval.QuoteName(name)
}

// nameExpr gives shards with a name of their own their table's; with prefix,
// constraints whose name begins with it.
func nameExpr(info *infoTable, column string, tellers []teller, prefix bool) string {
	var b strings.Builder
	for _, s := range tellers {
		if s.Table == s.table {
			continue
		}
		when, then := "", quoteText(s.table)
		if prefix {
			begins := strings.NewReplacer(`\`, `\\`, "_", `\_`, "%", `\%`).Replace(s.Table) + `\_%`
			when, then = " AND "+column+" LIKE "+quoteText(begins), "CONCAT("+then+", SUBSTRING("+column+", CHAR_LENGTH("+quoteText(s.Table)+") + 1))"
		}
		if info.table != "" {
			when = " AND " + info.table + " = " + quoteText(s.Table) + when
		}
		b.WriteString(" WHEN " + info.schema + " = " + quoteText(s.Database) + when + " THEN " + then)
	}
	if b.Len() == 0 {
		return column
	}
	return "CASE" + b.String() + " ELSE " + column + " END"
}

// schemaExpr gives shards in a database of their own their table's.
func schemaExpr(column string, tellers []teller) string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, s := range tellers {
		if s.Database != s.schema && !seen[s.Database] {
			seen[s.Database] = true
			b.WriteString(" WHEN " + quoteText(s.Database) + " THEN " + quoteText(s.schema))
		}
	}
	if b.Len() == 0 {
		return sqlval.QuoteName(column)
	}
	return "CASE " + sqlval.QuoteName(column) + b.String() + " ELSE " + sqlval.QuoteName(column) + " END"
}
