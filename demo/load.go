package demo

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	loadWorkers = 4
	// loadPause is between two statements of a worker: the demo is to be
	// looked at, not to heat the room.
	loadPause = 20 * time.Millisecond
)

// workload is the load's counters.
type workload struct {
	db *sql.DB
	// lastOrder is the newest order's id.
	lastOrder atomic.Int64

	mu struct {
		sync.Mutex
		reads, writes, errors int
		latencies             []time.Duration // of this second
		lastError             error
	}
}

// load runs the workload until ctx ends and prints a line a second.
func load(ctx context.Context, db *sql.DB, out io.Writer) error {
	w := &workload{db: db}
	w.lastOrder.Store(orders)
	var workers sync.WaitGroup
	defer workers.Wait()
	for i := range loadWorkers {
		workers.Go(func() { w.work(ctx, rand.New(rand.NewPCG(uint64(i), 7))) })
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for second := 1; ; second++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			fmt.Fprintln(out, w.line(second))
		}
	}
}

// work sends one statement after the other until ctx ends.
func (w *workload) work(ctx context.Context, r *rand.Rand) {
	tick := time.NewTicker(loadPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		write, err := w.statement(ctx, r)
		if ctx.Err() == nil {
			w.count(write, time.Since(began), err)
		}
	}
}

// statement sends one statement: mostly reads of one user, some writes, few
// that ask every shard.
func (w *workload) statement(ctx context.Context, r *rand.Rand) (write bool, err error) {
	id := 1 + r.IntN(users)
	switch n := r.IntN(20); {
	case n < 11:
		return false, w.read(ctx, "SELECT id, name, country FROM shop.users WHERE id = ?", id)
	case n < 15:
		return false, w.read(ctx, "SELECT o.id, o.status, i.item_id, i.quantity FROM shop.orders o JOIN shop.order_items i ON i.user_id = o.user_id AND i.order_id = o.id WHERE o.user_id = ?", id)
	case n < 17:
		_, err := w.db.ExecContext(ctx, "INSERT INTO shop.orders (id, user_id, status, total, created_at) VALUES (?, ?, 'new', '9.90', ?)",
			w.lastOrder.Add(1), id, time.Now().UTC().Format(time.DateTime))
		return true, err
	case n < 19:
		_, err := w.db.ExecContext(ctx, "UPDATE shop.orders SET status = 'paid' WHERE user_id = ? AND status = 'new'", id)
		return true, err
	}
	return false, w.read(ctx, "SELECT status, COUNT(*), SUM(total) FROM shop.orders GROUP BY status ORDER BY status")
}

func (w *workload) read(ctx context.Context, query string, args ...any) error {
	rows, err := w.db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	for rows.Next() {
	}
	return rows.Err()
}

func (w *workload) count(write bool, took time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil:
		w.mu.errors, w.mu.lastError = w.mu.errors+1, err
	case write:
		w.mu.writes++
	default:
		w.mu.reads++
	}
	w.mu.latencies = append(w.mu.latencies, took)
}

// line tells of the second that ended and begins the next.
func (w *workload) line(second int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.mu.latencies)
	s := fmt.Sprintf("%4ds  %4d reads/s  %4d writes/s  p50 %-8v p99 %-8v %d errors", second, w.mu.reads, w.mu.writes,
		percentile(w.mu.latencies, 50), percentile(w.mu.latencies, 99), w.mu.errors)
	if w.mu.lastError != nil {
		s += ", last: " + w.mu.lastError.Error()
	}
	w.mu.reads, w.mu.writes, w.mu.errors, w.mu.lastError = 0, 0, 0, nil
	w.mu.latencies = w.mu.latencies[:0]
	return s
}

// percentile of sorted durations, 0 of none.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*p/100, len(sorted)-1)].Round(10 * time.Microsecond)
}
