package integration

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a session has written over both clusters it reads at once, wherever the
// read goes: MariaDB's parallel replicas count XA COMMIT as executed a moment
// before readers see it.
func TestASessionReadsItsAtomicWrites(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		dropSchema(t, clusters, "rywatomic")
		t.Cleanup(func() { dropSchema(t, clusters, "rywatomic") })
		p := startServal(t, s, settings{Schema: "rywatomic", Clusters: clusterLines(clusters), Tables: "t: {shard: hash(id), shards: 4, on: [c0, c1]}"})
		db := p.open(t, "")
		mustExec(t, oneConn(t, db), "CREATE DATABASE rywatomic", "USE rywatomic", "CREATE TABLE t (id BIGINT PRIMARY KEY, n INT NOT NULL)")
		s.sync(t)
		const sessions, rows = 16, 6
		stop := time.Now().Add(readFor)
		var workers sync.WaitGroup
		var errs errorList
		var mu sync.Mutex
		rounds := 0
		for w := range sessions {
			conn := oneConn(t, db)
			workers.Go(func() {
				for n := 1; time.Now().Before(stop); n++ {
					insert := "REPLACE INTO rywatomic.t VALUES "
					for k := range rows {
						insert += fmt.Sprintf("(%d, %d),", w*1000+k, n)
					}
					if _, err := conn.ExecContext(t.Context(), insert[:len(insert)-1]); err != nil {
						if deadlock(err) {
							continue
						}
						errs.add(err)
						return
					}
					var seen int
					err := conn.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM rywatomic.t WHERE n = ? AND id BETWEEN ? AND ?", n, w*1000, w*1000+rows).Scan(&seen)
					if err == nil && seen != rows {
						err = fmt.Errorf("session %d reads %d of the %d rows it has just written (round %d)", w, seen, rows, n)
					}
					if err != nil {
						errs.add(err)
						return
					}
					mu.Lock()
					rounds++
					mu.Unlock()
				}
			})
		}
		workers.Wait()
		require.NoError(t, errs.first())
		t.Logf("%d rounds", rounds)
	})
}

const readFor = 3 * time.Second
