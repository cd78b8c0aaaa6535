package router

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/router/plan"
)

func TestCopiesGetTheKeysThatTheQueryCanUse(t *testing.T) {
	cat := shop(t)
	key := func(names ...string) catalog.Index {
		var out catalog.Index
		for _, n := range names {
			out = append(out, catalog.IndexColumn{Name: n})
		}
		return out
	}
	cat.Table("shop", "orders").Indexes = []catalog.Index{
		key("region"), key("region", "total"), key("total", "status"), key("status"), key("user_id"), {{Name: "created", Prefix: 3}}, key("created")}
	indexes := func(sql string) []string {
		pl, _, err := planText(t, cat, "shop", sql)
		require.NoError(t, err)
		n, ok := pl.Root.(*plan.Finish)
		require.True(t, ok)
		return n.Fragments[0].Indexes
	}
	require.Equal(t, []string{"`region`"}, indexes("SELECT COUNT(DISTINCT region) FROM orders"), "as far as its columns are copied")
	require.Equal(t, []string{"`region`, `total`", "`total`"}, indexes("SELECT COUNT(DISTINCT region), SUM(total) FROM orders"),
		"one that another begins with is left out, also that of the primary key")
	require.Equal(t, []string{"`created`(3)", "`created`"}, indexes("SELECT DISTINCT COUNT(*), o.* FROM orders o GROUP BY created"),
		"the first column must be named")

	cat.Table("shop", "orders").PrimaryKey = []string{"id", "region"}
	require.Equal(t, []string{"`id`, `region`", "`region`"}, indexes("SELECT COUNT(DISTINCT id) FROM orders WHERE region > 'a'"),
		"a primary key that is none over all shards is an index")
}
