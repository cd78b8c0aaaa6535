package merge

import (
	"encoding/binary"

	"github.com/servaldb/serval/internal/wire"
)

const (
	textNull = 0xfb // a NULL in a text row
	// bitmapOffset: a binary row's NULL bitmap has two bits in front that stand
	// for nothing (MySQL internals, Binary Protocol Resultset Row).
	bitmapOffset = 2
	binaryHeader = 0x00
)

// field is where a column's value stands in a row: row[start:end] with its
// length prefix, row[body:end] without.
type field struct {
	start, body, end int
	null             bool
}

// shape cuts rows into fields; its fields are those of the row cut last.
type shape struct {
	cols   []wire.Column
	binary bool
	f      []field
	row    []byte
}

func newShape(cols []wire.Column, binary bool) *shape {
	return &shape{cols: cols, binary: binary, f: make([]field, len(cols))}
}

// value is column i's value without length prefix, in the row cut last.
func (s *shape) value(i int) []byte { return s.row[s.f[i].body:s.f[i].end] }

// raw is column i's value as it stands in the row; empty for a NULL of a
// binary row.
func (s *shape) raw(i int) []byte { return s.row[s.f[i].start:s.f[i].end] }

// cut finds the first n fields of a row.
func (s *shape) cut(row []byte, n int) error {
	s.row = row
	if s.binary {
		return s.cutBinary(row, n)
	}
	at := 0
	for i := range n {
		if at >= len(row) {
			return wire.ErrMalformed
		}
		f := &s.f[i]
		f.start = at
		if c := row[at]; c < textNull {
			f.null, f.body = false, at+1
			at += 1 + int(c)
		} else if c == textNull {
			at++
			f.null, f.body = true, at
		} else {
			v, used := wire.LenEncInt(row[at:])
			if used == 0 || v > uint64(len(row)) {
				return wire.ErrMalformed
			}
			f.null, f.body = false, at+used
			at += used + int(v)
		}
		f.end = at
	}
	if at > len(row) {
		return wire.ErrMalformed
	}
	return nil
}

func bitmapLen(columns int) int { return (columns + bitmapOffset + 7) / 8 }

func (s *shape) cutBinary(row []byte, n int) error {
	at := 1 + bitmapLen(len(s.cols))
	if len(row) < at || row[0] != binaryHeader {
		return wire.ErrMalformed
	}
	for i := range n {
		f := &s.f[i]
		bit := i + bitmapOffset
		f.start, f.body = at, at
		f.null = row[1+bit/8]&(1<<(bit%8)) != 0
		if !f.null {
			prefix, length := binaryLen(s.cols[i].Type, row[at:])
			if length < 0 || length > len(row)-at-prefix {
				return wire.ErrMalformed
			}
			f.body = at + prefix
			at = f.body + length
		}
		f.end = at
	}
	return nil
}

// binaryLen is how a value of a binary row begins: the length of its length
// prefix and of the value, -1 if b is cut short.
func binaryLen(typ byte, b []byte) (prefix, length int) {
	switch typ {
	case wire.TypeTiny:
		return 0, 1
	case wire.TypeShort, wire.TypeYear:
		return 0, 2
	case wire.TypeLong, wire.TypeInt24, wire.TypeFloat:
		return 0, 4
	case wire.TypeLongLong, wire.TypeDouble:
		return 0, 8
	case wire.TypeNull:
		return 0, 0
	case wire.TypeDate, wire.TypeDateTime, wire.TypeTimestamp, wire.TypeTime:
		if len(b) == 0 {
			return 0, -1
		}
		return 1, int(b[0])
	}
	v, used := wire.LenEncInt(b)
	if used == 0 || v > uint64(len(b)) {
		return 0, -1
	}
	return used, int(v)
}

// rowBuilder makes a row field by field.
type rowBuilder struct {
	binary  bool
	buf     []byte
	columns int
	at      int
}

func (b *rowBuilder) begin(columns int) {
	b.columns, b.at, b.buf = columns, 0, b.buf[:0]
	if b.binary {
		b.buf = append(b.buf, binaryHeader)
		for range bitmapLen(columns) {
			b.buf = append(b.buf, 0)
		}
	}
}

func (b *rowBuilder) null() {
	if b.binary {
		bit := b.at + bitmapOffset
		b.buf[1+bit/8] |= 1 << (bit % 8)
	} else {
		b.buf = append(b.buf, textNull)
	}
	b.at++
}

// raw appends a value that has its length prefix, if its type has one.
func (b *rowBuilder) raw(v []byte) {
	b.buf = append(b.buf, v...)
	b.at++
}

func (b *rowBuilder) text(v []byte) {
	b.buf = wire.AppendLenEncBytes(b.buf, v)
	b.at++
}

func (b *rowBuilder) uint64(v uint64) {
	b.buf = binary.LittleEndian.AppendUint64(b.buf, v)
	b.at++
}
