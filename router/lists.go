package router

import (
	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/router/plan"
)

// splitLists lets each shard have its own values only of the lists its keys are
// compared with: no row there has the key of another shard, so IN says the same
// of each.
func (s *scatter) splitLists(r *plan.Route) {
	if s.loc.root == nil {
		return
	}
	for _, c := range s.sc.conjuncts {
		in, ok := c.expr.(*ast.PatternInExpr)
		if !ok || in.Not || in.Sel != nil || len(in.List) < 2 {
			continue
		}
		key := s.sc.keyRef(c.block, in.Expr)
		if key == nil || !colocated(key, s.loc.root) {
			continue
		}
		first, last, ok := s.valuesOf(in.List)
		if !ok {
			continue
		}
		if sql, ok := r.SQL.SplitList(first, last); ok {
			r.SQL, r.Lists = sql, true
		}
	}
}

// valuesOf are the numbers of the list's values, if it is nothing but values.
func (s *scatter) valuesOf(list []ast.ExprNode) (first, last int, ok bool) {
	for i, item := range list {
		v := operand(s.st, item)
		if v.Unknown || v.Negate || v.Value < 0 || i > 0 && v.Value != last+1 {
			return 0, 0, false
		}
		if last = v.Value; i == 0 {
			first = v.Value
		}
	}
	return first, last, true
}
