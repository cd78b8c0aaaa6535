package shardrule

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// longRange is a line of Mycat's map files: from and to, both within, and the
// node, or the size of the group of nodes.
type longRange struct{ from, to, value int64 }

// longRanges reads a mapping of ranges.
func longRanges(a Args, name string, suffixes bool) ([]longRange, error) {
	var out []longRange
	for _, p := range a[name].Pairs {
		low, high, ok := strings.Cut(p.Key, "-")
		from, err1 := mycatNumber(low, suffixes)
		to, err2 := mycatNumber(high, suffixes)
		value, err3 := strconv.ParseInt(p.Value, 10, 32)
		if !ok || err1 != nil || err2 != nil || err3 != nil || value < 0 {
			return nil, paramError(name, "write 0-500M: 0", "%s cannot have %s: %s", name, p.Key, p.Value)
		}
		out = append(out, longRange{from, to, value})
	}
	if len(out) == 0 {
		return nil, paramError(name, "give a range at least, 0-500M: 0", "%s has no range", name)
	}
	return out, nil
}

// mycatNumber reads Mycat's numbers: K is a thousand and M ten thousand, and
// digits behind it are added: 2M1 is 20001.
func mycatNumber(text string, suffixes bool) (int64, error) {
	text = strings.ToUpper(strings.TrimSpace(text))
	at, times := strings.IndexByte(text, 'M'), int64(10000)
	if at < 0 {
		at, times = strings.IndexByte(text, 'K'), 1000
	}
	if at <= 0 || !suffixes {
		return strconv.ParseInt(text, 10, 64)
	}
	n, err := strconv.ParseInt(text[:at], 10, 64)
	if err != nil {
		return 0, err
	}
	if n > math.MaxInt64/times || n < math.MinInt64/times {
		return 0, strconv.ErrRange
	}
	n *= times
	if rest := text[at+1:]; rest != "" {
		more, err := strconv.ParseInt(rest, 10, 32)
		if err != nil {
			return 0, err
		}
		n += more
	}
	return n, nil
}

// defaultNode is the node of what has none else, -1 for none.
func defaultNode(a Args, otherwise int64) (int, error) {
	n, err := a.Int("default", otherwise, -1, maxNodes)
	return int(n), err
}

// mycatRange is Mycat's AutoPartitionByLong and dble's numberrange: the node of
// the first range that has the number.
type mycatRange struct {
	ranges []longRange
	rest   int
}

func mycatRangeFunction() Function { return longRangeFunction("mycat_range", false) }

func dbleRangeFunction() Function { return longRangeFunction("dble_numberrange", true) }

func longRangeFunction(name string, nullToDefault bool) Function {
	return foreignFunction(name, false, func(a Args, _ int) (nodeFunc, int, error) {
		ranges, err := longRanges(a, "ranges", true)
		if err != nil {
			return nil, 0, err
		}
		rest, err := defaultNode(a, -1)
		null := refusesNull
		if nullToDefault {
			null = rest
		}
		return mycatRange{ranges, rest}, null, err
	}, "ranges{}", "default")
}

func (m mycatRange) node(k Key) (int, bool) {
	n, ok := longOf(k)
	if !ok {
		return 0, false
	}
	for _, r := range m.ranges {
		if n >= r.from && n <= r.to {
			return int(r.value), true
		}
	}
	return m.rest, m.rest >= 0
}

// integerBounds are the bounds of a range of integers, with the least and the
// greatest there are for open sides; ok where they are integers.
func integerBounds(lo, hi Bound) (first, last int64, ok bool) {
	first, last = math.MinInt64, math.MaxInt64
	if !lo.Open {
		first = lo.Key.Int
	}
	if !hi.Open {
		last = hi.Key.Int
	}
	return first, last, (lo.Open || lo.Key.IsInt) && (hi.Open || hi.Key.IsInt)
}

// span implements spanner: a range that is met, and the rest unless one range
// has all.
func (m mycatRange) span(lo, hi Bound, add func(int)) bool {
	first, last, ok := integerBounds(lo, hi)
	for _, r := range m.ranges {
		if r.from <= last && r.to >= first {
			add(int(r.value))
		}
		if r.from <= first && r.to >= last {
			return ok // no later one is asked
		}
	}
	add(m.rest)
	return ok
}

func (m mycatRange) expr(column string, c Column) string {
	if c.Type != TypeInt {
		return ""
	}
	var b strings.Builder
	b.WriteString("CASE")
	for _, r := range m.ranges {
		fmt.Fprintf(&b, " WHEN %s BETWEEN %d AND %d THEN %d", column, r.from, r.to, r.value)
	}
	fmt.Fprintf(&b, " ELSE %d END", m.rest)
	return notLong(column, c, b.String())
}

// notLong is an expression for what fits Java's long; the rest has no node.
func notLong(column string, c Column, expr string) string {
	if !c.Unsigned || c.Bits < 64 {
		return expr
	}
	return fmt.Sprintf("IF(%s > %d, -1, %s)", column, math.MaxInt64, expr)
}
