package session

import (
	"context"
	"strconv"
	"strings"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/topology"
)

// lease gives one statement its connections: the transaction's, a pinned one,
// or some from the fleet; and looks after what the statement leaves on them
// before they go back. The session has one and uses it again for each
// statement. The executor calls it from one goroutine.
type lease struct {
	s *Session
	// needsDB, primary, effects are of the running statement.
	needsDB    bool
	writes     bool // it may change or lock something
	describing bool // columns are asked for, which is no part of a transaction
	primary    bool // whatever the plan says: consistency global, or a hint
	noGTID     bool // consistency eventual
	pins       string
	vars       []string // user variables the statement assigns
	countFound bool     // FOUND_ROWS() is to be asked
	numbers    bool     // LAST_INSERT_ID() is to be asked
	out        []held
	joined     string // the cluster that last joined the transaction for it

	// what was found on the connections
	warned   bool // its warnings are read already
	readBack error
}

// held is a connection between Acquire and Release.
type held struct {
	conn    *backend.Conn
	cluster string
	disarm  func()
	shared  bool // it belongs to the transaction or a pin
}

var _ executor.Conns = (*lease)(nil)

// prepare makes the lease ready for a statement.
func (l *lease) prepare(needsDB bool) {
	*l = lease{s: l.s, out: l.out[:0], needsDB: needsDB}
}

// Acquire implements executor.Conns.
func (l *lease) Acquire(ctx context.Context, cluster string, target topology.Target, n int) ([]*backend.Conn, error) {
	conns, err := l.acquire(ctx, cluster, target, n)
	if err == nil && l.numbers {
		// A statement that numbers no row leaves what the connection had.
		_, err = conns[0].Exec(ctx, "DO LAST_INSERT_ID("+strconv.FormatUint(l.s.lastInsertID, 10)+")")
	}
	return conns, err
}

func (l *lease) acquire(ctx context.Context, cluster string, target topology.Target, n int) ([]*backend.Conn, error) {
	s := l.s
	if c, ok := s.tx.Conn(cluster); ok {
		l.note(cluster)
		return l.give(ctx, cluster, c, true)
	}
	pinned := s.pinned[cluster]
	switch {
	case s.tx.State() == txn.Open && !l.describing:
		return l.join(ctx, cluster, pinned)
	case pinned != nil:
		return l.give(ctx, cluster, pinned.conn, true)
	}
	conns, err := s.deps.Fleet.Acquire(ctx, l.want(cluster, target, n))
	if err != nil {
		return nil, err
	}
	state := s.settings.state(l.needsDB)
	for _, c := range conns {
		l.out = append(l.out, held{conn: c, cluster: cluster, disarm: c.Arm(ctx)})
		c.Want(state)
	}
	return conns, nil
}

// want is what the fleet is asked for outside a transaction.
func (l *lease) want(cluster string, target topology.Target, n int) backend.Want {
	w := l.s.wantPrimary(cluster, n)
	w.Target = target
	if l.primary || l.s.deps.Catalog.Load().Off.ReplicaReads {
		w.Target = topology.TargetPrimary
	}
	if w.Target == topology.TargetReplica && !l.noGTID {
		w.GTID, w.Proof = l.s.gtids[cluster], l.s.proofs[cluster]
	}
	return w
}

func (s *Session) wantPrimary(cluster string, n int) backend.Want {
	return backend.Want{
		Cluster: cluster, Target: topology.TargetPrimary, Zone: s.deps.Zone, N: n,
		FoundRows: s.c.Capabilities&capFoundRows != 0,
	}
}

// join makes the cluster take part in the open transaction.
func (l *lease) join(ctx context.Context, cluster string, pinned *pin) ([]*backend.Conn, error) {
	s := l.s
	if s.options.transaction == transactionSingle && s.tx.Participants() > 0 {
		return nil, sqlerr.Refuse("a second cluster in this transaction",
			"serval_transaction is 'single' and the transaction is on "+strings.Join(s.tx.Clusters(), ", ")+", the statement needs "+cluster,
			"SET serval_transaction = 'atomic' to allow it")
	}
	var c *backend.Conn
	if pinned != nil {
		c = pinned.conn
	} else {
		conns, err := s.deps.Fleet.Acquire(ctx, s.wantPrimary(cluster, 1))
		if err != nil {
			return nil, err
		}
		c = conns[0]
	}
	l.out = append(l.out, held{conn: c, cluster: cluster, disarm: c.Arm(ctx), shared: true})
	c.Want(l.state())
	if s.tx.Participants() > 0 && s.tx.Options().Atomic {
		c.AttachBranches(ctx)
	}
	if err := s.tx.Join(cluster, c); err != nil {
		// The transaction has handed c back and is as it was.
		h := l.out[len(l.out)-1]
		l.out = l.out[:len(l.out)-1]
		h.disarm()
		return nil, sqlerr.From(err).Retryable()
	}
	l.joined = cluster
	s.joinedThread(cluster, c.ThreadID())
	l.note(cluster)
	return []*backend.Conn{c}, nil
}

// state is what a connection of the session's own must be in: without autocommit
// in a transaction under LOCK TABLES, which has no BEGIN.
func (l *lease) state() *backend.State {
	state := l.s.settings.state(l.needsDB)
	if l.s.tx.Options().Locked {
		return state.With(backend.Var{Name: "autocommit", SQL: "0"})
	}
	return state
}

// note tells the transaction that the cluster has something to commit.
func (l *lease) note(cluster string) {
	if l.writes {
		l.s.tx.Wrote(cluster)
	}
}

// give hands out a connection the session owns.
func (l *lease) give(ctx context.Context, cluster string, c *backend.Conn, shared bool) ([]*backend.Conn, error) {
	for _, h := range l.out {
		if h.conn == c {
			return nil, sqlerr.Refuse("this statement in a transaction",
				"it reads two results of one cluster at a time and a transaction has one connection there", "")
		}
	}
	l.out = append(l.out, held{conn: c, cluster: cluster, disarm: c.Arm(ctx), shared: shared})
	c.Want(l.state())
	return []*backend.Conn{c}, nil
}

// Release implements executor.Conns. What the statement left on the connection
// is read first, while it is still armed.
func (l *lease) Release(c *backend.Conn, err error) {
	i := l.find(c)
	if i < 0 {
		c.Discard() // not ours: an executor's mistake must not leak it
		return
	}
	h := l.out[i]
	l.out[i] = l.out[len(l.out)-1]
	l.out = l.out[:len(l.out)-1]
	if err == nil {
		l.lookAfter(h)
	} else if !broken(c, err) && !ended(err) {
		// First: what is asked under a context that has ended (KILL QUERY) loses
		// the connection, and the transaction with it.
		h.disarm()
		if !l.writes && c.Usable() && !unknownName(err) {
			l.s.diag.readFailed(c)
		}
		if len(l.vars) > 0 {
			l.countFound = false
			_ = l.takeOver(c) // what it had assigned by then; the statement's own error is the client's
		}
	}
	h.disarm()
	s := l.s
	switch {
	case h.shared && !broken(c, err):
	case h.shared:
		if own, ok := s.tx.Conn(h.cluster); ok && own == c {
			s.tx.Break(h.cluster) // Settle ends the transaction and a pin with it
		} else if p := s.pinned[h.cluster]; p != nil && p.conn == c {
			s.losePin(h.cluster)
		}
	case l.pins != "" && !broken(c, err):
		s.keep(h.cluster, c, l.pins)
	default:
		c.Release(err)
	}
}

func (l *lease) find(c *backend.Conn) int {
	for i := range l.out {
		if l.out[i].conn == c {
			return i
		}
	}
	return -1
}

// Retract forgets the warnings read so far: the statement is run anew.
func (l *lease) Retract() {
	d := &l.s.diag
	d.rows, d.count, d.repeated = d.rows[:0], 0, 0
}

// lookAfter reads what is only to be had on this connection and right now:
// warnings, and the user variables the statement assigned.
func (l *lease) lookAfter(h held) {
	if h.conn.End().Warnings > 0 && !l.warned {
		l.s.diag.read(h.conn)
	}
	if err := l.takeOver(h.conn); err != nil {
		l.readBack = err
	}
	if l.pins != "" && h.shared {
		l.s.keep(h.cluster, h.conn, l.pins)
	}
}

// takeOver reads what the statement has changed of the session: FOUND_ROWS(),
// which SHOW WARNINGS leaves as it is, and user variables.
func (l *lease) takeOver(c *backend.Conn) (err error) {
	if l.countFound {
		l.countFound = false
		if l.s.foundRows, err = askFound(c); err != nil {
			return err
		}
	}
	if l.numbers {
		l.numbers = false
		if l.s.lastInsertID, err = askInsertID(c); err != nil {
			return err
		}
	}
	if len(l.vars) > 0 {
		err = l.s.readUserVars(c, l.vars)
		l.vars = nil
	}
	return err
}

// abandon releases what an executor that failed has kept.
func (l *lease) abandon(err error) {
	for len(l.out) > 0 {
		l.Release(l.out[len(l.out)-1].conn, err)
	}
}

// ask implements asker, for Serval's own questions (weight strings). They go to
// any server and are no part of the transaction.
func (s *Session) ask(ctx context.Context, sql string) ([][][]byte, error) {
	c, err := s.anyServer(ctx, s.deps.Catalog.Load().HomeOf(s.settings.db))
	if err != nil {
		return nil, err
	}
	_, rows, err := c.Select(ctx, sql)
	c.Release(err)
	return rows, err
}

// broken reports that a connection cannot go on after a statement that ended
// with err.
func broken(c *backend.Conn, err error) bool {
	return !c.Usable() || txn.Broken(err) && !backend.IsClientError(err) && !ended(err)
}
