// Package executor runs a bound plan: sends each task to its server, relays
// one answer or merges many, within time and memory budgets.
package executor

import (
	"context"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// Conns gives the executor its connections. The session implements it: in a
// transaction it answers with the transaction's own connection of the cluster.
type Conns interface {
	// Acquire gives up to n connections to the cluster for this target, at
	// least one, in the session's state (Want is queued), armed with ctx.
	// Fewer than n means: run several tasks on one, in turn.
	Acquire(ctx context.Context, cluster string, target topology.Target, n int) ([]*backend.Conn, error)
	// Release ends the statement's use of a connection; err as for
	// backend.Conn.Release.
	Release(c *backend.Conn, err error)
}

// Params gives the values of ? for prepared statements; plan.Args of a
// prepared statement implement it.
type Params interface {
	Param(i int) wire.Param
}

// Request is one run of a bound plan.
type Request struct {
	Bound *plan.Bound
	Conns Conns
	// Params is set for a prepared statement: then the answer has binary rows.
	Params Params
	// Out receives column definitions and rows, in the client's dialect.
	Out *wire.Writer
	// DeprecateEOF: the client wants no EOF behind the column definitions.
	DeprecateEOF bool
	// Status goes into that EOF.
	Status uint16
	// MemoryBudget bounds what merging may hold, in bytes; 0 means the default.
	MemoryBudget int64
	// MaxRows bounds the rows merging may hold, and those moved to finish the
	// statement on one server; 0 means none for the former and the default for
	// the latter. FinishBytes bounds the bytes of those moved; 0 means the
	// default.
	MaxRows, FinishBytes int64
	// Measured, if not nil, is given what each node of the plan moved.
	Measured map[plan.Node]plan.Measure
	// PadWeight gives the weight of a space in a collation by its id, nil
	// where trailing spaces count.
	PadWeight func(collation uint16) []byte
	// EndOfResult writes what closes a result that another one follows
	// (CALL): an OK where columns is 0, else an EOF, with
	// SERVER_MORE_RESULTS_EXISTS. Nil refuses such answers. The last result's
	// end is the Outcome.
	EndOfResult func(ok wire.OK, columns int) error
	// KeepConns: the connections hold what must outlive the statement (a
	// transaction, a temporary table). An answer that isn't wanted to its end
	// is then read to its end; else its connection may be closed instead.
	KeepConns bool
	// Undone: where some shards fail the session takes back what the others
	// applied, so the error need not tell of it.
	Undone bool
	// Apart gives the connection a plan.Finish is finished on. Nil refuses such
	// plans.
	Apart Apart
	// InTurn: clusters run their tasks one after the other, in the order of
	// their names, and none after one has failed. Changes that keep their locks
	// until all are done can then not wait for each other in a circle that no
	// server sees.
	InTurn bool
	// drainTime is longer than the constant where a test must not depend on how
	// busy the machine is.
	drainTime time.Duration
	// Warned, if not nil, is called for each task that ended with warnings,
	// before anything else runs on its connection; of several copies for the
	// first. Tasks of one connection then are not sent ahead.
	Warned func(c *backend.Conn, task *plan.Task)
	// Repeated, if not nil, is Warned for a read that may be run again: tasks are
	// sent ahead, and those whose warnings the next one on the connection took away
	// are repeated for them. It is called for all tasks then, or for none.
	Repeated func(c *backend.Conn, task *plan.Task)
}

// Apart gives connections that are no part of a transaction or anything else the
// session holds. The session implements it.
type Apart interface {
	// TakeApart gives a connection to any server of the cluster that the
	// target allows, in no particular state. How many there are at once is
	// bounded apart from all others, so that whoever waits for one holds
	// nothing that those who have one wait for.
	TakeApart(ctx context.Context, cluster string, target topology.Target) (*backend.Conn, error)
	// State is the session's, for statements that name their databases.
	State() *backend.State
	// Own: the connection is one the session holds, which the fragments may need
	// too; so their rows are read first.
	Own() bool
	// Begun: the warnings told from now on are the statement's; Warned tells those
	// of what has just run on the connection, before its end.
	Begun()
	Warned(c *backend.Conn)
	// Ended looks after what the client's statement left on the connection
	// (warnings, variables), before anything else is run there; err is the
	// statement's.
	Ended(c *backend.Conn, err error)
	// ReturnApart ends its use. clean: the next one may have it; else it is
	// closed.
	ReturnApart(c *backend.Conn, clean bool)
	// Later has do run once the client has its answer, and before the session's
	// next statement.
	Later(do func())
}

// defaultMemoryBudget is what one statement's merge may hold.
const defaultMemoryBudget = 64 << 20

// Outcome is what a run left for the session to tell the client: the closing
// OK or EOF is the session's to write.
type Outcome struct {
	// Columns is the number of shown columns; 0 means the answer is only OK.
	Columns int
	// KeepsID: LAST_INSERT_ID() stays what it was, whatever OK tells.
	KeepsID bool
	// OK is the servers' closing OK; counts are added over shards, Tracked is
	// that of the last.
	OK wire.OK
	// Rows is how many rows were written, -1 where they were relayed uncounted.
	Rows int64
	// Shards is how many servers' tasks ran.
	Shards int
	// GTIDs are the GTIDs the servers reported, by cluster.
	GTIDs map[string]string
}

// Run runs the request. On error, rows may have been written already: the
// session then ends the answer with ERR. Every connection acquired is released
// once, whatever happens.
//
// One task whose answer is shown as it is, is relayed undecoded. Several tasks
// are all sent before the first answer is read; there is no goroutine, for the
// servers work side by side and the client takes one row at a time anyway.
func Run(ctx context.Context, req *Request) (Outcome, error) {
	root := req.Bound.Plan.Root
	if task := onlyTask(req.Bound, root); task != nil && req.Measured == nil {
		return relay(ctx, req, task)
	}
	if c, ok := root.(*plan.Const); ok {
		return showConst(req, c)
	}
	if seq, ok := root.(*plan.Sequence); ok {
		return sequence(ctx, req, seq)
	}
	if n, ok := root.(*plan.Finish); ok {
		return runFinish(ctx, req, n)
	}
	return fanOut(ctx, req, root)
}

// sequence runs steps one after the other; the last step's answer counts, and
// everybody's GTIDs.
func sequence(ctx context.Context, req *Request, seq *plan.Sequence) (Outcome, error) {
	var out Outcome
	for i, step := range seq.Steps {
		before := out
		var err error
		out, err = fanOut(ctx, req, step)
		out.Shards += before.Shards
		for cluster, gtids := range out.GTIDs {
			before.GTIDs = addGTIDs(before.GTIDs, cluster, gtids)
		}
		out.GTIDs = before.GTIDs
		if err != nil {
			return out, err
		}
		if i == len(seq.Steps)-1 {
			break
		}
		if out.Columns > 0 {
			return out, sqlerr.New(sqlerr.UnknownError, "a step of the statement answered with rows")
		}
		if r, ok := req.Conns.(retractor); ok {
			r.Retract() // notes of Serval's own statements are not the client's
		}
	}
	return out, nil
}

// onlyTask is the task of a plan that is nothing but one task.
func onlyTask(b *plan.Bound, root plan.Node) *plan.Task {
	switch n := root.(type) {
	case *plan.Route:
		if n.Hidden > 0 {
			return nil
		}
	case *plan.Insert:
	default:
		return nil
	}
	if tasks := b.Tasks.Of(root); len(tasks) == 1 {
		return &tasks[0]
	}
	return nil
}
