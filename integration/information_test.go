package integration

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// informationTables: over both clusters, with tables that share a database, whole
// elsewhere, everywhere, and numbered by Serval.
const informationTables = `users: {shard: hash(id), shards: 4, on: [c0, c1]}
notes: {shard: hash(user_id), shards: 4, on: [c0, c1], auto_increment: id}
diary: {shard: month(at), on: [c0, c1], from: 2026-09, ahead: 1}
pieces: {shard: hash(id), shards: 4, on: [c0, c1], layout: tables}
colours: {global: true, on: [c0, c1]}
stock: {on: c1}
`

var informationSchema = []string{
	"CREATE TABLE users (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL, age INT, KEY by_name (name), CHECK (age < 200))",
	"CREATE TABLE notes (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, user_id BIGINT NOT NULL, body TEXT, KEY (user_id))",
	"CREATE TABLE diary (id BIGINT NOT NULL, at DATETIME NOT NULL, what VARCHAR(20), CHECK (what <> ''), PRIMARY KEY (id, at))",
	"CREATE TABLE pieces (id INT NOT NULL PRIMARY KEY, CHECK (id > -5)) COMMENT 'AUTO_INCREMENT=5'",
	"CREATE TABLE colours (code CHAR(2) NOT NULL PRIMARY KEY, name VARCHAR(20))",
	"CREATE TABLE stock (sku VARCHAR(20) NOT NULL PRIMARY KEY, n INT)",
	"CREATE TABLE plain (id INT NOT NULL PRIMARY KEY, note VARCHAR(20))",
	"INSERT INTO plain VALUES (1, 'a')", "INSERT INTO stock VALUES ('x', 3)", "INSERT INTO colours VALUES ('r', 'red'), ('g', 'green')",
	"INSERT INTO diary VALUES (1, '2026-09-03', 'a'), (2, '2026-10-03', 'b'), (3, '2026-11-03', 'c')", "INSERT INTO pieces VALUES (1), (2), (3), (4), (5)",
}

const informationName = "info"

// TestInformation: what the tables say of themselves is about the logical ones,
// whoever asks.
func TestInformation(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		dropSchema(t, clusters, informationName)
		t.Cleanup(func() { dropSchema(t, clusters, informationName) })
		proxy := startServal(t, s, settings{Schema: informationName, Tables: informationTables, AllSchemas: true})
		conn := oneConn(t, proxy.open(t, ""))
		mustExec(t, conn, "CREATE DATABASE "+informationName, "USE "+informationName)
		mustExec(t, conn, informationSchema...)
		var rows []string
		for i := range 400 {
			rows = append(rows, fmt.Sprintf("(%d, 'name %d', %d)", i, i, i%90))
		}
		mustExec(t, conn, "INSERT INTO users VALUES "+strings.Join(rows, ", "))
		for i := range 3 {
			mustExec(t, conn, fmt.Sprintf("INSERT INTO notes (user_id, body) VALUES (%d, 'a'), (%d, 'b')", i, i+7))
		}
		t.Run("numbers", func(t *testing.T) { informationNumbers(t, conn, clusters) })
		t.Run("definitions", func(t *testing.T) { informationDefinitions(t, conn, s) })
		t.Run("no physical name", func(t *testing.T) { informationNames(t, conn) })
		t.Run("dump", func(t *testing.T) { informationDump(t, proxy, conn, s) })
		limited := startServal(t, s, settings{Schema: informationName, Tables: informationTables})
		t.Run("limited user", func(t *testing.T) { informationLimited(t, limited) })
		t.Run("own values", func(t *testing.T) { informationSession(t, conn) })
	})
}

// informationNumbers: numbers are those of all shards together.
func informationNumbers(t *testing.T, conn *sql.Conn, clusters []*mysqlproc.Cluster) {
	mustExec(t, conn, "ANALYZE TABLE users", "ANALYZE TABLE notes")
	var want [3]int64
	for _, c := range clusters {
		var sums [3]int64
		require.NoError(t, c.Primary.DB().QueryRowContext(t.Context(), "SELECT SUM(TABLE_ROWS), SUM(DATA_LENGTH), SUM(INDEX_LENGTH) FROM information_schema.TABLES"+
			" WHERE TABLE_NAME = 'users' AND TABLE_SCHEMA LIKE 'info\\_%'").Scan(&sums[0], &sums[1], &sums[2]))
		for i := range want {
			want[i] += sums[i]
		}
	}
	require.Greater(t, want[0], int64(300), "the shards' own estimates")
	mustExec(t, conn, "/*+ SERVAL(primary) */ SELECT 1")
	got := one(t, conn, "SELECT /*+ SERVAL(primary) */ CONCAT_WS(' ', TABLE_ROWS, DATA_LENGTH, INDEX_LENGTH, AVG_ROW_LENGTH) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'info' AND TABLE_NAME = 'users'")
	require.Equal(t, fmt.Sprint(want[0], want[1], want[2], want[1]/want[0]), got)
	status := row(t, conn, "SHOW TABLE STATUS LIKE 'users'")
	require.Equal(t, fmt.Sprint(want[0], want[1]), status["Rows"]+" "+status["Data_length"])
	cardinality := one(t, conn, "SELECT /*+ SERVAL(primary) */ CARDINALITY FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = 'info' AND TABLE_NAME = 'users' AND INDEX_NAME = 'PRIMARY'")
	require.Equal(t, cardinality, row(t, conn, "SHOW INDEX FROM users WHERE Key_name = 'PRIMARY'")["Cardinality"])
	require.Equal(t, cardinality, fmt.Sprint(want[0]))
	next := one(t, conn, "SELECT MAX(id) + 1 FROM notes")
	require.Equal(t, next, one(t, conn, "SELECT /*+ SERVAL(primary) */ AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'info' AND TABLE_NAME = 'notes'"))
	require.Equal(t, next, row(t, conn, "SHOW TABLE STATUS WHERE Name = 'notes'")["Auto_increment"])
	require.Contains(t, row(t, conn, "SHOW CREATE TABLE notes")["Create Table"], " AUTO_INCREMENT="+next+" ")
}

// row is the first row of an answer, by the columns' names.
func row(t *testing.T, conn *sql.Conn, query string) map[string]string {
	t.Helper()
	o := observe(t.Context(), conn, mode{sql: query})
	require.Zero(t, o.errno, "%s: %s", query, o.message)
	require.NotEmpty(t, o.rows, "%s", query)
	out := map[string]string{}
	for i, c := range o.columns {
		out[c.name] = o.rows[0][i]
	}
	return out
}

// informationDefinitions: a definition is that of one server with the table.
func informationDefinitions(t *testing.T, conn *sql.Conn, s *serverSet) {
	plain := oneConn(t, openDB(t, s.Plain(t).Addr(), ""))
	mustExec(t, plain, "DROP DATABASE IF EXISTS info", "CREATE DATABASE info", "USE info")
	mustExec(t, plain, informationSchema[:7]...)
	for _, table := range []string{"users", "diary", "pieces", "colours", "stock", "plain"} {
		for _, query := range []string{"SHOW CREATE TABLE ", "SHOW FULL COLUMNS FROM ", "DESCRIBE info."} {
			want, got := observe(t.Context(), plain, mode{sql: query + table}), observe(t.Context(), conn, mode{sql: query + table})
			require.Empty(t, compare(query+table, want, got), "%s%s", query, table)
			prepared := observe(t.Context(), conn, mode{sql: query + table, prepared: true})
			require.Equal(t, got.rows, prepared.rows, "%s%s prepared", query, table)
		}
	}
	for _, query := range []string{
		"SELECT CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = 'info' ORDER BY 1",
		"SELECT TABLE_NAME, CONSTRAINT_NAME, CONSTRAINT_TYPE FROM information_schema.TABLE_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = 'info' ORDER BY 1, 2",
		"SELECT TABLE_NAME, TABLE_TYPE, TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'info' ORDER BY 1",
	} {
		want, got := observe(t.Context(), plain, mode{sql: query}), observe(t.Context(), conn, mode{sql: query})
		want.forgetTypes()
		got.forgetTypes()
		require.Empty(t, compare(query, want, got), query)
	}
}

var physicalName = regexp.MustCompile(`\binfo_\d|\b(diary|pieces)_\d|serval_meta|serval_f\d`)

// informationNames: in no table of information_schema and no SHOW is a name that
// only the servers know, but where they tell of their own files.
func informationNames(t *testing.T, conn *sql.Conn) {
	queries := []string{
		"SHOW DATABASES", "SHOW FULL TABLES", "SHOW TABLE STATUS", "SHOW OPEN TABLES FROM info", "SHOW TRIGGERS", "SHOW EVENTS", "SHOW FUNCTION STATUS",
		"SHOW INDEX FROM diary", "SHOW INDEX FROM pieces", "SHOW CREATE TABLE diary", "SHOW CREATE TABLE pieces", "SHOW FULL PROCESSLIST", "SHOW GRANTS",
	}
	for _, r := range observe(t.Context(), conn, mode{sql: "SELECT UPPER(TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'information_schema'"}).rows {
		if !strings.HasPrefix(r[0], "INNODB_") && r[0] != "FILES" && r[0] != "TABLESPACES_EXTENSIONS" && r[0] != "METADATA_LOCK_INFO" && r[0] != "OPTIMIZER_TRACE" {
			queries = append(queries, "SELECT * FROM information_schema."+r[0])
		}
	}
	require.Greater(t, len(queries), 50)
	for _, query := range queries {
		o := observe(t.Context(), conn, mode{sql: query})
		for _, values := range o.rows {
			for i, v := range values {
				require.NotRegexp(t, physicalName, v, "%s: column %s", query, o.columns[i].name)
			}
		}
		for _, c := range o.columns {
			require.NotRegexp(t, physicalName, c.name, query)
		}
		if o.errno != 0 {
			require.Contains(t, []string{"PROCESSLIST", "PROFILING"}, query[strings.LastIndex(query, ".")+1:], "%s: %s", query, o.message)
		}
	}
}

// informationDump: the dump of the schema, read into one server, has the same
// tables with the same rows.
func informationDump(t *testing.T, proxy *serval, conn *sql.Conn, s *serverSet) {
	programs, err := mysqlproc.Find(t.Context(), s.engine)
	require.NoError(t, err)
	if programs.Dump == "" {
		t.Skip("there is no mysqldump")
	}
	host, port, _ := strings.Cut(proxy.Addr, ":")
	args := []string{"--no-defaults", "-h", host, "-P", port, "-u" + appUser, "-p" + appPassword, "--single-transaction", informationName}
	if s.engine == mysqlproc.MySQL {
		args = append(args, "--set-gtid-purged=OFF")
	}
	var text, complaint bytes.Buffer
	cmd := exec.CommandContext(t.Context(), programs.Dump, args...)
	cmd.Stdout, cmd.Stderr = &text, &complaint
	require.NoError(t, cmd.Run(), "%s", complaint.String())
	require.NotContains(t, complaint.String(), "rror", "the dump complains")
	require.NotRegexp(t, physicalName, text.String())
	plain := oneConn(t, openDB(t, s.Plain(t).Addr(), "", func(c *mysql.Config) { c.MultiStatements = true }))
	mustExec(t, plain, "DROP DATABASE IF EXISTS infodumped", "CREATE DATABASE infodumped", "USE infodumped")
	sandbox := strings.TrimPrefix(text.String(), "/*M!999999\\- enable the sandbox mode */ \n")
	mustExec(t, plain, strings.ReplaceAll(sandbox, "/*!999999\\- enable the sandbox mode */", ""))
	for _, table := range []string{"users", "notes", "diary", "pieces", "colours", "stock", "plain"} {
		query := "SELECT * FROM " + table + " ORDER BY 1"
		want, got := observe(t.Context(), conn, mode{sql: query}), observe(t.Context(), plain, mode{sql: query})
		require.Empty(t, compare(query, want, got), table)
	}
}

// informationLimited: a user limited to one schema sees no other, and gets the
// servers' own errors.
func informationLimited(t *testing.T, proxy *serval) {
	conn := oneConn(t, proxy.open(t, ""))
	for _, query := range []string{"SHOW DATABASES", "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY 1", "SELECT DISTINCT TABLE_SCHEMA FROM information_schema.COLUMNS ORDER BY 1"} {
		o := observe(t.Context(), conn, mode{sql: query})
		require.Zero(t, o.errno, o.message)
		require.Equal(t, [][]string{{informationName}, {"information_schema"}}, o.rows, query)
	}
	require.Equal(t, "7", one(t, conn, "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA <> 'information_schema'"))
	for query, code := range map[string]uint16{
		"SHOW TABLES FROM mysql":                   1044,
		"SHOW TABLE STATUS FROM mysql":             1044,
		"SHOW TRIGGERS FROM mysql":                 1044,
		"SHOW COLUMNS FROM user FROM mysql":        1044,
		"SHOW CREATE TABLE mysql.user":             1142,
		"SHOW ENGINE INNODB STATUS":                1227,
		"SHOW GRANTS FOR root@localhost":           1227,
		"USE mysql":                                1044,
		"SELECT * FROM information_schema.FILES":   map[bool]uint16{true: 1235, false: 0}[isMySQL(t, conn)],
		"SELECT * FROM information_schema.ENGINES": 0,
	} {
		_, err := conn.ExecContext(t.Context(), query)
		var e *mysql.MySQLError
		if code == 0 {
			require.NoError(t, err, query)
			continue
		}
		require.True(t, errors.As(err, &e), "%s: %v", query, err)
		require.Equal(t, code, e.Number, "%s: %s", query, e.Message)
	}
	require.Equal(t, "GRANT USAGE ON *.* TO `app`@`%`", row(t, conn, "SHOW GRANTS")["Grants for app@%"])
}

func isMySQL(t *testing.T, conn *sql.Conn) bool {
	return !strings.Contains(one(t, conn, "SELECT VERSION()"), "MariaDB")
}

// informationSession: SHOW VARIABLES tells the session's values.
func informationSession(t *testing.T, conn *sql.Conn) {
	mustExec(t, conn, "SET autocommit = 0", "SET sql_mode = 'ANSI_QUOTES'", "SET serval_consistency = 'global'")
	for name, want := range map[string]string{"autocommit": "OFF", "sql_mode": "ANSI_QUOTES", "serval_consistency": "global"} {
		require.Equal(t, want, row(t, conn, "SHOW VARIABLES LIKE '"+name+"'")["Value"])
		require.Equal(t, want, row(t, conn, "SHOW SESSION VARIABLES WHERE Variable_name = '"+name+"'")["Value"])
		o := observe(t.Context(), conn, mode{sql: "SHOW VARIABLES LIKE '" + name + "'", prepared: true})
		require.Equal(t, [][]string{{name, want}}, o.rows, o.message)
	}
	require.Equal(t, one(t, conn, "SELECT CONNECTION_ID()"), row(t, conn, "SHOW VARIABLES LIKE 'pseudo_thread_id'")["Value"])
	mustExec(t, conn, "SET autocommit = 1", "SET sql_mode = DEFAULT")
}
