package router

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// partRow is a row of two columns: numbers of users, and moments by their number
// in moments.
type partRow struct{ user, at int }

// partsTable is a table under one of the rules below.
type partsTable struct {
	rule string
	// value is the literal of the second column that a number stands for.
	value func(int) string
	// belongs: a row of these may be stored.
	belongs func(partRow) bool
}

// moments are around the ends of the periods there are, and beyond them.
var moments = []string{"2026-08-31 23:59:59", "2026-09-01 00:00:00", "2026-09-30 23:59:59", "2026-10-01 00:00:00", "2026-10-15 12:00:00",
	"2026-10-31 23:59:59", "2026-11-01 00:00:00", "2026-12-31 23:59:59", "2027-01-01 00:00:00"}

func partsTables() []partsTable {
	moment := func(n int) string { return "'" + moments[n] + "'" }
	within := func(r partRow) bool { return r.at > 0 && r.at < len(moments)-1 }
	number := func(n int) string { return fmt.Sprint(n - 4) }
	all := func(partRow) bool { return true }
	return []partsTable{
		{"month(at), hash(user) x 4", moment, within},
		{"month(at), mod(user div 2) x 3", moment, within},
		{"hash(user) x 3, hash(at) x 4", number, all},
		{"range(user, ..1: 0, 2..: 1), mod(at) x 5", number, all},
		{"list(user, 0: 1, 1: 0, default=2), jump(at) x 4", number, all},
		{"murmur(at) x 3, range(user, ..0: 0, 1..2: 1, 3..: 2), mod(user) x 2", number, all},
		{"mod(user) or mod(at) x 3", number, func(r partRow) bool { return r.user%3 == mod3(r.at-4) }},
		{"hash(at) x 2, mod(user) or mod(at) x 3", number, func(r partRow) bool { return r.user%3 == mod3(r.at-4) }},
		{"month(at), mod(user) or mod(again) x 3", moment, within},
	}
}

func mod3(n int) int { return (n%3 + 3) % 3 }

// partsCatalog is shop with the table t of the rule; again is a copy of user.
func partsCatalog(t *testing.T, c partsTable) *catalog.Catalog {
	cat := shop(t)
	user := catalog.Column{DataType: "int"}
	user.Name, user.Type, user.Bits, user.SQLType = "user", shardrule.TypeInt, 32, "int"
	again, at := user, user
	again.Name, at.Name = "again", "at"
	if strings.HasPrefix(c.value(1), "'") {
		at.DataType, at.Type, at.SQLType = "datetime", shardrule.TypeDatetime, "datetime"
	}
	table := &catalog.Table{Name: "t", Columns: []catalog.Column{user, at, again}}
	_, periods := periodsOfTest(t)
	p := composite(t, table, c.rule, shardrule.Periods{Table: "t", List: periods})
	for i := range p.Algorithm.Shards() {
		p.Shards = append(p.Shards, topology.Shard{Index: i, Cluster: "c0", Database: fmt.Sprintf("shop_%d", i), Table: "t"})
	}
	cat.Schemas["shop"].Tables["t"] = table
	return cat
}

// partPredicate is a WHERE clause over both columns and what it means.
func partPredicate(t *rapid.T, c partsTable, depth int) (string, func(partRow) bool) {
	n, m := rapid.IntRange(0, 4).Draw(t, "n"), rapid.IntRange(0, 4).Draw(t, "m")
	x, y := rapid.IntRange(0, 8).Draw(t, "x"), rapid.IntRange(0, 8).Draw(t, "y")
	kinds := 8
	if depth > 0 {
		kinds = 11
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return fmt.Sprintf("user = %d", n), func(r partRow) bool { return r.user == n }
	case 1:
		return "at = " + c.value(x), func(r partRow) bool { return r.at == x }
	case 2:
		return fmt.Sprintf("user IN (%d, %d)", n, m), func(r partRow) bool { return r.user == n || r.user == m }
	case 3:
		return fmt.Sprintf("at BETWEEN %s AND %s", c.value(x), c.value(y)), func(r partRow) bool { return r.at >= x && r.at <= y }
	case 4:
		return fmt.Sprintf("(at, user) IN ((%s, %d), (%s, %d))", c.value(x), n, c.value(y), m),
			func(r partRow) bool { return r.at == x && r.user == n || r.at == y && r.user == m }
	case 5:
		return fmt.Sprintf("%d <= user", n), func(r partRow) bool { return n <= r.user }
	case 6:
		return "at < " + c.value(x), func(r partRow) bool { return r.at < x }
	case 7:
		return fmt.Sprintf("(user, at) = (%d, %s)", n, c.value(x)), func(r partRow) bool { return r.user == n && r.at == x }
	case 8:
		sql, test := partPredicate(t, c, depth-1)
		return "NOT (" + sql + ")", func(r partRow) bool { return !test(r) }
	case 9:
		a, testA := partPredicate(t, c, depth-1)
		b, testB := partPredicate(t, c, depth-1)
		return "(" + a + " OR " + b + ")", func(r partRow) bool { return testA(r) || testB(r) }
	}
	a, testA := partPredicate(t, c, depth-1)
	b, testB := partPredicate(t, c, depth-1)
	return "(" + a + " AND " + b + ")", func(r partRow) bool { return testA(r) && testB(r) }
}

// shardsOfRows are where INSERT puts the rows that may be stored.
func shardsOfRows(t *testing.T, cat *catalog.Catalog, c partsTable) map[partRow]int {
	out := map[partRow]int{}
	for user := range 5 {
		for at := range moments {
			r := partRow{user, at}
			sql := fmt.Sprintf("INSERT INTO t (at, again, user) VALUES (%s, %d, %d)", c.value(at), user, user)
			_, b, err := planText(t, cat, "shop", sql)
			if !c.belongs(r) {
				require.Error(t, err, sql)
				continue
			}
			require.NoError(t, err, sql)
			out[r] = shardOfTasks(t, b)
		}
	}
	return out
}

func shardOfTasks(t *testing.T, b *plan.Bound) int {
	require.Len(t, b.Tasks, 1)
	require.Len(t, b.Tasks[0].Tasks, 1)
	return b.Tasks[0].Tasks[0].Shard
}

// TestPartsCoverEveryMatchingRow: whatever is said of the columns of a rule of
// several, a row of which it holds is on a shard that the statement goes to, where
// INSERT puts it; and both columns together lead to that shard only.
func TestPartsCoverEveryMatchingRow(t *testing.T) {
	for _, c := range partsTables() {
		t.Run(c.rule, func(t *testing.T) {
			cat := partsCatalog(t, c)
			rows := shardsOfRows(t, cat, c)
			require.NotEmpty(t, rows)
			for r, shard := range rows {
				_, b, err := planText(t, cat, "shop", fmt.Sprintf("SELECT COUNT(*) FROM t WHERE at = %s AND user = %d", c.value(r.at), r.user))
				require.NoError(t, err)
				require.Equal(t, shard, shardOfTasks(t, b))
			}
			rapid.Check(t, func(rt *rapid.T) {
				sql, test := partPredicate(rt, c, 3)
				_, b, err := planText(t, cat, "shop", "SELECT user FROM t WHERE "+sql)
				require.NoError(t, err, sql)
				routed := map[int]bool{}
				for _, leaf := range b.Tasks {
					for _, task := range leaf.Tasks {
						routed[task.Shard] = true
					}
				}
				for r, shard := range rows {
					if test(r) {
						require.True(t, routed[shard], "%s holds for %v on shard %d, and goes to %v", sql, r, shard, routed)
					}
				}
			})
		})
	}
}

// TestPlacesOfPartsAreNumberedInTurn: a row's shard is made of the places of its
// columns, as the rule is written.
func TestPlacesOfPartsAreNumberedInTurn(t *testing.T) {
	cat := partsCatalog(t, partsTable{rule: "mod(user) x 3, mod(at) x 5", value: func(int) string { return "0" }})
	p := cat.Table("shop", "t").Placement
	require.Len(t, p.Shards, 15)
	for user := range 3 {
		for at := range 5 {
			keys := make([]shardrule.Key, 2)
			for i, n := range []int{user, at} {
				var err error
				keys[i], err = p.Parts[i].Column.KeyToStore(sqlval.IntValue(int64(n)), nil)
				require.NoError(t, err)
			}
			shard, err := p.ShardOfKeys(keys)
			require.NoError(t, err)
			require.Equal(t, user*5+at, shard)
			require.Equal(t, []int{user, at}, []int{p.PlaceOf(0, shard), p.PlaceOf(1, shard)})
		}
	}
}
