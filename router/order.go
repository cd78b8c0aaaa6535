package router

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
)

func foldEqual(a, b string) bool { return strings.EqualFold(a, b) }
func lower(s string) string      { return strings.ToLower(s) }

// class is how the merge compares a key.
type class uint8

const (
	// classUnknown: an expression; its weight is fetched in case it is text.
	classUnknown class = iota
	// classPlain: numbers, times, bytes: the value itself is compared.
	classPlain
	// classText is compared by WEIGHT_STRING.
	classText
	// classEnum: ENUM and SET order by their number, BIT as one.
	classEnum
	// classNone cannot be ordered by a merge.
	classNone
	// classConst orders nothing.
	classConst
)

// classOfType is the class of a column by its bare type name.
func classOfType(t string) class {
	switch t {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "numeric", "float", "double", "real", "year",
		"date", "datetime", "timestamp", "time", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return classPlain
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
		return classText
	case "enum", "set", "bit":
		return classEnum
	case "":
		return classUnknown
	}
	return classNone // JSON, spatial, UUID, INET6, …
}

// sortTerm is what a key of ORDER BY, GROUP BY or DISTINCT is.
type sortTerm struct {
	// shown is the shown column it is, -1 if none.
	shown  int
	expr   ast.ExprNode
	ref    *ref
	column string
	label  string
}

// sql is the term as SQL that can stand in a select list.
func (s *scatter) sql(t sortTerm) (plan.Template, error) {
	if t.ref != nil {
		return text(sqlval.QuoteName(t.ref.alias) + "." + sqlval.QuoteName(t.column)), nil
	}
	if sql, ok := exprSQL(s.st, t.expr); ok {
		return sql, nil
	}
	return nil, refuseScatter("ordering by "+t.label, "the expression cannot be repeated in the select list")
}

func (s *scatter) class(t sortTerm) class {
	if t.ref != nil {
		if c := t.ref.column(t.column); c != nil {
			return classOfType(c.DataType)
		}
		return classUnknown
	}
	switch e := strip(t.expr).(type) {
	case *ast.AggregateFuncExpr:
		switch lower(e.F) {
		case "count", "sum", "avg":
			return classPlain
		case "min", "max":
			// By its text to MIN(), by its number to some ORDER BYs of it.
			if c, ok := strip(e.Args[0]).(*ast.ColumnNameExpr); ok {
				if t, err := s.columnTerm(c); err == nil {
					switch s.class(t) {
					case classEnum:
						return classNone
					case classPlain:
						return classPlain
					case classUnknown, classText, classNone, classConst:
					}
				}
			}
		}
	case ast.ValueExpr:
		return classConst
	case *ast.SubqueryExpr:
		if sel, ok := e.Query.(*ast.SelectStmt); ok && sel.Fields != nil && len(sel.Fields.Fields) == 1 && sel.Fields.Fields[0].Expr != nil {
			if f, ok := strip(sel.Fields.Fields[0].Expr).(*ast.AggregateFuncExpr); ok {
				return s.class(sortTerm{expr: f})
			}
		}
	case *ast.ColumnNameExpr: // of an unknown table: it could be an ENUM
		return classNone
	case *ast.IsNullExpr, *ast.IsTruthExpr, *ast.BetweenExpr, *ast.PatternInExpr, *ast.PatternLikeOrIlikeExpr, *ast.PatternRegexpExpr:
		return classPlain
	case *ast.BinaryOperationExpr:
		if numericOps[e.Op] {
			return classPlain
		}
	case *ast.FuncCallExpr:
		if numericFuncs[e.FnName.L] {
			return classPlain
		}
	}
	if s.mayBeJSON(t.expr) {
		return classNone
	}
	return classUnknown
}

// numericOps give numbers whatever they are given.
var numericOps = map[opcode.Op]bool{
	opcode.Plus: true, opcode.Minus: true, opcode.Mul: true, opcode.Div: true, opcode.Mod: true, opcode.IntDiv: true,
	opcode.EQ: true, opcode.NE: true, opcode.LT: true, opcode.LE: true, opcode.GT: true, opcode.GE: true,
	opcode.NullEQ: true, opcode.LogicAnd: true, opcode.LogicOr: true, opcode.LogicXor: true,
}

// numericFuncs give numbers or times.
var numericFuncs = map[string]bool{
	"year": true, "month": true, "day": true, "dayofmonth": true, "dayofweek": true, "dayofyear": true, "hour": true,
	"minute": true, "second": true, "week": true, "quarter": true, "date": true, "length": true, "char_length": true,
	"abs": true, "round": true, "floor": true, "ceil": true, "ceiling": true, "mod": true, "unix_timestamp": true,
}

// sortKey is the key of one ORDER BY item.
func (s *scatter) sortKey(item *ast.ByItem) (plan.SortKey, error) {
	t, err := s.orderTerm(item.Expr)
	if err != nil {
		return plan.SortKey{}, err
	}
	return s.keyOf(t, item.Desc)
}

// keyOf makes the columns the merge compares: the shown one or a hidden one,
// and its weight. A constant's Column is -1.
func (s *scatter) keyOf(t sortTerm, desc bool) (plan.SortKey, error) {
	k := plan.SortKey{Column: t.shown, Desc: desc, Weight: -1, Label: t.label}
	c := s.class(t)
	if c == classConst {
		return plan.SortKey{Column: -1}, nil
	}
	if c == classNone {
		return k, refuseScatter("ordering by "+t.label, "its type is ordered by no rule Serval knows")
	}
	if s.shown < 0 {
		return k, refuseScatter("ordering by "+t.label+" with * in the select list", "the number of columns is not known")
	}
	if t.shown >= 0 && c == classPlain {
		return k, nil
	}
	if t.ref == nil && s.facts.Random {
		return k, refuseScatter("ordering by "+t.label, "RAND() and the like give another value each time they are computed")
	}
	sql, err := s.sql(t)
	if err != nil {
		return k, err
	}
	switch c {
	case classEnum:
		k.Column = s.hide(append(sql, text("+0")...))
	case classPlain:
		k.Column = s.hide(sql)
	case classText, classUnknown:
		if t.shown < 0 {
			k.Column = s.hide(sql)
		}
		weight, pad := s.weight(sql, t.expr, t.ref, t.column)
		if t.ref == nil && s.grouped && ofRows(t.expr) {
			// Only the expression itself is known to be one value a group
			// (ONLY_FULL_GROUP_BY), not what is computed of it.
			weight = join(text("MIN("), weight, text(")"))
		}
		k.Weight, k.Pad = s.hide(weight), pad
	case classConst, classNone:
	}
	return k, nil
}

// ofRows: the expression is one value a row, made of no aggregate or window.
func ofRows(e ast.ExprNode) bool {
	var f aggregateFinder
	e.Accept(&f)
	return len(f.found)+len(f.windows) == 0
}

// orderTerm resolves an ORDER BY item as MySQL does: a position, a column of
// the select list by its alias or name, a column of the tables, an expression.
func (s *scatter) orderTerm(e ast.ExprNode) (sortTerm, error) {
	e = strip(e)
	if pos, ok := e.(*ast.PositionExpr); ok {
		return s.position(pos)
	}
	if c, ok := e.(*ast.ColumnNameExpr); ok {
		if c.Name.Table.L == "" {
			if i, n := s.byAlias(c.Name.Name.L); n == 1 {
				return s.term(i), nil
			} else if n > 1 {
				return sortTerm{}, refuseScatter("ordering by "+c.Name.Name.O, "several columns have that name")
			}
		}
		return s.columnTerm(c)
	}
	return s.exprTerm(e)
}

func (s *scatter) position(pos *ast.PositionExpr) (sortTerm, error) {
	if s.shown < 0 {
		return sortTerm{}, refuseScatter("ordering by a position with * in the select list", "the number of columns is not known")
	}
	if pos.P != nil || pos.N < 1 || pos.N > s.shown {
		return sortTerm{}, sqlerr.New(sqlerr.BadField, "Unknown column '%d' in 'order clause'", pos.N)
	}
	return s.term(pos.N - 1), nil
}

// byAlias finds the shown columns of that name; several that are one and the
// same column count as one.
func (s *scatter) byAlias(name string) (at, n int) {
	for i, f := range s.fields {
		if f.alias != name {
			continue
		}
		if n == 0 || f.ref == nil || f.ref != s.fields[at].ref || f.column != s.fields[at].column {
			n++
			at = i
		}
	}
	return at, n
}

// term is shown column i.
func (s *scatter) term(i int) sortTerm {
	f := s.fields[i]
	label := f.alias
	if label == "" {
		label = labelOf(f.text)
	}
	return sortTerm{shown: i, expr: f.expr, ref: f.ref, column: f.column, label: label}
}

func (s *scatter) columnTerm(c *ast.ColumnNameExpr) (sortTerm, error) {
	r := s.block.resolve(c.Name)
	t := sortTerm{shown: -1, expr: c, ref: r, column: c.Name.Name.L, label: c.Name.Name.O}
	switch {
	case r == nil:
		return t, refuseScatter("ordering by "+c.Name.Name.O, "Serval cannot tell which table's column it is")
	case r.block != s.block:
		return t, refuseScatter("ordering by "+c.Name.Name.O, "it is a column of an outer query")
	case r.column(t.column) == nil && r.name == nil:
		return t, refuseScatter("ordering by "+c.Name.Name.O, "Serval cannot tell which column of a derived table it is")
	case r.column(t.column) == nil: // it could be an ENUM, which is not ordered by its text
		return t, sqlerr.New(sqlerr.BadField, "Unknown column '%s' in 'order clause': the catalog has no such column of %s", c.Name.Name.O, r.table)
	}
	for i, f := range s.fields {
		if r != nil && f.ref == r && f.column == t.column {
			t.shown = i
			break
		}
	}
	return t, nil
}

// exprTerm is an expression: the shown column with the same text, or one to
// hide. Aliases are not visible within a select list.
func (s *scatter) exprTerm(e ast.ExprNode) (sortTerm, error) {
	t := sortTerm{shown: -1, expr: e, label: "expression"}
	sql, ok := exprSQL(s.st, e)
	if !ok {
		return t, refuseScatter("ordering by an expression", "it cannot be repeated in the select list")
	}
	t.label = labelOf(sql.String())
	for i, f := range s.fields {
		if f.text == sql.String() {
			t.shown = i
			return t, nil
		}
	}
	if s.facts.Random {
		return t, refuseScatter("ordering by "+t.label, "RAND() and the like give another value each time they are computed")
	}
	if len(findSubqueries(e)) > 0 {
		return t, refuseScatter("ordering by a subquery", "it would be computed twice for each row")
	}
	for _, c := range columnsIn(e) {
		if _, n := s.byAlias(c.Name.L); n > 0 && c.Table.L == "" && !s.sameColumn(c) {
			return t, refuseScatter("ordering by "+t.label, c.Name.O+" is an alias of the select list")
		}
	}
	return t, nil
}

// sameColumn: the shown column of c's name is c itself.
func (s *scatter) sameColumn(c *ast.ColumnName) bool {
	r := s.block.resolve(c)
	i, n := s.byAlias(c.Name.L)
	return n == 1 && r != nil && s.fields[i].ref == r && s.fields[i].column == c.Name.L
}

// labelOf is an expression as plans print it.
func labelOf(sql string) string {
	return strings.ReplaceAll(strings.ReplaceAll(sql, "`", ""), "COUNT(1)", "COUNT(*)")
}

type columnFinder struct{ found []*ast.ColumnName }

func (f *columnFinder) Enter(n ast.Node) (ast.Node, bool) {
	if c, ok := n.(*ast.ColumnNameExpr); ok {
		f.found = append(f.found, c.Name)
	}
	return n, false
}

func (f *columnFinder) Leave(n ast.Node) (ast.Node, bool) { return n, true }

func columnsIn(n ast.Node) []*ast.ColumnName {
	var f columnFinder
	n.Accept(&f)
	return f.found
}
