package backend

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// maxSelectRows bounds what Select keeps.
const maxSelectRows = 100_000

// Header is the beginning of an answer: an OK, or a result set of Columns columns.
type Header struct {
	Columns []wire.Column // nil for OK
	OK      wire.OK       // when Columns is nil
}

// Header reads the beginning of the next answer, or of the next result of the
// same answer where the last OK had SERVER_MORE_RESULTS_EXISTS. A server's ERR
// is returned as *sqlerr.Error and leaves the connection usable; any other
// error does not. Columns stay valid, OK.Info until the next read.
func (c *Conn) Header() (Header, error) {
	n, _, err := c.begin()
	if err != nil || n == 0 {
		return Header{OK: c.end}, err
	}
	cols := make([]wire.Column, n)
	buf := make([]byte, 0, 64*n)
	// Names borrow from the packet, so all packets go into one buffer first.
	ends := make([]int, n)
	for i := range n {
		payload, err := c.r.Packet()
		if err != nil {
			return Header{}, c.lost(err)
		}
		buf = append(buf, payload...)
		ends[i] = len(buf)
	}
	start := 0
	for i, end := range ends {
		if cols[i], err = wire.DecodeColumn(buf[start:end:end]); err != nil {
			return Header{}, c.lost(err)
		}
		start = end
	}
	return Header{Columns: cols}, nil
}

// begin reads the first packet of an answer: columns is 0 for an OK, which is
// c.end then; first is the packet, valid until the next read.
func (c *Conn) begin() (columns int, first []byte, err error) {
	if c.broken != nil {
		return 0, nil, c.broken
	}
	switch {
	case c.phase == idle && c.outstanding > 0:
		c.beginAnswer()
	case c.phase != moreResults:
		return 0, nil, c.lost(fmt.Errorf("%w: an answer was read that nobody asked for", wire.ErrMalformed))
	}
	if first, err = c.r.Packet(); err != nil {
		return 0, nil, c.lost(err)
	}
	if len(first) == 0 {
		return 0, nil, c.lost(wire.ErrMalformed)
	}
	switch first[0] {
	case wire.HeaderOK:
		ok, err := wire.DecodeOK(first, backendCaps)
		if err != nil {
			return 0, nil, c.lost(err)
		}
		c.finishResult(&ok)
		return 0, nil, nil
	case wire.HeaderErr:
		return 0, nil, c.serverError(first)
	case wire.HeaderLocalFile:
		return 0, nil, c.refuseLocalFile()
	}
	n, size := wire.LenEncInt(first)
	if size != len(first) || n == 0 || n > maxColumns {
		return 0, nil, c.lost(wire.ErrMalformed)
	}
	c.phase, c.partial = inRows, false
	return int(n), first, nil
}

// beginAnswer expects the first packet of the oldest command's answer.
func (c *Conn) beginAnswer() {
	c.r.SetSeq(c.answerSeqs[0])
	c.answerSeqs = append(c.answerSeqs[:0], c.answerSeqs[1:]...)
}

// maxColumns is far above what a server can send (4096 in a table).
const maxColumns = 1 << 16

// refuseLocalFile answers LOAD DATA LOCAL: an empty packet is an empty file.
// CLIENT_LOCAL_FILES was not offered, so only a server that ignores that asks.
func (c *Conn) refuseLocalFile() error {
	c.w.SetSeq(c.r.Seq())
	_ = c.w.Packet(nil)
	c.write()
	c.finishCommand()
	c.broken = sqlerr.Refuse("LOAD DATA LOCAL INFILE", "the file is on the client's machine and would be read through Serval",
		"load it with INSERT, or with LOAD DATA on the server")
	return c.broken
}

// Row reads the next row's payload, valid until the next read. At the end it
// returns io.EOF, and End is the closing OK.
func (c *Conn) Row() ([]byte, error) {
	if c.broken != nil {
		return nil, c.broken
	}
	if c.phase != inRows {
		return nil, io.EOF
	}
	payload, err := c.r.Packet()
	switch {
	case err != nil:
		return nil, c.lost(err)
	case len(payload) == 0:
		return nil, c.lost(wire.ErrMalformed)
	case payload[0] == wire.HeaderErr:
		return nil, c.serverError(payload)
	case payload[0] == wire.HeaderEOF && len(payload) < wire.MaxFrame:
		ok, err := wire.DecodeOK(payload, backendCaps)
		if err != nil {
			return nil, c.lost(err)
		}
		c.finishResult(&ok)
		return nil, io.EOF
	}
	return payload, nil
}

// Select runs one query and keeps its rows, at most 100,000: for Serval's own needs.
// A NULL is a nil slice.
func (c *Conn) Select(ctx context.Context, sql string) (columns []wire.Column, rows [][][]byte, err error) {
	defer c.armUnlessArmed(ctx)()
	c.Query([]byte(sql))
	if err := c.Flush(); err != nil {
		return nil, nil, err
	}
	return c.collect()
}

// Each runs one query and calls f with each of its rows, which f may keep: for
// Serval's own needs. A NULL is a nil slice. An error of f ends the connection.
func (c *Conn) Each(ctx context.Context, sql string, f func(row [][]byte) error) error {
	defer c.armUnlessArmed(ctx)()
	c.Query([]byte(sql))
	if err := c.Flush(); err != nil {
		return err
	}
	_, err := c.each(f)
	return err
}

// collect reads one text answer whole.
func (c *Conn) collect() (columns []wire.Column, rows [][][]byte, err error) {
	columns, err = c.each(func(row [][]byte) error {
		if len(rows) == maxSelectRows {
			return fmt.Errorf("more than %d rows", maxSelectRows)
		}
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return columns, rows, nil
}

// each reads one text answer row by row.
func (c *Conn) each(f func(row [][]byte) error) ([]wire.Column, error) {
	h, err := c.Header()
	if err != nil || h.Columns == nil {
		return nil, err
	}
	for {
		payload, err := c.Row()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		row, err := textRow(payload, len(h.Columns))
		if err == nil {
			err = f(row)
		}
		if err != nil {
			return nil, c.lost(err)
		}
	}
	if c.phase == moreResults {
		return nil, c.lost(fmt.Errorf("%w: more than one result", wire.ErrMalformed))
	}
	return h.Columns, nil
}

// textRow copies the values of a text row out of the read buffer.
func textRow(payload []byte, n int) ([][]byte, error) {
	payload = append([]byte(nil), payload...)
	row := make([][]byte, n)
	for i := range row {
		if len(payload) > 0 && payload[0] == nullValue {
			payload = payload[1:]
			continue
		}
		size, used := wire.LenEncInt(payload)
		if used == 0 || size > uint64(len(payload)-used) {
			return nil, wire.ErrMalformed
		}
		end := used + int(size)
		row[i] = payload[used:end:end]
		payload = payload[end:]
	}
	if len(payload) > 0 {
		return nil, wire.ErrMalformed
	}
	return row, nil
}

// nullValue stands for NULL in a text row.
const nullValue = 0xfb
