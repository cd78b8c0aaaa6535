package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFinishDoesNotFollowTheOptimizer: what a server's optimizer is known to
// get wrong, over copies or at all, is right. The answers are by the queries'
// definition, not by a plain server, which MySQL's is not right in all of them.
func TestFinishDoesNotFollowTheOptimizer(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "careful"
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		proxy := startServal(t, s, settings{Schema: schema, Tables: "people: {shard: hash(id), shards: 4, on: [c0, c1]}\nvisits: {shard: hash(id), shards: 4, on: [c0, c1]}\n"})
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		db := oneConn(t, proxy.open(t, ""))
		var people, visits []string
		for i := 1; i <= 18; i++ {
			people = append(people, fmt.Sprintf("(%d, 'o''b')", i))
			visits = append(visits, fmt.Sprintf("(%d, %d)", i%7, i))
		}
		for _, sql := range []string{
			"CREATE DATABASE careful", "USE careful",
			"CREATE TABLE people (id INT NOT NULL PRIMARY KEY, name VARCHAR(20))", "INSERT INTO people VALUES " + strings.Join(people, ", "),
			"CREATE TABLE visits (id INT NOT NULL, n INT NOT NULL, PRIMARY KEY (id, n))", "INSERT INTO visits VALUES " + strings.Join(visits, ", "),
		} {
			mustExec(t, db, sql)
		}
		s.sync(t)
		for _, c := range []struct{ mode, sql, want string }{
			{"", "SELECT COUNT(*), COUNT(p.id) FROM visits v LEFT JOIN people p ON v.n = p.id AND p.id IN (SELECT n FROM visits WHERE n < 0)", "18 0"},
			{"", "SELECT COUNT(*), COUNT(p.id) FROM visits v LEFT JOIN people p ON v.n = p.id AND p.id IN (SELECT n FROM visits WHERE n IN (3, 5, 6))", "18 3"},
			{"", "SELECT COUNT(*), COUNT(p.id) FROM people p RIGHT JOIN visits v ON v.n = p.id AND p.id = ANY (SELECT n FROM visits WHERE n < 0)", "18 0"},
			{"", "SELECT COUNT(*), COUNT(p.id) FROM visits v LEFT JOIN people p ON v.n = p.id AND EXISTS (SELECT 1 FROM visits w WHERE w.n = p.id AND w.n < 3)", "18 2"},
			{"", "SELECT COUNT(*), COUNT(p.id) FROM (SELECT n FROM visits) v LEFT JOIN (SELECT id FROM people WHERE id IN (SELECT n FROM visits WHERE n < 0)) p ON v.n = p.id", "18 0"},
			{"", "SELECT COUNT(*), COUNT(p.id) FROM visits v LEFT JOIN LATERAL (SELECT id FROM people WHERE id = v.n AND id IN (SELECT n FROM visits WHERE n < 0)) p ON TRUE", "18 0"},
			{"NO_BACKSLASH_ESCAPES", "WITH w AS (SELECT DISTINCT TRIM('o''b') AS x, n FROM visits) SELECT COUNT(*), COUNT(b.n) FROM w a LEFT JOIN w b ON a.n = b.n + 1 AND b.x = 'o''b' WHERE a.x = 'o''b'", "18 17"},
		} {
			if strings.Contains(c.sql, "LATERAL") && s.engine.String() == "mariadb" {
				continue
			}
			mustExec(t, db, "SET SESSION sql_mode = '"+c.mode+"'")
			var rows, found string
			require.NoError(t, db.QueryRowContext(t.Context(), c.sql).Scan(&rows, &found), c.sql)
			require.Equal(t, c.want, rows+" "+found, c.sql)
		}
	})
}
