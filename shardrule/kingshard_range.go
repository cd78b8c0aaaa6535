package shardrule

import (
	"fmt"
	"math"
)

// kingshardRange is the range of kingshard and Gaea: each table has as many
// numbers as the one before, from 0 on.
type kingshardRange struct {
	n     int64
	limit int64
}

func kingshardRangeFunction() Function {
	return foreignFunction("kingshard_range", false, func(a Args, n int) (nodeFunc, int, error) {
		limit, err := a.Int("table_row_limit", 0, 1, math.MaxInt64/maxNodes)
		if err == nil && limit == 0 {
			err = paramError("table_row_limit", "say how many numbers a table has", "table_row_limit is missing")
		}
		return kingshardRange{int64(n), limit}, refusesNull, err
	}, "table_row_limit")
}

func (r kingshardRange) node(k Key) (int, bool) {
	n, ok := longOf(k)
	return int(min(n/r.limit, r.n)), ok && n >= 0 && n < r.n*r.limit
}

// span implements spanner.
func (r kingshardRange) span(lo, hi Bound, add func(int)) bool {
	first, last, ok := integerBounds(lo, hi)
	for i := max(first, 0) / r.limit; i <= last/r.limit && i < r.n && last >= 0; i++ {
		add(int(i))
	}
	return ok
}

func (r kingshardRange) expr(column string, c Column) string {
	if c.Type != TypeInt {
		return ""
	}
	return fmt.Sprintf("IF(%s BETWEEN 0 AND %d, %s DIV %d, -1)", column, r.n*r.limit-1, column, r.limit)
}
