package router

import (
	"slices"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"
)

// equalities are those that a condition demands: itself, or what every side of
// an OR demands ("(a.x = b.x AND …) OR (a.x = b.x AND …)").
func (s *sharing) equalities(b *block, e ast.ExprNode) []*ast.BinaryOperationExpr {
	op, ok := strip(e).(*ast.BinaryOperationExpr)
	switch {
	case !ok:
		return nil
	case op.Op == opcode.EQ:
		return []*ast.BinaryOperationExpr{op}
	case op.Op != opcode.LogicOr:
		return nil
	}
	var left, right []*ast.BinaryOperationExpr
	for _, part := range splitAnd(op.L, nil) {
		left = append(left, s.equalities(b, part)...)
	}
	for _, part := range splitAnd(op.R, nil) {
		right = append(right, s.equalities(b, part)...)
	}
	return slices.DeleteFunc(left, func(x *ast.BinaryOperationExpr) bool {
		return !slices.ContainsFunc(right, func(y *ast.BinaryOperationExpr) bool { return sameColumns(b, x, y) })
	})
}

// sameColumns: both equalities are of the same two columns.
func sameColumns(b *block, x, y *ast.BinaryOperationExpr) bool {
	xl, xlc := plainColumn(b, x.L)
	xr, xrc := plainColumn(b, x.R)
	yl, ylc := plainColumn(b, y.L)
	yr, yrc := plainColumn(b, y.R)
	if xl == nil || xr == nil || yl == nil || yr == nil {
		return false
	}
	return xl == yl && xlc == ylc && xr == yr && xrc == yrc || xl == yr && xlc == yrc && xr == yl && xrc == ylc
}

// mostFollowed bounds what follows from equalities: n tables of one column are
// n * (n - 1) of them.
const mostFollowed = 400

// following adds what follows: of a row that matters only if it meets one that
// matters only if it meets a third in the same column, that third one.
func following(all []meeting) []meeting {
	for i := 0; i < len(all) && len(all) < mostFollowed; i++ {
		for _, next := range all[:len(all):len(all)] {
			m := all[i]
			if m.to != next.from || m.toC != next.fromC || m.from == next.to {
				continue
			}
			m.to, m.toC, m.kind, m.charset = next.to, next.toC, next.kind, next.charset
			if !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
	}
	return all
}

// waits: the fragment is asked as much as one that it meets by that one's primary
// key, of whose rows each may be met by many of its own: they are read first. (A
// global one is asked for on the shards.)
func (s *sharing) waits(all []meeting, i int) bool {
	return slices.ContainsFunc(all, func(m meeting) bool {
		from := s.of(m.from)
		return s.of(m.to) == i && from != i && !m.from.global() && s.rank(from) == rankEqual &&
			isPrimary(m.from, m.fromC.Name) && !isPrimary(m.to, m.toC.Name) && (s.forEach(all, m) || s.everyWay(m))
	})
}

// isPrimary: the column alone is the primary key.
func isPrimary(r *ref, column string) bool {
	return len(r.entry.PrimaryKey) == 1 && containsFold(r.entry.PrimaryKey, column)
}
