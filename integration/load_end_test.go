package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// slowFile is a file of which half is sent; the rest comes when it is told to.
type slowFile struct {
	*io.PipeReader
	w    *io.PipeWriter
	name string
}

func newSlowFile(t *testing.T) *slowFile {
	t.Helper()
	f := &slowFile{name: strings.ReplaceAll(t.Name(), "'", "")}
	f.PipeReader, f.w = io.Pipe()
	mysql.RegisterReaderHandler(f.name, func() io.Reader { return f.PipeReader })
	t.Cleanup(func() { _ = f.w.Close(); mysql.DeregisterReaderHandler(f.name) })
	return f
}

// rows sends lines with these ids.
func (f *slowFile) rows(from, to int) error {
	var b strings.Builder
	for id := from; id < to; id++ {
		fmt.Fprintf(&b, "%d\t%d\tname %d\t1.5\t2026-10-01\tx\n", id, id, id)
	}
	_, err := f.w.Write([]byte(b.String()))
	return err
}

// loading starts a load of the file into t and waits until some of its rows are
// on the servers, where nobody else sees them.
func (f *slowFile) loading(t *testing.T, conn *sql.Conn, clusters []*mysqlproc.Cluster, schema string) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(context.WithoutCancel(t.Context()), "LOAD DATA LOCAL INFILE 'Reader::"+f.name+"' INTO TABLE t")
		ended <- err
	}()
	require.NoError(t, f.rows(0, 20000))
	eventually(t, 20*time.Second, func() error {
		if n := countUncommitted(t, clusters, schema); n < 1000 {
			return fmt.Errorf("%d rows", n)
		}
		return nil
	})
	return ended
}

func countUncommitted(t *testing.T, clusters []*mysqlproc.Cluster, schema string) int {
	t.Helper()
	n := 0
	for i := range 8 {
		c := clusters[i/4]
		conn, err := c.Primary.DB().Conn(t.Context())
		require.NoError(t, err)
		mustExec(t, conn, "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
		var count int
		require.NoError(t, conn.QueryRowContext(t.Context(), fmt.Sprintf("SELECT COUNT(*) FROM %s_%d.t", schema, i)).Scan(&count))
		mustExec(t, conn, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
		require.NoError(t, conn.Close())
		n += count
	}
	return n
}

func allowFiles(c *mysql.Config) { c.AllowAllFiles = true }

// Whatever ends a load before its file does, nothing of it stays.
func TestLoadDataAllOrNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "ldend"
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: simpleTables, Extra: "local_infile: true"})
		db := p.open(t, "")
		mustExec(t, oneConn(t, db), "CREATE DATABASE "+schema, "USE "+schema, createT)
		db = p.open(t, schema)
		empty := func(t *testing.T) {
			t.Helper()
			eventually(t, 20*time.Second, func() error {
				if n := countUncommitted(t, clusters, schema); n != 0 {
					return fmt.Errorf("%d rows are left", n)
				}
				return nil
			})
		}
		t.Run("a row that a strict mode refuses", func(t *testing.T) {
			conn := oneConn(t, db)
			file := strings.Repeat("7\t7\tn\t1\t2026-10-01\tx\n", 3000) + "8\tx\tn\t1\t2026-10-01\tx\n"
			_, err := conn.ExecContext(t.Context(), "LOAD DATA LOCAL INFILE "+reader(t, file)+" REPLACE INTO TABLE t")
			require.ErrorContains(t, err, "at row 3001")
			empty(t)
		})
		t.Run("a row that cannot be placed", func(t *testing.T) {
			conn := oneConn(t, db)
			file := strings.Repeat("7\t7\tn\t1\t2026-10-01\tx\n", 3000) + "8x\t1\tn\t1\t2026-10-01\tx\n9\t1\tn\t1\t2026-10-01\tx\n"
			_, err := conn.ExecContext(t.Context(), "LOAD DATA LOCAL INFILE "+reader(t, file)+" INTO TABLE t")
			require.ErrorContains(t, err, "row 3001")
			empty(t)
		})
		t.Run("in a transaction only the statement is taken back", func(t *testing.T) {
			conn := oneConn(t, db)
			mustExec(t, conn, "BEGIN", "INSERT INTO t (id) VALUES (1), (2), (3), (4)")
			file := strings.Repeat("7\t7\tn\t1\t2026-10-01\tx\n", 3000) + "8\tx\tn\t1\t2026-10-01\tx\n"
			_, err := conn.ExecContext(t.Context(), "LOAD DATA LOCAL INFILE "+reader(t, file)+" REPLACE INTO TABLE t")
			require.ErrorContains(t, err, "at row 3001")
			require.Equal(t, "4", one(t, conn, "SELECT COUNT(*) FROM t"))
			mustExec(t, conn, "ROLLBACK")
			empty(t)
		})
		t.Run("the client kills the statement", func(t *testing.T) {
			conn := oneConn(t, db)
			id := one(t, conn, "SELECT CONNECTION_ID()")
			f := newSlowFile(t)
			ended := f.loading(t, conn, clusters, schema)
			mustExec(t, db, "KILL QUERY "+id)
			empty(t) // though its client has not ended the file
			require.NoError(t, f.rows(20000, 40000), "the rest of the file is read")
			require.NoError(t, f.w.Close())
			var e *mysql.MySQLError
			require.ErrorAs(t, <-ended, &e)
			require.EqualValues(t, 1317, e.Number)
			require.Equal(t, "0", one(t, conn, "SELECT COUNT(*) FROM t"), "the connection goes on")
		})
		t.Run("the client vanishes", func(t *testing.T) {
			var socket net.Conn
			mysql.RegisterDialContext("vanish-"+s.engine.String(), func(ctx context.Context, addr string) (net.Conn, error) {
				var d net.Dialer
				c, err := d.DialContext(ctx, "tcp", addr)
				socket = c
				return c, err
			})
			conn := oneConn(t, p.open(t, schema, func(c *mysql.Config) { c.Net = "vanish-" + s.engine.String() }))
			f := newSlowFile(t)
			ended := f.loading(t, conn, clusters, schema)
			require.NoError(t, socket.Close())
			empty(t)
			_ = f.w.CloseWithError(errors.New("gone"))
			require.Error(t, <-ended)
		})
		t.Run("the connection is killed", func(t *testing.T) {
			conn := oneConn(t, db)
			id := one(t, conn, "SELECT CONNECTION_ID()")
			f := newSlowFile(t)
			ended := f.loading(t, conn, clusters, schema)
			mustExec(t, db, "KILL "+id)
			empty(t)
			_ = f.w.CloseWithError(errors.New("gone"))
			require.Error(t, <-ended)
		})
		t.Run("a temporary table, and a statement behind it", func(t *testing.T) {
			conn := oneConn(t, p.open(t, schema, func(c *mysql.Config) { c.MultiStatements = true }))
			mustExec(t, conn, "CREATE TEMPORARY TABLE mine (id INT, name VARCHAR(20))")
			result, err := conn.ExecContext(t.Context(), "LOAD DATA LOCAL INFILE "+reader(t, "1\ta\n2\tb\n")+" INTO TABLE mine; INSERT INTO mine VALUES (3, 'c')")
			require.NoError(t, err)
			counts, err := result.RowsAffected()
			require.NoError(t, err)
			require.EqualValues(t, 1, counts, "the last statement's")
			require.Equal(t, "abc", one(t, conn, "SELECT GROUP_CONCAT(name ORDER BY id SEPARATOR '') FROM mine"))
		})
		t.Run("more than a statement may", func(t *testing.T) {
			report := oneConn(t, p.open(t, schema, func(c *mysql.Config) { c.User, c.Passwd = reportUser, reportPassword }))
			_, err := report.ExecContext(t.Context(), "LOAD DATA LOCAL INFILE "+reader(t, "1\n")+" INTO TABLE t (id)")
			require.ErrorContains(t, err, "read_only")
			_, err = oneConn(t, db).ExecContext(t.Context(), "LOAD DATA LOCAL INFILE "+reader(t, "1\n")+" INTO TABLE mysql.user (id)")
			require.ErrorContains(t, err, "denied")
			_, err = oneConn(t, db).ExecContext(t.Context(), "LOAD DATA LOCAL INFILE "+reader(t, "1\n")+" INTO TABLE t (id, @v) SET n = (SELECT COUNT(*) FROM mysql.user)")
			require.ErrorContains(t, err, "denied")
			empty(t)
		})
		t.Run("a hundred thousand rows", func(t *testing.T) {
			conn := oneConn(t, db)
			var b strings.Builder
			for id := range 100_000 {
				fmt.Fprintf(&b, "%d\t%d\tname\t1.5\t2026-10-01\t\\N\n", id, id)
			}
			began := time.Now()
			_, err := conn.ExecContext(t.Context(), "LOAD DATA LOCAL INFILE "+reader(t, b.String())+" INTO TABLE t")
			require.NoError(t, err)
			t.Logf("100,000 rows in %v, %d MiB", time.Since(began), p.rss(t)>>20)
			require.Equal(t, "100000 4999950000", one(t, conn, "SELECT CONCAT(COUNT(*), ' ', SUM(n)) FROM t"))
		})
	})
}

// A server that dies in the middle takes the whole load with it.
func TestLoadDataWithoutAPrimary(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "lddead"
		clusters := s.Own(t)
		p := startServal(t, s, settings{Schema: schema, Tables: simpleTables, Extra: "local_infile: true", Clusters: clusterLines(clusters)})
		mustExec(t, oneConn(t, p.open(t, "")), "CREATE DATABASE "+schema, "USE "+schema, createT)
		conn := oneConn(t, p.open(t, schema))
		f := newSlowFile(t)
		ended := f.loading(t, conn, clusters, schema)
		require.NoError(t, clusters[1].Primary.Kill9())
		require.NoError(t, f.rows(20000, 60000))
		require.NoError(t, f.w.Close())
		require.Error(t, <-ended)
		require.NoError(t, clusters[1].Primary.Restart(t.Context()))
		eventually(t, 30*time.Second, func() error {
			if n := countUncommitted(t, clusters, schema); n != 0 {
				return fmt.Errorf("%d rows are left", n)
			}
			return nil
		})
		eventually(t, 30*time.Second, func() error {
			_, err := p.open(t, schema).ExecContext(t.Context(), "INSERT INTO t (id) VALUES (1), (2), (3), (4), (5)")
			return err
		})
	})
}

// Clients of every make send files, and see what a server tells of them.
func TestLoadDataOfClients(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows.csv")
	require.NoError(t, os.WriteFile(file, []byte("id,name\n1,\"a\"\n2,\"b, c\"\n2,x\n"), 0o600))
	const load = `LOAD DATA LOCAL INFILE '%s' INTO TABLE t FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' IGNORE 1 LINES (id, name)`
	statement := fmt.Sprintf(load, file)
	eachEngine(t, func(t *testing.T, s *serverSet) {
		schema := "ldcli"
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: simpleTables, Extra: "local_infile: true"})
		conn := oneConn(t, p.open(t, ""))
		mustExec(t, conn, "CREATE DATABASE "+schema, "USE "+schema, createT)
		const info = "Records: 3  Deleted: 0  Skipped: 1  Warnings: 1"
		eachClient(t, func(t *testing.T, c *mysqlproc.Programs) {
			mustExec(t, conn, "DELETE FROM t")
			out := runClient(t, statement+";\nSELECT id, name FROM t ORDER BY id;\n", c.Client, clientArgs(p, "--local-infile=1", "-vvv", schema)...)
			require.Contains(t, out, info)
			require.Contains(t, out, "b, c")
		})
		mustExec(t, conn, "DELETE FROM t")
		host, port, _ := strings.Cut(p.Addr, ":")
		script := fmt.Sprintf(`import pymysql, sys
c = pymysql.connect(host=%q, port=%s, user=%q, password=%q, database=%q, local_infile=True)
k = c.cursor()
n = k.execute(%q)
c.commit()
k.execute("SELECT COUNT(*) FROM t")
print(n, k.fetchone()[0])
`, host, port, appUser, appPassword, schema, statement)
		require.Equal(t, "2 2\n", runClient(t, script, python(t), "-"))

		_, err := oneConn(t, p.open(t, schema, allowFiles)).ExecContext(t.Context(), statement)
		require.NoError(t, err, "all of them are there")
		stmt, err := conn.PrepareContext(t.Context(), statement)
		if err == nil {
			_, err = stmt.ExecContext(t.Context())
		}
		require.ErrorContains(t, err, "1295", "it cannot be prepared")

		off := startServal(t, s, settings{Schema: schema, Tables: simpleTables})
		_, err = oneConn(t, off.open(t, schema, allowFiles)).ExecContext(t.Context(), statement)
		var e *mysql.MySQLError
		require.ErrorAs(t, err, &e)
		require.EqualValues(t, 3948, e.Number)
	})
}
