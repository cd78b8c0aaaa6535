package integration

import (
	"errors"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// With innodb_rollback_on_timeout a server rolls back its part of a transaction
// when a lock wait takes too long, be it a branch or not; then all of it goes. (Without, see
// testdata/talks/locks.txt.)
func TestALockWaitThatRollsBackTakesAllClusters(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Own(t, "--innodb-rollback-on-timeout=ON", "--innodb-lock-wait-timeout=1")
		p := startServal(t, s, settings{Schema: "dead", Clusters: clusterLines(clusters), Tables: "t: {shard: hash(id), shards: 2, on: [c0, c1]}"})
		db := p.open(t, "")
		mustExec(t, oneConn(t, db), "CREATE DATABASE dead", "USE dead", "CREATE TABLE t (id BIGINT PRIMARY KEY, n INT NOT NULL)",
			"INSERT INTO t (id, n) WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 50) SELECT i, 0 FROM r")
		x, y := onBoth(t, clusters)
		for name, order := range map[string][2]string{"in the local transaction": {x, y}, "in the branch": {y, x}} {
			t.Run(name, func(t *testing.T) {
				locked, free := order[0], order[1]
				a, b := oneConn(t, p.open(t, "dead")), oneConn(t, p.open(t, "dead"))
				mustExec(t, b, "BEGIN", "UPDATE t SET n = n + 10 WHERE id = "+locked)
				mustExec(t, a, "BEGIN", "UPDATE t SET n = n + 1 WHERE id = 50", "UPDATE t SET n = n + 1 WHERE id = "+free)
				_, err := a.ExecContext(t.Context(), "UPDATE t SET n = n + 1 WHERE id = "+locked)
				var e *mysql.MySQLError
				require.True(t, errors.As(err, &e) && e.Number == 1205, "%v", err)
				mustExec(t, b, "UPDATE t SET n = n + 10 WHERE id = "+free, "ROLLBACK") // it waits for nobody
				mustExec(t, a, "COMMIT")
				require.Equal(t, "0", one(t, a, "SELECT SUM(n) FROM t FOR UPDATE"))
				mustExec(t, a, "UPDATE t SET n = n + 1 WHERE id IN ("+x+", "+y+")", "UPDATE t SET n = 0 WHERE id IN ("+x+", "+y+")")
			})
		}
	})
}
