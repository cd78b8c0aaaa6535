package wire

import "encoding/binary"

// lenEncNull is the first byte of a NULL where a length-encoded value is
// expected (text rows).
const lenEncNull = 0xfb

// AppendLenEncInt appends a length-encoded integer.
func AppendLenEncInt(dst []byte, v uint64) []byte {
	switch {
	case v < 0xfb:
		return append(dst, byte(v))
	case v < 1<<16:
		return append(dst, 0xfc, byte(v), byte(v>>8))
	case v < 1<<24:
		return append(dst, 0xfd, byte(v), byte(v>>8), byte(v>>16))
	}
	return binary.LittleEndian.AppendUint64(append(dst, 0xfe), v)
}

// AppendLenEncBytes appends a length-encoded string.
func AppendLenEncBytes(dst, b []byte) []byte {
	return append(AppendLenEncInt(dst, uint64(len(b))), b...)
}

// AppendLenEncString is AppendLenEncBytes of a string.
func AppendLenEncString(dst []byte, s string) []byte {
	return append(AppendLenEncInt(dst, uint64(len(s))), s...)
}

// LenEncInt reads a length-encoded integer at the front of b: the value and
// how many bytes it took, 0 if it is not one or is cut short. 0xfb (NULL) and
// 0xff are not integers.
func LenEncInt(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	switch c := b[0]; {
	case c < lenEncNull:
		return uint64(c), 1
	case c == 0xfc && len(b) >= 3:
		return uint64(b[1]) | uint64(b[2])<<8, 3
	case c == 0xfd && len(b) >= 4:
		return uint64(b[1]) | uint64(b[2])<<8 | uint64(b[3])<<16, 4
	case c == 0xfe && len(b) >= 9:
		return binary.LittleEndian.Uint64(b[1:]), 9
	}
	return 0, 0
}

// cursor reads a payload from the front. After the first read past the end
// bad stays true and every read gives zero, so that a decoder checks once.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) rest() []byte { return c.b }

// take returns the next n bytes.
func (c *cursor) take(n int) []byte {
	if c.bad || n < 0 || n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	b := c.b[:n:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) uint8() uint8 {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if b := c.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) lenEncInt() uint64 {
	v, n := LenEncInt(c.b)
	if n == 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) lenEncBytes() []byte {
	n := c.lenEncInt()
	if n > uint64(len(c.b)) {
		c.bad, c.b = true, nil
		return nil
	}
	return c.take(int(n))
}

// nulString returns the bytes up to a NUL and steps over it.
func (c *cursor) nulString() []byte {
	for i, b := range c.b {
		if b == 0 {
			s := c.take(i)
			c.skip(1)
			return s
		}
	}
	c.bad, c.b = true, nil
	return nil
}

func (c *cursor) err() error {
	if c.bad {
		return ErrMalformed
	}
	return nil
}
