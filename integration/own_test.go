package integration

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// What a DBA asks of schema serval, with whatever SQL.
func TestOwnTables(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		dropSchema(t, clusters, "own")
		t.Cleanup(func() { dropSchema(t, clusters, "own") })
		p := startServal(t, s, settings{Schema: "own", Tables: simpleTables, AllSchemas: true})
		db := p.open(t, "")
		c := oneConn(t, db)
		mustExec(t, c, "CREATE DATABASE own", "USE own", createT, "INSERT INTO t (id, n, name, price, at) VALUES (1, 2, 'o''k', 3, NOW())")
		shards := one(t, c, "SELECT GROUP_CONCAT(DISTINCT cluster ORDER BY cluster) FROM serval.shards WHERE table_schema = 'own' AND table_name = 't'")
		require.Equal(t, "c0,c1", shards)
		require.Equal(t, "4", one(t, c, "SELECT COUNT(*) FROM serval.instances WHERE up = 1"))
		require.Equal(t, "primary", one(t, c, "SELECT i.role FROM serval.instances i JOIN serval.shards s ON s.cluster = i.cluster WHERE i.addr = ? AND s.table_name = 't' LIMIT 1", clusters[0].Primary.Addr()))
		require.Contains(t, one(t, c, "SELECT rule FROM serval.rules WHERE table_name = 't'"), "hash(id)")
		require.Equal(t, "Query", one(t, c, "SELECT command FROM serval.sessions WHERE id = CONNECTION_ID()"))
		for range 3 {
			require.Equal(t, "2", one(t, c, "SELECT n FROM t WHERE id = 1"))
		}
		require.Equal(t, "3", one(t, c, "SELECT count_star FROM serval.digests WHERE schema_name = 'own' AND digest_text LIKE 'SELECT n FROM t WHERE id = ?'"))

		statement, err := db.Prepare("SELECT COUNT(*) FROM serval.transactions WHERE state = ?")
		require.NoError(t, err)
		defer func() { _ = statement.Close() }()
		open := func() string {
			var n string
			require.NoError(t, statement.QueryRow("open").Scan(&n))
			return n
		}
		require.Equal(t, "0", open())
		other := oneConn(t, db)
		mustExec(t, other, "BEGIN", "UPDATE own.t SET n = 5 WHERE id = 1")
		require.Equal(t, "1", open(), "a prepared statement sees what is now")
		require.NotEqual(t, "NULL", one(t, c, "SELECT clusters FROM serval.transactions WHERE state = 'open'"))
		mustExec(t, other, "SELECT GET_LOCK('own', 1)", "ROLLBACK")
		require.Contains(t, strings.ToLower(one(t, c, "SELECT MAX(pinned) FROM serval.pins")), "lock", "serval.pins says why")

		for query, want := range map[string]string{
			"SHOW TABLES FROM serval LIKE 'pi%'":       "pins",
			"SHOW COLUMNS FROM serval.pins LIKE 'u%'":  "user",
			"DESCRIBE serval.pins":                     "id",
			"SHOW FULL FIELDS FROM `pins` FROM serval": "id",
		} {
			require.Equal(t, want, firstOfRow(t, c, query), query)
		}
		mustExec(t, c, "USE serval")
		require.Equal(t, "serval 1", one(t, c, "SELECT CONCAT(DATABASE(), ' ', COUNT(*)) FROM rules WHERE table_name = 't'"))
		require.Equal(t, "1", one(t, c, "SELECT 1"))
		_, err = c.ExecContext(t.Context(), "CREATE TABLE x (id INT)")
		require.Error(t, err)
		mustExec(t, c, "USE own")
		_, err = c.ExecContext(t.Context(), "SELECT * FROM serval.nothing")
		var e *mysql.MySQLError
		require.True(t, errors.As(err, &e) && e.Number == 1146, "%v", err)
		_, err = c.ExecContext(t.Context(), "DELETE FROM serval.sessions")
		require.Error(t, err)
	})
}

// firstOfRow is the first column of the first row, which has others.
func firstOfRow(t *testing.T, db *sql.Conn, query string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err, query)
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	require.NoError(t, err)
	require.True(t, rows.Next(), query)
	values := make([]any, len(columns))
	var v string
	for i := range values {
		values[i] = new(any)
	}
	values[0] = &v
	require.NoError(t, rows.Scan(values...))
	return v
}
