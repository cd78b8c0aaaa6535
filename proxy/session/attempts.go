package session

import (
	"context"
	"errors"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// maxAttempts bounds the attempts of one statement: several servers may go at
// the same time.
const maxAttempts = 4

// attempts runs a statement until it is done, or is not to be tried again: what a failed
// attempt has put into the client's buffer is taken back, while nothing of it has left.
func (s *Session) attempts(ctx context.Context, e *planned, args plan.Args, params *preparedArgs) (*plan.Bound, executor.Outcome, error) {
	before := answered{s.out.Written(), s.out.Buffered(), s.out.Seq()}
	s.behind, s.lookups, s.sure = false, before.buffered == 0, false
	for attempt := 1; ; attempt++ {
		bound, out, err := s.once(ctx, e, args, params)
		untouched := s.untouched(before)
		switch {
		case err == nil && lookedInVain(bound, &out):
			if !untouched {
				return bound, out, errLookedInVain()
			}
			s.lookups = false
			s.deps.Places.forget(s.parents)
		case err != nil && untouched && s.misplaced(bound, err):
			s.sure = true
		case err == nil || attempt == maxAttempts || !untouched || !s.mayRetry(ctx, e, bound, err):
			return bound, out, err
		default:
			s.finished.Retried = true
		}
		s.takeBack(before)
	}
}

// once binds the statement to shards and runs it there.
func (s *Session) once(ctx context.Context, e *planned, args plan.Args, params *preparedArgs) (bound *plan.Bound, out executor.Outcome, err error) {
	s.enclosed, s.lease.joined = false, ""
	bound, err = s.bind(ctx, e.plan, args, params)
	if err == nil && params != nil && runsAsText(bound) { // its parts are run as text
		bound, err = s.bind(ctx, e.plan, literalArgs{params, s.settings.mode&parser.NoBackslashEscapes != 0}, params)
	}
	if err == nil {
		err = s.enclose(e, bound)
	}
	if err == nil {
		out, err = s.guarded(ctx, e, bound, params)
	}
	if s.enclosed && err != nil {
		s.undo(ctx)
	}
	return bound, out, err
}

// enclose begins a transaction for a change on several shards with autocommit
// on: where one of them fails, the others must not keep their part.
func (s *Session) enclose(e *planned, bound *plan.Bound) error {
	if e.plan.ReadOnly || s.tx.State() == txn.Open || !runsInTransaction(e.kind) ||
		!inParts(bound) && (tasks(bound) < 2 || finishes(bound)) {
		return nil
	}
	s.enclosed = true
	return s.open(txn.Options{})
}

// runsAsText: the statement's parts take no parameters.
func runsAsText(bound *plan.Bound) bool {
	_, creates := bound.Plan.Root.(*plan.CreateFrom)
	return creates || bound.Staged != nil
}

// inParts: the statement runs others of Serval's, each of which changes rows.
func inParts(bound *plan.Bound) bool {
	_, loads := bound.Plan.Root.(*plan.Load)
	return loads || bound.Staged != nil
}

// undo rolls back though the statement's own time may be up.
func (s *Session) undo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
	defer cancel()
	_ = s.tx.Rollback(ctx)
}

// guarded runs the bound plan once; in a transaction, a change on several
// shards that fails on one is taken back on the others.
func (s *Session) guarded(ctx context.Context, e *planned, bound *plan.Bound, params *preparedArgs) (executor.Outcome, error) {
	if inParts(bound) {
		return s.allOrNothing(ctx, func(ctx context.Context) (executor.Outcome, error) {
			if bound.Staged == nil {
				return s.load(ctx)
			}
			return s.runStaged(ctx, bound.Staged)
		})
	}
	if e.plan.ReadOnly || s.tx.State() == txn.Idle || s.enclosed || tasks(bound) < 2 || finishes(bound) {
		return s.attempt(ctx, e, bound, params)
	}
	if err := s.tx.Guard(ctx); err != nil {
		return executor.Outcome{}, err
	}
	out, err := s.attempt(ctx, e, bound, params)
	if err == nil {
		s.tx.Unguard()
		return out, nil
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
	defer cancel()
	s.tx.Undo(undo)
	return out, err
}

// attempt runs the bound plan once.
func (s *Session) attempt(ctx context.Context, e *planned, bound *plan.Bound, params *preparedArgs) (executor.Outcome, error) {
	l := &s.lease
	l.prepare(e.plan.NeedsDB)
	l.pins, l.vars, l.countFound = e.plan.Effects.Pins, e.plan.Effects.UserVars, e.plan.Effects.Found.Kind == plan.FoundAsked
	l.numbers = e.plan.Effects.Numbers || e.plan.Effects.Meets && s.c.Capabilities&capFoundRows != 0
	l.writes = !e.plan.ReadOnly
	consistency := s.options.consistency
	if e.hints.Consistency != "" {
		consistency = e.hints.Consistency
	}
	l.noGTID = consistency == consistencyEventual
	l.primary = consistency == consistencyGlobal || e.hints.Target == "primary" || s.behind
	s.diag.bound = bound
	req := &s.request
	*req = executor.Request{
		Bound: bound, Conns: l, Out: s.out, DeprecateEOF: s.c.Capabilities&wire.CapDeprecateEOF != 0,
		Status: s.status(), MemoryBudget: s.deps.Limits.MemoryBudget, MaxRows: s.options.maxRows, FinishBytes: s.deps.Limits.FinishBytes, PadWeight: s.padWeight,
		EndOfResult: s.endOfResult, KeepConns: s.tx.State() == txn.Open || len(s.pinned) > 0 || l.pins != "",
		Undone: s.tx.Guarded() || s.enclosed || s.staging, InTurn: s.enclosed, Apart: s.apartFor(e, bound),
	}
	if params != nil {
		req.Params = params
	}
	if s.expectsWarnings(e, bound) {
		req.Warned = s.warned
	} else if e.plan.ReadOnly && harmless(&e.plan.Effects) {
		req.Repeated = s.warned
	}
	if _, finished := bound.Plan.Root.(*plan.Finish); finished && req.MaxRows == 0 {
		req.MaxRows = s.deps.Limits.FinishRows
	}
	if s.analysis != nil {
		*s.analysis = analysis{measured: map[plan.Node]plan.Measure{}, bound: bound}
		req.Measured = s.analysis.measured
	}
	var out executor.Outcome
	var err error
	switch n := e.plan.Root.(type) {
	case *plan.DefineView:
		out, err = s.defineView(ctx, n, bound)
	case *plan.Jobs:
		out, err = s.runJobs(ctx, n, req)
	case *plan.Loadable:
		return s.loadable(ctx, n, bound)
	case *plan.CreateFrom:
		return s.createFrom(ctx, n, bound)
	case *plan.Emptied:
		out, err = s.empty(ctx, n)
	case *plan.CreateLike:
		return s.createLike(ctx, n)
	case *plan.Job:
		out, err = s.runJob(ctx, n, req)
	default:
		out, err = executor.Run(ctx, req)
	}
	l.abandon(err)
	if err == nil {
		err = l.readBack
	}
	return out, err
}

// mayRetry: the statement certainly did nothing, or it only reads and its
// connection was lost. In a transaction only a failure to join may be tried
// again, which leaves the transaction as it was.
func (s *Session) mayRetry(ctx context.Context, e *planned, bound *plan.Bound, err error) bool {
	if s.doomed || errors.Is(err, backend.ErrWaited) {
		return false // what it relied on went with a pinned connection, or it would wait again
	}
	if sqlerr.SafeToRetry(err) {
		if s.tx.State() == txn.Idle {
			return true
		}
		if joined := s.lease.joined; joined != "" && bound != nil && tasks(bound) == 1 && s.pinned[joined] == nil {
			// The cluster took part for this statement alone, which a server
			// that is no primary any more has refused.
			s.tx.Leave(ctx, joined)
		}
		return !s.tx.Damaged()
	}
	if !e.plan.ReadOnly || s.tx.State() != txn.Idle || len(s.pinned) > 0 {
		return false
	}
	if unknownName(err) && !s.lease.primary && e.hints.Target != "replica" && readsReplica(bound) {
		s.behind = true
		return true
	}
	return txn.Broken(err) && !ended(err)
}

// unknownName reports an error about a name the server does not know. A replica
// that is behind does not know yet what another session has created.
func unknownName(err error) bool {
	switch sqlerr.From(err).Code {
	case sqlerr.NoSuchTable, sqlerr.BadField, sqlerr.BadDB, errNoRoutine:
		return true
	}
	return false
}

// errNoRoutine is ER_SP_DOES_NOT_EXIST.
const errNoRoutine = 1305

func readsReplica(b *plan.Bound) bool {
	if b == nil {
		return false
	}
	for _, leaf := range b.Tasks {
		for i := range leaf.Tasks {
			if leaf.Tasks[i].Target == topology.TargetReplica {
				return true
			}
		}
	}
	return false
}

// ended reports an error that is the statement's own end, not a server's.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// answered is how far a client's answer has got.
type answered struct {
	written  int64
	buffered int
	seq      uint8
}

// untouched: nothing has left since, so what has been buffered can be taken back.
func (s *Session) untouched(since answered) bool {
	return s.out.Written() == since.written && (s.out.Buffered() == since.buffered || since.buffered == 0)
}

// takeBack drops what a failed attempt has put into the client's buffer; the
// caller has seen that nothing of it has left.
func (s *Session) takeBack(to answered) {
	if s.out.Buffered() != to.buffered {
		s.out.Reset(s.sink) // it was empty before the attempt
	}
	s.out.SetSeq(to.seq)
}

func tasks(b *plan.Bound) int {
	n := 0
	for i := range b.Tasks {
		n += len(b.Tasks[i].Tasks)
	}
	return n
}
