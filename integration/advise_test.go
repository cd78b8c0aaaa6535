package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// adviseReport is what the test reads of `serval advise -o json`.
type adviseReport struct {
	Statements uint64
	Tables     []struct {
		Table      struct{ Schema, Table string }
		Candidates []struct {
			Rule              string
			Shares            struct{ Single, Transactions float64 }
			RowSkew, TopValue float64
		}
	}
	Remarks []struct{ Digest, Way, Why string }
}

func adviseRun(t *testing.T, args ...string) (r adviseReport) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"advise", "-o", "json", "--min-rows", "1"}, args...)...)
	out, err := cmd.Output()
	require.NoError(t, err, "%s", out)
	require.NoError(t, json.Unmarshal(out, &r), "%s", out)
	return r
}

// The same workload, as a server logs it and as Serval counts it, leads to the
// same keys: orders by their user, users by id.
func TestAdvise(t *testing.T) {
	eachEngineAlone(t, func(t *testing.T, s *serverSet) {
		const schema = "advised"
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema})
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE "+schema,
			"CREATE TABLE advised.users (id INT PRIMARY KEY, name VARCHAR(20), KEY (name))",
			"CREATE TABLE advised.orders (id INT PRIMARY KEY, user_id INT NOT NULL, status INT, total INT, KEY (user_id), KEY (status))")
		for i := range 40 {
			mustExec(t, db, fmt.Sprintf("INSERT INTO advised.users VALUES (%d, 'u%d')", i, i),
				fmt.Sprintf("INSERT INTO advised.orders VALUES (%d, %d, %d, 7)", i, i%20, i%2))
		}
		mustExec(t, db, "ANALYZE TABLE advised.users", "ANALYZE TABLE advised.orders")

		primary := clusters[0].Primary
		direct := openDB(t, primary.Addr(), schema)
		admin := openDB(t, primary.Addr(), "")
		for _, log := range []string{"slow_query_log", "general_log"} {
			t.Run(log, func(t *testing.T) {
				was := one(t, admin, "SELECT @@GLOBAL.long_query_time")
				asBackend(t, s, "SET GLOBAL log_output = 'FILE'", "SET GLOBAL long_query_time = 0", "SET GLOBAL "+log+" = ON")
				t.Cleanup(func() { asBackend(t, s, "SET GLOBAL "+log+" = OFF", "SET GLOBAL long_query_time = "+was) })
				conn := oneConn(t, direct)
				mustExec(t, conn, "SET SESSION long_query_time = 0")
				adviseWorkload(t, conn)
				file := one(t, admin, "SELECT IF(LEFT(@@"+log+"_file, 1) = '/', @@"+log+"_file, CONCAT(@@datadir, @@"+log+"_file))")
				checkAdvice(t, adviseRun(t, "-c", p.Config, "--from", file), true)
			})
		}
		t.Run("digests", func(t *testing.T) {
			mustExec(t, db, "USE advised")
			adviseWorkload(t, oneConn(t, p.open(t, schema)))
			checkAdvice(t, adviseRun(t, "-c", p.Config), false)
		})
	})
}

func asBackend(t *testing.T, s *serverSet, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		require.NoError(t, s.Clusters(t)[0].Primary.Exec(context.WithoutCancel(t.Context()), sql))
	}
}

func adviseWorkload(t *testing.T, db execer) {
	t.Helper()
	for i := range 30 {
		mustExec(t, db, fmt.Sprintf("SELECT * FROM orders WHERE user_id = %d", i),
			fmt.Sprintf("SELECT u.name, o.total FROM users u JOIN orders o ON o.user_id = u.id\n WHERE u.id = %d", i),
			"BEGIN", fmt.Sprintf("UPDATE orders SET total = 1 WHERE user_id = %d AND id = 3", i), fmt.Sprintf("UPDATE users SET name = 'x' WHERE id = %d", i), "COMMIT")
	}
	mustExec(t, db, "SELECT status, COUNT(*) FROM orders GROUP BY status")
}

func checkAdvice(t *testing.T, r adviseReport, transactions bool) {
	t.Helper()
	best := map[string]string{}
	for _, table := range r.Tables {
		if table.Table.Schema != "advised" {
			continue
		}
		first := table.Candidates[0]
		best[table.Table.Table] = first.Rule
		require.Greater(t, first.Shares.Single, 0.6)
		require.Greater(t, first.RowSkew, 0.9, "the servers were asked")
		require.Greater(t, first.TopValue, 0.0)
		if transactions {
			require.Zero(t, first.Shares.Transactions)
			last := table.Candidates[len(table.Candidates)-1]
			require.Greater(t, last.Shares.Transactions, 0.3, "%s is a key that tears transactions apart", last.Rule)
		}
	}
	require.Equal(t, map[string]string{"users": "hash(id)", "orders": "hash(user_id)"}, best)
	seen := false
	for _, s := range r.Remarks {
		seen = seen || s.Way == "scatter" && s.Why == "slower: every shard is asked"
	}
	require.True(t, seen, "%+v", r.Remarks)
}
