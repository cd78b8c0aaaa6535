package backend

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/sqlerr"
)

// silent listens, and never says a word.
func silent(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

// slow answers SLEEP only when its query is killed, as servers do.
type slow struct {
	asked, killed chan struct{}
	once          sync.Once
}

func newSlow() *slow {
	return &slow{asked: make(chan struct{}, 1), killed: make(chan struct{})}
}

func (h *slow) handle(s *mysqltest.Session, _ byte, arg []byte) error {
	switch {
	case string(arg) == "SLEEP":
		h.asked <- struct{}{}
		<-h.killed
		s.Err(sqlerr.QueryInterrupted, "Query execution was interrupted")
	case string(arg) == "KILL QUERY 1":
		h.once.Do(func() { close(h.killed) }) // it may be told twice
	default:
		s.OK(autocommit)
	}
	return nil
}

func TestCancelKillsTheStatementAndKeepsTheConnection(t *testing.T) {
	h := newSlow()
	c, s := connTo(t, h.handle)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-h.asked; cancel() }()
	_, err := c.Exec(ctx, "SLEEP")
	require.Equal(t, sqlerr.QueryInterrupted, code(err))
	require.Contains(t, s.Log(), "query KILL QUERY 1")
	require.True(t, c.reusable(err), "the server said how the statement ended")
	_, err = c.Exec(context.Background(), "SELECT 1")
	require.NoError(t, err, "no deadline is left behind")
}

func TestDeadlineIsAQueryTimeout(t *testing.T) {
	h := newSlow()
	c, _ := connTo(t, h.handle)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := c.Exec(ctx, "SLEEP")
	require.Equal(t, sqlerr.QueryTimeout, code(err))
	require.True(t, c.reusable(err))
}

// The kill came too late: the statement ended by itself. Nobody else may get
// the connection, for the kill may still be on its way.
func TestKillThatMissedTaintsTheConnection(t *testing.T) {
	killed, asked := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c, _ := connTo(t, func(s *mysqltest.Session, _ byte, arg []byte) error {
		if string(arg) == "KILL QUERY 1" {
			once.Do(func() { close(killed) })
			return nil
		}
		close(asked)
		<-killed
		s.OK(autocommit)
		return nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-asked; cancel() }()
	_, err := c.Exec(ctx, "UPDATE")
	require.NoError(t, err)
	require.False(t, c.reusable(nil))
}

// Three statements are sent ahead; each runs until it is killed, as UPDATEs of
// several shards over one connection do.
func TestStatementsQueuedBehindAKilledOneAreKilledToo(t *testing.T) {
	asked, kills := make(chan struct{}, 3), make(chan struct{}, 100)
	c, _ := connTo(t, func(s *mysqltest.Session, _ byte, arg []byte) error {
		switch string(arg) {
		case "KILL QUERY 1":
			kills <- struct{}{}
			return nil // mysqltest says OK to every KILL
		case "SLEEP":
			asked <- struct{}{}
			select {
			case <-kills:
			case <-time.After(2 * cancelGrace): // the test has failed
			}
			s.Err(sqlerr.QueryInterrupted, "Query execution was interrupted")
			return nil
		}
		s.OK(autocommit)
		return nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	disarm := c.Arm(ctx)
	go func() { <-asked; cancel() }()
	for range 3 {
		c.Query([]byte("SLEEP"))
	}
	require.NoError(t, c.Flush())
	start := time.Now()
	for range 3 {
		_, err := c.Header()
		require.Equal(t, sqlerr.QueryInterrupted, code(err))
	}
	require.Less(t, time.Since(start), cancelGrace)
	disarm()
	require.True(t, c.Usable(), "a transaction may go on")
	require.False(t, c.reusable(nil), "the last kill may be on its way")
}

// KILL QUERY does not end it: the connection is killed on the server, or its
// statement would run on and keep its locks.
func TestAConnectionThatIsGivenUpIsKilledOnTheServer(t *testing.T) {
	asked, gone := make(chan struct{}, 1), make(chan struct{})
	c, _ := connTo(t, func(s *mysqltest.Session, _ byte, arg []byte) error {
		switch string(arg) {
		case "KILL QUERY 1":
			return nil
		case "KILL 1":
			close(gone)
			return nil
		case "SLEEP":
			asked <- struct{}{}
			<-gone
			return mysqltest.ErrHangUp
		}
		s.OK(autocommit)
		return nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-asked; cancel() }()
	_, err := c.Exec(ctx, "SLEEP")
	require.Equal(t, sqlerr.QueryInterrupted, code(err))
	c.disarm()
	require.False(t, c.Usable())
	select {
	case <-gone:
	default:
		t.Fatal("the connection was not killed")
	}
}

// Who reads no more does not wait for a server that is slow to end.
func TestAnAnswerNobodyReadsDelaysNobody(t *testing.T) {
	asked, gone := make(chan struct{}, 1), make(chan struct{})
	c, _ := connTo(t, func(s *mysqltest.Session, _ byte, arg []byte) error {
		switch string(arg) {
		case "KILL QUERY 1":
			return nil
		case "KILL 1":
			close(gone)
			return nil
		case "SLEEP":
			asked <- struct{}{}
			<-gone
			return mysqltest.ErrHangUp
		}
		s.OK(autocommit)
		return nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	disarm := c.Arm(ctx)
	c.Query([]byte("SLEEP"))
	require.NoError(t, c.Flush())
	<-asked
	cancel()
	start := time.Now()
	disarm()
	require.Less(t, time.Since(start), cancelGrace/2)
	<-gone
	require.False(t, c.Usable())
}

func TestCancelGivesUpAServerThatDoesNotAnswer(t *testing.T) {
	asked := make(chan struct{})
	c, s := connTo(t, func(s *mysqltest.Session, _ byte, arg []byte) error {
		close(asked)
		s.WaitClosed()
		return mysqltest.ErrHangUp
	})
	// The kill can't be delivered: nobody listens any more, the connection stays.
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-asked; s.StopListening(); cancel() }()
	start := time.Now()
	_, err := c.Exec(ctx, "SLEEP")
	require.Equal(t, sqlerr.QueryInterrupted, code(err))
	require.Less(t, time.Since(start), killTimeout+cancelGrace)
	require.False(t, c.reusable(err))
}

func TestCancelledBeforeAnythingWasSentIsSafeToRetry(t *testing.T) {
	c, s := connTo(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	before := len(s.Log())
	_, err := c.Exec(ctx, "INSERT")
	require.Equal(t, sqlerr.QueryInterrupted, code(err))
	require.True(t, sqlerr.SafeToRetry(err))
	require.Len(t, s.Log(), before)
}

func TestArmWithoutAnEndCostsNothing(t *testing.T) {
	c, _ := connTo(t, nil)
	require.Zero(t, testing.AllocsPerRun(100, func() { c.Arm(context.Background())() }))
}
