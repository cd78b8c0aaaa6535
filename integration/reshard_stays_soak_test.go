//go:build soak

package integration

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who keeps a cut over from happening is named, and ends it in time: it is neither
// waited for for ever nor does it leave a mark on the job.
func TestSoakSessionsThatKeepTablesFromMoving(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		own(t, s.engine.String(), reshardJobs)
		const schema, before, after = "stays", "{shard: hash(user_id), shards: 4, on: [c0, c1]}", "{shard: hash(id), shards: 6, on: [c1, c0]}"
		dropSchema(t, s.Clusters(t), schema)
		p := startServal(t, s, settings{Schema: schema, Tables: "orders: " + before})
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE "+schema, movedTable(schema+".orders"))
		fillMoved(t, db, schema+".orders")
		s.sync(t)
		to := edited(t, p.Config, "orders: "+before, "orders: "+after)
		slow := startReshard(t, "-c", p.Config, "--to", to, "--rate", "100")
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
		out, ok := reshardRun(t, "cutover", "-c", p.Config, "--within", "1s")
		require.False(t, ok, out)
		require.Contains(t, out, "has a transaction or LOCK TABLES open")
		do("COMMIT")

		do("UPDATE " + schema + ".orders SET total = total + 1 WHERE id = 1")
		do("LOCK TABLES " + schema + ".orders WRITE")
		out, ok = reshardRun(t, "cutover", "-c", p.Config, "--within", "1s")
		require.False(t, ok, out)
		do("UNLOCK TABLES")

		reshardOK(t, "cutover", "-c", p.Config)
		_, ok = reshardRun(t, "cutover", "-c", p.Config)
		require.False(t, ok, "it is done")
		require.Empty(t, lastJob(t, p.Config).Trouble)
		reshardOK(t, "finish", "-c", p.Config, "--pause", "0s")
	})
}
