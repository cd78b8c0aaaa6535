package integration

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// homeQueries join tables and views without a rule with sharded ones.
var homeQueries = []string{
	`SELECT e.id, p.v FROM events e JOIN plain p ON p.id = e.k ORDER BY e.id LIMIT 20`,
	`SELECT p.id, COUNT(e.id) FROM plain p LEFT JOIN events e ON e.k = p.id GROUP BY p.id ORDER BY p.id`,
	`SELECT v.id, v.twice, COUNT(*) FROM plain_view v JOIN events e ON e.k = v.id GROUP BY v.id, v.twice ORDER BY v.id`,
	`SELECT p.v, l.note FROM plain p JOIN finishhome_lone.notes l ON l.id = p.id JOIN events e ON e.id = p.id ORDER BY p.id`,
	`SELECT note FROM finishhome_lone.notes WHERE id IN (SELECT k FROM events) ORDER BY id`,
	`SELECT * FROM plain NATURAL JOIN events ORDER BY id`,
	`SELECT id FROM plain UNION SELECT k FROM events ORDER BY 1`,
	`SELECT COUNT(*) FROM events e WHERE k = (SELECT MAX(x.k) FROM events x WHERE x.v = e.v)`,
	`SELECT p.nosuch FROM plain p JOIN events e ON e.id = p.id`,
}

// TestFinishOfHomeTables compares joins of tables without a rule with a plain
// server's answers, from the statement behind CREATE TABLE on.
func TestFinishOfHomeTables(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema, lone = "finishhome", "finishhome_lone"
		clusters := s.Clusters(t)
		drop := func() {
			dropSchema(t, clusters, schema)
			dropSchema(t, clusters, lone)
		}
		drop()
		proxy := startServal(t, s, settings{Schema: schema, AllSchemas: true, Tables: "events: {shard: hash(id), shards: 4, on: [c0, c1]}\n"})
		t.Cleanup(drop)
		o := &oracle{schema: schema, serval: oneConn(t, proxy.open(t, "")), plain: oneConn(t, openDB(t, s.Plain(t).Addr(), ""))}
		mustExec(t, o.plain, "DROP DATABASE IF EXISTS "+schema)
		mustExec(t, o.plain, "DROP DATABASE IF EXISTS "+lone)
		for _, sql := range []string{
			"CREATE DATABASE " + schema, "USE " + schema,
			"CREATE TABLE events (id INT NOT NULL PRIMARY KEY, k INT NOT NULL, v VARCHAR(20) CHARACTER SET utf8mb4, KEY (k), KEY (v(5), k))",
			"CREATE TABLE plain (id INT NOT NULL PRIMARY KEY, v VARCHAR(20) CHARACTER SET utf8mb4)",
			"INSERT INTO plain VALUES (1, 'one'), (2, 'two'), (5000, 'far')",
			"CREATE VIEW plain_view AS SELECT id, CONCAT(v, v) AS twice FROM plain",
			"CREATE DATABASE " + lone,
			"CREATE TABLE " + lone + ".notes (id INT NOT NULL PRIMARY KEY, note VARCHAR(20) CHARACTER SET utf8mb4)",
			"INSERT INTO " + lone + ".notes VALUES (1, 'n1'), (2, 'n2')",
		} {
			o.both(t, sql)
		}
		var rows []string
		for i := range 4000 {
			rows = append(rows, fmt.Sprintf("(%d, %d, 'v%d')", i, i%7, i%900))
		}
		o.both(t, "INSERT INTO events VALUES "+strings.Join(rows, ", "))
		for _, c := range clusters {
			require.NoError(t, c.Sync(t.Context()))
		}
		for _, q := range homeQueries {
			for _, m := range modes(statementCase{sql: q}) {
				began := time.Now()
				o.runCase(t, statementCase{pos: "home", sql: q}, m)
				t.Logf("%v %s: %s", time.Since(began).Round(time.Millisecond), m.name, q)
			}
		}
		o.both(t, "ALTER TABLE plain ADD COLUMN w INT DEFAULT 3")
		o.runCase(t, statementCase{pos: "altered", sql: homeQueries[5]}, mode{name: "text", sql: homeQueries[5]})
		require.Zero(t, o.refused)
		finishLocks(t, o, oneConn(t, proxy.open(t, schema)))
	})
}

// finishLocks: a locking read that is finished on one server locks the rows it
// has read, on all shards, until its transaction ends.
func finishLocks(t *testing.T, o *oracle, other *sql.Conn) {
	t.Helper()
	const q = "SELECT COUNT(DISTINCT v) FROM events WHERE id IN (11, 12, 13, 14) FOR UPDATE"
	mustExec(t, other, "SET innodb_lock_wait_timeout = 1")
	for _, m := range modes(statementCase{sql: q}) {
		o.both(t, "BEGIN")
		o.both(t, "UPDATE events SET v = 'mine' WHERE id = 12")
		o.runCase(t, statementCase{pos: "locking", sql: q}, m)
		for _, id := range []string{"11", "14"} {
			got := observe(t.Context(), other, mode{sql: "UPDATE events SET v = 'x' WHERE id = " + id})
			require.Equal(t, uint16(1205), got.errno, got.message)
		}
		require.Zero(t, observe(t.Context(), other, mode{sql: "UPDATE events SET v = 'v20' WHERE id = 20"}).errno)
		o.both(t, "ROLLBACK")
		mustExec(t, other, "UPDATE events SET v = 'v14' WHERE id = 14")
		o.runCase(t, statementCase{pos: "locking, alone", sql: q}, m)
	}
}
