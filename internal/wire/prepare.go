package wire

import "encoding/binary"

// PrepareOK begins the answer to COM_STMT_PREPARE; the definitions of Params
// parameters and Columns columns follow, each group with an EOF behind it
// unless CLIENT_DEPRECATE_EOF or the group is empty.
type PrepareOK struct {
	StatementID              uint32
	Columns, Params, Warning uint16
}

// DecodePrepareOK reads it.
func DecodePrepareOK(payload []byte) (PrepareOK, error) {
	c := cursor{b: payload}
	if c.uint8() != HeaderOK {
		return PrepareOK{}, ErrMalformed
	}
	p := PrepareOK{StatementID: c.uint32(), Columns: c.uint16(), Params: c.uint16()}
	c.skip(1)
	if len(c.rest()) > 0 { // very old servers end here
		p.Warning = c.uint16()
	}
	return p, c.err()
}

// Append encodes it.
func (p PrepareOK) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(append(dst, HeaderOK), p.StatementID)
	dst = binary.LittleEndian.AppendUint16(dst, p.Columns)
	dst = binary.LittleEndian.AppendUint16(dst, p.Params)
	return binary.LittleEndian.AppendUint16(append(dst, 0), p.Warning)
}
