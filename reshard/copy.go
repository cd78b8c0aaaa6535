package reshard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlval"
)

// Bounds of a chunk: while one is under way no key of its table is settled.
const (
	firstChunk, leastChunk, mostChunk = 1000, 10, 20_000
	// chunkTime is how long one is to take, chunkBytes how much it may hold.
	chunkTime  = 250 * time.Millisecond
	chunkBytes = 16 << 20
)

// copyAll copies every source table that is not copied yet, several at once.
func (m *Mover) copyAll(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(m.cfg.Parallel)
	for _, src := range m.byTurns() {
		if src.part().Done {
			continue
		}
		g.Go(func() error {
			if err := m.copySource(gctx, src); err != nil {
				return fmt.Errorf("copy %s: %w", src, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	close(m.copied)
	return nil
}

// byTurns are all sources, so that those beside each other are on different
// clusters.
func (m *Mover) byTurns() []*source {
	queues := map[string][]*source{}
	n := 0
	for _, mv := range m.tables {
		for _, src := range mv.sources {
			queues[src.shard.Cluster] = append(queues[src.shard.Cluster], src)
			n++
		}
	}
	var out []*source
	for len(out) < n {
		for _, cluster := range m.clusters() {
			if q := queues[cluster]; len(q) > 0 {
				out, queues[cluster] = append(out, q[0]), q[1:]
			}
		}
	}
	return out
}

// copySource copies one source table, chunk by chunk, from where the journal says.
func (m *Mover) copySource(ctx context.Context, src *source) error {
	size := firstChunk
	for {
		if err := m.pace.wait(ctx, m.cfg.Pause); err != nil {
			return err
		}
		began := time.Now()
		c, err := m.copyChunk(ctx, src, size)
		if err != nil {
			return err
		}
		m.pace.took(len(c.keys))
		p := src.part()
		p.Rows, p.Bytes = p.Rows+int64(len(c.keys)), p.Bytes+int64(c.bytes)
		p.Done = c.last
		if len(c.keys) > 0 {
			p.Last = c.keys[len(c.keys)-1]
		}
		if err := m.cfg.Journal.SavePart(ctx, p); err != nil {
			return err
		}
		src.restore(p)
		if c.last {
			return nil
		}
		size = nextSize(size, time.Since(began), c.bytes)
	}
}

// nextSize is how many rows the next chunk has, by how the last one went.
func nextSize(size int, took time.Duration, bytes int) int {
	next := float64(size) * min(2, float64(chunkTime)/float64(max(took, time.Millisecond)))
	if bytes > 0 {
		next = min(next, float64(size)*chunkBytes/2/float64(bytes))
	}
	return max(leastChunk, min(mostChunk, int(next)))
}

// chunk is a run of rows of one source.
type chunk struct {
	batch
	bytes int
	// last: there are none behind it.
	last bool
}

// copyChunk reads the rows behind the last key and writes them to their targets.
func (m *Mover) copyChunk(ctx context.Context, src *source, size int) (*chunk, error) {
	c, err := m.takeTurn(ctx, src, size)
	var conflict *conflictError
	if !errors.As(err, &conflict) {
		return c, err
	}
	// Rows of another source stand in the way, by values that one of the two does
	// not have any more, most likely: read both again, as the settler does.
	return c, m.settleNow(ctx, src, c.keys)
}

// takeTurn reads and writes a chunk while no key of the source is settled.
func (m *Mover) takeTurn(ctx context.Context, src *source, size int) (*chunk, error) {
	src.turn.Lock()
	defer src.turn.Unlock()
	c, err := m.readChunk(ctx, src, size)
	if err != nil || len(c.keys) == 0 {
		return c, err
	}
	return c, m.write(ctx, &c.batch)
}

// errEnough ends a chunk that has become too large.
var errEnough = errors.New("the chunk is full")

func (m *Mover) readChunk(ctx context.Context, src *source, size int) (*chunk, error) {
	mv := src.mv
	c := &chunk{batch: batch{mv: mv}}
	sql := "SELECT " + src.selects + " FROM " + src.name + " FORCE INDEX (PRIMARY) WHERE " + mv.behind(src.part().Last, true) +
		" ORDER BY " + mv.keyNames() + fmt.Sprintf(" LIMIT %d", size)
	full := false
	err := m.with(ctx, src.shard.Cluster, func(conn *backend.Conn) error {
		c.keys, c.rows, c.bytes, full = nil, nil, 0, false
		conn.Query([]byte(sql))
		if err := conn.Flush(); err != nil {
			return err
		}
		return eachRow(conn, func(values [][]byte) error {
			r, err := mv.row(values)
			if err != nil {
				return err
			}
			c.keys, c.rows = append(c.keys, mv.keyOf(values)), append(c.rows, r)
			for _, v := range r.values {
				c.bytes += len(v)
			}
			if c.bytes > chunkBytes {
				full = true
				return errEnough
			}
			return nil
		})
	}) // Release closes a connection whose answer is not read to its end
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	c.last = !full && len(c.keys) < size
	return c, nil
}

// keyNames are the primary key's columns with commas.
func (mv *moving) keyNames() string {
	names := make([]string, len(mv.key))
	for n, i := range mv.key {
		names[n] = sqlval.QuoteName(mv.columns[i].name)
	}
	return strings.Join(names, ", ")
}

// behind is the condition for keys after one in the primary key's order; not after
// it, itself included, with after false. TRUE is the condition without a key. The
// first column's bound stands alone, so that every optimizer finds the range.
func (mv *moving) behind(key string, after bool) string {
	if key == "" {
		return "TRUE"
	}
	values := strings.Split(key, ",")
	op, orEqual := " > ", ""
	if !after {
		op, orEqual = " < ", "="
	}
	// (a, b, c) > (1, 2, 3) is a > 1 OR a = 1 AND (b > 2 OR b = 2 AND c > 3).
	var b strings.Builder
	if len(values) > 1 {
		b.WriteString(sqlval.QuoteName(mv.columns[mv.key[0]].name) + strings.TrimSuffix(op, " ") + "= " + values[0] + " AND (")
	}
	for n, v := range values {
		name := sqlval.QuoteName(mv.columns[mv.key[n]].name)
		if n == len(values)-1 {
			b.WriteString(name + strings.TrimSuffix(op, " ") + orEqual + " " + v)
			break
		}
		b.WriteString(name + op + v + " OR " + name + " = " + v + " AND (")
	}
	b.WriteString(strings.Repeat(")", len(values)-1))
	if len(values) > 1 {
		b.WriteByte(')')
	}
	return b.String()
}

// pace keeps the copy within its rate, and out of the way while it is told to wait.
type pace struct {
	perSecond int
	mu        struct {
		sync.Mutex
		// free is when the next chunk may begin.
		free   time.Time
		reason string
	}
}

// pauseEvery is how often a pause is asked about.
const pauseEvery = 200 * time.Millisecond

// wait returns when a chunk may begin.
func (p *pace) wait(ctx context.Context, pause func() string) error {
	for {
		d, why := p.delay(time.Now()), ""
		if pause != nil {
			why = pause()
		}
		if why != "" {
			d = max(d, pauseEvery)
		} else if d > 0 {
			why = "the copy's rate is limited"
		}
		p.mu.Lock()
		p.mu.reason = why
		p.mu.Unlock()
		if d <= 0 {
			return ctx.Err()
		}
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *pace) delay(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.free.Sub(now)
}

// took says that a chunk of so many rows was copied.
func (p *pace) took(rows int) {
	if p.perSecond <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.mu.free.Before(now) {
		p.mu.free = now
	}
	p.mu.free = p.mu.free.Add(time.Duration(rows) * time.Second / time.Duration(p.perSecond))
}

// why is what is waited for, empty for nothing.
func (p *pace) why() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.reason
}
