package backend

import (
	"context"
	"net"
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
type slow struct{ asked, killed chan struct{} }

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
		close(h.killed)
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
	c, _ := connTo(t, func(s *mysqltest.Session, _ byte, arg []byte) error {
		if string(arg) == "KILL QUERY 1" {
			close(killed)
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
