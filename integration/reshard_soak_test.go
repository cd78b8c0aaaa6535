//go:build soak

package integration

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/etcdtest"
)

func TestSoakTablesMoveWhileTheyAreWritten(t *testing.T) {
	moveTables(t, []movedTo{
		{"another key", "{shard: hash(user_id), shards: 4, on: [c0, c1]}", "{shard: hash(id), shards: 4, on: [c0, c1]}"},
		{"months become hash", "{shard: month(paid_at), on: [c0, c1], from: 2026-01, ahead: 2}", "{shard: hash(id), shards: 4, on: [c0, c1]}"},
	})
}

// Whoever cuts over is killed at any moment, there and back again: what is held
// goes on, nothing fails, nothing is lost, and the next command knows what became of
// it.
func TestSoakACutOverThatIsKilled(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "killed"
		p, db, to := movable(t, s, schema, "{shard: hash(user_id), shards: 4, on: [c0, c1]}", "{shard: hash(id), shards: 6, on: [c1, c0]}")
		load := startMoved(t, p, schema, schema+".orders", 4)
		r := startReshard(t, "-c", p.Config, "--to", to)
		awaitStage(t, r, p.Config, "following")
		r.end(t, syscall.SIGKILL)
		random := rand.New(rand.NewPCG(uint64(len(s.engine.String())), 3))
		stages := map[string]int{}
		for range killedTurns {
			verb := "cutover"
			if lastJob(t, p.Config).Stage == "reversing" {
				verb = "reverse"
			}
			cmd := exec.Command(binary, "reshard", verb, "-c", p.Config, "--unverified")
			out := &safeBuffer{}
			cmd.Stdout, cmd.Stderr = out, out
			require.NoError(t, cmd.Start())
			killAt(t, p, random)
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()         // it was killed
			stages[lastJob(t, p.Config).Stage]++
			time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
			load.requireNoError(t)
		}
		t.Logf("killed %d times; the stages found then: %v", killedTurns, stages)
		for lastJob(t, p.Config).Stage != "reversing" {
			out, _ := reshardRun(t, "cutover", "-c", p.Config)
			t.Log(out)
		}
		load.end()
		load.requireNoError(t)
		s.sync(t)
		load.requireRows(t, db)
		reshardOK(t, "finish", "-c", p.Config, "--pause", "0s")
		require.Empty(t, left(t, s, schema))
	})
}

// killedTurns is how often.
const killedTurns = 30

// killAt returns at some moment of a cut over: mostly when the Serval has been asked,
// or a little later.
func killAt(t *testing.T, p *serval, random *rand.Rand) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if _, err := os.Stat(p.Config + ".versions/cutover.json"); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Duration(random.IntN(250)) * time.Millisecond)
}

// Two Servals share their rules in etcd, and writers use both: a table is cut over,
// back and there again, and neither serves it where it is not.
func TestSoakTwoServalsCutOverTogether(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		own(t, s.engine.String(), reshardJobs)
		const schema, before, after = "together", "{shard: hash(user_id), shards: 4, on: [c0, c1]}", "{shard: hash(id), shards: 6, on: [c1, c0]}"
		dropSchema(t, s.Clusters(t), schema)
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
		cfg := settings{Schema: schema, Tables: "orders: " + before, Extra: "store: " + etcdtest.Start(t).URL + "/serval/" + schema}
		p, q := startServal(t, s, cfg), startServal(t, s, cfg)
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE "+schema, movedTable(schema+".orders"))
		fillMoved(t, db, schema+".orders")
		s.sync(t)
		eventually(t, 15*time.Second, func() error {
			_, err := q.open(t, schema).ExecContext(t.Context(), "SELECT COUNT(*) FROM orders")
			return err
		})
		to := edited(t, p.Config, "orders: "+before, "orders: "+after)
		load := startMoved(t, p, schema, schema+".orders", 6, q)
		awaitStage(t, startReshard(t, "-c", p.Config, "--to", to), p.Config, "following")
		for _, verb := range []string{"cutover", "reverse", "cutover", "reverse", "cutover"} {
			began := time.Now()
			reshardOK(t, verb, "-c", p.Config)
			load.requireNoError(t)
			p99, longest, n := load.held(began, time.Now())
			t.Logf("%s: of %d writes the longest took %s, the 99th of 100 %s", verb, n, longest, p99)
			time.Sleep(300 * time.Millisecond)
		}
		load.end()
		load.requireNoError(t)
		s.sync(t)
		load.requireRows(t, db)
		load.requireRows(t, q.open(t, ""))
		reshardOK(t, "finish", "-c", p.Config, "--pause", "0s")
	})
}
