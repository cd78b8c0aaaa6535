package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSlotsAreWrittenIntoAFileAndNothingElseChanges(t *testing.T) {
	head := "# Äöü: ours\nclusters: {c0: {primary: 'h0:1'}} # servers\nschemas:\n  shop:\n    tables:\n"
	for name, c := range map[string]struct{ before, after, err string }{
		"a rule in braces": {
			"      users: {shard: hash(id), shards: 2} # all of them\n", "      users: {slots: ['0-9,20', 10-1023], shard: hash(id), shards: 2} # all of them\n", ""},
		"slots that are there": {
			"      users: {shard: hash(id), slots: [0-511, '512-1023'], on: c0}\n", "      users: {shard: hash(id), slots: ['0-9,20', 10-1023], on: c0}\n", ""},
		"a mapping of slots over two lines": {
			"      users: {slots: {0: 0-511,\n        1: 512-1023}, shard: hash(id)}\n", "      users: {slots: ['0-9,20', 10-1023], shard: hash(id)}\n", ""},
		"a rule on lines of its own": {
			"      users:\n        # by id\n        shard: hash(id)\n        shards: 2\n      größe: {on: c0}\n",
			"      users:\n        # by id\n        slots: ['0-9,20', 10-1023]\n        shard: hash(id)\n        shards: 2\n      größe: {on: c0}\n", ""},
		"umlauts before it": {
			"      größe: {on: c0}\n      users: {shard: hash(größe), slots: [0-511, 512-1023]}\n", "      größe: {on: c0}\n      users: {shard: hash(größe), slots: ['0-9,20', 10-1023]}\n", ""},
		"a list on lines of its own": {"      users:\n        slots:\n        - 0-511\n        - 512-1023\n        shard: hash(id)\n", "", "write it as [ … ] first"},
		"an alias":                   {"      a: &x {shard: hash(id), shards: 2}\n      users: *x\n", "", "is an alias"},
		"another table":              {"      orders: {shard: hash(id), shards: 2}\n", "", "1 of the 1 tables are not written out"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := WithSlots(head+c.before, map[string][]string{"shop.users": {"0-9,20", "10-1023"}})
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, head+c.after, got)
		})
	}
}
