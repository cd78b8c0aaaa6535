package merge

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/servaldb/serval/internal/wire"
)

// intValue reads a signed integer column (also YEAR). Text is read digit by
// digit: it never becomes a float.
func intValue(typ byte, bin bool, v []byte) (int64, error) {
	if !bin {
		neg := len(v) > 0 && v[0] == '-'
		if neg {
			v = v[1:]
		}
		u, err := digits(v)
		switch {
		case err != nil:
			return 0, err
		case neg && u <= 1<<63:
			return -int64(u), nil
		case neg || u > math.MaxInt64:
			return 0, wire.ErrMalformed
		}
		return int64(u), nil
	}
	switch typ {
	case wire.TypeTiny:
		return int64(int8(v[0])), nil
	case wire.TypeShort, wire.TypeYear:
		return int64(int16(binary.LittleEndian.Uint16(v))), nil
	case wire.TypeLong, wire.TypeInt24:
		return int64(int32(binary.LittleEndian.Uint32(v))), nil
	}
	return int64(binary.LittleEndian.Uint64(v)), nil
}

// uintValue reads an unsigned integer column.
func uintValue(typ byte, bin bool, v []byte) (uint64, error) {
	if !bin {
		return digits(v)
	}
	switch typ {
	case wire.TypeTiny:
		return uint64(v[0]), nil
	case wire.TypeShort, wire.TypeYear:
		return uint64(binary.LittleEndian.Uint16(v)), nil
	case wire.TypeLong, wire.TypeInt24:
		return uint64(binary.LittleEndian.Uint32(v)), nil
	}
	return binary.LittleEndian.Uint64(v), nil
}

func digits(v []byte) (uint64, error) {
	if len(v) == 0 {
		return 0, wire.ErrMalformed
	}
	var u uint64
	for _, c := range v {
		d := uint64(c - '0')
		if d > 9 || u > math.MaxUint64/10 || u*10 > math.MaxUint64-d {
			return 0, wire.ErrMalformed
		}
		u = u*10 + d
	}
	return u, nil
}

// floatValue reads a FLOAT or DOUBLE column.
func floatValue(typ byte, bin bool, v []byte) (float64, error) {
	if !bin {
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return 0, wire.ErrMalformed
		}
		return f, nil
	}
	if typ == wire.TypeFloat {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(v))), nil
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(v)), nil
}

const (
	// notFixed is the number of decimals of a DOUBLE without a fixed number of
	// them (NOT_FIXED_DEC; MariaDB says 39 in some versions).
	notFixed = 31
	// plainDigits: a whole number with more digits is written with an exponent,
	// as is one with so many zeros behind the point (my_gcvt, DBL_DIG).
	plainDigits = 15
)

// appendDouble writes a DOUBLE as the server's text protocol does: the fewest
// digits that read back the same.
func appendDouble(dst []byte, f float64, decimals byte) []byte {
	if decimals < notFixed {
		return strconv.AppendFloat(dst, f, 'f', int(decimals), 64)
	}
	if f == 0 {
		return append(dst, '0')
	}
	var buf [32]byte
	e := strconv.AppendFloat(buf[:0], f, 'e', -1, 64)
	mark := len(e) - 1
	for e[mark] != 'e' {
		mark--
	}
	exp, _ := strconv.Atoi(string(e[mark+1:]))
	digits := mark - bytes.Count(e[:mark], []byte{'.'}) - bytes.Count(e[:mark], []byte{'-'})
	if point := exp + 1; point > -plainDigits && (point <= plainDigits || digits > point) {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = append(dst, e[:mark]...)
	return strconv.AppendInt(append(dst, 'e'), int64(exp), 10)
}
