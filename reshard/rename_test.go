package reshard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/topology"
)

// fourOnTwo are hash shards that change their rows and their number.
func renamedLayout() *Layout {
	at := func(cluster, database string) topology.Shard {
		return topology.Shard{Cluster: cluster, Database: database, Table: "orders"}
	}
	return &Layout{Tables: []*Table{{
		Schema: "shop", Name: "orders",
		Aside: []Aside{{at("c0", "shop_0"), "serval_old_orders"}, {at("c1", "shop_1"), "serval_old_orders"}},
		Targets: []Target{
			{Index: 0, Shard: at("c0", "shop_0"), New: "serval_new_orders", Replaces: true},
			{Index: 1, Shard: at("c0", "shop_1"), New: "serval_new_orders"},
			{Index: 2, Shard: at("c1", "shop_2"), New: "serval_new_orders"},
		},
	}}}
}

func TestRenamesPutAsideFirst(t *testing.T) {
	r := RenamesOf(renamedLayout())
	require.Equal(t, []string{
		"c0: RENAME TABLE `shop_0`.`orders` TO `shop_0`.`serval_old_orders`, `shop_0`.`serval_new_orders` TO `shop_0`.`orders`, " +
			"`shop_1`.`serval_new_orders` TO `shop_1`.`orders`",
		"c1: RENAME TABLE `shop_1`.`orders` TO `shop_1`.`serval_old_orders`, `shop_2`.`serval_new_orders` TO `shop_2`.`orders`",
	}, renamesText(r))
	require.Equal(t, []string{
		"c0: RENAME TABLE `shop_1`.`orders` TO `shop_1`.`serval_new_orders`, `shop_0`.`orders` TO `shop_0`.`serval_new_orders`, " +
			"`shop_0`.`serval_old_orders` TO `shop_0`.`orders`",
		"c1: RENAME TABLE `shop_2`.`orders` TO `shop_2`.`serval_new_orders`, `shop_1`.`serval_old_orders` TO `shop_1`.`orders`",
	}, renamesText(r.Back()))
	require.Equal(t, r, r.Back().Back())
	text, err := r.Text()
	require.NoError(t, err)
	again, err := DecodeRenames(text)
	require.NoError(t, err)
	require.Equal(t, r, again)
}

func TestRenamesKnowWhetherTheyAreDone(t *testing.T) {
	gone, come := RenamesOf(renamedLayout())[0].changes()
	require.Equal(t, "shop_0.serval_new_orders shop_1.serval_new_orders", namesText(gone), "shop_0.orders is there before and after")
	require.Equal(t, "shop_0.serval_old_orders shop_1.orders", namesText(come))
}

func TestTheWayBackOfALayoutIsTheRenamesBack(t *testing.T) {
	there := renamedLayout()
	// What Between says the other way round.
	at := there.Tables[0]
	back := &Table{Schema: at.Schema, Name: at.Name}
	for _, target := range at.Targets {
		back.Aside = append(back.Aside, Aside{target.Shard, "serval_old_orders"})
	}
	for i, a := range at.Aside {
		back.Targets = append(back.Targets, Target{Index: i, Shard: a.Shard, New: "serval_new_orders", Replaces: i == 0})
	}
	want, got := RenamesOf(there).Back(), RenamesOf((&Layout{Tables: []*Table{back}}).Back())
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i].Cluster, got[i].Cluster)
		require.ElementsMatch(t, want[i].Pairs, got[i].Pairs)
	}
}

func TestATableIsReplacedUnderItsServersOldName(t *testing.T) {
	l := renamedLayout()
	l.Tables[0].Aside[0].Shard.Cluster = "before"
	r := RenamesOf(l)
	require.Equal(t, "before", r[0].Cluster)
	require.Len(t, r[0].Pairs, 2)
}

func renamesText(r Renames) []string {
	var out []string
	for _, one := range r {
		out = append(out, one.Cluster+": "+one.sql())
	}
	return out
}

func namesText(names []Rename) string {
	var out []string
	for _, n := range names {
		out = append(out, fmt.Sprintf("%s.%s", n.Database, n.From))
	}
	return strings.Join(out, " ")
}
