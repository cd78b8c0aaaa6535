package executor

import (
	"bytes"
	"context"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// relay runs the one task and moves its answer on without decoding rows. This
// is the way of most statements.
func relay(ctx context.Context, req *Request, task *plan.Task) (Outcome, error) {
	conns, err := req.Conns.Acquire(ctx, task.Cluster, task.Target, 1)
	if err != nil {
		return Outcome{}, err
	}
	c := conns[0]
	out := Outcome{Rows: -1, Shards: 1}
	out.OK, out.Columns, err = relayAll(c, req, task)
	if err == nil {
		out.OK.Info = bytes.Clone(out.OK.Info) // it borrows from the read buffer, and warnings may be read next
		if out.Columns > 0 {
			out.Rows = c.Relayed()
		}
		out.GTIDs = addGTIDs(nil, task.Cluster, out.OK.Tracked.GTIDs)
		numberRows(req.Bound, &out.OK)
	}
	req.Conns.Release(c, err)
	return out, renameError(err, task.Rename)
}

func relayAll(c *backend.Conn, req *Request, task *plan.Task) (wire.OK, int, error) {
	if err := send(c, req, task); err != nil {
		return wire.OK{}, 0, err
	}
	opt := backend.RelayOptions{DeprecateEOF: req.DeprecateEOF, Status: req.Status}
	if task.Rename != nil {
		opt.Column = (&columnNames{rename: task.Rename}).undo
	}
	for {
		ok, columns, err := c.Relay(req.Out, opt)
		if err != nil || ok.Status&wire.StatusMoreResults == 0 {
			return ok, columns, err
		}
		if req.EndOfResult == nil {
			return ok, columns, errSeveralResults()
		}
		if err := req.EndOfResult(ok, columns); err != nil {
			return ok, columns, &backend.ClientError{Err: err}
		}
	}
}

func errSeveralResults() error {
	return sqlerr.Refuse("this statement", "the server answered with more than one result", "run it on one shard")
}

// send queues one task and flushes it.
func send(c *backend.Conn, req *Request, task *plan.Task) error {
	if err := queue(c, req, task); err != nil {
		return err
	}
	return c.Flush()
}

// queue queues one task. A prepared statement is prepared first where this
// connection hasn't; then nothing may be outstanding on it.
func queue(c *backend.Conn, req *Request, task *plan.Task) error {
	if req.Params == nil {
		c.Query(task.SQL)
		return nil
	}
	var few [8]wire.Param
	params := paramsOf(task, req, few[:0])
	stmt, err := c.PrepareFor(task.SQL, params)
	if err != nil {
		return err
	}
	c.Execute(stmt, params)
	return nil
}

// paramsOf appends the parameters of the task.
func paramsOf(task *plan.Task, req *Request, to []wire.Param) []wire.Param {
	for _, i := range task.Markers {
		to = append(to, req.Params.Param(i))
	}
	return to
}

// numberRows: LAST_INSERT_ID() is the first number Serval gave, which to the
// server was a value like any other.
func numberRows(b *plan.Bound, ok *wire.OK) {
	if b.FirstNumber != 0 {
		ok.LastInsertID = b.FirstNumber
	}
}
