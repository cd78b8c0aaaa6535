package shardrule

import (
	"fmt"
	"math"
)

// mycatPattern is Mycat's PartitionByPattern and dble's patternrange: the
// number mod patternValue in ranges; what is not all digits has the default
// node.
type mycatPattern struct {
	modulus int64
	ranges  []longRange
	rest    int
}

func mycatPatternFunction() Function { return patternFunction("mycat_pattern", 0, false) }

func dblePatternFunction() Function { return patternFunction("dble_patternrange", -1, true) }

func patternFunction(name string, otherwise int64, nullToDefault bool) Function {
	return foreignFunction(name, false, func(a Args, _ int) (nodeFunc, int, error) {
		modulus, err := a.Int("pattern_value", 1024, 1, math.MaxInt32)
		if err != nil {
			return nil, 0, err
		}
		ranges, err := longRanges(a, "ranges", false)
		if err != nil {
			return nil, 0, err
		}
		rest, err := defaultNode(a, otherwise)
		null := refusesNull
		if nullToDefault {
			null = rest
		}
		return mycatPattern{modulus, ranges, rest}, null, err
	}, "pattern_value", "ranges{}", "default")
}

func (m mycatPattern) node(k Key) (int, bool) {
	if leadingDigits(k.Bytes) < len(k.Bytes) {
		return m.rest, m.rest >= 0
	}
	n, ok := longOf(k)
	if !ok {
		return 0, false
	}
	return rangeOf(m.ranges, n%m.modulus)
}

// rangeOf is the value of the first range that has the number.
func rangeOf(ranges []longRange, n int64) (int, bool) {
	for _, r := range ranges {
		if n >= r.from && n <= r.to {
			return int(r.value), true
		}
	}
	return 0, false
}

func (m mycatPattern) expr(column string, c Column) string {
	if c.Type != TypeInt {
		return ""
	}
	number := mycatRange{m.ranges, -1}.expr(fmt.Sprintf("%s MOD %d", column, m.modulus), Column{Type: TypeInt})
	return notLong(column, c, fmt.Sprintf("IF(%s < 0, %d, %s)", column, m.rest, number))
}
