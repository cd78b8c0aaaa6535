package integration

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// TestInsertID: LAST_INSERT_ID() and the number in the answer are those of the
// same rows as on one server, where rows are numbered, bring numbers, meet
// others, are left out or change what they meet. TestSoakInsertID has more tables.
func TestInsertID(t *testing.T) {
	runInsertIDs(t, [2][]string{{"home", "byk", "uq"}, {"uq"}})
}

// runInsertIDs is about these tables, the second ones with CLIENT_FOUND_ROWS.
func runInsertIDs(t *testing.T, tables [2][]string) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		schema := schemaOf(t)
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		proxy := startServal(t, s, settings{Schema: schema, Tables: "away: {on: c1}\nbyk: {shard: hash(k), shards: 4, on: [c0, c1], auto_increment: id}\n" +
			"uq: {shard: hash(id), shards: 4, on: [c0, c1], auto_increment: id, unique: [k]}\ncopies: {global: true, on: [c0, c1]}\n"})
		found := func(c *mysql.Config) { c.ClientFoundRows = true }
		plain := s.Plain(t).Addr()
		for i, pair := range [2][2]*sql.Conn{
			{oneConn(t, openDB(t, plain, "")), oneConn(t, proxy.open(t, ""))},
			{oneConn(t, openDB(t, plain, "", found)), oneConn(t, proxy.open(t, "", found))},
		} {
			if i == 0 {
				mustExec(t, pair[0], "DROP DATABASE IF EXISTS "+schema)
				for _, c := range pair {
					mustExec(t, c, "CREATE DATABASE "+schema, "USE "+schema, "CREATE TABLE other (v INT PRIMARY KEY)", "INSERT INTO other VALUES (1000), (2000)")
				}
			}
			for _, table := range tables[i] {
				sameInsertIDs(t, pair, schema, table)
			}
		}
	})
}

// insertIDStatements are about a table (id AUTO_INCREMENT, k UNIQUE, n).
var insertIDStatements = []string{
	"INSERT INTO t (k) VALUES (10), (20), (30)",
	"INSERT INTO t (k, n) VALUES (20, 1) ON DUPLICATE KEY UPDATE n = n + 1",
	"INSERT INTO t (k, n) VALUES (20, 1) ON DUPLICATE KEY UPDATE n = n",
	"INSERT INTO t (k) VALUES (20), (30) ON DUPLICATE KEY UPDATE n = n + 1",
	"INSERT INTO t (k) VALUES (20), (40), (41) ON DUPLICATE KEY UPDATE n = n + 1",
	"INSERT INTO t (k) VALUES (50), (51), (20) ON DUPLICATE KEY UPDATE n = n + 1",
	"INSERT INTO t (k) VALUES (52), (53) ON DUPLICATE KEY UPDATE n = n + 1",
	"INSERT INTO t (k) VALUES (20) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), n = n + 1",
	"INSERT INTO t (k) VALUES (30) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)",
	"INSERT INTO t (k) VALUES (20), (10) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), n = n + 1",
	"INSERT INTO t (k) VALUES (60), (10) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), n = n + 1",
	"INSERT INTO t (k) VALUES (61) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), n = n + 1",
	"INSERT INTO t (id, k) VALUES (100500, 70) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)",
	"INSERT INTO t (id, k) VALUES (100501, 70) ON DUPLICATE KEY UPDATE n = n + 1",
	"INSERT INTO t (id, k) VALUES (NULL, 20) ON DUPLICATE KEY UPDATE n = n + 1",
	"INSERT INTO t (id, k) VALUES (NULL, 10), (100502, 71) ON DUPLICATE KEY UPDATE n = n + 1",
	"INSERT INTO t (id, k) VALUES (100503, 72), (100504, 10) ON DUPLICATE KEY UPDATE n = n + 1",
	"INSERT INTO t (id, k) VALUES (100505, 73)",
	"INSERT IGNORE INTO t (k) VALUES (20)",
	"INSERT IGNORE INTO t (k) VALUES (20), (80), (81)",
	"INSERT IGNORE INTO t (k) VALUES (82), (83)",
	"INSERT IGNORE INTO t (k) VALUES (30), (84) ON DUPLICATE KEY UPDATE n = n + 1",
	"INSERT IGNORE INTO t (k) VALUES (30) ON DUPLICATE KEY UPDATE n = n + 1",
	"REPLACE INTO t (k) VALUES (20), (85)",
	"INSERT INTO t (k) SELECT 90 UNION ALL SELECT 30 ON DUPLICATE KEY UPDATE n = t.n + 1",
	"INSERT INTO t (k) SELECT 30 UNION ALL SELECT 10 ON DUPLICATE KEY UPDATE n = t.n + 1",
	"INSERT INTO t (id, k) SELECT 100600 + k, 91 + k FROM (SELECT 0 AS k UNION ALL SELECT 1) AS d",
	"INSERT INTO t (k) VALUES (30), (95) ON DUPLICATE KEY UPDATE n = (SELECT MAX(v) FROM other)",
	"INSERT INTO t (k) VALUES (10) ON DUPLICATE KEY UPDATE n = (SELECT MIN(v) FROM other)",
}

// sameInsertIDs runs the statements on a plain server and on Serval.
func sameInsertIDs(t *testing.T, pair [2]*sql.Conn, schema, table string) {
	t.Helper()
	key := "PRIMARY KEY (id), UNIQUE KEY (k)"
	if table == "byk" {
		key = "KEY (id), PRIMARY KEY (k)"
	}
	for _, c := range pair {
		mustExec(t, c, "USE "+schema, "DROP TABLE IF EXISTS "+table,
			"CREATE TABLE "+table+" (id BIGINT NOT NULL AUTO_INCREMENT, k INT NOT NULL, n INT NOT NULL DEFAULT 0, "+key+")", "DO LAST_INSERT_ID(0)")
	}
	for i, statement := range insertIDStatements {
		statement = strings.NewReplacer("INTO t ", "INTO "+table+" ", "t.n", table+".n").Replace(statement)
		var said [2]string
		for j, c := range pair {
			said[j] = insertID(t.Context(), t, c, table, statement, i%3 == 0)
		}
		require.Equal(t, said[0], said[1], table)
	}
	rows := "SELECT k, n FROM " + table + " ORDER BY k"
	require.Equal(t, allRows(t, pair[0], rows), allRows(t, pair[1], rows), table)
}

// insertID is what the statement says, with the k of the rows that have the
// numbers.
func insertID(ctx context.Context, t *testing.T, c *sql.Conn, table, statement string, prepared bool) string {
	t.Helper()
	var result sql.Result
	var err error
	if prepared {
		stmt, perr := c.PrepareContext(ctx, statement)
		require.NoError(t, perr, statement)
		result, err = stmt.ExecContext(ctx)
		require.NoError(t, stmt.Close())
	} else {
		result, err = c.ExecContext(ctx, statement)
	}
	require.NoError(t, err, statement)
	affected, _ := result.RowsAffected()
	id, _ := result.LastInsertId()
	last := one(t, c, "SELECT LAST_INSERT_ID()")
	of := map[string]string{}
	for _, row := range allRows(t, c, "SELECT id, k FROM "+table+" WHERE id IN ("+last+", "+fmt.Sprint(id)+")") {
		number, k, _ := strings.Cut(row, "|")
		of[number] = k
	}
	return fmt.Sprintf("%s: %d affected, told of %s, LAST_INSERT_ID() of %s", statement, affected, of[fmt.Sprint(id)], of[last])
}
