package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// A server rolls back the whole transaction of a deadlock's victim: what the statement
// had for its other shards must not be done behind that, in no transaction at all.
func TestADeadlockEndsAStatementOverSeveralShards(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "victims"
		dropSchema(t, s.Clusters(t), schema)
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: "t: {shard: range(id), ranges: {0-99: 0, 100-199: 1, 200-: 2}, on: [c0]}"})
		mustExec(t, p.open(t, ""), "CREATE DATABASE "+schema)
		victim, other := oneConn(t, p.open(t, schema)), oneConn(t, p.open(t, schema))
		var rows []string
		for id := range 300 {
			rows = append(rows, fmt.Sprintf("(%d, %d)", id, id%100/50))
		}
		mustExec(t, victim, "CREATE TABLE t (id INT PRIMARY KEY, n INT)", "INSERT INTO t VALUES "+strings.Join(rows, ", "))
		mustExec(t, other, "BEGIN", "UPDATE t SET n = n + 10 WHERE id BETWEEN 10 AND 90")
		mustExec(t, victim, "BEGIN", "UPDATE t SET n = 5 WHERE id = 1")
		ended := make(chan error, 1)
		go func() {
			_, err := victim.ExecContext(t.Context(), "DELETE FROM t WHERE n >= 0")
			ended <- err
		}()
		home := s.Clusters(t)[0].Primary.DB()
		eventually(t, 10*time.Second, func() error {
			if one(t, home, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'DELETE FROM `victims%'") == "0" {
				return errors.New("it does not wait yet")
			}
			return nil
		})
		mustExec(t, other, "UPDATE t SET n = 6 WHERE id = 1", "COMMIT")
		var e *mysql.MySQLError
		require.ErrorAs(t, <-ended, &e)
		require.EqualValues(t, 1213, e.Number)
		mustExec(t, victim, "ROLLBACK")
		s.sync(t)
		require.Equal(t, "300", one(t, other, "SELECT COUNT(*) FROM t"))
	})
}
