package wire

import (
	"encoding/binary"
	"strconv"
)

// anyDecimals as a number of fractional digits: six, if microseconds are not
// zero.
const anyDecimals = -1

// appendTemporalText appends a binary temporal value (what follows its length
// byte) as text with this many fractional digits.
func appendTemporalText(dst []byte, typ byte, b []byte, decimals int) ([]byte, error) {
	if !temporalSize(typ, len(b)) {
		return dst, ErrMalformed
	}
	if typ == TypeTime {
		return appendTimeText(dst, b, decimals), nil
	}
	var full [11]byte // the missing parts are zero
	copy(full[:], b)
	dst = appendPadded(dst, uint32(binary.LittleEndian.Uint16(full[:])), 4)
	dst = appendPadded(append(dst, '-'), uint32(full[2]), 2)
	dst = appendPadded(append(dst, '-'), uint32(full[3]), 2)
	if typ == TypeDate {
		return dst, nil
	}
	dst = appendClock(append(dst, ' '), uint32(full[4]), full[5], full[6])
	return appendFraction(dst, binary.LittleEndian.Uint32(full[7:]), decimals), nil
}

// appendTimeText: sign, days (4 bytes), hours, minutes, seconds, microseconds
// (4 bytes).
func appendTimeText(dst, b []byte, decimals int) []byte {
	var full [12]byte
	copy(full[:], b)
	if full[0] != 0 {
		dst = append(dst, '-')
	}
	// A TIME has at most 34 days; a forged value must not overflow.
	days := min(binary.LittleEndian.Uint32(full[1:]), 1<<20)
	dst = appendClock(dst, days*24+uint32(full[5]), full[6], full[7])
	return appendFraction(dst, binary.LittleEndian.Uint32(full[8:]), decimals)
}

func appendClock(dst []byte, hours uint32, minutes, seconds byte) []byte {
	dst = appendPadded(dst, hours, 2)
	dst = appendPadded(append(dst, ':'), uint32(minutes), 2)
	return appendPadded(append(dst, ':'), uint32(seconds), 2)
}

func appendFraction(dst []byte, micros uint32, decimals int) []byte {
	if decimals == anyDecimals {
		if micros == 0 {
			return dst
		}
		decimals = 6
	}
	if decimals <= 0 || decimals > 6 { // 31 says "not fixed"
		return dst
	}
	for range 6 - decimals {
		micros /= 10
	}
	return appendPadded(append(dst, '.'), micros, decimals)
}

// appendPadded appends v with at least width digits.
func appendPadded(dst []byte, v uint32, width int) []byte {
	for limit := uint32(10); width > 1; width, limit = width-1, limit*10 {
		if v < limit {
			// Every digit still missing is a zero.
			for range width - 1 {
				dst = append(dst, '0')
			}
			break
		}
	}
	return strconv.AppendUint(dst, uint64(v), 10)
}
