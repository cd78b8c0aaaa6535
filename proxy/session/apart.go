package session

import (
	"context"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// apart gives the connections queries are finished on. They hold nothing of the
// session's: no transaction, no pinned state; unless the query needs just that
// (plan.FinishAt).
type apart struct {
	s       *Session
	at      plan.FinishAt
	needsDB bool
	effects plan.Effects // what the statement leaves on the connection
	writes  bool
	columns bool // only the columns are asked for
}

var _ executor.Apart = (*apart)(nil)

// apartFor takes what the statement leaves behind from the lease, whose
// connections only read the tables, to the connection it is finished on; nil
// for what is not finished.
func (s *Session) apartFor(e *planned, bound *plan.Bound) executor.Apart {
	n, ok := bound.Plan.Root.(*plan.Finish)
	if !ok {
		return nil // most statements: they must not pay for it
	}
	a := &apart{s: s, at: n.At, needsDB: n.At.Cluster != "" && bound.Plan.NeedsDB, effects: e.plan.Effects, writes: !bound.Plan.ReadOnly}
	a.effects.Pins = bound.Plan.Effects.Pins
	s.lease.pins, s.lease.vars, s.lease.countFound, s.lease.writes = "", nil, false, n.Locks
	return a
}

// describing is for the columns of a plan only.
func (s *Session) describing(p *plan.Plan) *apart {
	a := &apart{s: s, columns: true}
	s.lease.prepare(p.NeedsDB)
	s.lease.describing = true
	if n, ok := p.Root.(*plan.Finish); ok {
		a.at = n.At
		a.needsDB = n.At.Cluster != "" && p.NeedsDB
	}
	return a
}

// finishes: the plan only changes anything, if at all, on the connection it is
// finished on.
func finishes(bound *plan.Bound) bool { return bound.Finish != nil }

// Own implements executor.Apart: named locks are the session's connection's,
// and what may touch tables is part of its transaction and sees its temporary
// tables, for which it has a pinned connection.
func (a *apart) Own() bool {
	pinned := a.s.pinned[a.at.Cluster] != nil
	if a.columns {
		return a.at.Inside && pinned
	}
	return a.at.Own || a.at.Inside && (pinned || a.s.tx.State() == txn.Open)
}

// TakeApart implements executor.Apart. What is finished there is copied there,
// so the server needs none of the session's writes.
func (a *apart) TakeApart(ctx context.Context, cluster string, target topology.Target) (*backend.Conn, error) {
	a.s.runLater() // a statement before it in the same packet may still have one
	if a.Own() {
		a.s.lease.pins, a.s.lease.writes = a.effects.Pins, a.writes
		conns, err := a.s.lease.Acquire(ctx, cluster, topology.TargetPrimary, 1)
		if err != nil {
			return nil, err
		}
		return conns[0], nil
	}
	w := a.s.wantPrimary(cluster, 1)
	w.Target, w.Apart = target, true
	w.Over = a.s.tx.State() == txn.Open || len(a.s.pinned) > 0
	conns, err := a.s.deps.Fleet.Acquire(ctx, w)
	if err != nil {
		return nil, err
	}
	return conns[0], nil
}

// State implements executor.Apart.
func (a *apart) State() *backend.State { return a.s.settings.state(a.needsDB) }

// Begun implements executor.Apart: warnings of the fragments are about the same
// rows as the statement's.
func (a *apart) Begun() {
	d := &a.s.diag
	bound := d.bound
	d.reset()
	d.bound = bound
}

// Warned implements executor.Apart.
func (a *apart) Warned(c *backend.Conn) { a.s.diag.read(c) }

// Ended implements executor.Apart: these are the statement's warnings. A statement that failed may have set
// user variables all the same.
func (a *apart) Ended(c *backend.Conn, err error) {
	l, d := &a.s.lease, &a.s.diag
	if err != nil {
		if c.Usable() && !ended(err) {
			d.readFailed(c)
		}
		if l.vars = a.effects.UserVars; len(l.vars) > 0 && !broken(c, err) && !ended(err) {
			_ = l.takeOver(c) // the statement's own error is the client's
		}
		return
	}
	if c.End().Warnings > 0 {
		d.read(c)
	}
	l.warned = true
	l.vars, l.countFound = a.effects.UserVars, a.effects.Found.Kind == plan.FoundAsked
	if err := l.takeOver(c); err != nil {
		l.readBack = err
	}
}

// ReturnApart implements executor.Apart.
func (a *apart) ReturnApart(c *backend.Conn, clean bool) {
	switch {
	case a.s.lease.find(c) >= 0:
		var err error
		if !clean {
			err = sqlerr.New(sqlerr.ServerLost, "Serval: temporary tables were left on the connection")
		}
		a.s.lease.Release(c, err)
	case clean:
		c.Release(nil)
	default:
		c.Discard()
	}
}

// Later implements executor.Apart.
func (a *apart) Later(do func()) { a.s.later = append(a.s.later, do) }

// runLater does what was put off until the client had its answer.
func (s *Session) runLater() {
	for len(s.later) > 0 {
		do := s.later[0]
		s.later = s.later[1:]
		do()
	}
	s.later = nil
}
