package integration

import (
	"context"
	"database/sql"
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

// movedLoad writes to a table while it is moved, and knows what must be in it: each
// writer has rows of its own, and notes what was acknowledged. Readers read rows
// that nobody changes.
type movedLoad struct {
	table string
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu     sync.Mutex
	rows   map[int64]movedRow // acknowledged
	errs   []string
	writes []spent
	reads  int
	// deadlocks are writes that were taken back for one, and were not tried again.
	deadlocks int
}

// movedRow is what a row has besides its id.
type movedRow struct{ user, total int64 }

// spent is how long one write took.
type spent struct {
	at   time.Time
	took time.Duration
}

// movedFixed rows are made first and never changed.
const movedFixed = 3000

// movedUser is one of a row's users: each ends, modulo 64, as the row's id does, so
// that a rule may place rows by either.
func movedUser(id, n int64) int64 { return id%64 + 64*n }

// movedTable is the definition that movedLoad writes to.
func movedTable(name string) string {
	return "CREATE TABLE " + name + " (id BIGINT NOT NULL, user_id BIGINT NOT NULL, total BIGINT NOT NULL, note VARCHAR(40), paid_at DATETIME NOT NULL, PRIMARY KEY (id, user_id, paid_at))"
}

// fillMoved makes the fixed rows.
func fillMoved(t *testing.T, db *sql.DB, table string) {
	t.Helper()
	for first := 1; first <= movedFixed; first += 500 {
		text := "INSERT INTO " + table + " VALUES "
		for id := first; id < first+500; id++ {
			text += fmt.Sprintf("(%d, %d, 1, 'fixed', '2026-%02d-03 10:00:00'),", id, movedUser(int64(id), int64(id)%2), 1+id%12)
		}
		mustExec(t, db, text[:len(text)-1])
	}
}

// startMoved begins to write and read on connections of its own, of one Serval or
// of more in turn.
func startMoved(t *testing.T, p *serval, schema, table string, writers int, more ...*serval) *movedLoad {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &movedLoad{table: table, stop: stop, rows: map[int64]movedRow{}}
	var dbs []*sql.DB
	for _, p := range append([]*serval{p}, more...) {
		db := p.open(t, schema)
		db.SetMaxOpenConns(writers + 4)
		dbs = append(dbs, db)
	}
	for w := range writers {
		l.done.Go(func() { l.write(ctx, dbs[w%len(dbs)], int64(w), int64(writers)) })
	}
	for i := range 2 {
		l.done.Go(func() { l.read(ctx, dbs[i%len(dbs)]) })
	}
	t.Cleanup(l.end)
	return l
}

func (l *movedLoad) end() {
	l.stop()
	l.done.Wait()
}

func (l *movedLoad) failed(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.errs) < 20 {
		l.errs = append(l.errs, time.Now().Format("15:04:05.000 ")+what+": "+err.Error())
	}
}

// write changes rows whose id is w modulo all writers.
func (l *movedLoad) write(ctx context.Context, db *sql.DB, w, writers int64) {
	random := rand.New(rand.NewPCG(uint64(w), 7))
	var own []int64
	next := (movedFixed/writers+2)*writers + w
	for ctx.Err() == nil {
		var ids []int64
		kind := random.IntN(10)
		if len(own) < 20 {
			kind = 0
		} else {
			ids = []int64{own[random.IntN(len(own))], own[random.IntN(len(own))]}
		}
		began := time.Now()
		var err error
		switch {
		case kind < 3:
			id := next
			next += writers
			row := movedRow{movedUser(id, random.Int64N(3)), 1}
			_, err = db.Exec("INSERT INTO "+l.table+" VALUES (?, ?, ?, 'new', '2026-05-03 10:00:00')", id, row.user, row.total)
			if err == nil {
				own = append(own, id)
				l.set(id, row)
			}
		case kind < 5:
			row := l.get(ids[0])
			row.total++
			if _, err = db.Exec("UPDATE "+l.table+" SET total = total + 1 WHERE id = ?", ids[0]); err == nil {
				l.set(ids[0], row)
			}
		case kind < 6: // to another shard, maybe
			row := l.get(ids[0])
			row.user = movedUser(ids[0], random.Int64N(3))
			if _, err = db.Exec("UPDATE "+l.table+" SET user_id = ? WHERE id = ?", row.user, ids[0]); err == nil {
				l.set(ids[0], row)
			}
		case kind < 7:
			if _, err = db.Exec("DELETE FROM "+l.table+" WHERE id = ?", ids[0]); err == nil {
				own = slices.DeleteFunc(own, func(id int64) bool { return id == ids[0] })
				l.mu.Lock()
				delete(l.rows, ids[0])
				l.mu.Unlock()
			}
		default:
			err = l.transfer(db, ids[0], ids[1])
		}
		if e := (*mysql.MySQLError)(nil); errors.As(err, &e) && e.Number == 1213 {
			l.mu.Lock()
			l.deadlocks++ // rows of several writers stand side by side: one server has them too
			l.mu.Unlock()
			continue
		}
		if err != nil {
			l.failed(fmt.Sprintf("writer %d, kind %d, rows %v", w, kind, ids), err)
			return
		}
		l.mu.Lock()
		l.writes = append(l.writes, spent{began, time.Since(began)})
		l.mu.Unlock()
	}
}

// transfer changes two rows, of two shards mostly, in one transaction.
func (l *movedLoad) transfer(db *sql.DB, a, b int64) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after COMMIT there is none
	from, to := l.get(a), l.get(b)
	if a == b {
		to = from
	}
	if _, err := tx.Exec("UPDATE "+l.table+" SET total = total - 5 WHERE id = ?", a); err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE "+l.table+" SET total = total + 5 WHERE id = ?", b); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if a != b {
		from.total -= 5
		to.total += 5
		l.set(a, from)
		l.set(b, to)
	}
	return nil
}

func (l *movedLoad) read(ctx context.Context, db *sql.DB) {
	for ctx.Err() == nil {
		var n, sum int64
		err := db.QueryRow("SELECT COUNT(*), SUM(total) FROM "+l.table+" WHERE id <= ?", movedFixed).Scan(&n, &sum)
		if err == nil && (n != movedFixed || sum != movedFixed) {
			err = fmt.Errorf("%d rows with a sum of %d, for %d", n, sum, movedFixed)
		}
		if err != nil {
			l.failed("reader", err)
			return
		}
		l.mu.Lock()
		l.reads++
		l.mu.Unlock()
	}
}

func (l *movedLoad) get(id int64) movedRow {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rows[id]
}

func (l *movedLoad) set(id int64, row movedRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows[id] = row
}

// requireNoError: no statement has failed so far, and some have run.
func (l *movedLoad) requireNoError(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Empty(t, l.errs)
	require.Positive(t, l.reads)
	require.NotEmpty(t, l.writes)
}

// held is the longest write, and the 99th percentile of those that were under way
// between two moments.
func (l *movedLoad) held(from, to time.Time) (p99, longest time.Duration, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []time.Duration
	for _, w := range l.writes {
		if w.at.Before(to) && w.at.Add(w.took).After(from) {
			all = append(all, w.took)
		}
	}
	if len(all) == 0 {
		return 0, 0, 0
	}
	slices.Sort(all)
	return all[len(all)*99/100], all[len(all)-1], len(all)
}

// requireRows: the table has what was acknowledged and nothing else. The load has
// ended.
func (l *movedLoad) requireRows(t *testing.T, db *sql.DB) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT id, user_id, total FROM "+l.table)
	require.NoError(t, err)
	defer rows.Close()
	fixed, seen := 0, map[int64]bool{}
	for rows.Next() {
		var id int64
		var row movedRow
		require.NoError(t, rows.Scan(&id, &row.user, &row.total))
		require.False(t, seen[id], "row %d is there twice", id)
		seen[id] = true
		if id <= movedFixed {
			fixed++
			require.Equal(t, movedRow{movedUser(id, id%2), 1}, row, "row %d", id)
			continue
		}
		want, ok := l.rows[id]
		require.True(t, ok, "row %d should not be there", id)
		require.Equal(t, want, row, "row %d", id)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, movedFixed, fixed)
	require.Len(t, seen, len(l.rows)+movedFixed, "rows are lost")
}
