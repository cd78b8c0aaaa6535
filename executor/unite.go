package executor

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/servaldb/serval/executor/merge"
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
	// unitedTries: with less than the LIMIT of each shard, then with all of it.
	unitedTries = 2
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
	if f.route == nil || f.req.KeepConns || len(f.parts) < 2 && f.united == 0 || !f.req.Bound.Plan.ReadOnly || f.parts[0].header.Columns == nil {
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
	if f.united > 0 {
		h.noteUnited(took, size)
	} else {
		h.noteApart(took, f.parts[0].header.Columns, size)
		h.noteText(f.parts[0].task.SQL)
	}
}

// unite makes one part a cluster, if that may be and pays; else it reports
// false and makes none.
func (f *fan) unite() bool {
	h := f.learned()
	if h == nil || f.req.KeepConns || f.req.InTurn || f.req.Measured != nil || !f.req.Bound.Plan.ReadOnly {
		return false
	}
	all := f.req.Bound.Tasks.Of(f.route)
	if len(all) < 2 || bytes.Contains(all[0].SQL, []byte("/*")) {
		return false // a hint is for a whole statement
	}
	var tasks [][]*plan.Task
	for k := range all {
		t := &all[k]
		i := slices.IndexFunc(tasks, func(of []*plan.Task) bool {
			return of[0].Cluster == t.Cluster && of[0].Target == t.Target
		})
		if i < 0 {
			i, tasks = len(tasks), append(tasks, make([]*plan.Task, 0, len(all)))
		}
		tasks[i] = append(tasks[i], t)
	}
	arms := 0
	for _, t := range tasks {
		arms = max(arms, len(t))
	}
	if arms < 2 || arms > unitedArms || !h.together(arms) {
		return false
	}
	if len(tasks) == 1 {
		f.short = f.shorten(tasks[0], h)
	}
	united := make([]plan.Task, len(tasks))
	for i, t := range tasks {
		united[i] = unitedTask(t, f.short)
	}
	f.united, f.often, f.spare = len(all), h.plain(), h.takeSpare()
	f.leaf(f.route, united)
	return true
}

// unitedTask is one statement for several shards. The LIMIT keeps
// sql_select_limit from cutting it; a line's end ends a comment.
func unitedTask(tasks []*plan.Task, s short) plan.Task {
	t := *tasks[0]
	if len(tasks) == 1 {
		return t
	}
	t.SQL, t.Markers = make([]byte, 0, len(tasks)*(len(t.SQL)+16)+32), nil
	for i, arm := range tasks {
		if i > 0 {
			t.SQL = append(t.SQL, " UNION ALL "...)
		}
		t.SQL = append(s.appendArm(append(t.SQL, '('), arm, i), "\n)"...)
		t.Markers = append(t.Markers, arm.Markers...)
	}
	t.SQL = append(t.SQL, " LIMIT 18446744073709551615"...)
	return t
}

// retractor is a Conns that keeps what servers tell beside their answers.
type retractor interface {
	// Retract forgets what was told of this statement so far, for it is run anew.
	Retract()
}

// runUnited asks each server once. It is not done where the shards must be
// asked another way after all; then nothing was written.
func (f *fan) runUnited(began time.Time) (out Outcome, done bool, err error) {
	if err := f.acquire(); err != nil {
		return Outcome{}, true, err
	}
	h := f.learned()
	defer func() {
		f.release()
		h.returnSpare(f.spare)
	}()
	if err := f.readUnited(h.shown()); err != nil {
		switch {
		case f.ctx.Err() != nil:
			return Outcome{}, true, err
		case errors.Is(err, errShort):
			h.noteShort(false)
		default:
			h.noteFailed()
		}
		return Outcome{}, false, err
	}
	out, err = f.answer()
	out.Shards = f.united
	if err == nil {
		f.learn(began)
	}
	return out, true, err
}

// readUnited reads all answers into memory, sorts each as a shard's would be,
// and gives them the columns that the shards' own have.
func (f *fan) readUnited(want []wire.Column) error {
	limit := f.budget.Limit
	f.budget.Limit = min(limit, unitedBudget)
	defer func() { f.budget.Limit = limit }()
	if err := f.send(); err != nil {
		return err
	}
	for i, p := range f.parts {
		if i == 0 {
			p.spool, p.chunk = f.spare.rows[:0], f.spare.chunk[:0]
		}
		if err := p.readAhead(); err != nil {
			return err
		}
		if i == 0 {
			f.spare.rows, f.spare.chunk = p.spool, p.chunk
		}
		if p.err != nil {
			return p.err
		}
		if p.ok.Warnings > 0 { // of a date that a temporary table of the UNION does not take
			return sqlerr.New(sqlerr.UnknownError, "the shards warn together")
		}
		if err := f.sortUnited(p, want); err != nil {
			return err
		}
		p.header.Columns = slices.Clone(want)
	}
	return nil
}

// sortUnited sorts the rows of several shards, where those of one are sorted.
func (f *fan) sortUnited(p *part, want []wire.Column) error {
	columns, numbered := p.header.Columns, f.short.each > 0
	if numbered {
		columns = columns[:max(0, len(columns)-1)]
	}
	if !slices.EqualFunc(columns, want, sameColumn) {
		return sqlerr.New(sqlerr.UnknownError, "the shards' columns are others together than apart")
	}
	by, binary := sortOf(f.root), f.req.Params != nil
	if numbered {
		width := len(p.header.Columns)
		var err error
		if f.spare.arms, err = cutArms(f.spare.arms, p.spool, &p.header.Columns[width-1], width, binary); err != nil {
			return err
		}
	}
	if by == nil {
		return nil
	}
	sorted := &f.spare.sort
	if err := sorted.Sort(want, by.Keys, p.spool, &merge.Options{Binary: binary, PadWeight: f.req.PadWeight}); err != nil {
		return err
	}
	if !numbered {
		return nil
	}
	if !f.short.enough(len(p.spool), func(i int) uint8 { return f.spare.arms[sorted.At(i)] }) {
		return errShort
	}
	f.learned().noteShort(true)
	return nil
}

// sameColumn: values of both are written alike, and what a client sees of the
// columns differs at most in where they are from.
func sameColumn(x, y wire.Column) bool {
	const shape = wire.FlagUnsigned | wire.FlagZerofill | wire.FlagEnum | wire.FlagSet
	return x.Type == y.Type && x.Charset == y.Charset && x.Decimals == y.Decimals && x.Length == y.Length &&
		x.Flags&shape == y.Flags&shape && bytes.Equal(x.Name, y.Name)
}
