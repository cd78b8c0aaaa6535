package router

import (
	"strconv"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// mostFragments bounds the copies of tables in one query.
const mostFragments = 100

// finishing makes the text of a Finish.
//
// A server reads a CTE anew for each reference to it, and cannot open a
// temporary table twice: so each further reference gets a definition of its
// own, which is the text of the first over temporary tables of its own, or reads
// a table of the CTE's rows (see onceCTE).
type finishing struct {
	*sharing
	sp     *parser.Spans
	byName map[*ast.TableName]*ref
	// named are the definitions wanted of each CTE so far, of those that the text
	// being emitted can see: each as the onceCTE whose text needs it, nil for the
	// statement's. own is the name of the one being emitted, empty for its own.
	named   map[int][]*onceCTE
	own     map[int]string
	emitted int
	// once: what MySQL computes once is computed ahead; computed is what is, in
	// onceTables tables.
	once       bool
	computed   []*onceCTE
	onceTables int
	// inside is the one whose text is being emitted, nil for the statement's; home
	// is the definition there that is.
	inside *onceCTE
	home   parser.Span
	// copies: a CTE has several definitions.
	copies bool
	// labels are edits that keep the names of the answer's columns.
	labels []edit
	failed bool
	cannot error
}

// emit is the text of a part of the statement over temporary tables.
func (f *finishing) emit(region parser.Span) plan.Template {
	defs := f.outermost(region)
	if f.named == nil {
		f.named, f.own = map[int][]*onceCTE{}, map[int]string{}
	}
	hidden := map[int][]*onceCTE{}
	for _, c := range defs {
		hidden[c], f.named[c] = f.named[c], nil
	}
	var edits []edit
	within := func(s parser.Span) bool {
		if s.Start < region.Start || s.End > region.End {
			return false
		}
		for _, c := range defs {
			if d := f.sp.CTEs[c]; s.Start >= d.Start && s.End <= d.End {
				return false
			}
		}
		return true
	}
	for _, t := range f.sp.Tables {
		if within(t.Span) && !f.failed {
			edits = append(edits, f.table(t)...)
		}
	}
	for _, q := range f.sp.Qualifiers {
		if within(q.Span) && f.sp.Tables[q.Table].Alias == "" && !q.Schema.Empty() {
			edits = append(edits, edit{q.Schema, nil})
		}
	}
	for _, e := range f.labelEdits(f.sp) {
		if within(e.span) {
			edits = append(edits, e)
		}
	}
	for _, lock := range lockSpans(f.sp) {
		if within(lock) { // the fragments have locked
			edits = append(edits, edit{lock, nil})
		}
	}
	for _, r := range f.sp.CTERefs {
		if within(r.Span) {
			edits = append(edits, f.reference(r)...)
		}
	}
	for i := len(defs) - 1; i >= 0 && !f.failed; i-- { // an earlier one is named by later ones
		edits = append(edits, edit{f.sp.CTEs[defs[i]].Span, f.definitions(defs[i])})
	}
	for c, n := range hidden {
		f.named[c] = n
	}
	if region == f.within {
		edits = append(edits, f.labels...)
	}
	return splice(f.st, region, edits)
}

// outermost are the CTEs defined in a part of the text, without those within
// others' definitions.
func (f *finishing) outermost(region parser.Span) []int {
	var out []int
	end := region.Start
	for i, c := range f.sp.CTEs {
		if c.Start >= end && c.End <= region.End {
			out, end = append(out, i), c.End
		}
	}
	return out
}

// table gives a reference its temporary table.
func (f *finishing) table(t parser.TableSpan) []edit {
	r := f.byName[t.Node]
	if r == nil || !t.Aliasable || t.AliasAt != t.End || bound(t.Node) {
		f.failed = true
		return nil
	}
	if len(f.n.Fragments) == mostFragments {
		f.refuseMany()
		return nil
	}
	frag := f.fragment(r)
	if frag == nil {
		f.failed = true
		return nil
	}
	name := plan.Template{{Kind: plan.ChunkScratch, Index: len(f.n.Fragments)}}
	if isInformation(r.schema) {
		name = f.informationPlace(r, len(f.n.Fragments))
	}
	frag.Written = f.st.Slice(t.Span)
	frag.Named = ""
	if t.Alias == "" {
		frag.Named = " AS " + sqlval.QuoteName(t.Name.Table)
		name = append(name, text(frag.Named)...)
	}
	f.n.Fragments = append(f.n.Fragments, frag)
	edits := []edit{{t.Span, name}}
	if !t.IndexHints.Empty() { // the copy has other keys; which are used does not change the answer
		edits = append(edits, edit{t.IndexHints, nil})
	}
	return edits
}

// copyName is what definition k of a CTE is called, 0 the one of that name.
func copyName(cte, k int) string {
	return sqlval.QuoteName(plan.ScratchCTE + strconv.Itoa(cte+1) + "_" + strconv.Itoa(k+1))
}

// reference has a reference to a CTE read a definition of its own.
func (f *finishing) reference(r parser.CTERef) []edit {
	for i, c := range f.sp.CTEs {
		if i != r.CTE && r.Start >= c.Body.Start && r.End <= c.Body.End && strings.EqualFold(c.Node.Name.O, r.Name.Table) {
			f.refuse("the CTE " + r.Name.Table + " names another CTE of its name, which MySQL and MariaDB understand differently")
		}
	}
	name := f.own[r.CTE]
	if def := f.sp.CTEs[r.CTE]; !within(r.Span, def.Span) { // it is not recursive
		name = f.want(r.CTE, f.inside != nil && !within(def.Span, f.home))
	}
	if name == "" {
		return nil
	}
	if !r.Aliasable {
		f.failed = true
		return nil
	}
	if r.Alias == "" {
		name += " AS " + sqlval.QuoteName(r.Name.Table)
	}
	f.n.Texts = append(f.n.Texts, plan.Replaced{With: name, Written: f.st.Slice(r.Span)})
	return []edit{{r.Span, text(name)}}
}

// want asks for a further definition of the CTE and gives its name, empty for
// the CTE's own; apart: it is not for where the CTE is defined.
func (f *finishing) want(cte int, apart bool) string {
	if !f.reads(cte) {
		if !apart {
			return ""
		}
		if len(f.named[cte]) == 0 {
			f.named[cte] = []*onceCTE{nil}
		}
	}
	k := len(f.named[cte])
	if !apart {
		f.named[cte] = append(f.named[cte], nil)
		return pick(k == 0, "", copyName(cte, k))
	}
	f.named[cte] = append(f.named[cte], f.inside)
	return copyName(cte, k)
}

// reads: there are tables in the CTE, or it has to be computed once.
func (f *finishing) reads(cte int) bool {
	if f.once && !fixed(f.sp.CTEs[cte].Node) {
		return true
	}
	def := f.sp.CTEs[cte].Body
	for _, t := range f.sp.Tables {
		if t.Start >= def.Start && t.End <= def.End {
			return true
		}
	}
	for _, r := range f.sp.CTERefs {
		if r.Start >= def.Start && r.End <= def.End && r.CTE != cte && f.reads(r.CTE) {
			return true
		}
	}
	return false
}

// definitions are all the definitions that are wanted of a CTE where it stands,
// with commas between them.
func (f *finishing) definitions(cte int) plan.Template {
	def := f.sp.CTEs[cte]
	wanted := f.named[cte]
	var ahead *onceCTE
	if len(wanted) > 1 && f.wantedOnce(cte) {
		ahead = f.compute(cte, len(wanted))
	} else if len(wanted) > 1 {
		f.copiable(cte)
	}
	if len(wanted) == 0 {
		wanted = []*onceCTE{nil}
	}
	var out plan.Template
	for k, where := range wanted {
		if f.emitted++; f.emitted > mostFragments {
			f.refuseMany()
		}
		if f.failed {
			return nil
		}
		name := pick(k == 0 && where == nil, "", copyName(cte, k))
		d := text(orName(name, f.st.Slice(def.Name)))
		if ahead == nil {
			f.copies = f.copies || k > 0
			d = append(d, f.definition(cte, name, where)...)
		} else {
			d = join(d, text(" AS (SELECT * FROM "), plan.Template{{Kind: plan.ChunkScratch, Index: ahead.first + k}}, text(allRows+")"))
		}
		switch {
		case where != nil:
			where.defs = append(where.defs, d)
		case out != nil:
			out = join(out, text(", "), d)
		default:
			out = d
		}
	}
	if out == nil { // nothing in the statement names it any more
		return text(f.st.Slice(def.Name) + " AS (SELECT 1)")
	}
	return out
}

// copiable notes a CTE whose definition could have other rows where it is
// written again, so that only a server that does so itself may run it: values that differ by call, and a choice among equal rows,
// which is certain to be the same only where one table is gone through.
func (f *finishing) copiable(cte int) {
	def := f.sp.CTEs[cte]
	chooses, sources := f.choice(cte)
	what := ""
	switch {
	case !fixed(def.Node):
		what = "it calls a function whose value differs by call"
	case len(f.facts.UserVarsSet) > 0:
		what = "user variables are assigned"
	case chooses && sources > 1:
		what = choosing
	default:
		return
	}
	f.n.Differs = severalTimes(def.Node.Name.O, what)
}

const choosing = "it chooses among rows (LIMIT, or a window's order) of several tables"

// severalTimes refuses to compute a CTE for each of its names.
func severalTimes(cte, why string) error {
	return refusedFinish("the CTE " + cte + " is named several times, so it would be computed several times, and " + why)
}

// choice reports that a CTE depends on the order of rows, and how many tables
// they come from, through other CTEs too.
func (f *finishing) choice(cte int) (chooses bool, sources int) {
	var v choiceVisitor
	f.sp.CTEs[cte].Node.Accept(&v)
	body := f.sp.CTEs[cte].Body
	for _, r := range f.sp.CTERefs {
		if r.Start >= body.Start && r.End <= body.End && r.CTE != cte {
			_, n := f.choice(r.CTE)
			v.sources += n - 1
		}
	}
	return v.chooses, v.sources
}

func (f *finishing) refuse(why string) {
	f.failed = true
	f.cannot = refusedFinish(why)
}

func refusedFinish(why string) error {
	return sqlerr.Refuse("this query over several shards", why, "write it more simply, or give the sharding key")
}

func (f *finishing) refuseMany() {
	f.refuse("it names tables and CTEs over tables more than " + strconv.Itoa(mostFragments) + " times")
}

// bySequence are the window functions that tell apart rows that are equal in the
// window's order.
var bySequence = map[string]bool{
	"row_number": true, "ntile": true, "lag": true, "lead": true, "first_value": true, "last_value": true, "nth_value": true,
}

// choiceVisitor looks for what depends on the order of rows.
type choiceVisitor struct {
	chooses bool
	sources int
}

// Enter implements ast.Visitor.
func (v *choiceVisitor) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.Limit:
		v.chooses = true
	case *ast.WindowFuncExpr:
		v.chooses = v.chooses || bySequence[lower(n.Name)]
	case *ast.FrameClause:
		v.chooses = v.chooses || n.Type == ast.Rows
	case *ast.TableSource: // a query in FROM has sources of its own, or is one
		var within choiceVisitor
		if _, table := n.Source.(*ast.TableName); !table {
			n.Source.Accept(&within)
		}
		if within.sources == 0 {
			v.sources++
		}
	}
	return n, false
}

// Leave implements ast.Visitor.
func (v *choiceVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }
