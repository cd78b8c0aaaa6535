package control

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
)

func viewRow(schema, name, definition string) [][]byte {
	return row(schema, name, definition, `{"Columns":["id"],"Literals":true,"Collation":"utf8mb4_bin"}`)
}

func TestLogicalViewsAreReadWithTheTablesAndWhenTheyChange(t *testing.T) {
	fake := newFake(nil)
	cfg := parse(t, shopRules)
	store := catalog.NewStore(&catalog.Catalog{})
	c, err := New(cfg, fake, store, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, c.Load(t.Context()), "no cluster has the table serval_meta.views")
	require.Nil(t, store.Load().View("shop", "v"))

	fake.views = map[string][][][]byte{"c0": {viewRow("shop", "v", "select 1 AS `id`")}, "c1": {viewRow("shop", "stray", "select 2 AS `id`")}}
	before := store.Load().Version
	require.NoError(t, c.Refresh(t.Context(), "serval_meta", "views"))
	v := store.Load().View("shop", "v")
	require.NotNil(t, v)
	require.Equal(t, catalog.View{Schema: "shop", Name: "v", Definition: "select 1 AS `id`", Columns: []string{"id"}, Literals: true, Collation: "utf8mb4_bin"}, *v)
	require.Greater(t, store.Load().Version, before, "cached plans are of the version before")
	require.Nil(t, store.Load().View("shop", "stray"), "it is not at its schema's home")

	fake.mu.Lock()
	fake.down["c0"] = true
	fake.mu.Unlock()
	require.NoError(t, c.Load(t.Context()))
	require.NotNil(t, store.Load().View("shop", "v"), "a cluster that does not answer keeps its views")
	require.Error(t, c.Refresh(t.Context(), "serval_meta", "views"))

	fake.mu.Lock()
	fake.down["c0"] = false
	fake.views["c0"] = [][][]byte{row("shop", "v", "select 1", "not JSON")}
	fake.mu.Unlock()
	require.NoError(t, c.Load(t.Context()))
	require.Empty(t, store.Load().View("shop", "v").Definition, "a row that cannot be read is a view that is not valid")
}
