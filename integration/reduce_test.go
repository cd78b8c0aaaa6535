package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReduce compares random joins, outer joins and subqueries that cannot be
// answered shard by shard: what their fragments leave on the shards must be
// rows that do not matter. SERVAL_RANDOM_SEED and SERVAL_RANDOM_COUNT ask for
// others.
func TestReduce(t *testing.T) {
	seed, count := envNumber(t, "SERVAL_RANDOM_SEED", 1), envNumber(t, "SERVAL_RANDOM_COUNT", 120)
	schema, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	eachEngine(t, func(t *testing.T, s *serverSet) {
		tables := slices.DeleteFunc(splitStatements(string(schema)), viewPattern.MatchString)
		o := newOracle(t, s, "reduce", tables, 4)
		s.sync(t)
		g := &joins{r: rand.New(rand.NewPCG(uint64(seed), 6))}
		for i := range count {
			sql := g.query()
			o.runCase(t, statementCase{pos: fmt.Sprintf("seed %d, query %d", seed, i), sql: sql}, mode{name: "text", sql: sql, prepared: i%4 == 3})
		}
		t.Logf("seed %d: %d compared, %d differ", seed, o.compared, o.failed)
	})
}

func envNumber(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}

// joined is a table of the shop with its key and what can be asked of it.
type joined struct {
	table, key string
	numbers    []string
	conditions []string // %[1]s is the alias
}

var joinedTables = []joined{
	{"users", "id", []string{"id", "age"}, []string{"%[1]s.age > 5", "%[1]s.name LIKE '%%a%%'", "%[1]s.born < DATE '2000-01-01' + INTERVAL 1 YEAR",
		"%[1]s.kind = 'retail'", "%[1]s.country IS NOT NULL", "LEFT(%[1]s.email, 1) NOT IN ('a', 'b')"}},
	{"orders", "user_id", []string{"user_id", "id"}, []string{"%[1]s.total > 3", "%[1]s.status <> 'paid'", "%[1]s.region LIKE 'n%%'", "NOT (%[1]s.total < 2 OR %[1]s.id > 40)",
		"YEAR(%[1]s.created) BETWEEN 1990 AND 2026"}},
	{"order_items", "user_id", []string{"user_id", "order_id", "line"}, []string{"%[1]s.qty > 4", "%[1]s.sku IS NULL", "%[1]s.price <= 10.5", "%[1]s.line <> %[1]s.order_id"}},
	{"comments", "item_id", []string{"item_id", "id", "likes"}, []string{"%[1]s.likes IN (1, 2, 3, 9)", "%[1]s.body LIKE '%%e%%'", "%[1]s.id < 30"}},
}

// joins makes queries.
type joins struct {
	r    *rand.Rand
	last int
}

func (g *joins) chance(percent int) bool { return g.r.IntN(100) < percent }

func pickOne[T any](g *joins, from []T) T { return from[g.r.IntN(len(from))] }

// joinedRef is a table in a FROM clause.
type joinedRef struct {
	joined
	alias string
}

func (g *joins) joinedRef() joinedRef {
	g.last++
	return joinedRef{pickOne(g, joinedTables), fmt.Sprintf("t%d", g.last)}
}

func (s joinedRef) condition(g *joins) string { return fmt.Sprintf(pickOne(g, s.conditions), s.alias) }

// link is a condition between two tables, mostly of their keys.
func (g *joins) link(a, b joinedRef) string {
	if g.chance(65) {
		return fmt.Sprintf("%s.%s = %s.%s", a.alias, a.key, b.alias, b.key)
	}
	return fmt.Sprintf("%s.%s %s %s.%s", a.alias, pickOne(g, a.numbers), pickOne(g, []string{"=", "=", "=", "<=>", "<"}), b.alias, pickOne(g, b.numbers))
}

// tables is a FROM clause of n tables.
func (g *joins) tables(n int) (string, []joinedRef) {
	all := []joinedRef{g.joinedRef()}
	from := all[0].table + " " + all[0].alias
	for len(all) < n {
		s := g.joinedRef()
		on := g.link(pickOne(g, all), s)
		if g.chance(40) {
			// No subquery: of one in the ON of an outer join MySQL 9.7 makes wrong
			// semi-joins itself (other rows with semijoin=off).
			on += " AND " + g.predicate(append(all, s), 0)
		}
		all = append(all, s)
		from += pickOne(g, []string{" JOIN ", " JOIN ", " LEFT JOIN ", " LEFT JOIN ", " RIGHT JOIN "}) + s.table + " " + s.alias + " ON " + on
	}
	return from, all
}

// predicate is a condition over tables; depth is how far subqueries may nest.
func (g *joins) predicate(of []joinedRef, depth int) string {
	s := pickOne(g, of)
	switch n := g.r.IntN(10); {
	case n < 4 || depth == 0:
		return s.condition(g)
	case n < 6:
		x := pickOne(g, of)
		return "((" + s.condition(g) + " AND " + x.condition(g) + ") OR (" + g.link(s, x) + " AND " + s.condition(g) + "))"
	case n < 8:
		from, inner := g.tables(1 + g.r.IntN(2))
		return pickOne(g, []string{"", "NOT "}) + "EXISTS (SELECT * FROM " + from + " WHERE " + g.link(s, inner[0]) + g.more(inner, depth-1) + ")"
	default:
		from, inner := g.tables(1)
		y := inner[0].alias + "." + inner[0].key
		group := ""
		if g.chance(50) {
			group = " GROUP BY " + y + " HAVING " + pickOne(g, []string{"COUNT(*) > 1", "COUNT(*) < 2", "SUM(" + inner[0].alias + "." + inner[0].numbers[1] + ") < 60"})
		}
		return fmt.Sprintf("%s.%s %sIN (SELECT %s FROM %s WHERE 1 = 1%s%s)", s.alias, s.key, pickOne(g, []string{"", "", "NOT "}), y, from, g.more(inner, 0), group)
	}
}

func (g *joins) more(of []joinedRef, depth int) string {
	if g.chance(50) {
		return ""
	}
	return " AND " + g.predicate(of, depth)
}

func (g *joins) query() string {
	g.last = 0
	from, all := g.tables(2 + g.r.IntN(2))
	var where, list []string
	for range g.r.IntN(3) {
		where = append(where, g.predicate(all, 2))
	}
	for _, s := range all {
		list = append(list, s.alias+"."+pickOne(g, s.numbers))
	}
	sql := "SELECT COUNT(*), COUNT(DISTINCT " + strings.Join(list, ", ") + "), SUM(" + pickOne(g, list) + ")"
	if g.chance(40) {
		sql = "SELECT " + strings.Join(list, ", ") + ", (SELECT COUNT(*) FROM countries) AS n"
	}
	sql += " FROM " + from
	if len(where) > 0 {
		sql += " WHERE " + strings.Join(where, " AND ")
	}
	return sql
}
