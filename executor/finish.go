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

// runFinish has the tables made on one server, passes the fragments' rows on to
// it as they come, and runs the rest of the query there.
//
// The order is that of the waits: the connection to that server first, then the
// shards'. While the shards work, the tables are made.
func runFinish(ctx context.Context, req *Request, n *plan.Finish) (out Outcome, err error) {
	if req.Apart == nil {
		return Outcome{}, sqlerr.Refuse("this query over several shards", "it would have to be finished on one server, and there is none for it here", "")
	}
	target := req.Bound.Finish.Target
	out, err = finishOn(ctx, req, n, target)
	if errors.Is(err, finish.ErrNotTaken) && target == topology.TargetReplica {
		// It has not got the database yet. Nothing is held while the primary's
		// connection is waited for.
		out, err = finishOn(ctx, req, n, topology.TargetPrimary)
	}
	if errors.Is(err, errNotAhead) && n.Otherwise != nil {
		return runOtherwise(ctx, req)
	}
	return out, err
}

func finishOn(ctx context.Context, req *Request, n *plan.Finish, target topology.Target) (out Outcome, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	load := newLoad(n, req.Bound.Finish)
	load.Binary = req.Params != nil
	if req.MaxRows > 0 {
		load.MaxRows = req.MaxRows
	}
	if req.FinishBytes > 0 {
		load.MaxBytes = req.FinishBytes
	}
	p := &place{from: req.Apart, load: load}
	move := moveFragments
	if req.Apart.Own() {
		if move, err = holdFragments(ctx, req, n, load); err != nil {
			return Outcome{}, err
		}
	}
	if err := p.take(ctx, target); err != nil {
		return Outcome{}, err
	}
	out = Outcome{Rows: -1}
	if n.Differs != nil && p.conn.Flavor() != topology.FlavorMariaDB {
		err = n.Differs
	} else if out.Shards, err = move(ctx, req, n, p); err == nil {
		out.OK, out.Columns, err = finishQuery(ctx, req, n, p)
	}
	if err == nil && out.Columns > 0 {
		out.Rows = p.conn.Relayed()
	}
	out.GTIDs = addGTIDs(nil, load.Bound.Cluster, out.OK.Tracked.GTIDs)
	if err != nil && !p.conn.Usable() {
		cancel() // a query nobody reads is killed
	}
	p.leave(ctx, err)
	return out, renameError(load.Error(err), load.Bound.Rename)
}

func newLoad(n *plan.Finish, b *plan.BoundFinish) *finish.Load {
	return &finish.Load{Plan: n, Bound: b, MaxRows: finish.DefaultMaxRows, MaxBytes: finish.DefaultMaxBytes}
}

// moveFragments reads the rows of all fragments and passes them on, stage by
// stage: those that are reduced by others behind these.
func moveFragments(ctx context.Context, req *Request, n *plan.Finish, p *place) (shards int, err error) {
	for _, stage := range n.Stages() {
		tasks, err := moveStage(ctx, req, n, p, stage)
		if err != nil {
			return 0, err
		}
		shards += tasks
	}
	return shards, nil
}

func moveStage(ctx context.Context, req *Request, n *plan.Finish, p *place, stage []int) (tasks int, err error) {
	began := time.Now()
	f := newFan(ctx, req, nil)
	defer f.cancel()
	for _, i := range stage {
		f.leaf(n.Fragments[i].Route, reducedTasks(req.Bound, n.Fragments[i], p.load))
	}
	if err := f.acquire(); err != nil {
		return 0, err
	}
	defer f.release()
	if err := f.send(); err != nil {
		return 0, err
	}
	if !p.begun {
		if err := p.prepare(ctx); err != nil {
			return 0, err
		}
	}
	opt := merge.Options{Binary: p.load.Binary, Budget: f.budget, Leaf: f.streams}
	for _, i := range stage {
		parts := f.of(n.Fragments[i].Route)
		if len(parts) == 0 {
			continue // no row of it can matter
		}
		rows, err := merge.Build(n.Fragments[i].Route, &opt)
		if err == nil {
			err = p.load.Fragment(i, rows, parts[0].task.SQL)
		}
		if err != nil {
			return 0, f.unsafe(err)
		}
	}
	f.measure(began)
	return len(f.parts), nil
}

// reducedTasks are the tasks of a fragment that are left once what reduces it
// was read; all where that was too much.
func reducedTasks(b *plan.Bound, f *plan.Fragment, load *finish.Load) []plan.Task {
	if f.Reduce == nil {
		return b.Tasks.Of(f.Route)
	}
	values, known := load.Values(f.Reduce.From, f.Reduce.Column)
	if !known {
		return b.Tasks.Of(f.Route)
	}
	if len(values) == 0 {
		return nil
	}
	if tasks, ok := b.Reduced(f, values); ok {
		return tasks
	}
	return b.Tasks.Of(f.Route)
}

// finishQuery runs the client's text over the tables and relays its answer.
func finishQuery(ctx context.Context, req *Request, n *plan.Finish, p *place) (ok wire.OK, columns int, err error) {
	began := time.Now()
	c, load := p.conn, p.load
	state := careful(req.Apart.State(), n, c.Flavor())
	for i, f := range n.Fragments {
		if f.Route == nil {
			if err := load.Copy(i); err != nil {
				return wire.OK{}, 0, err
			}
		}
	}
	if err := load.Index(); err != nil {
		return wire.OK{}, 0, err
	}
	req.Apart.Begun()
	if len(n.Once) > 0 {
		if err = load.Settle(); err == nil {
			err = computeOnce(ctx, req, n, p, state)
		}
		if err != nil {
			return wire.OK{}, 0, err
		}
	}
	if load.Early() && req.Params == nil && n.At.Cluster == "" {
		err = queryBehind(c, load, state)
	} else if err = load.Settle(); err == nil {
		c.Want(state)
		err = send(c, req, &plan.Task{SQL: load.Bound.SQL, Markers: load.Bound.Markers})
	}
	if err != nil {
		return wire.OK{}, 0, err
	}
	names := scratchNames{n, load.Bound.Database}
	ok, columns, err = c.Relay(req.Out, backend.RelayOptions{DeprecateEOF: req.DeprecateEOF, Status: req.Status, Column: names.undo})
	if err == nil && ok.Status&wire.StatusMoreResults != 0 {
		err = errSeveralResults()
	}
	req.Apart.Ended(c, err)
	if req.Measured != nil {
		req.Measured[n] = plan.Measure{Rows: load.Rows(), Bytes: load.Bytes(), Took: time.Since(began)}
	}
	return ok, columns, err
}

// queryBehind sends the query in one write with the rows, which are few. It
// only reads, and where something before it failed its answer is not looked at.
func queryBehind(c *backend.Conn, load *finish.Load, state *backend.State) error {
	settings := c.QueueWant(state)
	c.Query(load.Bound.SQL)
	if err := c.Flush(); err != nil {
		return err
	}
	if err := load.Answers(); err != nil {
		return err
	}
	for range settings {
		if _, err := c.Header(); err != nil {
			return err
		}
	}
	c.Adopt(state)
	return nil
}

// cleanTime bounds the dropping of the temporary tables; beyond, the connection
// is closed, which drops them too.
const cleanTime = 2 * time.Second

// place is the connection that holds the temporary tables.
type place struct {
	from   Apart
	load   *finish.Load
	conn   *backend.Conn
	disarm func()
	// begun: there may be tables.
	begun bool
}

func (p *place) take(ctx context.Context, target topology.Target) (err error) {
	p.load.Replica = target == topology.TargetReplica
	if p.conn, err = p.from.TakeApart(ctx, p.load.Bound.Cluster, target); err == nil {
		p.disarm = p.conn.Arm(ctx)
	}
	return err
}

// prepare makes the tables.
func (p *place) prepare(ctx context.Context) error {
	p.begun = true
	if err := p.load.Begin(ctx, p.conn); err != nil {
		return err
	}
	if err := p.load.Ready(); err != nil || !p.load.Plan.Unread {
		return err
	}
	return p.load.Check(p.from.State())
}

// leave has the tables emptied or dropped and gives the connection back; behind
// a statement that went well, once its client has the answer.
func (p *place) leave(ctx context.Context, err error) {
	p.disarm()
	ended := ctx.Err() != nil
	if ended || err != nil || p.load.Plan.At.Cluster != "" {
		p.clean(ctx, ended, false)
		return
	}
	p.from.Later(func() { p.clean(ctx, false, true) })
}

func (p *place) clean(ctx context.Context, ended, keep bool) {
	c := p.conn
	if ended || !p.begun {
		p.from.ReturnApart(c, !ended)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	disarm := c.Arm(ctx)
	err := p.load.Clean(ctx, c, keep)
	disarm()
	p.from.ReturnApart(c, err == nil)
}

// DescribeFinish is the columns of a plan that is a Finish; ok is false for
// others. finisher is as in plan.Options.
func DescribeFinish(ctx context.Context, p *plan.Plan, args plan.Args, finisher string, from Apart) (columns []wire.Column, ok bool, err error) {
	n, bound := p.BindFinish(args, finisher)
	if n == nil {
		return nil, false, nil
	}
	columns, err = describeOn(ctx, n, bound, from, bound.Target)
	if errors.Is(err, finish.ErrNotTaken) && bound.Target == topology.TargetReplica {
		columns, err = describeOn(ctx, n, bound, from, topology.TargetPrimary)
	}
	names := scratchNames{n, bound.Database}
	described := make([]wire.Column, len(columns))
	for i := range columns {
		described[i] = columns[i].Clone()
		names.undo(&described[i])
	}
	return described, true, err
}

func describeOn(ctx context.Context, n *plan.Finish, bound *plan.BoundFinish, from Apart, target topology.Target) (columns []wire.Column, err error) {
	p := &place{from: from, load: newLoad(n, bound)}
	if err := p.take(ctx, target); err != nil {
		return nil, err
	}
	if err = p.prepare(ctx); err == nil {
		columns, err = p.load.Describe(p.conn, from.State())
	}
	p.leave(ctx, err)
	return columns, renameError(p.load.Error(err), bound.Rename)
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
