package integration

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What one session sets, checks of keys among it, no other session finds:
// every setting that is on or off is turned round, and used.
func TestSettingsStayWithTheirSession(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startServal(t, s, settings{Schema: "kept", Tables: simpleTables, Extra: "pool: {max: 1}"})
		first := oneConn(t, p.open(t, ""))
		fresh := variables(t, first)
		turned := 0
		for name, value := range fresh {
			to := map[string]string{"ON": "0", "OFF": "1"}[value]
			if to == "" || name == "autocommit" || name == "sql_log_bin" || name == "require_row_format" { // the last one refuses most of what follows
				continue
			}
			if _, err := first.ExecContext(t.Context(), "SET SESSION "+name+" = "+to); err == nil {
				turned++
			}
		}
		require.Greater(t, turned, 15)
		require.NotEqual(t, fresh, variables(t, first))
		require.NoError(t, first.Close())
		require.Equal(t, fresh, variables(t, oneConn(t, p.open(t, ""))))
	})
}

// The LIMIT that a session's sql_select_limit stands for is the answer's, not each
// shard's.
func TestSelectLimit(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		dropSchema(t, clusters, "cut")
		t.Cleanup(func() { dropSchema(t, clusters, "cut") })
		p := startServal(t, s, settings{Schema: "cut", Tables: simpleTables, Extra: "replicas: {consistency: global}"})
		c := oneConn(t, p.open(t, ""))
		mustExec(t, c, "CREATE DATABASE cut", "USE cut", "CREATE TABLE t (id INT PRIMARY KEY, n INT)")
		mustExec(t, c, "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 1), (5, 2), (6, 3)", "SET SQL_SELECT_LIMIT = 2")
		for query, want := range map[string]string{
			"SELECT id FROM t ORDER BY id DESC":                                             "6,5",
			"SELECT n, COUNT(*) FROM t GROUP BY n ORDER BY n":                               "1 2,2 2",
			"SELECT COUNT(*) FROM (SELECT id FROM t) x":                                     "6",
			"SELECT id FROM t ORDER BY id LIMIT 3":                                          "1,2,3",
			"SELECT id FROM t WHERE id > 4 UNION SELECT id FROM t WHERE id < 3 ORDER BY id": "1,2",
			"SELECT @@sql_select_limit":                                                     "2",
			"SELECT COUNT(DISTINCT a.n + b.n) FROM t a JOIN t b ON a.n <> b.n":              "3",
		} {
			got := strings.NewReplacer("\"", "", " | ", " ", "\n", ",").Replace(rowsText(t, c, query))
			require.Equal(t, want+",", got, query)
		}
		var ids []int
		rows, err := c.QueryContext(t.Context(), "SELECT id FROM t WHERE id > ? ORDER BY id", 1)
		require.NoError(t, err)
		for rows.Next() {
			var id int
			require.NoError(t, rows.Scan(&id))
			ids = append(ids, id)
		}
		require.NoError(t, rows.Err())
		require.Equal(t, []int{2, 3}, ids)
		mustExec(t, c, "SET sql_select_limit = DEFAULT")
		require.Equal(t, "6", one(t, c, "SELECT COUNT(*) FROM (SELECT id FROM t) x"))
	})
}

// variables are those of the session that are on or off.
func variables(t *testing.T, conn *sql.Conn) map[string]string {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), "SHOW SESSION VARIABLES")
	require.NoError(t, err)
	defer func() { _ = rows.Close() }() // rows.Err tells
	out := map[string]string{}
	for rows.Next() {
		var name, value string
		require.NoError(t, rows.Scan(&name, &value))
		if value == "ON" || value == "OFF" {
			out[name] = value
		}
	}
	require.NoError(t, rows.Err())
	return out
}
