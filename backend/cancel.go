package backend

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
)

const (
	// killTimeout bounds dialling and running KILL QUERY; cancelGrace is how
	// long the server then has to answer before the connection is given up.
	killTimeout = 2 * time.Second
	cancelGrace = 2 * time.Second
	// killAgain is the time between two kills of one connection, killLook
	// between two looks whether one is still needed.
	killAgain = 50 * time.Millisecond
	killLook  = 2 * time.Millisecond
)

// armed is the context a connection obeys.
type armed struct {
	ctx  context.Context
	stop func() bool
	// done has one word in it when the canceller has finished. This and the
	// two functions are made once, so that arming allocates little.
	done           chan struct{}
	cancel, disarm func()
	// interrupted: the server said the statement was ended by the kill.
	interrupted bool
	// kills is how many were sent.
	kills int
	// left: the owner reads no more and waits for the canceller.
	left atomic.Bool
}

func notArmed() {}

// Arm applies ctx to what follows: when it ends (deadline or cancellation),
// the statement is killed on the server (KILL QUERY over a connection of its
// own, again for each that is queued behind it) and whoever reads its answer
// gets that as an error; a server that does not answer even then has the
// connection killed and loses it. disarm must be called before
// Release; it waits, for a bounded time, for a kill under way, so that it can't
// hit the next statement.
//
// After a kill that the server acknowledged, the connection and its
// transaction go on; otherwise Release closes it.
func (c *Conn) Arm(ctx context.Context) (disarm func()) {
	if ctx.Done() == nil {
		return notArmed
	}
	if c.arm.ctx != nil {
		c.disarm()
	}
	c.arm.ctx, c.arm.interrupted, c.arm.kills = ctx, false, 0
	c.arm.left.Store(false)
	c.arm.stop = context.AfterFunc(ctx, c.arm.cancel)
	return c.arm.disarm
}

func (c *Conn) initArm() {
	c.arm.done = make(chan struct{}, 1)
	c.arm.disarm = c.disarm
	c.arm.cancel = func() {
		c.cancelStatement()
		c.arm.done <- struct{}{}
	}
}

// armUnlessArmed is Arm, where a context that is applied already stays.
func (c *Conn) armUnlessArmed(ctx context.Context) (disarm func()) {
	if c.arm.ctx != nil {
		return notArmed
	}
	return c.Arm(ctx)
}

// armErr is why the armed context ended, nil while it has not.
func (c *Conn) armErr() error {
	if c.arm.ctx == nil {
		return nil
	}
	return c.arm.ctx.Err()
}

func (c *Conn) disarm() {
	if c.arm.ctx == nil {
		return
	}
	if !c.arm.stop() {
		c.arm.left.Store(true)
		<-c.arm.done
		if !c.arm.interrupted || c.arm.kills > 1 {
			// A kill may still be on its way to hit what runs next.
			c.tainted = true
		}
		_ = c.sock.SetDeadline(time.Time{})
	}
	c.arm.ctx, c.arm.stop = nil, nil
}

// cancelStatement runs on its own goroutine, which disarm waits for. It only
// touches what is safe beside the owner: the socket's deadline and constants.
func (c *Conn) cancelStatement() {
	if !c.inFlight.Load() {
		return
	}
	if c.noKill {
		_ = c.sock.SetDeadline(time.Unix(1, 0))
		return
	}
	_ = c.sock.SetDeadline(time.Now().Add(killTimeout + cancelGrace))
	if !c.kill() {
		_ = c.sock.SetDeadline(time.Unix(1, 0))
	}
}

// kill ends what runs on the connection and reports whether its answers are
// read. Statements may be queued behind the one that is hit: the server runs
// them next, so it is told again until nothing is in flight. Where that does
// not help the connection is killed: closing it alone would leave its
// statement running, its locks held, and in autocommit its work done.
func (c *Conn) kill() bool {
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	cfg := c.cfg
	cfg.ConnectTimeout = killTimeout
	k, err := dial(ctx, c.addr, cfg, false)
	if err != nil {
		return false
	}
	defer k.close()
	k.noKill = true
	id := strconv.FormatUint(uint64(c.threadID), 10)
	for end := time.Now().Add(cancelGrace); time.Now().Before(end); {
		c.arm.kills++
		if _, err := k.Exec(ctx, "KILL QUERY "+id); err != nil {
			return false
		}
		if c.endsWithin(killAgain) {
			return true
		}
		if c.arm.left.Load() {
			break // what is queued will not be read
		}
	}
	last, cancelLast := context.WithTimeout(context.Background(), killTimeout)
	defer cancelLast()
	_, _ = k.Exec(last, "KILL "+id) // given up either way
	return false
}

// endsWithin waits for the owner to have read all answers, or to read no more.
func (c *Conn) endsWithin(d time.Duration) bool {
	for end := time.Now().Add(d); c.inFlight.Load(); {
		if c.arm.left.Load() || time.Now().After(end) {
			return false
		}
		time.Sleep(killLook)
	}
	return true
}

// interrupted is the server's answer to a kill, in the words of who asked for it.
func (c *Conn) interrupted(e *sqlerr.Error) error {
	err := c.armErr()
	if err == nil {
		return e // somebody else's KILL
	}
	c.arm.interrupted = true
	if errors.Is(err, context.DeadlineExceeded) {
		return sqlerr.From(err)
	}
	return e
}
