package backend

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-mysql-org/go-mysql/client"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/topology"
)

// phase is where the answer being read stands.
type phase uint8

const (
	// idle: no answer is begun.
	idle phase = iota
	// inRows: behind the column definitions of a result set.
	inRows
	// moreResults: a result set ended and another of the same command follows.
	moreResults
)

// Conn is one connection to a server, owned by one goroutine between Acquire
// and Release.
type Conn struct {
	addr      string
	cfg       Config
	foundRows bool
	pool      *Pool // nil where Dial made it

	sock net.Conn // what is read and written, TLS included
	peek peeker   // on the socket beneath
	r    *wire.Reader
	w    *wire.Writer

	version  string
	flavor   topology.Flavor
	threadID uint32
	readOnly bool // as the server said last
	// verified is the fleet's epoch in which the server was seen to take writes.
	verified uint64

	created, idleSince time.Time

	// have is the session state the connection is in, db its current database
	// (have.DB may be "whatever it is").
	have         *State
	db           string
	stateAnswers int // answers of Want not read yet

	scratch []byte // the command being built
	// queued commands are not written yet, outstanding ones not answered;
	// sentBefore is w.Written() when the first of the queue came.
	queued, outstanding int
	// answerSeqs are the sequence numbers the answers of the queued and
	// outstanding commands begin with: a command of several frames is answered
	// from where it ended.
	answerSeqs []uint8
	sentBefore int64

	phase   phase
	partial bool // the last frame read goes on in the next one
	relayed int64
	end     wire.OK
	status  uint16
	colBuf  []byte
	col     wire.Column // being relayed; here so that it is not allocated

	stmts     stmtCache
	often     often
	stmtScope []byte

	kept any // see Keep
	// attached: AttachBranches was asked.
	attached bool

	// broken is why the connection cannot go on; every later call returns it.
	broken error
	// tainted: it works, but must not serve anyone else.
	tainted bool
	// stalled: the pool gave it up, its server does not answer. retired: its
	// server was the cluster's primary and another one is now. Both are the
	// pool's to set, at any time.
	stalled, retired atomic.Bool
	// changed: the server reported session state that no Adopt has named yet
	// (user variables, temporary tables, locks).
	changed bool

	arm armed
	// noKill: a context that ends gives the connection up without a kill: it
	// is being set up, or is itself there to kill.
	noKill bool
	// inFlight: a command is with the server. Written by the owner, read by
	// the canceller.
	inFlight atomic.Bool
}

func newConn(addr string, gc *client.Conn, socket net.Conn, cfg Config) *Conn {
	// go-mysql reads ahead, but the server says nothing after its login's OK
	// until it is asked, so nothing is left behind in that buffer.
	sock := gc.Conn.Conn
	c := &Conn{
		addr: addr, cfg: cfg, sock: sock, peek: newPeeker(socket),
		r: wire.NewReader(sock, max(cfg.MaxPacket, wire.MaxFrame)), w: wire.NewWriter(sock),
		version: gc.GetServerVersion(), threadID: gc.GetConnectionID(),
		created: cfg.Now(), have: zeroState,
	}
	// MariaDB before 11 says 5.5.5- first, for replicas of its old days.
	c.version = strings.TrimPrefix(strings.TrimRight(c.version, "\x00"), "5.5.5-")
	c.flavor = flavorOf(c.version)
	c.stmts.init(cfg.MaxStatements)
	c.initArm()
	return c
}

// Addr is the server's address as configured.
func (c *Conn) Addr() string { return c.addr }

// Flavor is the server's kind, Version its version string.
func (c *Conn) Flavor() topology.Flavor { return c.flavor }

// Version is the server's version string.
func (c *Conn) Version() string { return c.version }

// ThreadID is the server's id of this connection (KILL, SHOW PROCESSLIST).
func (c *Conn) ThreadID() uint32 { return c.threadID }

// FoundRows reports whether affected rows are the rows matched.
func (c *Conn) FoundRows() bool { return c.foundRows }

// Status is the server status of the last OK (SERVER_STATUS_IN_TRANS and so on).
func (c *Conn) Status() uint16 { return c.status }

// Query queues COM_QUERY. Several commands may be queued before Flush sends
// them in one write; answers come in the same order. sql is copied.
func (c *Conn) Query(sql []byte) {
	c.beginCommand(wire.ComQuery)
	c.scratch = append(c.scratch, sql...)
	c.queueCommand()
}

func (c *Conn) beginCommand(com byte) { c.scratch = append(c.scratch[:0], com) }

// endCommand frames the command in scratch.
func (c *Conn) endCommand() {
	c.w.SetSeq(0)
	if err := c.w.Packet(c.scratch); err != nil && c.broken == nil {
		c.broken = c.ioError(err)
	}
	if cap(c.scratch) > 256<<10 {
		c.scratch = nil
	}
}

// queueCommand frames the command in scratch as one that will be answered.
func (c *Conn) queueCommand() {
	if c.queued == 0 {
		c.sentBefore = c.w.Written()
	}
	if c.broken != nil {
		return
	}
	if c.queued == 0 {
		c.inFlight.Store(true)
		if c.stateAnswers > 0 {
			// A long command would leave before the state is known to be right.
			if err := c.readState(); err != nil {
				c.inFlight.Store(false)
				return
			}
		}
	}
	c.queued++
	c.endCommand()
	c.answerSeqs = append(c.answerSeqs, c.w.Seq())
}

// write sends what is framed.
func (c *Conn) write() {
	if err := c.w.Flush(); err != nil && c.broken == nil {
		c.broken = c.ioError(err)
	}
}

// Flush sends the queued commands in one write, after the state that Want
// asked for is confirmed. An error before the first of their bytes was sent is
// SafeToRetry.
func (c *Conn) Flush() error {
	if c.broken == nil && c.retired.Load() {
		c.inFlight.Store(false)
		c.broken = sqlerr.New(sqlerr.ServerLost, "Server %s is no longer the primary of its cluster: what this connection held there, an open transaction included, is given up", c.addr)
	}
	if c.broken == nil && c.stateAnswers > 0 {
		_ = c.readState() // sets broken
	}
	n := c.queued
	c.queued = 0
	if c.broken != nil {
		return c.unsent(c.broken)
	}
	if n == 0 {
		return nil
	}
	if err := c.armErr(); err != nil {
		c.inFlight.Store(false)
		c.broken = sqlerr.From(err) // the queue is written no more
		return c.unsent(c.broken)
	}
	c.outstanding += n
	c.write()
	if c.broken != nil {
		c.broken = c.unsent(c.broken)
	}
	return c.broken
}

// unsent marks err SafeToRetry if no byte of the queue has left. What the
// server itself answered to Want stays as it is: trying again will not help.
func (c *Conn) unsent(err error) error {
	e := sqlerr.From(err)
	if c.w.Written() != c.sentBefore || e.Code != sqlerr.ServerLost && e.Code != sqlerr.QueryInterrupted && e.Code != sqlerr.QueryTimeout {
		return e
	}
	return e.Retryable()
}

// lost makes the connection unusable after an error of the stream, and gives
// the error the client is to see.
func (c *Conn) lost(err error) error {
	if c.broken == nil {
		c.broken = c.ioError(err)
	}
	return c.broken
}

// ioError is the client's view of a failed read or write.
func (c *Conn) ioError(err error) error {
	c.inFlight.Store(false)
	if cancelled := c.armErr(); cancelled != nil {
		return sqlerr.From(cancelled)
	}
	what := err.Error()
	switch {
	case c.stalled.Load():
		what = "the server does not answer any more"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		what = "the server closed the connection"
	case errors.Is(err, wire.ErrTooLarge):
		return sqlerr.New(sqlerr.PacketTooLarge, "Server %s sent a packet larger than %d bytes", c.addr, c.cfg.MaxPacket).WithCause(err)
	}
	c.noteLost()
	return sqlerr.New(sqlerr.ServerLost, "Lost connection to MySQL server %s during query: %s", c.addr, what).WithCause(err)
}

func (c *Conn) noteLost() {
	if c.pool != nil {
		c.pool.lost.Store(c.cfg.Now().UnixNano())
	}
	c.cfg.OnLost(c.addr)
}

// serverError reads an ERR and ends the command it answers.
func (c *Conn) serverError(payload []byte) error {
	e, err := wire.DecodeErr(payload)
	if err != nil {
		return c.lost(err)
	}
	c.finishCommand()
	switch {
	case isReadOnlyRefusal(e):
		c.readOnly, c.verified = true, 0
		if c.pool != nil {
			c.pool.doubts.Add(1) // the other connections were verified too early
		}
		c.cfg.OnLost(c.addr)
		return e.Retryable() // the server did not run it
	case e.Code == errNeedReprepare || e.Code == sqlerr.UnknownStatement:
		c.Forget()
		if e.Code == errNeedReprepare {
			return e.Retryable()
		}
	case e.Code == sqlerr.QueryInterrupted:
		return c.interrupted(e)
	case e.Code == sqlerr.ServerShutdown:
		c.broken = e
		c.noteLost()
	}
	return e
}

const (
	errNeedReprepare = 1615 // ER_NEED_REPREPARE
	errReadOnlyMode  = 1836 // ER_READ_ONLY_MODE
	errTooManyStmts  = 1461 // ER_MAX_PREPARED_STMT_COUNT_REACHED
)

// isReadOnlyRefusal tells read_only's 1290 from the other options that refuse
// a statement (secure_file_priv, skip_grant_tables).
func isReadOnlyRefusal(e *sqlerr.Error) bool {
	if e.Code == errReadOnlyMode {
		return true
	}
	return e.Code == sqlerr.OptionPreventsWrite &&
		(strings.Contains(e.Message, "read-only") || strings.Contains(e.Message, "read_only"))
}

// finishCommand: the answer of one command is read to its end.
func (c *Conn) finishCommand() {
	c.phase = idle
	c.outstanding--
	if c.outstanding == 0 {
		c.inFlight.Store(false)
	}
}

// finishResult notes the OK that ends a result or a command.
func (c *Conn) finishResult(ok *wire.OK) {
	c.end, c.status = *ok, ok.Status
	if ok.Status&wire.StatusSessionStateChanged != 0 {
		c.track(&ok.Tracked)
	}
	if ok.Status&wire.StatusMoreResults != 0 {
		c.phase = moreResults
		return
	}
	c.finishCommand()
}

// End is the OK that closed the result set. Its Info is valid until the next read.
func (c *Conn) End() wire.OK { return c.end }

// close ends the connection, politely where the stream allows it.
func (c *Conn) close() {
	if c.broken == nil && c.outstanding == 0 && c.queued == 0 {
		_ = c.sock.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		c.beginCommand(wire.ComQuit)
		c.endCommand()
		_ = c.w.Flush()
	}
	if c.broken == nil {
		c.broken = errClosed
	}
	_ = c.sock.Close()
	if c.pool != nil {
		c.pool.forget(c)
	}
}

var errClosed = sqlerr.New(sqlerr.ServerLost, "Lost connection to MySQL server during query: Serval closed it")

// Exec runs one statement and drops its rows: for Serval's own needs.
func (c *Conn) Exec(ctx context.Context, sql string) (wire.OK, error) {
	defer c.armUnlessArmed(ctx)()
	c.Query([]byte(sql))
	if err := c.Flush(); err != nil {
		return wire.OK{}, err
	}
	for {
		h, err := c.Header()
		if err != nil {
			return wire.OK{}, err
		}
		for h.Columns != nil && err == nil {
			_, err = c.Row()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return wire.OK{}, err
		}
		if c.phase == idle {
			return c.end, nil
		}
	}
}
