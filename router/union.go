package router

import (
	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// union plans the arms of a UNION ALL one by one, each on its own shards.
func (p *planning) union(n *ast.SetOprStmt) (*plan.Plan, error) {
	if err := p.scatterable(); err != nil { // not even if each arm is on one shard
		return nil, err
	}
	sp, err := p.spans()
	if err != nil {
		return nil, err
	}
	switch {
	case n.With != nil || n.SelectList.With != nil:
		return nil, refuseScatter("UNION with WITH", "the arms are planned one by one")
	case n.OrderBy != nil || n.Limit != nil:
		return nil, refuseScatter("ORDER BY or LIMIT over a UNION", "the arms' rows are shown one arm after the other")
	case len(sp.Arms) != len(n.SelectList.Selects):
		return nil, refuseScatter("a nested UNION", "the arms are planned one by one")
	}
	u := &plan.Union{}
	out := &plan.Plan{Root: u, ReadOnly: p.readOnly(), Why: "each arm on its own shards"}
	var arms []*planning
	for i, a := range n.SelectList.Selects {
		sel, after := armSelect(a)
		if sel == nil {
			return nil, refuseScatter("a nested UNION", "the arms are planned one by one")
		}
		if after != nil && *after != ast.UnionAll {
			return nil, refuseScatter(after.String(), "equal rows may be on several shards")
		}
		arm := p.armOf(sel, i, sp)
		root, err := arm.planArm()
		if err != nil {
			return nil, err
		}
		u.Inputs = append(u.Inputs, root)
		arms = append(arms, arm)
	}
	if !sameTypes(arms) {
		return nil, refuseScatter("a UNION whose arms' columns differ in type", "the arms' rows are shown as their shards give them")
	}
	out.Describe, err = p.route(plan.Choice{Kind: plan.ChooseFirst, Placement: p.firstSharded().placement()}, nil)
	return out, err
}

// armSelect is the SELECT of an arm, which may stand in parentheses, and the
// operator before it; nil for anything deeper.
func armSelect(n ast.Node) (*ast.SelectStmt, *ast.SetOprType) {
	switch n := n.(type) {
	case *ast.SelectStmt:
		if n.Kind == ast.SelectStmtKindSelect && n.With == nil {
			return n, n.AfterSetOperator
		}
	case *ast.SetOprSelectList:
		if len(n.Selects) != 1 || n.With != nil || n.OrderBy != nil || n.Limit != nil {
			return nil, nil
		}
		sel, after := armSelect(n.Selects[0])
		if n.AfterSetOperator != nil {
			after = n.AfterSetOperator
		}
		return sel, after
	}
	return nil, nil
}

// armOf is the planning of one arm by itself.
func (p *planning) armOf(sel *ast.SelectStmt, i int, sp *parser.Spans) *planning {
	b := sp.Blocks[sp.Arms[i]]
	a := &planning{cat: p.cat, db: p.db, st: p.st, facts: p.facts, sel: sel, arm: i, cached: sp,
		within: parser.Span{Start: b.Start, End: b.End}}
	a.sc = &scopes{cat: p.cat, st: p.st, db: p.db, viewless: p.sc.viewless}
	a.sc.query(sel, nil, nil)
	a.sc.link(nil)
	return a
}

func (p *planning) planArm() (plan.Node, error) {
	sharded := false
	for _, r := range p.sc.refs {
		sharded = sharded || r.sharded()
	}
	if !sharded {
		return nil, refuseScatter("a UNION of sharded and other tables", "the arms' columns could differ in type")
	}
	l, err := p.locate()
	if err != nil {
		return nil, err
	}
	if l.one {
		if l.root != nil && merges(p.sel) {
			l.choice.Single = refuseUncertain()
		}
		return p.route(l.choice, nil)
	}
	if err := p.scatterable(); err != nil {
		return nil, err
	}
	pl, err := p.scatter(l)
	if err != nil {
		return nil, err
	}
	return pl.Root, nil
}

// sameTypes: the arms' columns are plain columns of the same types, so that
// their rows fit one set of column definitions.
func sameTypes(arms []*planning) bool {
	var first []string
	for i, a := range arms {
		s := &scatter{planning: a, block: a.topBlock()}
		if s.block == nil {
			return false
		}
		s.expand()
		if s.shown < 0 || i > 0 && s.shown != len(first) {
			return false
		}
		for j, f := range s.fields {
			t := s.typeOf(f)
			if t == "" || i > 0 && t != first[j] {
				return false
			}
			if i == 0 {
				first = append(first, t)
			}
		}
	}
	return true
}

func (s *scatter) typeOf(f field) string {
	if f.ref != nil {
		if c := f.ref.column(f.column); c != nil && c.SQLType != "" {
			return c.SQLType + " " + c.Collation
		}
		return ""
	}
	if a, ok := strip(orExpr(f.expr)).(*ast.AggregateFuncExpr); ok && lower(a.F) == "count" {
		return "count"
	}
	return ""
}
