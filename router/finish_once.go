package router

import (
	"slices"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// onceCTE is a CTE that is computed once, ahead of the query.
type onceCTE struct {
	cte int
	// defs are the definitions of other CTEs that it names, last emitted first;
	// body is its own.
	defs []plan.Template
	body plan.Template
	// first is the number of the first table of its rows, of count.
	first, count int
	recursive    bool
}

// finisher makes the Finish of a query, nil where something in it could mean
// another thing over copies of its tables than over the tables.
//
// MySQL computes a CTE once that it cannot merge into the query, MariaDB for
// each name of it; and so does a Finish. What goes wrong ahead of the query
// (a CTE that reads the row around it, columns no table takes) is as on MariaDB.
func (p *planning) finisher() *plan.Finish {
	if p.cat.Information != nil && p.cat.Information.Flavor == topology.FlavorMariaDB {
		return p.finishAs(false)
	}
	n := p.finishAs(true)
	if n == nil || len(n.Once) == 0 {
		return n
	}
	other := newPlanning(p.cat, p.db, p.st, false)
	if n.Otherwise = other.finishAs(false); n.Otherwise == nil {
		p.cannot = other.cannot
		return nil
	}
	return n
}

// wantedOnce: MySQL would compute the CTE once.
func (f *finishing) wantedOnce(cte int) bool {
	if !f.once || len(f.facts.UserVarsSet) > 0 {
		return false
	}
	def := f.sp.CTEs[cte]
	for _, r := range f.sp.CTERefs { // a recursive one around it
		around := f.sp.CTEs[r.CTE]
		if within(r.Span, def.Span) && r.CTE != cte && within(def.Span, around.Span) {
			return false
		}
	}
	chooses, _ := f.choice(cte)
	return chooses || !fixed(def.Node) || !mergesCTE(def.Node)
}

// fixed: its rows are the same wherever it is computed.
func fixed(n *ast.CommonTableExpression) bool {
	facts := parser.FactsOf(n)
	return !facts.Random && !facts.Sleep && !facts.NamedLock && !facts.Sequence && len(facts.UnknownFuncs) == 0
}

// mergesCTE: MySQL puts the CTE's tables into the query that names it.
func mergesCTE(n *ast.CommonTableExpression) bool {
	if n.Query == nil {
		return false
	}
	sel, ok := n.Query.Query.(*ast.SelectStmt)
	if !ok || sel.From == nil || sel.Distinct || sel.GroupBy != nil || sel.Having != nil || sel.Limit != nil || len(sel.WindowSpecs) > 0 {
		return false
	}
	var v mergeVisitor
	sel.Fields.Accept(&v)
	if sel.OrderBy != nil {
		sel.OrderBy.Accept(&v)
	}
	return !v.found
}

// mergeVisitor looks for what a query is not merged with, among what it shows.
type mergeVisitor struct{ found bool }

// Enter implements ast.Visitor.
func (v *mergeVisitor) Enter(n ast.Node) (ast.Node, bool) {
	switch n.(type) {
	case *ast.AggregateFuncExpr, *ast.WindowFuncExpr, *ast.SubqueryExpr, *ast.VariableExpr:
		v.found = true
	}
	return n, v.found
}

// Leave implements ast.Visitor.
func (v *mergeVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// compute has the CTE computed ahead, with a table of its rows for each of the
// definitions wanted of it.
func (f *finishing) compute(cte, tables int) *onceCTE {
	def := f.sp.CTEs[cte]
	o := &onceCTE{cte: cte, first: plan.FirstOnce + f.onceTables, count: tables, recursive: def.Node.IsRecursive}
	if f.onceTables += tables; f.onceTables > mostFragments {
		f.refuseMany()
		return o
	}
	f.computed = append(f.computed, o)
	o.body = append(text(f.st.Slice(def.Name)), f.definition(cte, "", o)...)
	return o
}

// definition is what stands behind a CTE's name: its columns and query, as part
// of the text of where (nil: the statement's).
func (f *finishing) definition(cte int, name string, where *onceCTE) plan.Template {
	def := f.sp.CTEs[cte]
	inside, home, own := f.inside, f.home, f.own[cte]
	f.own[cte] = name
	if where != nil {
		f.inside, f.home = where, def.Body
		where.recursive = where.recursive || def.Node.IsRecursive
	}
	out := append(appendPieces(nil, f.st.Pieces(def.Name.End, def.Body.Start)), f.emit(def.Body)...)
	f.inside, f.home, f.own[cte] = inside, home, own
	return out
}

// onces are the CTEs in the order they are computed in: one that others name
// is emitted behind them.
func (f *finishing) onces() []*plan.Once {
	var out []*plan.Once
	for _, o := range slices.Backward(f.computed) {
		sql := text("WITH " + pick(o.recursive, "RECURSIVE ", ""))
		for _, d := range slices.Backward(o.defs) {
			sql = join(sql, d, text(", "))
		}
		sql = join(sql, o.body, text(" SELECT * FROM "+f.st.Slice(f.sp.CTEs[o.cte].Name)))
		out = append(out, &plan.Once{Name: f.sp.CTEs[o.cte].Node.Name.O, SQL: compact(sql), First: o.first, Count: o.count})
	}
	return out
}
