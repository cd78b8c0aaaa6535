package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// AppendBinaryText appends a value given as text (as in a text row) in the
// form a binary row has for a column, with its length where the type has one.
// It is what answers Serval makes itself go through for prepared statements.
// Text that is none of the column's type is ErrMalformed.
func AppendBinaryText(dst []byte, col *Column, text []byte) ([]byte, error) {
	switch {
	case col.Type == TypeNull:
		return dst, ErrMalformed // it is always NULL
	case col.Type == TypeFloat:
		f, err := strconv.ParseFloat(string(text), 32)
		if err != nil {
			return dst, ErrMalformed
		}
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(f))), nil
	case col.Type == TypeDouble:
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return dst, ErrMalformed
		}
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f)), nil
	case fixedSize(col.Type) > 0:
		return appendBinaryInt(dst, fixedSize(col.Type), col.Unsigned(), text)
	case col.Type == TypeTime:
		return appendBinaryTime(dst, text)
	case isTemporal(col.Type):
		return appendBinaryDate(dst, text)
	case lenEncType(col.Type):
		return AppendLenEncBytes(dst, text), nil
	}
	return dst, ErrMalformed
}

func appendBinaryInt(dst []byte, size int, unsigned bool, text []byte) ([]byte, error) {
	bits := size * 8
	var v uint64
	var err error
	if unsigned {
		v, err = strconv.ParseUint(string(text), 10, bits)
	} else {
		var n int64
		n, err = strconv.ParseInt(string(text), 10, bits)
		v = uint64(n)
	}
	if err != nil {
		return dst, ErrMalformed
	}
	for range size {
		dst = append(dst, byte(v))
		v >>= 8
	}
	return dst, nil
}

// appendBinaryDate takes '2026-11-23', with or without ' 10:00:00' and
// fraction.
func appendBinaryDate(dst, text []byte) ([]byte, error) {
	date, clock, _ := bytes.Cut(text, []byte{' '})
	year, date, ok1 := digits(date, '-', 9999)
	month, date, ok2 := digits(date, '-', 12)
	day, date, ok3 := digits(date, 0, 31)
	if !ok1 || !ok2 || !ok3 || len(date) > 0 {
		return dst, ErrMalformed
	}
	var full [11]byte
	binary.LittleEndian.PutUint16(full[:], uint16(year))
	full[2], full[3] = byte(month), byte(day)
	if len(clock) > 0 {
		hours, ok := clockBytes(full[4:], clock, 23)
		if !ok {
			return dst, ErrMalformed
		}
		full[4] = byte(hours)
	}
	switch {
	case binary.LittleEndian.Uint32(full[7:]) != 0:
		return append(append(dst, 11), full[:]...), nil
	case full[4]|full[5]|full[6] != 0:
		return append(append(dst, 7), full[:7]...), nil
	case year|month|day != 0:
		return append(append(dst, 4), full[:4]...), nil
	}
	return append(dst, 0), nil
}

// appendBinaryTime takes '-838:59:59.000000'.
func appendBinaryTime(dst, text []byte) ([]byte, error) {
	var full [12]byte
	if clock, negative := bytes.CutPrefix(text, []byte{'-'}); negative {
		full[0], text = 1, clock
	}
	hours, ok := clockBytes(full[5:], text, 838)
	if !ok {
		return dst, ErrMalformed
	}
	binary.LittleEndian.PutUint32(full[1:], hours/24)
	full[5] = byte(hours % 24)
	switch {
	case binary.LittleEndian.Uint32(full[8:]) != 0:
		return append(append(dst, 12), full[:]...), nil
	case hours|uint32(full[6])|uint32(full[7]) != 0:
		return append(append(dst, 8), full[:8]...), nil
	}
	return append(dst, 0), nil
}

// clockBytes reads '10:11:12.123456' into minutes at b[1], seconds at b[2] and
// microseconds at b[3:7], and returns the hours.
func clockBytes(b, text []byte, maxHours uint32) (hours uint32, ok bool) {
	text, fraction, _ := bytes.Cut(text, []byte{'.'})
	hours, text, ok1 := digits(text, ':', maxHours)
	minutes, text, ok2 := digits(text, ':', 59)
	seconds, text, ok3 := digits(text, 0, 59)
	if !ok1 || !ok2 || !ok3 || len(text) > 0 || len(fraction) > 6 {
		return 0, false
	}
	b[1], b[2] = byte(minutes), byte(seconds)
	if len(fraction) == 0 {
		return hours, true
	}
	micros, rest, ok := digits(fraction, 0, 999999)
	for range 6 - len(fraction) {
		micros *= 10
	}
	binary.LittleEndian.PutUint32(b[3:], micros)
	return hours, ok && len(rest) == 0
}

// digits reads a number of at most limit at the front of text, and the
// separator behind it unless that is 0.
func digits(text []byte, separator byte, limit uint32) (v uint32, rest []byte, ok bool) {
	i := 0
	for ; i < len(text) && text[i] >= '0' && text[i] <= '9'; i++ {
		if v = v*10 + uint32(text[i]-'0'); v > limit {
			return 0, nil, false
		}
	}
	if i == 0 {
		return 0, nil, false
	}
	if separator == 0 {
		return v, text[i:], true
	}
	if i == len(text) || text[i] != separator {
		return 0, nil, false
	}
	return v, text[i+1:], true
}
