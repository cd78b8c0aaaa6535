package router

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"

	"github.com/servaldb/serval/router/plan"
)

// places: the column is one by which the table's rows are placed: its key, or one
// of several.
func (r *ref) places(column string) bool {
	return r.isKey(column) || r.arms == nil && r.sharded() && r.placement().Composite() && hasName(r.placement().Keys(), column)
}

// partsCondition is conditionOf for a rule of several columns: what is said of
// each, one after the other.
func (s *scopes) partsCondition(r *ref, counts func(*group) bool) plan.Cond {
	if r.arms != nil {
		return nil
	}
	var all plan.And
	for i, column := range r.placement().Keys() {
		if c := s.columnCondition(r, column, namedAs(column), counts); c != nil {
			all = append(all, partOf(r, i, c))
		}
	}
	for i := range s.conjuncts {
		c := &s.conjuncts[i]
		if !counts(c.group) {
			continue
		}
		if cond := s.alternatives(r, c); cond != nil && (r.group == c.group || rejectsNull(cond)) {
			all = append(all, cond)
		}
	}
	return oneOf(all)
}

func namedAs(name string) func(string) bool {
	return func(column string) bool { return strings.EqualFold(column, name) }
}

func partOf(r *ref, i int, c plan.Cond) plan.Cond {
	pl := r.placement()
	return plan.PartOf{Part: pl.Part(i), Stride: pl.Parts[i].Stride, Index: i, Of: pl, Cond: c}
}

// mostAlternatives bounds the sides of an OR that are looked at one by one.
const mostAlternatives = 64

// alternatives is what an OR says of several columns: each of its sides by
// itself. Nil where one of them says nothing of any.
func (s *scopes) alternatives(r *ref, c *conjunct) plan.Cond {
	var sides plan.Or
	rest := []ast.ExprNode{c.expr}
	for len(rest) > 0 {
		e := strip(rest[0])
		rest = rest[1:]
		if or, ok := e.(*ast.BinaryOperationExpr); ok && or.Op == opcode.LogicOr {
			rest = append(rest, or.L, or.R)
			continue
		}
		var all plan.And
		for i, column := range r.placement().Keys() {
			k := keyConds{st: s.st, block: c.block, ref: r, column: column, named: namedAs(column)}
			if cond := k.of(e); cond != nil {
				all = append(all, partOf(r, i, cond))
			}
		}
		if len(all) == 0 || len(sides) == mostAlternatives {
			return nil
		}
		sides = append(sides, oneOf(all))
	}
	if len(sides) < 2 {
		return nil // said of each column already
	}
	return sides
}

// partsAtMostOne: the conditions leave one place of each part, or of one that
// may stand for it.
func partsAtMostOne(all plan.And) bool {
	var parts []plan.PartOf
	var collect func(plan.And)
	collect = func(all plan.And) {
		for _, c := range all {
			switch c := c.(type) {
			case plan.PartOf:
				if atMostOne(c.Cond) {
					parts = append(parts, c)
				}
			case plan.And:
				collect(c)
			}
		}
	}
	collect(all)
	for _, one := range parts {
		pinned := one.Of.EachPart(func(i int) bool {
			for _, c := range parts {
				if c.Index == i {
					return true
				}
			}
			return false
		})
		if pinned {
			return true
		}
	}
	return false
}

// partEdge is an edge that is of one column of several: the part of to equals the
// part of from in every row of to that matters.
type partEdge struct {
	edge
	part int
}

// equalParts records that a column of x and one of y are equal by a condition of
// group g, where these are the same part of rules that share their shards.
func (s *scopes) equalParts(x *ref, a string, y *ref, c string, g *group) {
	for _, i := range sameParts(x, a, y, c) {
		if y.group.within(g) {
			s.partEdges = append(s.partEdges, partEdge{edge{from: x, to: y}, i})
		}
		if x.group.within(g) {
			s.partEdges = append(s.partEdges, partEdge{edge{from: y, to: x}, i})
		}
	}
}

// sameParts are the parts that column a of x and c of y both are.
func sameParts(x *ref, a string, y *ref, c string) (out []int) {
	if x == nil || y == nil || x == y || x.arms != nil || y.arms != nil || !x.sharded() || !x.placement().Composite() || !colocated(x, y) {
		return nil
	}
	theirs := y.placement().Keys()
	for i, name := range x.placement().Keys() {
		if strings.EqualFold(name, a) && strings.EqualFold(theirs[i], c) {
			out = append(out, i)
		}
	}
	return out
}

// together reports that r is on the shard of the refs seen, all of which are on
// one: by edges from them it has each part of that shard's place.
func (s *scopes) together(r *ref, seen []*ref) bool {
	return r.placement().EachPart(func(i int) bool {
		for _, e := range s.partEdges {
			if e.part == i && e.from == r && contains(seen, e.to) {
				return true
			}
		}
		return false
	})
}

// partsOfSubquery is inSubquery for a column of a rule of several: the subquery's
// column equals e in every row of it that matters.
func (s *scopes) partsOfSubquery(b *block, e ast.ExprNode, inner *block, to viewColumn) {
	name, ok := strip(e).(*ast.ColumnNameExpr)
	if !ok || to.ref == nil || to.ref.group != inner.group {
		return
	}
	x := b.resolve(name.Name)
	for _, i := range sameParts(x, name.Name.Name.L, to.ref, to.column) {
		if inner.keepsShards(nil, func(*ref, string) bool { return false }) {
			s.partEdges = append(s.partEdges, partEdge{edge{from: x, to: to.ref}, i})
		}
	}
}
