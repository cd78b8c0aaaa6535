package backend

import (
	"container/list"
	"encoding/binary"
	"errors"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// Stmt is a prepared statement on this connection.
type Stmt struct {
	id      uint32
	params  int
	columns []wire.Column
	key     string
	bare    bool // kept without the types of parameters, and not run yet
}

// Columns are the column definitions given at prepare.
func (s *Stmt) Columns() []wire.Column { return s.columns }

// Params is how many ? there are.
func (s *Stmt) Params() int { return s.params }

// stmtCache keeps a connection's prepared statements, the most recently used
// in front.
type stmtCache struct {
	byKey map[string]*list.Element // of *Stmt
	order list.List
	max   int
	// forget: the server said that what is kept is not good any more.
	forget bool
	key    []byte
}

func (s *stmtCache) init(limit int) { s.byKey, s.max = map[string]*list.Element{}, limit }

// Prepare prepares sql, or finds it in the connection's cache, without knowing
// what it is run with. No command may be outstanding, except queued state. The
// Stmt is good until the next Prepare: that one may evict it.
func (c *Conn) Prepare(sql []byte) (*Stmt, error) { return c.PrepareFor(sql, nil) }

// PrepareFor is Prepare of what is run with these parameters next. MySQL keeps the
// types a statement was run with first: text that comes after a number is read as
// one, so "k = ?" finds every text for 'abcd'. So it is kept once for each list of
// types.
func (c *Conn) PrepareFor(sql []byte, params []wire.Param) (*Stmt, error) {
	if c.broken != nil {
		return nil, c.broken
	}
	if c.stmts.forget {
		c.closeStmts(0)
		c.stmts.forget = false
	}
	s := &c.stmts
	s.key = append(append(s.key[:0], c.scope()...), sql...)
	bare := len(s.key)
	s.key = appendTypes(s.key, params)
	if e, ok := s.byKey[string(s.key)]; ok {
		s.order.MoveToFront(e)
		return e.Value.(*Stmt), nil
	}
	if e, ok := s.byKey[string(s.key[:bare])]; ok && e.Value.(*Stmt).bare {
		s.order.MoveToFront(e)
		stmt := e.Value.(*Stmt)
		delete(s.byKey, stmt.key)
		stmt.key, stmt.bare = string(s.key), false
		s.byKey[stmt.key] = e
		return stmt, nil
	}
	stmt, err := c.prepare(sql)
	var e *sqlerr.Error
	if errors.As(err, &e) && e.Code == errTooManyStmts && len(s.byKey) > 0 {
		// max_prepared_stmt_count is the whole server's; this connection's
		// share is all that it may give back.
		c.closeStmts(0)
		stmt, err = c.prepare(sql)
	}
	if err != nil {
		return nil, err
	}
	c.closeStmts(s.max - 1)
	stmt.key, stmt.bare = string(s.key), len(s.key) == bare
	s.byKey[stmt.key] = s.order.PushFront(stmt)
	return stmt, nil
}

// appendTypes appends the parameters' types, nothing where there are none.
func appendTypes(b []byte, params []wire.Param) []byte {
	for i := range params {
		sign := byte(0)
		if params[i].Unsigned {
			sign = 1
		}
		b = append(b, 0, params[i].Type, sign)
	}
	return b
}

// Forget has every statement prepared anew when it is next wanted: tables they
// name are others of the same name now.
func (c *Conn) Forget() {
	c.stmts.forget = true
	c.forgetOften()
}

// closeStmts queues COM_STMT_CLOSE for the least recently used until keep are
// left. It has no answer; it leaves with the next command.
func (c *Conn) closeStmts(keep int) {
	s := &c.stmts
	for s.order.Len() > keep {
		stmt := s.order.Remove(s.order.Back()).(*Stmt)
		delete(s.byKey, stmt.key)
		c.beginCommand(wire.ComStmtClose)
		c.scratch = binary.LittleEndian.AppendUint32(c.scratch, stmt.id)
		c.endCommand()
	}
}

const prepareOKSize = 12 // status, statement id, columns, params, filler, warnings

func (c *Conn) prepare(sql []byte) (*Stmt, error) {
	c.beginCommand(wire.ComStmtPrepare)
	c.scratch = append(c.scratch, sql...)
	c.queueCommand()
	if err := c.Flush(); err != nil {
		return nil, err
	}
	c.beginAnswer()
	payload, err := c.r.Packet()
	switch {
	case err != nil:
		return nil, c.lost(err)
	case wire.IsErr(payload):
		return nil, c.serverError(payload)
	case len(payload) < prepareOKSize || payload[0] != wire.HeaderOK:
		return nil, c.lost(wire.ErrMalformed)
	}
	stmt := &Stmt{id: binary.LittleEndian.Uint32(payload[1:])}
	columns := int(binary.LittleEndian.Uint16(payload[5:]))
	stmt.params = int(binary.LittleEndian.Uint16(payload[7:]))
	for range stmt.params { // their definitions say nothing a client uses
		if _, err := c.r.Packet(); err != nil {
			return nil, c.lost(err)
		}
	}
	if columns > 0 {
		stmt.columns = make([]wire.Column, columns)
	}
	for i := range stmt.columns {
		payload, err := c.r.Packet()
		if err != nil {
			return nil, c.lost(err)
		}
		col, err := wire.DecodeColumn(payload)
		if err != nil {
			return nil, c.lost(err)
		}
		stmt.columns[i] = col.Clone()
	}
	c.finishCommand()
	return stmt, nil
}

// Execute queues COM_STMT_EXECUTE, without a cursor. Too few params are NULL,
// too many are dropped: the caller has compared them with Params.
func (c *Conn) Execute(stmt *Stmt, params []wire.Param) {
	c.beginCommand(wire.ComStmtExecute)
	b := binary.LittleEndian.AppendUint32(c.scratch, stmt.id)
	b = append(b, wire.CursorNone, 1, 0, 0, 0)
	c.scratch = appendParams(b, stmt.params, params)
	c.queueCommand()
}

func appendParams(b []byte, n int, params []wire.Param) []byte {
	if n == 0 {
		return b
	}
	params = params[:min(n, len(params))]
	bitmap := len(b)
	for range (n + 7) / 8 {
		b = append(b, 0)
	}
	b = append(b, 1) // the types follow
	for i := range n {
		if i >= len(params) || params[i].Null {
			b[bitmap+i/8] |= 1 << (i % 8)
		}
		if i >= len(params) {
			b = append(b, wire.TypeNull, 0)
			continue
		}
		unsigned := byte(0)
		if params[i].Unsigned {
			unsigned = 0x80
		}
		b = append(b, params[i].Type, unsigned)
	}
	for i := range params {
		if !params[i].Null {
			b = appendParam(b, &params[i])
		}
	}
	return b
}

func appendParam(b []byte, p *wire.Param) []byte {
	switch p.Type {
	case wire.TypeNull:
		return b
	case wire.TypeTiny, wire.TypeShort, wire.TypeYear, wire.TypeLong, wire.TypeInt24, wire.TypeLongLong,
		wire.TypeFloat, wire.TypeDouble:
		return append(b, p.Value...)
	case wire.TypeDate, wire.TypeDateTime, wire.TypeTimestamp, wire.TypeTime:
		return append(append(b, byte(len(p.Value))), p.Value...)
	}
	return wire.AppendLenEncBytes(b, p.Value)
}
