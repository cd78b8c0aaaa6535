package session

import (
	"context"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/topology"
)

// apart gives the connections queries are finished on. They hold nothing of the
// session's: no transaction, no pinned state.
type apart struct {
	s      *Session
	disarm func()
}

var _ executor.Apart = (*apart)(nil)

// TakeApart implements executor.Apart. What is finished there is copied there,
// so the server needs none of the session's writes.
func (a *apart) TakeApart(ctx context.Context, cluster string, target topology.Target) (*backend.Conn, error) {
	w := a.s.wantPrimary(cluster, 1)
	w.Target = target
	conns, err := a.s.deps.Fleet.Acquire(ctx, w)
	if err != nil {
		return nil, err
	}
	a.disarm = conns[0].Arm(ctx)
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
	a.disarm()
	if !clean {
		c.Discard()
		return
	}
	c.Adopt(a.State())
	c.Release(nil)
}
