//go:build soak

package integration

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Who keeps a cut over from happening is named, and ends it in time: it is neither
// waited for for ever nor does it leave a mark on the job.
func TestSoakSessionsThatKeepTablesFromMoving(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "stays"
		p, db, to := movable(t, s, schema, "{shard: hash(user_id), shards: 4, on: [c0, c1]}", "{shard: hash(id), shards: 6, on: [c1, c0]}")
		for first := 100_000; first < 110_000; first += 1000 { // some chunks of each shard
			mustExec(t, db, fmt.Sprintf("INSERT INTO %s.orders SELECT id + %d, user_id + 64 * (id %% 64), total, note, paid_at FROM %s.orders WHERE id <= 1000", schema, first, schema))
		}
		slow := startReshard(t, "-c", p.Config, "--to", to, "--rate", "1000")
		awaitStage(t, slow, p.Config, "copying")
		slow.end(t, syscall.SIGKILL)
		reshardOK(t, "cutover", "-c", p.Config) // copies what is left
		reshardOK(t, "reverse", "-c", p.Config)
		reshardOK(t, "cancel", "-c", p.Config)
		awaitStage(t, startReshard(t, "-c", p.Config, "--to", to), p.Config, "following")
		c, err := db.Conn(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		do := func(sql string) {
			t.Helper()
			_, err := c.ExecContext(t.Context(), sql)
			require.NoError(t, err)
		}

		do("BEGIN")
		do("UPDATE " + schema + ".orders SET total = total + 1 WHERE id = 1")
		out, ok := reshardRun(t, "cutover", "-c", p.Config, "--within", "5s")
		require.False(t, ok, out)
		require.Contains(t, out, "has a transaction or LOCK TABLES open")
		do("COMMIT")

		do("UPDATE " + schema + ".orders SET total = total + 1 WHERE id = 1")
		do("LOCK TABLES " + schema + ".orders WRITE")
		behind := make(chan error, 1)
		go func() { // waits for the lock, and is not given up
			_, err := db.ExecContext(t.Context(), "UPDATE "+schema+".orders SET total = total + 1 WHERE id = 2")
			behind <- err
		}()
		began := time.Now()
		out, ok = reshardRun(t, "cutover", "-c", p.Config, "--within", "1s")
		t.Logf("given up after %s: %s", time.Since(began), out)
		require.False(t, ok, out)
		select {
		case err := <-behind:
			t.Fatalf("the statement behind the lock has ended: %v", err)
		default:
		}
		do("UNLOCK TABLES")
		require.NoError(t, <-behind)

		reshardOK(t, "cutover", "-c", p.Config)
		_, ok = reshardRun(t, "cutover", "-c", p.Config)
		require.False(t, ok, "it is done")
		require.Empty(t, lastJob(t, p.Config).Trouble)

		for _, at := range s.Clusters(t) { // past Serval
			for _, database := range queryStrings(t, at.Primary.DB(), "SELECT TABLE_SCHEMA FROM information_schema.TABLES WHERE TABLE_SCHEMA LIKE '"+schema+"%' AND TABLE_NAME = 'orders'") {
				mustExec(t, at.Primary.DB(), "ALTER TABLE "+database+".orders ADD late INT")
			}
		}
		require.Contains(t, lastJob(t, p.Config).Trouble, "cannot go back")
		out, ok = reshardRun(t, "reverse", "-c", p.Config)
		require.False(t, ok, out)
		reshardOK(t, "finish", "-c", p.Config, "--pause", "0s")
	})
}
