package wire

import "encoding/binary"

// Span is where one value lies in a row's payload, without its length prefix.
type Span struct{ Start, End int32 }

// nullSpan is the span of a NULL.
var nullSpan = Span{Start: -1, End: -1}

// Null reports whether the value is NULL.
func (s Span) Null() bool { return s.Start < 0 }

// Of is the value's bytes in row, nil for NULL. An empty value is not nil.
func (s Span) Of(row []byte) []byte {
	if s.Start < 0 {
		return nil
	}
	return row[s.Start:s.End:s.End]
}

// maxRow is the longest row whose offsets fit a Span.
const maxRow = 1<<31 - 1

// TextSpans finds the n values of a text row and appends them to dst.
func TextSpans(dst []Span, row []byte, n int) ([]Span, error) {
	if len(row) > maxRow {
		return dst, ErrMalformed
	}
	pos := 0
	for range n {
		if pos < len(row) && row[pos] == lenEncNull {
			dst = append(dst, nullSpan)
			pos++
			continue
		}
		size, prefix := LenEncInt(row[pos:])
		if prefix == 0 || size > uint64(len(row)-pos-prefix) {
			return dst, ErrMalformed
		}
		pos += prefix
		dst = append(dst, Span{int32(pos), int32(pos + int(size))})
		pos += int(size)
	}
	if pos != len(row) {
		return dst, ErrMalformed
	}
	return dst, nil
}

// AppendTextValue appends one value of a text row; nil is NULL.
func AppendTextValue(dst, value []byte) []byte {
	if value == nil {
		return append(dst, lenEncNull)
	}
	return AppendLenEncBytes(dst, value)
}

// binaryRowOffset: the first two bits of a binary row's NULL bitmap are not
// used.
const binaryRowOffset = 2

// BinarySpans finds the values of a binary row, whose columns are columns, and
// appends them to dst. For temporal types the span is what follows the length
// byte: none, or 4, 7 or 11 bytes, 8 or 12 for TIME.
func BinarySpans(dst []Span, row []byte, columns []Column) ([]Span, error) {
	bitmap := (len(columns) + binaryRowOffset + 7) / 8
	if len(row) < 1+bitmap || len(row) > maxRow || row[0] != HeaderOK {
		return dst, ErrMalformed
	}
	nulls, pos := row[1:1+bitmap], 1+bitmap
	for i := range columns {
		if bit := i + binaryRowOffset; nulls[bit>>3]&(1<<(bit&7)) != 0 {
			dst = append(dst, nullSpan)
			continue
		}
		prefix, size := binarySize(columns[i].Type, row[pos:])
		if prefix < 0 {
			return dst, ErrMalformed
		}
		pos += prefix
		dst = append(dst, Span{int32(pos), int32(pos + size)})
		pos += size
	}
	if pos != len(row) {
		return dst, ErrMalformed
	}
	return dst, nil
}

// AppendBinaryRow begins a binary row of n columns on dst: header and empty
// NULL bitmap. Values follow with AppendBinaryValue or SetBinaryNull.
func AppendBinaryRow(dst []byte, n int) []byte {
	dst = append(dst, HeaderOK)
	for range (n + binaryRowOffset + 7) / 8 {
		dst = append(dst, 0)
	}
	return dst
}

// SetBinaryNull marks column i NULL in the row that begins at row[0].
func SetBinaryNull(row []byte, i int) {
	bit := i + binaryRowOffset
	row[1+bit>>3] |= 1 << (bit & 7)
}

// AppendBinaryValue appends a value in the form BinarySpans gives it (and
// Param.Value has) with the length its type needs in front.
func AppendBinaryValue(dst []byte, typ byte, value []byte) []byte {
	switch {
	case fixedSize(typ) >= 0:
		return append(dst, value...)
	case isTemporal(typ):
		return append(append(dst, byte(len(value))), value...)
	}
	return AppendLenEncBytes(dst, value)
}

// binarySize measures the binary value of a type at the front of b: the bytes
// of its length prefix and of the value. prefix is -1 if there is no such
// value.
func binarySize(typ byte, b []byte) (prefix, size int) {
	if n := fixedSize(typ); n >= 0 {
		if len(b) < n {
			return -1, 0
		}
		return 0, n
	}
	if isTemporal(typ) {
		if len(b) == 0 || !temporalSize(typ, int(b[0])) || int(b[0]) > len(b)-1 {
			return -1, 0
		}
		return 1, int(b[0])
	}
	if !lenEncType(typ) {
		return -1, 0
	}
	v, n := LenEncInt(b)
	if n == 0 || v > uint64(len(b)-n) {
		return -1, 0
	}
	return n, int(v)
}

// fixedSize is the size of types that always have it, else -1.
func fixedSize(typ byte) int {
	switch typ {
	case TypeNull:
		return 0
	case TypeTiny:
		return 1
	case TypeShort, TypeYear:
		return 2
	case TypeLong, TypeInt24, TypeFloat:
		return 4
	case TypeLongLong, TypeDouble:
		return 8
	}
	return -1
}

func isTemporal(typ byte) bool {
	return typ == TypeDate || typ == TypeDateTime || typ == TypeTimestamp || typ == TypeTime
}

// temporalSize reports whether a binary value of a temporal type may be n
// bytes long.
func temporalSize(typ byte, n int) bool {
	if typ == TypeTime {
		return n == 0 || n == 8 || n == 12
	}
	return n == 0 || n == 4 || n == 7 || n == 11
}

// lenEncType reports whether the type's binary form is bytes with a length.
func lenEncType(typ byte) bool {
	switch typ {
	case TypeDecimal, TypeNewDecimal, TypeVarchar, TypeVarString, TypeString, TypeBit, TypeEnum, TypeSet,
		TypeTinyBlob, TypeMediumBlob, TypeLongBlob, TypeBlob, TypeJSON, TypeGeometry, TypeVector:
		return true
	}
	return false
}

// intBits reads a binary integer of a type; ok is false for other types.
func intBits(typ byte, unsigned bool, b []byte) (signed int64, ok bool) {
	switch {
	case typ == TypeTiny && len(b) == 1:
		if unsigned {
			return int64(b[0]), true
		}
		return int64(int8(b[0])), true
	case (typ == TypeShort || typ == TypeYear) && len(b) == 2:
		v := binary.LittleEndian.Uint16(b)
		if unsigned {
			return int64(v), true
		}
		return int64(int16(v)), true
	case (typ == TypeLong || typ == TypeInt24) && len(b) == 4:
		v := binary.LittleEndian.Uint32(b)
		if unsigned {
			return int64(v), true
		}
		return int64(int32(v)), true
	case typ == TypeLongLong && len(b) == 8:
		return int64(binary.LittleEndian.Uint64(b)), true
	}
	return 0, false
}
