package router

import (
	"strconv"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Which rows of a table reference can matter is told by the conditions of its
// own group, and by the tables it is joined to, as far as their rows are on the
// same shard: a row without a partner there that passes what is asked of the
// partner is in no result. Each is only a sieve: the client's own text asks
// everything again of what has passed.

// mostPartners bounds the subqueries in one fragment's text, and nestedPartners
// how deep they stand.
const (
	mostPartners   = 12
	nestedPartners = 3
)

// sievePlace is a reference whose column may be asked for a list of values where it
// stands in a fragment's text, called alias there.
type sievePlace struct {
	ref   *ref
	alias string
}

// sieved is the WHERE of a fragment that is read for the references of a table:
// of the rows that any of them needs, empty for all rows.
type sieved struct {
	where plan.Template
	// tables are those that stand in the text, the fragment's own first.
	tables []plan.TableRef
	places []sievePlace
	// ways are the numbers of the places in what one reference needs, for each.
	ways [][]int
}

// sieve makes the WHERE for the references.
func (p *planning) sieve(refs []*ref, self plan.TableRef) sieved {
	w := &pusher{planning: p, names: map[*ref]string{}, tables: []plan.TableRef{self}}
	alike := map[string][]*ref{}
	var keys []string
	for _, r := range refs {
		alone := &pusher{planning: p, names: map[*ref]string{}, tables: []plan.TableRef{self}}
		conditions := alone.rowsOf(r, self.Alias, map[*ref]bool{r: true}, 0)
		if len(conditions) == 0 {
			return sieved{tables: []plan.TableRef{self}}
		}
		key := all(conditions).String()
		if alike[key] == nil {
			keys = append(keys, key)
		}
		alike[key] = append(alike[key], r)
	}
	w.either = len(keys) > 1
	var some []plan.Template
	for _, key := range keys {
		r := alike[key][0]
		var own plan.Template
		if len(alike[key]) == 1 { // else it stands for others, too, of which less may be known
			own = w.place(r, self.Alias)
		}
		some = append(some, join(own, all(w.rowsOf(r, self.Alias, map[*ref]bool{r: true}, 0))))
	}
	out := sieved{tables: w.tables, places: w.places}
	for _, t := range some {
		var in []int
		for _, c := range t {
			if c.Kind == plan.ChunkReduce {
				in = append(in, c.Index-1)
			}
		}
		out.ways = append(out.ways, in)
	}
	out.where = sieveWhere(some)
	return out
}

// place makes the place of a list of values for a reference.
func (w *pusher) place(r *ref, alias string) plan.Template {
	w.places = append(w.places, sievePlace{r, alias})
	return plan.Template{{Kind: plan.ChunkReduce, Index: len(w.places)}}
}

func sieveWhere(some []plan.Template) (where plan.Template) {
	where = join(text(" WHERE "), some[0])
	if len(some) > 1 {
		where = text(" WHERE ((")
		for i, s := range some {
			where = join(where, text(pick(i > 0, ") OR (", "")), s)
		}
		where = append(where, text("))")...)
	}
	return where
}

// rowsOf are the conditions on the rows of r, called alias here. seen are the
// tables that are asked already.
func (w *pusher) rowsOf(r *ref, alias string, seen map[*ref]bool, depth int) []plan.Template {
	w.names[r] = alias
	defer delete(w.names, r)
	var out []plan.Template
	for _, c := range w.sc.conjuncts {
		if c.group != r.group || c.block != r.block || depth > 0 && !w.mayNest(r, c.expr) {
			continue
		}
		if t, ok := w.try(c, w.weaker); ok {
			out = append(out, t)
		}
	}
	if depth == nestedPartners {
		return out
	}
	for _, s := range w.sc.refs {
		if seen[s] || len(w.tables) > mostPartners || !beside(r, s) {
			continue
		}
		if t, ok := w.partner(r, s, seen, depth); ok {
			out = append(out, t)
		}
	}
	return out
}

// mayNest: the condition may be asked of r as a partner. One with a subquery
// might become true when rows are taken away, so it must not be in doubt for any
// row of r that is copied: r's table is read for r alone. Of those only IN, for
// which servers compute the subquery once; nested EXISTS they go wrong at.
func (w *pusher) mayNest(r *ref, e ast.ExprNode) bool {
	if len(findSubqueries(e)) == 0 {
		return true
	}
	if in, ok := strip(e).(*ast.PatternInExpr); !ok || in.Not {
		return false
	}
	n := 0
	for _, s := range w.sc.refs {
		if s.schema == r.schema && s.table == r.table {
			n++
		}
	}
	return n == 1
}

// try writes a condition of the query in which only the tables in names stand.
// What it has added to the fragment's tables for nothing is taken back.
func (w *pusher) try(c conjunct, write func(ast.ExprNode) (plan.Template, bool)) (plan.Template, bool) {
	had := len(w.tables)
	block := w.block
	w.block = c.block
	t, ok := write(c.expr)
	w.block = block
	if !ok {
		w.tables = w.tables[:had]
	}
	return t, ok
}

// partner: r's rows need a row of s, and something is asked of that.
func (w *pusher) partner(r, s *ref, seen map[*ref]bool, depth int) (plan.Template, bool) {
	had, placed := len(w.tables), len(w.places)
	alias := w.add(s)
	w.names[s] = alias
	own := w.place(s, alias)
	var joined []plan.Template
	keyed, byKey := s.global(), false
	for _, c := range w.sc.conjuncts {
		if c.group != r.group || !r.group.within(s.group) || !names(c, r, s) {
			continue
		}
		t, ok := w.try(c, w.condition)
		if !ok {
			continue
		}
		joined = append(joined, t)
		byKey = byKey || w.sameKey(c, r, s)
	}
	for _, e := range w.sc.edges {
		if e.in && e.from == s && e.to == r {
			byKey = true
			joined = append(joined, text(sqlval.QuoteName(w.names[r])+"."+sqlval.QuoteName(r.placement().Column.Name)+" = "+
				sqlval.QuoteName(alias)+"."+sqlval.QuoteName(s.placement().Column.Name)))
		}
	}
	delete(w.names, s)
	var asked []plan.Template
	if (keyed || byKey) && len(joined) > 0 {
		seen[s] = true
		asked = w.inside(r, s, alias, seen, depth)
	}
	if len(asked) == 0 {
		w.tables, w.places = w.tables[:had], w.places[:placed]
		return nil, false
	}
	table := plan.Template{{Kind: plan.ChunkTable, Index: had}}
	if byKey && w.either && depth == 0 {
		// Beside an OR servers would look for partners row by row. What does not
		// depend on the row they compute once: all keys that have a partner.
		key := func(of *ref, alias string) plan.Template {
			return text(sqlval.QuoteName(alias) + "." + sqlval.QuoteName(of.placement().Column.Name))
		}
		return join(key(r, w.names[r]), text(" IN (SELECT "), key(s, alias), text(" FROM "), table, text(" WHERE "), own, all(asked), text(")")), true
	}
	return join(text("EXISTS (SELECT 1 FROM "), table, text(" WHERE "), own, all(append(joined, asked...)), text(")")), true
}

// inside is rowsOf for a partner: what is asked of it does not look at r.
func (w *pusher) inside(r, s *ref, alias string, seen map[*ref]bool, depth int) []plan.Template {
	name := w.names[r]
	delete(w.names, r)
	out := w.rowsOf(s, alias, seen, depth+1)
	w.names[r] = name
	return out
}

// add puts a table into the fragment's text, under a name nothing else has.
func (w *pusher) add(s *ref) string {
	alias := "serval_p" + strconv.Itoa(len(w.tables))
	w.tables = append(w.tables, plan.TableRef{Placement: s.placement(), Alias: alias})
	return alias
}

// beside: where a row of r is, all rows of s are that have its key, or s is
// there whole.
func beside(r, s *ref) bool {
	switch {
	case r.placement() == nil || s.placement() == nil || !r.sharded() && !r.global():
		return false
	case s.global():
		return hasCopies(s.placement(), r.placement().Shards)
	}
	return colocated(r, s)
}

func hasCopies(global *shardrule.Placement, shards []topology.Shard) bool {
	for _, s := range shards {
		if _, ok := global.OnCluster(s.Cluster); !ok {
			return false
		}
	}
	return true
}

// sameKey: the condition is that the keys of r and s are equal.
func (w *pusher) sameKey(c conjunct, r, s *ref) bool {
	e, ok := strip(c.expr).(*ast.BinaryOperationExpr)
	if !ok || e.Op != opcode.EQ {
		return false
	}
	x, y := w.sc.keyRef(c.block, e.L), w.sc.keyRef(c.block, e.R)
	return x == r && y == s || x == s && y == r
}

// names: columns of both tables stand in the condition.
func names(c conjunct, r, s *ref) bool {
	var of [2]bool
	for _, name := range columnsIn(c.expr) {
		switch c.block.resolve(name) {
		case r:
			of[0] = true
		case s:
			of[1] = true
		}
	}
	return of[0] && of[1]
}

// subquery writes a subquery all of whose rows that matter are on the shard of
// the row it is asked for; column: of its one column, else only whether there
// are rows.
func (w *pusher) subquery(e ast.ExprNode, column bool) (plan.Template, bool) {
	q, ok := e.(*ast.SubqueryExpr)
	if !ok || len(w.names) != 1 {
		return nil, false
	}
	sel, ok := q.Query.(*ast.SelectStmt)
	if !ok {
		return nil, false
	}
	var b *block
	for _, x := range w.sc.blocks {
		if x.sel == sel {
			b = x
		}
	}
	if b == nil || !plainSelect(sel, b) {
		return nil, false
	}
	for r := range w.names {
		for _, s := range b.refs {
			if s.group != b.group || bound(s.name) || !beside(r, s) || s.sharded() && !contains(w.sc.reach(s), r) {
				return nil, false
			}
		}
	}
	return w.selectSQL(sel, b, column)
}

// plainSelect: tables joined by conditions, groups, and nothing else.
func plainSelect(sel *ast.SelectStmt, b *block) bool {
	return sel.Kind == ast.SelectStmtKindSelect && sel.With == nil && sel.Limit == nil && sel.LockInfo == nil && sel.SelectIntoOpt == nil &&
		len(sel.WindowSpecs) == 0 && len(b.refs) > 0 && len(b.derived) == 0 && !b.natural && len(b.using) == 0 &&
		(sel.GroupBy == nil || !sel.GroupBy.Rollup)
}

func (w *pusher) selectSQL(sel *ast.SelectStmt, b *block, column bool) (plan.Template, bool) {
	outer := w.block
	w.block = b
	defer func() { w.block = outer }()
	from := text(" FROM ")
	for i, s := range b.refs {
		at := len(w.tables)
		w.names[s] = w.add(s)
		defer delete(w.names, s)
		from = join(from, text(pick(i > 0, ", ", "")), plan.Template{{Kind: plan.ChunkTable, Index: at}})
	}
	list, ok := w.list(sel, column)
	if !ok {
		return nil, false
	}
	var where []plan.Template
	for _, c := range w.sc.conjuncts {
		if c.block != b {
			continue
		}
		t, ok := w.condition(c.expr)
		if !ok {
			return nil, false
		}
		where = append(where, t)
	}
	out := join(text("SELECT "), list, from)
	if len(where) > 0 {
		out = join(out, text(" WHERE "), all(where))
	}
	return w.groups(sel, out)
}

// list writes a subquery's select list.
func (w *pusher) list(sel *ast.SelectStmt, column bool) (plan.Template, bool) {
	if column {
		f := sel.Fields.Fields
		if len(f) != 1 || f[0].Expr == nil || f[0].AsName.L != "" {
			return nil, false
		}
		return w.comparand(f[0].Expr)
	}
	return text("1"), sel.GroupBy == nil && sel.Having == nil && len(aggregatesIn(sel.Fields)) == 0
}

// groups writes GROUP BY and HAVING behind a subquery.
func (w *pusher) groups(sel *ast.SelectStmt, out plan.Template) (plan.Template, bool) {
	if sel.GroupBy != nil {
		for i, item := range sel.GroupBy.Items {
			t, ok := w.comparand(item.Expr)
			if !ok {
				return nil, false
			}
			out = join(out, text(pick(i > 0, ", ", " GROUP BY ")), t)
		}
	}
	if sel.Having == nil {
		return out, true
	}
	if sel.GroupBy == nil {
		return nil, false
	}
	w.having = true
	t, ok := w.condition(sel.Having.Expr)
	w.having = false
	return join(out, text(" HAVING "), t), ok
}
