package control

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlacementNamesTheShardWithForeignRows(t *testing.T) {
	servers := newFake(shopTables())
	found := CheckPlacement(t.Context(), parse(t, shopRules), servers, november)

	require.Len(t, found, 1)
	require.Equal(t, "users", found[0].Table)
	require.Equal(t, 1, found[0].Shard)
	require.Contains(t, found[0].What, "3 rows of shop_1.users on cluster c1 belong to other shards, the first with name = bob")
	require.Contains(t, servers.executed, "SELECT COUNT(*), MIN(`at`) FROM `shop`.`logs_202610` WHERE NOT "+
		"(CAST(FIELD(YEAR(`at`) * 12 + MONTH(`at`), 24322, 24323) AS SIGNED) - 1 <=> 0)", "every month is asked")
}

func TestPlacementSaysWhatItCouldNotRead(t *testing.T) {
	servers := newFake(shopTables())
	servers.down["c1"] = true
	for _, f := range CheckPlacement(t.Context(), parse(t, shopRules), servers, november) {
		require.Contains(t, f.What, "could not be read", f.String())
	}
}
