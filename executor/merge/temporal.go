package merge

import (
	"encoding/binary"

	"github.com/servaldb/serval/internal/wire"
)

// dateKey packs a DATE, DATETIME or TIMESTAMP so that numbers compare as the
// dates do; zero dates and zero parts have their place too.
func dateKey(bin bool, v []byte) (uint64, error) {
	var p [7]uint64 // year, month, day, hour, minute, second, microsecond
	if bin {
		if err := binaryDate(&p, v); err != nil {
			return 0, err
		}
	} else if err := textParts(p[:], v); err != nil {
		return 0, err
	}
	day := (p[0]*13+p[1])*32 + p[2]
	return ((day*24+p[3])*60+p[4])*60*1e6 + p[5]*1e6 + p[6], nil
}

func binaryDate(p *[7]uint64, v []byte) error {
	switch len(v) {
	case 11:
		p[6] = uint64(binary.LittleEndian.Uint32(v[7:]))
		fallthrough
	case 7:
		p[3], p[4], p[5] = uint64(v[4]), uint64(v[5]), uint64(v[6])
		fallthrough
	case 4:
		p[0], p[1], p[2] = uint64(binary.LittleEndian.Uint16(v)), uint64(v[2]), uint64(v[3])
		fallthrough
	case 0:
		return nil
	}
	return wire.ErrMalformed
}

// timeKey is a TIME in microseconds.
func timeKey(bin bool, v []byte) (int64, error) {
	neg := false
	p := [4]uint64{} // hours, minutes, seconds, microseconds
	if bin {
		switch len(v) {
		case 0:
			return 0, nil
		case 12:
			p[3] = uint64(binary.LittleEndian.Uint32(v[8:]))
		case 8:
		default:
			return 0, wire.ErrMalformed
		}
		neg = v[0] != 0
		p[0] = uint64(binary.LittleEndian.Uint32(v[1:]))*24 + uint64(v[5])
		p[1], p[2] = uint64(v[6]), uint64(v[7])
	} else {
		if neg = len(v) > 0 && v[0] == '-'; neg {
			v = v[1:]
		}
		if err := textParts(p[:], v); err != nil {
			return 0, err
		}
	}
	us := int64(((p[0]*60+p[1])*60+p[2])*1e6 + p[3])
	if neg {
		us = -us
	}
	return us, nil
}

// textParts reads the numbers of a temporal text; the last of p is the
// fraction in microseconds.
func textParts(p []uint64, v []byte) error {
	last := len(p) - 1
	i, width := 0, 0
	for _, c := range v {
		switch {
		case c >= '0' && c <= '9' && width < 10:
			p[i] = p[i]*10 + uint64(c-'0')
			width++
		case c == '.':
			i, width = last, 0
		case (c == '-' || c == ':' || c == ' ') && width > 0 && i+1 < last:
			i, width = i+1, 0
		default:
			return wire.ErrMalformed
		}
	}
	if i == last {
		if width > 6 {
			return wire.ErrMalformed
		}
		for ; width < 6; width++ {
			p[last] *= 10
		}
	}
	if len(v) == 0 {
		return wire.ErrMalformed
	}
	return nil
}
