package integration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// TRUNCATE of a table with lookup tables, while others insert: what was
// acknowledged behind it is there with its values, which nobody else has.
func TestTruncateOfUniqueKeys(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		h := newResidents(t, s)
		p := h.serve(t, binary)
		c, open := oneConn(t, p.open(t, h.schema)), oneConn(t, p.open(t, h.schema))
		mustExec(t, c, "SET serval_consistency = 'global'", "INSERT INTO members (id, email, country, phone) VALUES (1, 'a@x', 'de', '1'), (2, 'b@x', 'de', '2'), (3, 'c@x', 'fr', '1')")
		mustExec(t, c, "TRUNCATE TABLE members")
		require.Equal(t, "0", one(t, c, "SELECT COUNT(*) FROM members"))
		requireKept(t, c, "TRUNCATE")
		mustExec(t, c, "INSERT INTO members (id, email) VALUES (7, 'a@x'), (8, 'b@x')")

		// It waits for a transaction that has written, and sees all of it gone.
		mustExec(t, open, "BEGIN", "INSERT INTO members (id, email) VALUES (1, 'w@x'), (2, 'x@x'), (3, 'y@x'), (4, 'z@x')")
		done := make(chan error, 1)
		go func() { _, err := c.ExecContext(t.Context(), "TRUNCATE members"); done <- err }()
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		case <-time.After(500 * time.Millisecond):
		}
		mustExec(t, open, "COMMIT")
		require.NoError(t, <-done)
		require.Equal(t, "0", one(t, c, "SELECT COUNT(*) FROM members"))
		requireKept(t, c, "TRUNCATE that waited")

		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		var workers sync.WaitGroup
		var errs errorList
		db := p.open(t, h.schema)
		for w := range 4 {
			conn := oneConn(t, db)
			workers.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					_, err := conn.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("INSERT INTO members (id, email) VALUES (%d, 'm%d@x')", 1000*i+w, i%50))
					var e *mysql.MySQLError
					if err != nil && !deadlock(err) && !(errors.As(err, &e) && e.Number == 1062) {
						errs.add(err)
						return
					}
				}
			})
		}
		for ctx.Err() == nil {
			mustExec(t, c, "TRUNCATE TABLE members")
		}
		workers.Wait()
		require.NoError(t, errs.first())
		requireKept(t, c, "TRUNCATE among INSERTs")
	})
}
