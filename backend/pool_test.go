package backend

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	c.t = c.t.Add(d)
	c.mu.Unlock()
}

func poolTo(t *testing.T, cfg Config, h mysqltest.Handler) (*Pool, *mysqltest.Server) {
	t.Helper()
	s := mysqltest.Start(t, h)
	p := NewPool(s.Addr, cfg)
	t.Cleanup(p.Close)
	return p, s
}

func take(t *testing.T, p *Pool, n int) []*Conn {
	t.Helper()
	conns, err := p.Acquire(context.Background(), n, false)
	require.NoError(t, err)
	require.Len(t, conns, n)
	return conns
}

func TestPoolReuse(t *testing.T) {
	t.Run("the connection used last comes first", func(t *testing.T) {
		p, s := poolTo(t, Config{}, okHandler)
		conns := take(t, p, 3)
		for _, c := range conns {
			c.Release(nil)
		}
		require.Same(t, conns[2], take(t, p, 1)[0])
		require.Equal(t, 3, s.Logins())
	})
	t.Run("the two meanings of affected rows do not share connections", func(t *testing.T) {
		p, s := poolTo(t, Config{MaxConns: 1}, okHandler)
		take(t, p, 1)[0].Release(nil)
		found, err := p.Acquire(context.Background(), 1, true)
		require.NoError(t, err)
		require.True(t, found[0].FoundRows())
		require.Equal(t, 2, s.Logins())
		require.Equal(t, 0, p.Stats().Idle, "the other kind made room")
		found[0].Release(nil)
	})
	t.Run("a server restarted meanwhile is noticed before anything is sent", func(t *testing.T) {
		clk := &clock{t: time.Unix(1e9, 0)}
		p, s := poolTo(t, Config{Now: clk.now}, okHandler)
		c := take(t, p, 1)[0]
		c.Release(nil)
		s.HangUpAll()
		clk.add(freshFor)
		require.Eventually(t, func() bool { return !c.peek.ok() }, 5*time.Second, time.Millisecond)
		again := take(t, p, 1)[0]
		require.NotSame(t, c, again)
		_, err := again.Exec(context.Background(), "INSERT")
		require.NoError(t, err)
		again.Release(nil)
	})
	t.Run("an error of the server does not cost the connection, any other does", func(t *testing.T) {
		p, s := poolTo(t, Config{}, okHandler)
		take(t, p, 1)[0].Release(sqlerr.New(sqlerr.NoSuchTable, "no"))
		take(t, p, 1)[0].Release(errors.New("the client is gone"))
		take(t, p, 1)[0].Release(nil)
		require.Equal(t, 2, s.Logins())
	})
	t.Run("an open transaction is rolled back", func(t *testing.T) {
		p, s := poolTo(t, Config{}, func(s *mysqltest.Session, _ byte, _ []byte) error {
			s.OK(wire.OK{Status: wire.StatusInTrans | wire.StatusAutocommit})
			return nil
		})
		c := take(t, p, 1)[0]
		_, err := c.Exec(context.Background(), "BEGIN")
		require.NoError(t, err)
		c.Release(nil)
		require.Equal(t, "query ROLLBACK", s.Log()[len(s.Log())-1])
		require.Equal(t, 1, p.Stats().Idle)
	})
	t.Run("an answer that nobody read costs the connection", func(t *testing.T) {
		p, _ := poolTo(t, Config{}, okHandler)
		c := take(t, p, 1)[0]
		c.Query([]byte("SELECT 1"))
		require.NoError(t, c.Flush())
		c.Release(nil)
		require.Zero(t, p.Stats().Idle)
		require.Equal(t, uint64(1), p.Stats().Discarded)
	})
	t.Run("what no SET takes back costs the connection", func(t *testing.T) {
		p, _ := poolTo(t, Config{}, okHandler)
		c := take(t, p, 1)[0]
		c.Want(&State{Vars: vars("rand_seed1", "7")})
		_, err := c.Exec(context.Background(), "SELECT RAND()")
		require.NoError(t, err)
		c.Release(nil)
		require.Zero(t, p.Stats().Idle)
	})
	t.Run("a command that was queued and never sent costs the connection", func(t *testing.T) {
		p, _ := poolTo(t, Config{}, okHandler)
		c := take(t, p, 1)[0]
		c.Query([]byte("SELECT 1"))
		c.Release(nil)
		require.Zero(t, p.Stats().Idle)
	})
}

func TestPoolAge(t *testing.T) {
	clk := &clock{t: time.Unix(1e9, 0)}
	p, s := poolTo(t, Config{IdleTimeout: time.Minute, MaxLifetime: 10 * time.Minute, Now: clk.now}, okHandler)
	for _, c := range take(t, p, 2) {
		c.Release(nil)
	}
	clk.add(59 * time.Second)
	take(t, p, 1)[0].Release(nil)
	clk.add(2 * time.Second)
	p.reap()
	require.Equal(t, 1, p.Stats().Idle, "only the one used meanwhile is left")
	for range 11 {
		clk.add(58 * time.Second)
		take(t, p, 1)[0].Release(nil)
	}
	require.Equal(t, 3, s.Logins(), "after its lifetime even a busy one is replaced")
	clk.add(time.Hour)
	take(t, p, 1)[0].Release(nil)
	require.Equal(t, 4, s.Logins(), "age is looked at on the way out, too")
}

func TestPoolLimits(t *testing.T) {
	ctx := context.Background()
	t.Run("who asks for more than there can be gets all there can be", func(t *testing.T) {
		p, _ := poolTo(t, Config{MaxConns: 2}, okHandler)
		conns, err := p.Acquire(ctx, 3, false)
		require.NoError(t, err)
		require.Len(t, conns, 2)
		for _, c := range conns {
			c.Release(nil)
		}
		require.Zero(t, p.Stats().Busy)
	})
	t.Run("a wait that is too long says what is busy, and may be retried", func(t *testing.T) {
		p, _ := poolTo(t, Config{MaxConns: 1, AcquireTimeout: 10 * time.Millisecond}, okHandler)
		c := take(t, p, 1)[0]
		_, err := p.Acquire(ctx, 1, false)
		require.Equal(t, sqlerr.TooManyConnections, code(err))
		require.True(t, sqlerr.SafeToRetry(err))
		c.Release(nil)
		require.Zero(t, p.Stats().Waiting)
	})
	t.Run("waiters are served in their order, all or none", func(t *testing.T) {
		p, _ := poolTo(t, Config{MaxConns: 2}, okHandler)
		held := take(t, p, 2)
		order := make(chan int, 2)
		var wg sync.WaitGroup
		wait := func(n, id int) {
			conns, err := p.Acquire(ctx, n, false)
			order <- id
			if err == nil {
				for _, c := range conns {
					c.Release(nil)
				}
			}
		}
		wg.Go(func() { wait(2, 1) })
		require.Eventually(t, func() bool { return p.Stats().Waiting == 1 }, 5*time.Second, time.Millisecond)
		wg.Go(func() { wait(1, 2) })
		require.Eventually(t, func() bool { return p.Stats().Waiting == 2 }, 5*time.Second, time.Millisecond)
		held[0].Release(nil)
		require.Equal(t, 2, p.Stats().Waiting, "the narrow one does not overtake the wide one")
		held[1].Release(nil)
		wg.Wait()
		require.Equal(t, 1, <-order)
	})
	t.Run("a waiter that gives up lets those behind it in", func(t *testing.T) {
		p, _ := poolTo(t, Config{MaxConns: 2}, okHandler)
		held := take(t, p, 1)
		wctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := p.Acquire(wctx, 2, false)
			require.Equal(t, sqlerr.QueryInterrupted, code(err))
		})
		require.Eventually(t, func() bool { return p.Stats().Waiting == 1 }, 5*time.Second, time.Millisecond)
		wg.Go(func() { take(t, p, 1)[0].Release(nil) })
		require.Eventually(t, func() bool { return p.Stats().Waiting == 2 }, 5*time.Second, time.Millisecond)
		cancel()
		wg.Wait()
		held[0].Release(nil)
		require.Zero(t, p.Stats().Busy)
	})
	t.Run("a server that can't be reached gives its places back", func(t *testing.T) {
		p, s := poolTo(t, Config{MaxConns: 2}, okHandler)
		s.Close()
		for range 3 {
			_, err := p.Acquire(ctx, 2, false)
			require.Equal(t, sqlerr.CannotConnect, code(err))
		}
		require.Zero(t, p.Stats().Busy)
	})
	t.Run("after Close nobody gets one, and what is out is closed on its way back", func(t *testing.T) {
		p, _ := poolTo(t, Config{MaxConns: 1}, okHandler)
		c := take(t, p, 1)[0]
		p.Close()
		_, err := p.Acquire(ctx, 1, false)
		require.Equal(t, sqlerr.ServerShutdown, code(err))
		c.Release(nil)
		require.Zero(t, p.Stats().Idle)
		require.ErrorIs(t, c.broken, errClosed)
	})
}

// Whatever many goroutines do, there are never more than MaxConns.
func TestPoolUnderLoad(t *testing.T) {
	p, _ := poolTo(t, Config{MaxConns: 4}, okHandler)
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 30 {
				conns, err := p.Acquire(context.Background(), 1+(g+i)%3, g%2 == 0)
				if err != nil {
					t.Error(err)
					return
				}
				if s := p.Stats(); s.Busy > 4 {
					t.Errorf("%d busy", s.Busy)
				}
				for k, c := range conns {
					_, err := c.Exec(context.Background(), "SELECT 1")
					if (g+i+k)%7 == 0 {
						err = errors.New("the client is gone")
					}
					c.Release(err)
				}
			}
		})
	}
	wg.Wait()
	s := p.Stats()
	require.Zero(t, s.Busy)
	require.LessOrEqual(t, s.Idle, 4)
}
