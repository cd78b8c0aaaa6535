package finish

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyLargeCopiesGetKeys(t *testing.T) {
	for _, n := range []int{indexedRows - 1, indexedRows} {
		l := newLoad(false)
		l.MaxRows = 2 * indexedRows
		l.Plan.Fragments[0].Indexes = []string{"`kind`", "`o``dd`(3), `id`"}
		rows := &stringColumns{listed{width: 3}}
		for i := range n {
			rows.rows = append(rows.rows, []string{strconv.Itoa(i), "1", "x"})
		}
		require.NoError(t, l.Fragment(0, rows, nil))
		last := l.statements[len(l.statements)-1]
		require.Equal(t, n == indexedRows, last.optional)
		if last.optional {
			require.Equal(t, "ALTER TABLE `shop_0`.`serval_f1` ADD KEY (`kind`), ADD KEY (`o``dd`(3), `id`)", string(last.sql))
			require.Equal(t, int64(-1), last.rows)
		}
	}
}
