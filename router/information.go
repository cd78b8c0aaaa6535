package router

import (
	"sort"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/topology"
)

// information makes information_schema answer for the logical schemas: each of
// its tables that tells of tables becomes a derived table in which one shard
// that stands on the cluster speaks for its table, under the table's own name,
// and the other shards are not seen. Numbers of rows and bytes are that shard's.
// A table none of whose shards is on the cluster is not seen at all.
func (p *planning) information(cluster string) ([]edit, error) {
	if !p.asksInformation() {
		return nil, nil
	}
	view := p.logicalView(cluster)
	if view == nil {
		return nil, nil
	}
	sp, err := p.spans()
	if err != nil {
		return nil, err
	}
	var edits []edit
	derived := map[int]bool{}
	for i, t := range sp.Tables {
		columns := p.cat.Information[strings.ToUpper(t.Name.Table)]
		if !isInformation(p.schemaOf(t.Name.Schema)) || columns == nil {
			continue
		}
		sql := "(" + view.query(strings.ToUpper(t.Name.Table), columns) + ")"
		if t.Alias == "" {
			sql += " AS " + quoteName(t.Name.Table)
			derived[i] = true
		}
		edits = append(edits, edit{t.Span, text(sql)})
	}
	for _, q := range sp.Qualifiers {
		if derived[q.Table] && !q.Schema.Empty() {
			edits = append(edits, edit{q.Schema, nil})
		}
	}
	return edits, nil
}

func isInformation(schema string) bool { return strings.EqualFold(schema, "information_schema") }

func (p *planning) schemaOf(schema string) string { return orName(schema, p.db) }

// asksInformation: the statement reads a table of information_schema that
// tells of tables.
func (p *planning) asksInformation() bool {
	if p.sel == nil && len(p.sc.refs) == 0 {
		return false
	}
	for _, t := range p.st.Tables {
		if isInformation(p.schemaOf(t.Schema)) && p.cat.Information[strings.ToUpper(t.Table)] != nil {
			return true
		}
	}
	return false
}

// logicalView is how the tables of one cluster are shown.
type logicalView struct {
	// speaks are the shards that speak for their tables, hidden the tables of
	// a logical database that only are shards.
	speaks []speaker
	hidden []topology.Shard
	// databases only have shards in them.
	databases []string
}

type speaker struct {
	topology.Shard
	schema, table string
}

func (p *planning) logicalView(cluster string) *logicalView {
	v := &logicalView{}
	databases := map[string]bool{}
	for _, name := range sortedSchemas(p.cat) {
		for _, t := range sortedTables(p.cat.Schemas[name]) {
			if t.Placement == nil {
				continue
			}
			spoken := false
			for _, s := range t.Placement.Shards {
				if p.cat.Schemas[s.Database] == nil {
					databases[s.Database] = true
				}
				if s.Cluster != cluster || s.Database == name && s.Table == t.Name {
					continue
				}
				if !spoken {
					spoken = true
					v.speaks = append(v.speaks, speaker{s, name, t.Name})
				} else if !databases[s.Database] {
					v.hidden = append(v.hidden, s)
				}
			}
		}
	}
	if len(v.speaks) == 0 {
		return nil
	}
	databases[metaSchema] = true
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

// query is one table of information_schema as the application is to see it.
func (v *logicalView) query(table string, columns []string) string {
	var list []string
	for _, c := range columns {
		expr := quoteName(c)
		switch {
		case c == "TABLE_NAME":
			expr = v.nameExpr()
		case strings.HasSuffix(c, "_SCHEMA"):
			expr = v.schemaExpr(c)
		}
		list = append(list, expr+" AS "+quoteName(c))
	}
	where := "TABLE_SCHEMA NOT IN (" + quoteList(v.databases) + ")"
	if len(v.hidden) > 0 {
		var pairs []string
		for _, s := range v.hidden {
			pairs = append(pairs, pair(s))
		}
		where += " AND (TABLE_SCHEMA, TABLE_NAME) NOT IN (" + strings.Join(pairs, ", ") + ")"
	}
	var pairs []string
	for _, s := range v.speaks {
		pairs = append(pairs, pair(s.Shard))
	}
	where += " OR (TABLE_SCHEMA, TABLE_NAME) IN (" + strings.Join(pairs, ", ") + ")"
	return "SELECT " + strings.Join(list, ", ") + " FROM information_schema." + quoteName(table) + " WHERE " + where
}

func pair(s topology.Shard) string {
	return "(" + quoteText(s.Database) + ", " + quoteText(s.Table) + ")"
}

// nameExpr gives shards with a name of their own their table's.
func (v *logicalView) nameExpr() string {
	var b strings.Builder
	for _, s := range v.speaks {
		if s.Table != s.table {
			b.WriteString(" WHEN TABLE_SCHEMA = " + quoteText(s.Database) + " AND TABLE_NAME = " + quoteText(s.Table) + " THEN " + quoteText(s.table))
		}
	}
	if b.Len() == 0 {
		return "TABLE_NAME"
	}
	return "CASE" + b.String() + " ELSE TABLE_NAME END"
}

// schemaExpr gives shards in a database of their own their table's.
func (v *logicalView) schemaExpr(column string) string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, s := range v.speaks {
		if s.Database != s.schema && !seen[s.Database] {
			seen[s.Database] = true
			b.WriteString(" WHEN " + quoteText(s.Database) + " THEN " + quoteText(s.schema))
		}
	}
	if b.Len() == 0 {
		return quoteName(column)
	}
	return "CASE " + quoteName(column) + b.String() + " ELSE " + quoteName(column) + " END"
}
