package integration

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Two transactions that each have entered the value the other one wants, where the
// lookup rows are on different clusters. The MySQL servers of this test have no
// performance_schema, so nobody can say who waits for whom.
func TestDeadlockOfUniqueKeysEndsSoon(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		h := newResidents(t, s)
		p := h.serve(t, binary)
		a, b := oneConn(t, p.open(t, h.schema)), oneConn(t, p.open(t, h.schema))
		emails, ids := h.apart(t, a)
		insert := func(c *sql.Conn, id, email string) error {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			_, err := c.ExecContext(ctx, fmt.Sprintf("INSERT INTO members (id, email) VALUES (%s, '%s')", id, email))
			return err
		}
		mustExec(t, a, "BEGIN")
		require.NoError(t, insert(a, ids[0][0], emails[0]))
		mustExec(t, b, "BEGIN")
		require.NoError(t, insert(b, ids[1][0], emails[1]))
		first := make(chan error, 1)
		began := time.Now()
		go func() { first <- insert(a, ids[0][1], emails[1]) }()
		errB := insert(b, ids[1][1], emails[0])
		errA := <-first
		t.Logf("it took %v", time.Since(began).Round(time.Millisecond))
		require.Less(t, time.Since(began), 15*time.Second) // innodb_lock_wait_timeout is 50
		lost, other := errB, a
		if errA != nil {
			lost, other = errA, b
			require.NoError(t, errB, "only one of them is the victim")
		}
		require.True(t, deadlock(lost), "%v", lost)
		mustExec(t, other, "COMMIT")
		require.Equal(t, "2", one(t, other, "SELECT COUNT(*) FROM members"))
		requireKept(t, other, "one of them was the victim")
	})
}

// apart are two emails whose lookup rows are on different clusters, and two ids of
// each of two shards. There are no rows afterwards.
func (h *residents) apart(t *testing.T, c *sql.Conn) (emails [2]string, ids [2][2]string) {
	t.Helper()
	for i := range 40 {
		mustExec(t, c, fmt.Sprintf("INSERT INTO members (id, email) VALUES (%d, 'd%d@x')", i, i))
	}
	for i, cluster := range h.clusters {
		ask := func(sql string, to ...any) {
			require.NoError(t, cluster.Primary.DB().QueryRowContext(t.Context(), fmt.Sprintf(sql, h.schema, 2*i)).Scan(to...))
		}
		ask("SELECT MIN(email) FROM %s_%d.serval_unique_members_email", &emails[i])
		ask("SELECT MIN(id), MAX(id) FROM %s_%d.members", &ids[i][0], &ids[i][1])
	}
	mustExec(t, c, "DELETE FROM members")
	return emails, ids
}
