package integration

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// unread is how long INNODB_TRX must not be read to be made anew: servers keep
// what they have shown for 100 ms behind each reading (MySQL manual, "InnoDB
// INFORMATION_SCHEMA Transaction and Locking Information").
const unread = 250 * time.Millisecond

// A staged write that ends while it writes (KILL QUERY, KILL, its client gone)
// leaves nothing half done: no row, or all, and no open transaction.
func TestStagedEnds(t *testing.T) {
	eachEngineAlone(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		const schema = "stagedends"
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: stagedTables})
		c := oneConn(t, p.open(t, ""))
		mustExec(t, c, "CREATE DATABASE "+schema, "USE "+schema, "CREATE TABLE big (id BIGINT PRIMARY KEY)", "CREATE TABLE kinds (id BIGINT PRIMARY KEY)",
			"INSERT INTO big WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 200) SELECT i FROM r")
		var servers []*sql.Conn
		for _, cl := range clusters {
			servers = append(servers, oneConn(t, openDB(t, cl.Primary.Addr(), "")))
		}
		transactions := func(where string) (n int) {
			for _, server := range servers {
				n += len(observe(t.Context(), server, mode{sql: "SELECT trx_id FROM information_schema.innodb_trx WHERE " + where}).rows)
			}
			return n
		}
		for name, end := range map[string]func(id string, cancel func()){
			"KILL QUERY":      func(id string, _ func()) { mustExec(t, c, "KILL QUERY "+id) },
			"KILL":            func(id string, _ func()) { mustExec(t, c, "KILL "+id) },
			"the client goes": func(_ string, cancel func()) { cancel() },
		} {
			t.Run(name, func(t *testing.T) {
				holder, writer := oneConn(t, p.open(t, schema)), oneConn(t, p.open(t, schema))
				mustExec(t, holder, "BEGIN", "INSERT INTO kinds VALUES (777)")
				id := one(t, writer, "SELECT CONNECTION_ID()")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan error, 1)
				go func() {
					_, err := writer.ExecContext(ctx, "INSERT INTO kinds SELECT id + 700 FROM big ORDER BY id")
					ended <- err
				}()
				require.Eventually(t, func() bool { return transactions("trx_state = 'LOCK WAIT' AND trx_query LIKE '%kinds%'") > 0 }, 30*time.Second, unread)
				end(id, cancel)
				require.Error(t, <-ended)
				mustExec(t, holder, "ROLLBACK")
				require.Eventually(t, func() bool { return transactions("trx_rows_locked + trx_rows_modified > 0") == 0 }, 20*time.Second, unread, "a transaction is left open")
				all := []string{"0"}
				if name == "the client goes" { // a server runs its statement to the end
					all = append(all, "200")
				}
				require.Contains(t, all, one(t, c, "SELECT COUNT(*) FROM kinds"))
				mustExec(t, c, "DELETE FROM kinds", "INSERT INTO kinds SELECT id + 700 FROM big ORDER BY id", "DELETE FROM kinds")
			})
		}
	})
}
