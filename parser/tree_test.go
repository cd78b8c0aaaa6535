package parser

import (
	"fmt"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// describeOperand prints the operand the first column is.
func describeOperand(s *Statement) string {
	field := s.Node.(*ast.SelectStmt).Fields.Fields[0]
	op, ok := s.Operand(field.Expr)
	switch {
	case !ok:
		return "none"
	case op.Value < 0:
		return fmt.Sprintf("%q %d", op.Const.Text, op.Const.Kind)
	case op.Negate:
		return fmt.Sprintf("-%d", op.Value)
	}
	return fmt.Sprint(op.Value)
}

// expressionsOf are the select items and the arguments of their aggregates.
func expressionsOf(s *Statement) (out []ast.ExprNode) {
	for _, f := range s.Node.(*ast.SelectStmt).Fields.Fields {
		out = append(out, f.Expr)
		if agg, ok := f.Expr.(*ast.AggregateFuncExpr); ok {
			out = append(out, agg.Args...)
		}
	}
	return out
}
