package integration

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Tables without a rule get that of new_tables: when they are created through
// Serval, and keep it; what is at home stays there.
func TestNewTables(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		const schema = "fresh"
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		home := oneConn(t, openDB(t, clusters[0].Primary.Addr(), ""))
		mustExec(t, home, "CREATE DATABASE "+schema, "CREATE TABLE "+schema+".older (id INT PRIMARY KEY)")
		t.Cleanup(func() {
			_, _ = openDB(t, clusters[0].Primary.Addr(), "").Exec("DELETE FROM serval_meta.tables WHERE schema_name = '" + schema + "'")
		})

		p := startServal(t, s, settings{Schema: schema, Tables: "users: {shard: hash(id), shards: 2, on: [c0, c1]}"})
		config, err := os.ReadFile(p.Config)
		require.NoError(t, err)
		lastFile := ""
		with := func(rule string) string {
			file := t.TempDir() + "/serval.yaml"
			lastFile = file
			listen, admin := freeAddr(t), freeAddr(t)
			text := strings.ReplaceAll(strings.ReplaceAll(string(config), p.Addr, listen), p.Admin, admin)
			text = strings.Replace(text, "    tables:\n", "    new_tables: "+rule+"\n    tables:\n", 1)
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			p := startServe(t, listen, admin, "-c", file)
			p.Config = file
			return p.Addr
		}
		first := with("{shard: hash(primary key), shards: 4, on: [c0, c1]}")
		second := with("{shard: hash(primary key), shards: 8, on: [c0, c1]}")
		a, b := oneConn(t, openDB(t, first, schema)), oneConn(t, openDB(t, second, schema))
		shards := func(table string) string {
			n := 0
			for _, c := range clusters {
				n += len(allRows(t, oneConn(t, openDB(t, c.Primary.Addr(), "")), "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA LIKE '"+schema+"\\_%' AND TABLE_NAME = '"+table+"'"))
			}
			return strings.Repeat("x", n)
		}
		mustExec(t, a, "CREATE TABLE pets (id BIGINT NOT NULL, name VARCHAR(20), PRIMARY KEY (id))", "INSERT INTO pets VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e')")
		require.Equal(t, "xxxx", shards("pets"))
		require.Equal(t, []string{"5"}, allRows(t, b, "SELECT /*+ SERVAL(primary) */ COUNT(*) FROM pets"), "another Serval knows it at once, and by what rule")
		mustExec(t, b, "INSERT INTO pets VALUES (6, 'f')")
		require.Equal(t, []string{"6|f"}, allRows(t, a, "SELECT /*+ SERVAL(primary) */ * FROM pets WHERE id = 6"))

		mustExec(t, a, "CREATE TABLE IF NOT EXISTS older (id INT PRIMARY KEY)", "CREATE TABLE pairs (a INT, b INT, PRIMARY KEY (a, b))", "CREATE TABLE heap (a INT)",
			"CREATE TEMPORARY TABLE passing (id INT PRIMARY KEY)")
		for _, table := range []string{"older", "pairs", "heap", "passing"} {
			require.Empty(t, shards(table), table)
		}
		mustExec(t, a, "INSERT INTO older VALUES (1)", "DROP TABLE pets", "CREATE TABLE pets (code VARCHAR(10) PRIMARY KEY)", "INSERT INTO pets VALUES ('x')")
		require.Equal(t, "xxxx", shards("pets"))

		third := with("{shard: mod(tenant), shards: 2, on: [c1]}")
		c := oneConn(t, openDB(t, third, schema))
		require.Equal(t, []string{"x"}, allRows(t, c, "SELECT /*+ SERVAL(primary) */ * FROM pets"), "it keeps its rule after a start")
		mustExec(t, c, "CREATE TABLE rents (tenant INT, month INT, PRIMARY KEY (tenant, month))", "CREATE TABLE other (id INT PRIMARY KEY)")
		require.Equal(t, "xx", shards("rents"))
		require.Empty(t, shards("other"))
		require.Equal(t, []string{"heap", "older", "other", "pairs", "pets", "rents"}, allRows(t, c, "SHOW TABLES"))
		out, err := exec.CommandContext(t.Context(), binary, "check", "-c", p.Config, "--placement").CombinedOutput()
		require.NotContains(t, string(out), "pets", "%v", err)

		// Without a cluster of its rule a table is not served, which is said, and not made again elsewhere.
		config = []byte(regexp.MustCompile(`\bc1\b`).ReplaceAllString(string(config), "d1"))
		lost := with("{shard: hash(primary key), shards: 4, on: [c0, d1]}")
		text, err := runServal("check", "-c", lastFile, "--live")
		require.Error(t, err)
		require.Contains(t, text, "fresh.pets: the table is not served: it got its rule when it was created (new_tables:), which was {", text)
		require.Contains(t, text, "and there is no cluster c1; bring the cluster back under clusters:")
		_, err = openDB(t, lost, schema).ExecContext(t.Context(), "CREATE TABLE pets (id INT PRIMARY KEY)")
		require.ErrorContains(t, err, "there is no cluster c1")

		recorded := func() []string {
			return allRows(t, home, "SELECT table_name FROM serval_meta.tables WHERE schema_name = '"+schema+"' ORDER BY 1")
		}
		require.Equal(t, []string{"pets", "rents"}, recorded())
		mustExec(t, c, "DROP TABLE rents, pets")
		require.Empty(t, recorded())
	})
}
