package router

import (
	"slices"
	"strings"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// copiedCTEs are the CTEs of a text without a tree, of which each name gets a
// definition of its own, as in finishing.
type copiedCTEs struct {
	defs []parser.Definition
	// wanted is how many definitions of each are wanted, own which one is being
	// written.
	wanted, own []int
	emitted     int
	// times is how often each is named outside of itself.
	times []int
	// ahead are those computed once, and how many tables of each are read by the
	// text that reads most.
	ahead map[int]int
}

// text is the statement with the names replaced that would open a temporary
// table twice. A table that is named several times gets a copy for each further
// name that is certainly its own, a CTE a further definition; where those are
// not known the server refuses the text. Names of the home's own tables are
// noted.
func (v *verbatim) text(sketch *parser.Sketch) plan.Template {
	v.ctes = copiedCTEs{ahead: map[int]int{}}
	if v.mayCopy(sketch) {
		v.ctes.defs = sketch.Definitions
		v.ctes.restart()
		v.several()
	}
	return v.emit(sketch, v.within)
}

// mayCopy: every name of a CTE is known, and its rows are the same wherever it
// is computed.
func (v *verbatim) mayCopy(sketch *parser.Sketch) bool {
	f := v.facts
	if f.Random || f.Sleep || f.NamedLock || f.Sequence || len(f.UserVarsSet) > 0 {
		return false
	}
	for _, called := range v.calls() { // of name (columns) the name is among them
		if !slices.Contains(sketch.CTEs, called) && !slices.Contains(sketch.Lists, called) {
			return false
		}
	}
	defs := sketch.Definitions
	for i := range defs {
		name := v.cteName(defs[i])
		for at := range v.numbers {
			if strings.EqualFold(at.Table, name) {
				return false
			}
		}
		for _, other := range defs[:i] {
			if strings.EqualFold(v.cteName(other), name) {
				return false
			}
		}
		v.ctes.times = append(v.ctes.times, 0)
		for _, r := range sketch.References {
			if r.Name.Schema != "" || !strings.EqualFold(r.Name.Table, name) {
				continue
			}
			recursive := within(r.Span, defs[i].Span)
			if !r.Certain || recursive && !sketch.Recursive || r.Start < defs[i].Start {
				return false
			}
			if !recursive {
				v.ctes.times[i]++
			}
		}
	}
	return true
}

func (v *verbatim) cteName(d parser.Definition) string {
	return strings.Trim(v.st.Slice(d.Name), "`")
}

func within(s, region parser.Span) bool { return s.Start >= region.Start && s.End <= region.End }

// emit is the text of a part of the statement.
func (v *verbatim) emit(sketch *parser.Sketch, region parser.Span) plan.Template {
	var edits []edit
	inDefinition := func(s parser.Span) bool {
		return slices.ContainsFunc(v.ctes.defs, func(d parser.Definition) bool { return within(d.Span, region) && within(s, d.Span) })
	}
	for _, r := range sketch.References {
		if within(r.Span, region) && !inDefinition(r.Span) {
			edits = append(edits, v.reference(sketch, r)...)
		}
	}
	for i := len(v.ctes.defs) - 1; i >= 0; i-- { // an earlier one is named by later ones
		if d := v.ctes.defs[i]; within(d.Span, region) {
			edits = append(edits, edit{d.Span, v.definitions(sketch, i)})
		}
	}
	return splice(v.st, region, edits)
}

func (v *verbatim) reference(sketch *parser.Sketch, r parser.Reference) []edit {
	for i, d := range v.ctes.defs {
		if r.Name.Schema == "" && strings.EqualFold(r.Name.Table, v.cteName(d)) {
			return v.cte(i, r)
		}
	}
	schema, name := v.names(r.Name)
	cte := r.Name.Schema == "" && slices.Contains(sketch.CTEs, strings.ToLower(r.Name.Table))
	i, copied := v.numbers[plan.TableName{Schema: schema, Table: name}]
	switch {
	case !copied:
		v.n.At.Inside = v.n.At.Inside || !cte
	case !v.named[i]:
		v.named[i] = true
	case r.Certain && !cte && len(v.n.Fragments) < mostFragments:
		return []edit{v.again(i, r)}
	}
	return nil
}

// cte has a name of CTE i read a definition of its own; within its own one, that.
func (v *verbatim) cte(i int, r parser.Reference) []edit {
	k := v.ctes.own[i]
	if !within(r.Span, v.ctes.defs[i].Span) {
		k = v.ctes.wanted[i]
		v.ctes.wanted[i]++
	}
	if k == 0 {
		return nil
	}
	name := copyName(i, k)
	if !r.Aliased {
		name += " AS " + sqlval.QuoteName(r.Name.Table)
	}
	v.n.Texts = append(v.n.Texts, plan.Replaced{With: name, Written: v.st.Slice(r.Span)})
	if !r.Keyword.Empty() {
		return []edit{{parser.Span{Start: r.Keyword.Start, End: r.End}, text("SELECT * FROM " + name)}}
	}
	return []edit{{r.Span, text(name)}}
}

// definitions are all that are wanted of CTE i, with commas between them.
func (v *verbatim) definitions(sketch *parser.Sketch, i int) plan.Template {
	d := v.ctes.defs[i]
	if _, ahead := v.ctes.ahead[i]; ahead {
		return v.rowsOf(i)
	}
	out := text(v.st.Slice(d.Name))
	for k := range max(v.ctes.wanted[i], 1) {
		if v.ctes.emitted++; v.ctes.emitted > mostFragments {
			v.failed = true
			return nil
		}
		if k > 0 {
			v.n.Copies = true
			out = append(out, text(", "+copyName(i, k))...)
		}
		v.ctes.own[i] = k
		out = append(appendPieces(out, v.st.Pieces(d.Name.End, d.Body.Start)), v.emit(sketch, d.Body)...)
	}
	return out
}
