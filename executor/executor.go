// Package executor runs a bound plan: sends each task to its server, relays
// one answer or merges many, within time and memory budgets.
package executor

import (
	"context"
	"errors"

	"github.com/servaldb/serval/backend"
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
	// PadWeight gives the weight of a space in a collation by its id, nil
	// where trailing spaces count.
	PadWeight func(collation uint16) []byte
}

// Outcome is what a run left for the session to tell the client: the closing
// OK or EOF is the session's to write.
type Outcome struct {
	// Columns is the number of shown columns; 0 means the answer is only OK.
	Columns int
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
// session then ends the answer with ERR.
func Run(ctx context.Context, req *Request) (Outcome, error) {
	return Outcome{}, errors.New("not built")
}
