package executor

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor/finish"
	"github.com/servaldb/serval/executor/merge"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// runFinish reads the fragments, gives their connections back, and runs the
// rest of the query on one server.
func runFinish(ctx context.Context, req *Request, n *plan.Finish) (Outcome, error) {
	if req.Apart == nil {
		return Outcome{}, sqlerr.Refuse("this query over several shards", "it would have to be finished on one server, and there is none for it here", "")
	}
	load := newLoad(n, req.Bound.Finish)
	load.Binary = req.Params != nil
	if req.MemoryBudget > 0 {
		load.MaxBytes = req.MemoryBudget
	}
	shards, err := fragments(ctx, req, n, load)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Rows: -1, Shards: shards}
	err = apart(ctx, req.Apart, load, func(c *backend.Conn) (err error) {
		if err := load.Fill(ctx, c); err != nil {
			return err
		}
		c.Want(req.Apart.State())
		if err = send(c, req, &plan.Task{SQL: load.Bound.SQL, Markers: load.Bound.Markers}); err == nil {
			names := scratchNames{n, load.Bound.Database}
			out.OK, out.Columns, err = c.Relay(req.Out, backend.RelayOptions{DeprecateEOF: req.DeprecateEOF, Status: req.Status, Column: names.undo})
		}
		if err == nil && out.OK.Status&wire.StatusMoreResults != 0 {
			err = errSeveralResults()
		}
		if err == nil {
			req.Apart.Ended(c)
		}
		return err
	})
	return out, err
}

func newLoad(n *plan.Finish, b *plan.BoundFinish) *finish.Load {
	return &finish.Load{Plan: n, Bound: b, MaxRows: finish.DefaultMaxRows, MaxBytes: defaultMemoryBudget}
}

// fragments reads the rows of all fragments.
func fragments(ctx context.Context, req *Request, n *plan.Finish, load *finish.Load) (shards int, err error) {
	f := newFan(ctx, req, n)
	defer f.cancel()
	if err := f.acquire(); err != nil {
		return 0, err
	}
	defer f.release()
	if err := f.send(); err != nil {
		return 0, err
	}
	opt := merge.Options{Binary: load.Binary, Budget: f.budget, Leaf: f.streams}
	for i, frag := range n.Fragments {
		if frag.Route == nil {
			load.Copy(i)
			continue
		}
		rows, err := merge.Build(frag.Route, &opt)
		if err == nil {
			err = load.Fragment(i, rows, req.Bound.Tasks[frag.Route][0].SQL)
		}
		if err != nil {
			return 0, f.unsafe(err)
		}
	}
	load.Index()
	return len(f.parts), nil
}

// cleanTime bounds the dropping of the temporary tables; beyond, the connection
// is closed, which drops them too.
const cleanTime = 2 * time.Second

// apart runs work on a connection that holds the temporary tables, and leaves
// none of them. Where a replica does not take them (it has not got the database
// yet) the primary is asked.
func apart(ctx context.Context, from Apart, load *finish.Load, work func(*backend.Conn) error) error {
	err := apartOn(ctx, from, load, load.Bound.Target, work)
	if errors.Is(err, finish.ErrNotTaken) && load.Bound.Target == topology.TargetReplica {
		err = apartOn(ctx, from, load, topology.TargetPrimary, work)
	}
	return err
}

func apartOn(ctx context.Context, from Apart, load *finish.Load, target topology.Target, work func(*backend.Conn) error) error {
	c, err := from.TakeApart(ctx, load.Bound.Cluster, target)
	if err != nil {
		return err
	}
	clean := false
	defer func() { from.ReturnApart(c, clean) }()
	err = work(c)
	if c.Usable() {
		dropping, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
		clean = load.Drop(dropping, c) == nil && ctx.Err() == nil
		cancel()
	}
	return renameError(load.Error(err), load.Bound.Rename)
}

// DescribeFinish is the columns of a plan that is a Finish; ok is false for
// others.
func DescribeFinish(ctx context.Context, p *plan.Plan, args plan.Args, from Apart) (columns []wire.Column, ok bool, err error) {
	n, bound := p.BindFinish(args)
	if n == nil {
		return nil, false, nil
	}
	load := newLoad(n, bound)
	err = apart(ctx, from, load, func(c *backend.Conn) error {
		columns, err = load.Describe(ctx, c, from.State())
		return err
	})
	names := scratchNames{n, bound.Database}
	described := make([]wire.Column, len(columns))
	for i := range columns {
		described[i] = columns[i].Clone()
		names.undo(&described[i])
	}
	return described, true, err
}

var scratchPrefix = []byte("serval_f")

// scratchNames undoes the temporary tables' names in column definitions.
type scratchNames struct {
	plan     *plan.Finish
	database string
}

func (s scratchNames) undo(c *wire.Column) {
	if bytes.Contains(c.Name, scratchPrefix) {
		c.Name = []byte(s.plan.Unscratch(s.database, string(c.Name)))
	}
	if bytes.Contains(c.OrgName, scratchPrefix) {
		c.OrgName = []byte(s.plan.Unscratch(s.database, string(c.OrgName)))
	}
	for i, f := range s.plan.Fragments {
		name := plan.ScratchName(i)
		if string(c.OrgTable) != name {
			continue
		}
		if string(c.Table) == name {
			c.Table = []byte(f.Table.Table)
		}
		c.Schema, c.OrgTable = []byte(f.Table.Schema), []byte(f.Table.Table)
		return
	}
}
