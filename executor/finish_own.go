package executor

import (
	"context"
	"errors"
	"io"

	"github.com/servaldb/serval/executor/finish"
	"github.com/servaldb/serval/executor/merge"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// heldRows are a fragment's rows in memory.
type heldRows struct {
	columns []wire.Column
	rows    [][]byte
}

var _ finish.Rows = (*heldRows)(nil)

// Open implements finish.Rows.
func (h *heldRows) Open() ([]wire.Column, error) { return h.columns, nil }

// Next implements finish.Rows.
func (h *heldRows) Next() ([]byte, error) {
	if len(h.rows) == 0 {
		return nil, io.EOF
	}
	row := h.rows[0]
	h.rows = h.rows[1:]
	return row, nil
}

// move loads the rows of all fragments into a place.
type move = func(ctx context.Context, req *Request, n *plan.Finish, p *place) (shards int, err error)

// holdFragments reads the rows of all fragments into memory and gives the
// connections back: one of them may be the place the query is finished on.
func holdFragments(ctx context.Context, req *Request, n *plan.Finish, load *finish.Load) (move, error) {
	f := newFan(ctx, req, n)
	defer f.cancel()
	f.collect(n)
	if err := f.acquire(); err != nil {
		return nil, err
	}
	defer f.release()
	if err := f.send(); err != nil {
		return nil, err
	}
	held := make([]*heldRows, len(n.Fragments))
	opt := merge.Options{Binary: req.Params != nil, Budget: f.budget, Leaf: f.streams}
	room := min(load.MaxBytes, f.budget.Limit)
	for i, frag := range n.Fragments {
		if frag.Route == nil {
			continue
		}
		rows, err := merge.Build(frag.Route, &opt)
		if err == nil {
			held[i], err = hold(rows, &room)
		}
		if err != nil {
			return nil, f.unsafe(err)
		}
	}
	shards := len(f.parts)
	return func(ctx context.Context, req *Request, n *plan.Finish, p *place) (int, error) {
		if err := p.prepare(ctx); err != nil {
			return shards, err
		}
		for i, frag := range n.Fragments {
			if frag.Route == nil {
				continue
			}
			if err := p.load.Fragment(i, held[i], req.Bound.Tasks.Of(frag.Route)[0].SQL); err != nil {
				return shards, err
			}
		}
		return shards, nil
	}, nil
}

func hold(rows finish.Rows, room *int64) (*heldRows, error) {
	columns, err := rows.Open()
	if err != nil {
		return nil, err
	}
	h := &heldRows{columns: columns}
	for {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return h, nil
		}
		if err != nil {
			return nil, err
		}
		if *room -= int64(len(row)); *room < 0 {
			return nil, sqlerr.New(sqlerr.OutOfMemory, "Serval holds at most the session's memory budget to finish a statement on its own connection, and this one passed that; narrow it with WHERE")
		}
		h.rows = append(h.rows, append([]byte(nil), row...))
	}
}
