package integration

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// simpleTables are the rules most tests need.
const simpleTables = `t: {shard: hash(id), shards: 8, on: [c0, c1]}
g: {global: true, on: [c0, c1]}
`

const createT = "CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, n INT, name VARCHAR(60), price DECIMAL(10,2), at DATETIME(3), b VARBINARY(20))"

// startWithT is a Serval with a schema that has the empty table t.
func startWithT(t *testing.T, s *serverSet, schema string) *serval {
	t.Helper()
	clusters := s.Clusters(t)
	dropSchema(t, clusters, schema)
	t.Cleanup(func() { dropSchema(t, clusters, schema) })
	p := startServal(t, s, settings{Schema: schema, Tables: simpleTables})
	mustExec(t, oneConn(t, p.open(t, "")), "CREATE DATABASE "+schema, "USE "+schema, createT)
	return p
}

// fillT inserts rows 1..n into t; row i has n = i mod 10.
func fillT(t *testing.T, db execer, n int) {
	t.Helper()
	const batch = 1000
	for from := 1; from <= n; from += batch {
		var b strings.Builder
		b.WriteString("INSERT INTO t (id, n, name, price, at) VALUES ")
		for i := from; i < from+batch && i <= n; i++ {
			if i > from {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "(%d,%d,'name %d','%d.%02d','2026-11-23 10:00:00.123')", i, i%10, i, i%1000, i%100)
		}
		_, err := db.ExecContext(t.Context(), b.String())
		require.NoError(t, err)
	}
}

func TestGoDriver(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "godriver")
		db := p.open(t, "godriver", func(c *mysql.Config) { c.ParseTime = true })
		at := time.Date(2026, 11, 23, 10, 0, 0, 123e6, time.UTC)

		t.Run("a prepared insert and select keep every value", func(t *testing.T) {
			insert, err := db.PrepareContext(t.Context(), "INSERT INTO t (id, n, name, price, at, b) VALUES (?, ?, ?, ?, ?, ?)")
			require.NoError(t, err)
			defer func() { _ = insert.Close() }()
			for i := range 20 {
				result, err := insert.ExecContext(t.Context(), i, nil, "日本 'quoted' \\", "12.30", at, []byte{0, 1, 255})
				require.NoError(t, err)
				affected, err := result.RowsAffected()
				require.NoError(t, err)
				require.EqualValues(t, 1, affected)
			}
			for i := range 20 {
				var n sql.NullInt64
				var name, price string
				var when time.Time
				var b []byte
				require.NoError(t, db.QueryRowContext(t.Context(), "SELECT n, name, price, at, b FROM t WHERE id = ?", i).Scan(&n, &name, &price, &when, &b))
				require.False(t, n.Valid)
				require.Equal(t, "日本 'quoted' \\", name)
				require.Equal(t, "12.30", price)
				require.Equal(t, at, when)
				require.Equal(t, []byte{0, 1, 255}, b)
			}
		})
		t.Run("one statement prepared once serves many values", func(t *testing.T) {
			stmt, err := db.PrepareContext(t.Context(), "SELECT id FROM t WHERE id = ?")
			require.NoError(t, err)
			defer func() { _ = stmt.Close() }()
			for i := range 20 {
				var id int
				require.NoError(t, stmt.QueryRowContext(t.Context(), i).Scan(&id))
				require.Equal(t, i, id)
			}
			var id int
			require.ErrorIs(t, stmt.QueryRowContext(t.Context(), 999).Scan(&id), sql.ErrNoRows)
		})
		t.Run("a transaction on one shard commits and rolls back", func(t *testing.T) {
			conn := oneConn(t, db)
			for _, end := range []string{"ROLLBACK", "COMMIT"} {
				mustExec(t, conn, "BEGIN", "UPDATE t SET n = 77 WHERE id = 3")
				require.Equal(t, "77", one(t, conn, "SELECT n FROM t WHERE id = 3"), "a transaction sees its own write")
				mustExec(t, conn, end)
				if end == "ROLLBACK" {
					require.Equal(t, "NULL", one(t, conn, "SELECT n FROM t WHERE id = 3"))
				}
			}
			require.Equal(t, "77", one(t, conn, "SELECT n FROM t WHERE id = 3"))
		})
		t.Run("several statements in one text", func(t *testing.T) {
			multi := p.open(t, "godriver", func(c *mysql.Config) { c.MultiStatements = true })
			rows, err := multi.QueryContext(t.Context(), "SELECT 1; SELECT id FROM t WHERE id = 5; SELECT 3")
			require.NoError(t, err)
			defer func() { _ = rows.Close() }()
			var got []int
			for {
				for rows.Next() {
					var v int
					require.NoError(t, rows.Scan(&v))
					got = append(got, v)
				}
				if !rows.NextResultSet() {
					break
				}
			}
			require.NoError(t, rows.Err())
			require.Equal(t, []int{1, 5, 3}, got)
		})
		t.Run("a wrong password and an unknown user get 1045", func(t *testing.T) {
			for _, change := range []func(*mysql.Config){
				func(c *mysql.Config) { c.Passwd = "wrong" },
				func(c *mysql.Config) { c.User = "nobody" },
			} {
				err := p.open(t, "", change).PingContext(t.Context())
				var e *mysql.MySQLError
				require.ErrorAs(t, err, &e)
				require.EqualValues(t, 1045, e.Number)
			}
		})
		t.Run("a read-only account reads and cannot write", func(t *testing.T) {
			report := p.open(t, "godriver", func(c *mysql.Config) { c.User, c.Passwd = reportUser, reportPassword })
			require.Equal(t, "5", one(t, report, "SELECT id FROM t WHERE id = 5"))
			_, err := report.ExecContext(t.Context(), "UPDATE t SET n = 1 WHERE id = 5")
			require.Error(t, err)
		})
		t.Run("what a database not named in the config holds lives at home", func(t *testing.T) {
			conn := oneConn(t, db)
			_, err := conn.ExecContext(t.Context(), "USE mysql_no_such")
			var e *mysql.MySQLError
			require.ErrorAs(t, err, &e)
			require.Contains(t, []uint16{1044, 1049}, e.Number, "app may use its schema only")
		})
	})
}

// A packet holds 16 MB at most: longer rows and statements are split and
// joined again.
func TestPacketsOver16MB(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "bigpackets")
		conn := oneConn(t, p.open(t, "bigpackets", func(c *mysql.Config) { c.MaxAllowedPacket = 64 << 20 }))
		mustExec(t, conn, "CREATE TABLE big (id INT NOT NULL PRIMARY KEY, v LONGTEXT)")
		for _, size := range []int{1<<24 - 2, 1<<24 - 1, 1 << 24, 20 << 20} {
			text := strings.Repeat("x", size)
			_, err := conn.ExecContext(t.Context(), "REPLACE INTO big VALUES (1, ?)", text)
			require.NoError(t, err, "prepared, %d bytes", size)
			var got string
			require.NoError(t, conn.QueryRowContext(t.Context(), "SELECT v FROM big WHERE id = 1").Scan(&got))
			require.Equal(t, size, len(got))
			require.True(t, text == got, "the value of %d bytes came back changed", size)
			_, err = conn.ExecContext(t.Context(), "REPLACE INTO big VALUES (2, '"+text[:size-40]+"')")
			require.NoError(t, err, "text, %d bytes", size)
			require.Equal(t, fmt.Sprint(size-40), one(t, conn, "SELECT LENGTH(v) FROM big WHERE id = 2"))
		}
	})
}

func clientArgs(p *serval, more ...string) []string {
	host, port, _ := strings.Cut(p.Addr, ":")
	return append([]string{"--no-defaults", "--protocol=TCP", "-h" + host, "-P" + port, "-u" + appUser, "-p" + appPassword}, more...)
}

// runClient runs a program and returns what it prints.
func runClient(t *testing.T, stdin, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Run(), "%s: %s", filepath.Base(program), errs.String())
	return out.String()
}

// eachClient runs f with the command line tools of both engines, whatever the servers are.
func eachClient(t *testing.T, f func(t *testing.T, c *mysqlproc.Programs)) {
	for _, e := range mysqlproc.Engines {
		t.Run("client of "+e.String(), func(t *testing.T) {
			programs, err := mysqlproc.Find(t.Context(), e)
			require.NoError(t, err)
			require.NotEmpty(t, programs.Client, "the command line client")
			require.NotEmpty(t, programs.Dump, "the dump program")
			f(t, programs)
		})
	}
}

func TestCommandLineClients(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "cli")
		fillT(t, p.open(t, "cli"), 30)
		s.sync(t)
		eachClient(t, func(t *testing.T, c *mysqlproc.Programs) {
			out := runClient(t, "SELECT id, name FROM t WHERE id IN (3, 1, 2) ORDER BY id;\nSELECT COUNT(*) FROM t;\n", c.Client, clientArgs(p, "-N", "-B", "cli")...)
			require.Equal(t, "1\tname 1\n2\tname 2\n3\tname 3\n30\n", out)
			out = runClient(t, "SHOW TABLES;\nSHOW CREATE TABLE t;\nDESCRIBE t;\nSHOW INDEX FROM t;\nSHOW VARIABLES LIKE 'version';\n", c.Client, clientArgs(p, "cli")...)
			require.Contains(t, out, "CREATE TABLE `t`")
			out = runClient(t, "EXPLAIN FORMAT='route' SELECT * FROM t WHERE id = 5;\n", c.Client, clientArgs(p, "cli")...)
			require.Contains(t, out, "single", "the route is one shard: %s", out)
		})
	})
}

// A dump taken through Serval, loaded into the plain server, gives the same rows.
func TestMysqldumpOfATable(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "dump")
		db := p.open(t, "dump")
		fillT(t, db, 500)
		s.sync(t)
		const digest = "SELECT CONCAT(COUNT(*), ' ', SUM(id), ' ', SUM(price), ' ', MIN(name), ' ', MAX(at)) FROM t"
		eachClient(t, func(t *testing.T, c *mysqlproc.Programs) {
			if c.Engine == mysqlproc.MySQL && s.engine == mysqlproc.MariaDB {
				return // that mysqldump cannot even log in to a MariaDB server: it sends what only MySQL knows
			}
			args := clientArgs(p, "--skip-lock-tables", "--single-transaction", "--no-tablespaces")
			if c.Engine == mysqlproc.MySQL {
				args = append(args, "--set-gtid-purged=OFF", "--column-statistics=0")
			}
			out := runClient(t, "", c.Dump, append(args, "dump", "t")...)
			require.Contains(t, out, "INSERT INTO `t`")
			plain := oneConn(t, openDB(t, s.Plain(t).Addr(), ""))
			mustExec(t, plain, "DROP DATABASE IF EXISTS dumped", "CREATE DATABASE dumped")
			loadDump(t, s, out)
			mustExec(t, plain, "USE dumped")
			require.Equal(t, one(t, db, "SELECT COUNT(*) FROM t"), one(t, plain, "SELECT COUNT(*) FROM t"))
			require.Equal(t, one(t, db, "SELECT SUM(price) FROM t"), one(t, plain, "SELECT SUM(price) FROM t"))
			require.True(t, strings.HasPrefix(one(t, plain, digest), "500 125250 "))
			mustExec(t, plain, "DROP DATABASE dumped")
		})
	})
}

func loadDump(t *testing.T, s *serverSet, text string) {
	t.Helper()
	programs, err := mysqlproc.Find(t.Context(), s.engine)
	require.NoError(t, err)
	// The other engine's dump has a first line that only its own client knows.
	if i := strings.Index(text, "\n"); i > 0 && strings.Contains(text[:i], "sandbox") {
		text = text[i+1:]
	}
	runClient(t, text, programs.Client, "--no-defaults", "--socket="+s.Plain(t).Socket(), "-uroot", "dumped")
}

// python is an interpreter that has PyMySQL (scripts/setup.sh pymysql).
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import pymysql").Run() == nil {
			return name
		}
	}
	t.Fatal("no python3 has PyMySQL: run scripts/setup.sh pymysql")
	return ""
}

func TestPyMySQL(t *testing.T) {
	script, err := os.ReadFile("testdata/pymysql_test.py")
	require.NoError(t, err)
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "pymysql")
		host, port, _ := strings.Cut(p.Addr, ":")
		out := runClient(t, string(script), python(t), "-", host, port, appUser, appPassword, "pymysql")
		require.Equal(t, "ok\n", out)
	})
}
