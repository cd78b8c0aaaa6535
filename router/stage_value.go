package router

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver" // the parser's value types

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// digits gives a quotient all the digits it has within a server. In an answer
// it is rounded to four more than its dividend's, which MariaDB does not do
// where it stores it: 1 / 7 is 0.142857142 to a DOUBLE, not 0.1429.
const digits = " + 0.000000000000000000000000000000"

// storable is an expression whose value, read as text and written to the column
// of to, is what the server makes of it there: an ENUM's place for a number, and
// all digits of a quotient.
func (s *staging) storable(to *ref, column string, e ast.ExprNode, value plan.Template) (plan.Template, error) {
	add := toNumber(s.block0(), to, column, e)
	switch {
	case add != "":
		return append(append(text("("), value...), text(")"+add)...), nil
	case s.block0().isFloat(e) != nil:
		return append(value, text(allDigits)...), nil
	case toBytes(to, column, e):
		return append(append(text("CAST("), value...), text(" AS BINARY)")...), nil
	}
	return value, s.unsureQuotient(to, column, e)
}

// toNumber is what is added to the expression's value for a number, often empty.
func toNumber(b *block, to *ref, column string, e ast.ExprNode) string {
	switch c := to.column(column); {
	case c == nil || !isNumeric(c.DataType):
	case b.isMember(e):
		return " + 0"
	case divides(e):
		return digits
	}
	return ""
}

// toBytes: a text is stored byte by byte, in its own character set, of which an
// answer has those of the connection's.
func toBytes(to *ref, column string, e ast.ExprNode) bool {
	c := to.column(column)
	if c == nil {
		return false
	}
	switch c.DataType {
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
	default:
		return false
	}
	switch e := strip(e).(type) {
	case *driver.ValueExpr, *driver.ParamMarkerExpr:
		v, isValue := e.(*driver.ValueExpr)
		return isValue && (v.Kind() == driver.KindString || v.Kind() == driver.KindBinaryLiteral) // perhaps with an introducer
	case *ast.DefaultExpr:
		return false
	}
	return true
}

// unsureQuotient: MariaDB stores another number of digits than an answer has,
// and which is not to be seen: of a subquery's quotient, and of one as text.
func (s *staging) unsureQuotient(to *ref, column string, e ast.ExprNode) error {
	c := to.column(column)
	if c == nil || s.cat.Information == nil || s.cat.Information.Flavor != topology.FlavorMariaDB {
		return nil
	}
	v := &divisionVisitor{within: true}
	e.Accept(v)
	top, ok := strip(e).(*ast.BinaryOperationExpr)
	if v.found && (!isNumeric(c.DataType) && ok && top.Op == opcode.Div || isNumeric(c.DataType) && !divides(e)) {
		return sqlerr.Refuse("this write over several shards", "it stores a quotient in "+column+", which has more digits within MariaDB than in an answer", "ROUND or CAST it")
	}
	return nil
}

func isNumeric(dataType string) bool {
	switch dataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "year", "bit":
		return true
	}
	return false
}

// isMember: the expression is an ENUM or SET column.
func (b *block) isMember(e ast.ExprNode) bool {
	n, ok := strip(e).(*ast.ColumnNameExpr)
	if !ok {
		return false
	}
	r := b.resolve(n.Name)
	if r == nil {
		return false
	}
	c := r.column(n.Name.Name.O)
	return c != nil && (c.DataType == "enum" || c.DataType == "set")
}

// divides: a quotient or an average is in the expression.
func divides(e ast.Node) bool {
	v := &divisionVisitor{}
	e.Accept(v)
	return v.found
}

type divisionVisitor struct {
	within bool // subqueries too
	found  bool
}

// Enter implements ast.Visitor.
func (v *divisionVisitor) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.BinaryOperationExpr:
		v.found = v.found || n.Op == opcode.Div
	case *ast.FuncCallExpr, *ast.FuncCastExpr: // ROUND, CAST
		return n, v.within
	case *ast.SubqueryExpr:
		return n, !v.within // its value has the digits of an answer
	}
	return n, v.found
}

// Leave implements ast.Visitor.
func (v *divisionVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// selected is storable for an item of an INSERT's SELECT, where a server would
// store each row as it is computed: not in groups and with DISTINCT, which it
// keeps as answers have them.
func (s *staging) selected(b *block, to *ref, column string, e ast.ExprNode, at parser.Span) ([]edit, error) {
	if b.sel.Distinct || b.sel.GroupBy != nil {
		return nil, nil
	}
	if toBytes(to, column, e) {
		return []edit{{at, append(append(text("CAST("), s.piece(at)...), text(" AS BINARY)")...)}}, nil
	}
	add := toNumber(b, to, column, e)
	if add == "" {
		return nil, s.unsureQuotient(to, column, e)
	}
	return []edit{{at, append(append(text("("), s.piece(at)...), text(")"+add)...)}}, nil
}
