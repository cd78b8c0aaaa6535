package integration

import (
	"database/sql"
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
