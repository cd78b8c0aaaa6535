package router

import (
	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// sharing makes fragments. A table that is named several times is read once,
// for all of its references: read one after the other they could show two
// states of a row, which no statement sees on one server.
type sharing struct {
	*planning
	n *plan.Finish
	// refs are the references of each table, first the number of the fragment
	// that reads it.
	refs  map[parser.TableName][]*ref
	first map[parser.TableName]int
	// sieves are by which rows of a fragment are read.
	sieves map[int]sieved
	locks  locking
}

func (p *planning) sharing(n *plan.Finish, sp *parser.Spans, refs map[*ast.TableName]*ref) *sharing {
	s := &sharing{planning: p, n: n, refs: map[parser.TableName][]*ref{}, first: map[parser.TableName]int{}, sieves: map[int]sieved{}}
	for _, t := range sp.Tables {
		if r := refs[t.Node]; r != nil {
			name := parser.TableName{Schema: r.schema, Table: r.table}
			s.refs[name] = append(s.refs[name], r)
		}
	}
	return s
}

// fragment is the next fragment: what is copied for the reference, nil where
// its table cannot be.
func (s *sharing) fragment(r *ref) *plan.Fragment {
	name := parser.TableName{Schema: r.schema, Table: r.table}
	if from, read := s.first[name]; read { // a copy of that one
		f := *s.n.Fragments[from]
		f.Route, f.From = nil, from
		return &f
	}
	s.first[name] = len(s.n.Fragments)
	f, sieve := s.readFor(s.refs[name])
	s.sieves[s.first[name]] = sieve
	clause, ok := s.locks.of(s.refs[name])
	if f == nil || !ok {
		return nil
	}
	if clause != nil {
		f.Route.SQL = compact(join(f.Route.SQL, text(" "), clause))
		if f.Route.Choice.Kind == plan.ChooseAny { // everybody locks the same copy
			f.Route.Choice.Kind = plan.ChooseFirst
		}
	}
	return f
}

// readFor is the fragment that reads a table for the references, nil where it
// cannot be copied.
func (p *planning) readFor(refs []*ref) (*plan.Fragment, sieved) {
	r := refs[0]
	if isInformation(r.schema) {
		return p.informationFragment(refs), sieved{}
	}
	pl, choice := p.fragmentChoice(refs)
	if pl == nil || !r.columnsKnown() {
		return nil, sieved{}
	}
	f := &plan.Fragment{Table: plan.TableName{Schema: r.schema, Table: r.table}}
	list := ""
	for _, c := range p.neededColumns(r.entry) {
		def, expr, carry, ok := p.carried(c, r.alias)
		if !ok {
			return nil, sieved{}
		}
		f.Columns = append(f.Columns, plan.FragmentColumn{Name: c.Name, Definition: def, Carry: carry})
		list += pick(list == "", "", ", ") + expr
	}
	f.PrimaryKey = keyOf(r, f.Columns)
	f.Indexes = p.indexesOf(r, f)
	s := p.sieve(refs, plan.TableRef{Placement: pl, Alias: r.alias})
	sql := join(text("SELECT "+list+" FROM "), plan.Template{{Kind: plan.ChunkTable}}, s.where,
		plan.Template{{Kind: plan.ChunkReduce, Text: pick(len(s.where) == 0, " WHERE ", " AND ")}}, text(allRows))
	f.Route = &plan.Route{Choice: choice, Target: p.target(), Tables: s.tables, SQL: compact(sql), Columns: len(f.Columns)}
	return f, s
}

// fragmentChoice is where the rows of a table's references are. A table without
// a rule gets a placement of its own, for its name.
func (p *planning) fragmentChoice(refs []*ref) (*shardrule.Placement, plan.Choice) {
	r := refs[0]
	pl := r.placement()
	if pl == nil {
		cluster, whole := p.clusterOf(parser.TableName{Schema: r.schema, Table: r.table})
		if !whole || r.schema == "" {
			return nil, plan.Choice{}
		}
		pl = &shardrule.Placement{Schema: r.schema, Table: r.table, Kind: shardrule.Whole,
			Shards: []topology.Shard{{Index: -1, Cluster: cluster, Database: r.schema, Table: r.table}}}
	}
	switch pl.Kind {
	case shardrule.Global:
		return pl, plan.Choice{Kind: plan.ChooseAny, Placement: pl}
	case shardrule.Sharded:
		return pl, plan.Choice{Kind: plan.ChooseByKey, Placement: pl, Cond: p.condAny(refs)}
	case shardrule.Whole:
	}
	return pl, plan.Choice{Kind: plan.ChooseOne, Shard: topology.Shard{Index: -1, Cluster: pl.Shards[0].Cluster}}
}

// condAny is where any of the references has rows, nil for everywhere.
func (p *planning) condAny(refs []*ref) plan.Cond {
	var some plan.Or
	seen := map[string]bool{}
	for _, r := range refs {
		c := p.sc.conditionOf(r, func(g *group) bool { return g == r.group })
		if c == nil {
			return nil
		}
		if !seen[c.String()] {
			seen[c.String()] = true
			some = append(some, c)
		}
	}
	if len(some) == 1 {
		return some[0]
	}
	return some
}
