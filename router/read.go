package router

import (
	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// read plans a SELECT with sharded tables.
func read(p *planning) (*plan.Plan, error) {
	if p.st.Kind != parser.KindSelect || !p.hasSharded() {
		return nil, nil
	}
	l, err := p.locate()
	if err != nil {
		if u, ok := p.st.Node.(*ast.SetOprStmt); ok && p.sel == nil {
			return p.union(u)
		}
		return nil, err
	}
	if u, ok := p.st.Node.(*ast.SetOprStmt); ok && l.several {
		if pl, err := p.union(u); err == nil { // the arms' keys may be on different shards
			return pl, nil
		}
	}
	if l.one {
		return p.oneShard(l)
	}
	if err := p.scatterable(); err != nil {
		return nil, err
	}
	return p.scatter(l)
}

// oneShard sends the statement as it is to the shard of its key. A value that
// only a server can compare with the key (text with 7) leaves several shards;
// then it is what it would be without the key.
func (p *planning) oneShard(l *location) (*plan.Plan, error) {
	out := &plan.Plan{ReadOnly: p.readOnly(), Why: l.why}
	if l.root != nil {
		err := p.scatterable()
		if err == nil && merges(p.sel) {
			out.Spread, err = p.scatter(l)
		}
		if p.st.Hints.NoScatter {
			err = refuseNoScatter()
		}
		l.choice.Single = err
		if err == nil && out.Spread != nil {
			l.choice.Single = plan.ErrSpread
		}
	}
	r, err := p.route(l.choice, nil)
	out.Root = r
	return out, err
}

// merges: the shards' rows one after the other are not the answer.
func merges(sel *ast.SelectStmt) bool {
	if sel == nil || sel.OrderBy != nil || sel.Limit != nil || sel.Distinct || sel.GroupBy != nil || sel.Having != nil {
		return true
	}
	var f aggregateFinder
	sel.Fields.Accept(&f)
	return len(f.found)+len(f.windows) > 0
}

// scatterable refuses what must not run once on each shard.
func (p *planning) scatterable() error {
	f := p.facts
	switch {
	case len(f.UserVarsSet) > 0:
		return refuseScatter("a user variable assigned", "each shard would assign its own")
	case f.IntoFile || f.IntoVar:
		return refuseScatter("SELECT … INTO", "each shard would write its own")
	case f.CalcFoundRows:
		return refuseScatter("SQL_CALC_FOUND_ROWS", "each shard would count its own")
	case f.LastInsertID && f.SetsLastInsertID:
		return refuseScatter("LAST_INSERT_ID(expr)", "each shard would set its own")
	case p.relevance():
		return refuseScatter("how well a row matches (MATCH … AGAINST)", "each shard would tell by its own rows; as a condition, with an ORDER BY, it is the same everywhere")
	}
	return nil
}

// refuseScatter is the refusal of what needs all rows in one place.
func refuseScatter(what, why string) error {
	return sqlerr.Refuse(what+" in a statement over several shards", why, "give the sharding key, so that it runs on one shard")
}

// scatter is one SELECT over several shards being planned.
type scatter struct {
	*planning
	loc    *location
	block  *block
	spans  parser.Block
	fields []field
	// shown is the number of shown columns, -1 where a * hides it.
	shown int
	// grouped: GROUP BY or aggregates.
	grouped bool
	// hidden are the columns added behind the shown ones.
	hidden []plan.Template
	// numbered: shards may be asked for fewer rows than the LIMIT, together, if
	// it is known which row is whose.
	numbered bool
	edits    []edit
}

// field is one shown column.
type field struct {
	expr  ast.ExprNode // nil for a column a * stands for
	alias string
	// ref and column are set where the field is a plain column.
	ref    *ref
	column string
	text   string // exprSQL, for comparison
}

func (p *planning) scatter(l *location) (*plan.Plan, error) {
	sp, err := p.spans()
	if err != nil {
		return nil, err
	}
	if p.arm >= len(sp.Arms) {
		return nil, sqlerr.Refuse("this SELECT", "its clauses cannot be told apart", "write it more simply")
	}
	s := &scatter{planning: p, loc: l, block: p.topBlock(), spans: sp.Blocks[sp.Arms[p.arm]]}
	s.expand()
	root, err := s.plan()
	if err != nil {
		return nil, err
	}
	pl := &plan.Plan{Root: root, ReadOnly: p.readOnly(), Why: l.why}
	if _, plain := root.(*plan.Route); !plain {
		if pl.Describe, err = p.route(plan.Choice{Kind: plan.ChooseFirst, Placement: l.choice.Placement}, nil); err != nil {
			return nil, err
		}
	}
	return pl, nil
}

// plan chooses the way the shards' rows are merged.
func (s *scatter) plan() (plan.Node, error) {
	local, err := s.windows()
	if err != nil {
		return nil, err
	}
	sel := s.sel
	s.grouped = sel.GroupBy != nil || s.aggregates()
	switch {
	case sel.GroupBy != nil && sel.GroupBy.Rollup:
		return nil, refuseScatter("GROUP BY … WITH ROLLUP", "its totals are over all shards")
	case s.grouped && !s.groupsAreLocal():
		if local {
			return nil, refuseScatter("a window over groups", "the groups are spread over the shards")
		}
		return s.aggregate()
	case sel.Distinct:
		return s.distinct()
	}
	return s.ordered()
}

// ordered merges rows as they are: MergeSort for ORDER BY, Limit.
func (s *scatter) ordered() (plan.Node, error) {
	var keys []plan.SortKey
	if s.sel.OrderBy != nil {
		for _, item := range s.sel.OrderBy.Items {
			k, err := s.sortKey(item)
			if err != nil {
				return nil, err
			}
			if k.Column >= 0 { // a constant orders nothing
				keys = append(keys, k)
			}
		}
	}
	s.pushLimit()
	s.numbered = len(keys) > 0 && s.sel.Limit != nil
	r, err := s.route(len(keys) > 0)
	if err != nil {
		return nil, err
	}
	var n plan.Node = r
	if len(keys) > 0 {
		n = &plan.MergeSort{Input: n, Keys: keys}
	}
	return s.limited(s.project(n)), nil
}

// route is the shards' statement, with the hidden columns added.
func (s *scatter) route(together bool) (*plan.Route, error) {
	var added plan.Template
	for _, h := range s.hidden {
		added = append(append(added, text(", ")...), h...)
	}
	if s.numbered {
		added = append(added, plan.Chunk{Kind: plan.ChunkArm})
	}
	if len(added) > 0 {
		s.edits = append(s.edits, insertAt(s.spans.List.End, added))
	}
	r, err := s.planning.route(s.loc.choice, s.edits)
	if err != nil {
		return nil, err
	}
	s.splitLists(r)
	r.Hidden, r.Together = len(s.hidden), together
	if s.shown >= 0 && together {
		r.Columns = s.shown + len(s.hidden)
	}
	return r, nil
}

func (s *scatter) project(n plan.Node) plan.Node {
	if len(s.hidden) == 0 {
		return n
	}
	return &plan.Project{Input: n, Keep: s.shown}
}

func (s *scatter) limited(n plan.Node) plan.Node {
	l := s.sel.Limit
	if l == nil {
		return n
	}
	offset := absent
	if l.Offset != nil {
		offset = operand(s.st, l.Offset)
	}
	return &plan.Limit{Input: n, Count: operand(s.st, l.Count), Offset: offset}
}

// pushLimit asks each shard for no more rows than the result can need. Where
// the numbers stand in the text as they are, the clause is left out.
func (s *scatter) pushLimit() {
	l := s.sel.Limit
	if l == nil {
		return
	}
	count, offset := operand(s.st, l.Count), absent
	if l.Offset != nil {
		offset = operand(s.st, l.Offset)
	}
	if count.Value >= 0 && (offset.Absent || offset.Value >= 0) {
		c := plan.Chunk{Kind: plan.ChunkLimit, Index: count.Value, Index2: offset.Value}
		s.edits = append(s.edits, edit{s.spans.Limit.Span, plan.Template{{Kind: plan.ChunkText, Text: "LIMIT "}, c}})
		return
	}
	if offset.Absent {
		return // LIMIT 10, as written
	}
	s.edits = append(s.edits, edit{s.spans.Limit.Span, nil})
}

// orderEnd is where an ORDER BY stands or would stand.
func (s *scatter) orderAt() parser.Span {
	b := s.spans
	if !b.OrderBy.Empty() {
		return b.OrderBy
	}
	for _, sp := range []parser.Span{b.Limit.Span, b.Into, b.Lock} {
		if !sp.Empty() {
			return parser.Span{Start: sp.Start, End: sp.Start}
		}
	}
	return parser.Span{Start: b.End, End: b.End}
}

// setOrder replaces the ORDER BY by positions of columns.
func (s *scatter) setOrder(by string) {
	at := s.orderAt()
	if by != "" {
		by = "ORDER BY " + by
	}
	if at.Empty() && by != "" {
		by = " " + by + " "
		if at.End == s.within.End {
			by = by[:len(by)-1]
		}
	}
	s.edits = append(s.edits, edit{at, text(by)})
}

// hide adds a hidden column and gives its number.
func (s *scatter) hide(t plan.Template) int {
	key := t.String()
	for i, h := range s.hidden {
		if h.String() == key {
			return s.shown + i
		}
	}
	s.hidden = append(s.hidden, t)
	return s.shown + len(s.hidden) - 1
}

// expand lists the shown columns. A * is its tables' columns as the catalog
// knows them.
func (s *scatter) expand() {
	s.shown = 0
	for _, f := range s.sel.Fields.Fields {
		if f.WildCard == nil {
			s.fields = append(s.fields, s.field(f))
			continue
		}
		if !s.star(f.WildCard) {
			s.shown = -1
			return
		}
	}
	s.shown = len(s.fields)
}

func (s *scatter) field(f *ast.SelectField) field {
	out := field{expr: f.Expr, alias: f.AsName.L}
	if c, ok := strip(f.Expr).(*ast.ColumnNameExpr); ok {
		if out.alias == "" {
			out.alias = c.Name.Name.L
		}
		if r := s.block.resolve(c.Name); r != nil {
			out.ref, out.column = r, c.Name.Name.L
		}
	}
	if t, ok := exprSQL(s.st, strip(f.Expr)); ok {
		out.text = t.String()
	}
	return out
}

// star adds the columns a * stands for; false where they are not known.
func (s *scatter) star(w *ast.WildCardField) bool {
	columns, ok := s.block.star(w)
	for _, c := range columns {
		s.fields = append(s.fields, field{alias: c.name, ref: c.ref, column: c.column})
	}
	return ok
}

func hasRightJoin(sel *ast.SelectStmt) bool {
	f := rightJoins{}
	sel.From.Accept(&f)
	return f.found
}

type rightJoins struct{ found bool }

func (f *rightJoins) Enter(n ast.Node) (ast.Node, bool) {
	j, ok := n.(*ast.Join)
	f.found = f.found || ok && j.Tp == ast.RightJoin
	_, sub := n.(*ast.SubqueryExpr)
	return n, sub
}

func (f *rightJoins) Leave(n ast.Node) (ast.Node, bool) { return n, true }
