package tpch

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// load collects the statements of a Load.
func load(t *testing.T, d Data) []string {
	t.Helper()
	var all []string
	require.NoError(t, d.Load(t.Context(), func(_ context.Context, sql string) error {
		all = append(all, sql)
		return nil
	}))
	return all
}

// tuples are the rows a table is filled with, as text.
func tuples(statements []string, table string) []string {
	var all []string
	for _, s := range statements {
		if rows, ok := strings.CutPrefix(s, "INSERT INTO "+table+" VALUES ("); ok {
			all = append(all, strings.Split(strings.TrimSuffix(rows, ")"), "),(")...)
		}
	}
	return all
}

func TestTheSameSeedGivesTheSameRows(t *testing.T) {
	d := Data{Scale: 0.001}
	once := load(t, d)
	require.Equal(t, once, load(t, d))
	d.Seed = 1
	require.NotEqual(t, once, load(t, d))
	for _, s := range once {
		require.Less(t, len(s), 2*batchBytes)
	}
}

func TestTablesHaveAsManyRowsAsTheScaleSays(t *testing.T) {
	all := load(t, Data{Scale: 0.01})
	for table, want := range map[string]int{"region": 5, "nation": 25, "supplier": 100, "part": 2000, "partsupp": 8000, "customer": 1500, "orders": 15_000} {
		require.Len(t, tuples(all, table), want, table)
	}
	require.InDelta(t, 60_000, len(tuples(all, "lineitem")), 1000)
}

var first = regexp.MustCompile(`^(\d+),(\d+),(\d*)`)

func TestRowsReferToEachOther(t *testing.T) {
	for _, scale := range []float64{0.0001, 0.001, 0.01} {
		all := load(t, Data{Scale: scale})
		offered := map[string]bool{}
		for _, row := range tuples(all, "partsupp") {
			m := first.FindStringSubmatch(row)
			require.False(t, offered[m[1]+"/"+m[2]], "part %s has supplier %s twice at %v", m[1], m[2], scale)
			offered[m[1]+"/"+m[2]] = true
		}
		orders := map[string]bool{}
		for _, row := range tuples(all, "orders") {
			m := first.FindStringSubmatch(row)
			require.False(t, orders[m[1]], "order %s is there twice", m[1])
			orders[m[1]] = true
		}
		for _, row := range tuples(all, "lineitem") {
			m := first.FindStringSubmatch(row)
			require.True(t, orders[m[1]], "line of no order: %s", row)
			require.True(t, offered[m[2]+"/"+m[3]], "no such offer: %s", row)
		}
	}
}

func TestAnOrdersPriceAndStatusAreItsLines(t *testing.T) {
	g := generator{d: Data{Scale: 0.01}}
	for n := 1; n < 500; n++ {
		o := g.makeOrder(n)
		require.NotZero(t, o.customer%3)
		total, open := 0.0, 0
		for _, l := range o.lines {
			total += float64(l.price) / 100 * (1 - float64(l.discount)/100) * (1 + float64(l.tax)/100)
			if l.ship > today {
				open++
			}
			require.Equal(t, l.receipt > today, l.flag == "N")
		}
		require.InDelta(t, total, float64(o.price)/100, 0.006)
		require.Equal(t, map[bool]string{true: "F"}[open == 0]+map[bool]string{true: "O"}[open == len(o.lines)], strings.Trim(o.status, "P"))
	}
}

func TestAnErrorEndsTheLoading(t *testing.T) {
	bad := errors.New("bad")
	n := 0
	err := Data{Scale: 0.001}.Load(t.Context(), func(context.Context, string) error {
		if n++; n == 8 {
			return bad
		}
		return nil
	})
	require.ErrorIs(t, err, bad)
	require.Equal(t, 8, n)
}

func TestThereAre22Queries(t *testing.T) {
	all, err := Queries()
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, q := range all {
		seen[q.Name[:3]] = true
		require.NotContains(t, q.SQL, ";")
	}
	for i := range 22 {
		require.True(t, seen[fmt.Sprintf("q%02d", i+1)])
	}
}

func TestRulesNameEveryTable(t *testing.T) {
	require.Equal(t, `region: {global: true, on: [c0, c1]}
nation: {global: true, on: [c0, c1]}
supplier: {shard: hash(s_suppkey), shards: 4, on: [c0, c1]}
part: {shard: hash(p_partkey), shards: 4, on: [c0, c1]}
partsupp: {shard: hash(ps_partkey), like: part}
customer: {shard: hash(c_custkey), shards: 4, on: [c0, c1]}
orders: {shard: hash(o_orderkey), shards: 4, on: [c0, c1]}
lineitem: {shard: hash(l_orderkey), like: orders}
`, Rules(4, "c0", "c1"))
}
