package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// tableRows is the size of the table: it fits in every cache, because the
// proxies are measured, not the disks.
const tableRows = 10_000

// query is one kind of query. text has one %d or ? for a random id, or none
// where it is the same each time.
type query struct {
	name, text string
	prepared   bool
	rows       int // each answer has
	same       bool
}

var queries = []query{
	{"point-text", "SELECT c FROM sbtest1 WHERE id = %d", false, 1, false},
	{"point-prepared", "SELECT c FROM sbtest1 WHERE id = ?", true, 1, false},
	{"hundred-rows", "SELECT id, k, c FROM wide WHERE owner = ?", true, 100, false},
	{"top10", "SELECT id, k, c FROM spread ORDER BY k DESC LIMIT 10", false, 10, true},
	{"top10-prepared", "SELECT id, k, c FROM spread ORDER BY k DESC LIMIT 10", true, 10, true},
	{"group", "SELECT g, COUNT(*), SUM(k) FROM spread GROUP BY g", false, groups, true},
	{"group-prepared", "SELECT g, COUNT(*), SUM(k) FROM spread GROUP BY g", true, groups, true},
}

// groups is how many groups the queries over all shards have.
const groups = 100

func queryNames() string {
	var names []string
	for _, q := range queries {
		names = append(names, q.name)
	}
	return strings.Join(names, ", ")
}

// result of one round.
type result struct {
	perSecond float64
	p50, p99  time.Duration
	// cpuPer10k is the proxy's CPU seconds (user and system) per 10,000 queries.
	cpuPer10k float64
	// allPer10k adds the server's and this program's: where all share one
	// machine, what a query costs of it, however busy it is otherwise.
	allPer10k float64
}

// measure runs q over its own connections for d. Any error, and any answer
// with another number of rows, ends it: a fast wrong answer is no result.
func measure(ctx context.Context, w *way, q query, clients int, d time.Duration) (result, error) {
	conns := make([]*client, clients)
	for i := range conns {
		c, err := w.connect(ctx, q, uint64(i))
		if err != nil {
			return result{}, err
		}
		defer c.close()
		conns[i] = c
	}
	before, err := cpuSeconds(w.pid)
	if err != nil {
		return result{}, err
	}
	allBefore, err := w.allCPU(before)
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	end := began.Add(d)
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() { errs[i] = c.ask(ctx, end) })
	}
	wg.Wait()
	took := time.Since(began)
	if err := errors.Join(errs...); err != nil {
		return result{}, err
	}
	after, err := cpuSeconds(w.pid)
	if err != nil {
		return result{}, err
	}
	allAfter, err := w.allCPU(after)
	if err != nil {
		return result{}, err
	}
	h := hdrhistogram.New(1, int64(time.Minute), 3)
	for _, c := range conns {
		h.Merge(c.latency)
	}
	n := float64(h.TotalCount())
	return result{
		perSecond: n / took.Seconds(), cpuPer10k: (after - before) / n * 10_000, allPer10k: (allAfter - allBefore) / n * 10_000,
		p50: time.Duration(h.ValueAtQuantile(50)), p99: time.Duration(h.ValueAtQuantile(99)),
	}, nil
}

// client is one connection with one kind of query.
type client struct {
	conn    *sql.Conn
	stmt    *sql.Stmt // nil for text
	q       query
	r       *rand.Rand
	latency *hdrhistogram.Histogram
}

func (w *way) connect(ctx context.Context, q query, seed uint64) (*client, error) {
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, q: q, r: rand.New(rand.NewPCG(seed, 3)), latency: hdrhistogram.New(1, int64(time.Minute), 3)}
	if q.prepared {
		if c.stmt, err = conn.PrepareContext(ctx, q.text); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return c, nil
}

func (c *client) close() {
	if c.stmt != nil {
		_ = c.stmt.Close() // the connection goes, too
	}
	_ = c.conn.Close()
}

// ask asks until end.
func (c *client) ask(ctx context.Context, end time.Time) error {
	for ctx.Err() == nil {
		began := time.Now()
		if began.After(end) {
			return nil
		}
		if err := c.once(ctx); err != nil {
			return err
		}
		if err := c.latency.RecordValue(int64(time.Since(began))); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (c *client) once(ctx context.Context) error {
	id := 1 + c.r.IntN(tableRows)
	if c.q.rows > 1 {
		id = 1 + c.r.IntN(tableRows/c.q.rows)
	}
	var rows *sql.Rows
	var err error
	switch {
	case c.q.same && c.stmt != nil:
		rows, err = c.stmt.QueryContext(ctx)
	case c.q.same:
		rows, err = c.conn.QueryContext(ctx, c.q.text)
	case c.stmt != nil:
		rows, err = c.stmt.QueryContext(ctx, id)
	default:
		rows, err = c.conn.QueryContext(ctx, fmt.Sprintf(c.q.text, id))
	}
	if err != nil {
		return err
	}
	n := 0
	for rows.Next() {
		n++
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if n != c.q.rows {
		return fmt.Errorf("id %d: %d rows instead of %d", id, n, c.q.rows)
	}
	return nil
}

// allCPU adds the CPU seconds of the server and of this program to the proxy's.
func (w *way) allCPU(proxy float64) (float64, error) {
	server, err := cpuSeconds(w.server)
	if err != nil {
		return 0, err
	}
	self, err := cpuSeconds(os.Getpid())
	return proxy + server + self, err
}

// cpuSeconds is the CPU time a process has used, 0 for no process.
func cpuSeconds(pid int) (float64, error) {
	if pid == 0 {
		return 0, nil
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("CPU time of the proxy: %w", err)
	}
	return parseStat(string(b))
}

// parseStat reads user and system time from /proc/pid/stat (proc(5): fields 14
// and 15, in ticks of 1/100 s). The program's name, field 2, may hold anything
// but stands in parentheses.
func parseStat(stat string) (float64, error) {
	i := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[i+1:])
	const user, system, ticks = 14 - 3, 15 - 3, 100
	if i < 0 || len(fields) <= system {
		return 0, fmt.Errorf("cannot read %q", stat)
	}
	u, err := strconv.ParseFloat(fields[user], 64)
	if err != nil {
		return 0, fmt.Errorf("user time: %w", err)
	}
	s, err := strconv.ParseFloat(fields[system], 64)
	if err != nil {
		return 0, fmt.Errorf("system time: %w", err)
	}
	return (u + s) / ticks, nil
}
