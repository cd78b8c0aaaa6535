package integration

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// Two transactions that wait for each other on different clusters: no server
// can see that, and innodb_lock_wait_timeout is 50 seconds.
func TestDeadlockOverClusters(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		// Lock waits are shown there; off in the other tests to start faster.
		clusters := s.Own(t, "--performance-schema=ON")
		p := startServal(t, s, settings{Schema: "dead", Clusters: clusterLines(clusters), Tables: "t: {shard: hash(id), shards: 2, on: [c0, c1]}"})
		db := p.open(t, "")
		admin := oneConn(t, db)
		mustExec(t, admin, "CREATE DATABASE dead", "USE dead", "CREATE TABLE t (id BIGINT PRIMARY KEY, n INT NOT NULL)")
		mustExec(t, admin, "INSERT INTO t (id, n) WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 50) SELECT i, 0 FROM r")
		x, y := onBoth(t, clusters)
		a, b := oneConn(t, p.open(t, "dead")), oneConn(t, p.open(t, "dead"))
		mustExec(t, a, "BEGIN", "UPDATE t SET n = n + 1 WHERE id = "+x)
		mustExec(t, b, "BEGIN", "UPDATE t SET n = n + 10 WHERE id = "+y)
		first := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		go func() { _, err := a.ExecContext(ctx, "UPDATE t SET n = n + 1 WHERE id = "+y); first <- err }()
		_, err := b.ExecContext(ctx, "UPDATE t SET n = n + 10 WHERE id = "+x)
		errA := <-first
		victim, other, lost := b, a, err
		if errA != nil {
			victim, other, lost = a, b, errA
			require.NoError(t, err, "only one of them is the victim")
		}
		var e *mysql.MySQLError
		require.True(t, errors.As(lost, &e) && e.Number == 1213, "%v", lost)
		mustExec(t, other, "COMMIT")
		mustExec(t, victim, "COMMIT") // of nothing: it was rolled back
		sum := map[*sql.Conn]string{a: "2", b: "20"}[other]
		require.Equal(t, sum, one(t, other, "SELECT SUM(n) FROM t"))
	})
}

// onBoth are two ids whose rows are on different clusters.
func onBoth(t *testing.T, clusters []*mysqlproc.Cluster) (x, y string) {
	t.Helper()
	var ids [2]string
	for i, c := range clusters {
		require.NoError(t, c.Primary.DB().QueryRowContext(t.Context(), "SELECT MIN(id) FROM dead_"+string(rune('0'+i))+".t").Scan(&ids[i]))
	}
	return ids[0], ids[1]
}
