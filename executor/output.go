package executor

import (
	"errors"
	"io"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor/merge"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

const (
	// flushAfter: rows that have waited so long go to the client although more
	// could be gathered. A quick answer leaves in one system call with its end.
	flushAfter = 5 * time.Millisecond
	// clockEvery: the clock is looked at once in so many rows.
	clockEvery = 64
)

// writeColumns writes what comes before the rows.
func writeColumns(req *Request, cols []wire.Column) error {
	buf := wire.AppendLenEncInt(make([]byte, 0, 256), uint64(len(cols)))
	if err := req.Out.Packet(buf); err != nil {
		return &backend.ClientError{Err: err}
	}
	for i := range cols {
		buf = cols[i].Append(buf[:0])
		if err := req.Out.Packet(buf); err != nil {
			return &backend.ClientError{Err: err}
		}
	}
	if req.DeprecateEOF {
		return nil
	}
	if err := req.Out.Packet(wire.AppendEOF(buf[:0], req.Status, 0)); err != nil {
		return &backend.ClientError{Err: err}
	}
	return nil
}

// show writes a whole stream; it returns the columns and the rows written.
func show(req *Request, rows merge.Rows) (columns int, n int64, err error) {
	began := time.Now()
	cols, err := rows.Open()
	if err != nil {
		return 0, 0, err
	}
	if err := writeColumns(req, cols); err != nil {
		return len(cols), 0, err
	}
	for {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return len(cols), n, nil
		}
		if err != nil {
			return len(cols), n, err
		}
		if err := req.Out.Packet(row); err != nil {
			return len(cols), n, &backend.ClientError{Err: err}
		}
		if n++; n%clockEvery != 1 || n < int64(req.Bound.Looked) { // it may have to be run anew
			continue
		}
		if now := time.Now(); now.Sub(began) >= flushAfter {
			began = now
			if err := req.Out.Flush(); err != nil {
				return len(cols), n, &backend.ClientError{Err: err}
			}
		}
	}
}

// showConst answers without a server.
func showConst(req *Request, c *plan.Const) (Outcome, error) {
	columns, n, err := show(req, newConstRows(c, req.Params != nil))
	return Outcome{Columns: columns, Rows: n}, err
}

// constRows are a Const's rows as packets.
type constRows struct {
	node   *plan.Const
	binary bool
	at     int
	buf    []byte
}

func newConstRows(c *plan.Const, binary bool) merge.Rows { return &constRows{node: c, binary: binary} }

// constLength is the display width of a Const's columns, in bytes; clients use
// it for layout only.
const constLength = 1024

func (c *constRows) Open() ([]wire.Column, error) {
	cols := make([]wire.Column, len(c.node.Columns))
	for i, name := range c.node.Columns {
		cols[i] = wire.Column{Name: []byte(name), Charset: wire.CollationUTF8MB4General, Length: constLength,
			Type: wire.TypeVarString, Decimals: 31}
	}
	return cols, nil
}

func (c *constRows) Next() ([]byte, error) {
	if c.at == len(c.node.Rows) {
		return nil, io.EOF
	}
	row := c.node.Rows[c.at]
	c.at++
	c.buf = c.buf[:0]
	if c.binary {
		// A binary row's header and NULL bitmap; nothing is NULL.
		c.buf = append(c.buf, make([]byte, 1+(len(row)+2+7)/8)...)
	}
	for _, v := range row {
		c.buf = wire.AppendLenEncString(c.buf, v)
	}
	return c.buf, nil
}
