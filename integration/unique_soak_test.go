//go:build soak

package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// Many sessions insert, change and delete rows with the same emails: whoever is
// told that it is in has it alone.
func TestSoakUniqueAmongManySessions(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		h := newResidents(t, s)
		p := h.serve(t, binary)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		h.work(ctx, t, p, 1, func() {})
		h.check(t, p)
		require.NotZero(t, h.counts["1062"])
		require.NotZero(t, h.counts["read"])
		h.rows = map[int64]string{}
		takeOver(t, p, h.schema)
		c := oneConn(t, p.open(t, h.schema))
		mustExec(t, c, "SET serval_consistency = 'global'")
		requireKept(t, c, "rows were taken over")
		emails := allRows(t, c, "SELECT email FROM members WHERE email IS NOT NULL")
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(emails))), len(emails))
	})
}

// takeOver has sessions take each other's rows by whatever means there are.
func takeOver(t *testing.T, p *serval, schema string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	db := p.open(t, schema)
	var workers sync.WaitGroup
	var errs errorList
	for w := range 6 {
		r := rand.New(rand.NewPCG(uint64(w), 7))
		conn := oneConn(t, db)
		workers.Go(func() {
			for ctx.Err() == nil {
				id, email := 1+r.IntN(50), fmt.Sprintf("t%d@x", r.IntN(25))
				statement := []string{
					fmt.Sprintf("REPLACE INTO members (id, email) VALUES (%d, '%s'), (%d, NULL)", id, email, id+50),
					fmt.Sprintf("INSERT INTO members (id, email) VALUES (%d, '%s') ON DUPLICATE KEY UPDATE name = 'met'", id, email),
					fmt.Sprintf("INSERT IGNORE INTO members (id, email) VALUES (%d, '%s'), (%d, '%s')", id, email, id+1, email),
					fmt.Sprintf("DELETE FROM members WHERE email = '%s'", email),
					fmt.Sprintf("UPDATE members SET id = %d WHERE email = '%s'", id+r.IntN(50), email),
				}[r.IntN(5)]
				_, err := conn.ExecContext(context.WithoutCancel(ctx), statement)
				var e *mysql.MySQLError
				if err != nil && !deadlock(err) && !(errors.As(err, &e) && e.Number == 1062) {
					errs.add(fmt.Errorf("%s: %w", statement, err))
					return
				}
			}
		})
	}
	workers.Wait()
	require.NoError(t, errs.first())
}

// Every way on each engine, of which TestUniqueOverShards leaves one out.
func TestSoakUniqueOverShards(t *testing.T) {
	uniqueOverShards(t, func(*serverSet) []string { return []string{"text", "parameters", "in a transaction"} })
}
