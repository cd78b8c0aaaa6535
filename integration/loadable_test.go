package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// shipped are loadable functions that come with each engine.
var shipped = map[mysqlproc.Engine][2]string{
	mysqlproc.MySQL:   {"service_get_write_locks", "RETURNS INT SONAME 'locking_service.so'"},
	mysqlproc.MariaDB: {"sphinx_snippets", "RETURNS STRING SONAME 'ha_sphinx.so'"},
}

// loadedOn counts the functions of a name on each cluster's primary.
func loadedOn(t *testing.T, clusters []*mysqlproc.Cluster, name string) (n []string) {
	t.Helper()
	for _, c := range clusters {
		conn, err := c.Primary.DB().Conn(t.Context())
		require.NoError(t, err)
		n = append(n, one(t, conn, "SELECT COUNT(*) FROM mysql.func WHERE name = ?", name))
		require.NoError(t, conn.Close())
	}
	return n
}

// A loadable function is made and dropped on every cluster, or on none.
func TestLoadableFunctionsAreOnEveryCluster(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		p := startWithT(t, s, "loadable")
		conn := oneConn(t, p.open(t, "loadable"))
		_, err := conn.ExecContext(t.Context(), "CREATE FUNCTION "+shipped[s.engine][0]+" "+shipped[s.engine][1])
		require.ErrorContains(t, err, "may only use the schemas", "of a user of some schemas")

		all := startServal(t, s, settings{Schema: "loadable", Tables: simpleTables, AllSchemas: true})
		conn = oneConn(t, all.open(t, "loadable"))
		fillT(t, all.open(t, "loadable"), 20)
		name, soname := shipped[s.engine][0], shipped[s.engine][1]
		mustExec(t, conn, "CREATE FUNCTION "+name+" "+soname)
		require.Equal(t, []string{"1", "1"}, loadedOn(t, clusters, name))
		if s.engine == mysqlproc.MySQL {
			require.Equal(t, "20", one(t, conn, "SELECT SUM(service_get_write_locks('ns', name, 0)) FROM t"))
		}
		mustExec(t, conn, "DROP FUNCTION "+name)
		require.Equal(t, []string{"0", "0"}, loadedOn(t, clusters, name))
		_, err = conn.ExecContext(t.Context(), "DROP FUNCTION "+name)
		require.ErrorContains(t, err, "1305")
		mustExec(t, conn, "DROP FUNCTION IF EXISTS "+name)

		// The home has it already: it is taken back from the other one.
		require.NoError(t, clusters[0].Primary.Exec(t.Context(), "CREATE FUNCTION "+name+" "+soname))
		_, err = conn.ExecContext(t.Context(), "CREATE FUNCTION "+name+" "+soname)
		require.ErrorContains(t, err, "on cluster c0")
		require.Equal(t, []string{"1", "0"}, loadedOn(t, clusters, name))
		mustExec(t, conn, "DROP FUNCTION "+name)
		require.Equal(t, []string{"0", "0"}, loadedOn(t, clusters, name))

		mustExec(t, conn, "CREATE FUNCTION plus_one(n INT) RETURNS INT DETERMINISTIC RETURN n + 1", "DROP FUNCTION plus_one")
	})
}

// What loadable functions compute over shards is what one server computes. They
// are compiled here: no server comes with one that computes anything.
func TestLoadableFunctions(t *testing.T) {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler: TestLoadableFunctionsAreOnEveryCluster has what servers come with")
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // servers of other accounts read it
	out, err := exec.CommandContext(t.Context(), compiler, "-shared", "-fPIC", "-o", filepath.Join(dir, "functions.so"), "testdata/udf/functions.c").CombinedOutput()
	require.NoError(t, err, "%s", out)
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "udf"
		clusters := s.Own(t, "--plugin-dir="+dir)
		p := startServal(t, s, settings{Schema: schema, Tables: simpleTables, Clusters: clusterLines(clusters), AllSchemas: true})
		conn := oneConn(t, p.open(t, ""))
		mustExec(t, conn, "CREATE FUNCTION twice RETURNS INT SONAME 'functions.so'", "CREATE AGGREGATE FUNCTION spread RETURNS INT SONAME 'functions.so'",
			"CREATE DATABASE "+schema, "USE "+schema, createT)
		fillT(t, p.open(t, schema), 30)
		mustExec(t, conn, "CREATE TABLE g (id INT PRIMARY KEY, n INT)")
		for query, want := range map[string]string{
			"SELECT spread(n) FROM t":                                              one(t, conn, "SELECT MAX(n) - MIN(n) FROM t"),
			"SELECT SUM(twice(n)) FROM t":                                          one(t, conn, "SELECT SUM(n * 2) FROM t"),
			"SELECT COUNT(*) FROM t WHERE twice(id) > 30":                          "15",
			"SELECT twice(id) FROM t WHERE id = 7":                                 "14",
			"SELECT twice(spread(id)) FROM t WHERE id IN (3, 9, 27)":               "48",
			"SELECT id FROM t ORDER BY twice(id) DESC LIMIT 1":                     "30",
			"SELECT spread(x) FROM (SELECT spread(id) x FROM t GROUP BY id % 2) d": "0",
			"SELECT twice(4)":                                                      "8",
		} {
			require.Equal(t, want, one(t, conn, query), query)
		}
		mustExec(t, conn, "UPDATE t SET price = twice(id) WHERE twice(id) > 30", "INSERT INTO t (id, n) VALUES (100, twice(4)), (twice(101), 1)",
			"INSERT INTO g SELECT twice(id), n FROM t WHERE id < 3", "DELETE FROM t WHERE twice(id) = 20")
		require.Equal(t, "690", one(t, conn, "SELECT CAST(SUM(price) AS SIGNED) FROM t WHERE id BETWEEN 16 AND 30"))
		require.Equal(t, "31 8 1", one(t, conn, "SELECT CONCAT(COUNT(*), ' ', SUM(IF(id = 100, n, 0)), ' ', SUM(IF(id = 202, n, 0))) FROM t"))
		require.Equal(t, "6", one(t, conn, "SELECT SUM(id) FROM g"))
		_, err := conn.ExecContext(t.Context(), "SELECT twice(1, 2)")
		require.ErrorContains(t, err, "one number is wanted")
		mustExec(t, conn, "DROP FUNCTION twice", "DROP FUNCTION spread")
		require.Equal(t, []string{"0", "0"}, loadedOn(t, clusters, "twice"))
	})
}
