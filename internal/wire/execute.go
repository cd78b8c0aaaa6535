package wire

import "encoding/binary"

// ParamType is a parameter's type as the client declared it.
type ParamType struct {
	Type     byte
	Unsigned bool
}

// paramTypeUnsigned is the flag in the byte behind a parameter's type.
const paramTypeUnsigned = 0x80

// Execute is a decoded COM_STMT_EXECUTE. A session keeps one for each prepared
// statement: Types are sent only when they change and are remembered in it,
// and its slices are used again.
type Execute struct {
	StatementID uint32
	CursorType  byte
	// Types are those the client sent last; empty before the first execute.
	Types []ParamType
	// Params borrow from the payload and from the long data.
	Params []Param
}

// StatementID reads the statement id behind the command byte of
// COM_STMT_EXECUTE, FETCH, RESET, CLOSE and SEND_LONG_DATA.
func StatementID(payload []byte) (uint32, error) {
	if len(payload) < 5 {
		return 0, ErrMalformed
	}
	return binary.LittleEndian.Uint32(payload[1:]), nil
}

// Decode reads a COM_STMT_EXECUTE of a statement with n parameters. long, if
// not nil, has n elements: one that is not nil came by COM_STMT_SEND_LONG_DATA
// and has no value in the payload. CLIENT_QUERY_ATTRIBUTES must not have been
// offered. After an error Types are as they were.
func (e *Execute) Decode(payload []byte, n int, long [][]byte) error {
	c := cursor{b: payload}
	if c.uint8() != ComStmtExecute {
		return ErrMalformed
	}
	e.StatementID = c.uint32()
	e.CursorType = c.uint8()
	c.skip(4) // iterations, always 1
	e.Params = e.Params[:0]
	if n == 0 || c.bad {
		return c.err()
	}
	nulls := c.take((n + 7) / 8)
	types, err := e.readTypes(&c, n)
	if err != nil {
		return err
	}
	for i := range n {
		p := Param{Type: types[i].Type, Unsigned: types[i].Unsigned}
		switch {
		case long != nil && long[i] != nil:
			p.Value = long[i]
		case nulls[i>>3]&(1<<(i&7)) != 0 || p.Type == TypeNull:
			p.Null = true
		default:
			prefix, size := binarySize(p.Type, c.rest())
			if prefix < 0 {
				return ErrMalformed
			}
			c.skip(prefix)
			p.Value = c.take(size)
		}
		e.Params = append(e.Params, p)
	}
	e.Types = types
	return c.err()
}

// readTypes reads the types if they were sent, else gives those remembered.
func (e *Execute) readTypes(c *cursor, n int) ([]ParamType, error) {
	sent := c.uint8()
	switch {
	case c.bad || sent > 1:
		return nil, ErrMalformed
	case sent == 0 && len(e.Types) != n:
		return nil, ErrMalformed // never sent
	case sent == 0:
		return e.Types, nil
	}
	raw := c.take(2 * n)
	if c.bad {
		return nil, ErrMalformed
	}
	if e.sameTypes(raw, n) {
		return e.Types, nil
	}
	types := make([]ParamType, n)
	for i := range types {
		types[i] = ParamType{Type: raw[2*i], Unsigned: raw[2*i+1]&paramTypeUnsigned != 0}
	}
	return types, nil
}

// sameTypes: drivers that send the types every time send the same ones.
func (e *Execute) sameTypes(raw []byte, n int) bool {
	if len(e.Types) != n {
		return false
	}
	for i, t := range e.Types {
		if raw[2*i] != t.Type || (raw[2*i+1]&paramTypeUnsigned != 0) != t.Unsigned {
			return false
		}
	}
	return true
}

// AppendExecute appends a COM_STMT_EXECUTE without cursor. Types are always
// sent, so a server never needs to remember any.
func AppendExecute(dst []byte, statementID uint32, params []Param) []byte {
	dst = binary.LittleEndian.AppendUint32(append(dst, ComStmtExecute), statementID)
	dst = append(dst, CursorNone, 1, 0, 0, 0)
	if len(params) == 0 {
		return dst
	}
	nulls := len(dst)
	for range (len(params) + 7) / 8 {
		dst = append(dst, 0)
	}
	dst = append(dst, 1)
	for i := range params {
		p := &params[i]
		flag := byte(0)
		if p.Unsigned {
			flag = paramTypeUnsigned
		}
		if p.Null {
			dst[nulls+i>>3] |= 1 << (i & 7)
		}
		dst = append(dst, p.Type, flag)
	}
	for i := range params {
		if !params[i].Null {
			dst = AppendBinaryValue(dst, params[i].Type, params[i].Value)
		}
	}
	return dst
}

// DecodeLongData reads a COM_STMT_SEND_LONG_DATA: the statement, which of its
// parameters, and a piece of that parameter's value, borrowed from payload.
func DecodeLongData(payload []byte) (statementID uint32, param uint16, data []byte, err error) {
	c := cursor{b: payload}
	c.skip(1)
	statementID, param = c.uint32(), c.uint16()
	return statementID, param, c.rest(), c.err()
}
