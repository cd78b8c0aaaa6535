package backend

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// Pool keeps connections to one server. Safe for concurrent use.
type Pool struct {
	addr string
	cfg  Config
	// dial opens a connection; tests replace it.
	dial func(ctx context.Context, addr string, cfg Config, foundRows bool) (*Conn, error)

	stop chan struct{} // closed by Close; ends the reaper
	wg   sync.WaitGroup
	// doubts counts the server's refusals to write: it is no primary any more,
	// whatever was known of its connections.
	doubts atomic.Uint64
	// lost is when (Unix nanoseconds) a connection was lost last: others may
	// have gone with it.
	lost atomic.Int64

	mu struct {
		sync.Mutex
		// idle connections, the most recently used last; affected rows mean
		// different things on the two kinds, so they are kept apart.
		idle    [2][]*Conn
		open    map[*Conn]struct{} // all that are not closed
		busy    int                // taken, or promised to a waiter and being dialled
		waiters []*waiter
		closed  bool
		stats   counters
	}
}

type counters struct {
	acquired, waited, dialed, dialErrors, reaped, discarded uint64
	waitTime                                                time.Duration
}

// Stats are a pool's numbers for metrics: gauges of now, and counters since it
// was made.
type Stats struct {
	Addr                string
	Busy, Idle, Waiting int
	Acquired, Waited    uint64
	WaitTime            time.Duration
	Dialed, DialErrors  uint64
	// Reaped were closed for age, Discarded because they could not go on.
	Reaped, Discarded uint64
}

// waiter is one Acquire in the queue for n connections.
type waiter struct {
	n     int
	ready chan struct{} // closed once its n are counted as busy
}

// NewPool makes a pool; it dials nothing yet. Close ends its reaper.
func NewPool(addr string, cfg Config) *Pool {
	p := &Pool{addr: addr, cfg: cfg.withDefaults(), dial: dial, stop: make(chan struct{})}
	p.mu.open = map[*Conn]struct{}{}
	p.wg.Add(1)
	go p.reapLoop(min(p.cfg.IdleTimeout/2, 30*time.Second))
	return p
}

// Addr is the server's address.
func (p *Pool) Addr() string { return p.addr }

func (p *Pool) sameLogin(cfg Config) bool {
	return p.cfg.User == cfg.User && p.cfg.Password == cfg.Password && p.cfg.TLS == cfg.TLS
}

// Acquire takes n connections, or as many as the pool may ever have where that
// is fewer; all of them or none, waiting at most AcquireTimeout for room, in
// the order of asking. foundRows asks for connections whose affected
// rows are the rows matched (CLIENT_FOUND_ROWS). Errors are *sqlerr.Error and
// SafeToRetry.
func (p *Pool) Acquire(ctx context.Context, n int, foundRows bool) ([]*Conn, error) {
	n = min(max(n, 1), p.cfg.MaxConns)
	if err := p.reserve(ctx, n); err != nil {
		return nil, err
	}
	conns := make([]*Conn, 0, n)
	for len(conns) < n {
		c := p.takeIdle(foundRows)
		if c == nil {
			break
		}
		conns = append(conns, c)
	}
	if missing := n - len(conns); missing > 0 {
		fresh, err := p.dialAll(ctx, missing, foundRows)
		if err != nil {
			for _, c := range conns {
				c.Release(nil)
			}
			p.free(missing, nil)
			return nil, err
		}
		conns = append(conns, fresh...)
	}
	return conns, nil
}

// acquireOver takes one connection without waiting for room: there may be more
// than MaxConns then.
func (p *Pool) acquireOver(ctx context.Context, foundRows bool) ([]*Conn, error) {
	p.mu.Lock()
	if p.mu.closed {
		p.mu.Unlock()
		return nil, p.closedError()
	}
	p.mu.stats.acquired++
	p.mu.busy++
	p.mu.Unlock()
	if c := p.takeIdle(foundRows); c != nil {
		return []*Conn{c}, nil
	}
	conns, err := p.dialAll(ctx, 1, foundRows)
	if err != nil {
		p.free(1, nil)
	}
	return conns, err
}

// reserve counts n connections as busy, or waits for its turn.
func (p *Pool) reserve(ctx context.Context, n int) error {
	p.mu.Lock()
	if p.mu.closed {
		p.mu.Unlock()
		return p.closedError()
	}
	p.mu.stats.acquired += uint64(n)
	if len(p.mu.waiters) == 0 && p.mu.busy+n <= p.cfg.MaxConns {
		p.mu.busy += n
		p.mu.Unlock()
		return nil
	}
	w := &waiter{n: n, ready: make(chan struct{})}
	p.mu.waiters = append(p.mu.waiters, w)
	p.mu.stats.waited++
	p.mu.Unlock()
	start := time.Now()
	err := p.await(ctx, w)
	p.mu.Lock()
	p.mu.stats.waitTime += time.Since(start)
	p.mu.Unlock()
	return err
}

func (p *Pool) await(ctx context.Context, w *waiter) error {
	timer := time.NewTimer(p.cfg.AcquireTimeout)
	defer timer.Stop()
	var err error
	select {
	case <-w.ready:
		return nil
	case <-p.stop:
		err = p.closedError()
	case <-ctx.Done():
		err = sqlerr.From(ctx.Err()).Retryable()
	case <-timer.C:
		err = sqlerr.New(sqlerr.TooManyConnections, "Too many connections: no connection to %s became free in %v, all %d are busy",
			p.addr, p.cfg.AcquireTimeout, p.cfg.MaxConns).Retryable().WithCause(ErrWaited)
	}
	p.mu.Lock()
	i := slices.Index(p.mu.waiters, w)
	if i >= 0 {
		p.mu.waiters = slices.Delete(p.mu.waiters, i, i+1)
		p.grantLocked() // a smaller one behind it may fit now
	}
	p.mu.Unlock()
	if i < 0 { // granted at the same moment
		p.free(w.n, nil)
	}
	return err
}

// grantLocked lets waiters in, strictly in order: a wide one is not overtaken
// for ever by narrow ones.
func (p *Pool) grantLocked() {
	for len(p.mu.waiters) > 0 {
		w := p.mu.waiters[0]
		if p.mu.busy+w.n > p.cfg.MaxConns {
			return
		}
		p.mu.busy += w.n
		p.mu.waiters = p.mu.waiters[1:]
		close(w.ready)
	}
}

func kind(foundRows bool) int {
	if foundRows {
		return 1
	}
	return 0
}

// takeIdle gives the most recently used idle connection that is alive, nil if
// there is none.
func (p *Pool) takeIdle(foundRows bool) *Conn {
	k := kind(foundRows)
	for {
		p.mu.Lock()
		idle := p.mu.idle[k]
		if len(idle) == 0 {
			p.mu.Unlock()
			return nil
		}
		c := idle[len(idle)-1]
		idle[len(idle)-1] = nil
		p.mu.idle[k] = idle[:len(idle)-1]
		p.mu.Unlock()
		now := p.cfg.Now()
		if !p.expired(c, now) && (now.Sub(c.idleSince) < freshFor && !p.losing(now) || c.peek.ok()) {
			return c
		}
		c.close()
		p.count(&p.mu.stats.reaped)
	}
}

// freshFor is how long a connection that came back is taken without a look
// whether it still is one: the look is a system call, one in ten of a point
// select's.
const freshFor = 20 * time.Millisecond

// losing reports that a connection was lost just now.
func (p *Pool) losing(now time.Time) bool { return now.UnixNano()-p.lost.Load() < int64(time.Second) }

func (p *Pool) expired(c *Conn, now time.Time) bool {
	return now.Sub(c.created) > p.cfg.MaxLifetime || now.Sub(c.idleSince) > p.cfg.IdleTimeout
}

func (p *Pool) count(counter *uint64) {
	p.mu.Lock()
	*counter++
	p.mu.Unlock()
}

// dialAll opens n connections at once; all or none.
func (p *Pool) dialAll(ctx context.Context, n int, foundRows bool) ([]*Conn, error) {
	p.makeRoom(n)
	conns, errs := make([]*Conn, n), make([]error, n)
	var wg sync.WaitGroup
	for i := 1; i < n; i++ {
		wg.Go(func() { conns[i], errs[i] = p.dial(ctx, p.addr, p.cfg, foundRows) })
	}
	conns[0], errs[0] = p.dial(ctx, p.addr, p.cfg, foundRows)
	wg.Wait()
	var failed error
	p.mu.Lock()
	for i := range conns {
		if errs[i] != nil {
			failed = errs[i]
			p.mu.stats.dialErrors++
			continue
		}
		p.mu.stats.dialed++
		conns[i].pool = p
		p.mu.open[conns[i]] = struct{}{}
	}
	p.mu.Unlock()
	if failed == nil {
		return conns, nil
	}
	for _, c := range conns {
		if c != nil {
			c.close()
		}
	}
	if sqlerr.From(failed).Code == sqlerr.CannotConnect {
		p.cfg.OnLost(p.addr)
	}
	return nil, failed
}

func (p *Pool) forget(c *Conn) {
	p.mu.Lock()
	delete(p.mu.open, c)
	p.mu.Unlock()
}

// stall gives up the statements that wait for a server which does not answer:
// without it they would wait as long as the kernel believes in the connection.
func (p *Pool) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.mu.open {
		if c.inFlight.Load() {
			c.stalled.Store(true)
			_ = c.sock.SetDeadline(time.Unix(1, 0))
		}
	}
}

// retire lets no further command go out on the connections that are in use:
// another server is the primary, and a transaction open here would be written
// to the wrong one. What is under way may end.
func (p *Pool) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.mu.open {
		if !slices.Contains(p.mu.idle[kind(c.foundRows)], c) {
			c.retired.Store(true)
		}
	}
}

// makeRoom closes idle connections, so that with n more there are at most
// MaxConns. The callers' n count as busy already.
func (p *Pool) makeRoom(n int) {
	p.mu.Lock()
	var old []*Conn
	for k := range p.mu.idle {
		for len(p.mu.idle[k]) > 0 && p.mu.busy+len(p.mu.idle[0])+len(p.mu.idle[1]) > p.cfg.MaxConns {
			old = append(old, p.mu.idle[k][0])
			p.mu.idle[k] = slices.Delete(p.mu.idle[k], 0, 1)
		}
	}
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// free counts n connections as not busy, and keeps c, if it is not nil, idle.
// It reports whether c is kept.
func (p *Pool) free(n int, c *Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.busy -= n
	kept := c != nil && !p.mu.closed && p.mu.busy < p.cfg.MaxConns // not so behind acquireOver
	if kept {
		k := kind(c.foundRows)
		p.mu.idle[k] = append(p.mu.idle[k], c)
	}
	p.grantLocked()
	return kept
}

// reapLoop closes connections that were idle for too long, until Close.
func (p *Pool) reapLoop(every time.Duration) {
	defer p.wg.Done()
	ticker := time.NewTicker(max(every, 10*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			p.reap()
		}
	}
}

func (p *Pool) reap() {
	var old []*Conn
	now := p.cfg.Now()
	p.mu.Lock()
	for k := range p.mu.idle {
		p.mu.idle[k] = slices.DeleteFunc(p.mu.idle[k], func(c *Conn) bool {
			if p.expired(c, now) {
				old = append(old, c)
				return true
			}
			return false
		})
	}
	p.mu.stats.reaped += uint64(len(old))
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// Close closes the idle connections now and the busy ones as they are released.
func (p *Pool) Close() {
	p.mu.Lock()
	if p.mu.closed {
		p.mu.Unlock()
		return
	}
	p.mu.closed = true
	idle := append(p.mu.idle[0], p.mu.idle[1]...)
	p.mu.idle = [2][]*Conn{}
	p.mu.Unlock()
	close(p.stop)
	for _, c := range idle {
		c.close()
	}
	p.wg.Wait()
}

// Stats gives the pool's numbers.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.mu.stats
	return Stats{
		Addr: p.addr, Busy: p.mu.busy, Idle: len(p.mu.idle[0]) + len(p.mu.idle[1]), Waiting: len(p.mu.waiters),
		Acquired: s.acquired, Waited: s.waited, WaitTime: s.waitTime, Dialed: s.dialed, DialErrors: s.dialErrors,
		Reaped: s.reaped, Discarded: s.discarded,
	}
}

// plus adds another pool's numbers of the same server.
func (s Stats) plus(o Stats) Stats {
	s.Busy, s.Idle, s.Waiting = s.Busy+o.Busy, s.Idle+o.Idle, s.Waiting+o.Waiting
	s.Acquired, s.Waited, s.WaitTime = s.Acquired+o.Acquired, s.Waited+o.Waited, s.WaitTime+o.WaitTime
	s.Dialed, s.DialErrors = s.Dialed+o.Dialed, s.DialErrors+o.DialErrors
	s.Reaped, s.Discarded = s.Reaped+o.Reaped, s.Discarded+o.Discarded
	return s
}

func (p *Pool) closedError() error {
	return sqlerr.New(sqlerr.ServerShutdown, "Server %s is no longer part of the configuration", p.addr).Retryable()
}

// Release gives the connection back. err is how its last use ended: anything
// that leaves the stream in doubt closes it. An open transaction is rolled
// back; unread answers close it.
func (c *Conn) Release(err error) {
	c.disarm()
	if c.reusable(err) && c.rollback() && c.pool != nil {
		c.idleSince = c.cfg.Now()
		if c.pool.free(1, c) {
			return
		}
		c.close()
		return
	}
	c.Discard()
}

// reusable reports whether the stream stands between two commands and nothing
// speaks against the next user.
func (c *Conn) reusable(err error) bool {
	if c.broken != nil || c.tainted || c.changed || c.stalled.Load() || c.retired.Load() || c.outstanding > 0 || c.queued > 0 || c.phase != idle {
		return false
	}
	if err != nil {
		var answered *sqlerr.Error
		if !errors.As(err, &answered) {
			return false
		}
	}
	if c.stateAnswers > 0 && c.readState() != nil { // Want without a command
		return false
	}
	return true
}

// rollbackTimeout bounds the ROLLBACK of a transaction left open.
const rollbackTimeout = 2 * time.Second

// rollback ends an open transaction; false means the connection can't be kept.
func (c *Conn) rollback() bool {
	// Without autocommit even a statement that failed may have opened one, and
	// an ERR does not say.
	if c.status&wire.StatusInTrans == 0 && c.status&wire.StatusAutocommit != 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), rollbackTimeout)
	defer cancel()
	ok, err := c.Exec(ctx, "ROLLBACK")
	return err == nil && ok.Status&wire.StatusInTrans == 0
}

// Discard closes it whatever its state (its session state cannot be undone).
func (c *Conn) Discard() {
	c.disarm()
	c.close()
	if c.pool != nil {
		c.pool.count(&c.pool.mu.stats.discarded)
		c.pool.free(1, nil)
	}
}
