package shardrule

import (
	"bytes"
	"math"
	"strconv"

	"github.com/servaldb/serval/internal/sqlval"
)

// maxExact: integers below it are exact as doubles, and no two of them are
// the same double.
const maxExact = 1 << 53

// decimal is a decimal number without exponent, cut into its digits. It borrows
// the text.
type decimal struct {
	neg         bool
	whole, frac []byte // whole without leading zeros, frac as written
	signed      []byte // '-' and whole where they stand together, else nil
}

// parseNumber reads [+-]digits[.digits] with at least one digit.
func parseNumber(text []byte) (decimal, bool) {
	var d decimal
	rest := text
	if len(rest) > 0 && (rest[0] == '-' || rest[0] == '+') {
		d.neg = rest[0] == '-'
		rest = rest[1:]
	}
	whole := leadingDigits(rest)
	d.whole, rest = rest[:whole], rest[whole:]
	if d.neg && whole > 0 && d.whole[0] != '0' {
		d.signed = text[:1+whole]
	}
	if len(rest) > 0 && rest[0] == '.' {
		n := leadingDigits(rest[1:])
		d.frac, rest = rest[1:1+n], rest[1+n:]
	}
	if len(rest) > 0 || len(d.whole)+len(d.frac) == 0 {
		return decimal{}, false
	}
	for len(d.whole) > 0 && d.whole[0] == '0' {
		d.whole = d.whole[1:]
	}
	return d, true
}

func leadingDigits(b []byte) int {
	n := 0
	for n < len(b) && b[n]-'0' <= 9 {
		n++
	}
	return n
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != '0' {
			return false
		}
	}
	return true
}

// isZero: the value is 0 whatever its sign.
func (d decimal) isZero() bool { return len(d.whole) == 0 && allZero(d.frac) }

// text is the number as MySQL makes a string of a literal: a digit before the
// point, no sign on zero, the digits after the point as written.
func (d decimal) text() []byte {
	var b []byte
	if d.neg && !d.isZero() {
		b = append(b, '-')
	}
	if len(d.whole) == 0 {
		b = append(b, '0')
	}
	b = append(b, d.whole...)
	if len(d.frac) > 0 {
		b = append(append(b, '.'), d.frac...)
	}
	return b
}

// round is the number with scale digits after the point, half away from zero.
func (d decimal) round(scale int) decimal {
	r := decimal{neg: d.neg}
	digits := make([]byte, 0, 1+len(d.whole)+scale)
	digits = append(append(digits, '0'), d.whole...)
	for i := range scale {
		if i < len(d.frac) {
			digits = append(digits, d.frac[i])
		} else {
			digits = append(digits, '0')
		}
	}
	if len(d.frac) > scale && d.frac[scale] >= '5' {
		for i := len(digits) - 1; ; i-- { // the digit put in front takes the last carry
			if digits[i] < '9' {
				digits[i]++
				break
			}
			digits[i] = '0'
		}
	}
	r.whole, r.frac = digits[:len(digits)-scale], digits[len(digits)-scale:]
	r.whole = bytes.TrimLeft(r.whole, "0")
	return r
}

// magnitude is the whole part as a number; false where it passes 64 bits.
func (d decimal) magnitude() (uint64, bool) {
	if len(d.whole) > 20 {
		return 0, false
	}
	var n uint64
	for _, c := range d.whole {
		digit := uint64(c - '0')
		if n > (math.MaxUint64-digit)/10 {
			return 0, false
		}
		n = n*10 + digit
	}
	return n, true
}

// zeroText is the text of the key 0.
var zeroText = []byte{'0'}

// intKey is the key of d's whole part; false where the column cannot hold it.
func (c Column) intKey(d decimal) (Key, bool) {
	n, ok := d.magnitude()
	if !ok || !c.fits(d.neg, n) {
		return Key{}, false
	}
	k := Key{Bytes: d.whole}
	switch {
	case n == 0:
		k.Bytes = zeroText
	case d.neg && d.signed != nil:
		k.Bytes = d.signed
	case d.neg:
		k.Bytes = append([]byte{'-'}, d.whole...)
	}
	switch {
	case d.neg:
		k.Int, k.IsInt = -int64(n), true // fits says n <= 1<<63, where the negation is itself
	case n <= math.MaxInt64:
		k.Int, k.IsInt = int64(n), true
	}
	return k, true
}

func (c Column) fits(neg bool, n uint64) bool {
	bits := c.Bits
	if bits == 0 {
		bits = 64
	}
	switch {
	case neg && c.Unsigned:
		return n == 0
	case neg:
		return n <= 1<<(bits-1)
	case c.Unsigned:
		return bits == 64 || n < 1<<bits
	}
	return n < 1<<(bits-1)
}

func (c Column) matchInt(d decimal) (Key, Match) {
	if !allZero(d.frac) {
		return Key{}, MatchNone // though MariaDB 10.11 finds 2 for 1.5 where it goes by an index
	}
	if k, ok := c.intKey(d); ok {
		return k, MatchKey
	}
	return Key{}, MatchNone
}

// maxScale is the most decimals a DECIMAL has; what a server makes of a literal
// with more (it rounds, or does not) is its own.
const maxScale = 30

// compareInt: exact numbers compare exactly, the others as doubles.
func (c Column) compareInt(v sqlval.Value) (Key, Match) {
	switch v.Kind {
	case sqlval.Int, sqlval.Decimal:
		if d, ok := parseNumber(v.Text); ok && len(d.frac) <= maxScale {
			return c.matchInt(d)
		}
	case sqlval.Float:
		return c.compareDouble(v.Text)
	case sqlval.String:
		return c.compareIntString(bytes.Trim(v.Text, " "))
	case sqlval.Null, sqlval.Binary, sqlval.Temporal:
	}
	return Key{}, MatchUnknown
}

// compareIntString: a server compares as doubles, or, where it can, as
// integers; below maxExact it comes to the same.
func (c Column) compareIntString(text []byte) (Key, Match) {
	d, ok := parseNumber(text)
	if !ok {
		return Key{}, MatchUnknown
	}
	if n, ok := d.magnitude(); !ok || n >= maxExact {
		return Key{}, MatchUnknown
	}
	if allZero(d.frac) {
		return c.matchInt(d)
	}
	return c.compareDouble(text)
}

func (c Column) compareDouble(text []byte) (Key, Match) {
	f, err := strconv.ParseFloat(string(text), 64)
	switch {
	case err != nil || math.Abs(f) >= maxExact || math.IsNaN(f):
		return Key{}, MatchUnknown
	case f != math.Trunc(f):
		return Key{}, MatchNone
	case bytes.IndexByte(text, '.') >= 0 && len(text) > 17:
		return Key{}, MatchUnknown // '7.00000000000000000001': MySQL 9.7 and MariaDB 10.11 differ
	}
	d, _ := parseNumber(strconv.AppendInt(nil, int64(f), 10))
	return c.matchInt(d)
}

// storeInt: decimals and strings round half away from zero, doubles half to
// even (MySQL 9.7, MariaDB 10.11).
func (c Column) storeInt(v sqlval.Value) (Key, error) {
	switch v.Kind {
	case sqlval.Int, sqlval.Decimal:
		if d, ok := parseNumber(v.Text); ok {
			return c.storeWhole(d)
		}
	case sqlval.String:
		return c.storeIntString(v)
	case sqlval.Float:
		f, err := strconv.ParseFloat(string(v.Text), 64)
		if err != nil || math.Abs(f) >= maxExact || math.IsNaN(f) {
			return Key{}, c.refuseValue(v, "servers differ in how they store so large a double in an integer", "give it as an integer")
		}
		if c.Unsigned && f < 0 {
			return Key{}, c.outOfRange()
		}
		d, _ := parseNumber(strconv.AppendInt(nil, int64(math.RoundToEven(f)), 10))
		return c.storeWhole(d)
	case sqlval.Null, sqlval.Binary, sqlval.Temporal:
	}
	return Key{}, c.refuseValue(v, "which integer it is depends on the server", "give it as an integer")
}

func (c Column) storeWhole(d decimal) (Key, error) {
	if c.Unsigned && d.neg && !d.isZero() {
		return Key{}, c.outOfRange()
	}
	if len(d.frac) > 0 {
		d = d.round(0)
	}
	k, ok := c.intKey(d)
	if !ok {
		return Key{}, c.outOfRange()
	}
	return k, nil
}

func (c Column) storeIntString(v sqlval.Value) (Key, error) {
	text := bytes.Trim(v.Text, " ")
	if d, ok := parseNumber(text); ok {
		return c.storeWhole(d)
	}
	if !startsNumber(text) {
		return Key{}, c.incorrect("integer", v.Text)
	}
	if bytes.ContainsAny(text, "eE\t\n\r\v\f") {
		return Key{}, c.refuseValue(v, "it is not plain digits", "give it as an integer")
	}
	return Key{}, withState(codeTruncated, "01000", "Data truncated for column '%s' at row 1", c.Name)
}

// startsNumber: a server finds at least one digit at the text's beginning.
func startsNumber(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\n\r\v\f+-.")
	return len(text) > 0 && text[0]-'0' <= 9
}

// doubleDigits is how many digits every decimal number can have so that no two
// are the same double.
const doubleDigits = 15

// compareDecimal: exact numbers compare exactly; strings as doubles or as
// decimals, by the server's version.
func (c Column) compareDecimal(v sqlval.Value) (Key, Match) {
	text := v.Text
	switch v.Kind {
	case sqlval.Int, sqlval.Decimal:
	case sqlval.String:
		text = bytes.Trim(text, " ")
	case sqlval.Null, sqlval.Float, sqlval.Binary, sqlval.Temporal:
		return Key{}, MatchUnknown
	}
	d, ok := parseNumber(text)
	if !ok || len(d.frac) > maxScale || v.Kind == sqlval.String && len(d.whole)+max(len(d.frac), c.Scale) > doubleDigits {
		return Key{}, MatchUnknown
	}
	if len(d.frac) > c.Scale && !allZero(d.frac[c.Scale:]) {
		return Key{}, MatchNone
	}
	return Key{Bytes: d.round(c.Scale).text()}, MatchKey
}

func (c Column) storeDecimal(v sqlval.Value) (Key, error) {
	text := v.Text
	switch v.Kind {
	case sqlval.Int, sqlval.Decimal:
	case sqlval.String:
		text = bytes.Trim(text, " ")
	case sqlval.Null, sqlval.Float, sqlval.Binary, sqlval.Temporal:
		return Key{}, c.refuseValue(v, "its exact value depends on the server", "give it as a decimal number")
	}
	d, ok := parseNumber(text)
	switch {
	case !ok && startsNumber(text):
		return Key{}, c.refuseValue(v, "it is not plain digits", "give it as a decimal number")
	case !ok:
		return Key{}, c.incorrect("decimal", v.Text)
	case c.Unsigned && d.neg && !d.isZero():
		return Key{}, c.outOfRange()
	}
	d = d.round(c.Scale)
	if c.Length > 0 && len(d.whole) > c.Length-c.Scale {
		return Key{}, c.outOfRange()
	}
	return Key{Bytes: d.text()}, nil
}
