package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
)

// SQLValue is the parameter as a literal would be read, so that prepared
// statements and text queries meet. Text that has to be made is appended to
// scratch, which is returned grown; other text borrows from the parameter.
//
// An error is ErrMalformed, or a *sqlerr.Error for a NaN or infinity, which
// SQL has no literal for.
func (p Param) SQLValue(scratch []byte) (sqlval.Value, []byte, error) {
	if p.Null {
		return sqlval.NullValue, scratch, nil
	}
	kind := p.kind()
	switch kind {
	case sqlval.Decimal, sqlval.String, sqlval.Binary:
		return sqlval.Value{Kind: kind, Text: p.Value}, scratch, nil
	case sqlval.Float:
		f, ok := floatBits(p.Type, p.Value)
		if !ok {
			return sqlval.Value{}, scratch, ErrMalformed
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return sqlval.Value{}, scratch, sqlerr.New(sqlerr.WrongArguments, "Incorrect arguments to EXECUTE: a parameter is not a finite number")
		}
	case sqlval.Null, sqlval.Int, sqlval.Temporal:
	}
	start := len(scratch)
	out, err := p.AppendText(scratch)
	if err != nil {
		return sqlval.Value{}, scratch, err
	}
	return sqlval.Value{Kind: kind, Text: out[start:len(out):len(out)]}, out, nil
}

func (p Param) kind() sqlval.Kind {
	switch p.Type {
	case TypeTiny, TypeShort, TypeLong, TypeInt24, TypeLongLong, TypeYear:
		return sqlval.Int
	case TypeFloat, TypeDouble:
		return sqlval.Float
	case TypeDate, TypeDateTime, TypeTimestamp, TypeTime:
		return sqlval.Temporal
	case TypeDecimal, TypeNewDecimal:
		return sqlval.Decimal
	case TypeTinyBlob, TypeMediumBlob, TypeLongBlob, TypeBlob:
		return sqlval.Binary
	}
	return sqlval.String
}

// AppendText appends the parameter's text as SQL would write it without
// quotes: temporal values as '2026-11-23 10:00:00', with six fractional digits
// only where microseconds are not zero; floats always with an exponent, so
// that they stay approximate numbers. A NULL parameter appends nothing.
func (p Param) AppendText(dst []byte) ([]byte, error) {
	if p.Null {
		return dst, nil
	}
	switch p.kind() {
	case sqlval.Int:
		return appendIntText(dst, p.Type, p.Unsigned, p.Value)
	case sqlval.Float:
		f, ok := floatBits(p.Type, p.Value)
		if !ok {
			return dst, ErrMalformed
		}
		return strconv.AppendFloat(dst, f, 'e', -1, 64), nil
	case sqlval.Temporal:
		return appendTemporalText(dst, p.Type, p.Value, anyDecimals)
	case sqlval.Null, sqlval.Decimal, sqlval.String, sqlval.Binary:
	}
	return append(dst, p.Value...), nil
}

// ColumnParam is the value of a binary row as a parameter that equals it on a
// server. Not every type of a column is one of a parameter: MySQL refuses
// INT24 and YEAR, MariaDB takes them for something else.
func ColumnParam(col *Column, value []byte) Param {
	p := Param{Type: col.Type, Unsigned: col.Unsigned(), Null: value == nil, Value: value}
	switch col.Type {
	case TypeInt24:
		p.Type = TypeLong // it has four bytes already
	case TypeYear:
		p.Type = TypeShort
	case TypeBit:
		p.Type, p.Unsigned = TypeLongLong, true
		if value != nil {
			p.Value = bitNumber(value)
		}
	case TypeJSON:
		p.Type = TypeVarString // its character set says binary, its bytes are text
	case TypeVarchar, TypeVarString, TypeString, TypeEnum, TypeSet, TypeTinyBlob, TypeMediumBlob,
		TypeLongBlob, TypeBlob, TypeGeometry, TypeVector:
		p.Type = TypeVarString
		if col.Charset == CollationBinary {
			p.Type = TypeBlob
		}
	}
	return p
}

// bitNumber turns a BIT's bytes, highest first, into those of a BIGINT.
func bitNumber(value []byte) []byte {
	var v uint64
	for _, b := range value {
		v = v<<8 | uint64(b)
	}
	return binary.LittleEndian.AppendUint64(nil, v)
}

// AppendColumnText appends a value of a binary row in the form a text row has
// for the same column: ZEROFILL, fractional digits and a server's way of
// printing floats (6 digits of a FLOAT, those that identify a DOUBLE).
func AppendColumnText(dst []byte, col *Column, value []byte) ([]byte, error) {
	switch {
	case isTemporal(col.Type):
		return appendTemporalText(dst, col.Type, value, int(col.Decimals))
	case col.Type == TypeFloat || col.Type == TypeDouble:
		return appendFloatText(dst, col, value)
	case fixedSize(col.Type) > 0:
		start := len(dst)
		dst, err := appendIntText(dst, col.Type, col.Unsigned(), value)
		if err == nil && (col.Flags&FlagZerofill != 0 || col.Type == TypeYear) {
			dst = zerofill(dst, start, int(min(col.Length, 255)))
		}
		return dst, err
	}
	return append(dst, value...), nil
}

// zerofill pads what is behind start with zeros to width.
func zerofill(dst []byte, start, width int) []byte {
	missing := width - (len(dst) - start)
	if missing <= 0 {
		return dst
	}
	return slices.Insert(dst, start, bytes.Repeat([]byte{'0'}, missing)...)
}

func appendIntText(dst []byte, typ byte, unsigned bool, b []byte) ([]byte, error) {
	v, ok := intBits(typ, unsigned, b)
	if !ok {
		return dst, ErrMalformed
	}
	if unsigned {
		return strconv.AppendUint(dst, uint64(v), 10), nil
	}
	return strconv.AppendInt(dst, v, 10), nil
}

func floatBits(typ byte, b []byte) (float64, bool) {
	switch {
	case typ == TypeFloat && len(b) == 4:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), true
	case typ == TypeDouble && len(b) == 8:
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), true
	}
	return 0, false
}

// notFixedDecimals is a column's Decimals where a float has no fixed number of
// digits (NOT_FIXED_DEC).
const notFixedDecimals = 31

func appendFloatText(dst []byte, col *Column, value []byte) ([]byte, error) {
	f, ok := floatBits(col.Type, value)
	if !ok {
		return dst, ErrMalformed
	}
	if col.Decimals < notFixedDecimals {
		return strconv.AppendFloat(dst, f, 'f', int(col.Decimals), 64), nil
	}
	if col.Type == TypeFloat {
		f = sixDigits(f)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-15 || a >= 1e15) {
		return appendExponent(dst, f), nil
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64), nil
}

// sixDigits rounds to FLT_DIG significant digits, as servers do when they
// print a FLOAT.
func sixDigits(f float64) float64 {
	var buf [16]byte
	rounded, err := strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], f, 'e', 5, 64)), 64)
	if err != nil {
		return f // infinite or no number, which no server sends
	}
	return rounded
}

// appendExponent writes 1e20 and 1e-7 as servers do, without the plus sign and
// the zeros that strconv puts in.
func appendExponent(dst []byte, f float64) []byte {
	var buf [32]byte
	mantissa, exponent, _ := bytes.Cut(strconv.AppendFloat(buf[:0], f, 'e', -1, 64), []byte{'e'})
	dst = append(append(dst, mantissa...), 'e')
	if len(exponent) > 0 && exponent[0] == '-' {
		dst = append(dst, '-')
	}
	return append(dst, bytes.TrimLeft(exponent, "+-0")...)
}
