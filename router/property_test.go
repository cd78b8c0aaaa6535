package router

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// row is a row of users: what a predicate is evaluated over.
type row struct{ id, age int }

// predicate is a WHERE clause and what it means.
type predicate struct {
	sql  string
	test func(row) bool
}

// predicates over a small range of values, so that they hit.
func predicates() *rapid.Generator[predicate] {
	return rapid.Custom(func(t *rapid.T) predicate { return drawPredicate(t, 3) })
}

func drawPredicate(t *rapid.T, depth int) predicate {
	kinds := 7
	if depth > 0 {
		kinds = 10
	}
	n := rapid.IntRange(-3, 40).Draw(t, "n")
	m := rapid.IntRange(-3, 40).Draw(t, "m")
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return predicate{fmt.Sprintf("id = %d", n), func(r row) bool { return r.id == n }}
	case 1:
		return predicate{fmt.Sprintf("'%d' = id", n), func(r row) bool { return r.id == n }}
	case 2:
		return predicate{fmt.Sprintf("id IN (%d, %d)", n, m), func(r row) bool { return r.id == n || r.id == m }}
	case 3:
		return predicate{fmt.Sprintf("id BETWEEN %d AND %d", n, m), func(r row) bool { return r.id >= n && r.id <= m }}
	case 4:
		return predicate{fmt.Sprintf("%d > id", n), func(r row) bool { return n > r.id }}
	case 5:
		return predicate{fmt.Sprintf("(id, age) = (%d, %d)", n, m), func(r row) bool { return r.id == n && r.age == m }}
	case 6:
		return predicate{fmt.Sprintf("age < %d", n), func(r row) bool { return r.age < n }}
	case 7:
		p := drawPredicate(t, depth-1)
		return predicate{"NOT (" + p.sql + ")", func(r row) bool { return !p.test(r) }}
	case 8:
		a, b := drawPredicate(t, depth-1), drawPredicate(t, depth-1)
		return predicate{"(" + a.sql + " AND " + b.sql + ")", func(r row) bool { return a.test(r) && b.test(r) }}
	}
	a, b := drawPredicate(t, depth-1), drawPredicate(t, depth-1)
	return predicate{"(" + a.sql + " OR " + b.sql + ")", func(r row) bool { return a.test(r) || b.test(r) }}
}

// TestRoutedShardsCoverEveryMatchingRow: whatever the predicate, a row it
// holds for is on a shard the statement goes to.
func TestRoutedShardsCoverEveryMatchingRow(t *testing.T) {
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
		p := predicates().Draw(rt, "predicate")
		_, b, err := planText(t, cat, "shop", "SELECT id FROM users WHERE "+p.sql)
		require.NoError(t, err, p.sql)
		routed := map[int]bool{}
		for _, leaf := range b.Tasks {
			for _, task := range leaf.Tasks {
				routed[task.Shard] = true
			}
		}
		for id := -3; id <= 40; id++ {
			for age := -3; age <= 40; age += 7 {
				if p.test(row{id, age}) {
					require.True(t, routed[shardOf[id]], "%s holds for id %d on shard %d, and goes to %v", p.sql, id, shardOf[id], routed)
				}
			}
		}
	})
}

// TestJoinsRunWhereTheirRowsAre: a join that is not refused finds, on the
// shards it goes to, every pair of rows that belongs to the result; one that is
// finished on one server copies both rows of every such pair.
func TestJoinsRunWhereTheirRowsAre(t *testing.T) {
	cat := shop(t)
	placement := cat.Table("shop", "users").Placement
	shardOf := func(id int) int {
		key, err := placement.Column.KeyToStore(sqlval.IntValue(int64(id)), nil)
		require.NoError(t, err)
		s, err := placement.Algorithm.ShardOf(key)
		require.NoError(t, err)
		return s
	}
	rapid.Check(t, func(rt *rapid.T) {
		n, m := rapid.IntRange(0, 30).Draw(rt, "n"), rapid.IntRange(0, 30).Draw(rt, "m")
		conds := []struct {
			sql  string
			test func(u, o int) bool
		}{
			{"u.id = o.user_id", func(u, o int) bool { return u == o }},
			{fmt.Sprintf("u.id = %d", n), func(u, _ int) bool { return u == n }},
			{fmt.Sprintf("o.user_id = %d", m), func(_, o int) bool { return o == m }},
			{fmt.Sprintf("(u.id = %d OR o.user_id = %d)", n, m), func(u, o int) bool { return u == n || o == m }},
			{fmt.Sprintf("(u.id = o.user_id OR u.id = %d)", n), func(u, o int) bool { return u == o || u == n }},
			{fmt.Sprintf("o.user_id IN (%d, %d)", n, m), func(_, o int) bool { return o == n || o == m }},
		}
		var sql []string
		var tests []func(u, o int) bool
		for i, c := range conds {
			if rapid.Bool().Draw(rt, fmt.Sprint("cond", i)) {
				sql, tests = append(sql, c.sql), append(tests, c.test)
			}
		}
		text := "SELECT u.id FROM users u, orders o"
		if len(sql) > 0 {
			text += " WHERE " + strings.Join(sql, " AND ")
		}
		_, b, err := planText(t, cat, "shop", text)
		if err != nil {
			return // refused
		}
		if n, ok := b.Plan.Root.(*plan.Finish); ok {
			requireCopied(t, b, n, text, func(u, o int) bool { return holds(tests, u, o) }, shardOf)
			return
		}
		for u := range 31 {
			for o := range 31 {
				if holds(tests, u, o) {
					require.True(t, shardOf(u) == shardOf(o) && goesTo(b, shardOf(u)), "%s: pair %d, %d is on shards %d and %d",
						text, u, o, shardOf(u), shardOf(o))
				}
			}
		}
	})
}

func requireCopied(t *testing.T, b *plan.Bound, n *plan.Finish, text string, test func(u, o int) bool, shardOf func(int) int) {
	for u := range 31 {
		for o := range 31 {
			if test(u, o) {
				require.True(t, taskOn(b.Tasks.Of(n.Fragments[0].Route), shardOf(u)), "%s: user %d is not copied", text, u)
				require.True(t, taskOn(b.Tasks.Of(n.Fragments[1].Route), shardOf(o)), "%s: order of %d is not copied", text, o)
			}
		}
	}
}

func taskOn(tasks []plan.Task, shard int) bool {
	for _, task := range tasks {
		if task.Shard == shard {
			return true
		}
	}
	return false
}

func holds(tests []func(u, o int) bool, u, o int) bool {
	for _, test := range tests {
		if !test(u, o) {
			return false
		}
	}
	return true
}

func goesTo(b *plan.Bound, shard int) bool {
	for _, leaf := range b.Tasks {
		for _, task := range leaf.Tasks {
			if task.Shard == shard {
				return true
			}
		}
	}
	return false
}

// TestInsertedRowsAreFoundAgain: a row goes to the shard its key is looked up
// on, however the key is written.
func TestInsertedRowsAreFoundAgain(t *testing.T) {
	cat := shop(t)
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.Int64().Draw(rt, "id")
		text := fmt.Sprint(id)
		if rapid.Bool().Draw(rt, "quoted") {
			text = "'" + text + "'"
		}
		_, ins, err := planText(t, cat, "shop", "INSERT INTO users (name, id) VALUES ('x', "+text+")")
		require.NoError(t, err)
		_, sel, err := planText(t, cat, "shop", fmt.Sprintf("SELECT name FROM users WHERE id = %d", id))
		require.NoError(t, err)
		require.Equal(t, onlyShard(t, ins), onlyShard(t, sel))
	})
}

func onlyShard(t *testing.T, b *plan.Bound) int {
	for _, leaf := range b.Tasks {
		require.Len(t, leaf.Tasks, 1)
		return leaf.Tasks[0].Shard
	}
	t.Fatal("no task")
	return -1
}

// TestPlansDoNotDependOnValues: one plan serves every text with the same
// fingerprint, so planning another such text gives the same plan.
func TestPlansDoNotDependOnValues(t *testing.T) {
	cat := shop(t)
	pairs := [][2]string{
		{"SELECT id FROM users WHERE id = 1", "SELECT id FROM users WHERE id = 2"},
		{"SELECT id FROM users ORDER BY id LIMIT 1", "SELECT id FROM users ORDER BY id LIMIT 50"},
		{"INSERT INTO users (id, name) VALUES (1, 'a')", "INSERT INTO users (id, name) VALUES (2, 'b')"},
		{"UPDATE users SET name = 'a' WHERE id = 1", "UPDATE users SET name = 'b' WHERE id = 9"},
	}
	for _, pair := range pairs {
		var formats []string
		for _, sql := range pair {
			st := parser.Parse([]byte(sql), parser.Options{})
			require.True(t, st.Params, sql)
			p, err := Plan(cat, "shop", st)
			require.NoError(t, err)
			formats = append(formats, plan.Format(p, nil))
		}
		require.Equal(t, formats[0], formats[1])
	}
}

// TestOnePlanServesManyValues: rows and shards follow the values bound, also
// where tuples were folded.
func TestOnePlanServesManyValues(t *testing.T) {
	cat := shop(t)
	first := "INSERT INTO users (id, name) VALUES (1, 'a'), (2, 'b') ON DUPLICATE KEY UPDATE age = 7"
	p, err := Plan(cat, "shop", parser.Parse([]byte(first), parser.Options{}))
	require.NoError(t, err)
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 30).Draw(rt, "rows")
		var tuples []string
		for i := range n {
			tuples = append(tuples, fmt.Sprintf("(%d, 'n%d')", i, i))
		}
		sql := "INSERT INTO users (id, name) VALUES " + strings.Join(tuples, ", ") + " ON DUPLICATE KEY UPDATE age = 9"
		b, err := p.Bind(argsOf(t, sql), plan.Options{})
		require.NoError(t, err)
		require.Equal(t, n, rowsSent(t, b, cat))
	})
}

// rowsSent counts the rows and checks that each is where its key is.
func rowsSent(t *testing.T, b *plan.Bound, cat *catalog.Catalog) int {
	n := 0
	for _, leaf := range b.Tasks {
		for _, task := range leaf.Tasks {
			sql := string(task.SQL)
			require.True(t, strings.HasSuffix(sql, "age = 9"), sql)
			st := parser.Parse(task.SQL, parser.Options{})
			require.NotNil(t, st.Node, sql)
			for _, tuple := range strings.Split(sql[strings.Index(sql, "VALUES")+6:strings.Index(sql, " ON DUP")], ", ") {
				id := strings.Split(strings.Trim(tuple, " ("), ",")[0]
				_, sel, err := planText(t, cat, "shop", "SELECT 1 FROM users WHERE id = "+id)
				require.NoError(t, err)
				require.Equal(t, onlyShard(t, sel), task.Shard, tuple)
				n++
			}
		}
	}
	return n
}

// TestEachShardIsSentItsValues: of a list over the key every value is in the
// list of the shard where its rows are.
func TestEachShardIsSentItsValues(t *testing.T) {
	cat := shop(t)
	rapid.Check(t, func(rt *rapid.T) {
		ids := rapid.SliceOfN(rapid.IntRange(0, 50), 2, 12).Draw(rt, "ids")
		list := strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ", "), "[]")
		_, b, err := planText(t, cat, "shop", "SELECT name FROM users WHERE id IN ("+list+") AND age > 1")
		require.NoError(t, err)
		sent := map[int]string{}
		for _, leaf := range b.Tasks {
			for _, task := range leaf.Tasks {
				_, after, ok := strings.Cut(string(task.SQL), "IN (")
				require.True(t, ok)
				values, _, _ := strings.Cut(after, ")")
				sent[task.Shard] = ", " + values + ","
			}
		}
		for _, id := range ids {
			_, one, err := planText(t, cat, "shop", fmt.Sprintf("SELECT name FROM users WHERE id = %d", id))
			require.NoError(t, err)
			require.Contains(t, sent[onlyShard(t, one)], fmt.Sprintf(", %d,", id))
		}
	})
}
