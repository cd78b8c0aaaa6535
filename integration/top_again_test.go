package integration

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// topQueries are asked again and again, so that the shards of one server are asked together, for less
// than the LIMIT each, and by statements that the server keeps. ORDER BY leaves no choice.
var topQueries = []string{
	"SELECT id, v, c FROM t ORDER BY v DESC, id LIMIT 10",
	"SELECT * FROM t ORDER BY v, id LIMIT 12",
	"SELECT id, v FROM t ORDER BY v, id DESC LIMIT 9 OFFSET 14",
	"SELECT id, owner FROM t ORDER BY owner DESC, id LIMIT 20", // all of few shards
	"SELECT id, CONCAT(c, '\\'') AS q FROM t WHERE v > 300 ORDER BY v + 0.5 DESC, id LIMIT 11",
	"SELECT c, id FROM t ORDER BY c, id LIMIT 15", // text: a hidden weight
	"SELECT id, d, dt FROM t ORDER BY dt DESC, d, id LIMIT 16",
	"SELECT id, d, d AS d2, v, v AS v2, c, dt FROM t ORDER BY d, id LIMIT 10", // a further column takes a byte of a binary row's bitmap
	"SELECT owner, COUNT(*), MAX(v) FROM t GROUP BY owner ORDER BY 2 DESC, owner LIMIT 10",
	"SELECT id FROM t WHERE v < -1000 ORDER BY v LIMIT 10",
	"SELECT u.id, t.v FROM t JOIN t u ON u.owner = t.owner AND u.id = t.id ORDER BY t.v DESC, u.id LIMIT 10",
}

func TestTopOfManyShardsAskedAgain(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema, rounds, changes = "topagain", 15, 8
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		proxy := startServal(t, s, settings{Schema: schema, Tables: "t: {shard: hash(owner), shards: 8, on: [c0]}"})
		o := &oracle{schema: schema, engine: s.engine.String(), serval: oneConn(t, proxy.open(t, "")), plain: oneConn(t, openDB(t, s.Plain(t).Addr(), ""))}
		mustExec(t, o.plain, "DROP DATABASE IF EXISTS "+schema)
		for _, q := range []string{
			"CREATE DATABASE " + schema, "USE " + schema,
			"CREATE TABLE t (id INT NOT NULL, owner INT NOT NULL, v INT, c VARCHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, d DECIMAL(10,2), dt DATETIME(3), PRIMARY KEY (owner, id), KEY (v), KEY (id))",
		} {
			o.both(t, q)
		}
		r := rand.New(rand.NewPCG(7, 7))
		row := func(id int) string {
			v := fmt.Sprint(r.IntN(1000) - 500)
			if r.IntN(20) == 0 {
				v = "NULL"
			}
			return fmt.Sprintf("(%d, %d, %s, '%s', %d.%02d, '2026-11-%02d 10:%02d:00.%03d')", id, id%100, v,
				[]string{"a", "B", "ä", "b ", "Z", ""}[r.IntN(6)], r.IntN(50)-25, r.IntN(100), 1+r.IntN(28), r.IntN(60), r.IntN(1000))
		}
		var rows []string
		for id := range 800 {
			rows = append(rows, row(id))
		}
		o.both(t, "INSERT INTO t VALUES "+strings.Join(rows, ", "))
		before := executes(t, s)
		for round := range rounds {
			for range changes {
				id := r.IntN(800)
				o.both(t, fmt.Sprintf("DELETE FROM t WHERE owner = %d AND id = %d", id%100, id))
				o.both(t, "INSERT INTO t VALUES "+row(id))
			}
			for _, q := range topQueries {
				for _, m := range modes(statementCase{sql: q}) {
					o.runCase(t, statementCase{pos: fmt.Sprintf("round %d", round), sql: q}, m)
				}
			}
		}
		t.Logf("%d compared, %d differ", o.compared, o.failed)
		require.Greater(t, executes(t, s), before, "no statement was kept under a name")
	})
}

// executes is how often the first cluster's servers ran a statement by its name.
func executes(t *testing.T, s *serverSet) (n int) {
	for _, server := range s.Clusters(t)[0].Servers() {
		var name string
		var count int
		require.NoError(t, openDB(t, server.Addr(), "").QueryRowContext(t.Context(), "SHOW GLOBAL STATUS LIKE 'Com_execute_sql'").Scan(&name, &count))
		n += count
	}
	return n
}
