package session

import (
	"context"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/topology"
)

// apart gives the connections queries are finished on. They hold nothing of the
// session's: no transaction, no pinned state.
type apart struct{ s *Session }

var _ executor.Apart = (*apart)(nil)

// TakeApart implements executor.Apart. What is finished there is copied there,
// so the server needs none of the session's writes.
func (a *apart) TakeApart(ctx context.Context, cluster string, target topology.Target) (*backend.Conn, error) {
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
func (a *apart) State() *backend.State { return a.s.settings.state(false) }

// Ended implements executor.Apart: these are the statement's warnings; those of
// its fragments are about the same rows.
func (a *apart) Ended(c *backend.Conn) {
	d := &a.s.diag
	bound := d.bound
	d.reset()
	d.bound = bound
	if c.End().Warnings > 0 {
		d.read(c)
	}
	a.s.lease.warned = true
}

// ReturnApart implements executor.Apart.
func (a *apart) ReturnApart(c *backend.Conn, clean bool) {
	if !clean {
		c.Discard()
		return
	}
	c.Release(nil)
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
