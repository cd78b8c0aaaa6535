package router

import (
	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/router/plan"
)

// meet adds the plan of a query over the one row that a unique key names, or the
// rows that follow one (follow.go), where
// the query is not as it is on each shard. All rows of its result are made of
// that row of the root, so it is run on its shard as it came; that it gave a row
// says that the row was met. One that aggregates without GROUP BY has a row of
// nothing, too, which HAVING leaves out.
func (p *planning) meet(pl *plan.Plan) {
	if p.looks || p.sel == nil || p.st.Node != ast.Node(p.sel) || p.scatterable() != nil || p.st.Hints.HasShard || !p.hasUniques() {
		return
	}
	l, err := p.locate()
	if err != nil || l.one || l.root == nil {
		return
	}
	var edits []edit
	switch own, within := p.outputAggregates(); {
	case p.sel.GroupBy != nil && p.sel.GroupBy.Rollup, within > 0:
		return
	case p.sel.GroupBy != nil || own == 0:
	case p.sel.Having != nil:
		return
	default:
		sp, err := p.spans()
		if err != nil || p.arm >= len(sp.Arms) {
			return
		}
		b := sp.Blocks[sp.Arms[p.arm]]
		edits = append(edits, insertAt(max(b.From.End, b.Where.End), text(" HAVING COUNT(*) > 0")))
	}
	c := p.uniqueCond(l.root)
	if c == nil {
		return
	}
	choice := l.choice
	choice.Single = plan.ErrSpread
	if choice.Cond = c; l.choice.Cond != nil {
		choice.Cond = plan.And{l.choice.Cond, c}
	}
	r, err := p.route(choice, edits)
	if err != nil {
		return
	}
	pl.Met = &plan.Plan{Root: r, ReadOnly: p.readOnly(), Why: whyOf(c)}
	p.looks = true
}

func (p *planning) hasUniques() bool {
	for _, r := range p.sc.refs {
		if r.entry != nil && (len(r.entry.Uniques) > 0 || r.placement().Follows() != nil) {
			return true
		}
	}
	return false
}

// outputAggregates is how many aggregates stand in the clauses that may make the
// statement's own block an aggregating one, and how many in subqueries there:
// those may be the block's own, too.
func (p *planning) outputAggregates() (own, within int) {
	nodes := []ast.Node{p.sel.Fields}
	if p.sel.Having != nil {
		nodes = append(nodes, p.sel.Having)
	}
	if p.sel.OrderBy != nil {
		nodes = append(nodes, p.sel.OrderBy)
	}
	for _, n := range nodes {
		var all anyAggregate
		n.Accept(&all)
		found := len(aggregatesIn(n))
		own, within = own+found, within+int(all)-found
	}
	return own, within
}

// anyAggregate counts aggregates, those of subqueries too.
type anyAggregate int

// Enter implements ast.Visitor.
func (f *anyAggregate) Enter(n ast.Node) (ast.Node, bool) {
	if _, is := n.(*ast.AggregateFuncExpr); is {
		*f++
		return n, true
	}
	return n, false
}

// Leave implements ast.Visitor.
func (f *anyAggregate) Leave(n ast.Node) (ast.Node, bool) { return n, true }
