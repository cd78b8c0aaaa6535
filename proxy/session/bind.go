package session

import (
	"context"
	"errors"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
)

// maxBindRounds bounds what one statement may ask servers for before it can be
// routed: a weight string for each text key of a multi-row INSERT.
const maxBindRounds = 10_000

// bind gives the plan its values, fetching what only servers know: weight
// strings, auto-increment numbers, computed keys.
func (s *Session) bind(ctx context.Context, p *plan.Plan, args plan.Args, params *preparedArgs) (*plan.Bound, error) {
	w := &s.weigher
	*w = weigher{shared: s.deps.Weights, charset: s.settings.charset, session: &s.settings, otherwise: s.deps.Catalog.Load().Zone}
	opt := plan.Options{Weigher: w, ZeroIsValue: s.settings.zeroIsValue, Pick: s.c.ID, Finisher: s.deps.Limits.Finisher}
	opt.Onto = s.onto
	if s.lookups && p.Looks {
		opt.Found = plan.Lookups{}
	}
	if err := s.checksKeys(p); err != nil {
		return nil, err
	}
	if s.tx.Participants() > 0 {
		opt.Prefer = s.tx.First()
	}
	for range maxBindRounds {
		bound, err := p.Bind(args, opt)
		if err == nil {
			s.parents = opt.Places
			return bound, nil
		}
		var weight *shardrule.WeightNeeded
		var numbers *plan.ErrNeedNumbers
		var exprs *plan.ErrNeedExprs
		var look *plan.ErrNeedLookup
		var places *plan.ErrNeedPlaces
		switch {
		case errors.As(err, &weight):
			err = w.learn(ctx, s, weight)
		case errors.As(err, &numbers):
			opt.FirstNumber, err = s.reserve(ctx, numbers)
		case errors.As(err, &exprs):
			opt.Exprs, err = s.compute(ctx, p, exprs, params, opt)
		case errors.As(err, &look):
			err = s.lookUp(ctx, look.Looked, args, params, opt)
		case errors.As(err, &places):
			if opt.Places == nil {
				opt.Places = plan.Places{}
			}
			err = s.find(ctx, places, p.Looks, opt.Places)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, sqlerr.Refuse("this statement", "too many of its values must be asked of a server before it can be routed", "use fewer rows")
}

func (s *Session) reserve(ctx context.Context, need *plan.ErrNeedNumbers) (uint64, error) {
	if s.deps.Sequences == nil {
		return 0, sqlerr.Refuse("auto-increment numbers for "+need.Table.Table, "this Serval has no source for them", "give "+need.Column+" a value")
	}
	if need.Above > 0 {
		if err := s.deps.Sequences.Observe(ctx, s.schemaOr(need.Table.Schema), need.Table.Table, need.Above); err != nil {
			return 0, err
		}
	}
	return s.deps.Sequences.Reserve(ctx, s.schemaOr(need.Table.Schema), need.Table.Table, need.Rows)
}

func (s *Session) schemaOr(schema string) string {
	if schema == "" {
		return s.settings.db
	}
	return schema
}

// observe moves the sequence past a number that a row brought itself. A
// failure is logged: the rows are in, and a later clash is an error there, not
// a lost row.
func (s *Session) observe(ctx context.Context, b *plan.Bound) {
	ins, ok := b.Plan.Root.(*plan.Insert)
	if !ok || s.deps.Sequences == nil || ins.Table.Placement == nil {
		return
	}
	p := ins.Table.Placement
	if err := s.deps.Sequences.Observe(ctx, p.Schema, p.Table, b.MaxNumber); err != nil {
		s.log.Warn("the sequence could not be moved past a number that was inserted by name", "table", p.Table, "err", err)
	}
}

// compute runs the expressions of an INSERT's keys on a server.
func (s *Session) compute(ctx context.Context, p *plan.Plan, need *plan.ErrNeedExprs, params *preparedArgs, opt plan.Options) ([]sqlval.Value, error) {
	sql := need.SQL
	if len(need.Markers) > 0 {
		// The SELECT is run as text: bind once more with the parameters as
		// literals.
		_, err := p.Bind(literalArgs{params, s.settings.mode&parser.NoBackslashEscapes != 0}, opt)
		var again *plan.ErrNeedExprs
		if !errors.As(err, &again) {
			return nil, err
		}
		sql = again.SQL
	}
	var values []sqlval.Value
	s.lease.prepare(p.NeedsDB)
	conns, err := s.lease.Acquire(ctx, need.Cluster, 0, 1)
	if err != nil {
		return nil, err
	}
	values, err = selectValues(ctx, conns[0], string(sql))
	s.lease.Release(conns[0], err)
	return values, err
}

func selectValues(ctx context.Context, c *backend.Conn, sql string) ([]sqlval.Value, error) {
	columns, rows, err := c.Select(ctx, sql)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, sqlerr.New(sqlerr.UnknownError, "Serval: the server computed %d rows where one was expected", len(rows))
	}
	out := make([]sqlval.Value, len(columns))
	for i, col := range columns {
		out[i] = sqlval.Value{Kind: valueKind(col), Text: rows[0][i]}
		if rows[0][i] == nil {
			out[i] = sqlval.NullValue
		}
	}
	return out, nil
}

// valueKind is what a column's text is as a literal.
func valueKind(col wire.Column) sqlval.Kind {
	switch col.Type {
	case wire.TypeTiny, wire.TypeShort, wire.TypeLong, wire.TypeInt24, wire.TypeLongLong, wire.TypeYear:
		return sqlval.Int
	case wire.TypeDecimal, wire.TypeNewDecimal:
		return sqlval.Decimal
	case wire.TypeFloat, wire.TypeDouble:
		return sqlval.Float
	case wire.TypeDate, wire.TypeDateTime, wire.TypeTimestamp, wire.TypeTime:
		return sqlval.Temporal
	}
	if col.Charset == wire.CollationBinary {
		return sqlval.Binary
	}
	return sqlval.String
}
