package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// What was acknowledged is there: transactions over one and over several
// shards add to counters and keep a journal of themselves; afterwards the
// counters, the journal and the acknowledgements agree.
func TestNoAcknowledgedWriteIsLost(t *testing.T) { acknowledged(t, 4*time.Second) }

func acknowledged(t *testing.T, long time.Duration) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "acknowledged")
		db := p.open(t, "acknowledged")
		fillT(t, db, 200)
		mustExec(t, db, "UPDATE t SET n = 0")
		ctx, cancel := context.WithTimeout(t.Context(), long)
		defer cancel()
		var committed, retried atomic.Int64
		var errs errorList
		var workers sync.WaitGroup
		for w := range 8 {
			conn := oneConn(t, db)
			r := rand.New(rand.NewPCG(uint64(w), 11))
			workers.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					switch err := addTwice(context.WithoutCancel(ctx), conn, r, int64(1_000_000*(w+1)+i)); {
					case err == nil:
						committed.Add(1)
					case deadlock(err):
						retried.Add(1)
					default:
						errs.add(err)
						return
					}
				}
			})
		}
		workers.Wait()
		require.NoError(t, errs.first())
		require.NotZero(t, committed.Load())
		t.Logf("%d transactions committed, %d ended by a deadlock or lock wait", committed.Load(), retried.Load())
		s.sync(t) // the reader below wrote nothing itself: it may read a replica
		require.Equal(t, fmt.Sprint(2*committed.Load()), one(t, db, "SELECT SUM(n) FROM t WHERE id <= 200"), "each transaction added two")
		require.Equal(t, fmt.Sprint(committed.Load()), one(t, db, "SELECT COUNT(*) FROM t WHERE id >= 1000000"), "each left one row")
	})
}

// addTwice is one transaction: two counters and one row of the journal. The
// counters are locked in order, so that transactions wait for each other and
// do not deadlock across servers.
func addTwice(ctx context.Context, conn *sql.Conn, r *rand.Rand, journal int64) error {
	a, b := 1+r.IntN(200), 1+r.IntN(200)
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, id := range []int{min(a, b), max(a, b)} {
		if _, err := tx.ExecContext(ctx, "UPDATE t SET n = n + 1 WHERE id = ?", id); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO t (id, n) VALUES (?, 0)", journal); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// deadlock: the server ended the transaction for the benefit of others.
func deadlock(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && (e.Number == 1213 || e.Number == 1205)
}
