package session

import (
	"maps"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
)

// OwnTables are the read-only tables of schema serval; the admin side has them.
type OwnTables interface {
	// Query is a SELECT without tables that gives the rows of a table as they
	// are now; ok is false where there is no such table.
	Query(table string) (sql string, columns []string, ok bool)
	// Names are the tables there are, Types a table's columns' as SHOW COLUMNS
	// names them.
	Names() []string
	Types(table string) []string
}

// ownSchema is the schema of Serval's own tables.
const ownSchema = "serval"

// withOwn is the catalog with those of Serval's own tables that the statement
// reads, as views over rows that stand in them; own is false, and the catalog
// the same, where it reads none.
func (s *Session) withOwn(cat *catalog.Catalog, st *parser.Statement) (_ *catalog.Catalog, own bool, err error) {
	if s.deps.Own == nil || st.Kind != parser.KindSelect && st.Kind != parser.KindExplain {
		return cat, false, nil
	}
	var views map[catalog.ViewName]*catalog.View
	for _, t := range st.Tables {
		if !strings.EqualFold(s.schemaOr(t.Schema), ownSchema) {
			continue
		}
		sql, columns, ok := s.deps.Own.Query(t.Table)
		if !ok {
			return cat, false, sqlerr.New(sqlerr.NoSuchTable, "Table 'serval.%s' doesn't exist", t.Table)
		}
		if views == nil {
			views = maps.Clone(cat.Views)
			if views == nil {
				views = map[catalog.ViewName]*catalog.View{}
			}
		}
		name := catalog.ViewName{Schema: s.schemaOr(t.Schema), Name: t.Table}
		if cat.FoldNames {
			name.Schema, name.Name = strings.ToLower(name.Schema), strings.ToLower(name.Name)
		}
		views[name] = &catalog.View{
			Schema: ownSchema, Name: t.Table, Columns: columns, Definition: sql,
		}
	}
	if views == nil {
		return cat, false, nil
	}
	with := *cat
	with.Views = views
	return &with, true, nil
}
