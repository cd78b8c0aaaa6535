//go:build soak

package integration

import "testing"

// Rules of several columns, before, after and both.
func TestSoakRulesOfSeveralColumnsMove(t *testing.T) {
	const either = "'hash(user_id % 64) or hash(id % 64)', shards: 4"
	moveTables(t, []movedTo{
		{"months become months of a hash", "{shard: month(paid_at), on: [c0, c1], from: 2026-01, ahead: 2}", "{shard: 'month(paid_at), hash(user_id) x 4', on: [c0, c1], from: 2026-01, ahead: 2}"},
		{"months of a hash become a hash", "{shard: 'month(paid_at), hash(user_id) x 2', on: [c0, c1], from: 2026-01, ahead: 2}", "{shard: hash(id), shards: 4, on: [c0, c1]}"},
		{"either column becomes both of them", "{shard: " + either + ", on: [c0, c1]}", "{shard: 'hash(user_id) x 2, hash(id) x 3', on: [c0, c1]}"},
		{"a hash becomes either column", "{shard: hash(id), shards: 4, on: [c0]}", "{shard: " + either + ", on: [c0, c1]}"},
		{"a range more, of which there are no rows", "{shard: 'range(user_id, 0-999: 0, 1000-1999: 1), hash(id) x 2', on: [c0]}",
			"{shard: 'range(user_id, 0-999: 0, 1000-1999: 1, 2000-2999: 2), hash(id) x 2', on: [c0]}"},
	})
}
