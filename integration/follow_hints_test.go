package integration

import (
	"context"
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What Serval remembers of a parent's shard may be wrong at any time: another
// Serval has moved it, or deleted it and inserted it anew.
func TestFollowWrongHints(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		const schema = "followhints"
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		cfg := settings{Schema: schema, Tables: followTables}
		first, second := startServal(t, s, cfg), startServal(t, s, cfg)
		a, b := oneConn(t, first.open(t, "")), oneConn(t, second.open(t, ""))
		mustExec(t, a, "CREATE DATABASE "+schema, "USE "+schema, "SET serval_consistency = 'global'")
		mustExec(t, a, followCreates...)
		mustExec(t, b, "USE "+schema, "SET serval_consistency = 'global'")

		mustExec(t, a, "INSERT INTO bills VALUES (1, 1, 0)", "INSERT INTO `lines` VALUES (1, 1, 'a', 0)")
		for owner := 2; owner < 12; owner++ {
			mustExec(t, b, fmt.Sprintf("UPDATE bills SET owner = %d WHERE id = 1", owner))
			require.Len(t, allRows(t, a, "SELECT line FROM `lines` WHERE bill_id = 1"), owner-1, "the read that follows the wrong hint")
			mustExec(t, b, fmt.Sprintf("UPDATE bills SET owner = %d WHERE id = 1", owner+100))
			mustExec(t, a, fmt.Sprintf("INSERT INTO `lines` VALUES (1, %d, 'a', 0)", owner))
			require.Len(t, allRows(t, b, "SELECT line FROM `lines` WHERE bill_id = 1"), owner)
		}
		for owner := 2; owner < 12; owner++ {
			mustExec(t, b, "DELETE FROM `lines`", "DELETE FROM bills", fmt.Sprintf("INSERT INTO bills VALUES (1, %d, 0)", owner))
			mustExec(t, a, "INSERT IGNORE INTO `lines` VALUES (1, 1, 'a', 0), (2, 1, 'of none', 0)")
			mustExec(t, b, "DELETE FROM `lines`", "DELETE FROM bills", fmt.Sprintf("INSERT INTO bills VALUES (1, %d, 0)", owner+100))
			mustExec(t, a, "BEGIN", "INSERT INTO notes (bill_id, text) VALUES (NULL, 'x')", "INSERT INTO `lines` VALUES (1, 2, 'a', 0)", "COMMIT")
			require.Equal(t, []string{"1|2|a|0"}, allRows(t, b, "SELECT * FROM `lines`"))
		}
		followRefusals(t, s, first, clusters[0].Primary.Addr(), schema)
	})
}

// followRefusals: what relies on the foreign keys is refused where they are off or
// gone.
func followRefusals(t *testing.T, s *serverSet, p *serval, primary, schema string) {
	t.Helper()
	c := oneConn(t, p.open(t, schema))
	check := func() (string, error) {
		out, err := exec.CommandContext(t.Context(), binary, "check", "-c", p.Config, "--placement").CombinedOutput()
		return string(out), err
	}
	out, err := check()
	require.NoError(t, err, out)
	mustExec(t, c, "SET foreign_key_checks = 0")
	for _, sql := range []string{"INSERT INTO `lines` VALUES (1, 9, 'a', 0)", "DELETE FROM bills", "UPDATE bills SET id = 7", "UPDATE bills SET owner = 7", "DROP TABLE bills", "DELETE FROM bills WHERE id = 1"} {
		_, err := c.ExecContext(t.Context(), sql)
		require.ErrorContains(t, err, "foreign_key_checks", sql)
	}
	mustExec(t, c, "INSERT INTO bills VALUES (50, 50, 1)", "SET foreign_key_checks = 1")
	mustExec(t, c, "SET @was = @@foreign_key_checks, foreign_key_checks = 0", "SET foreign_key_checks = @was", "UPDATE bills SET owner = 51 WHERE id = 50") // as mysqldump does

	past := oneConn(t, openDB(t, primary, schema+"_0"))
	mustExec(t, past, "SET foreign_key_checks = 0", "INSERT INTO `lines` VALUES (4711, 1, 'lost', 0)", "SET foreign_key_checks = 1")
	out, err = check()
	require.Error(t, err)
	require.Contains(t, out, "the first with bill_id = 4711")
	mustExec(t, past, "DELETE FROM `lines` WHERE bill_id = 4711", "ALTER TABLE `lines` DROP FOREIGN KEY of_bill")
	out, err = check()
	require.Error(t, err)
	require.Contains(t, out, "has no FOREIGN KEY (bill_id) REFERENCES bills (id)")

	later := startServal(t, s, settings{Schema: schema, Tables: followTables})
	d := oneConn(t, later.open(t, schema))
	_, err = d.ExecContext(t.Context(), "INSERT INTO `lines` VALUES (50, 1, 'a', 0)")
	require.ErrorContains(t, err, "has no FOREIGN KEY (bill_id) REFERENCES bills (id)")
	require.Equal(t, []string{"2"}, allRows(t, d, "SELECT l.line FROM `lines` l JOIN bills b ON b.id = l.bill_id"), "joined, though not shard by shard")
}

// Many sessions of two Servals write parents and their rows, and move them: each
// row is with its parent, and none is lost.
func TestFollowAmongMany(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		const schema = "followmany"
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		cfg := settings{Schema: schema, Tables: followTables}
		servals := []*serval{startServal(t, s, cfg), startServal(t, s, cfg)}
		a := oneConn(t, servals[0].open(t, ""))
		mustExec(t, a, "CREATE DATABASE "+schema, "USE "+schema, "SET serval_consistency = 'global'")
		mustExec(t, a, followCreates...)
		require.Empty(t, allRows(t, oneConn(t, servals[1].open(t, schema)), "SELECT l.line, b.id FROM `lines` l JOIN bills b ON b.id = l.bill_id"), "it knows them now")
		mustExec(t, a, "INSERT INTO bills VALUES (1, 1, 0), (2, 2, 0), (3, 3, 0), (4, 4, 0)")
		var wg sync.WaitGroup
		inserted := make([]int, 6)
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		for w := range inserted {
			c := oneConn(t, servals[w%2].open(t, schema))
			wg.Go(func() {
				for i := range 40 {
					sql := fmt.Sprintf("INSERT INTO `lines` VALUES (%d, %d, 'a', %d)", 1+(w+i)%4, w*1000+i, w)
					if w == 0 {
						sql = fmt.Sprintf("UPDATE bills SET owner = %d WHERE id = %d", 1000+i, 1+i%4)
					}
					if _, err := c.ExecContext(ctx, sql); err == nil {
						inserted[w]++
					}
				}
			})
		}
		wg.Wait()
		rows := 0
		for w := 1; w < len(inserted); w++ {
			rows += inserted[w]
		}
		t.Logf("done of 40 each: %v", inserted)
		require.Positive(t, inserted[0])
		require.Greater(t, rows, 80, "of 160")
		require.Equal(t, fmt.Sprint(rows), one(t, a, "SELECT COUNT(*) FROM `lines`"))
		for id := 1; id <= 4; id++ {
			byParent := allRows(t, a, fmt.Sprintf("SELECT line FROM `lines` WHERE bill_id = %d ORDER BY line", id))
			require.Equal(t, allRows(t, a, fmt.Sprintf("SELECT l.line FROM `lines` l JOIN bills b ON b.id = l.bill_id WHERE b.id = %d ORDER BY l.line", id)), byParent)
			require.Equal(t, fmt.Sprint(len(byParent)), one(t, a, fmt.Sprintf("SELECT COUNT(*) FROM `lines` WHERE bill_id = %d", id)))
		}
		out, err := exec.CommandContext(t.Context(), binary, "check", "-c", servals[0].Config, "--placement").CombinedOutput()
		require.NoError(t, err, string(out))
	})
}
