package integration

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// LAST_INSERT_ID() behind RETURNING is the number of the row, whoever gave it,
// and stays where none was given.
func TestReturningNumbers(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		if s.engine != mysqlproc.MariaDB {
			t.Skip("MySQL has no RETURNING")
		}
		const schema = "returnids"
		dropSchema(t, s.Clusters(t), schema)
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: "visits: {shard: hash(person), shards: 4, on: [c0, c1], auto_increment: id}\nelsewhere: {on: c1}\n"})
		c := oneConn(t, p.open(t, ""))
		mustExec(t, c, "CREATE DATABASE "+schema, "USE "+schema)
		for _, table := range []string{"visits", "elsewhere", "home1"} {
			mustExec(t, c, "CREATE TABLE "+table+" (id BIGINT AUTO_INCREMENT, person BIGINT, PRIMARY KEY (id))")
		}
		mustExec(t, c, "CREATE TABLE bare (n INT)")
		for _, begin := range []string{"DO 0", "BEGIN"} {
			mustExec(t, c, begin)
			for _, table := range []string{"visits", "elsewhere", "home1"} {
				for _, rows := range []string{"(5)", "(1), (2), (3), (4)"} {
					id := one(t, c, "INSERT INTO "+table+" (person) VALUES "+rows+" RETURNING id")
					require.Equal(t, id, one(t, c, "SELECT LAST_INSERT_ID()"), "%s %s", table, rows)
					require.Equal(t, "7", one(t, c, "INSERT INTO bare VALUES (7) RETURNING n"))
					require.Equal(t, id, one(t, c, "SELECT LAST_INSERT_ID()"))
				}
			}
			id := one(t, c, "INSERT INTO visits (person) SELECT person + 50 FROM visits ORDER BY id RETURNING id")
			require.Equal(t, id, one(t, c, "SELECT LAST_INSERT_ID()"))
			mustExec(t, c, "COMMIT")
		}
	})
}
