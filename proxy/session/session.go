package session

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/ddl"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// Fleet gives connections to the servers of a cluster; *backend.Fleet is one.
type Fleet interface {
	Acquire(ctx context.Context, want backend.Want) ([]*backend.Conn, error)
}

// Refresher reads a table's definition again after it was changed and
// publishes it; it returns once the catalog has it.
type Refresher interface {
	Refresh(ctx context.Context, schema, table string) error
}

// Sequences hands out auto-increment numbers that are unique over all shards.
type Sequences interface {
	// Reserve takes n numbers in a row and returns the first.
	Reserve(ctx context.Context, schema, table string, n int) (first uint64, err error)
	// Observe says that max was inserted by name: later numbers are above it.
	Observe(ctx context.Context, schema, table string, max uint64) error
}

// Limits of one session; zero fields mean the defaults said at each.
type Limits struct {
	// MaxPacket is the largest packet taken from a client, in bytes. 64 MiB.
	MaxPacket int
	// StatementTimeout ends a statement that runs longer; 0 means none.
	StatementTimeout time.Duration
	// IdleTimeout ends a session that says nothing for so long (wait_timeout).
	// 8 h.
	IdleTimeout time.Duration
	// WriteTimeout ends a session whose client takes nothing for so long. 60 s.
	WriteTimeout time.Duration
	// MemoryBudget bounds what one statement's merging may hold, in bytes; 0
	// means the executor's default.
	MemoryBudget int64
	// FinishRows and FinishBytes bound what is moved to finish one statement on
	// one server, of the cluster Finisher if that is not empty; 0 means the
	// executor's defaults.
	FinishRows, FinishBytes int64
	Finisher                string
	// MaxStatements bounds the prepared statements of a session. 16382.
	MaxStatements int
	// MaxLongData bounds what COM_STMT_SEND_LONG_DATA may gather in a session,
	// in bytes. 64 MiB.
	MaxLongData int
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.MaxPacket, 64<<20)
	set(&l.MaxStatements, 16382)
	set(&l.MaxLongData, 64<<20)
	if l.IdleTimeout <= 0 {
		l.IdleTimeout = 8 * time.Hour
	}
	if l.WriteTimeout <= 0 {
		l.WriteTimeout = time.Minute
	}
	return l
}

// Finished is one statement's end, for metrics and the slow log.
type Finished struct {
	Session uint32
	User    string
	Schema  string
	// Key is the statement's fingerprint, without literals; valid during the
	// call only.
	Key []byte
	// Verb is its first keyword.
	Verb     string
	Duration time.Duration
	// Shards is how many servers' tasks ran, Rows how many rows were sent, -1
	// where they were relayed uncounted.
	Shards   int
	Rows     int64
	CacheHit bool
	Prepared bool
	// Retried: it ran a second time after a lost connection.
	Retried bool
	Err     error
}

// Hooks are called by sessions, from many goroutines at once; nil is nobody.
// They must not block.
type Hooks struct {
	Statement func(*Finished)
}

// Deps is what a session works with, shared by all sessions.
type Deps struct {
	Catalog   *catalog.Store
	Plans     Planner
	Fleet     Fleet
	Refresher Refresher // may be nil
	Sequences Sequences // may be nil
	// Coordinator makes transactions over several clusters atomic; nil: they
	// are best effort.
	Coordinator txn.Coordinator
	// Jobs keeps definitions over shards; nil: they are run unrecorded.
	Jobs     *ddl.Jobs
	Weights  *Weights
	Places   *Places   // may be nil
	Own      OwnTables // may be nil
	Registry *Registry
	Hooks    Hooks
	Limits   Limits
	Log      *slog.Logger
	// Version is the server version Serval tells clients.
	Version string
	// Consistency is what sessions read that do not say: eventual, session or
	// global; empty is session.
	Consistency string
	// Zone is where this Serval stands; replicas of the same zone go first.
	Zone string
	// LocalInfile allows LOAD DATA LOCAL.
	LocalInfile bool
	// Started is when the process began, for COM_STATISTICS.
	Started time.Time
}

// Session is one client connection after its login. Its goroutine, the one in
// Serve, owns everything but mu.
type Session struct {
	deps Deps
	c    *Client
	in   *wire.Reader
	out  *wire.Writer
	log  *slog.Logger

	settings   settings
	options    options // Serval's own variables
	autocommit bool
	multi      bool        // COM_SET_OPTION: multi-statements on
	next       txn.Options // SET TRANSACTION, for the next transaction only
	tx         *txn.Tx[*backend.Conn]
	assigning  bool                         // the statement is a SET of a user variable
	staging    bool                         // the statement is a part of a staged write
	movable    map[plan.TableName]time.Time // when a table's rows were found to be movable
	callable   map[plan.TableName]time.Time // when a procedure was found to be one that may be called
	// answersBinary: such a part's rows are a prepared statement's answer.
	answersBinary bool
	lookups       bool            // lookup tables may be asked where rows are
	onto          int             // plan.Options.Onto
	parents       plan.Places     // the parents looked up for the last Bind
	sure          bool            // parents are to be read locked
	enclosed      bool            // tx is for the running statement, by Serval's own doing
	pinned        map[string]*pin // by cluster
	gtids         map[string]string
	proofs        map[string]*backend.Proof // of clusters whose GTIDs do not say everything
	unread        []plan.TableName          // changed under LOCK TABLES, to be read when they end
	lease         lease
	lexer         parser.Lexer
	fp            parser.Fingerprint
	args          textArgs
	stmts         statements
	diag          diagnostics

	// named are the statements prepared in SQL text, by name.
	named map[string]*sqlPrepared
	// mayStage: parts of the running statement may be staged writes themselves.
	mayStage bool
	// loading is the LOAD DATA LOCAL that runs, file what its client sends.
	loading *loadText
	file    *clientFile

	// lastInsertID is LAST_INSERT_ID(), rowCount ROW_COUNT(), foundRows
	// FOUND_ROWS() of the statement before.
	lastInsertID uint64
	rowCount     int64
	foundRows    int64

	// more: another statement of the same packet follows the running one.
	more bool
	// binary: the running statement came by COM_STMT_EXECUTE.
	binary bool
	// behind: the running statement reads the primary, because a replica did not
	// know a name in it.
	behind bool
	// doomed: the session must end after this answer, because state that only
	// lived on a server's connection is lost.
	doomed   bool
	buf      []byte // an answer being built
	keyBuf   []byte // a plan's key
	finished Finished
	sink     *deadlineConn
	pads     pads
	// padWeight and endOfResult are what the executor is given, made once.
	padWeight   func(collation uint16) []byte
	endOfResult func(ok wire.OK, columns int) error

	// running is the context statements run in, one after the other, until one
	// of them is ended by it.
	running *statementContext
	weigher weigher
	request executor.Request
	// analysis is the EXPLAIN ANALYZE that is run, or nil.
	analysis *analysis
	// later is to be done once the client has its answer.
	later []func()

	statements atomic.Uint64
	// reading is the running statement where it only reads, outside of a
	// transaction.
	reading atomic.Pointer[planned]

	mu struct {
		sync.Mutex
		command   string // of the process list
		since     time.Time
		statement []byte // the running statement's beginning
		db        string
		inTx      bool
		clusters  []string
		threads   map[string]uint32 // of the transaction's connections, by cluster
		began     time.Time         // when the transaction joined its first cluster
		pins      map[string][]string
		killed    bool
		waiting   bool               // the running statement is held
		cancel    context.CancelFunc // of the running statement, nil when idle
		limit     timeLimit
	}
}

// New makes a session of a logged-in client. Serve runs it.
func New(deps Deps, c *Client) *Session {
	deps.Limits = deps.Limits.withDefaults()
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	s := &Session{
		deps: deps, c: c, in: c.Reader, out: c.Writer,
		log:      deps.Log.With("session", c.ID, "user", c.User.Name, "remote", c.Remote),
		settings: newSettings(), options: newOptions(deps.Consistency), autocommit: true,
		multi: c.Capabilities&wire.CapMultiStatements != 0,
		gtids: map[string]string{}, pinned: map[string]*pin{},
		rowCount: -1,
	}
	s.lease.s = s
	s.padWeight = func(collation uint16) []byte { return s.pads.weight(s.deps.Catalog.Load(), collation) }
	s.endOfResult = s.endAnswer
	s.stmts.init(deps.Limits)
	s.tx = txn.New(s.endPart)
	s.tx.Coordinate(deps.Coordinator)
	s.in.SetLimit(deps.Limits.MaxPacket)
	seq := s.out.Seq()
	s.sink = &deadlineConn{Conn: c.Conn, timeout: deps.Limits.WriteTimeout}
	s.out.Reset(s.sink)
	s.out.SetSeq(seq)
	s.mu.command, s.mu.since = "Sleep", time.Now()
	return s
}

// deadlineConn gives every write its own deadline, so that a client that stops
// reading does not hold a session for ever, while a long result to a slow
// client may take as long as it takes.
type deadlineConn struct {
	net.Conn
	timeout time.Duration
	set     time.Time // when the deadline was set last
}

func (d *deadlineConn) Write(b []byte) (int, error) {
	if now := time.Now(); now.Sub(d.set) > d.timeout/4 {
		d.set = now
		if err := d.SetWriteDeadline(now.Add(d.timeout)); err != nil {
			return 0, err
		}
	}
	return d.Conn.Write(b)
}

// login applies what the client asked for: character set and database. The
// login's OK is out already, so an error is the first command's answer; proxy
// has asked CheckSchema before it, so there seldom is one.
func (s *Session) login(ctx context.Context) error {
	if err := s.startCollation(); err != nil {
		return err
	}
	if s.c.Schema == "" {
		return nil
	}
	return s.useSchema(ctx, s.c.Schema)
}

// endPart takes a connection back from the transaction.
func (s *Session) endPart(cluster string, c *backend.Conn, err error) {
	if p := s.pinned[cluster]; p != nil && p.conn == c {
		if err != nil {
			s.losePin(cluster)
		}
		return
	}
	c.Release(err)
}

// info describes the session for the process list.
func (s *Session) info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	pins := make(map[string][]string, len(s.mu.pins))
	for k, v := range s.mu.pins {
		pins[k] = v
	}
	return Info{
		ID: s.c.ID, User: s.c.User.Name, Remote: s.c.Remote, DB: s.mu.db, Command: s.mu.command, Since: s.mu.since,
		Statement: string(s.mu.statement), InTransaction: s.mu.inTx, TransactionClusters: s.mu.clusters, Pins: pins,
		Statements: s.statements.Load(),
	}
}

// userName is for other goroutines: COM_CHANGE_USER changes it.
func (s *Session) userName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.c.User.Name
}

// publish shows the process list what the goroutine knows.
func (s *Session) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.db = s.settings.db
	s.mu.inTx = s.tx.State() == txn.Open
	s.participantsLocked()
	if len(s.mu.clusters) == 0 {
		clear(s.mu.threads)
	}
}

// participantsLocked shows what the transaction holds, before the session shows
// itself idle: Registry.Unsettled relies on it.
func (s *Session) participantsLocked() {
	if n := s.tx.Participants(); n != len(s.mu.clusters) {
		s.mu.clusters = s.tx.Clusters()
	}
}

// joinedThread notes a connection of the transaction for those who look for
// deadlocks while the statement runs.
func (s *Session) joinedThread(cluster string, thread uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx.Participants() == 1 {
		s.mu.began = time.Now()
		clear(s.mu.threads)
	}
	if s.mu.threads == nil {
		s.mu.threads = map[string]uint32{}
	}
	s.mu.threads[cluster] = thread
}

// breakDeadlock ends the running statement as a deadlock's victim.
func (s *Session) breakDeadlock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.cancel != nil {
		s.mu.limit.running.victim.Store(true)
		s.mu.cancel()
	}
}

// killStatement cancels the running statement; an idle session notices
// nothing, as on MySQL.
func (s *Session) killStatement() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.cancel != nil {
		s.mu.cancel()
	}
}

// killConnection ends the session: the running statement is cancelled and the
// client's connection closed.
func (s *Session) killConnection() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.killed = true
	if s.mu.cancel != nil {
		s.mu.cancel()
	}
	// Deadlines, not Close: the goroutine may be writing the error.
	_ = s.c.Conn.SetReadDeadline(time.Unix(1, 0))
	_ = s.c.Conn.SetWriteDeadline(time.Now().Add(time.Second))
}

// errShutdown is what a client is told when Serval drains.
func errShutdown() error {
	return sqlerr.New(sqlerr.ServerShutdown, "Server shutdown in progress")
}
