package shardrule

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// mycatEnum is Mycat's PartitionByFileMap and dble's enum: each value's node,
// as 32-bit integers or as text.
type mycatEnum struct {
	numbers map[int32]int
	texts   map[string]int
	rest    int
}

func mycatEnumFunction() Function { return enumFunction("mycat_enum", false) }

func dbleEnumFunction() Function { return enumFunction("dble_enum", true) }

func enumFunction(name string, nullToDefault bool) Function {
	return foreignFunction(name, false, func(a Args, _ int) (nodeFunc, int, error) {
		rest, err := defaultNode(a, -1)
		if err != nil {
			return nil, 0, err
		}
		m := mycatEnum{rest: rest}
		switch t := a.Text("type", "int"); t {
		case "int":
			m.numbers = map[int32]int{}
		case "text":
			m.texts = map[string]int{}
		default:
			return nil, 0, paramError("type", "write type: int or type: text", "type cannot be %s", t)
		}
		for _, p := range a["values"].Pairs {
			node, err := strconv.Atoi(p.Value)
			if err == nil && m.numbers != nil {
				var n int64
				n, err = strconv.ParseInt(p.Key, 10, 32)
				m.numbers[int32(n)] = node
			} else if err == nil {
				m.texts[p.Key] = node
			}
			if err != nil || node < 0 {
				return nil, 0, paramError("values", "write value: node, 10010: 1", "values cannot have %s: %s", p.Key, p.Value)
			}
		}
		null := refusesNull
		if nullToDefault {
			null = rest
		}
		return m, null, nil
	}, "values{}", "type", "default")
}

func (m mycatEnum) node(k Key) (int, bool) {
	if m.texts != nil {
		if n, ok := m.texts[string(k.Bytes)]; ok {
			return n, true
		}
		return m.rest, m.rest >= 0
	}
	v, err := strconv.ParseInt(string(k.Bytes), 10, 32)
	if err != nil {
		return 0, false
	}
	if n, ok := m.numbers[int32(v)]; ok {
		return n, true
	}
	return m.rest, m.rest >= 0
}

// span implements spanner for integers: the values in the range, and the rest
// unless they are all there are.
func (m mycatEnum) span(lo, hi Bound, add func(int)) bool {
	first, last, ok := integerBounds(lo, hi)
	if !ok || m.numbers == nil {
		return false
	}
	var within uint64
	for v, node := range m.numbers {
		if int64(v) >= first && int64(v) <= last {
			add(node)
			within++
		}
	}
	if last >= first && uint64(last)-uint64(first) >= within {
		add(m.rest)
	}
	return true
}

func (m mycatEnum) expr(column string, c Column) string {
	if c.Type != TypeInt || m.numbers == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CASE WHEN %s NOT BETWEEN %d AND %d THEN -1", column, math.MinInt32, math.MaxInt32)
	for _, v := range slices.Sorted(maps.Keys(m.numbers)) {
		fmt.Fprintf(&b, " WHEN %s = %d THEN %d", column, v, m.numbers[v])
	}
	fmt.Fprintf(&b, " ELSE %d END", m.rest)
	return b.String()
}
