package control

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/shardrule"
)

func plainShop() *fakeServers {
	tables := shopTables()
	tables[place{"c0", "shop", "settings"}] = []string{"name varchar(20)", "value int"}
	tables[place{"c0", "blog", "posts"}] = []string{"id bigint"}
	tables[place{"c1", "shop", "stray"}] = []string{"id bigint"}
	tables[place{"c0", "mysql", "user"}] = []string{"id bigint"}
	return newFake(tables)
}

func TestTablesWithoutARuleAreKnownWhereTheirHomeIs(t *testing.T) {
	f := plainShop()
	c, store := start(t, f)
	require.NoError(t, c.Load(t.Context()))
	settings := store.Load().PlainTable("shop", "settings")
	require.Len(t, settings.Columns, 2)
	require.Equal(t, []string{"name"}, settings.PrimaryKey)
	require.Equal(t, []catalog.Index{{{Name: "name", Prefix: 7}}}, settings.Indexes)
	require.Nil(t, settings.Placement)
	require.Nil(t, store.Load().Table("shop", "settings"), "it has no rule")
	require.NotNil(t, store.Load().PlainTable("blog", "posts"), "a database that no schema names")
	require.Nil(t, store.Load().PlainTable("shop", "stray"), "not on the home cluster")
	require.Nil(t, store.Load().PlainTable("mysql", "user"))
	require.Nil(t, store.Load().PlainTable("shop_0", "users"), "a shard is no table of its own")
	require.ElementsMatch(t, []string{
		"c0: WHERE TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'serval_meta', 'shop_0', 'shop_1', 'sys')",
		"c0: WHERE TABLE_SCHEMA = 'shop_0'", "c1: WHERE TABLE_SCHEMA = 'shop'",
	}, f.asked[1:], "one question for all databases that are no shards', then those of shards")

	known := store.Load()
	f.down["c0"] = true
	require.NoError(t, c.Load(t.Context()))
	require.Same(t, known, store.Load(), "a cluster that is away keeps what was known")
}

func TestATableThatGetsARuleIsKnownAtOnce(t *testing.T) {
	f := plainShop()
	c, store := start(t, f)
	require.NoError(t, c.Load(t.Context()))
	f.down["c0"], f.down["c1"], f.down["c2"] = true, true, true
	require.NoError(t, c.Adopt(parse(t, head+"schemas: {shop: {home: c0, tables: {settings: {shard: hash(name), shards: 4, on: [c0, c1]}}}}")))
	require.Len(t, store.Load().Table("shop", "settings").Columns, 2)
	require.Equal(t, shardrule.TypeText, store.Load().Table("shop", "settings").Placement.Column.Type)
	require.Nil(t, store.Load().PlainTable("shop", "settings"))
	require.Len(t, store.Load().PlainTable("shop", "users").Columns, 2, "and one that loses its rule")
}

func TestATableWithoutARuleIsKnownAsSoonAsItIsCreated(t *testing.T) {
	f := plainShop()
	c, store := start(t, f)
	require.NoError(t, c.Load(t.Context()))
	at := place{"c0", "shop", "carts"}
	f.tables[at] = []string{"id bigint", "at datetime"}
	require.NoError(t, c.Refresh(t.Context(), "shop", "carts"))
	require.Len(t, store.Load().PlainTable("shop", "carts").Columns, 2)
	require.NotNil(t, store.Load().PlainTable("shop", "settings"))

	version := store.Load().Version
	require.NoError(t, c.Refresh(t.Context(), "shop", "carts"))
	require.NoError(t, c.Refresh(t.Context(), "mysql", "user"))
	require.NoError(t, c.Refresh(t.Context(), "shop_0", "users"))
	require.Equal(t, version, store.Load().Version, "nothing new")
	delete(f.tables, at)
	require.NoError(t, c.Refresh(t.Context(), "shop", "carts"))
	require.Nil(t, store.Load().PlainTable("shop", "carts"))
}

func TestTooManyTablesAreNotRead(t *testing.T) {
	f := plainShop()
	many := func(database string) {
		columns := make([]string, mostPlainColumns)
		for i := range columns {
			columns[i] = "c" + strconv.Itoa(i) + " int"
		}
		f.tables[place{"c0", database, "wide"}] = columns
	}
	many("blog")
	c, store := start(t, f)
	require.NoError(t, c.Load(t.Context()))
	require.NotNil(t, store.Load().PlainTable("shop", "settings"), "those of schemas still are")
	require.Nil(t, store.Load().PlainTable("blog", "posts"))

	many("shop")
	c, store = start(t, f)
	require.NoError(t, c.Load(t.Context()))
	require.Nil(t, store.Load().PlainTable("shop", "settings"))
	require.NotEmpty(t, store.Load().Table("shop", "users").Columns, "sharded ones are, whatever there is")
}
