package router

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// A row of one table matters only if it equals a row of another one in some
// column, where a condition says so that filters it: an inner join's, an outer
// join's for the table it may replace by NULLs, that of a subquery for the tables
// within, IN (SELECT …) both ways. So where one table is asked for few rows they
// are read first, and their values go to the other one's shards as a list. The
// client's own text asks everything again, so what is sent needs only to let
// pass all that matter.

// meeting says that a row of to matters only if it has the value of some row of
// from.
type meeting struct {
	from, to   *ref
	fromC, toC *catalog.Column
	kind       plan.ReduceKind
	charset    string
}

// Ranks of fragments: how many rows are to be expected.
const (
	rankFew   = iota // the sharding key or the primary key has given values
	rankEqual        // another column has, or one of a global table it is joined to
	rankMet          // it meets one with few rows
	rankSome         // there are conditions
	rankAll
)

// reduce decides which fragments are read after others. Those with few rows are
// settled first; one that more is expected of is reduced by the settled one with
// the fewest that it meets. One whose rows several references share must be met
// in the same column for each of them, or each needs one of them that is met.
func (s *sharing) reduce() {
	all := s.meetings()
	if len(all) == 0 {
		return
	}
	settled := map[int]int{} // fragment to rank
	for rank := rankFew; rank <= rankAll; rank++ {
		for _, i := range s.first {
			if _, done := settled[i]; !done && s.rank(i) == rank && (rank != rankEqual || !s.waits(all, i)) {
				settled[i] = rank
			}
		}
		if rank < rankAll {
			s.spread(all, settled)
		}
		for _, i := range s.first { // one that waits for one that waits for it
			if _, done := settled[i]; !done && s.rank(i) == rank {
				settled[i] = rank
			}
		}
	}
}

// spread has settled fragments reduce those that they meet, and these others.
func (s *sharing) spread(all []meeting, settled map[int]int) {
	for {
		best, column := -1, 0
		for i, m := range all {
			if best >= 0 && !s.earlier(s.of(m.from), s.of(all[best].from), settled) {
				continue
			}
			if c, ok := s.reducible(all, m, settled); ok {
				best, column = i, c
			}
		}
		if best < 0 {
			return
		}
		m := all[best]
		from, to := s.of(m.from), s.of(m.to)
		s.n.Fragments[to].Reduce = &plan.Reduce{From: from, Column: column, Name: m.toC.Name, Kind: m.kind, Charset: m.charset,
			SQL: sqlval.QuoteName(s.refs[nameOf(m.to)][0].alias) + "." + sqlval.QuoteName(m.toC.Name), Key: m.to.isKey(m.toC.Name)}
		if !s.forEach(all, m) {
			s.askWithin(s.n.Fragments[to], m)
		}
		settled[to] = max(settled[from], rankMet)
	}
}

// earlier: of fragment i fewer rows are expected than of j, or as few without
// waiting for another.
func (s *sharing) earlier(i, j int, settled map[int]int) bool {
	if settled[i] != settled[j] {
		return settled[i] < settled[j]
	}
	return s.n.Fragments[i].Reduce == nil && s.n.Fragments[j].Reduce != nil
}

// everyWay: whichever reference needs a row of what the meeting is to, it, or a
// partner it must have on its shard, is the one that meets.
func (s *sharing) everyWay(m meeting) bool {
	sieve := s.sieves[s.of(m.to)]
	for _, way := range sieve.ways {
		if !slices.ContainsFunc(way, func(i int) bool { return sieve.places[i].ref == m.to }) {
			return false
		}
	}
	return len(sieve.ways) > 0
}

// askWithin has the values asked for where the meeting's reference stands in the
// fragment's text.
func (s *sharing) askWithin(f *plan.Fragment, m meeting) {
	f.Reduce.Within, f.Reduce.Key = true, false
	sieve := s.sieves[s.of(m.to)]
	for i := range f.Route.SQL {
		c := &f.Route.SQL[i]
		if c.Kind == plan.ChunkReduce && c.Index > 0 && sieve.places[c.Index-1].ref == m.to {
			c.Text = sqlval.QuoteName(sieve.places[c.Index-1].alias) + "." + sqlval.QuoteName(m.toC.Name)
		}
	}
}

// reducible: what the meeting is to is not settled yet, and reduced by what it is
// from, in whose fragment the column has this number.
func (s *sharing) reducible(all []meeting, m meeting, settled map[int]int) (column int, ok bool) {
	from, to := s.of(m.from), s.of(m.to)
	rank, ready := settled[from]
	if isInformation(m.from.schema) || isInformation(m.to.schema) {
		return 0, false // its columns' collations are not those it says they have
	}
	if _, done := settled[to]; !ready || done || rank > s.rank(to) || !s.forEach(all, m) && !s.everyWay(m) {
		return 0, false
	}
	column = slices.IndexFunc(s.n.Fragments[from].Columns, func(c plan.FragmentColumn) bool { return c.Name == m.fromC.Name })
	return column, column >= 0
}

// forEach: what the meeting says of one reference of a table is said of all of
// them, with the same fragment's same column.
func (s *sharing) forEach(all []meeting, m meeting) bool {
	for _, r := range s.refs[nameOf(m.to)] {
		if !slices.ContainsFunc(all, func(x meeting) bool {
			return x.to == r && x.toC.Name == m.toC.Name && s.of(x.from) == s.of(m.from) && x.fromC.Name == m.fromC.Name
		}) {
			return false
		}
	}
	return true
}

func nameOf(r *ref) parser.TableName { return parser.TableName{Schema: r.schema, Table: r.table} }

// of is the fragment that reads a reference's table.
func (s *sharing) of(r *ref) int { return s.first[nameOf(r)] }

// rank of a fragment by what its references ask.
func (s *sharing) rank(i int) int {
	rank := rankFew
	for name, refs := range s.refs {
		if s.first[name] != i {
			continue
		}
		for _, r := range refs {
			rank = max(rank, s.rankOf(r))
		}
	}
	return rank
}

func (s *sharing) rankOf(r *ref) int {
	if r.sharded() && few(s.sc.conditionOf(r, func(g *group) bool { return g == r.group })) {
		return rankFew
	}
	rank := s.asked(r)
	if rank <= rankEqual {
		return rank
	}
	for _, c := range s.sc.conjuncts {
		e, ok := strip(c.expr).(*ast.BinaryOperationExpr)
		if !ok || e.Op != opcode.EQ || c.group != r.group {
			continue
		}
		x, _ := plainColumn(c.block, e.L)
		y, _ := plainColumn(c.block, e.R)
		if y == r {
			x, y = y, x
		}
		if x == r && y != nil && y.global() && r.group.within(y.group) && beside(r, y) && s.asked(y) <= rankEqual {
			return rankEqual // the sieve asks for that
		}
	}
	return rank
}

// asked is the rank by what is asked of the reference itself.
func (s *sharing) asked(r *ref) int {
	given, rank := map[string]bool{}, rankAll
	for _, c := range s.sc.conjuncts {
		if c.group != r.group || c.block != r.block {
			continue
		}
		column, how := s.compared(c.expr, r)
		rank = min(rank, how)
		if how == rankEqual && column != "" {
			given[strings.ToLower(column)] = true
		}
	}
	keyed := len(r.entry.PrimaryKey) > 0
	for _, k := range r.entry.PrimaryKey {
		keyed = keyed && given[strings.ToLower(k)]
	}
	if keyed {
		return rankFew
	}
	return rank
}

// few: the condition names the values.
func few(c plan.Cond) bool {
	switch c := c.(type) {
	case plan.Equal, plan.In, plan.None:
		return true
	case plan.And:
		return slices.ContainsFunc(c, few)
	case plan.Or:
		return len(c) > 0 && !slices.ContainsFunc(c, func(x plan.Cond) bool { return !few(x) })
	}
	return false
}

// compared is what a condition on r asks: rankEqual where it compares with given
// values by = or IN, rankSome where it compares otherwise, rankAll where it is
// none on r alone. column is what it compares, empty where that is no plain one
// or not the same one always.
func (s *sharing) compared(e ast.ExprNode, r *ref) (column string, rank int) {
	value := func(e ast.ExprNode) bool { _, ok := s.st.Operand(e); return ok }
	of := func(e ast.ExprNode, rank int) (string, int) {
		if to, c := plainColumn(r.block, e); to == r {
			return c.Name, rank
		}
		if s.ofAlone(e, r) {
			return "", max(rank, rankSome)
		}
		return "", rankAll
	}
	switch e := strip(e).(type) {
	case *ast.BinaryOperationExpr:
		switch e.Op {
		case opcode.LogicOr:
			return "", max(s.either(e.L, r), s.either(e.R, r))
		case opcode.EQ, opcode.LT, opcode.LE, opcode.GT, opcode.GE:
			rank := rankSome
			if e.Op == opcode.EQ {
				rank = rankEqual
			}
			if value(e.R) {
				return of(e.L, rank)
			}
			if value(e.L) {
				return of(e.R, rank)
			}
		}
	case *ast.PatternInExpr:
		if !e.Not && e.Sel == nil {
			return of(e.Expr, rankEqual)
		}
	case *ast.BetweenExpr:
		if !e.Not {
			return of(e.Expr, rankSome)
		}
	case *ast.PatternLikeOrIlikeExpr:
		if !e.Not {
			return of(e.Expr, rankSome)
		}
	}
	return "", rankAll
}

// ofAlone: the expression is of columns of r and no other.
func (s *sharing) ofAlone(e ast.ExprNode, r *ref) bool {
	names := columnsIn(e)
	for _, n := range names {
		if r.block.resolve(n) != r {
			return false
		}
	}
	return len(names) > 0 && len(findSubqueries(e)) == 0
}

// either is the rank of one side of an OR.
func (s *sharing) either(side ast.ExprNode, r *ref) int {
	rank := rankAll
	for _, e := range splitAnd(side, nil) {
		_, how := s.compared(e, r)
		rank = min(rank, how)
	}
	return rank
}

// meetings are what the conditions say about rows that meet.
func (s *sharing) meetings() []meeting {
	var out []meeting
	for _, c := range s.sc.conjuncts {
		for _, e := range s.equalities(c.block, c.expr) {
			x, xc := plainColumn(c.block, e.L)
			y, yc := plainColumn(c.block, e.R)
			out = s.meet(out, x, xc, y, yc, c.group)
		}
		if e, ok := strip(c.expr).(*ast.PatternInExpr); ok && e.Sel != nil && !e.Not {
			out = s.meetIn(out, e, c)
		}
	}
	return following(out)
}

// meetIn is "x IN (SELECT y …)".
func (s *sharing) meetIn(out []meeting, in *ast.PatternInExpr, c conjunct) []meeting {
	q, ok := in.Sel.(*ast.SubqueryExpr)
	if !ok {
		return out
	}
	sel, ok := q.Query.(*ast.SelectStmt)
	if !ok || sel.Limit != nil || sel.GroupBy != nil || sel.Having != nil || sel.Fields == nil ||
		len(sel.Fields.Fields) != 1 || sel.Fields.Fields[0].Expr == nil || len(sel.WindowSpecs) > 0 {
		return out
	}
	for _, b := range s.sc.blocks {
		if b.sel != sel {
			continue
		}
		x, xc := plainColumn(c.block, in.Expr)
		y, yc := plainColumn(b, sel.Fields.Fields[0].Expr)
		if y == nil || y.block != b {
			return out
		}
		return s.meet(out, x, xc, y, yc, c.group)
	}
	return out
}

// meet adds the equality of two columns by a condition of group g.
func (s *sharing) meet(out []meeting, x *ref, xc *catalog.Column, y *ref, yc *catalog.Column, g *group) []meeting {
	if x == nil || y == nil || x == y {
		return out
	}
	kind, charset, ok := alike(xc, yc)
	if !ok {
		return out
	}
	if y.group.within(g) {
		out = append(out, meeting{from: x, to: y, fromC: xc, toC: yc, kind: kind, charset: charset})
	}
	if x.group.within(g) {
		out = append(out, meeting{from: y, to: x, fromC: yc, toC: xc, kind: kind, charset: charset})
	}
	return out
}

// plainColumn is the table and column an expression certainly is.
func plainColumn(b *block, e ast.ExprNode) (*ref, *catalog.Column) {
	c, ok := strip(e).(*ast.ColumnNameExpr)
	if !ok {
		return nil, nil
	}
	r := b.resolve(c.Name)
	if r == nil || c.Name.Table.L == "" && containsName(r.block.using, c.Name.Name.L) {
		return nil, nil
	}
	column := r.column(c.Name.Name.L)
	if column == nil {
		return nil, nil
	}
	return r, column
}

// alike: a value of one column, written as it was carried, compares with the
// other column as the columns do with each other.
func alike(x, y *catalog.Column) (kind plan.ReduceKind, charset string, ok bool) {
	switch {
	case exactNumber(x) && exactNumber(y):
		return plan.ReduceNumber, "", true
	case x.DataType == "date" && y.DataType == "date":
		return plan.ReduceDate, "", true
	case isText(x) && isText(y) && x.Collation != "" && x.Collation == y.Collation:
		charset, _, _ = strings.Cut(x.Collation, "_")
		return plan.ReduceText, charset, true
	}
	return 0, "", false
}

func exactNumber(c *catalog.Column) bool {
	switch c.DataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal":
		return true
	}
	return false
}

func isText(c *catalog.Column) bool { return c.DataType == "varchar" || c.DataType == "char" }
