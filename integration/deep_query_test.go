package integration

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// deep makes queries whose answer is determined: by the choice of what is asked
// rather than by looking away from differences. Every choice is a number below
// a bound; those that are made are kept, so that a query can be made smaller by
// choosing less.
type deep struct {
	engine mysqlproc.Engine
	tables []*deepTable
	r      *rand.Rand
	replay []int // choices to be made; behind their end the first of each
	again  bool  // replay
	made   []int
	params bool
	args   []any
	next   int // aliases
	ctes   []query
	inCTE  bool
	inline bool            // CTEs stand where they are named
	plain  map[string]bool // tables that stand without an alias
}

// query is a query block, or several, in parentheses where it needs them.
type query struct {
	sql    string
	cols   []val  // what it shows; sql is the column's name
	list   string // names for the columns, behind its alias
	unique []int  // columns that tell its rows apart; nil: none are known to
}

// n chooses a number below bound.
func (g *deep) n(bound int) int {
	v := 0
	switch {
	case !g.again:
		v = g.r.IntN(bound)
	case len(g.made) < len(g.replay):
		v = g.replay[len(g.made)] % bound
	}
	g.made = append(g.made, v)
	return v
}

func (g *deep) chance(percent int) bool { return g.n(100) >= 100-percent }

func (g *deep) alias() string {
	g.next++
	return fmt.Sprintf("t%d", g.next)
}

// rel is a FROM clause.
type rel struct {
	sql    string
	cols   []val
	unique []val // nil: none are known
	names  []string
	conds  []string // conditions of joins by comma, for WHERE
}

// source is one table reference.
func (g *deep) source(outer []val, depth int) rel {
	if depth > 0 && g.chance(22) {
		q := g.block(scope{}, depth-1, nil)
		return g.derived("("+q.sql+")", q)
	}
	if len(g.ctes) > 0 && g.chance(45) {
		q := one1(g, g.ctes)
		out := g.derived(q.sql, q)
		out.sql += q.list
		return out
	}
	if g.chance(4) {
		return g.constants()
	}
	t := one1(g, g.tables)
	alias := t.name
	text := t.name
	if g.plain[t.name] || !g.chance(30) {
		alias = g.alias()
		text += one1(g, []string{" AS ", " "}) + alias
	}
	g.plain[alias] = true
	out := rel{sql: text}
	for _, c := range t.columns {
		out.cols = append(out.cols, val{sql: alias + "." + c.name, k: c.k, coll: c.coll})
		out.names = append(out.names, c.name)
	}
	for _, i := range t.unique {
		out.unique = append(out.unique, out.cols[i])
	}
	return out
}

func (g *deep) derived(text string, q query) rel {
	alias := g.alias()
	out := rel{sql: text + " AS " + alias}
	for _, c := range q.cols {
		c.sql = alias + "." + c.sql
		out.cols = append(out.cols, c)
	}
	for _, i := range q.unique {
		out.unique = append(out.unique, out.cols[i])
	}
	return out
}

// from is a FROM clause of one to three references.
func (g *deep) from(outer []val, depth int) rel {
	out := g.source(outer, depth)
	commas := g.chance(20) // a join behind a comma binds tighter than it
	for range one1(g, []int{0, 0, 1, 1, 2}) {
		if g.chance(6) {
			out = g.beside(out, commas)
			continue
		}
		o := g.source(outer, depth)
		both := scope{cols: append(slices.Clone(out.cols), o.cols...)}
		shared := sharedName(out, o)
		switch {
		case commas:
			out.sql += ", " + o.sql
			if g.chance(85) {
				out.conds = append(out.conds, g.on(out, o, both))
			}
		case shared != "" && g.chance(25):
			out.sql += one1(g, joinWords) + o.sql + " USING (" + shared + ")"
		case shared != "" && g.chance(15):
			out.sql += one1(g, []string{" NATURAL JOIN ", " NATURAL LEFT JOIN ", " NATURAL RIGHT JOIN "}) + o.sql
		default:
			out.sql += one1(g, joinWords) + o.sql + " ON " + g.on(out, o, both)
		}
		if out.unique != nil && o.unique != nil {
			out.unique = append(slices.Clone(out.unique), o.unique...)
		} else {
			out.unique = nil
		}
		out.cols, out.names = both.cols, nil
	}
	return out
}

var joinWords = []string{" JOIN ", " LEFT JOIN ", " RIGHT JOIN ", " INNER JOIN ", " LEFT OUTER JOIN ", " LEFT JOIN "}

func sharedName(a, b rel) string {
	for _, name := range []string{"id", "ai", "gc", "bn", "d"} {
		if slices.Contains(a.names, name) && slices.Contains(b.names, name) {
			return name
		}
	}
	return ""
}

// on is a join condition: mostly an equality of columns of a kind, the keys
// before others.
func (g *deep) on(a, b rel, both scope) string {
	var pairs []string
	for _, x := range a.cols {
		for _, y := range b.cols {
			if x.k == y.k && x.coll == y.coll && x.k != kJSON && x.show == asIs && y.show == asIs {
				pairs = append(pairs, x.sql+" = "+y.sql)
			}
		}
	}
	if len(pairs) == 0 || g.chance(10) {
		return g.cond(both, 1)
	}
	text := pairs[0]
	if g.chance(50) {
		text = one1(g, pairs)
	}
	if g.chance(15) {
		text = strings.Replace(text, " = ", one1(g, []string{" <=> ", " < ", " >= "}), 1)
	}
	if g.chance(30) {
		text += one1(g, []string{" AND ", " AND ", " OR "}) + g.cond(both, 1)
	}
	if g.chance(8) {
		text += " AND " + g.subqueryCond(both, 0)
	}
	return text
}

// items are the columns a block shows: those wanted, or some.
func (g *deep) items(s scope, depth int, want []val) []val {
	if want != nil {
		out := make([]val, len(want))
		for i, w := range want {
			out[i] = g.compared(w.k, w.coll, s, depth)
		}
		return out
	}
	var out []val
	for range 1 + g.n(4) {
		if g.chance(50) {
			out = append(out, g.column(s, false))
			continue
		}
		k := one1(g, append(orderedKinds, kJSON, kInt, kText, kDec))
		coll := ""
		if k == kText {
			coll = g.anyCollation()
		}
		out = append(out, g.expr(k, coll, s, depth))
	}
	return out
}

func (g *deep) anyCollation() string {
	ai, gc, bn, np := collations(g.engine)
	return one1(g, []string{ai, gc, bn, np})
}

// shown names what a block shows c1, c2, …: the columns it has for who asks it.
func shown(items []val) (string, []val) {
	var parts []string
	cols := slices.Clone(items)
	for i, v := range items {
		name := fmt.Sprintf("c%d", i+1)
		parts = append(parts, v.sql+" AS "+name)
		cols[i].sql = name
	}
	return strings.Join(parts, ", "), cols
}

// block is any query that shows columns of the kinds wanted, or some.
func (g *deep) block(s scope, depth int, want []val) query {
	if depth <= 0 {
		return g.rows(s, 0, want)
	}
	switch g.n(10) {
	case 0, 1, 2, 3:
		return g.rows(s, depth, want)
	case 4:
		return g.distinct(s, depth, want)
	case 5, 6:
		return g.groups(s, depth, want)
	case 7:
		if want == nil {
			return g.windows(s, depth)
		}
	case 8:
		return g.setOperation(s, depth, want)
	}
	return g.rows(s, depth, want)
}

// rows is a block without grouping.
func (g *deep) rows(s scope, depth int, want []val) query {
	f := g.from(s.outer, depth)
	in := scope{cols: f.cols, outer: s.outer}
	items := g.items(in, min(depth, 2), want)
	var q query
	if want == nil && f.unique != nil && g.chance(60) {
		q.unique = []int{}
		for _, u := range f.unique {
			q.unique = append(q.unique, len(items))
			items = append(items, u)
		}
	}
	list, cols := shown(items)
	q.cols = cols
	q.sql = "SELECT " + list + " FROM " + f.sql + g.where(f, in, depth)
	return q
}

func (g *deep) distinct(s scope, depth int, want []val) query {
	f := g.from(s.outer, depth)
	in := scope{cols: f.cols, outer: s.outer}
	items := g.items(in, min(depth, 2), want)
	if want == nil {
		items = append(items, f.cols[0]) // of constants alone MariaDB's DISTINCT forgets the OFFSET
	}
	list, cols := shown(items)
	q := query{sql: "SELECT DISTINCT " + list + " FROM " + f.sql + g.where(f, in, depth)}
	for i := range cols {
		cols[i].fuzzy = cols[i].k == kText
		q.unique = append(q.unique, i)
	}
	q.cols = cols
	if slices.ContainsFunc(cols, func(c val) bool { return c.k == kJSON }) {
		q.unique = nil
	}
	return q
}

// groups is a block with GROUP BY, or with aggregates over all.
func (g *deep) groups(s scope, depth int, want []val) query {
	f := g.from(s.outer, depth)
	in := scope{cols: f.cols, outer: s.outer}
	params := g.params
	g.params = false // a key with a parameter is another expression each time
	var keys []val
	for range one1(g, []int{1, 1, 2, 0, 3}) {
		k := g.column(in, false)
		if g.chance(25) {
			k = g.expr(one1(g, []kind{kInt, kText, kDec, kDate}), "", scope{cols: in.cols, grouped: true}, 1)
		}
		if strings.ContainsAny(k.sql, "0123456789'") && !strings.ContainsRune(k.sql, '.') {
			continue // a constant would be a position
		}
		k.fuzzy = k.fuzzy || k.k == kText
		keys = append(keys, k)
	}
	g.params = params
	post := scope{cols: slices.Clone(keys), grouped: true}
	for range 1 + g.n(3) {
		post.cols = append(post.cols, g.aggregate(in, f, depth))
	}
	if g.engine == mysqlproc.MySQL && len(keys) > 0 && g.chance(6) {
		anyKey := one1(g, keys)
		anyKey.sql = "ANY_VALUE(" + anyKey.sql + ")"
		post.cols = append(post.cols, anyKey)
	}
	rollup := want == nil && len(keys) > 0 && g.chance(12)
	items := slices.Clone(post.cols)
	switch {
	case want != nil:
		items = g.items(post, 1, want)
	case rollup && g.engine == mysqlproc.MySQL && g.chance(50):
		items = append(items, val{sql: "GROUPING(" + keys[0].sql + ")", k: kInt})
	case g.chance(25):
		items = append(items, g.expr(one1(g, []kind{kInt, kDec}), "", post, 1))
	}
	list, cols := shown(items)
	q := query{cols: cols, sql: "SELECT " + list + " FROM " + f.sql + g.where(f, in, depth)}
	if len(keys) > 0 {
		q.sql += " GROUP BY " + join(keys)
	}
	if rollup {
		q.sql += " WITH ROLLUP"
	} else if want == nil {
		q.unique = []int{}
		for i := range keys {
			q.unique = append(q.unique, i)
		}
	}
	if g.chance(20) && !rollup {
		// Of a key that is an expression HAVING does not find the columns.
		post.cols = slices.DeleteFunc(post.cols, func(c val) bool { return slices.Contains(keys, c) && strings.ContainsAny(c.sql, "( ") })
		q.sql += " HAVING " + g.cond(post, 1)
	}
	return q
}

// aggregate is one over the rows of f.
func (g *deep) aggregate(in scope, f rel, depth int) val {
	if g.engine == mysqlproc.MariaDB {
		in.grouped = true // of a subquery over a CTE in an aggregate it says that the group function is invalid
	}
	e := func(k kind) string { return g.expr(k, "", in, min(depth, 1)).sql }
	c := g.column(in, false)
	maxmin := c
	maxmin.sql, maxmin.fuzzy = one1(g, []string{"MAX(", "MIN("})+c.sql+")", c.fuzzy || c.k == kText
	if c.k == kEnum || c.k == kSet {
		maxmin.k = kJSON // what it is, servers do not agree on: only shown
	}
	of := func(k kind, sql string) func() val { return func() val { return val{sql: sql, k: k} } }
	sorted := ""
	if f.unique != nil {
		sorted = " ORDER BY " + join(f.unique)
	}
	return one1(g, []func() val{
		of(kInt, "COUNT(*)"),
		of(kInt, "COUNT("+c.sql+")"),
		func() val { return maxmin },
		func() val { return val{sql: "SUM(" + e(kInt) + ")", k: kDec} },
		func() val { return val{sql: "SUM(" + e(kDec) + ")", k: kDec} },
		func() val { return val{sql: "AVG(" + e(one1(g, []kind{kInt, kDec, kBig})) + ")", k: kDec} },
		func() val { return val{sql: "SUM(" + e(kUbig) + ")", k: kDec} },
		func() val { return val{sql: "SUM(" + e(kDouble) + ")", k: kDouble} },
		of(kInt, "COUNT(DISTINCT "+c.sql+")"),
		func() val { return val{sql: "COUNT(DISTINCT " + c.sql + ", " + g.column(in, false).sql + ")", k: kInt} },
		func() val {
			if g.inCTE && g.engine == mysqlproc.MariaDB {
				return val{sql: "COUNT(*)", k: kInt} // of a CTE named twice it says that the group function is invalid, or ends
			}
			return val{sql: one1(g, []string{"SUM", "AVG"}) + "(DISTINCT " + e(one1(g, []kind{kInt, kDec})) + ")", k: kDec}
		},
		func() val {
			return val{sql: one1(g, []string{"BIT_OR(", "BIT_AND(", "BIT_XOR("}) + e(one1(g, []kind{kInt, kUbig})) + ")", k: kUbig}
		},
		func() val {
			return val{sql: one1(g, []string{"STDDEV(", "STDDEV_SAMP(", "VARIANCE(", "VAR_SAMP("}) + e(one1(g, []kind{kInt, kDec})) + ")", k: kDouble, show: rounded}
		},
		func() val { return g.concat(in, sorted) },
		func() val {
			return val{sql: "JSON_ARRAYAGG(" + e(one1(g, []kind{kInt, kDec, kText})) + ")", k: kJSON, show: jsonList}
		},
		func() val { return val{sql: "SUM(" + g.cond(in, 0) + ")", k: kDec} },
	})()
}

// concat is a GROUP_CONCAT, sorted to the last tie or compared as a list.
func (g *deep) concat(in scope, sorted string) val {
	item := g.expr(one1(g, []kind{kInt, kDec, kDate}), "", in, 0)
	switch g.n(3) {
	case 0:
		return val{sql: "GROUP_CONCAT(DISTINCT " + item.sql + " ORDER BY 1" + one1(g, []string{"", " DESC"}) + ")", k: kText, show: listed}
	case 1:
		if sorted != "" {
			t := g.expr(kText, "", in, 0)
			return val{sql: "GROUP_CONCAT(" + t.sql + sorted + " SEPARATOR " + one1(g, []string{"'-'", "''", "', '"}) + ")", k: kJSON}
		}
	}
	return val{sql: "GROUP_CONCAT(" + item.sql + ")", k: kText, show: listed}
}
