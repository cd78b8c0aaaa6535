package merge

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/servaldb/serval/internal/wire"
)

// exact adds exact numbers: in 64 bits while they fit, then without bound.
type exact struct {
	small int64
	big   *big.Int // nil while small holds the sum
	scale int      // digits behind the point
}

func (e *exact) reset(scale int) { e.small, e.big, e.scale = 0, nil, scale }

// smallDigits is how many decimal digits always fit in 64 bits.
const smallDigits = 18

// add adds a number in its text form.
func (e *exact) add(text []byte) error {
	neg := len(text) > 0 && text[0] == '-'
	if neg {
		text = text[1:]
	}
	if len(text) == 0 {
		return wire.ErrMalformed
	}
	scale, n, point := 0, 0, false
	var u uint64
	for _, c := range text {
		if c == '.' && !point {
			point = true
			continue
		}
		if c < '0' || c > '9' {
			return wire.ErrMalformed
		}
		if u > 0 || c != '0' {
			n++
		}
		u = u*10 + uint64(c-'0') // wraps where n is too large, and is not used then
		if point {
			scale++
		}
	}
	if scale > e.scale {
		e.rescale(scale)
	}
	if scale != e.scale || n > smallDigits {
		return e.addBig(text, neg, scale)
	}
	if neg {
		e.addInt(-int64(u))
	} else {
		e.addInt(int64(u))
	}
	return nil
}

// addInt adds n units of the last digit.
func (e *exact) addInt(n int64) {
	if e.big == nil {
		sum := e.small + n
		if (sum > e.small) == (n > 0) || n == 0 {
			e.small = sum
			return
		}
		e.big = big.NewInt(e.small)
	}
	e.big.Add(e.big, big.NewInt(n))
}

func (e *exact) addUint(n uint64) {
	if hi, lo := bits.Add64(0, n, 0); hi == 0 && lo <= 1<<63-1 {
		e.addInt(int64(lo))
		return
	}
	e.value().Add(e.big, new(big.Int).SetUint64(n))
}

func (e *exact) addBig(text []byte, neg bool, scale int) error {
	digits := make([]byte, 0, len(text))
	for _, c := range text {
		if c != '.' {
			digits = append(digits, c)
		}
	}
	n, ok := new(big.Int).SetString(string(digits), 10)
	if !ok {
		return wire.ErrMalformed
	}
	n.Mul(n, pow10(e.scale-scale))
	if neg {
		n.Neg(n)
	}
	e.value().Add(e.big, n)
	return nil
}

func (e *exact) rescale(scale int) {
	if e.big == nil && e.small == 0 {
		e.scale = scale
		return
	}
	e.value().Mul(e.big, pow10(scale-e.scale))
	e.scale = scale
}

// value is the sum as a big integer, which it is from then on.
func (e *exact) value() *big.Int {
	if e.big == nil {
		e.big = big.NewInt(e.small)
	}
	return e.big
}

// int64 and uint64 are a whole sum, if it fits.
func (e *exact) int64() (int64, bool) {
	if e.big == nil {
		return e.small, true
	}
	return e.big.Int64(), e.big.IsInt64()
}

func (e *exact) uint64() (uint64, bool) {
	if e.big == nil {
		return uint64(e.small), e.small >= 0
	}
	return e.big.Uint64(), e.big.IsUint64()
}

func (e *exact) append(dst []byte) []byte {
	if e.big == nil {
		var buf [20]byte
		digits := strconv.AppendUint(buf[:0], magnitude(e.small), 10)
		return appendScaled(dst, e.small < 0, digits, e.scale)
	}
	return appendBig(dst, e.big, e.scale)
}

func appendBig(dst []byte, n *big.Int, scale int) []byte {
	var buf [80]byte
	return appendScaled(dst, n.Sign() < 0, new(big.Int).Abs(n).Append(buf[:0], 10), scale)
}

// appendScaled writes digits with so many of them behind the point.
func appendScaled(dst []byte, neg bool, digits []byte, scale int) []byte {
	if neg {
		dst = append(dst, '-')
	}
	whole := len(digits) - scale
	if whole > 0 {
		dst = append(dst, digits[:whole]...)
		digits = digits[whole:]
	} else {
		dst = append(dst, '0')
	}
	if scale == 0 {
		return dst
	}
	dst = append(dst, '.')
	for ; whole < 0; whole++ {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func pow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// wordDigits: the server keeps a DECIMAL in words of nine digits
// (strings/decimal.c, DIG_PER_DEC1).
const wordDigits = 9

// average is sum/count with so many decimals, as the server divides: the
// quotient is cut off behind the last whole word it computes and then rounded
// half away from zero. Where the word ends with the wanted decimals that is no
// rounding at all (AVG of a DECIMAL with 5 decimals).
func (e *exact) average(dst []byte, count int64, decimals int) []byte {
	decimals = max(decimals, e.scale)
	words := func(n int) int { return (n + wordDigits - 1) / wordDigits * wordDigits }
	computed := words(words(e.scale) + max(0, decimals-words(e.scale)))
	if q, ok := e.quickQuotient(count, computed, decimals); ok {
		var buf [20]byte
		return appendScaled(dst, e.small < 0 && q > 0, strconv.AppendUint(buf[:0], q, 10), decimals)
	}
	q := new(big.Int).Mul(e.value(), pow10(computed-e.scale))
	q.Quo(q, big.NewInt(count))
	if extra := computed - decimals; extra > 0 {
		half := new(big.Int).Mul(big.NewInt(5), pow10(extra-1))
		if q.Sign() < 0 {
			half.Neg(half)
		}
		q.Add(q, half)
		q.Quo(q, pow10(extra))
	}
	return appendBig(dst, q, decimals)
}

// quotient is sum/count rounded half away from zero to so many decimals, fewer
// than the sum has.
func (e *exact) quotient(dst []byte, count int64, decimals int) []byte {
	computed := max(e.scale, decimals) + wordDigits
	q := new(big.Int).Mul(e.value(), pow10(computed-e.scale))
	q.Quo(q, big.NewInt(count))
	half := new(big.Int).Mul(big.NewInt(5), pow10(computed-decimals-1))
	if q.Sign() < 0 {
		half.Neg(half)
	}
	q.Add(q, half)
	return appendBig(dst, q.Quo(q, pow10(computed-decimals)), decimals)
}

// quickQuotient is average's quotient without its sign, where 64 bits hold it.
func (e *exact) quickQuotient(count int64, computed, decimals int) (uint64, bool) {
	extra := computed - decimals
	if e.big != nil || count <= 0 || computed-e.scale > smallDigits {
		return 0, false
	}
	hi, lo := bits.Mul64(magnitude(e.small), power(computed-e.scale))
	if hi >= uint64(count) {
		return 0, false
	}
	q, _ := bits.Div64(hi, lo, uint64(count))
	if extra == 0 {
		return q, true
	}
	half := 5 * power(extra-1)
	if q > math.MaxUint64-half {
		return 0, false
	}
	return (q + half) / power(extra), true
}

// power is 10 to the n. Requires: n is at most smallDigits.
func power(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}
