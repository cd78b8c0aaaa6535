package wire

import "encoding/binary"

// columnFixed is the length of a column definition's fixed part.
const columnFixed = 0x0c

// DecodeColumn reads a column definition. The names borrow from payload.
func DecodeColumn(payload []byte) (Column, error) {
	c := cursor{b: payload}
	c.lenEncBytes() // catalog, always "def"
	col := Column{
		Schema: c.lenEncBytes(), Table: c.lenEncBytes(), OrgTable: c.lenEncBytes(),
		Name: c.lenEncBytes(), OrgName: c.lenEncBytes(),
	}
	if c.lenEncInt() < columnFixed {
		return Column{}, ErrMalformed
	}
	col.Charset = c.uint16()
	col.Length = c.uint32()
	col.Type = c.uint8()
	col.Flags = c.uint16()
	col.Decimals = c.uint8()
	return col, c.err()
}

// Append encodes the definition.
func (col *Column) Append(dst []byte) []byte {
	dst = append(dst, 3, 'd', 'e', 'f')
	dst = AppendLenEncBytes(dst, col.Schema)
	dst = AppendLenEncBytes(dst, col.Table)
	dst = AppendLenEncBytes(dst, col.OrgTable)
	dst = AppendLenEncBytes(dst, col.Name)
	dst = AppendLenEncBytes(dst, col.OrgName)
	dst = append(dst, columnFixed)
	dst = binary.LittleEndian.AppendUint16(dst, col.Charset)
	dst = binary.LittleEndian.AppendUint32(dst, col.Length)
	dst = append(dst, col.Type)
	dst = binary.LittleEndian.AppendUint16(dst, col.Flags)
	return append(dst, col.Decimals, 0, 0)
}

// Clone copies the definition with its names, to be kept longer than the
// payload it was read from.
func (col *Column) Clone() Column {
	c := *col
	names := make([]byte, 0, len(c.Schema)+len(c.Table)+len(c.OrgTable)+len(c.Name)+len(c.OrgName))
	for _, f := range []*[]byte{&c.Schema, &c.Table, &c.OrgTable, &c.Name, &c.OrgName} {
		start := len(names)
		names = append(names, *f...)
		*f = names[start:len(names):len(names)]
	}
	return c
}

// Unsigned reports the column's UNSIGNED flag.
func (col *Column) Unsigned() bool { return col.Flags&FlagUnsigned != 0 }
