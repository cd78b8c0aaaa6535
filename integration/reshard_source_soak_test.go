//go:build soak

package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The primary that rows are read from, and that has the journal, dies with writes that its
// replica never got, after they had come to the new tables and all had been compared. They
// are lost, as they would be without Serval; the new tables do not have them either
// when the rules change, though nobody compares by hand, and no writer is told of an error by the
// cut over.
func TestSoakASourceDiesWithWritesOfItsOwn(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema, table = "forgets", "forgets.counted"
		clusters, p, db, to := countable(t, s, schema, "{shard: hash(id), shards: 4, on: [c1]}", 4000)
		r := startReshard(t, "-c", p.Config, "--to", to)
		awaitStage(t, r, p.Config, "following")
		require.Contains(t, reshardOK(t, "verify", "-c", p.Config), "no difference")

		source := clusters[0]
		require.NoError(t, source.Sync(t.Context()))
		require.NoError(t, source.Replicas[0].Exec(t.Context(), "STOP REPLICA"))
		mustExec(t, db, "UPDATE "+table+" SET n = 7 WHERE id < 10500", "DELETE FROM "+table+" WHERE id BETWEEN 10500 AND 10599",
			"INSERT INTO "+table+" SELECT id + 10000, 1 FROM "+table+" WHERE id BETWEEN 11000 AND 11099")
		eventually(t, 20*time.Second, func() error {
			if got := one(t, clusters[1].Primary.DB(), "SELECT (SELECT COUNT(*) FROM forgets_0.serval_new_counted WHERE id > 20000) + (SELECT COUNT(*) FROM forgets_1.serval_new_counted WHERE id > 20000)"+
				" + (SELECT COUNT(*) FROM forgets_2.serval_new_counted WHERE id > 20000) + (SELECT COUNT(*) FROM forgets_3.serval_new_counted WHERE id > 20000)"); got != "100" {
				return fmt.Errorf("%s rows have come over", got)
			}
			return nil
		})
		require.NoError(t, source.Primary.Kill9())
		promoted(t, source)
		load := startCounted(t, p, table)

		eventually(t, time.Minute, func() error { // the journal is away for a while
			if out, ok := reshardRun(t, "cutover", "-c", p.Config); !ok {
				return fmt.Errorf("cutover: %s", out)
			}
			return nil
		})
		time.Sleep(200 * time.Millisecond)
		load.stop()
		require.NoError(t, clusters[1].Sync(t.Context())) // replicas are read, too
		require.Equal(t, "4000 0 10000 13999", one(t, db, "SELECT CONCAT_WS(' ', COUNT(*), SUM(n), MIN(id), MAX(id)) FROM "+table+" WHERE id >= 10000"))
		load.requireRows(t, db, table)
		out, err := runServal("check", "-c", p.Config, "--live", "--placement")
		require.NoError(t, err, out)
		reshardOK(t, "finish", "-c", p.Config, "--pause", "0s")
	})
}
