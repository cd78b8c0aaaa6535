package router

import (
	"strconv"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
)

// What is read comes as text. A FLOAT's text has not all of its digits, and in
// the hour that a change of the clocks repeats two TIMESTAMPs have one text.

// isFloat: the expression is a FLOAT column.
func (b *block) isFloat(e ast.ExprNode) *ast.ColumnName {
	c, ok := strip(e).(*ast.ColumnNameExpr)
	if !ok {
		return nil
	}
	if r := b.resolve(c.Name); r == nil || r.column(c.Name.Name.L) == nil || r.column(c.Name.Name.L).DataType != "float" {
		return nil
	}
	return c.Name
}

// allDigits makes a DOUBLE of a FLOAT, as which a server stores it in any column.
const allDigits = " + 0e0"

// query is the SELECT of an INSERT into columns of to, its FLOAT columns and
// quotients with all digits. Of other queries than a plain SELECT nothing is
// changed.
func (s *staging) query(n ast.ResultSetNode, to *ref, columns []plan.StagedColumn) (plan.Template, error) {
	all := s.piece(s.spans.Query)
	sel, ok := n.(*ast.SelectStmt)
	sp, err := s.planning.spans()
	if !ok || err != nil || sp.Insert == nil || sp.Insert.Select < 0 || sel.Fields == nil {
		return all, nil //nolint:nilerr // it is read as it is
	}
	var b *block
	for _, x := range s.sc.blocks {
		if x.sel == sel {
			b = x
		}
	}
	items := sp.Blocks[sp.Insert.Select].Items
	if b == nil || len(items) != len(sel.Fields.Fields) {
		return all, nil
	}
	var edits []edit
	for i, f := range sel.Fields.Fields {
		if f.WildCard == nil {
			if c := b.isFloat(f.Expr); c != nil {
				alias := orName(f.AsName.O, c.Name.O)
				edits = append(edits, edit{items[i].Span, text(sqlval.QuoteName(b.resolve(c).alias) + "." + sqlval.QuoteName(c.Name.O) + allDigits + " AS " + sqlval.QuoteName(alias))})
			} else if len(columns) == len(items) {
				e, err := s.selected(b, to, columns[i].Name, f.Expr, items[i].Expr)
				if err != nil {
					return nil, err
				}
				edits = append(edits, e...)
			}
			continue
		}
		shown, known := b.star(f.WildCard)
		if !known {
			return all, nil
		}
		if list, has := starList(shown); has {
			edits = append(edits, edit{items[i].Span, text(list)})
		}
	}
	return splice(s.st, s.spans.Query, edits), nil
}

// starList writes the columns a * stands for out, if there is a FLOAT among them.
func starList(columns []viewColumn) (list string, has bool) {
	for i, c := range columns {
		if i > 0 {
			list += ", "
		}
		list += sqlval.QuoteName(c.ref.alias) + "." + sqlval.QuoteName(c.column)
		if col := c.ref.column(c.column); col != nil && col.DataType == "float" {
			list, has = list+allDigits+" AS "+sqlval.QuoteName(c.column), true
		}
	}
	return list, has
}

// noRow is a condition that no row of t meets, which looks for one key.
func noRow(t *ref) string {
	c := &t.entry.Columns[0]
	if keys := keysOf(t); len(keys) > 0 {
		c = t.column(keys[0])
	}
	value := "''"
	switch c.DataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "year", "bit":
		value = "0"
	case "date", "datetime", "timestamp":
		value = "'1999-01-01'"
	case "time":
		value = "'00:00:00'"
	}
	return sqlval.QuoteName(c.Name) + " = " + value + " AND LENGTH(" + sqlval.QuoteName(c.Name) + ") < 0"
}

// kept is a column that goes with its row; same tells whether the row keeps all
// its values.
func kept(t *ref, c *catalog.Column, same plan.Template) plan.Template {
	name := sqlval.QuoteName(t.alias) + "." + sqlval.QuoteName(c.Name)
	switch {
	case c.OnUpdate:
		out := append(text("IF("), same...)
		return append(out, text(", "+name+", CURRENT_TIMESTAMP("+strconv.Itoa(c.Scale)+"))")...)
	case c.DataType == "float":
		return text(name + allDigits)
	}
	return text(name)
}

// tells is true where the texts of the TIMESTAMPs that go with t's row mean
// them and no others; nil where there are none.
func tells(t *ref, assigned map[string]plan.Template) plan.Template {
	var out plan.Template
	for i := range t.entry.Columns {
		c := &t.entry.Columns[i]
		if _, set := assigned[lower(c.Name)]; set || c.DataType != "timestamp" || c.Generated {
			continue
		}
		name := sqlval.QuoteName(t.alias) + "." + sqlval.QuoteName(c.Name)
		cond := "UNIX_TIMESTAMP(" + name + ") <=> UNIX_TIMESTAMP(CAST(" + name + " AS DATETIME(6)))"
		if c.OnUpdate {
			cond += " AND UNIX_TIMESTAMP() = UNIX_TIMESTAMP(CURRENT_TIMESTAMP())"
		}
		if len(out) > 0 {
			cond = " AND " + cond
		}
		out = append(out, text(cond)...)
	}
	return out
}
