package shardrule

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func slotted(t require.TestingT, lists ...string) (Hash, error) {
	var pairs []Pair
	for i, l := range lists {
		pairs = append(pairs, Pair{Key: strconv.Itoa(i), Value: l})
	}
	a, err := hashFunction().Counted(Args{"slots": {Pairs: pairs}}, len(lists))
	if err != nil {
		return Hash{}, err
	}
	h, ok := a.(Hash)
	require.True(t, ok)
	return h, nil
}

func TestSlotsAreGivenToShards(t *testing.T) {
	h, err := slotted(t, "0-299", "300-511, 1023", "512-1022")
	require.NoError(t, err)
	for slot, shard := range map[int]int{0: 0, 299: 0, 300: 1, 511: 1, 512: 2, 1022: 2, 1023: 1} {
		require.Equal(t, shard, h.ShardOfSlot(slot), slot)
	}
	require.Equal(t, "hash v1 shards=3 slots=0-299|300-511,1023|512-1022", h.Spec())
	equal, err := slotted(t, "0-511", "512-1023")
	require.NoError(t, err)
	require.Equal(t, hashOver(t, 2).Spec(), equal.Spec(), "equal runs are the rule without slots:")
}

func TestSlotsThatAreRefused(t *testing.T) {
	for why, lists := range map[string][]string{
		"slot 300 is in slots twice, for shard 0 and shard 1": {"0-300", "300-1023"},
		"slots 100-199 are no shard's":                        {"0-99", "200-1023"},
		"slot 1023 is no shard's":                             {"0-99", "100-1022"},
		`slots cannot have "0-1024" for shard 0`:              {"0-1024", "5"},
		`slots cannot have "9-3" for shard 1`:                 {"0-1023", "9-3"},
		`slots cannot have "" for shard 1`:                    {"0-1023", ""},
	} {
		_, err := slotted(t, lists...)
		require.ErrorContains(t, err, why)
	}
}

// Any owners of slots come back from their text.
func TestOwnersAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 8).Draw(t, "shards")
		var o SlotOwners
		cuts := rapid.SliceOfN(rapid.IntRange(0, n-1), Slots/16, Slots/16).Draw(t, "owners")
		for slot := range o {
			o[slot] = uint16(cuts[slot/16])
		}
		for shard := range n {
			o[shard] = uint16(shard) // each has one
		}
		h := hashOver(t, n).With(&o)
		again, err := slotted(t, h.Owners().Lists(n)...)
		require.NoError(t, err)
		require.Equal(t, h.Spec(), again.Spec())
		for slot := range Slots {
			require.Equal(t, int(o[slot]), again.ShardOfSlot(slot))
		}
		require.NotContains(t, strings.Join(h.Owners().Lists(n), "|"), "||")
	})
}
