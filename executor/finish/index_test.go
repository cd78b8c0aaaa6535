package finish

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/wire"
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
		l.Index()
		last := l.statements[len(l.statements)-1]
		require.Equal(t, n == indexedRows, last.optional)
		if last.optional {
			require.Equal(t, "ALTER TABLE `shop_0`.`serval_f1` ADD KEY (`kind`), ADD KEY (`o``dd`(3), `id`)", string(last.sql))
			require.Equal(t, int64(-1), last.rows)
		}
	}
}

func TestACopyIsFilledOnTheServer(t *testing.T) {
	l := newLoad(false)
	again := *l.Plan.Fragments[0]
	again.From = 0
	l.Plan.Fragments = append(l.Plan.Fragments, &again)
	rows := &stringColumns{listed{width: 3, rows: [][]string{{"1", "0", "x"}, {"2", "1", "y"}}}}
	require.NoError(t, l.Fragment(0, rows, nil))
	l.Copy(1)
	last := l.statements[len(l.statements)-1]
	require.Equal(t, "INSERT INTO `shop_0`.`serval_f2` (`id`, `kind`, `o``dd`) SELECT `id`, `kind`, `o``dd` FROM `shop_0`.`serval_f1`", string(last.sql))
	require.NoError(t, l.check(&last, &backend.Header{OK: wire.OK{AffectedRows: 2, Warnings: 1}}))
	require.NoError(t, l.check(&last, &backend.Header{OK: wire.OK{AffectedRows: 2}}), "a server may see that an ENUM value is the same")
	require.Error(t, l.check(&last, &backend.Header{OK: wire.OK{AffectedRows: 2, Warnings: 2}}))
	require.Error(t, l.check(&last, &backend.Header{OK: wire.OK{AffectedRows: 1}}))
}
