package router

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// pusher writes conditions of a query as conditions of a fragment, where they
// have the same outcome on every server in the session's state, never fail and
// warn of nothing: what it does not know it does not write. Columns are written
// with the names the fragment gives their tables.
type pusher struct {
	*planning
	// names are the tables whose columns may be used.
	names map[*ref]string
	// tables are those of the fragment's text, in order.
	tables []plan.TableRef
	// places are those of the references that stand in the text as partners, or
	// for themselves, by the Index of their ChunkReduce less one.
	places []sievePlace
	// either: what is asked of partners stands beside an OR.
	either bool
	// block is where the names of the expression at work are looked up.
	block *block
	// having: aggregates may stand in the expression.
	having bool
}

// condition writes a condition; false where it cannot be.
func (w *pusher) condition(e ast.ExprNode) (plan.Template, bool) {
	switch e := strip(e).(type) {
	case *ast.BinaryOperationExpr:
		return w.binary(e)
	case *ast.UnaryOperationExpr:
		if e.Op == opcode.Not || e.Op == opcode.Not2 {
			t, ok := w.condition(e.V)
			return join(text("NOT ("), t, text(")")), ok
		}
	case *ast.BetweenExpr:
		x, ok1 := w.comparand(e.Expr)
		lo, ok2 := w.operand(e.Left)
		hi, ok3 := w.operand(e.Right)
		return join(x, not(e.Not), text("BETWEEN "), lo, text(" AND "), hi), ok1 && ok2 && ok3
	case *ast.IsNullExpr:
		x, ok := w.comparand(e.Expr)
		return join(x, text(pick(e.Not, " IS NOT NULL", " IS NULL"))), ok
	case *ast.PatternLikeOrIlikeExpr:
		return w.like(e)
	case *ast.PatternInExpr:
		if e.Sel == nil {
			return w.in(e)
		}
		x, ok := w.comparand(e.Expr)
		q, fine := w.subquery(e.Sel, true)
		return join(x, not(e.Not), text("IN ("), q, text(")")), ok && fine
	case *ast.ExistsSubqueryExpr:
		q, ok := w.subquery(e.Sel, false)
		return join(text(pick(e.Not, "NOT ", "")+"EXISTS ("), q, text(")")), ok
	}
	return nil, false
}

func not(yes bool) plan.Template { return text(pick(yes, " NOT ", " ")) }

var compared = map[opcode.Op]string{
	opcode.EQ: " = ", opcode.NE: " != ", opcode.LT: " < ", opcode.LE: " <= ", opcode.GT: " > ", opcode.GE: " >= ", opcode.NullEQ: " <=> ",
}

func (w *pusher) binary(e *ast.BinaryOperationExpr) (plan.Template, bool) {
	if e.Op == opcode.LogicAnd || e.Op == opcode.LogicOr {
		l, ok1 := w.condition(e.L)
		r, ok2 := w.condition(e.R)
		return join(text("("), l, text(pick(e.Op == opcode.LogicAnd, ") AND (", ") OR (")), r, text(")")), ok1 && ok2
	}
	op, known := compared[e.Op]
	if !known {
		return nil, false
	}
	l, ok1 := w.operand(e.L)
	r, ok2 := w.operand(e.R)
	_, ok3 := w.comparand(e.L)
	_, ok4 := w.comparand(e.R)
	return join(l, text(op), r), ok1 && ok2 && (ok3 || ok4)
}

func (w *pusher) in(e *ast.PatternInExpr) (plan.Template, bool) {
	x, ok := w.comparand(e.Expr)
	out := join(x, not(e.Not), text("IN ("))
	for i, item := range e.List {
		v, fine := w.operand(item)
		ok = ok && fine
		out = join(out, text(pick(i > 0, ", ", "")), v)
	}
	return append(out, text(")")...), ok
}

// like: patterns of values only; without the backslash as escape in the mode
// there is no saying what the tree has made of them.
func (w *pusher) like(e *ast.PatternLikeOrIlikeExpr) (plan.Template, bool) {
	if !e.IsLike || e.Escape != '\\' || w.st.Mode&parser.NoBackslashEscapes != 0 {
		return nil, false
	}
	x, ok := w.comparand(e.Expr)
	if !ok || !w.isText(e.Expr) {
		return nil, false
	}
	if _, ok = w.st.Operand(e.Pattern); !ok {
		return nil, false
	}
	p, ok := exprSQL(w.st, e.Pattern)
	return join(x, not(e.Not), text("LIKE "), p), ok
}

// operand writes a value, one computed of values, or what is of a column.
func (w *pusher) operand(e ast.ExprNode) (plan.Template, bool) {
	if w.constant(e) {
		return exprSQL(w.st, e)
	}
	return w.comparand(e)
}

// comparand writes a column of the tables, or a function of one.
func (w *pusher) comparand(e ast.ExprNode) (plan.Template, bool) {
	switch e := strip(e).(type) {
	case *ast.ColumnNameExpr:
		r, ok := w.columnOf(e)
		return text(sqlval.QuoteName(w.names[r]) + "." + sqlval.QuoteName(e.Name.Name.O)), ok
	case *ast.FuncCallExpr:
		return w.function(e)
	case *ast.AggregateFuncExpr:
		return w.aggregate(e)
	}
	return nil, false
}

// aggregate writes one that is exact: sums of floats depend on their order.
func (w *pusher) aggregate(f *ast.AggregateFuncExpr) (plan.Template, bool) {
	if !w.having || f.Distinct || len(f.Args) != 1 {
		return nil, false
	}
	name := strings.ToUpper(f.F)
	switch _, value := w.st.Operand(f.Args[0]); {
	case name == "COUNT" && value:
		t, ok := exprSQL(w.st, f.Args[0])
		return join(text("COUNT("), t, text(")")), ok
	case name == "COUNT" || name == "MIN" || name == "MAX":
	case (name == "SUM" || name == "AVG") && w.isOf(f.Args[0], exactTypes):
	default:
		return nil, false
	}
	w.having = false
	t, ok := w.comparand(f.Args[0])
	w.having = true
	return join(text(name+"("), t, text(")")), ok
}

// columnOf is the table the column certainly belongs to, one of names.
func (w *pusher) columnOf(c *ast.ColumnNameExpr) (*ref, bool) {
	if c.Name.Table.L == "" && containsName(w.block.using, c.Name.Name.L) {
		return nil, false
	}
	r := w.block.resolve(c.Name)
	if r == nil || r.column(c.Name.Name.L) == nil {
		return nil, false
	}
	_, ok := w.names[r]
	return r, ok
}

var (
	textTypes  = []string{"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}
	dateTypes  = []string{"date", "datetime"}
	exactTypes = []string{"tinyint", "smallint", "mediumint", "int", "bigint", "decimal"}

	// Functions of a column of text, or a date, and values that are the same on
	// every server and never warn. Those of the first give text.
	textFunctions   = []string{"substring", "substr", "mid", "left", "right", "lower", "lcase", "upper", "ucase", "ltrim", "rtrim"}
	lengthFunctions = []string{"length", "octet_length", "char_length", "character_length"}
	dateFunctions   = []string{"year", "quarter", "month", "day", "dayofmonth", "dayofweek", "dayofyear", "weekday", "date"}
)

// isText: the expression is a column of text, or a function of one.
func (w *pusher) isText(e ast.ExprNode) bool {
	if f, ok := strip(e).(*ast.FuncCallExpr); ok {
		return containsName(textFunctions, f.FnName.L) && len(f.Args) > 0 && w.isText(f.Args[0])
	}
	return w.isOf(e, textTypes)
}

func (w *pusher) isOf(e ast.ExprNode, types []string) bool {
	c, ok := strip(e).(*ast.ColumnNameExpr)
	if !ok {
		return false
	}
	r, ok := w.columnOf(c)
	return ok && containsName(types, r.column(c.Name.Name.L).DataType)
}

func (w *pusher) function(f *ast.FuncCallExpr) (plan.Template, bool) {
	name := f.FnName.L
	if f.Schema.L != "" || len(f.Args) == 0 {
		return nil, false
	}
	if name == "extract" && len(f.Args) == 2 {
		unit, ok := f.Args[0].(*ast.TimeUnitExpr)
		x, fine := w.comparand(f.Args[1])
		if !ok || !fine || !w.isOf(f.Args[1], dateTypes) {
			return nil, false
		}
		return join(text("EXTRACT("+unit.Unit.String()+" FROM "), x, text(")")), true
	}
	switch {
	case (containsName(textFunctions, name) || containsName(lengthFunctions, name)) && w.isText(f.Args[0]):
	case containsName(dateFunctions, name) && w.isOf(f.Args[0], dateTypes):
	default:
		return nil, false
	}
	out, ok := w.comparand(f.Args[0])
	for _, arg := range f.Args[1:] {
		n, isValue := w.st.Operand(arg)
		t, fine := exprSQL(w.st, arg)
		ok = ok && isValue && fine && (n.Value >= 0 || n.Const.Text != nil)
		out = join(out, text(", "), t)
	}
	return join(text(strings.ToUpper(name)+"("), out, text(")")), ok
}

// constant: a value, a date, or one computed of values. The client's own text
// computes it again, with what there is to warn of.
func (w *pusher) constant(e ast.ExprNode) bool {
	if _, ok := w.st.Operand(e); ok {
		return w.st.Params || w.st.Mode&parser.NoBackslashEscapes == 0 // the tree would print its strings in another mode
	}
	switch e := strip(e).(type) {
	case *ast.BinaryOperationExpr:
		return (e.Op == opcode.Plus || e.Op == opcode.Minus || e.Op == opcode.Mul) && w.constant(e.L) && w.constant(e.R)
	case *ast.FuncCallExpr:
		switch e.FnName.L {
		case ast.DateLiteral, ast.TimestampLiteral:
			return true
		case "date_add", "date_sub", "adddate", "subdate":
			if len(e.Args) == 3 {
				return w.constant(e.Args[0]) && w.constant(e.Args[1])
			}
		}
	}
	return false
}

// weaker writes what follows from a condition: of an OR, what each of its
// sides asks of these tables alone.
func (w *pusher) weaker(e ast.ExprNode) (plan.Template, bool) {
	if t, ok := w.condition(e); ok {
		return t, true
	}
	or, ok := strip(e).(*ast.BinaryOperationExpr)
	if !ok || or.Op != opcode.LogicOr {
		return nil, false
	}
	l, ok1 := w.part(or.L)
	r, ok2 := w.part(or.R)
	return join(text("("), l, text(") OR ("), r, text(")")), ok1 && ok2
}

// part writes what of the parts of an AND can be; false where nothing can.
func (w *pusher) part(e ast.ExprNode) (plan.Template, bool) {
	var out []plan.Template
	for _, c := range splitAnd(e, nil) {
		if t, ok := w.weaker(c); ok {
			out = append(out, t)
		}
	}
	return all(out), len(out) > 0
}

// all is the conditions with AND between them.
func all(conditions []plan.Template) plan.Template {
	var out plan.Template
	for i, c := range conditions {
		out = join(out, text(pick(i > 0, " AND (", "(")), c, text(")"))
	}
	return out
}
