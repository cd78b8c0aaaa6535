package router

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"

	"github.com/servaldb/serval/parser"
)

// pushable: a comparison of r's columns with each other or with values, which
// has the same outcome on every server and no side.
func (p *planning) pushable(e ast.ExprNode, r *ref) bool {
	if !p.st.Params && p.st.Mode&parser.NoBackslashEscapes != 0 {
		return false // the tree would print its strings in another mode
	}
	column := func(e ast.ExprNode) bool { return isColumnOf(e, r) }
	value := func(e ast.ExprNode) bool { _, ok := p.st.Operand(e); return ok || column(e) }
	switch e := strip(e).(type) {
	case *ast.BinaryOperationExpr:
		switch e.Op {
		case opcode.LogicAnd, opcode.LogicOr:
			return p.pushable(e.L, r) && p.pushable(e.R, r)
		case opcode.EQ, opcode.NE, opcode.LT, opcode.LE, opcode.GT, opcode.GE, opcode.NullEQ:
			return value(e.L) && value(e.R) && (column(e.L) || column(e.R))
		}
	case *ast.BetweenExpr:
		return column(e.Expr) && value(e.Left) && value(e.Right)
	case *ast.IsNullExpr:
		return column(e.Expr)
	case *ast.PatternInExpr:
		if e.Sel != nil || !column(e.Expr) {
			return false
		}
		for _, x := range e.List {
			if !value(x) {
				return false
			}
		}
		return true
	}
	return false
}

// isColumnOf: the expression is certainly a column of r.
func isColumnOf(e ast.ExprNode, r *ref) bool {
	c, ok := strip(e).(*ast.ColumnNameExpr)
	if !ok || r.column(c.Name.Name.L) == nil || c.Name.Table.L == "" && containsName(r.block.using, c.Name.Name.L) {
		return false
	}
	return r.block.resolve(c.Name) == r
}
