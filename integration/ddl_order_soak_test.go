//go:build soak

package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSoakColumnOrder: a Serval that does not know yet that another one has put
// the columns into another order places values and rows as before, never a value
// in another's column or a row on another's shard.
func TestSoakColumnOrder(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		schema := schemaOf(t)
		dropSchema(t, s.Clusters(t), schema)
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
		given := settings{Schema: schema, Tables: "t: {shard: hash(id), shards: 4, on: [c0, c1]}\n"}
		first, other := startServal(t, s, given), startServal(t, s, given)
		a := oneConn(t, first.open(t, ""))
		mustExec(t, a, "CREATE DATABASE IF NOT EXISTS "+schema, "USE "+schema, "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, x INT, y INT)")
		b := oneConn(t, other.open(t, ""))
		mustExec(t, b, "USE "+schema)
		eventually(t, time.Minute, func() error {
			_, err := b.ExecContext(t.Context(), "REPLACE INTO t VALUES (0, 0, 0)")
			return err
		})
		stale := 0
		for range 5 {
			mustExec(t, a, "DELETE FROM t", "ALTER TABLE t MODIFY x INT FIRST")
			mustExec(t, b, "INSERT INTO t VALUES (1, 20, 300), (2, 30, 400), (3, 40, 500)")
			rows := allRows(t, a, "SELECT /*+ SERVAL(primary) */ id, x, y FROM t WHERE id IN (1, 2, 3, 20, 30, 40) ORDER BY y")
			require.Len(t, rows, 3)
			if rows[0] == "1|20|300" {
				stale++
				require.Equal(t, []string{"1|20|300", "2|30|400", "3|40|500"}, rows)
			} else {
				require.Equal(t, []string{"20|1|300", "30|2|400", "40|3|500"}, rows)
			}
			mustExec(t, a, "DELETE FROM t", "ALTER TABLE t MODIFY x INT AFTER id")
			eventually(t, time.Minute, func() error {
				_, err := b.ExecContext(t.Context(), "DELETE FROM t")
				return err
			})
		}
		t.Logf("%d of 5 times the other Serval did not know yet", stale)
	})
}
