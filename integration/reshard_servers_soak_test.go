//go:build soak

package integration

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counted are rows of one number each that only grows: of each is known what was
// acknowledged, and what may be there because a server died before it answered.
type counted struct {
	mu           sync.Mutex
	acked, tried map[int64]int64
	errs         errorList
	stop         func()
}

func startCounted(t *testing.T, p *serval, table string) *counted {
	t.Helper()
	c := &counted{acked: map[int64]int64{}, tried: map[int64]int64{}}
	ctx, cancel := context.WithCancel(context.Background())
	db := p.open(t, "")
	var writers sync.WaitGroup
	for w := range int64(4) {
		random := rand.New(rand.NewPCG(uint64(w), 11))
		writers.Go(func() {
			for ctx.Err() == nil {
				c.write(db, table, w+4*random.Int64N(500))
			}
		})
	}
	c.stop = sync.OnceFunc(func() { cancel(); writers.Wait() })
	t.Cleanup(c.stop)
	return c
}

func (c *counted) write(db *sql.DB, table string, id int64) {
	c.mu.Lock()
	c.tried[id]++ // a number is tried once: this writer alone has the row
	n := c.tried[id]
	c.mu.Unlock()
	_, err := db.ExecContext(context.Background(), fmt.Sprintf("INSERT INTO %s VALUES (%d, %d) ON DUPLICATE KEY UPDATE n = %d", table, id, n, n))
	if err != nil {
		c.errs.add(err)
		time.Sleep(20 * time.Millisecond) // a server is away
		return
	}
	c.mu.Lock()
	c.acked[id] = n
	c.mu.Unlock()
}

// requireRows: no acknowledged write is lost, none that was never made is there, and
// no row is there twice.
func (c *counted) requireRows(t *testing.T, db *sql.DB, table string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT id, n FROM "+table+" WHERE id < 2000")
	require.NoError(t, err)
	found := map[int64]int64{}
	for rows.Next() {
		var id, n int64
		require.NoError(t, rows.Scan(&id, &n))
		require.NotContains(t, found, id, "a row is there twice")
		found[id] = n
	}
	require.NoError(t, rows.Err())
	for id, n := range c.acked {
		require.GreaterOrEqual(t, found[id], n, "row %d lost an acknowledged write", id)
		require.LessOrEqual(t, found[id], c.tried[id], "row %d", id)
	}
	t.Logf("%d rows written, %d statements failed (%v)", len(c.acked), c.errs.len(), c.errs.first())
}

// Servers die while a table moves: a replica of the source and nobody notices; the
// source's primary is replaced; and a primary that is written to dies with rows that
// its replica never got. They are missed, and taken over again, before the rules change,
// though all had been compared.
func TestSoakServersDieWhileTablesMove(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema, table = "dying", "dying.counted"
		clusters, p, db, to := countable(t, s, schema, "{shard: hash(id), shards: 4, on: [c0, c1]}", 3000)
		load := startCounted(t, p, table)
		r := startReshard(t, "-c", p.Config, "--to", to, "--rate", "300")
		awaitStage(t, r, p.Config, "copying")

		require.NoError(t, clusters[0].Replicas[0].Kill9())
		time.Sleep(time.Second) // what is written and read without it
		require.Zero(t, load.errs.len(), "a replica died: %v", load.errs.first())
		require.NoError(t, clusters[0].Replicas[0].Restart(t.Context()))
		require.NoError(t, clusters[0].Sync(t.Context()))
		require.NoError(t, clusters[0].Promote(t.Context(), clusters[0].Replicas[0]))
		require.Equal(t, "copying", lastJob(t, p.Config).Stage, "the source's primary is to change while rows are copied")
		awaitStage(t, r, p.Config, "following")
		require.Contains(t, reshardOK(t, "verify", "-c", p.Config), "no difference")

		target := clusters[1]
		require.NoError(t, target.Replicas[0].Exec(t.Context(), "STOP REPLICA"))
		mustExec(t, db, "INSERT INTO "+table+" SELECT id + 10000, 1 FROM "+table+" WHERE id BETWEEN 10000 AND 10999")
		eventually(t, 20*time.Second, func() error {
			if j := lastJob(t, p.Config); j.Dirty > 50 {
				return fmt.Errorf("%d keys wait", j.Dirty)
			}
			return nil
		})
		require.NoError(t, target.Primary.Kill9())
		promoted(t, target)

		reshardOK(t, "cutover", "-c", p.Config)
		load.stop()
		require.Equal(t, "4000", one(t, db, "SELECT COUNT(*) FROM "+table+" WHERE id >= 10000"))
		load.requireRows(t, db, table)
		out, err := runServal("check", "-c", p.Config, "--live", "--placement")
		require.NoError(t, err, out)
		reshardOK(t, "finish", "-c", p.Config, "--pause", "0s")
	})
}
