//go:build soak

package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// While rows are copied and applications write, servers are killed: the replica that
// the copy waits for, the primary that is written to, and the one that is read and has
// the journal. The copy goes on by itself each time, and nothing is lost.
func TestSoakServersDieWhileRowsAreCopied(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema, table, rows = "copying", "copying.counted", 8000
		clusters, p, db, to := countable(t, s, schema, "{shard: hash(id), shards: 4, on: [c0, c1]}", rows)
		source, target := clusters[0], clusters[1]
		load := startCounted(t, p, table)
		says := func(what string) {
			t.Helper()
			eventually(t, time.Minute, func() error {
				if out, _ := reshardRun(t, "status", "-c", p.Config); !strings.Contains(out, what) {
					return fmt.Errorf("status: %s", out)
				}
				return nil
			})
		}
		copying := func() int64 {
			t.Helper()
			j := lastJob(t, p.Config)
			require.Equal(t, "copying", j.Stage)
			return j.Rows
		}
		require.NoError(t, target.Replicas[0].Delay(t.Context(), 10*time.Minute))
		r := startReshard(t, "-c", p.Config, "--to", to, "--rate", "100")
		awaitStage(t, r, p.Config, "copying")
		says("replica " + target.Replicas[0].Addr() + " of cluster c1")
		waited := copying()
		require.NoError(t, target.Replicas[0].Kill9())
		eventually(t, time.Minute, func() error {
			if copying() == waited {
				return fmt.Errorf("it waits for a replica that is dead, at %d rows", waited)
			}
			return nil
		})

		require.NoError(t, target.Replicas[0].Restart(t.Context()))
		require.NoError(t, target.Replicas[0].Delay(t.Context(), 0))
		require.NoError(t, target.Sync(t.Context()))
		require.NoError(t, target.Primary.Kill9())
		promoted(t, target)
		copying()
		require.Zero(t, load.errs.len(), "no table is there yet: %v", load.errs.first())

		load.stop()
		require.NoError(t, source.Sync(t.Context()))
		require.NoError(t, source.Primary.Kill9())
		promoted(t, source)
		load = startCounted(t, p, table)
		says("another server has become the primary of cluster c")
		copying()
		r.end(t, syscall.SIGKILL)
		awaitStage(t, startReshard(t, "-c", p.Config), p.Config, "following")
		reshardOK(t, "cutover", "-c", p.Config)
		load.stop()
		require.Equal(t, fmt.Sprint(rows), one(t, db, "SELECT COUNT(*) FROM "+table+" WHERE id >= 10000"))
		load.requireRows(t, db, table)
		out, err := runServal("check", "-c", p.Config, "--live", "--placement")
		require.NoError(t, err, out)
		reshardOK(t, "finish", "-c", p.Config, "--pause", "0s")
	})
}

// A period that is old stays while there is a way back to it, and goes when there is
// none any more; nothing of it is left.
func TestSoakOldPeriodsStayUntilTheJobEnds(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		own(t, s.engine.String(), reshardJobs)
		const schema = "kept"
		dropSchema(t, s.Clusters(t), schema)
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
		old := time.Now().UTC().AddDate(0, 0, -70)
		rule := fmt.Sprintf("{shard: month(at), time_zone: UTC, from: '%s', keep: 2, on: ", old.Format("2006-01"))
		p := startServal(t, s, settings{Schema: schema, Tables: "log: " + rule + "[c0]}"})
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE "+schema, "CREATE TABLE "+schema+".log (id INT, at DATETIME, PRIMARY KEY (id, at))",
			"INSERT INTO "+schema+".log VALUES (1, '"+old.Format(time.DateTime)+"'), (2, UTC_TIMESTAMP())")
		to := edited(t, p.Config, rule+"[c0]}", rule+"[c1], drop_old: true}")
		reshardOK(t, "start", "-c", p.Config, "--to", to, "--until", "following")
		reshardOK(t, "cutover", "-c", p.Config)
		time.Sleep(25 * time.Second) // two looks at least
		require.Equal(t, "2", one(t, db, "SELECT COUNT(*) FROM "+schema+".log"))
		reshardOK(t, "finish", "-c", p.Config, "--pause", "0s")
		require.Empty(t, left(t, s, schema))
		eventually(t, 40*time.Second, func() error {
			if n := one(t, db, "SELECT COUNT(*) FROM "+schema+".log"); n != "1" {
				return fmt.Errorf("%s rows", n)
			}
			return nil
		})
	})
}
