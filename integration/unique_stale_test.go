package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a lookup table tells may be of another moment than the rows: a query over a
// unique key gives what it gives where the lookup rows are as they are, name
// another shard, or are missing.
func TestLookupsAreOnlyHints(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		const schema = "uniqhint"
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: fmt.Sprintf(uniqueTables, 8)})
		c := oneConn(t, p.open(t, ""))
		mustExec(t, c, "CREATE DATABASE "+schema, "USE "+schema)
		mustExec(t, c, uniqueCreates...)
		mustExec(t, c, "SET serval_consistency = 'global'",
			"INSERT INTO members (id, email, country, phone, name) VALUES (1, 'a@x', 'de', '1', 'Ann'), (2, 'b@x', 'de', '2', 'Bob'), (3, 'c@x', 'fr', '1', 'Cid')")
		queries := []string{
			"SELECT id FROM members WHERE email = 'a@x'",
			"SELECT COUNT(*), MAX(name) FROM members WHERE email = 'a@x'",
			"SELECT COUNT(*) FROM members WHERE email = 'none@x'",
			"SELECT name, COUNT(*) FROM members WHERE email = 'b@x' GROUP BY name HAVING COUNT(*) > 0",
			"SELECT COUNT(*) FROM members WHERE email = 'b@x' HAVING COUNT(*) = 0",
			"SELECT id, ROW_NUMBER() OVER (ORDER BY name) FROM members WHERE email = 'b@x'",
			"SELECT (SELECT COUNT(m.id)) FROM members m WHERE m.email = 'b@x'",
			"SELECT COUNT(*) FROM members WHERE country = 'de' AND phone = '2'",
			"SELECT COUNT(*) FROM members WHERE country = 'de' AND phone = 2",
			"SELECT id FROM members WHERE email IN ('a@x', 'b@x') ORDER BY id",
			"SELECT id FROM members WHERE email IN ('a@x', 'c@x')",
			"SELECT id FROM members WHERE email IN ('a@x', 'none@x')",
			"SELECT id, name FROM members WHERE email IN ('b@x', 'B@X ')",
		}
		ask := func() (out []string) {
			for _, q := range queries {
				out = append(out, fmt.Sprint(q, " ", allRows(t, c, q)))
			}
			return out
		}
		want := ask()
		require.Contains(t, want[1], "[1|Ann]")
		require.Contains(t, want[9], "[1 2]")
		s.sync(t) // a lookup table is asked on any replica
		require.Contains(t, strings.Join(planShown(t, c, "EXPLAIN FORMAT='route' "+queries[1]), "\n"), "Route single")
		everywhere := func(sql string) {
			for i := range 8 {
				db := clusters[i/4].Primary.DB()
				for _, lookup := range []string{"email", "country_phone"} {
					_, err := db.ExecContext(t.Context(), fmt.Sprintf(sql, fmt.Sprintf("%s_%d.serval_unique_members_%s", schema, i, lookup)))
					require.NoError(t, err)
				}
			}
		}
		for id := 10; id < 14; id++ { // of several shards, perhaps the right one
			everywhere(fmt.Sprintf("UPDATE %%s SET id = %d", id))
			require.Equal(t, want, ask())
		}
		everywhere("DELETE FROM %s WHERE id = 13 LIMIT 1")
		require.Equal(t, want, ask())
		everywhere("DELETE FROM %s")
		require.Equal(t, want, ask())
	})
}
