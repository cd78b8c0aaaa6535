package integration

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// scope is what an expression may name.
type scope struct {
	cols []val
	// outer are columns of the queries around: correlated subqueries use them.
	outer []val
	// grouped: cols are group keys and aggregates; a subquery must not name them.
	grouped bool
}

func (s scope) of(k kind, coll string, fuzzyToo bool) []val {
	var out []val
	for _, c := range s.cols {
		if c.k == k && (coll == "" || c.coll == coll) && (fuzzyToo || !c.fuzzy) && c.show == asIs {
			out = append(out, c)
		}
	}
	return out
}

// compared is any expression of a kind of which only its order and equality are
// used: it may be fuzzy.
func (g *deep) compared(k kind, coll string, s scope, depth int) val {
	if all := s.of(k, coll, true); len(all) > 0 && g.chance(45) {
		return one1(g, all)
	}
	return g.expr(k, coll, s, depth)
}

// expr is an expression of a kind with one answer.
func (g *deep) expr(k kind, coll string, s scope, depth int) val {
	all := s.of(k, coll, false)
	if len(all) > 0 && (depth == 0 || g.chance(55)) {
		return one1(g, all)
	}
	v := val{k: k, coll: coll}
	if depth == 0 {
		v.sql = g.constant(k, coll)
		return v
	}
	if g.chance(12) && !s.grouped {
		if sub, ok := g.scalar(k, coll, s, depth-1); ok {
			return sub
		}
	}
	switch g.n(5) {
	case 0:
		v.sql = g.constant(k, coll)
	case 1:
		v.sql = "COALESCE(" + g.expr(k, coll, s, depth-1).sql + ", " + g.constant(k, coll) + ")"
	case 2:
		v.sql = "CASE WHEN " + g.cond(s, depth-1) + " THEN " + g.expr(k, coll, s, depth-1).sql + " ELSE " + g.expr(k, coll, s, depth-1).sql + " END"
	default:
		v.sql = g.function(k, coll, s, depth-1)
	}
	return v
}

// constant is a literal or a parameter, of its type also where nothing says which.
func (g *deep) constant(k kind, coll string) string {
	text := g.literal(k)
	switch k {
	case kText:
		if coll != "" {
			return text + " COLLATE " + coll
		}
	case kDate:
		return "DATE" + text
	case kDatetime:
		return "TIMESTAMP" + text
	case kTime:
		return "TIME" + text
	case kJSON:
		return "JSON_EXTRACT(" + text + ", '$')"
	case kEnum, kSet:
		return text
	case kInt:
		if g.params && g.chance(60) {
			var n int64
			_, _ = fmt.Sscan(text, &n) // it was printed from one
			return g.marker(n)
		}
	}
	return text
}

// marker stands for a parameter until the text's order is known.
func (g *deep) marker(value any) string {
	g.args = append(g.args, value)
	return fmt.Sprintf("\x01%d\x02", len(g.args)-1)
}

// markers makes question marks of the markers that are left.
func (g *deep) markers(sql string) (string, []any) {
	var b strings.Builder
	var args []any
	for {
		before, rest, found := strings.Cut(sql, "\x01")
		b.WriteString(before)
		if !found {
			return b.String(), args
		}
		number, after, _ := strings.Cut(rest, "\x02")
		i, _ := strconv.Atoi(number) // marker wrote it
		args = append(args, g.args[i])
		b.WriteString("?")
		sql = after
	}
}

// function is a function or operator whose value is of a kind.
func (g *deep) function(k kind, coll string, s scope, depth int) string {
	e := func(k kind) string { return g.expr(k, "", s, depth).sql }
	switch k {
	case kInt:
		return g.integer(s, depth)
	case kBig:
		return one1(g, []func() string{func() string { return "CAST(" + e(kInt) + " AS SIGNED)" }, func() string { return "(" + e(kBig) + " DIV 2)" }})()
	case kUbig:
		return one1(g, []func() string{func() string { return "(" + e(kUbig) + " >> 1)" }, func() string { return "(" + e(kUbig) + " & " + e(kUbig) + ")" }})()
	case kDec:
		return one1(g, []func() string{
			func() string { return "(" + e(kDec) + " + " + e(kDec) + ")" },
			func() string { return "(" + e(kDec) + " * 1.5)" },
			func() string { return "ROUND(" + e(kDec) + ", 1)" },
			func() string { return "(" + e(kInt) + " / 3)" },
			func() string { return "CAST(" + e(kInt) + " AS DECIMAL(10,2))" },
			func() string { return "ABS(" + e(kDec) + ")" },
			func() string { return "GREATEST(" + e(kDec) + ", " + e(kDec) + ")" },
			func() string { return "CAST(" + e(kDouble) + " AS DECIMAL(20,4))" },
		})()
	case kDouble:
		return one1(g, []func() string{func() string { return "(" + e(kDouble) + " * 2)" }, func() string { return "(" + e(kInt) + " + 0.5e0)" }, func() string { return "ABS(" + e(kDouble) + ")" }})()
	case kText:
		return g.text(coll, s, depth)
	case kDate:
		return one1(g, []func() string{func() string { return "DATE(" + e(kDatetime) + ")" }, func() string { return "LAST_DAY(" + e(kDate) + ")" }, func() string { return "DATE_ADD(" + e(kDate) + ", INTERVAL 1 DAY)" }})()
	case kDatetime:
		return one1(g, []func() string{func() string { return "DATE_ADD(" + e(kDatetime) + ", INTERVAL 1 HOUR)" }, func() string { return "CAST(" + e(kDate) + " AS DATETIME)" }})()
	case kTime:
		return "SEC_TO_TIME(" + e(kInt) + ")"
	case kBytes:
		return "CAST(" + g.expr(kText, "", s, depth).sql + " AS BINARY)"
	case kJSON:
		return "JSON_OBJECT('k', " + e(kInt) + ", 's', " + g.expr(kDec, "", s, depth).sql + ")"
	case kYear, kEnum, kSet:
	}
	return g.constant(k, coll)
}

func (g *deep) integer(s scope, depth int) string {
	e := func(k kind) string { return g.expr(k, "", s, depth).sql }
	return one1(g, []func() string{
		func() string { return "(" + e(kInt) + " + " + e(kInt) + ")" },
		func() string { return "(" + e(kInt) + " - 1)" },
		func() string { return "-" + e(kInt) },
		func() string { return "ABS(" + e(kInt) + ")" },
		func() string { return "(" + e(kInt) + " % 3)" },
		func() string { return "(" + g.cond(s, depth) + ")" },
		func() string { return "IF(" + g.cond(s, depth) + ", " + e(kInt) + ", NULL)" },
		func() string { return "CHAR_LENGTH(" + e(kText) + ")" },
		func() string { return "YEAR(" + e(kDate) + ")" },
		func() string { return "MONTH(" + e(kDatetime) + ")" },
		func() string { return "DATEDIFF(" + e(kDate) + ", " + e(kDate) + ")" },
		func() string { return "SIGN(" + e(kBig) + ")" },
		func() string { return "FLOOR(" + e(kDec) + ")" },
		func() string { return "CRC32(" + e(kText) + ")" },
		func() string { return "(" + e(kYear) + " + 0)" },
		func() string { return "NULLIF(" + e(kInt) + ", " + e(kInt) + ")" },
		func() string { return "LENGTH(" + e(kBytes) + ")" },
		func() string { return "INTERVAL(" + e(kInt) + ", 1, 5)" },
		func() string { return "JSON_LENGTH(" + e(kJSON) + ")" },
		func() string { return "(" + e(kEnum) + " + 0)" },
	})()
}

// text is a function of text that is all of one collation: of two a server
// says that it cannot mix them.
func (g *deep) text(coll string, s scope, depth int) string {
	t := func() string { return g.expr(kText, coll, s, depth).sql }
	collate := ""
	if coll != "" {
		collate = " COLLATE " + coll
	}
	of := func(k kind) string {
		return "CONCAT(" + g.expr(k, "", s, depth).sql + ", '')" + collate
	}
	return one1(g, []func() string{
		func() string { return "UPPER(" + t() + ")" },
		func() string { return "CONCAT(" + t() + ", '-')" },
		func() string { return "LEFT(" + t() + ", 1)" },
		func() string { return "LOWER(" + t() + ")" },
		func() string { return "TRIM(" + t() + ")" },
		func() string { return "REVERSE(" + t() + ")" },
		func() string { return "NULLIF(" + t() + ", 'a')" },
		func() string { return of(kInt) },
		func() string { return of(kDec) },
		func() string { return of(kDate) },
		func() string { return of(kEnum) },
		func() string { return "LPAD(" + t() + ", 3, 'q')" },
		func() string { return "REPLACE(" + t() + ", 'a', 'e')" },
	})()
}

var orderedKinds = []kind{kInt, kBig, kUbig, kDec, kDouble, kText, kDate, kDatetime, kTime, kYear, kEnum, kSet, kBytes}

// column is one of the scope's, or a constant where it has none that can be ordered.
func (g *deep) column(s scope, outerToo bool) val {
	var all []val
	for _, c := range s.cols {
		if c.k != kJSON && c.show == asIs {
			all = append(all, c)
		}
	}
	if outerToo && len(s.outer) > 0 && g.chance(20) {
		if c := one1(g, s.outer); c.k != kJSON && c.show == asIs {
			return c
		}
	}
	if len(all) == 0 {
		return val{sql: "1", k: kInt}
	}
	return one1(g, all)
}

// cond is a condition.
func (g *deep) cond(s scope, depth int) string {
	if depth <= 0 || g.chance(45) {
		return g.atom(s, depth)
	}
	switch g.n(7) {
	case 0:
		return g.cond(s, depth-1) + " AND " + g.cond(s, depth-1)
	case 1:
		return "(" + g.cond(s, depth-1) + " OR " + g.cond(s, depth-1) + ")"
	case 2:
		return "NOT (" + g.cond(s, depth-1) + ")"
	case 3:
		return "(" + g.cond(s, depth-1) + " XOR " + g.cond(s, depth-1) + ")"
	case 4:
		return "(" + g.cond(s, depth-1) + ") IS " + one1(g, []string{"TRUE", "NOT TRUE", "FALSE", "UNKNOWN", "NOT UNKNOWN"})
	}
	if s.grouped {
		return g.atom(s, depth)
	}
	return g.subqueryCond(s, depth-1)
}

var comparisons = []string{" = ", " < ", " >= ", " <> ", " > ", " <= ", " <=> "}

// bare is a constant as one writes it beside a column, at times of another type.
func (g *deep) bare(k kind) string {
	if k == kInt && g.chance(25) {
		return one1(g, []string{"'7'", "'007'", "7.0", "7e0", "' 7'", "7.5", "'7abc'", "TRUE", "NULL", "0x07", "'1e1'", "6+1", "-(-7)", "CAST('7' AS SIGNED)"})
	}
	if k == kText && g.chance(10) {
		return one1(g, []string{"'a '", "'Ä'", "'ZOË'", "NULL", "_utf8mb4'a'"})
	}
	if k == kDatetime && g.chance(20) {
		return one1(g, []string{"'2026-10-15'", "20261015", "DATE'2026-10-31'", "20261015120000", "'2026-10-15 12:00:00.0'", "NULL"})
	}
	if g.params && k == kText && g.chance(50) {
		return g.marker(one1(g, deepWords))
	}
	if g.params && k == kInt && g.chance(50) {
		return g.marker(int64(g.n(14)))
	}
	return g.literal(k)
}

func (g *deep) atom(s scope, depth int) string {
	c := g.column(s, true)
	switch g.n(10) {
	case 0, 1:
		return c.sql + one1(g, comparisons) + g.bare(c.k)
	case 2:
		return c.sql + one1(g, comparisons) + g.compared(c.k, c.coll, s, max(depth-1, 0)).sql
	case 3:
		return c.sql + one1(g, []string{" IN (", " NOT IN ("}) + g.bare(c.k) + ", " + g.bare(c.k) + ", " + g.bare(c.k) + ")"
	case 4:
		return c.sql + one1(g, []string{" BETWEEN ", " NOT BETWEEN "}) + g.bare(c.k) + " AND " + g.bare(c.k)
	case 5:
		return c.sql + one1(g, []string{" IS NULL", " IS NOT NULL"})
	case 6:
		return g.bare(c.k) + one1(g, comparisons) + c.sql
	case 7:
		o := g.column(s, false)
		return "(" + c.sql + ", " + o.sql + ")" + one1(g, []string{" = ", " <> ", " <=> ", " < "}) + "(" + g.bare(c.k) + ", " + g.bare(o.k) + ")"
	case 8:
		o := g.column(s, false)
		return "(" + c.sql + ", " + o.sql + ") IN ((" + g.bare(c.k) + ", " + g.bare(o.k) + "), (" + g.bare(c.k) + ", " + g.bare(o.k) + "))"
	}
	if c.k == kText && !c.fuzzy {
		return c.sql + one1(g, []string{" LIKE 'a%'", " LIKE '%b%'", " NOT LIKE '_'", " LIKE 'A'", " REGEXP '^[a-m]'"})
	}
	return c.sql + one1(g, comparisons) + g.literal(c.k)
}

// subqueryCond compares with a subquery.
func (g *deep) subqueryCond(s scope, depth int) string {
	inner := scope{outer: append(append([]val(nil), s.outer...), s.cols...)}
	switch g.n(5) {
	case 0:
		q := g.rows(inner, depth, nil)
		return one1(g, []string{"EXISTS (", "NOT EXISTS ("}) + q.sql + ")"
	case 1:
		c := g.column(s, false)
		q := g.block(inner, depth, []val{c})
		return c.sql + one1(g, []string{" IN (", " NOT IN ("}) + q.sql + ")"
	case 2:
		c := g.column(s, false)
		q := g.block(inner, depth, []val{c})
		return c.sql + one1(g, []string{" = ANY (", " > ALL (", " < SOME (", " <> ALL (", " >= ANY ("}) + q.sql + ")"
	case 3:
		c, o := g.column(s, false), g.column(s, false)
		q := g.block(inner, depth, []val{c, o})
		return "(" + c.sql + ", " + o.sql + ")" + one1(g, []string{" IN (", " NOT IN ("}) + q.sql + ")"
	}
	c := g.column(s, false)
	v, ok := g.scalar(c.k, c.coll, s, depth)
	if !ok {
		return c.sql + " IS NOT NULL"
	}
	return c.sql + one1(g, comparisons) + v.sql
}

// scalar is a subquery of one row: an aggregate.
func (g *deep) scalar(k kind, coll string, s scope, depth int) (val, bool) {
	inner := scope{outer: append(append([]val(nil), s.outer...), s.cols...)}
	f := g.from(inner.outer, max(depth, 0))
	in := scope{cols: f.cols, outer: inner.outer}
	var item string
	switch k {
	case kInt:
		item = one1(g, []string{"COUNT(*)", "COUNT(DISTINCT " + g.column(in, false).sql + ")", "MAX(" + g.expr(kInt, "", in, 0).sql + ")"})
	case kDec:
		item = one1(g, []string{"SUM(", "AVG(", "MIN("}) + g.expr(kDec, "", in, 0).sql + ")"
	case kText, kJSON, kEnum, kSet:
		return val{}, false
	default:
		item = one1(g, []string{"MIN(", "MAX("}) + g.expr(k, coll, in, 0).sql + ")"
	}
	return val{sql: "(SELECT " + item + " FROM " + f.sql + g.where(f, in, depth) + ")", k: k, coll: coll}, true
}

// where is a WHERE clause with the conditions of f.
func (g *deep) where(f rel, s scope, depth int) string {
	conds := slices.Clone(f.conds)
	if g.chance(65) {
		conds = append(conds, g.cond(s, min(depth, 2)))
	}
	if len(conds) == 0 {
		return ""
	}
	if len(conds) > 1 {
		for i, c := range conds {
			conds[i] = "(" + c + ")"
		}
	}
	return " WHERE " + strings.Join(conds, " AND ")
}

func join(vals []val) string {
	parts := make([]string, len(vals))
	for i, v := range vals {
		parts[i] = v.sql
	}
	return strings.Join(parts, ", ")
}
