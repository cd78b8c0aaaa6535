package session

import (
	"context"
	"errors"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// lookUp asks a lookup table for a statement that is being bound.
func (s *Session) lookUp(ctx context.Context, c *plan.Looked, args plan.Args, params *preparedArgs, opt plan.Options) error {
	if params != nil { // it is asked as text
		args = literalArgs{params, s.settings.mode&parser.NoBackslashEscapes != 0}
	}
	bound, err := c.Read.Bind(args, opt)
	for weight := (*shardrule.WeightNeeded)(nil); errors.As(err, &weight); bound, err = c.Read.Bind(args, opt) {
		if err := s.weigher.learn(ctx, s, weight); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	opt.Found[c] = nil
	for i := range bound.Tasks[0].Tasks {
		keys, err := s.askLookup(ctx, &bound.Tasks[0].Tasks[i])
		if err != nil {
			return err
		}
		opt.Found[c] = append(opt.Found[c], keys...)
	}
	return nil
}

// askLookup runs the question. Any replica will do, since what is not found
// is asked of all shards; but a transaction is asked where it has written.
func (s *Session) askLookup(ctx context.Context, task *plan.Task) (found []plan.LookedRow, err error) {
	var c *backend.Conn
	release := func(err error) { s.lease.Release(c, err) }
	_, inside := s.tx.Conn(task.Cluster)
	if s.tx.State() == txn.Open && !inside {
		conns, err := s.deps.Fleet.Acquire(ctx, s.wantPrimary(task.Cluster, 1))
		if err != nil {
			return nil, err
		}
		c = conns[0]
		c.Want(s.settings.state(false))
		release = c.Release
	} else {
		s.lease.prepare(false)
		s.lease.noGTID = true
		conns, err := s.lease.Acquire(ctx, task.Cluster, topology.TargetReplica, 1)
		if err != nil {
			return nil, err
		}
		c = conns[0]
	}
	columns, rows, err := c.Select(ctx, string(task.SQL))
	release(err)
	for _, row := range rows {
		keys := make(plan.LookedRow, len(row))
		for i := range row {
			if keys[i] = sqlval.NullValue; row[i] != nil {
				keys[i] = sqlval.Value{Kind: valueKind(columns[i]), Text: row[i]}
			}
		}
		found = append(found, keys)
	}
	return found, err
}

// lookedInVain: a lookup table chose the shards, and not all rows were met there
// that it told of. They may be elsewhere, for the table was asked at another moment.
func lookedInVain(bound *plan.Bound, out *executor.Outcome) bool {
	if bound.Looked == 0 {
		return false
	}
	if out.Columns > 0 {
		return out.Rows < int64(bound.Looked)
	}
	return out.OK.AffectedRows == 0
}

// errLookedInVain is for an answer of which something has left already.
func errLookedInVain() error {
	return sqlerr.New(sqlerr.UnknownError, "Serval: the row moved while the statement looked for it; run it again")
}

// learnKept reads a table with lookup tables again before it is defined: whether
// it is there decides what else is made or dropped, and another Serval may have
// done either. It reports whether anything had changed.
func (s *Session) learnKept(cat *catalog.Catalog, tables []parser.TableName) bool {
	for _, name := range tables {
		schema := s.schemaOr(name.Schema)
		t := cat.Table(schema, name.Table)
		if t == nil || len(t.WantsUnique) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), learnTime)
		defer cancel()
		if err := s.deps.Refresher.Refresh(ctx, schema, name.Table); err != nil {
			s.log.Warn("a table could not be read again before it is defined", "schema", schema, "table", name.Table, "err", err)
		}
	}
	return s.deps.Catalog.Load() != cat
}
