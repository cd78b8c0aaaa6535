package router

import (
	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/parser"
)

// GetsRule says which table, if any, a statement creates that is to get the rule
// of new_tables:, and by which of its columns. One without the column, or whose
// primary key is of several columns, or that is made of another one, gets none.
func GetsRule(cat *catalog.Catalog, db string, st *parser.Statement) (schema, table, column string, ok bool) {
	n, creates := st.Node.(*ast.CreateTableStmt)
	if !creates || n.TemporaryKeyword != ast.TemporaryNone || n.ReferTable != nil || n.Select != nil || len(st.Tables) == 0 {
		return "", "", "", false
	}
	p := &planning{cat: cat, db: db, st: st}
	schema, table = p.names(st.Tables[0])
	s := cat.Schema(schema)
	if s == nil || s.NewTables == nil || cat.PlainTable(schema, table) != nil {
		return "", "", "", false
	}
	if t := cat.Table(schema, table); t != nil && len(t.Columns) > 0 {
		return "", "", "", false
	}
	column = s.NewTables.Column
	if column == "" {
		column = onlyPrimary(n)
	}
	return schema, table, column, column != "" && definedColumn(n, column) != nil
}

// onlyPrimary is the one column of the primary key, empty where it has none or
// several.
func onlyPrimary(n *ast.CreateTableStmt) string {
	for _, c := range n.Cols {
		for _, o := range c.Options {
			if o.Tp == ast.ColumnOptionPrimaryKey {
				return c.Name.Name.O
			}
		}
	}
	for _, c := range n.Constraints {
		if c.Tp == ast.ConstraintPrimaryKey && len(c.Keys) == 1 && c.Keys[0].Column != nil && c.Keys[0].Length <= 0 {
			return c.Keys[0].Column.Name.O
		}
	}
	return ""
}
