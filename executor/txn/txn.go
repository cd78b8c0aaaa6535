// Package txn is a transaction over clusters: which connection it owns on each
// of them, what they are told, and what a failure of one means for the others.
//
// A participant is a cluster, not a shard: shards of one cluster share one
// connection and one local transaction, so most transactions have one
// participant and cost what they cost without Serval. A transaction begins on
// a cluster only when the first statement goes there.
//
// With several participants an atomic transaction commits on all of them or on
// none, whatever crashes when (see atomic.go); another one is best effort:
// they commit one after the other, and an error names those that did (see
// commit.go).
package txn

import (
	"context"
	"errors"
	"strings"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
)

// Conn is what a transaction needs of a server connection; *backend.Conn has
// it. Several statements may be queued before Flush; answers come in order.
type Conn interface {
	// Arm applies ctx to what follows until disarm.
	Arm(ctx context.Context) (disarm func())
	Query(sql []byte)
	Flush() error
	Header() (backend.Header, error)
	// Status is the server status of the last OK.
	Status() uint16
}

// State of a Tx.
type State uint8

const (
	// Idle: there is no transaction.
	Idle State = iota
	// Open: there is one, with any number of participants, even none.
	Open
)

// String names the state.
func (s State) String() string {
	if s == Open {
		return "open"
	}
	return "idle"
}

// Options of a transaction, as BEGIN or SET TRANSACTION gave them.
type Options struct {
	// Access is "READ ONLY", "READ WRITE" or empty for the session's default.
	Access string
	// Isolation is the level in SQL's words ("READ COMMITTED"), empty for the
	// session's default.
	Isolation string
	// Snapshot: WITH CONSISTENT SNAPSHOT. Each cluster's snapshot is taken
	// when the cluster joins.
	Snapshot bool
	// Atomic: clusters that join behind the first do so as XA branches. The
	// Tx must have a Coordinator.
	Atomic bool
	// Locked: the connections hold LOCK TABLES, which BEGIN would free and
	// which no branch goes with; whoever joins them has switched autocommit
	// off there. Never Atomic.
	Locked bool
}

// begin is the statements that open a participant, in order; branch is its
// name where it is an XA branch.
func (o Options) begin(branch string) []string {
	var out []string
	if o.Isolation != "" {
		out = append(out, "SET TRANSACTION ISOLATION LEVEL "+o.Isolation)
	}
	if branch != "" {
		return o.beginBranch(out, branch)
	}
	if o.Locked {
		return out
	}
	var more []string
	if o.Snapshot {
		more = append(more, "WITH CONSISTENT SNAPSHOT")
	}
	if o.Access != "" {
		more = append(more, o.Access)
	}
	if len(more) == 0 {
		return append(out, "BEGIN")
	}
	return append(out, "START TRANSACTION "+strings.Join(more, ", "))
}

// participant is one cluster's part.
type participant[C Conn] struct {
	cluster string
	conn    C
	// broken: the connection cannot go on, so the server has rolled back, or
	// will when it notices.
	broken bool
	// branch is the XA branch's name as SQL, empty for a local transaction.
	branch string
	// prepared: the branch outlives its connection, broken or not.
	prepared bool
	// released: the connection is handed back already.
	released bool
	// wrote: something may have been changed or locked on purpose here.
	wrote bool
}

// Tx is one session's transaction, or its absence: the zero value but for
// release is Idle, and it is used again and again. Not for concurrent use; the
// session's goroutine owns it.
type Tx[C Conn] struct {
	state  State
	opts   Options
	parts  []participant[C]
	points []string // savepoints as written, oldest first
	// coordinator is asked by atomic transactions; gtrid is the name of the
	// running one, empty until a second cluster joins.
	coordinator Coordinator
	gtrid       string
	// decided: the decision's row may be on the first cluster.
	decided bool
	// release gets each connection back when its part is over; err is what
	// put the connection in doubt, nil if it is fit for further use.
	release func(cluster string, c C, err error)
}

// New makes an Idle transaction that hands connections back through release.
func New[C Conn](release func(cluster string, c C, err error)) *Tx[C] {
	return &Tx[C]{release: release}
}

// Coordinate makes atomic transactions possible.
func (t *Tx[C]) Coordinate(c Coordinator) { t.coordinator = c }

// State is Idle or Open.
func (t *Tx[C]) State() State { return t.state }

// Options are those of the open transaction, for COMMIT AND CHAIN.
func (t *Tx[C]) Options() Options { return t.opts }

// Clusters are the participants' names in the order they joined.
func (t *Tx[C]) Clusters() []string {
	out := make([]string, len(t.parts))
	for i := range t.parts {
		out[i] = t.parts[i].cluster
	}
	return out
}

// Participants is how many clusters take part.
func (t *Tx[C]) Participants() int { return len(t.parts) }

// Begin opens a transaction; nothing is sent until a cluster joins. The
// transaction must be Idle: whoever begins inside one commits it first, as
// MySQL does.
func (t *Tx[C]) Begin(opts Options) error {
	if t.state != Idle {
		return sqlerr.New(sqlerr.UnknownError, "Serval: a transaction is open already")
	}
	opts.Atomic = opts.Atomic && !opts.Locked && t.coordinator != nil
	t.opts = opts
	t.become(Open)
	return nil
}

// become is the only place the state changes.
func (t *Tx[C]) become(s State) {
	t.state = s
	if s == Idle {
		clear(t.parts)
		t.parts, t.points, t.opts = t.parts[:0], t.points[:0], Options{}
		t.gtrid, t.decided = "", false
	}
}

// Conn is the transaction's connection on the cluster, if it takes part.
func (t *Tx[C]) Conn(cluster string) (C, bool) {
	for i := range t.parts {
		if t.parts[i].cluster == cluster {
			return t.parts[i].conn, true
		}
	}
	var none C
	return none, false
}

// Join makes the cluster take part with c, which the transaction owns from
// here on. It begins there and sets the savepoints that exist already, so that
// a later ROLLBACK TO means the same everywhere. Where that fails, c is handed
// back as broken and the transaction is as it was: nothing of it ran on c.
func (t *Tx[C]) Join(cluster string, c C) error {
	branch := t.newBranch()
	t.parts = append(t.parts, participant[C]{cluster: cluster, conn: c, branch: branch})
	statements := t.opts.begin(branch)
	for _, p := range t.points {
		statements = append(statements, "SAVEPOINT "+p)
	}
	last := len(t.parts) - 1
	err := t.tell(last, statements...)
	if cause := errors.Unwrap(err); t.parts[last].broken && cause != nil {
		err = cause
	}
	if err == nil {
		return nil
	}
	t.parts = t.parts[:last]
	t.release(cluster, c, lost(cluster, err))
	return sqlerr.New(sqlerr.ServerLost, "Cluster %s could not take part in the transaction, which goes on without it: %s",
		cluster, plainMessage(err)).WithCause(err)
}

// Leave takes back that the cluster joined: nothing has run there since, or
// only what the server refused. It must be the last that joined.
func (t *Tx[C]) Leave(ctx context.Context, cluster string) {
	last := len(t.parts) - 1
	if last < 0 || t.parts[last].cluster != cluster {
		return
	}
	if !t.parts[last].broken {
		t.rollbackOne(ctx, last)
	}
	p := t.parts[last]
	t.parts = t.parts[:last]
	var err error
	if p.broken {
		err = lost(cluster, nil)
	}
	t.release(cluster, p.conn, err)
}

// First is the cluster that joined first, empty if none has.
func (t *Tx[C]) First() string {
	if len(t.parts) == 0 {
		return ""
	}
	return t.parts[0].cluster
}

// Wrote notes that a statement that may change something, or lock it, is sent
// to the cluster. A cluster that only read has nothing to commit.
func (t *Tx[C]) Wrote(cluster string) {
	for i := range t.parts {
		if t.parts[i].cluster == cluster {
			t.parts[i].wrote = true
		}
	}
}

// Damaged reports that a participant's connection is lost: the transaction can
// only end.
func (t *Tx[C]) Damaged() bool { return t.anyBroken() }

// Break notes that the cluster's connection cannot go on. Settle or Rollback
// then ends the whole transaction.
func (t *Tx[C]) Break(cluster string) {
	for i := range t.parts {
		if t.parts[i].cluster == cluster {
			t.parts[i].broken = true
		}
	}
}

// tell sends statements to one participant in one write and reads all answers;
// the first error wins.
func (t *Tx[C]) tell(i int, statements ...string) error {
	if err := t.queue(i, statements...); err != nil {
		return err
	}
	_, err := t.answers(i, len(statements))
	return err
}

func (t *Tx[C]) queue(i int, statements ...string) error {
	p := &t.parts[i]
	if p.broken {
		return lost(p.cluster, nil)
	}
	for _, s := range statements {
		p.conn.Query([]byte(s))
	}
	if err := p.conn.Flush(); err != nil {
		p.broken = true
		return lost(p.cluster, err)
	}
	return nil
}

// answers reads n OKs. A server's ERR leaves the connection usable, so the
// rest is read all the same; anything else breaks it.
func (t *Tx[C]) answers(i, n int) (last backend.Header, first error) {
	p := &t.parts[i]
	for range n {
		h, err := p.conn.Header()
		if Broken(err) {
			p.broken = true
			return last, lost(p.cluster, err)
		}
		if err != nil && first == nil {
			first = err
		}
		last = h
	}
	return last, first
}

// everywhere sends one statement to every participant at once and reads all
// answers.
func (t *Tx[C]) everywhere(ctx context.Context, statement string) error {
	var first error
	sent := make([]bool, len(t.parts))
	for i := range t.parts {
		if t.parts[i].broken {
			continue
		}
		disarm := t.parts[i].conn.Arm(ctx)
		defer disarm()
		err := t.queue(i, statement)
		sent[i] = err == nil
		if first == nil {
			first = err
		}
	}
	for i := range t.parts {
		if !sent[i] {
			continue
		}
		if _, err := t.answers(i, 1); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// finish hands all connections back and is Idle.
func (t *Tx[C]) finish() {
	if t.gtrid != "" {
		t.coordinator.Ended(t.First(), t.gtrid, t.decided, t.leftPrepared())
	}
	for i := range t.parts {
		p := &t.parts[i]
		if p.released {
			continue
		}
		var err error
		if p.broken {
			err = lost(p.cluster, nil)
		}
		t.release(p.cluster, p.conn, err)
	}
	t.become(Idle)
}

func lost(cluster string, cause error) error {
	e := sqlerr.New(sqlerr.ServerLost, "Lost connection to cluster %s during the transaction, which is rolled back", cluster)
	if cause != nil {
		e = e.WithCause(cause)
	}
	return e
}
