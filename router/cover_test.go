package router

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/internal/sqlval"
)

// truth is SQL's: a comparison with NULL is unknown.
type truth int

const (
	no truth = iota
	unknown
	yes
)

func is(b bool) truth {
	if b {
		return yes
	}
	return no
}

// formula is a condition and what it means for a row.
type formula[R any] struct {
	sql  string
	test func(R) truth
}

// tree draws a condition of atoms under AND, OR, XOR, NOT and IS.
func tree[R any](t *rapid.T, depth int, atom func(*rapid.T) formula[R]) formula[R] {
	if depth == 0 || rapid.IntRange(0, 2).Draw(t, "leaf") == 0 {
		return atom(t)
	}
	a := tree(t, depth-1, atom)
	switch kind := rapid.IntRange(0, 6).Draw(t, "kind"); kind {
	case 0:
		return formula[R]{"NOT (" + a.sql + ")", func(r R) truth { return yes - a.test(r) }}
	case 1:
		return formula[R]{"(" + a.sql + ") IS TRUE", func(r R) truth { return is(a.test(r) == yes) }}
	case 2:
		return formula[R]{"(" + a.sql + ") IS NOT TRUE", func(r R) truth { return is(a.test(r) != yes) }}
	case 3:
		b := tree(t, depth-1, atom)
		return formula[R]{"(" + a.sql + " XOR " + b.sql + ")", func(r R) truth {
			x, y := a.test(r), b.test(r)
			if x == unknown || y == unknown {
				return unknown
			}
			return is(x != y)
		}}
	case 4, 5:
		b := tree(t, depth-1, atom)
		return formula[R]{"(" + a.sql + " AND " + b.sql + ")", func(r R) truth { return min(a.test(r), b.test(r)) }}
	}
	b := tree(t, depth-1, atom)
	return formula[R]{"(" + a.sql + " OR " + b.sql + ")", func(r R) truth { return max(a.test(r), b.test(r)) }}
}

// number is a number as one may write it beside an integer column.
type number struct {
	sql  string
	is   float64
	null bool
}

func drawNumber(t *rapid.T) number {
	n := rapid.IntRange(-3, 40).Draw(t, "n")
	forms := []number{
		{sql: "%d"}, {sql: "'%d'"}, {sql: "%d.0"}, {sql: "%de0"}, {sql: "%d.5"}, {sql: "(%d)"}, {sql: "-(-(%d))"}, {sql: "%d + 0"}, {sql: "CAST(%d AS SIGNED)"}, {sql: "'%d.0'"}, {sql: "'%de0'"},
	}
	if n >= 0 {
		forms = append(forms, number{sql: "'00%d'"}, number{sql: "' %d'"}, number{sql: "+%d"})
	}
	f := forms[rapid.IntRange(0, len(forms)-1).Draw(t, "form")]
	if rapid.IntRange(0, 19).Draw(t, "null") == 0 {
		return number{sql: "NULL", null: true}
	}
	f.is = float64(n)
	if strings.Contains(f.sql, ".5") {
		f.is += 0.5
		if n < 0 {
			f.is = float64(n) - 0.5
		}
	}
	f.sql = fmt.Sprintf(f.sql, n)
	return f
}

var operators = []string{"=", "<", "<=", ">", ">=", "<>", "<=>"}

func compare(op string, a, b float64, null bool) truth {
	switch {
	case op == "<=>":
		return is(!null && a == b)
	case null:
		return unknown
	}
	return is(map[string]bool{"=": a == b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "<>": a != b}[op])
}

// keyAtom is a comparison of the sharding key of users, and maybe its age.
func keyAtom(t *rapid.T) formula[row] {
	n, m := drawNumber(t), drawNumber(t)
	op := operators[rapid.IntRange(0, len(operators)-1).Draw(t, "op")]
	whole := rapid.IntRange(-3, 40).Draw(t, "whole")
	age := rapid.IntRange(-3, 40).Draw(t, "age")
	in := func(r row) truth {
		if !n.null && float64(r.id) == n.is || !m.null && float64(r.id) == m.is {
			return yes
		}
		if n.null || m.null {
			return unknown
		}
		return no
	}
	exprs := []struct {
		sql   string
		value func(int) float64
	}{
		{"id + 1", func(id int) float64 { return float64(id + 1) }}, {"id * 2", func(id int) float64 { return float64(id * 2) }}, {"-id", func(id int) float64 { return float64(-id) }},
		{"ABS(id)", func(id int) float64 { return float64(max(id, -id)) }}, {"id % 4", func(id int) float64 { return float64(id % 4) }}, {"id / 2", func(id int) float64 { return float64(id) / 2 }},
		{"COALESCE(id, 5)", func(id int) float64 { return float64(id) }},
	}
	e := exprs[rapid.IntRange(0, len(exprs)-1).Draw(t, "expr")]
	return []formula[row]{
		{"id " + op + " " + n.sql, func(r row) truth { return compare(op, float64(r.id), n.is, n.null) }},
		{n.sql + " " + op + " id", func(r row) truth { return compare(op, n.is, float64(r.id), n.null) }},
		{"id IN (" + n.sql + ", " + m.sql + ")", in},
		{"id NOT IN (" + n.sql + ", " + m.sql + ")", func(r row) truth { return yes - in(r) }},
		{"id BETWEEN " + n.sql + " AND " + m.sql, func(r row) truth {
			return min(compare(">=", float64(r.id), n.is, n.null), compare("<=", float64(r.id), m.is, m.null))
		}},
		{"id NOT BETWEEN " + n.sql + " AND " + m.sql, func(r row) truth {
			return yes - min(compare(">=", float64(r.id), n.is, n.null), compare("<=", float64(r.id), m.is, m.null))
		}},
		{"id IS NULL", func(row) truth { return no }},
		{"id IS NOT NULL", func(row) truth { return yes }},
		{e.sql + " " + op + " " + n.sql, func(r row) truth { return compare(op, e.value(r.id), n.is, n.null) }},
		{fmt.Sprintf("(id, age) = (%s, %d)", n.sql, age), func(r row) truth {
			return min(compare("=", float64(r.id), n.is, n.null), is(r.age == age))
		}},
		{fmt.Sprintf("(id, age) IN ((%d, %d), (%d, %d))", whole, age, age, whole), func(r row) truth {
			return is(r.id == whole && r.age == age || r.id == age && r.age == whole)
		}},
		{fmt.Sprintf("(id, age) < (%d, %d)", whole, age), func(r row) truth { return is(r.id < whole || r.id == whole && r.age < age) }},
		{fmt.Sprintf("(age, id) >= (%d, %d)", whole, age), func(r row) truth { return is(r.age > whole || r.age == whole && r.id >= age) }},
		{fmt.Sprintf("age = %d", age), func(r row) truth { return is(r.age == age) }},
	}[rapid.IntRange(0, 13).Draw(t, "atom")]
}

// TestRoutesCoverEveryRowOfAKey: however values are written and conditions
// nested, each row that a condition holds for is on a shard that is asked.
func TestRoutesCoverEveryRowOfAKey(t *testing.T) {
	cat := shop(t)
	placement := cat.Table("shop", "users").Placement
	shardOf := map[int]int{}
	for id := -3; id <= 40; id++ {
		key, err := placement.Column.KeyToStore(sqlval.IntValue(int64(id)), nil)
		require.NoError(t, err)
		shardOf[id], err = placement.Algorithm.ShardOf(key)
		require.NoError(t, err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		f := tree(rt, 3, keyAtom)
		_, b, err := planText(t, cat, "shop", "SELECT id FROM users WHERE "+f.sql)
		require.NoError(t, err, f.sql)
		for id := -3; id <= 40; id++ {
			for age := -3; age <= 40; age++ {
				if f.test(row{id, age}) == yes {
					require.True(t, goesTo(b, shardOf[id]), "%s holds for id %d, age %d on shard %d", f.sql, id, age, shardOf[id])
				}
			}
		}
	})
}

// instants are around every border of a day, a month and a year that has tables.
func instants() []time.Time {
	var all []time.Time
	for m := time.September; m <= time.December; m++ {
		first := time.Date(2026, m, 1, 0, 0, 0, 0, time.UTC)
		for _, d := range []time.Duration{0, time.Second, 12 * time.Hour, 14 * 24 * time.Hour, 14*24*time.Hour + time.Second} {
			all = append(all, first.Add(d))
		}
		all = append(all, first.AddDate(0, 1, 0).Add(-time.Second), first.AddDate(0, 1, -1))
	}
	return all
}

// timeAtom is a comparison of the time payment_logs are sharded by.
func timeAtom(t *rapid.T) formula[time.Time] {
	all := instants()
	draw := func(name string) (string, time.Time) {
		at := all[rapid.IntRange(0, len(all)-1).Draw(t, name)]
		day := at.Truncate(24 * time.Hour)
		forms := []struct {
			sql string
			at  time.Time
		}{
			{at.Format("'2006-01-02 15:04:05'"), at}, {at.Format("TIMESTAMP'2006-01-02 15:04:05'"), at}, {at.Format("20060102150405"), at}, {at.Format("'20060102150405'"), at},
			{at.Format("'2006-1-2 15:04:05'"), at}, {at.Format("'2006-01-02T15:04:05'"), at}, {at.Format("'2006-01-02 15:04:05.000'"), at},
			{day.Format("'2006-01-02'"), day}, {day.Format("DATE'2006-01-02'"), day}, {day.Format("20060102"), day},
			{at.Format("'2006-01-02 15:04:05' + INTERVAL 1 DAY"), at.AddDate(0, 0, 1)}, {at.Format("DATE_SUB('2006-01-02 15:04:05', INTERVAL 1 DAY)"), at.AddDate(0, 0, -1)},
		}
		f := forms[rapid.IntRange(0, len(forms)-1).Draw(t, name+" form")]
		return f.sql, f.at
	}
	a, x := draw("a")
	b, y := draw("b")
	op := operators[rapid.IntRange(0, len(operators)-1).Draw(t, "op")]
	cmp := func(op string, p, q time.Time) truth { return compare(op, float64(p.Unix()), float64(q.Unix()), false) }
	return []formula[time.Time]{
		{"paid_at " + op + " " + a, func(r time.Time) truth { return cmp(op, r, x) }},
		{a + " " + op + " paid_at", func(r time.Time) truth { return cmp(op, x, r) }},
		{"paid_at BETWEEN " + a + " AND " + b, func(r time.Time) truth { return min(cmp(">=", r, x), cmp("<=", r, y)) }},
		{"paid_at NOT BETWEEN " + a + " AND " + b, func(r time.Time) truth { return yes - min(cmp(">=", r, x), cmp("<=", r, y)) }},
		{"paid_at IN (" + a + ", " + b + ")", func(r time.Time) truth { return max(cmp("=", r, x), cmp("=", r, y)) }},
		{fmt.Sprintf("MONTH(paid_at) = %d", x.Month()), func(r time.Time) truth { return is(r.Month() == x.Month()) }},
		{fmt.Sprintf("YEAR(paid_at) %s %d", op, x.Year()), func(r time.Time) truth { return compare(op, float64(r.Year()), float64(x.Year()), false) }},
		{"DATE(paid_at) " + op + x.Format(" '2006-01-02'"), func(r time.Time) truth { return cmp(op, r.Truncate(24*time.Hour), x.Truncate(24*time.Hour)) }},
		{"paid_at + INTERVAL 1 MONTH > " + a, func(r time.Time) truth { return cmp(">", sqlMonthLater(r), x) }},
		{"paid_at IS NULL", func(time.Time) truth { return no }},
	}[rapid.IntRange(0, 9).Draw(t, "atom")]
}

// sqlMonthLater adds a month as servers do: the day is kept within the month.
func sqlMonthLater(t time.Time) time.Time {
	later := t.AddDate(0, 1, 0)
	if later.Day() != t.Day() {
		later = later.AddDate(0, 0, -later.Day())
	}
	return later
}

// TestRoutesCoverEveryRowOfATime: the same for tables by month.
func TestRoutesCoverEveryRowOfATime(t *testing.T) {
	cat := shop(t)
	placement := cat.Table("shop", "payment_logs").Placement
	shardOf := map[time.Time]int{}
	for _, at := range instants() {
		key, err := placement.Column.KeyToStore(sqlval.StringValue(at.Format(time.DateTime)), nil)
		require.NoError(t, err)
		shardOf[at], err = placement.Algorithm.ShardOf(key)
		require.NoError(t, err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		f := tree(rt, 3, timeAtom)
		_, b, err := planText(t, cat, "shop", "SELECT id FROM payment_logs WHERE "+f.sql)
		require.NoError(t, err, f.sql)
		for at, shard := range shardOf {
			if f.test(at) == yes {
				require.True(t, goesTo(b, shard), "%s holds for %v on shard %d", f.sql, at, shard)
			}
		}
	})
}
