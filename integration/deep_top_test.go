package integration

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// windows is a block with window functions.
func (g *deep) windows(s scope, depth int) query {
	f := g.from(s.outer, depth)
	in := scope{cols: f.cols, outer: s.outer}
	items := []val{g.column(in, false)}
	var q query
	if f.unique != nil {
		q.unique = []int{}
		for _, u := range f.unique {
			q.unique = append(q.unique, len(items))
			items = append(items, u)
		}
	}
	named := ""
	for range 1 + g.n(2) {
		v, over := g.window(in, f)
		if named == "" && over != "" && g.chance(25) {
			named = over
			over = "w"
		} else {
			over = "(" + over + ")"
		}
		v.sql += " OVER " + over
		items = append(items, v)
	}
	list, cols := shown(items)
	q.cols = cols
	q.sql = "SELECT " + list + " FROM " + f.sql + g.where(f, in, depth)
	if named != "" {
		q.sql += " WINDOW w AS (" + named + ")"
	}
	return q
}

// window is a function and what it is over. Functions that depend on the
// sequence of ties need an order without ties.
func (g *deep) window(in scope, f rel) (val, string) {
	over := ""
	if g.chance(60) {
		over = "PARTITION BY " + g.column(in, false).sql
		if g.chance(30) {
			over += ", " + g.column(in, false).sql
		}
	}
	c := g.column(in, false)
	whole := []val{
		{sql: "COUNT(*)", k: kInt}, {sql: "SUM(" + g.expr(kInt, "", in, 1).sql + ")", k: kDec}, {sql: "COUNT(" + c.sql + ")", k: kInt},
		{sql: "AVG(" + g.expr(kDec, "", in, 0).sql + ")", k: kDec}, {sql: "MAX(" + g.expr(kDate, "", in, 0).sql + ")", k: kDate},
	}
	if f.unique == nil || g.chance(30) {
		if g.chance(50) {
			by := g.column(in, false)
			return one1(g, append(whole, val{sql: "RANK()", k: kInt}, val{sql: "DENSE_RANK()", k: kInt}, val{sql: "CUME_DIST()", k: kDouble}, val{sql: "PERCENT_RANK()", k: kDouble})),
				strings.TrimSpace(over + " ORDER BY " + by.sql + one1(g, []string{"", " DESC"}))
		}
		return one1(g, whole), over
	}
	over = strings.TrimSpace(over + " ORDER BY ")
	over += " " + one1(g, []string{"", g.column(in, false).sql + one1(g, []string{"", " DESC"}) + ", "}) + join(f.unique)
	c.show = asIs
	at := func(sql string) val { v := c; v.sql = sql; return v }
	framed := append(whole, at("FIRST_VALUE("+c.sql+")"), at("LAST_VALUE("+c.sql+")"), at("NTH_VALUE("+c.sql+", 2)"))
	if g.chance(45) {
		return one1(g, framed), over + one1(g, []string{
			" ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING", " ROWS 2 PRECEDING",
			" ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING", " RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING", "",
		})
	}
	return one1(g, []val{{sql: "ROW_NUMBER()", k: kInt}, {sql: "NTILE(3)", k: kInt}, at("LAG(" + c.sql + ")"), at("LEAD(" + c.sql + ", 2)"), {sql: "RANK()", k: kInt}}), over
}

// setOperation is two or three blocks of the same columns.
func (g *deep) setOperation(s scope, depth int, want []val) query {
	if want == nil {
		for range 1 + g.n(3) {
			k := one1(g, []kind{kInt, kText, kDec, kDate, kBig, kDatetime})
			w := val{k: k}
			if k == kText {
				w.coll = g.anyCollation()
			}
			want = append(want, w)
		}
	}
	first := g.arm(s, depth-1, want)
	q := query{sql: first.sql, cols: slices.Clone(first.cols)}
	all := true
	for range 1 + g.n(2) {
		o := g.arm(s, depth-1, want)
		words := []string{" UNION ALL ", " UNION ", " INTERSECT ", " EXCEPT ", " UNION DISTINCT "}
		if g.chance(15) {
			words = []string{" EXCEPT ALL ", " INTERSECT ALL "}
		}
		word := one1(g, words)
		all = all && word == " UNION ALL "
		if g.chance(20) && !strings.HasPrefix(q.sql, "WITH") {
			q.sql = "(" + q.sql + ")" + word + o.sql
		} else {
			q.sql += word + o.sql
		}
	}
	for i := range q.cols {
		q.cols[i].sql = fmt.Sprintf("c%d", i+1)
		q.cols[i].fuzzy = q.cols[i].fuzzy || q.cols[i].k == kText
		q.cols[i].show = asIs
		if !all {
			q.unique = append(q.unique, i)
		}
	}
	q.unique = nil // INTERSECT before UNION, ALL behind DISTINCT: not worth knowing
	return q
}

// arm is a part of a set operation.
func (g *deep) arm(s scope, depth int, want []val) query {
	if depth > 0 && g.chance(20) {
		q := g.setOperation(s, depth, want)
		q.sql = "(" + q.sql + ")"
		return q
	}
	if g.chance(70) {
		return g.rows(s, depth, want)
	}
	q := g.groups(s, max(depth, 0), want)
	return q
}

// deepStatement is a query and how its answer is compared.
type deepStatement struct {
	sql  string
	args []any
	cols []val
	// sequence: ORDER BY leaves no choice but of values that are equal.
	sequence bool
	// exact: not even of those.
	exact bool
	// cut: LIMIT over an order that leaves a choice; only the number of rows is sure.
	cut bool
}

// statement is a whole query.
func (g *deep) statement(params bool) deepStatement {
	g.params, g.args, g.next, g.ctes, g.made, g.plain = params, nil, 0, nil, nil, map[string]bool{}
	with := g.with()
	q := g.block(scope{}, 1+g.n(3), nil)
	st := deepStatement{cols: q.cols}
	sql := q.sql
	rollup := strings.Contains(sql, "WITH ROLLUP") // MariaDB sorts no rollup
	if order := g.order(q); order != "" && (!rollup || g.engine == mysqlproc.MySQL) {
		sql += order
		st.sequence = true
		st.exact = q.unique != nil && !slices.ContainsFunc(q.cols, func(c val) bool { return c.fuzzy })
	}
	if g.chance(30) && (!rollup || st.sequence) {
		st.cut = !st.sequence
		sql += one1(g, []string{" LIMIT 5", " LIMIT 3 OFFSET 2", " LIMIT 4, 10", " LIMIT 0", " LIMIT 1"})
	}
	st.sql, st.args = g.markers(with + sql)
	return st
}

// order is an ORDER BY over all that is shown, or over what tells rows apart
// behind something else.
func (g *deep) order(q query) string {
	if !g.chance(70) {
		return ""
	}
	var parts []string
	direction := func() string { return one1(g, []string{"", " DESC", " ASC"}) }
	if q.unique != nil {
		if i := g.n(len(q.cols)); g.chance(60) && q.cols[i].k != kJSON && q.cols[i].show == asIs {
			parts = append(parts, q.cols[i].sql+direction())
		}
		for _, i := range q.unique {
			parts = append(parts, one1(g, []string{q.cols[i].sql, strconv.Itoa(i + 1)})+direction())
		}
		if len(parts) == 0 {
			return ""
		}
		return " ORDER BY " + strings.Join(parts, ", ")
	}
	for i, c := range q.cols {
		if c.k == kJSON || c.show != asIs {
			return ""
		}
		parts = append(parts, strconv.Itoa(i+1)+direction())
	}
	return " ORDER BY " + strings.Join(parts, ", ")
}

// with makes CTEs that the query may name, several times.
func (g *deep) with() string {
	if !g.chance(25) {
		return ""
	}
	if g.chance(20) {
		return g.recursive()
	}
	g.inCTE = true
	defer func() { g.inCTE = false }()
	var parts []string
	for i := range 1 + g.n(2) {
		q := g.block(scope{}, 1, nil)
		name := fmt.Sprintf("w%d", i+1)
		list := ""
		if g.chance(30) {
			var names []string
			for j := range q.cols {
				q.cols[j].sql = fmt.Sprintf("v%d", j+1)
				names = append(names, q.cols[j].sql)
			}
			list = " (" + strings.Join(names, ", ") + ")"
		}
		parts = append(parts, name+list+" AS ("+q.sql+")")
		if g.inline {
			q.sql, q.list = "("+q.sql+")", list
		} else {
			q.sql = name
		}
		g.ctes = append(g.ctes, q)
	}
	if g.inline {
		return ""
	}
	return "WITH " + strings.Join(parts, ", ") + " "
}

func (g *deep) recursive() string {
	step := one1(g, []string{
		"SELECT n + 1, depth + 1 FROM r WHERE depth < 4",
		"SELECT line.n, r.depth + 1 FROM r JOIN line ON line.id = r.n WHERE r.depth < 3",
		"SELECT acct.i, r.depth + 1 FROM acct, r WHERE acct.id = r.n AND r.depth < 3",
	})
	start := one1(g, []string{"SELECT id, 1 FROM acct WHERE id < 4", "SELECT 1, 1", "SELECT id, 0 FROM away", "SELECT MIN(id), 0 FROM line"})
	g.ctes = append(g.ctes, query{sql: "r", cols: []val{{sql: "n", k: kInt}, {sql: "depth", k: kInt}}})
	return "WITH RECURSIVE r (n, depth) AS (" + start + one1(g, []string{" UNION ALL ", " UNION "}) + step + ") "
}
