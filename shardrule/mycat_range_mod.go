package shardrule

import (
	"fmt"
	"strings"
)

// mycatRangeMod is Mycat's PartitionByRangeMod: a range of numbers has a group
// of nodes, and within it the absolute value mod the group's size decides.
type mycatRangeMod struct {
	groups []longRange
	rest   int
}

func mycatRangeModFunction() Function {
	return foreignFunction("mycat_range_mod", false, func(a Args, _ int) (nodeFunc, int, error) {
		groups, err := longRanges(a, "groups", true)
		if err != nil {
			return nil, 0, err
		}
		for _, g := range groups {
			if g.value == 0 {
				return nil, 0, paramError("groups", "give each range a number of nodes", "groups has a range of no nodes")
			}
		}
		rest, err := defaultNode(a, -1)
		return mycatRangeMod{groups, rest}, refusesNull, err
	}, "groups{}", "default")
}

func (m mycatRangeMod) node(k Key) (int, bool) {
	n, ok := longOf(k)
	if !ok {
		return 0, false
	}
	first := 0
	for _, g := range m.groups {
		if n >= g.from && n <= g.to {
			within, ok := absMod(k.Bytes, int(g.value))
			return first + within, ok
		}
		first += int(g.value)
	}
	return m.rest, m.rest >= 0
}

// span implements spanner: the groups that are met, or the nodes in them that
// a short run of numbers meets.
func (m mycatRangeMod) span(lo, hi Bound, add func(int)) bool {
	from, to, ok := integerBounds(lo, hi)
	if !ok || to >= from && uint64(to)-uint64(from) < maxEnumerated {
		return false // tried one by one
	}
	first := 0
	for _, g := range m.groups {
		if g.from <= to && g.to >= from {
			for i := range int(g.value) {
				add(first + i)
			}
		}
		if g.from <= from && g.to >= to {
			return true
		}
		first += int(g.value)
	}
	add(m.rest)
	return true
}

func (m mycatRangeMod) expr(column string, c Column) string {
	if c.Type != TypeInt {
		return ""
	}
	var b strings.Builder
	b.WriteString("CASE")
	first := 0
	for _, g := range m.groups {
		fmt.Fprintf(&b, " WHEN %s BETWEEN %d AND %d THEN %d + %s", column, g.from, g.to, first, mycatMod{count: int(g.value)}.expr(column, c))
		first += int(g.value)
	}
	fmt.Fprintf(&b, " ELSE %d END", m.rest)
	return notLong(column, c, b.String())
}
