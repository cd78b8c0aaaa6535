package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

const (
	builtTables = "members: {shard: hash(id), shards: 4, on: [c0, c1], unique: [email]}\n" +
		"trans: {" + builtTrans + ", unique: [[user_id, code]]}\n"
	builtTrans = "shard: 'month(paid_at), hash(user_id) x 2', from: 2026-09, on: [c0, c1]"
)

// A table that has rows gets its lookup table while it is written: values that
// are there twice are named and nothing is trusted, then it is built, and in the
// end every row that was acknowledged has its lookup row.
func TestLookupTablesAreBuiltOnline(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		const schema = "uniqbuilt"
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		for shard := range 4 {
			db := clusters[shard/2].Primary.DB()
			mustExec(t, db, fmt.Sprintf("CREATE DATABASE IF NOT EXISTS %s", schema), fmt.Sprintf("CREATE DATABASE %s_%d", schema, shard),
				strings.Replace(uniqueCreates[0], "members", fmt.Sprintf("%s_%d.members", schema, shard), 1))
		}
		trans(t, s, schema)
		p := startServal(t, s, settings{Schema: schema, Tables: builtTables})
		check := func(more ...string) (string, error) {
			out, err := exec.CommandContext(t.Context(), binary, append([]string{"check", "-c", p.Config, "--live", "--timeout", "5m"}, more...)...).CombinedOutput()
			return string(out), err
		}
		db := p.open(t, schema)
		mustExec(t, db, "INSERT INTO members (id, email, name) WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 1000) SELECT i, CONCAT('old', i, '@x'), 'old' FROM r",
			"INSERT INTO members (id, email) VALUES (2001, 'old5@X')", "INSERT INTO members (id, email) VALUES (2002, NULL)")
		out, err := check()
		require.Error(t, err)
		require.Contains(t, out, "uniqbuilt.members: the unique key [email] is kept by each shard alone: its lookup table serval_unique_members_email is not built; --repair builds it")

		ctx, stop := context.WithCancel(t.Context())
		var writers sync.WaitGroup
		var errs errorList
		for w := range 3 {
			conn, r := oneConn(t, db), rand.New(rand.NewPCG(uint64(w), 3))
			writers.Go(func() { errs.add(writeWhileBuilt(ctx, conn, w, r)) })
		}
		out, err = check("--repair")
		require.Error(t, err, out)
		require.Contains(t, out, "cannot be kept: 1 values are there twice, so 'old5@")
		require.Regexp(t, `cannot be kept: 1 values are there twice, so '7', 'b' in the rows with paid_at '2026-(10|11)-01 00:00:00' and '2026-1`, out)
		require.Contains(t, out, "change one of each and run --repair again")
		mustExec(t, db, "UPDATE members SET email = 'other5@x' WHERE id = 2001", "DELETE FROM trans WHERE user_id = 7 AND paid_at = '2026-11-01'")
		out, err = check("--repair")
		stop()
		writers.Wait()
		require.NoError(t, errs.first())
		require.NoError(t, err, out)
		require.Contains(t, out, "repaired: ")
		out, err = check()
		require.NoError(t, err, out)

		c := oneConn(t, db)
		s.sync(t)
		columns := "email, id FROM %s WHERE email IS NOT NULL"
		require.ElementsMatch(t, allRows(t, c, fmt.Sprintf("SELECT "+columns, "members")), allRows(t, c, fmt.Sprintf("SELECT "+columns, "serval_unique_members_email")))
		_, err = c.ExecContext(t.Context(), "INSERT INTO members (id, email) VALUES (3001, 'OLD7@x')")
		var e *mysql.MySQLError
		require.ErrorAs(t, err, &e)
		require.Equal(t, uint16(1062), e.Number)
		columns = "user_id, code, paid_at FROM %s WHERE code IS NOT NULL"
		require.ElementsMatch(t, allRows(t, c, fmt.Sprintf("SELECT "+columns, "trans")), allRows(t, c, fmt.Sprintf("SELECT "+columns, "serval_unique_trans_user_id_code")))
		_, err = c.ExecContext(t.Context(), "INSERT INTO trans (id, paid_at, user_id, code) VALUES (3001, '2026-11-09', 8, 'B')")
		require.ErrorAs(t, err, &e)
		require.Equal(t, uint16(1062), e.Number)
		damagedLookup(t, s, c, check)
	})
}

// trans makes a table sharded by month and user, with a unique key that each shard
// keeps for itself.
func trans(t *testing.T, s *serverSet, schema string) {
	t.Helper()
	db := oneConn(t, startServal(t, s, settings{Schema: schema, Tables: "trans: {" + builtTrans + "}"}).open(t, schema))
	mustExec(t, db, "CREATE TABLE trans (id BIGINT NOT NULL, paid_at DATETIME NOT NULL, user_id BIGINT NOT NULL, code VARCHAR(20), PRIMARY KEY (id, paid_at, user_id))"+
		" DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
	for i := range 20 {
		mustExec(t, db, fmt.Sprintf("INSERT INTO trans VALUES (%d, '2026-10-01', %d, 'b'), (%d, '2026-11-01', %d, NULL)", i, i, 100+i, i))
	}
	mustExec(t, db, "INSERT INTO trans VALUES (300, '2026-11-01', 7, 'b')")
	for _, c := range s.Clusters(t) {
		on := oneConn(t, c.Primary.DB())
		for _, table := range allRows(t, on, "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA RLIKE '^"+schema+"_[0-9]$' AND TABLE_NAME LIKE 'trans%'") {
			mustExec(t, on, "ALTER TABLE "+table+" ADD UNIQUE KEY of_user (user_id, code)")
		}
	}
}

// damagedLookup: what is written past Serval is found, and put right.
func damagedLookup(t *testing.T, s *serverSet, c *sql.Conn, check func(...string) (string, error)) {
	t.Helper()
	for _, cluster := range s.Clusters(t) {
		for shard := range 4 {
			_, _ = cluster.Primary.DB().ExecContext(t.Context(), fmt.Sprintf("DELETE FROM uniqbuilt_%d.serval_unique_members_email WHERE email = 'old11@x'", shard))
			_, _ = cluster.Primary.DB().ExecContext(t.Context(), fmt.Sprintf("DELETE FROM uniqbuilt_%d.members WHERE id IN (12, 13)", shard))
			_, _ = cluster.Primary.DB().ExecContext(t.Context(), fmt.Sprintf("UPDATE uniqbuilt_%d.serval_unique_members_email SET id = 999999 WHERE email = 'old14@x'", shard))
		}
	}
	out, err := check()
	require.Error(t, err)
	require.Contains(t, out, "has 2 rows without a lookup row and 3 lookup rows without a row; --repair mends it")
	s.sync(t)
	require.Equal(t, "11", one(t, c, "SELECT id FROM members WHERE email = 'old11@x'"), "a read does not believe that there is none")
	require.Equal(t, "14", one(t, c, "SELECT id FROM members WHERE email = 'old14@x'"))
	out, err = check("--repair")
	require.NoError(t, err, out)
	out, err = check()
	require.NoError(t, err, out)
}

// writeWhileBuilt inserts, changes and deletes rows until ctx ends.
func writeWhileBuilt(ctx context.Context, c *sql.Conn, w int, r *rand.Rand) error {
	for i := 0; ctx.Err() == nil; i++ {
		id := r.IntN(1000) + 1
		statement := []string{
			fmt.Sprintf("INSERT INTO members (id, email) VALUES (%d, 'new%d-%d@x')", 10_000*(w+1)+i, w, i),
			fmt.Sprintf("UPDATE members SET email = 'up%d-%d@x' WHERE id = %d", w, i, id+20),
			fmt.Sprintf("DELETE FROM members WHERE id = %d", id+20),
			fmt.Sprintf("INSERT INTO members (id, email) VALUES (%d, 'old%d@x')", id+20, id+20),
			fmt.Sprintf("UPDATE members SET id = id + 100000 WHERE email = 'new%d-%d@x'", w, r.IntN(i+1)),
		}[r.IntN(5)]
		_, err := c.ExecContext(context.WithoutCancel(ctx), statement)
		var e *mysql.MySQLError
		if err != nil && !deadlock(err) && !(errors.As(err, &e) && e.Number == 1062) {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}
