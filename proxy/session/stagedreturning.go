package session

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// returned is the answer of a staged write with RETURNING. Its rows are written
// one by one, in the order they were read in, and answered once all are done.
type returned struct {
	columns int
	packets [][]byte // the column definitions, then the rows
	rows    int64
	left    int64
}

// runReturning runs one write of one row and keeps what it is answered with.
func (w *stagedWrites) runReturning(ctx context.Context, sql string) (*plan.Bound, executor.Outcome, error) {
	s := w.session
	buf := &limitedBuffer{left: w.answer.left}
	out := wire.NewWriter(buf)
	s.answersBinary = w.binary
	bound, o, err := s.inner(ctx, []byte(sql+" "+w.n.Returning), out)
	s.answersBinary = false
	if err == nil {
		err = out.Flush()
	}
	if err == nil && o.Columns == 0 {
		err = sqlerr.New(sqlerr.UnknownError, "Serval: a write with RETURNING gave no rows: %s", sql)
	}
	if err == nil {
		err = w.answer.take(buf, o.Columns, s.c.Capabilities&wire.CapDeprecateEOF == 0)
	}
	if errors.Is(err, errStagedMemory) {
		err = sqlerr.New(sqlerr.OutOfMemory, "the rows of RETURNING are more than a statement may hold (limits: memory_per_statement); write in portions")
	}
	return bound, o, err
}

// take reads an answer: of the first one the columns, too.
func (r *returned) take(buf *limitedBuffer, columns int, eof bool) error {
	r.left = buf.left
	in := wire.NewReader(buf, 1<<30)
	head := 1 + columns
	for i := 0; ; i++ {
		p, err := in.Packet()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case i < head:
			if r.columns == 0 {
				r.packets = append(r.packets, bytes.Clone(p))
			}
		case i == head && eof:
		default:
			r.packets = append(r.packets, bytes.Clone(p))
			r.rows++
		}
		if i == head-1 {
			r.columns = columns
		}
	}
}

// answerReturning writes the client's answer. Where no row was written the
// columns are asked for.
func (w *stagedWrites) answerReturning(ctx context.Context, out *executor.Outcome) error {
	s := w.session
	if w.answer.columns == 0 {
		if _, _, err := w.runReturning(ctx, "DELETE FROM "+w.table()+" WHERE "+w.n.None); err != nil {
			return err
		}
	}
	for i, p := range w.answer.packets {
		if err := s.out.Packet(p); err != nil {
			return err
		}
		if i == w.answer.columns && s.c.Capabilities&wire.CapDeprecateEOF == 0 {
			if err := s.out.Packet(wire.AppendEOF(nil, s.status(), 0)); err != nil {
				return err
			}
		}
	}
	out.Columns, out.Rows = w.answer.columns, w.answer.rows
	return nil
}
