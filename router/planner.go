// Package router decides where a statement goes: Statement and Catalog in,
// Plan out, without I/O. The table of rules is in this file; the text cases in
// testdata/plan say what each decision is and why.
package router

import (
	"errors"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// planning is one statement being planned.
type planning struct {
	cat   *catalog.Catalog
	db    string
	st    *parser.Statement
	facts *parser.Facts
	// within is the part of the text that is planned: all of it, or one arm
	// of a UNION.
	within parser.Span
	// sel and arm are the SELECT that is planned and its block.
	sel *ast.SelectStmt
	arm int

	// visible are the databases the user may see; nil for all.
	visible []string
	// looks: a condition asks a lookup table.
	looks bool
	// part: it is a part of a client's statement; see PlanPart.
	part bool

	sc     *scopes
	cached *parser.Spans
	// refused is why no rule before the last ones took the statement.
	refused error
	// cannot is why it cannot be finished on one server, where that has a name
	// of its own.
	cannot error
}

// rule makes the plan of the statements it is for; nil, nil passes on to the
// next rule.
type rule struct {
	name string
	plan func(*planning) (*plan.Plan, error)
	// later: what it refuses may be done by one of the last rules.
	later bool
}

// rules in their order: the first that answers decides.
func rules() []rule {
	return []rule{
		{"a hint that cannot be obeyed is an error", badHint, false},
		{"a view over what is not on one server is kept by Serval", views, false},
		{"what is done to one server is refused", oneServer, false},
		{"what would read or change a table left over at home does not run", strays, false},
		{"a lookup table is changed by nobody but Serval", keptElsewhere, false},
		{"a row that others follow is not replaced", replacesFollowed, false},
		{"a reshard's tables are nobody's", besideOthers, false},
		{"a server's file is loaded on that server", load, false},
		{"a table made of other servers' rows is defined, then filled", createFrom, false},
		{"a loadable function is on every cluster", loadable, false},
		{"a text the parser rejects or doubts goes home if no sharded table is in it", opaque, false},
		{"functions that only make sense on one connection", connectionFunctions, false},
		{"SHOW answers for the logical schema", show, false},
		{"EXPLAIN goes where its statement would read", explain, false},
		{"information_schema answers for the logical schema", information, false},
		{"databases are created and dropped on every cluster", databases, false},
		{"tables are defined on every shard", ddl, false},
		{"LOCK TABLES locks every shard", lockTables, false},
		{"a statement without sharded or global tables goes to their cluster", home, true},
		{"administration of sharded tables goes to every shard", adminTables, false},
		{"INSERT is split by row", insert, true},
		{"UPDATE and DELETE go where the rows are", write, true},
		{"a write that no shard can do alone is read first", stageRest, false},
		{"SELECT of global tables goes to any copy", readGlobal, true},
		{"SELECT of sharded tables is sent or merged", read, true},
		{"what no shard and no merge can do is finished on one server", finishRest, false},
		{"nothing else touches sharded tables", refuseRest, false},
	}
}

// Plan plans a statement for a session whose database is db (empty for none).
// Errors are *sqlerr.Error. The plan is immutable and does not depend on the
// statement's values where st.Params is true.
func Plan(cat *catalog.Catalog, db string, st *parser.Statement) (*plan.Plan, error) {
	return PlanFor(cat, db, nil, st)
}

// PlanFor is Plan for a user who may only see these databases; none means all.
// It decides what SHOW and information_schema tell; who may use what the
// statement names is not asked here.
func PlanFor(cat *catalog.Catalog, db string, visible []string, st *parser.Statement) (*plan.Plan, error) {
	return planAll(cat, db, visible, st, false)
}

func planAll(cat *catalog.Catalog, db string, visible []string, st *parser.Statement, part bool) (*plan.Plan, error) {
	if cat.FoldNames {
		db = strings.ToLower(db)
	}
	st, err := expandViews(cat, db, st)
	if err != nil {
		return nil, sqlerr.From(err)
	}
	p := newPlanning(cat, db, st, true)
	p.part = part
	if len(visible) > 0 {
		p.visible = visible
	}
	for _, r := range rules() {
		pl, err := r.plan(p)
		if err != nil && r.later && (p.mayFinish(err) || p.mayStage(err)) {
			p.refused = err
			continue
		}
		if err != nil {
			return nil, sqlerr.From(err)
		}
		if pl == nil {
			continue
		}
		if _, splits := pl.Root.(*plan.Insert); st.Folded && !splits {
			// Its text has one tuple for many; sending it would lose rows.
			return nil, sqlerr.Refuse("this INSERT", "its rows cannot be told apart", "write one row a statement")
		}
		p.finishSpread(pl)
		p.stageSpread(pl)
		p.meet(pl)
		return p.finish(pl)
	}
	return nil, sqlerr.Refuse("this statement", "no rule is for it", "")
}

// newPlanning reads the statement's blocks; views tells whether derived tables
// that stay within a shard are tables (see view), or nothing is known of any.
func newPlanning(cat *catalog.Catalog, db string, st *parser.Statement, views bool) *planning {
	p := &planning{cat: cat, db: db, st: st, facts: st.Facts(), within: parser.Span{End: len(st.Text)}}
	p.sc = &scopes{cat: cat, st: st, db: db, viewless: !views || p.facts.Random}
	p.collect()
	if p.sc.shadowed && views {
		return newPlanning(cat, db, st, false)
	}
	return p
}

// collect finds the query blocks of what has some.
func (p *planning) collect() {
	switch n := p.st.Node.(type) {
	case *ast.SelectStmt:
		p.sel = n
		p.sc.query(n, nil, nil)
	case *ast.SetOprStmt:
		p.sc.query(n, nil, nil)
	case *ast.ExplainStmt:
		p.collectWrite(n.Stmt)
	default:
		p.collectWrite(n)
	}
	p.sc.link(nil)
}

func (p *planning) collectWrite(n ast.Node) {
	s := p.sc
	switch n := n.(type) {
	case *ast.SelectStmt, *ast.SetOprStmt:
		s.query(n, nil, nil)
	case *ast.UpdateStmt:
		defer s.with(n.With, nil, nil)()
		b := s.block(nil, nil)
		s.from(b, b.group, n.TableRefs.TableRefs)
		s.where(b, n.Where)
		for _, a := range n.List {
			s.subqueries(a.Expr, b, b.group)
		}
	case *ast.DeleteStmt:
		defer s.with(n.With, nil, nil)()
		b := s.block(nil, nil)
		s.from(b, b.group, n.TableRefs.TableRefs)
		s.where(b, n.Where)
	case *ast.InsertStmt:
		b := s.block(nil, nil)
		s.from(b, b.group, n.Table.TableRefs)
		if n.Select != nil {
			s.query(n.Select, nil, nil)
		}
		for _, row := range n.Lists {
			for _, e := range row {
				s.subqueries(e, b, b.group)
			}
		}
		for _, a := range n.OnDuplicate {
			s.subqueries(a.Expr, b, b.group)
		}
	}
}

// finish adds what holds for every plan.
func (p *planning) finish(pl *plan.Plan) (*plan.Plan, error) {
	pl.Spreads = mayScatter(pl.Root)
	if p.st.Hints.NoScatter && pl.Spreads {
		return nil, refuseNoScatter()
	}
	if err := p.turnedOff(pl); err != nil {
		return nil, err
	}
	if err := p.watch(pl); err != nil {
		return nil, err
	}
	pl.Looks = p.looks
	pl.Effects.UserVars = p.facts.UserVarsSet
	pl.Effects.UsesLastInsertID = p.facts.LastInsertID
	pl.Effects.Found = p.foundRows()
	if p.facts.TemporaryTable {
		pl.Effects.Pins = "temporary table"
	}
	return pl, nil
}

func refuseNoScatter() error {
	return sqlerr.Refuse("this statement", "it would go to several shards and the hint no_scatter forbids it", "give the sharding key")
}

// mayScatter: the plan can send to more than one shard.
func mayScatter(n plan.Node) bool {
	if r, ok := n.(*plan.Route); ok {
		switch r.Choice.Kind {
		case plan.ChooseByKey:
			return !atMostOne(r.Choice.Cond) && (r.Choice.Single == nil || errors.Is(r.Choice.Single, plan.ErrSpread))
		case plan.ChooseCopies, plan.ChooseClusters, plan.ChooseDatabases:
			return true
		case plan.ChooseOne, plan.ChooseAny, plan.ChooseFirst:
		}
		return false
	}
	if _, ok := n.(*plan.Staged); ok {
		return true
	}
	if ins, ok := n.(*plan.Insert); ok {
		return len(ins.Rows) > 1 || ins.Repeat != nil
	}
	for _, c := range n.Children() {
		if mayScatter(c) {
			return true
		}
	}
	return false
}

// target is where the statement may be answered.
func (p *planning) target() topology.Target {
	switch {
	case !p.readOnly() || p.st.Hints.Target == "primary":
		return topology.TargetPrimary
	}
	return topology.TargetReplica
}

// readOnly: it changes nothing, takes no locks, and leaves no state.
func (p *planning) readOnly() bool {
	f := p.facts
	switch p.st.Kind {
	case parser.KindSelect:
	case parser.KindShow, parser.KindExplain:
		return true
	default:
		return false
	}
	return !f.Locking && !f.NamedLock && len(f.UserVarsSet) == 0 && !f.IntoFile && !f.IntoVar && !f.Sequence &&
		p.unknownFunc() == "" && !f.SetsLastInsertID
}

// spans are the places of names and clauses in the text.
func (p *planning) spans() (*parser.Spans, error) {
	if p.cached == nil {
		sp, err := p.st.Spans()
		if err != nil {
			if errors.Is(err, parser.ErrCannotSplice) {
				return nil, sqlerr.Refuse("this statement", "its tables are sharded and their names cannot be replaced in it with certainty",
					"write it more simply").WithCause(err)
			}
			return nil, err
		}
		p.cached = sp
	}
	return p.cached, nil
}

// lookup finds a table of the statement in the catalog.
func (p *planning) lookup(t parser.TableName) *catalog.Table {
	schema, table := p.names(t)
	return p.cat.Table(schema, table)
}

func (p *planning) names(t parser.TableName) (schema, table string) {
	schema, table = t.Schema, t.Table
	if p.cat.FoldNames {
		schema, table = strings.ToLower(schema), strings.ToLower(table)
	}
	if schema == "" {
		schema = p.db
	}
	return schema, table
}

// spread are the tables of the statement that are sharded or global.
func (p *planning) spread() []*catalog.Table {
	var out []*catalog.Table
	for _, t := range p.st.Tables {
		if e := p.lookup(t); e != nil && e.Placement != nil && e.Placement.Kind != shardrule.Whole {
			out = append(out, e)
		}
	}
	return out
}

// hasSharded: a sharded table is named.
func (p *planning) hasSharded() bool {
	for _, e := range p.spread() {
		if e.Placement.Kind == shardrule.Sharded {
			return true
		}
	}
	return false
}

func badHint(p *planning) (*plan.Plan, error) {
	h := p.st.Hints
	switch {
	case p.st.HintErr != nil:
		return nil, p.st.HintErr
	case h.HasShard && p.st.Kind == parser.KindInsert && p.hasSharded():
		return nil, sqlerr.Refuse("the hint shard= on an INSERT", "a row on another shard than its key's would never be found again", "leave the hint out")
	case h.MycatSQL != "":
		return nil, sqlerr.Refuse("the hint mycat:sql", "routing by another statement is not supported yet",
			"use /*+ SERVAL(shard=N) */")
	case h.Cluster != "" && p.hasSharded():
		return nil, sqlerr.Refuse("the hint cluster= on a sharded table", "its rows are where their keys put them", "use /*+ SERVAL(shard=N) */")
	case h.Cluster != "" && p.cat.Clusters[h.Cluster] == nil:
		return nil, sqlerr.New(sqlerr.WrongArguments, "Serval hint: there is no cluster %q", h.Cluster)
	}
	return nil, nil
}

// opaque passes texts without a tree home.
func opaque(p *planning) (*plan.Plan, error) {
	if p.st.Node != nil && p.facts.Doubt == "" {
		return nil, nil
	}
	if tables := p.spread(); len(tables) > 0 {
		if n := p.verbatim(); n != nil {
			return p.finishPlan(n, "finished at home under the tables' own names"), nil
		}
		t, why := tables[0], p.facts.Doubt
		if err := refuseProgram(p.st, t); err != nil {
			return nil, err
		}
		if p.st.Kind == parser.KindAdmin {
			return nil, sqlerr.Refuse(p.st.Verb+" of "+kindWord(t)+" table "+t.Name, "each of its shards would answer for itself", "ask the servers, or use ANALYZE TABLE")
		}
		if p.st.Node == nil {
			why = "Serval's parser does not know this syntax"
		}
		return nil, sqlerr.Refuse("this statement", "it names "+kindName(t.Placement.Kind)+" table "+t.Name+" and "+why,
			"write it in plainer SQL")
	}
	pl, err := p.planHome()
	if n := p.verbatim(); err != nil && n != nil {
		return p.finishPlan(n, "finished at home under the tables' own names"), nil
	}
	return pl, err
}

func kindName(k shardrule.Kind) string {
	switch k {
	case shardrule.Global:
		return "the global"
	case shardrule.Sharded:
		return "the sharded"
	case shardrule.Whole:
	}
	return "the"
}

// connectionFunctions refuses what only the connection that ran the statement
// before could answer: with pooled connections it would be someone else's.
func connectionFunctions(p *planning) (*plan.Plan, error) {
	switch {
	case p.facts.FoundRows:
		return nil, sqlerr.Refuse("FOUND_ROWS()", "the statement before left a number that servers differ in, and it ran on a connection of its own",
			"ask right behind a SELECT, or use SELECT COUNT(*)")
	case p.facts.RowCount:
		return nil, sqlerr.Refuse("ROW_COUNT()", "the number belongs to one server connection and Serval shares connections",
			"use the count in the statement's answer")
	case len(p.spread()) == 0:
	case p.facts.Sequence:
		return nil, sqlerr.Refuse("a sequence in a statement over sharded tables", "each shard would count by itself", "")
	case p.facts.NamedLock:
		return p.finishOr(sqlerr.Refuse("a named lock in a statement over sharded tables", "each shard has locks of its own", ""))
	case p.unknownFunc() != "":
		refused := sqlerr.Refuse("the function "+p.unknownFunc(), "stored functions are only at the schema's home, and the statement's tables are not", "")
		if p.mayStage(refused) {
			p.refused = refused
			return stageRest(p)
		}
		return p.finishOr(refused)
	}
	return nil, nil
}

// unknownFunc is a function of the statement that is not built in, or empty.
func (p *planning) unknownFunc() string {
	if f := p.facts.UnknownFuncs; len(f) > 0 {
		return f[0]
	}
	return ""
}

func refuseRest(p *planning) (*plan.Plan, error) {
	t := p.spread()
	what := strings.ToUpper(orName(p.st.Verb, "this statement"))
	if len(t) == 0 {
		return nil, sqlerr.Refuse(what, "it is not supported", "")
	}
	return nil, sqlerr.Refuse(what, "it is not supported on "+kindName(t[0].Placement.Kind)+" table "+t[0].Name, "")
}
