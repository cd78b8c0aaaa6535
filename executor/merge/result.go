package merge

import (
	"math"
	"strconv"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// result writes the group's value.
func (c *accumulator) result(b *rowBuilder) error {
	switch c.out.Func {
	case plan.FuncKeep, plan.FuncMin, plan.FuncMax:
		if !c.any {
			b.null()
		} else {
			b.raw(c.raw)
		}
		return nil
	case plan.FuncCount:
		return c.integer(b)
	case plan.FuncAvg:
		if !c.any || c.count == 0 {
			b.null()
			return nil
		}
		return c.average(b)
	case plan.FuncBitAnd, plan.FuncBitOr, plan.FuncBitXor:
		switch {
		case b.binary:
			b.uint64(c.bits)
		case c.in.Unsigned():
			c.text = strconv.AppendUint(c.text[:0], c.bits, 10)
			b.text(c.text)
		default:
			c.text = strconv.AppendInt(c.text[:0], int64(c.bits), 10)
			b.text(c.text)
		}
		return nil
	case plan.FuncSum:
	}
	if !c.any {
		b.null()
		return nil
	}
	switch c.kind {
	case sumExact:
		if c.out.Digits > 0 {
			c.text = c.exact.quotient(c.text[:0], 1, int(c.col.Decimals))
		} else {
			c.text = c.exact.append(c.text[:0])
		}
		b.text(c.text)
		return nil
	case sumFloat:
		return c.double(b, c.float)
	case sumInt, sumUint:
		return c.integer(b)
	case sumNothing:
	}
	b.null()
	return nil
}

func (c *accumulator) average(b *rowBuilder) error {
	if c.kind == sumFloat {
		return c.double(b, c.float/float64(c.count))
	}
	decimals := int(c.col.Decimals)
	if c.col.Type != wire.TypeNewDecimal {
		decimals = avgDecimals
	}
	if c.out.Digits > 0 {
		c.text = c.exact.quotient(c.text[:0], c.count, decimals)
	} else {
		c.text = c.exact.average(c.text[:0], c.count, decimals)
	}
	b.text(c.text)
	return nil
}

func (c *accumulator) double(b *rowBuilder, f float64) error {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return outOfRange("DOUBLE", c.col.Name)
	}
	if b.binary {
		b.uint64(math.Float64bits(f))
		return nil
	}
	c.text = appendDouble(c.text[:0], f, c.col.Decimals)
	b.text(c.text)
	return nil
}

// integer writes a whole number; counts and sums of them are BIGINT.
func (c *accumulator) integer(b *rowBuilder) error {
	n, fits := c.exact.int64()
	bits := uint64(n)
	if !fits && c.kind == sumUint {
		bits, fits = c.exact.uint64()
	}
	switch {
	case !fits:
		return outOfRange("BIGINT", c.col.Name)
	case !b.binary:
		c.text = c.exact.append(c.text[:0])
		b.text(c.text)
	case c.in.Type != wire.TypeLongLong:
		return sqlerr.New(sqlerr.UnknownError, "merge: %s %s can't be added up", typeName(c.in), c.in.Name)
	default:
		b.uint64(bits)
	}
	return nil
}

// dataOutOfRange is ER_DATA_OUT_OF_RANGE.
const dataOutOfRange = 1690

func outOfRange(typ string, column []byte) error {
	e := sqlerr.New(dataOutOfRange, "%s value is out of range in '%s'", typ, column)
	e.State = "22003"
	return e
}
