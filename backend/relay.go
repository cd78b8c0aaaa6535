package backend

import (
	"errors"

	"github.com/servaldb/serval/internal/wire"
)

const (
	frameHeader = 4
	// flushBeforeWait: with this much gathered, the client gets it before
	// Serval waits for more; less goes out with the end of the answer, in one
	// system call.
	flushBeforeWait = 8 << 10
)

// RelayOptions of one Relay.
type RelayOptions struct {
	// DeprecateEOF: the client wants no EOF behind the column definitions.
	DeprecateEOF bool
	// Status goes into that EOF where it is written.
	Status uint16
	// Column, if not nil, rewrites each column definition (names).
	Column func(*wire.Column)
}

// ClientError is a failure to write to the client during a relay: the server
// is not to blame, and nobody is left to be told.
type ClientError struct{ Err error }

func (e *ClientError) Error() string { return "writing to the client: " + e.Err.Error() }

// Unwrap gives the write's error.
func (e *ClientError) Unwrap() error { return e.Err }

// Relay moves the next answer to w without decoding rows: column definitions,
// rows, everything but the closing OK, which it returns, as it does an answer
// that is only an OK (columns 0). What a server answers with ERR is returned
// as *sqlerr.Error and not written. Where ok has SERVER_MORE_RESULTS_EXISTS,
// the next Relay moves the next result of the same answer.
//
// Relayed tells how many rows it moved.
//
// Order: nothing is written to w before the first packet of the answer came,
// so an error with nothing in w may still be answered by another server.
func (c *Conn) Relay(w *wire.Writer, opt RelayOptions) (ok wire.OK, columns int, err error) {
	n, first, err := c.begin()
	if err != nil {
		return wire.OK{}, 0, err
	}
	if n == 0 {
		return c.end, 0, nil
	}
	if err := w.Packet(first); err != nil {
		return wire.OK{}, n, &ClientError{err}
	}
	if err := c.relayColumns(w, n, opt.Column); err != nil {
		return wire.OK{}, n, err
	}
	if !opt.DeprecateEOF {
		c.colBuf = wire.AppendEOF(c.colBuf[:0], opt.Status, 0)
		if err := w.Packet(c.colBuf); err != nil {
			return wire.OK{}, n, &ClientError{err}
		}
	}
	if err := c.relayRows(w); err != nil {
		return wire.OK{}, n, err
	}
	return c.end, n, nil
}

func (c *Conn) relayColumns(w *wire.Writer, n int, rewrite func(*wire.Column)) error {
	for range n {
		if rewrite == nil {
			frame, err := c.r.Frame()
			if err != nil {
				return c.lost(err)
			}
			if err := w.Frame(frame); err != nil {
				return &ClientError{err}
			}
			continue
		}
		payload, err := c.r.Packet()
		if err != nil {
			return c.lost(err)
		}
		if c.col, err = wire.DecodeColumn(payload); err != nil {
			return c.lost(err)
		}
		rewrite(&c.col)
		c.colBuf = c.col.Append(c.colBuf[:0])
		if err := w.Packet(c.colBuf); err != nil {
			return &ClientError{err}
		}
	}
	return nil
}

// relayRows forwards frames up to the end of the result. Only the first byte
// of each row is looked at.
func (c *Conn) relayRows(w *wire.Writer) error {
	c.relayed = 0
	for {
		frame, ok, err := c.r.BufferedFrame()
		if err == nil && !ok {
			if w.Buffered() >= flushBeforeWait {
				if err := w.Flush(); err != nil {
					return &ClientError{err}
				}
			}
			frame, err = c.r.Frame()
		}
		if err != nil {
			return c.lost(err)
		}
		payload := frame[frameHeader:]
		if !c.partial {
			if len(payload) == 0 {
				return c.lost(wire.ErrMalformed)
			}
			switch {
			case payload[0] == wire.HeaderErr:
				return c.serverError(payload)
			case payload[0] == wire.HeaderEOF && len(payload) < wire.MaxFrame:
				return c.relayEnd(payload)
			}
			c.relayed++
		}
		c.partial = len(payload) == wire.MaxFrame
		if err := w.Frame(frame); err != nil {
			return &ClientError{err}
		}
	}
}

// Relayed is how many rows the last Relay of a result with columns moved.
func (c *Conn) Relayed() int64 { return c.relayed }

func (c *Conn) relayEnd(payload []byte) error {
	end, err := wire.DecodeOK(payload, backendCaps)
	if err != nil {
		return c.lost(err)
	}
	c.finishResult(&end)
	return nil
}

// IsClientError reports that err is the client's side failing, not a server's.
func IsClientError(err error) bool {
	var e *ClientError
	return errors.As(err, &e)
}
