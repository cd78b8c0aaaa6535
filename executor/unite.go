package executor

import (
	"bytes"
	"slices"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// A statement to several shards of one server can be one statement there: its
// texts joined by UNION ALL. That takes one connection and one round trip
// instead of one a shard, and about half of the server's work where each shard
// has little to do; but the shards are read one after the other, so where they
// have much to do it takes longer. Which it is, earlier runs tell (habit.go):
// the first one of a plan always asks each shard by itself.
//
// The answer's columns are those of the earlier run: of a UNION a server says
// neither table nor keys, and may say another type. Where it does say another
// type, or anything goes wrong, the shards are asked one by one again; until
// then all rows are held, and nothing has gone to the client.

const (
	// unitedBudget is the most that an answer may turn out to have.
	unitedBudget = 1 << 20
	// unitedArms bounds the shards in one statement.
	unitedArms = 32
)

// leafRoute is the only leaf below root, nil if there are several, it is no
// Route, or what it sends is no query (SHOW).
func leafRoute(root plan.Node) *plan.Route {
	for {
		if r, ok := root.(*plan.Route); ok {
			return r
		}
		c := root.Children()
		if _, show := root.(*plan.Told); show || len(c) != 1 {
			return nil
		}
		root = c[0]
	}
}

// learned is what is known of the route; nil where nothing is.
func (f *fan) learned() *habit {
	if f.route == nil {
		return nil
	}
	h, _ := f.route.Learned[f.form()].Load().(*habit)
	return h
}

// form is 1 for a prepared statement, whose binary answer may have other types.
func (f *fan) form() int {
	if f.req.Params != nil {
		return 1
	}
	return 0
}

// learn notes a run that succeeded.
func (f *fan) learn(began time.Time) {
	if f.route == nil || f.req.KeepConns || len(f.parts) < 2 && f.united == nil || !f.req.Bound.Plan.ReadOnly || f.parts[0].header.Columns == nil {
		return
	}
	h := f.learned()
	if h == nil {
		f.route.Learned[f.form()].CompareAndSwap(nil, &habit{})
		h = f.learned()
	}
	took, size := time.Since(began), 0
	for _, p := range f.parts {
		size += p.bytes
	}
	if f.united != nil {
		h.noteUnited(took, size)
	} else {
		h.noteApart(took, f.parts[0].header.Columns, size)
	}
}

// unite replaces the tasks of each cluster by one, if that may be and pays;
// else it reports false and changes nothing.
func (f *fan) unite() bool {
	h := f.learned()
	if h == nil || f.req.KeepConns || f.req.InTurn || f.req.Measured != nil || !f.req.Bound.Plan.ReadOnly {
		return false
	}
	if len(f.parts) < 2 || bytes.Contains(f.parts[0].task.SQL, []byte("/*")) {
		return false // a hint is for a whole statement
	}
	var tasks [][]*plan.Task
	for _, p := range f.parts {
		i := slices.IndexFunc(tasks, func(t []*plan.Task) bool {
			return t[0].Cluster == p.task.Cluster && t[0].Target == p.task.Target
		})
		if i < 0 {
			i, tasks = len(tasks), append(tasks, nil)
		}
		tasks[i] = append(tasks[i], p.task)
	}
	arms := 0
	for _, t := range tasks {
		arms = max(arms, len(t))
	}
	if arms < 2 || arms > unitedArms || !h.together(arms) {
		return false
	}
	f.united = f.parts
	f.parts = make([]*part, len(tasks))
	for i, t := range tasks {
		f.parts[i] = &part{task: unitedTask(t)}
	}
	f.leaves[f.route] = f.parts
	return true
}

// unitedTask is one statement for several shards. The LIMIT keeps
// sql_select_limit from cutting it; a line's end ends a comment.
func unitedTask(tasks []*plan.Task) *plan.Task {
	if len(tasks) == 1 {
		return tasks[0]
	}
	t := *tasks[0]
	t.SQL, t.Markers = make([]byte, 0, len(tasks)*(len(t.SQL)+16)+32), nil
	for i, arm := range tasks {
		if i > 0 {
			t.SQL = append(t.SQL, " UNION ALL "...)
		}
		t.SQL = append(t.SQL, '(')
		t.SQL = append(append(t.SQL, arm.SQL...), "\n)"...)
		t.Markers = append(t.Markers, arm.Markers...)
	}
	t.SQL = append(t.SQL, " LIMIT 18446744073709551615"...)
	return &t
}

// retractor is a Conns that keeps what servers tell beside their answers.
type retractor interface {
	// Retract forgets what was told of this statement so far, for it is run anew.
	Retract()
}

// runUnited asks each server once. It is not done where the shards must be
// asked one by one after all; then nothing was written.
func (f *fan) runUnited(began time.Time) (out Outcome, done bool, err error) {
	if err := f.acquire(); err != nil {
		return Outcome{}, true, err
	}
	defer f.release()
	if err := f.readUnited(); err != nil {
		if f.ctx.Err() != nil {
			return Outcome{}, true, err
		}
		f.learned().noteFailed()
		return Outcome{}, false, err
	}
	out, err = f.answer()
	out.Shards = len(f.united)
	if err == nil {
		f.learn(began)
	}
	return out, true, err
}

// readUnited reads all answers into memory and gives them the columns that the
// shards' own have.
func (f *fan) readUnited() error {
	limit := f.budget.Limit
	f.budget.Limit = min(limit, unitedBudget)
	defer func() { f.budget.Limit = limit }()
	if err := f.send(); err != nil {
		return err
	}
	want := f.learned().shown()
	for _, p := range f.parts {
		if err := p.readAhead(); err != nil {
			return err
		}
		if p.err != nil {
			return p.err
		}
		if p.ok.Warnings > 0 { // of a date that a temporary table of the UNION does not take
			return sqlerr.New(sqlerr.UnknownError, "the shards warn together")
		}
		if !slices.EqualFunc(p.header.Columns, want, sameColumn) {
			return sqlerr.New(sqlerr.UnknownError, "the shards' columns are others together than apart")
		}
		p.header.Columns = slices.Clone(want)
	}
	return nil
}

// sameColumn: values of both are written alike, and what a client sees of the
// columns differs at most in where they are from.
func sameColumn(x, y wire.Column) bool {
	const shape = wire.FlagUnsigned | wire.FlagZerofill | wire.FlagEnum | wire.FlagSet
	return x.Type == y.Type && x.Charset == y.Charset && x.Decimals == y.Decimals && x.Length == y.Length &&
		x.Flags&shape == y.Flags&shape && bytes.Equal(x.Name, y.Name)
}
