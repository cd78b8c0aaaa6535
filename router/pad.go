package router

import (
	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/router/plan"
)

// weight is the hidden column that orders a text key, and how the merge pads
// it. A result's column definitions do not tell a column's own collation, so
// the router says it; where it cannot, trailing spaces are taken off in SQL if
// they do not count there: 'a' = 'a ' is asked of the server, of texts, since
// MariaDB notes a number that it compares with one. Keys that are equal then have
// equal weights in any collation.
func (s *scatter) weight(sql plan.Template, e ast.ExprNode, r *ref, column string) (plan.Template, plan.Pad) {
	if pad := s.pad(e, r, column); pad.Known {
		return join(text("WEIGHT_STRING("), sql, text(")")), pad
	}
	return join(text("WEIGHT_STRING(IF(CONCAT("), sql, text(") = CONCAT("), sql, text(", ' '), RTRIM("), sql, text("), "), sql, text("))")),
		plan.Pad{Known: true}
}

// pad is how trailing spaces count in a key: a column's, or an expression's
// all whose text columns agree and that changes no collation by itself.
func (s *scatter) pad(e ast.ExprNode, r *ref, column string) plan.Pad {
	if r != nil {
		if c := r.column(column); c != nil {
			return s.padOf(c.Collation)
		}
		return plan.Pad{}
	}
	var f collationFinder
	if e == nil {
		return plan.Pad{}
	}
	if e.Accept(&f); f.changes {
		return plan.Pad{}
	}
	collation := ""
	for _, name := range columnsIn(e) {
		r := s.block.resolve(name)
		if r == nil {
			return plan.Pad{}
		}
		c := r.column(name.Name.L)
		if c == nil || collation != "" && c.Collation != "" && c.Collation != collation {
			return plan.Pad{}
		}
		if c.Collation != "" {
			collation = c.Collation
		}
	}
	return s.padOf(collation)
}

func (s *scatter) padOf(collation string) plan.Pad {
	c, ok := s.cat.Collations[collation]
	if !ok || c.PadSpace && len(c.PadWeight) == 0 {
		return plan.Pad{}
	}
	return plan.Pad{Known: true, Space: c.PadWeight}
}

// collationFinder sees whether an expression sets a collation.
type collationFinder struct{ changes bool }

// Enter implements ast.Visitor.
func (f *collationFinder) Enter(n ast.Node) (ast.Node, bool) {
	switch n.(type) {
	case *ast.SetCollationExpr, *ast.FuncCastExpr, *ast.SubqueryExpr, *ast.VariableExpr:
		f.changes = true
	}
	if c, ok := n.(*ast.FuncCallExpr); ok && (c.FnName.L == "convert" || c.FnName.L == "weight_string") {
		f.changes = true
	}
	return n, f.changes
}

// Leave implements ast.Visitor.
func (f *collationFinder) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// join puts templates together in a new one.
func join(parts ...plan.Template) plan.Template {
	var out plan.Template
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
