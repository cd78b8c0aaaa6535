package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/topology"
)

// Config is how to reach a server and how many connections to keep.
type Config struct {
	User, Password string
	TLS            *tls.Config
	// MaxConns bounds the connections to one server, busy and idle.
	MaxConns int
	// ConnectTimeout bounds dial and authentication, AcquireTimeout the wait
	// for a free connection.
	ConnectTimeout, AcquireTimeout time.Duration
	// IdleTimeout and MaxLifetime: a connection older than that is closed
	// when it comes back.
	IdleTimeout, MaxLifetime time.Duration
	// MaxPacket is the largest packet accepted from the server, in bytes.
	MaxPacket int
	// MaxStatements bounds the prepared statements kept on one connection;
	// the least recently used goes first.
	MaxStatements int
}

var errStub = errors.New("not built")

// Pool keeps connections to one server. Safe for concurrent use.
type Pool struct{}

// NewPool makes a pool; it dials nothing yet.
func NewPool(addr string, cfg Config) *Pool { return &Pool{} }

// Acquire takes n connections, all or none, waiting at most AcquireTimeout for
// room. Errors are *sqlerr.Error and SafeToRetry.
func (p *Pool) Acquire(ctx context.Context, n int) ([]*Conn, error) { return nil, errStub }

// Close closes the idle connections now and the busy ones as they are released.
func (p *Pool) Close() {}

// Conn is one connection to a server, owned by one goroutine between Acquire
// and Release.
type Conn struct{}

// Addr is the server's address as configured.
func (c *Conn) Addr() string { return "" }

// Flavor and Version are the server's.
func (c *Conn) Flavor() topology.Flavor { return 0 }
func (c *Conn) Version() string         { return "" }

// ThreadID is the server's id of this connection (KILL, SHOW PROCESSLIST).
func (c *Conn) ThreadID() uint32 { return 0 }

// Status is the server status of the last OK (SERVER_STATUS_IN_TRANS and so on).
func (c *Conn) Status() uint16 { return 0 }

// Arm applies ctx to what follows: its deadline becomes the connection's, and
// its cancellation ends a blocked read and kills the statement on the server
// (KILL QUERY over a connection of its own). disarm must be called before
// Release.
func (c *Conn) Arm(ctx context.Context) (disarm func()) { return func() {} }

// Want queues, ahead of the next command, what brings the connection's session
// state to want (only the difference). Its answers are read before the next
// command's; an error there is the next Header's.
func (c *Conn) Want(want *State) {}

// Query queues COM_QUERY, Execute COM_STMT_EXECUTE; several may be queued
// before Flush sends them in one write. Answers come in the same order.
func (c *Conn) Query(sql []byte)                        {}
func (c *Conn) Execute(stmt *Stmt, params []wire.Param) {}
func (c *Conn) Flush() error                            { return errStub }

// Stmt is a prepared statement on this connection.
type Stmt struct{}

// Columns are the column definitions given at prepare, Params how many ? there are.
func (s *Stmt) Columns() []wire.Column { return nil }
func (s *Stmt) Params() int            { return 0 }

// Prepare prepares sql, or finds it in the connection's cache. No command may
// be outstanding, except queued state.
func (c *Conn) Prepare(sql []byte) (*Stmt, error) { return nil, errStub }

// Header is the beginning of an answer: an OK, or a result set of Columns columns.
type Header struct {
	Columns []wire.Column // nil for OK
	OK      wire.OK       // when Columns is nil
}

// Header reads the beginning of the next answer. A server's ERR is returned as
// *sqlerr.Error and leaves the connection usable; any other error does not.
func (c *Conn) Header() (Header, error) { return Header{}, errStub }

// Row reads the next row's payload, valid until the next read. At the end it
// returns io.EOF, and End is the closing OK.
func (c *Conn) Row() ([]byte, error) { return nil, errStub }

// End is the OK that closed the result set.
func (c *Conn) End() wire.OK { return wire.OK{} }

// RelayOptions of one Relay.
type RelayOptions struct {
	// DeprecateEOF: the client wants no EOF behind the column definitions.
	DeprecateEOF bool
	// Status goes into that EOF where it is written.
	Status uint16
	// Column, if not nil, rewrites each column definition (names).
	Column func(*wire.Column)
}

// Relay moves the next answer to w without decoding rows: column definitions,
// rows, everything but the closing OK, which it returns, as it does an answer
// that is only an OK (columns 0). What a server answers with ERR is returned
// as *sqlerr.Error and not written.
func (c *Conn) Relay(w *wire.Writer, opt RelayOptions) (ok wire.OK, columns int, err error) {
	return wire.OK{}, 0, errStub
}

// Exec runs one statement and drops its rows: for Serval's own needs.
func (c *Conn) Exec(ctx context.Context, sql string) (wire.OK, error) { return wire.OK{}, errStub }

// Select runs one query and keeps its rows, at most 100,000: for Serval's own needs.
// A NULL is a nil slice.
func (c *Conn) Select(ctx context.Context, sql string) (columns []wire.Column, rows [][][]byte, err error) {
	return nil, nil, errStub
}

// Release gives the connection back. err is how its last use ended: anything
// that leaves the stream in doubt closes it. An open transaction or unread
// answer closes it too.
func (c *Conn) Release(err error) {}

// Discard closes it whatever its state (its session state cannot be undone).
func (c *Conn) Discard() {}
