package merge

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// keyKind is how a column's values are ordered.
type keyKind uint8

const (
	keyInt keyKind = iota
	keyUint
	keyFloat
	keyDecimal
	keyDate  // DATE, DATETIME, TIMESTAMP
	keyTime  // TIME: has a sign
	keyBit   // BIT: a number in big-endian bytes
	keyBytes // binary strings, byte by byte
	keyText  // by its weight
	keyNull  // a column that is NULL in every row
)

// keyPart is one column of a key.
type keyPart struct {
	kind   keyKind
	column int // for keyText the weight's column
	shown  int // the key's own column: tells NULL
	desc   bool
	pad    []byte // keyText: the weight of a space where spaces at the end don't count
}

// keys encodes rows' sort columns so that bytes.Compare of two encodings is
// MySQL's order, and equal encodings are equal to MySQL. No encoding is a
// proper prefix of another.
type keys struct {
	parts []keyPart
	upto  int // the columns to cut
}

func newKeys(cols []wire.Column, by []plan.SortKey, pad func(uint16) []byte) (*keys, error) {
	k := &keys{}
	for _, key := range by {
		part, err := newKeyPart(cols, key.Column, key.Weight, key.Pad, pad)
		if err != nil {
			return nil, err
		}
		part.desc = key.Desc
		k.parts = append(k.parts, part)
		k.upto = max(k.upto, part.column+1, part.shown+1)
	}
	return k, nil
}

func newKeyPart(cols []wire.Column, column, weight int, spaces plan.Pad, pad func(uint16) []byte) (keyPart, error) {
	if column < 0 || column >= len(cols) || weight >= len(cols) {
		return keyPart{}, sqlerr.New(sqlerr.UnknownError, "merge: column %d of %d is a sort key", column, len(cols))
	}
	col := &cols[column]
	p := keyPart{column: column, shown: column}
	kind, ok := kindOf(col)
	if weight >= 0 && (!ok || kind == keyText) {
		// A weight that is a number orders what only its server can: an
		// ENUM's (col+0).
		if w, known := kindOf(&cols[weight]); known && w != keyBytes && w != keyText {
			kind, ok, p.column = w, true, weight
		}
	}
	if !ok {
		return keyPart{}, sqlerr.Refuse("to merge rows of several shards by "+typeName(col)+" "+string(col.Name),
			"its order is the server's own", "order by an expression of it that is a number, a string or a date")
	}
	if kind == keyBytes && weight == column && spaces.Known {
		kind = keyText // a weight that is a column of its own, beside the text's
	}
	if p.kind = kind; kind == keyText {
		if weight < 0 {
			return keyPart{}, sqlerr.New(sqlerr.UnknownError, "merge: the text column %s has no weight to compare by", col.Name)
		}
		p.column = weight
		switch {
		case spaces.Known:
			p.pad = spaces.Space
		case pad != nil:
			p.pad = pad(col.Charset)
		}
	}
	return p, nil
}

// kindOf is how a column is ordered; false where only the server knows: ENUM
// and SET are ordered by their number, of which the row says nothing.
func kindOf(c *wire.Column) (keyKind, bool) {
	switch c.Type {
	case wire.TypeTiny, wire.TypeShort, wire.TypeLong, wire.TypeInt24, wire.TypeLongLong, wire.TypeYear:
		if c.Unsigned() {
			return keyUint, true
		}
		return keyInt, true
	case wire.TypeFloat, wire.TypeDouble:
		return keyFloat, true
	case wire.TypeDecimal, wire.TypeNewDecimal:
		return keyDecimal, true
	case wire.TypeDate, wire.TypeDateTime, wire.TypeTimestamp:
		return keyDate, true
	case wire.TypeTime:
		return keyTime, true
	case wire.TypeBit:
		return keyBit, true
	case wire.TypeNull:
		return keyNull, true
	case wire.TypeEnum, wire.TypeSet, wire.TypeJSON, wire.TypeGeometry, wire.TypeVector:
		return 0, false
	}
	switch {
	case c.Flags&(wire.FlagEnum|wire.FlagSet) != 0:
		return 0, false
	case c.Charset == wire.CollationBinary:
		return keyBytes, true
	}
	return keyText, true
}

// append appends the key of the row that s cut last.
func (k *keys) append(dst []byte, s *shape) ([]byte, error) {
	for i := range k.parts {
		p := &k.parts[i]
		start := len(dst)
		var err error
		if dst, err = p.append(dst, s); err != nil {
			return dst, err
		}
		if p.desc {
			for j := start; j < len(dst); j++ {
				dst[j] = ^dst[j]
			}
		}
	}
	return dst, nil
}

const (
	markNull  = 0 // NULL is the lowest
	markValue = 1
)

func (p *keyPart) append(dst []byte, s *shape) ([]byte, error) {
	if s.f[p.shown].null {
		return append(dst, markNull), nil
	}
	if s.f[p.column].null {
		return dst, sqlerr.New(sqlerr.UnknownError, "merge: the server gave no weight for a value of %s", s.cols[p.shown].Name)
	}
	v, typ := s.value(p.column), s.cols[p.column].Type
	dst = append(dst, markValue)
	switch p.kind {
	case keyInt:
		n, err := intValue(typ, s.binary, v)
		return appendSigned(dst, n), err
	case keyUint:
		n, err := uintValue(typ, s.binary, v)
		return binary.BigEndian.AppendUint64(dst, n), err
	case keyFloat:
		f, err := floatValue(typ, s.binary, v)
		return appendFloat(dst, f), err
	case keyDecimal:
		return appendDecimal(dst, v)
	case keyDate:
		n, err := dateKey(s.binary, v)
		return binary.BigEndian.AppendUint64(dst, n), err
	case keyTime:
		n, err := timeKey(s.binary, v)
		return appendSigned(dst, n), err
	case keyBit:
		if len(v) > 8 {
			return dst, wire.ErrMalformed
		}
		return append(append(dst, make([]byte, 8-len(v))...), v...), nil
	case keyBytes:
		return appendBytes(dst, v), nil
	case keyText:
		if len(p.pad) > 0 {
			return appendPadded(dst, v, p.pad), nil
		}
		return appendBytes(dst, v), nil
	case keyNull:
	}
	return dst, nil
}

func appendSigned(dst []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(n)^1<<63)
}

func appendFloat(dst []byte, f float64) []byte {
	bits := math.Float64bits(f)
	switch {
	case f == 0: // -0 is 0
		bits = 1 << 63
	case bits>>63 != 0:
		bits = ^bits
	default:
		bits |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(dst, bits)
}

// appendBytes: a zero byte is doubled by 0xff, two of them end the value.
func appendBytes(dst, v []byte) []byte {
	for {
		i := bytes.IndexByte(v, 0)
		if i < 0 {
			break
		}
		dst = append(dst, v[:i+1]...)
		dst = append(dst, 0xff)
		v = v[i+1:]
	}
	return append(append(dst, v...), 0, 0)
}

const (
	restLess    = 1 // the rest sorts before spaces
	restSpaces  = 2 // nothing but spaces is left
	restGreater = 3
)

// appendPadded encodes a weight as if spaces without end followed it. Behind
// each space's weight stands how the rest compares with spaces; the end is
// such a space with nothing behind it, so 'a', 'a ' are one key, and 'a\t' is
// before them.
func appendPadded(dst, v, space []byte) []byte {
	n := len(space)
	for len(v) >= n && bytes.Equal(v[len(v)-n:], space) {
		v = v[:len(v)-n]
	}
	for len(v) > 0 {
		unit := v[:min(n, len(v))]
		v = v[len(unit):]
		dst = append(dst, unit...)
		for range n - len(unit) {
			dst = append(dst, 0)
		}
		if bytes.Equal(unit, space) {
			dst = append(dst, restAgainst(v, space))
		}
	}
	return append(append(dst, space...), restSpaces)
}

// restAgainst compares a rest that doesn't end with a space with spaces.
func restAgainst(v, space []byte) byte {
	for n := len(space); len(v) > 0; v = v[min(n, len(v)):] {
		switch bytes.Compare(v[:min(n, len(v))], space) {
		case -1:
			return restLess
		case 1:
			return restGreater
		}
	}
	return restSpaces
}

const (
	decimalNegative = 1
	decimalZero     = 2
	decimalPositive = 3
	decimalBias     = 1 << 15 // exponents of DECIMAL are within ±65
)

// appendDecimal encodes a DECIMAL's text: sign, decimal exponent, digits
// without zeros at either end.
func appendDecimal(dst, v []byte) ([]byte, error) {
	neg := len(v) > 0 && v[0] == '-'
	if neg {
		v = v[1:]
	}
	exp, any, point := 0, false, false
	first, last := -1, -1 // of the digits that are not 0
	for i, c := range v {
		switch {
		case c == '.' && !point:
			point = true
			continue
		case c < '0' || c > '9':
			return dst, wire.ErrMalformed
		}
		any = true
		if c != '0' {
			if first < 0 {
				first = i
			}
			last = i
		}
		if !point && first >= 0 {
			exp++
		} else if point && first < 0 {
			exp--
		}
	}
	if !any {
		return dst, wire.ErrMalformed
	}
	if first < 0 {
		return append(dst, decimalZero), nil
	}
	start := len(dst) + 1
	dst = append(dst, decimalPositive)
	dst = binary.BigEndian.AppendUint16(dst, uint16(exp+decimalBias))
	for _, c := range v[first : last+1] {
		if c != '.' {
			dst = append(dst, c)
		}
	}
	dst = append(dst, 0)
	if neg {
		dst[start-1] = decimalNegative
		for i := start; i < len(dst); i++ {
			dst[i] = ^dst[i]
		}
	}
	return dst, nil
}
