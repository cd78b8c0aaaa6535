package executor

import (
	"context"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// errNotRun is what a task has that was not sent because another failed.
type errNotRun struct{}

func (errNotRun) Error() string { return "executor: not run" }

// RunJob runs a definition on the tasks of its route: on the first alone, whose
// server finds most of what can be wrong with it, then on all others. ended is
// told after each of both how the tasks went. The error is the first one's, as
// its server says it.
func RunJob(ctx context.Context, req *Request, route *plan.Route, tasks []plan.Task, ended func(tasks []plan.Task, errs []error)) (Outcome, error) {
	var out Outcome
	for _, some := range [][]plan.Task{tasks[:min(1, len(tasks))], tasks[min(1, len(tasks)):]} {
		if len(some) == 0 {
			break
		}
		one, errs, err := runTasks(ctx, req, route, some)
		out = addOutcome(out, one)
		ended(some, errs)
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// runTasks runs tasks side by side; errs has one for each.
func runTasks(ctx context.Context, req *Request, route *plan.Route, tasks []plan.Task) (Outcome, []error, error) {
	bound, r := *req.Bound, *req
	bound.Tasks = plan.Tasks{{Leaf: route, Tasks: tasks}}
	r.Bound, r.Undone = &bound, true
	f := newFan(ctx, &r, route)
	f.collect(route)
	defer func() { f.cancel() }()
	errs := make([]error, len(tasks))
	for i := range errs {
		errs[i] = errNotRun{}
	}
	if err := f.acquire(); err != nil {
		return Outcome{}, errs, err
	}
	err := f.send()
	var out Outcome
	if err == nil {
		out, err = f.answer()
	}
	for i, p := range f.parts {
		if errs[i] = p.err; p.state != partDone && p.err == nil {
			errs[i] = errNotRun{}
		}
	}
	f.release()
	return out, errs, err
}

// addOutcome puts the answers of one statement's tasks together.
func addOutcome(a, b Outcome) Outcome {
	if a.Shards == 0 {
		return b
	}
	b.OK.Info = addInfo([]*wire.OK{&a.OK, &b.OK})
	b.OK.AffectedRows += a.OK.AffectedRows
	b.OK.Warnings = addWarnings(a.OK.Warnings, b.OK.Warnings)
	b.Shards += a.Shards
	for cluster, gtids := range a.GTIDs {
		b.GTIDs = addGTIDs(b.GTIDs, cluster, gtids)
	}
	return b
}
