//go:build soak

package integration

import "testing"

func TestSoakTablesMoveWhileTheyAreWritten(t *testing.T) {
	moveTables(t, []movedTo{
		{"another key", "{shard: hash(user_id), shards: 4, on: [c0, c1]}", "{shard: hash(id), shards: 4, on: [c0, c1]}"},
		{"months become hash", "{shard: month(paid_at), on: [c0, c1], from: 2026-01, ahead: 2}", "{shard: hash(id), shards: 4, on: [c0, c1]}"},
	})
}
