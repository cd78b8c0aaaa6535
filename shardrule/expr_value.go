package shardrule

import (
	"fmt"
	"hash/crc32"
	"math"
	"math/big"
	"strconv"
	"unicode/utf8"
)

// value is the expression's value for a key of its column, c being the column;
// false where it has none: a number too large, a text that is no number.
func (e *Expr) value(k Key, text []byte, c Column) (Key, bool) {
	switch e.op {
	case opColumn:
		if c.Type == TypeInt && !k.IsInt {
			return Key{}, false // past BIGINT
		}
		return Key{Bytes: text, Int: k.Int, IsInt: k.IsInt}, true
	case opNumber:
		return numberKey(e.number), true
	}
	in, ok := e.args[0].value(k, text, c)
	if !ok {
		return in, false
	}
	switch e.op {
	case opAdd, opSub, opMul, opDiv, opMod, opAbs:
		right, ok := e.args[len(e.args)-1].value(k, text, c)
		if !ok {
			return right, false
		}
		n, ok := e.op.compute(in.Int, right.Int)
		return numberKey(n), ok
	case opPrefix, opSuffix, opSubstring:
		return Key{Bytes: e.cut(in.Bytes)}, true
	case opDigits:
		n, err := strconv.ParseUint(string(in.Bytes), 10, 64)
		return numberKey(int64(n)), err == nil && len(in.Bytes) <= 18
	case opCRC32:
		return numberKey(int64(crc32.ChecksumIEEE(in.Bytes))), true
	case opYear, opMonth, opDay, opHour, opWeekday:
		at, ok := clockOfText(in.Bytes)
		return numberKey(int64(e.op.part(at))), ok
	case opColumn, opNumber:
	}
	return in, false
}

func numberKey(n int64) Key { return Key{Bytes: strconv.AppendInt(nil, n, 10), Int: n, IsInt: true} }

// compute is one operation; false where a BIGINT does not hold the result.
func (op exprOp) compute(a, b int64) (int64, bool) {
	switch op {
	case opAdd, opSub, opMul:
		x, y := big.NewInt(a), big.NewInt(b)
		switch op {
		case opAdd:
			x.Add(x, y)
		case opSub:
			x.Sub(x, y)
		default:
			x.Mul(x, y)
		}
		return x.Int64(), x.IsInt64()
	case opDiv:
		return a / b, a != math.MinInt64 || b != -1
	case opMod:
		if b == -1 {
			return 0, true
		}
		return a % b, true
	case opAbs:
		if a < 0 {
			return -a, a != math.MinInt64
		}
		return a, true
	default:
		return 0, false
	}
}

// part is a part of a date.
func (op exprOp) part(at clock) int {
	switch op {
	case opYear:
		return at.year
	case opMonth:
		return at.month
	case opDay:
		return at.day
	case opHour:
		return at.hour
	default:
		return ((at.days()+3)%7 + 7) % 7 // 1970-01-01 was a Thursday
	}
}

// cut is a part of a text, in characters.
func (e *Expr) cut(text []byte) []byte {
	n := int(e.args[1].number)
	total := utf8.RuneCount(text)
	from, to := 0, min(n, total)
	switch e.op {
	case opSuffix:
		from, to = max(total-n, 0), total
	case opSubstring:
		from = min(n-1, total)
		to = min(from+int(e.args[2].number), total)
	default:
	}
	start := runesLong(text, from)
	return text[start : start+runesLong(text[start:], to-from)]
}

// runesLong is how many bytes the text's first n characters have.
func runesLong(text []byte, n int) int {
	at := 0
	for range n {
		_, size := utf8.DecodeRune(text[at:])
		at += size
	}
	return at
}

// sql is the expression in SQL, over the quoted column.
func (e *Expr) sql(column string, c Column) string {
	arg := func(i int) string { return e.args[i].sql(column, c) }
	switch e.op {
	case opColumn:
		switch {
		case c.Type == TypeInt:
			return "CAST(" + column + " AS SIGNED)"
		case c.Type == TypeText && c.PadSpace:
			column = "RTRIM(" + column + ")"
		}
		if c.Type == TypeText && c.foldsCase() {
			return "UPPER(" + column + ")"
		}
		return column
	case opNumber:
		return strconv.FormatInt(e.number, 10)
	case opAdd, opSub, opMul, opDiv, opMod:
		return "(" + arg(0) + " " + opNames[e.op] + " " + arg(1) + ")"
	case opDigits:
		return "CAST(" + arg(0) + " AS SIGNED)"
	case opCRC32:
		in, _ := e.args[0].column(c)
		if in.Type == TypeText {
			return "CRC32(" + in.KeyExpr(arg(0)) + ")"
		}
		return "CRC32(" + arg(0) + ")"
	case opPrefix, opSuffix:
		return fmt.Sprintf("%s(%s, %d)", opNames[e.op], arg(0), e.args[1].number)
	case opSubstring:
		return fmt.Sprintf("SUBSTRING(%s, %d, %d)", arg(0), e.args[1].number, e.args[2].number)
	case opAbs, opYear, opMonth, opDay, opHour, opWeekday:
	}
	return opNames[e.op] + "(" + arg(0) + ")"
}
