package shardrule

import (
	"math"
	"strconv"
)

// gaeaMod is Gaea's mod and mycat_mod: the absolute value of a 64-bit integer
// mod the tables.
type gaeaMod struct{ n int }

func gaeaModFunction() Function {
	return foreignFunction("gaea_mod", false, func(_ Args, n int) (nodeFunc, int, error) {
		return gaeaMod{n}, refusesNull, nil
	})
}

func (g gaeaMod) node(k Key) (int, bool) {
	n, ok := longOf(k)
	if !ok {
		u, err := strconv.ParseUint(string(k.Bytes), 10, 64)
		n, ok = int64(u), err == nil // as it converts them
	}
	if !ok || n == math.MinInt64 {
		return 0, false
	}
	return int(max(n, -n) % int64(g.n)), true
}

func (g gaeaMod) expr(column string, c Column) string {
	if c.Type != TypeInt || c.Unsigned && c.Bits == 64 {
		return ""
	}
	return mycatMod{count: g.n}.expr(column, c)
}
