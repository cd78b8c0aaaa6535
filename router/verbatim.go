package router

import (
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// A query whose names cannot be replaced with certainty, because TiDB's parser
// does not read it, is finished without replacing any: at the home of its
// database, over temporary tables that have the tables' own names there and all
// of their rows. Whatever the home has besides (tables without a rule, views,
// stored functions) is what the names mean anyway. All names that could be those
// of sharded or global tables get their table: more than there are, never
// fewer.

// verbatimAs makes the Finish of such a query, nil where it cannot be; once: CTEs
// that are named several times and not merged are computed ahead.
func (p *planning) verbatimAs(once bool) *plan.Finish {
	h, f := p.st.Hints, p.facts
	if p.st.Kind != parser.KindSelect || !p.copiable() || p.facts.Locking || h.HasShard || h.Cluster != "" || h.NoScatter ||
		f.LastInsertID || f.FoundRows || f.RowCount || p.st.Folded {
		return nil
	}
	sketch, err := p.st.Sketch()
	if err != nil || sketch.Needs != "" {
		return nil
	}
	v := &verbatim{planning: p, once: once, n: &plan.Finish{Unread: true, Semijoins: sketch.OuterJoin && sketch.Semijoin}, numbers: map[plan.TableName]int{}, named: map[int]bool{}}
	for _, t := range p.st.Tables {
		if !v.copy(t) {
			return nil
		}
	}
	if len(v.n.Fragments) == 0 {
		return nil
	}
	v.n.At = plan.FinishAt{Cluster: v.cluster, Database: orName(p.db, v.n.Fragments[0].Table.Schema), Own: f.NamedLock}
	v.n.At.Inside = len(p.calls()) > 0
	sql := v.text(sketch)
	v.computeOnce(sketch)
	if v.failed {
		return nil
	}
	if v.n.Target = v.reads(); v.n.At.Own || v.n.At.Inside {
		v.n.Target = topology.TargetPrimary
	}
	v.n.SQL = sql
	return v.n
}

// verbatim is such a Finish being made.
type verbatim struct {
	*planning
	n       *plan.Finish
	cluster string
	// numbers are the fragments of the tables, named those that the text names.
	numbers map[plan.TableName]int
	named   map[int]bool
	ctes    copiedCTEs
	once    bool
	failed  bool
}

// copy makes the fragment of a name, if it can be that of a table that is not
// at home; false where it cannot be copied there.
func (v *verbatim) copy(t parser.TableName) bool {
	schema, name := v.names(t)
	e := v.cat.Table(schema, name)
	if e == nil || e.Placement == nil {
		return true
	}
	home := v.cat.HomeOf(schema)
	if s := e.Placement.Shards; e.Placement.Kind == shardrule.Whole && s[0].Cluster == home && s[0].Database == schema && s[0].Table == e.Name {
		return true
	}
	at := plan.TableName{Schema: schema, Table: e.Name}
	if _, done := v.numbers[at]; done {
		return true
	}
	if v.db != "" && v.cat.HomeOf(v.db) != home || v.cluster != "" && v.cluster != home {
		return false
	}
	frag := v.whole(schema, e)
	if frag == nil {
		return false
	}
	v.cluster = home
	v.numbers[at] = len(v.n.Fragments)
	v.n.Fragments = append(v.n.Fragments, frag)
	return true
}

// whole is all columns and rows of a table, under its own name.
func (v *verbatim) whole(schema string, e *catalog.Table) *plan.Fragment {
	pl := e.Placement
	if len(e.Columns) == 0 || len(pl.Shards) == 0 {
		return nil
	}
	f := &plan.Fragment{Table: plan.TableName{Schema: schema, Table: e.Name}, Written: e.Name, Verbatim: true}
	list := ""
	for i := range e.Columns {
		def, expr, carry, ok := v.carried(&e.Columns[i], e.Name)
		if !ok {
			return nil
		}
		f.Columns = append(f.Columns, plan.FragmentColumn{Name: e.Columns[i].Name, Definition: def, Carry: carry})
		list += pick(list == "", "", ", ") + expr
	}
	f.PrimaryKey = keyOf(&ref{alias: e.Name, schema: schema, table: e.Name, entry: e}, f.Columns)
	choice := plan.Choice{Kind: plan.ChooseOne, Shard: topology.Shard{Index: -1, Cluster: pl.Shards[0].Cluster}}
	switch pl.Kind {
	case shardrule.Global:
		choice = plan.Choice{Kind: plan.ChooseAny, Placement: pl}
	case shardrule.Sharded:
		choice = plan.Choice{Kind: plan.ChooseByKey, Placement: pl}
	case shardrule.Whole:
	}
	sql := join(text("SELECT "+list+" FROM "), plan.Template{{Kind: plan.ChunkTable}}, text(allRows))
	f.Route = &plan.Route{Choice: choice, Target: v.reads(), Tables: []plan.TableRef{{Placement: pl, Alias: e.Name}},
		SQL: compact(sql), Columns: len(f.Columns)}
	return f
}

// reads is where rows are read.
func (v *verbatim) reads() topology.Target {
	if v.st.Hints.Target == "primary" {
		return topology.TargetPrimary
	}
	return topology.TargetReplica
}

// again is a further copy of fragment i.
func (v *verbatim) again(i int, r parser.Reference) edit {
	frag := *v.n.Fragments[i]
	frag.Route, frag.From, frag.Verbatim, frag.Written = nil, i, false, v.st.Slice(r.Span)
	with := plan.Template{{Kind: plan.ChunkScratch, Index: len(v.n.Fragments)}}
	if !r.Aliased {
		frag.Named = " AS " + sqlval.QuoteName(r.Name.Table)
		with = append(with, text(frag.Named)...)
	}
	v.n.Fragments = append(v.n.Fragments, &frag)
	if !r.Keyword.Empty() {
		return edit{parser.Span{Start: r.Keyword.Start, End: r.End}, join(text("SELECT * FROM "), with)}
	}
	return edit{r.Span, with}
}

// calls are the functions of the statement that may be stored ones. Without a
// tree, every name before a parenthesis is taken for a function.
func (p *planning) calls() []string {
	var out []string
	for _, f := range p.facts.UnknownFuncs {
		switch f {
		case "columns", "rollup", "cube", "lateral", "nested", "row", "values", "any", "some":
		default:
			out = append(out, f)
		}
	}
	return out
}
