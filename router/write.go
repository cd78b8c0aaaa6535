package router

import (
	"errors"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// write plans UPDATE and DELETE.
func write(p *planning) (*plan.Plan, error) {
	if p.refusedBefore() { // by home: none of its tables is sharded or global
		return nil, nil
	}
	var targets []*ref
	var limited bool
	var err error
	switch n := p.st.Node.(type) {
	case *ast.UpdateStmt:
		limited = n.Limit != nil
		targets, err = p.updated(n)
	case *ast.DeleteStmt:
		limited = n.Limit != nil
		targets, err = p.deleted(n)
	default:
		return nil, nil
	}
	if err == nil {
		err = p.kept(targets)
	}
	if err != nil {
		return nil, err
	}
	planned := p.writeGlobal
	if p.hasSharded() {
		planned = p.writeSharded
	}
	pl, err := planned(targets, limited)
	if n, ok := p.st.Node.(*ast.DeleteStmt); ok && n.IsMultiTable && err == nil {
		// Servers look the aliases behind DELETE up in the current database.
		pl.NeedsDB = p.db != ""
	}
	return pl, err
}

// block0 is the statement's own block.
func (p *planning) block0() *block {
	for _, b := range p.sc.blocks {
		if b.sel == nil {
			return b
		}
	}
	return &block{group: &group{}}
}

// updated are the tables an UPDATE changes. Where it changes a sharding key the
// error is errKeyChanges: the row has to move.
func (p *planning) updated(n *ast.UpdateStmt) (out []*ref, moves error) {
	b := p.block0()
	for _, a := range n.List {
		r := b.resolve(a.Column)
		if r == nil && len(b.refs) == 1 && len(b.derived) == 0 {
			r = b.refs[0]
		}
		if r == nil {
			return nil, sqlerr.Refuse("this UPDATE", "Serval cannot tell which table's column "+a.Column.Name.O+" is", "qualify it with its table")
		}
		if r.places(a.Column.Name.L) {
			moves = sqlerr.Refuse("an UPDATE of the sharding column "+a.Column.Name.O, "the row would have to move to another shard",
				"delete the row and insert it with its new key").WithCause(errKeyChanges)
		}
		if !contains(out, r) {
			out = append(out, r)
		}
	}
	return out, moves
}

// errKeyChanges is within the error of an UPDATE of the sharding key.
var errKeyChanges = errors.New("router: the sharding key changes")

func (p *planning) deleted(n *ast.DeleteStmt) ([]*ref, error) {
	b := p.block0()
	if n.Tables == nil {
		return b.refs, nil
	}
	var out []*ref
	for _, t := range n.Tables.Tables {
		r, _ := b.qualified(&ast.ColumnName{Schema: t.Schema, Table: t.Name})
		if r == nil {
			return nil, sqlerr.New(1109, "Unknown table '%s' in MULTI DELETE", t.Name.O)
		}
		out = append(out, r)
	}
	return out, nil
}

func (p *planning) writeSharded(targets []*ref, limited bool) (*plan.Plan, error) {
	for _, r := range targets {
		if r.global() {
			return nil, sqlerr.Refuse("a write to global table "+r.table+" that reads sharded tables", "its copies would differ",
				"read first, then write")
		}
	}
	l, err := p.locate()
	if err != nil {
		return nil, err
	}
	many := p.scatterable()
	if limited && many == nil {
		many = refuseScatter(strings.ToUpper(p.st.Verb)+" with LIMIT", "each shard would change that many rows")
	}
	if p.st.Hints.NoScatter && many == nil {
		many = refuseNoScatter()
	}
	switch {
	case !l.one && many != nil:
		return nil, many
	case l.root != nil && many != nil: // one, unless its value is no key
		l.choice.Single = many
	}
	r, err := p.route(l.choice, nil)
	if err != nil {
		return nil, err
	}
	r.Target = topology.TargetPrimary
	return &plan.Plan{Root: r, Why: l.why}, nil
}

// writeGlobal changes every copy alike.
func (p *planning) writeGlobal(targets []*ref, limited bool) (*plan.Plan, error) {
	var to *ref
	for _, r := range targets {
		if r.global() && to != nil && len(r.placement().Shards) != len(to.placement().Shards) {
			return nil, sqlerr.Refuse("a write to the global tables "+to.table+" and "+r.table, "they are not on the same clusters", "write one at a time")
		}
		if r.global() {
			to = r
		}
	}
	if to == nil { // only read, beside whole tables that are changed
		choice, why, err := p.globalChoice()
		if err != nil {
			return nil, err
		}
		r, err := p.route(choice, nil)
		if err != nil {
			return nil, err
		}
		return &plan.Plan{Root: r, Why: why, NeedsDB: choice.Kind == plan.ChooseOne && p.needsDB(choice.Shard.Cluster)}, nil
	}
	if limited {
		return nil, sqlerr.Refuse("a write with LIMIT to global table "+to.table, "each copy could change other rows", "name the rows by their key")
	}
	return p.everyCopy(to)
}

// everyCopy sends a write to all copies of a global table. NOW() and defaults
// of that kind may differ between copies by as much as the servers' clocks do;
// values that differ by their nature are refused.
func (p *planning) everyCopy(to *ref) (*plan.Plan, error) {
	if err := p.copiesStayAlike(to); err != nil {
		return nil, err
	}
	r, err := p.route(plan.Choice{Kind: plan.ChooseCopies, Placement: to.placement()}, nil)
	if err != nil {
		return nil, err
	}
	r.Target, r.Returns = topology.TargetPrimary, p.returns()
	return &plan.Plan{Root: r, Why: "every copy of " + to.table}, nil
}

// returns: RETURNING is said.
func (p *planning) returns() bool {
	at, _ := p.st.Returning()
	return !at.Empty()
}

// copiesStayAlike refuses a write whose effect may differ between the copies.
func (p *planning) copiesStayAlike(to *ref) error {
	for _, r := range p.sc.refs {
		if !r.global() || len(r.placement().Shards) < len(to.placement().Shards) {
			return sqlerr.Refuse("a write to global table "+to.table+" that reads "+r.table, "not every cluster has that table, so the copies would differ", "")
		}
	}
	switch {
	case p.facts.Random:
		return sqlerr.Refuse("RAND(), UUID() and the like in a write to global table "+to.table, "its copies would differ", "give the value as a literal")
	case !p.allHave(to.placement().Shards):
		return sqlerr.Refuse("a write to global table "+to.table, "not every cluster has the tables it reads", "")
	case p.facts.LastInsertID:
		return sqlerr.Refuse("LAST_INSERT_ID() in a write to global table "+to.table, "each copy's server could answer differently", "give the value as a literal")
	}
	return nil
}

// insert plans INSERT and REPLACE.
func insert(p *planning) (*plan.Plan, error) {
	n, ok := p.st.Node.(*ast.InsertStmt)
	if !ok || p.st.Kind != parser.KindInsert || p.refusedBefore() {
		return nil, nil
	}
	to := p.block0().refs
	if len(to) == 0 {
		return nil, sqlerr.Refuse("this INSERT", "its table cannot be found", "")
	}
	switch t := to[0]; {
	case len(p.uniques(t)) > 0:
		return nil, errKept(t)
	case p.ignores(n, t) != nil:
		return nil, p.ignores(n, t)
	case !t.sharded() && !t.global():
		if p.hasSharded() {
			return nil, refuseInsertSelect(t)
		}
		return p.writeGlobal(to[:1], false)
	case updatesByQuery(n) && len(p.sc.refs) > 1 && !t.global():
		return nil, sqlerr.Refuse("a subquery in ON DUPLICATE KEY UPDATE of "+t.table, "its tables are not on every shard", "query first, then insert")
	case n.Select != nil:
		return p.insertSelect(n, t)
	case len(p.sc.refs) > 1:
		return nil, sqlerr.Refuse("an INSERT with subqueries into "+t.table, "they would have to run before its rows can be placed", "query first, then insert")
	case t.global() && t.entry.AutoIncrement == "" && !p.st.Folded:
		return p.everyCopy(t)
	case t.global():
		if err := p.copiesStayAlike(t); err != nil {
			return nil, err
		}
	}
	return p.insertValues(n, to[0])
}

// updatesByQuery: ON DUPLICATE KEY UPDATE has a subquery.
func updatesByQuery(n *ast.InsertStmt) bool {
	for _, a := range n.OnDuplicate {
		v := &queryVisitor{}
		if a.Expr.Accept(v); v.found {
			return true
		}
	}
	return false
}

type queryVisitor struct{ found bool }

// Enter implements ast.Visitor.
func (v *queryVisitor) Enter(n ast.Node) (ast.Node, bool) {
	_, query := n.(*ast.SubqueryExpr)
	v.found = v.found || query
	return n, v.found
}

// Leave implements ast.Visitor.
func (v *queryVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }

func refuseInsertSelect(t *ref) error {
	return sqlerr.Refuse("INSERT … SELECT into "+t.table, "the selected rows would have to move between shards or clusters",
		"select first, then insert the rows")
}

// insertSelect: rows that stay on the shard they are read from.
func (p *planning) insertSelect(n *ast.InsertStmt, to *ref) (*plan.Plan, error) {
	if to.entry.AutoIncrement != "" {
		return nil, refuseInsertSelect(to)
	}
	if to.global() {
		return p.everyCopy(to)
	}
	sel, ok := n.Select.(*ast.SelectStmt)
	if !ok || n.OnDuplicate != nil && p.assignsKey(n, to) {
		return nil, refuseInsertSelect(to)
	}
	at := p.keyPosition(n, to)
	inner := &planning{cat: p.cat, db: p.db, st: p.st, facts: p.facts, sel: sel}
	inner.sc = &scopes{cat: p.cat, st: p.st, db: p.db}
	inner.sc.query(sel, nil, nil)
	inner.sc.link(nil)
	l, err := inner.locate()
	if err != nil || at < 0 || l.choice.Single != nil {
		return nil, refuseInsertSelect(to)
	}
	s := &scatter{planning: inner, loc: l, block: inner.topBlock()}
	if s.block == nil || sel.Limit != nil && !l.one || sel.GroupBy != nil || sel.Distinct || s.aggregates() {
		return nil, refuseInsertSelect(to)
	}
	s.expand()
	if at >= len(s.fields) || s.shown < 0 {
		return nil, refuseInsertSelect(to)
	}
	f := s.fields[at]
	if f.ref == nil || !f.ref.isKey(f.column) || !contains(l.roots, f.ref) || !colocated(f.ref, to) || !sameRange(f.ref, to) {
		return nil, refuseInsertSelect(to)
	}
	if sel.Limit != nil {
		l.choice.Single = refuseInsertSelect(to)
	}
	r, err := p.route(l.choice, nil)
	if err != nil {
		return nil, err
	}
	r.Target = topology.TargetPrimary
	return &plan.Plan{Root: r, Why: "rows stay on their shard"}, nil
}

// sameRange: every key of one table fits the other's column as it is.
func sameRange(x, y *ref) bool {
	a, b := x.placement().Column, y.placement().Column
	return a.Bits == b.Bits && a.Unsigned == b.Unsigned && a.Length == b.Length
}

// keyPosition is the sharding column's place among the inserted columns, -1 if
// it is not there or not known.
func (p *planning) keyPosition(n *ast.InsertStmt, to *ref) int {
	for i, c := range insertColumns(n, to) {
		if to.isKey(c) {
			return i
		}
	}
	return -1
}

// insertColumns are the columns of an INSERT, as written or all that are visible.
func insertColumns(n *ast.InsertStmt, to *ref) []string {
	var out []string
	for _, c := range n.Columns {
		out = append(out, c.Name.L)
	}
	if len(n.Columns) == 0 {
		for i := range to.entry.Columns {
			if c := &to.entry.Columns[i]; !c.Invisible {
				out = append(out, lower(c.Name))
			}
		}
	}
	return out
}

// assignsKey: ON DUPLICATE KEY UPDATE may give a row a key of another shard. It
// does not by the key that was to be inserted, which is of the shard the row is
// on, nor by the row's own.
func (p *planning) assignsKey(n *ast.InsertStmt, to *ref) bool {
	columns := insertColumns(n, to)
	for _, a := range n.OnDuplicate {
		name := a.Column.Name.L
		if !to.places(name) || foldEqual(name, p.st.TakesNew(a.Expr, columns)) {
			continue
		}
		if !keepsOwn(a, to.alias) {
			return true
		}
	}
	return false
}

// keepsOwn: the assignment gives the column of the table what it has; with
// LAST_INSERT_ID() around it, which tells the client.
func keepsOwn(a *ast.Assignment, table string) bool {
	e := strip(a.Expr)
	if f, ok := e.(*ast.FuncCallExpr); ok && f.FnName.L == "last_insert_id" && f.Schema.L == "" && len(f.Args) == 1 {
		e = strip(f.Args[0])
	}
	c, ok := e.(*ast.ColumnNameExpr)
	return ok && c.Name.Name.L == a.Column.Name.L && (c.Name.Table.L == "" || strings.EqualFold(c.Name.Table.O, table))
}
