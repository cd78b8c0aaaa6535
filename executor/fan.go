package executor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/servaldb/serval/executor/merge"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// fan is several tasks at work.
type fan struct {
	req    *Request
	root   plan.Node
	ctx    context.Context
	cancel context.CancelFunc
	budget *merge.Budget
	links  []*link
	parts  []*part // in the order of leaves and tasks
	leaves []leafParts
	// route is the only leaf, nil where there are several.
	route *plan.Route
	// united is how many shards were put together to one part a cluster, 0 where
	// each is asked by itself.
	united int
	short  short
	spare  *spare
	often  bool // its texts may be sent as statements prepared under a name
}

// leafParts are the parts of one leaf.
type leafParts struct {
	leaf  plan.Node
	parts []*part
}

// of are the leaf's parts, nil where n is none.
func (f *fan) of(n plan.Node) []*part {
	for _, l := range f.leaves {
		if l.leaf == n {
			return l.parts
		}
	}
	return nil
}

// fanOut runs what is below one node.
func fanOut(ctx context.Context, req *Request, root plan.Node) (Outcome, error) {
	began := time.Now()
	f := newFan(ctx, req, root)
	defer func() { f.cancel() }()
	for range unitedTries {
		if !f.unite() {
			break
		}
		out, done, err := f.runUnited(began)
		if done {
			return out, err
		}
		f.cancel()
		if r, ok := f.req.Conns.(retractor); ok {
			r.Retract()
		}
		began, f = time.Now(), newFan(ctx, req, root)
	}
	f.collect(root)
	if len(f.parts) == 0 && len(f.leaves) > 0 {
		return Outcome{}, sqlerr.New(sqlerr.UnknownError, "the plan has no task: no shard was chosen")
	}
	if err := f.acquire(); err != nil {
		return Outcome{}, err
	}
	out, err := Outcome{}, f.send()
	if err == nil {
		out, err = f.answer()
	}
	if err == nil {
		f.tellRepeated()
	}
	f.release()
	if err == nil {
		f.learn(began)
		f.measure(began)
	}
	return out, err
}

// measure notes what each leaf moved, where that is asked for.
func (f *fan) measure(began time.Time) {
	if f.req.Measured == nil {
		return
	}
	for _, l := range f.leaves {
		m := plan.Measure{Tasks: len(l.parts)}
		for _, p := range l.parts {
			m.Rows, m.Bytes = m.Rows+p.rows, m.Bytes+int64(p.bytes)
			if p.ended.IsZero() { // not wanted to its end
				p.ended = time.Now()
			}
			m.Took = max(m.Took, p.ended.Sub(began))
		}
		f.req.Measured[l.leaf] = m
	}
}

// newFan is for the tasks below root, which collect makes parts of; cancel must
// be called in the end.
func newFan(ctx context.Context, req *Request, root plan.Node) *fan {
	f := &fan{req: req, root: root, budget: &merge.Budget{Limit: req.MemoryBudget, MaxRows: req.MaxRows}}
	if f.budget.Limit == 0 {
		f.budget.Limit = defaultMemoryBudget
	}
	// Cancelling is how answers nobody wants any more are ended on the servers.
	f.ctx, f.cancel = context.WithCancel(ctx)
	if root != nil {
		f.route = leafRoute(root)
	}
	return f
}

// collect makes the parts of all leaves.
func (f *fan) collect(n plan.Node) {
	switch n.(type) {
	case *plan.Route, *plan.Insert:
		f.leaf(n, f.req.Bound.Tasks.Of(n))
	}
	for _, c := range n.Children() {
		f.collect(c)
	}
}

// leaf makes the parts of a leaf.
func (f *fan) leaf(n plan.Node, tasks []plan.Task) {
	made, parts := make([]part, len(tasks)), make([]*part, len(tasks))
	for i := range tasks {
		made[i].task, parts[i] = &tasks[i], &made[i]
	}
	f.leaves = append(f.leaves, leafParts{n, parts})
	if f.parts == nil {
		f.parts = parts[:len(parts):len(parts)]
	} else {
		f.parts = append(f.parts, parts...)
	}
}

// wanted is what is asked of one cluster.
type wanted struct {
	cluster string
	target  topology.Target
	parts   []*part
}

// maxConns bounds the connections one statement takes to one cluster: a table
// of hundreds of shards must not empty a pool. More tasks share them.
const maxConns = 16

// acquire takes the connections, cluster by cluster in the order of their
// names: two statements that need the same clusters can't each hold what the
// other waits for. On error nothing is held.
func (f *fan) acquire() error {
	var all []wanted
	for _, p := range f.parts {
		i := slices.IndexFunc(all, func(w wanted) bool { return w.cluster == p.task.Cluster })
		if i < 0 {
			i = len(all)
			all = append(all, wanted{cluster: p.task.Cluster, target: p.task.Target})
		}
		if p.task.Target == topology.TargetPrimary {
			all[i].target = topology.TargetPrimary // it may answer what a replica may
		}
		all[i].parts = append(all[i].parts, p)
	}
	slices.SortFunc(all, func(a, b wanted) int { return strings.Compare(a.cluster, b.cluster) })
	for _, w := range all {
		conns, err := f.req.Conns.Acquire(f.ctx, w.cluster, w.target, min(len(w.parts), maxConns))
		if err == nil && len(conns) == 0 {
			err = sqlerr.New(sqlerr.UnknownError, "no connection to cluster %s was given", w.cluster)
		}
		if err != nil {
			for _, l := range f.links {
				f.req.Conns.Release(l.conn, nil)
			}
			return err
		}
		links := make([]*link, len(conns))
		for i, c := range conns {
			links[i] = &link{fan: f, conn: c, cluster: w.cluster}
		}
		for i, p := range w.parts {
			p.link = links[i%len(links)]
			p.link.parts = append(p.link.parts, p)
		}
		f.links = append(f.links, links...)
	}
	return nil
}

// send starts all connections' work. A statement that one server can't even
// prepare is found out before another has begun to run it.
func (f *fan) send() error {
	for _, l := range f.links {
		if len(l.parts) == 0 {
			continue
		}
		if p, err := l.prepare(); err != nil {
			l.err = err
			return renameError(err, p.task.Rename)
		}
	}
	for _, l := range f.links {
		l.send()
		if !f.req.InTurn {
			continue
		}
		for _, p := range l.parts {
			if err := p.begin(); err != nil {
				return err
			}
		}
	}
	return nil
}

// answer reads the answers and writes the client's.
func (f *fan) answer() (Outcome, error) {
	var out Outcome
	var err error
	if f.of(f.root) != nil && !f.rows() {
		out.OK, err = f.gather(f.root)
	} else {
		if out.Columns, out.Rows, err = f.merge(); err == nil && plan.CopiesReturn(f.root) {
			err = f.otherCopies()
		}
	}
	out.Shards = len(f.parts)
	for i, p := range f.parts {
		if p.state != partDone || p.err != nil {
			continue
		}
		out.GTIDs = addGTIDs(out.GTIDs, p.task.Cluster, p.ok.Tracked.GTIDs)
		if out.Columns > 0 {
			if i == 0 || !plan.Copies(f.root) {
				out.OK.Warnings = addWarnings(out.OK.Warnings, p.ok.Warnings)
			}
			out.OK.Status, out.OK.Tracked = p.ok.Status, p.ok.Tracked
		}
	}
	return out, f.unsafe(err)
}

// rows reports whether the answers are result sets: the first one tells. Where
// it is an error, what the plan is for must do.
func (f *fan) rows() bool {
	if f.parts[0].begin() != nil {
		return f.req.Bound.Plan.ReadOnly
	}
	return f.parts[0].header.Columns != nil
}

func (f *fan) merge() (columns int, n int64, err error) {
	rows, err := merge.Build(f.root, &merge.Options{
		Binary: f.req.Params != nil, Limits: f.req.Bound.Limits, PadWeight: f.req.PadWeight, Budget: f.budget, Leaf: f.streams,
	})
	if err != nil {
		return 0, 0, err
	}
	return show(f.req, rows)
}

func (f *fan) streams(n plan.Node) ([]merge.Rows, error) {
	if c, ok := n.(*plan.Const); ok {
		return []merge.Rows{newConstRows(c, f.req.Params != nil)}, nil
	}
	columns := 0
	if r, ok := n.(*plan.Route); ok {
		columns = r.Columns
	}
	parts := f.of(n)
	rows := make([]merge.Rows, len(parts))
	for i, p := range parts {
		rows[i] = partReader{p: p, columns: columns}
	}
	if plan.CopiesReturn(n) {
		return rows[:1], nil
	}
	if n, ok := n.(*plan.Insert); ok && n.Returns {
		return []merge.Rows{merge.NewInterleave(rows, tupleParts(parts), f.req.Params != nil)}, nil
	}
	return rows, nil
}

// tupleParts says of each tuple of an INSERT which part has it.
func tupleParts(parts []*part) []int {
	var of []int
	for i, p := range parts {
		for _, tuple := range p.task.Tuples {
			for len(of) <= tuple {
				of = append(of, 0)
			}
			of[tuple] = i
		}
	}
	return of
}

// otherCopies reads the answers of a change that returns rows from all copies
// but the first, whose rows are shown.
func (f *fan) otherCopies() error {
	first := f.parts[0]
	for _, p := range f.parts[1:] {
		all := -1
		p.discard(&all)
		if p.err != nil {
			return p.err
		}
		if p.rows != first.rows {
			return errCopiesDiffer(uint64(first.rows), first.task.Cluster, uint64(p.rows), p.task.Cluster)
		}
	}
	return nil
}

// unsafe makes an error that one server says is safe to retry one that isn't
// where another server has been sent its part.
func (f *fan) unsafe(err error) error {
	if err == nil || !sqlerr.SafeToRetry(err) {
		return err
	}
	for _, p := range f.parts {
		if p.link.sent > 0 && !sqlerr.SafeToRetry(p.err) {
			e := sqlerr.From(err)
			return &sqlerr.Error{Code: e.Code, State: e.State, Message: e.Message}
		}
	}
	return err
}

var errAbandoned = errors.New("executor: the answer was not wanted to its end")

const (
	// drainTime and drainBytes bound reading the rest of an answer so as to
	// keep its connection; beyond, making a new one is cheaper. Shards whose
	// LIMIT was satisfied by others mostly have a few rows under way.
	drainTime  = 20 * time.Millisecond
	drainBytes = 1 << 20
)

// release gives every connection back: first those whose answers are read,
// then the others, drained where that is short or must be, else their
// statement is killed.
func (f *fan) release() {
	var open []*link
	for _, l := range f.links {
		switch {
		case l.read >= l.sent:
			f.req.Conns.Release(l.conn, l.err)
		case f.mustKeep(l):
			l.drain(-1)
			f.req.Conns.Release(l.conn, l.err)
		default:
			open = append(open, l)
		}
	}
	if len(open) == 0 {
		return
	}
	timer := time.AfterFunc(max(f.req.drainTime, drainTime), f.cancel)
	defer timer.Stop()
	var late []*link
	for _, l := range open {
		if f.ctx.Err() == nil && l.drain(drainBytes) {
			f.req.Conns.Release(l.conn, l.err)
		} else {
			late = append(late, l)
		}
	}
	f.cancel()
	for _, l := range late {
		f.req.Conns.Release(l.conn, errAbandoned)
	}
}

// mustKeep: closing the connection would lose a transaction or what the
// session said must be kept.
func (f *fan) mustKeep(l *link) bool {
	status := l.conn.Status()
	return f.req.KeepConns || status&wire.StatusInTrans != 0 || status&wire.StatusAutocommit == 0
}

// drain reads what was sent for to its end, or up to so many bytes.
func (l *link) drain(bound int) bool {
	for l.read < l.sent {
		if !l.parts[l.read].discard(&bound) {
			return false
		}
	}
	return true
}
