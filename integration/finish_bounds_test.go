package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// boundedShop starts Serval with a table on cluster c0 only and the finishing
// on c1, which has none of its databases, and fills n rows of about 100 bytes.
func boundedShop(t *testing.T, s *serverSet, schema string, n int, extra ...string) *serval {
	t.Helper()
	clusters := s.Clusters(t)
	dropSchema(t, clusters, schema)
	t.Cleanup(func() { dropSchema(t, clusters, schema) })
	proxy := startServal(t, s, settings{Schema: schema, AllSchemas: true, Tables: "big: {shard: hash(id), shards: 4, on: c0}\nsmall: {shard: hash(id), shards: 2, on: c0}\n",
		Extra: "finisher: {cluster: c1, max_rows: 2000000}\n" + strings.Join(extra, "")})
	c := oneConn(t, proxy.open(t, ""))
	for _, q := range []string{"CREATE DATABASE " + schema, "USE " + schema,
		"CREATE TABLE big (id BIGINT NOT NULL PRIMARY KEY, v INT NOT NULL, pad VARCHAR(200) NOT NULL)",
		"CREATE TABLE small (id BIGINT NOT NULL PRIMARY KEY, v INT NOT NULL)",
		"INSERT INTO small VALUES (1, 1), (2, 2), (3, 3)"} {
		mustExec(t, c, q)
	}
	const batch = 2000
	pad := strings.Repeat("x", 80)
	for from := 1; from <= n; from += batch {
		var b strings.Builder
		for i := from; i < from+batch && i <= n; i++ {
			fmt.Fprintf(&b, ",(%d, %d, '%s')", i, i%1000, pad)
		}
		mustExec(t, c, "INSERT INTO big VALUES "+b.String()[1:])
	}
	for _, c := range clusters {
		require.NoError(t, c.Sync(t.Context()))
	}
	return proxy
}

// TestFinishIsBounded: the budgets hold and say what passed them, and a
// statement that is ended early leaves nothing that a later one would see.
func TestFinishIsBounded(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const n = 20_000
		proxy := boundedShop(t, s, "bounded", n)
		c := oneConn(t, proxy.open(t, "bounded"))
		const count = "SELECT COUNT(DISTINCT b.id) * 10 + COUNT(DISTINCT s.id) FROM big b LEFT JOIN small s ON s.v = b.v"
		whole := strconv.Itoa(n*10 + 3)
		require.Equal(t, whole, one(t, c, count), "finished on a cluster that has none of the tables")
		require.Equal(t, whole, one(t, c, count))

		mustExec(t, c, "SET serval_max_rows = 5000")
		var e *mysql.MySQLError
		_, err := c.ExecContext(t.Context(), count)
		require.ErrorAs(t, err, &e)
		require.Equal(t, uint16(1038), e.Number)
		require.Contains(t, e.Message, "5000 rows")
		require.Contains(t, e.Message, "table big passed that with: SELECT")
		require.Contains(t, e.Message, "serval_max_rows")
		_, err = c.ExecContext(t.Context(), "SELECT COUNT(DISTINCT v) FROM small WHERE id < 3")
		require.NoError(t, err, "few rows stay within it, on the same connections")
		mustExec(t, c, "SET serval_max_rows = DEFAULT")
		require.Equal(t, whole, one(t, c, count))

		finishAnalyzed(t, c)
		finishKilled(t, proxy, c)
		finishLeft(t, proxy)
		require.Equal(t, whole, one(t, c, count), "nothing was left behind")
		mustExec(t, c, "BEGIN")
		mustExec(t, c, "INSERT INTO small VALUES (4, 4)")
		require.Equal(t, strconv.Itoa(n*10+4), one(t, c, count), "the transaction's own rows")
		mustExec(t, c, "ROLLBACK")
		require.Equal(t, whole, one(t, c, count))
		noFinishing(t, s)
	})
}

// finishAnalyzed: what EXPLAIN ANALYZE says was moved, and of what reduces another.
func finishAnalyzed(t *testing.T, c *sql.Conn) {
	lines := strings.Join(planShown(t, c, "EXPLAIN ANALYZE FORMAT='route' SELECT COUNT(*) FROM small s JOIN big b ON b.id = s.v WHERE s.id IN (2, 3)"), "\n")
	require.Regexp(t, `Finish cluster=c1 target=replica \(rows=4 bytes=\d+ ms=[0-9.]+\)`, lines)
	require.Regexp(t, `Route \w+ shards=\S+ target=replica \(rows=2 bytes=\d+ shards=[12] ms=[0-9.]+\)`, lines)
	require.Regexp(t, `Route scatter shards=\[0-3\] target=replica reduced=\[id IN serval_f1.v, shards too\] \(rows=2 bytes=\d+ shards=[12] ms=[0-9.]+\)`, lines)
	require.Equal(t, "2", one(t, c, "SELECT COUNT(*) FROM small s JOIN big b ON b.id = s.v WHERE s.id IN (2, 3)"))
	lines = strings.Join(planShown(t, c, "EXPLAIN ANALYZE FORMAT='route' SELECT v, COUNT(*) FROM big GROUP BY v"), "\n")
	require.Contains(t, lines, "(rows=4000 bytes=", "1000 groups on each shard")
	require.Equal(t, "1", one(t, c, "SELECT COUNT(*) FROM small WHERE id = 1"), "the answer was thrown away")
}

// planShown is the first column of a query's answer.
func planShown(t *testing.T, c *sql.Conn, q string) []string {
	rows, err := c.QueryContext(t.Context(), q)
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var s string
		require.NoError(t, rows.Scan(&s))
		out = append(out, s)
	}
	require.NoError(t, rows.Err())
	return out
}

// finishKilled: KILL QUERY ends the moving of rows and the query on the
// finishing server; the session goes on.
func finishKilled(t *testing.T, proxy *serval, c *sql.Conn) {
	killer := oneConn(t, proxy.open(t, ""))
	id := one(t, c, "SELECT CONNECTION_ID()")
	const q = "SELECT COUNT(DISTINCT a.id) FROM big a, big b, small s WHERE a.pad > b.pad"
	for _, wait := range []time.Duration{0, 100, 500} {
		done := make(chan error, 1)
		go func() {
			_, err := c.ExecContext(t.Context(), q)
			done <- err
		}()
		time.Sleep(wait * time.Millisecond) // wherever the statement is then
		var err error
		for ended := false; !ended; { // it may not have begun at the first KILL
			mustExec(t, killer, "KILL QUERY "+id)
			select {
			case err = <-done:
				ended = true
			case <-time.After(50 * time.Millisecond):
			}
		}
		var e *mysql.MySQLError
		require.ErrorAs(t, err, &e)
		require.Equal(t, uint16(1317), e.Number, e.Message)
		require.Equal(t, "3", one(t, c, "SELECT COUNT(DISTINCT id) FROM small WHERE id < 4"))
	}
}

// finishLeft: a client that goes away, and statements whose time is up.
func finishLeft(t *testing.T, proxy *serval) {
	db := proxy.open(t, "bounded")
	for _, wait := range []time.Duration{5, 20, 60, 200} {
		ctx, cancel := context.WithTimeout(t.Context(), wait*time.Millisecond)
		// As on one server, what runs when the client goes comes to its own end.
		_, err := db.ExecContext(ctx, "SELECT COUNT(DISTINCT b.id), SLEEP(1) FROM big b")
		cancel()
		require.True(t, errors.Is(err, context.DeadlineExceeded), "%v", err)
		_, err = db.ExecContext(t.Context(), fmt.Sprintf("SELECT /*+ SERVAL(timeout=%dms) */ COUNT(DISTINCT a.id) FROM big a, big b, small s WHERE a.pad > b.pad", wait))
		require.Error(t, err)
	}
}

// noFinishing waits until each connection that runs something over temporary
// tables has been seen without; other tests' connections come and go.
func noFinishing(t *testing.T, s *serverSet) {
	t.Helper()
	left := finishing(t, s)
	require.Eventually(t, func() bool {
		now := finishing(t, s)
		maps.DeleteFunc(left, func(id string, _ bool) bool { return !now[id] })
		return len(left) == 0
	}, 20*time.Second, 20*time.Millisecond)
}

// finishing are the connections of all servers that run such a statement.
func finishing(t *testing.T, s *serverSet) map[string]bool {
	all := map[string]bool{}
	for _, c := range s.Clusters(t) {
		for _, server := range c.Servers() {
			rows, err := server.DB().QueryContext(t.Context(), "SELECT id FROM information_schema.processlist WHERE info LIKE '%serval\\_f%' AND id <> CONNECTION_ID()")
			require.NoError(t, err)
			for rows.Next() {
				var id string
				require.NoError(t, rows.Scan(&id))
				all[server.Addr()+" "+id] = true
			}
			require.NoError(t, rows.Err())
		}
	}
	return all
}
