package integration

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"
)

// What statements ask for by the key, and write by it, is counted by slot, and
// weighs when shards are evened.
func TestTrafficIsCountedBySlot(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		schema := schemaOf(t)
		p := startServal(t, s, settings{Schema: schema, Tables: "orders: {shard: hash(user_id), shards: 4, on: [c0, c1]}", AllSchemas: true})
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
		db := p.open(t, "")
		table := schema + ".orders"
		mustExec(t, db, "CREATE DATABASE "+schema, "CREATE TABLE "+table+" (id BIGINT, user_id BIGINT, PRIMARY KEY (id, user_id))",
			"INSERT INTO "+table+" VALUES (1, 7), (2, 8), (3, 9)")
		for range 20 {
			one(t, db, "SELECT COUNT(*) FROM "+table+" WHERE user_id = ?", 7)
		}
		mustExec(t, db, "CREATE TABLE "+schema+".other (id BIGINT PRIMARY KEY)") // the catalog is another one
		slot := fmt.Sprint(crc32.ChecksumIEEE([]byte("7")) % 1024)
		require.Equal(t, "21", one(t, db, "SELECT count_keys FROM serval.slots WHERE table_schema = ? AND slot = ?", schema, slot))
		require.Equal(t, "23", one(t, db, "SELECT SUM(count_keys) FROM serval.slots WHERE table_schema = ?", schema))

		out, err := runServal("rebalance", "-c", p.Config, "--by", "traffic", "-o", "json")
		require.NoError(t, err, out)
		var groups []struct {
			Decision struct {
				Hot []struct {
					Slot   int
					Weight float64
				}
			}
		}
		require.NoError(t, json.Unmarshal([]byte(out), &groups), out)
		require.Len(t, groups, 1)
		require.NotEmpty(t, groups[0].Decision.Hot)
		require.Equal(t, slot, fmt.Sprint(groups[0].Decision.Hot[0].Slot))
		require.InDelta(t, 21, groups[0].Decision.Hot[0].Weight, 0)
	})
}
