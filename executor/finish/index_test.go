package finish

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/wire"
)

func TestOnlyLargeCopiesGetKeys(t *testing.T) {
	for _, n := range []int{indexedRows - 1, indexedRows} {
		c, srv := served(t, func(s *mysqltest.Session, sql string) {
			if strings.HasPrefix(sql, "DELETE") {
				s.OK(wire.OK{Status: wire.StatusAutocommit, AffectedRows: uint64(n)})
				return
			}
			obliging(s, sql)
		})
		l := newLoad(false)
		l.MaxRows = 2 * indexedRows
		l.Plan.Fragments[0].Indexes = []string{"`kind`", "`o``dd`(3), `id`"}
		rows := &stringColumns{listed{width: 3}}
		for i := range n {
			rows.rows = append(rows.rows, []string{strconv.Itoa(i), "1", "x"})
		}
		require.NoError(t, load(t, l, c, rows, ""))
		require.NoError(t, l.Index())
		require.NoError(t, l.Clean(t.Context(), c, true))
		log := strings.Join(srv.Log(), "\n")
		const keys = "ALTER TABLE `shop_0`.`serval_f1` ADD KEY (`kind`), ADD KEY (`o``dd`(3), `id`)"
		if n < indexedRows {
			require.NotContains(t, log, "ALTER")
			require.Contains(t, log, "DELETE FROM `shop_0`.`serval_f1`")
			continue
		}
		require.Contains(t, log, keys)
		require.Contains(t, log, "DROP TEMPORARY TABLE IF EXISTS `shop_0`.`serval_f1`", "a table with more keys than its definition is not kept")
	}
}

func TestAKeyThatCannotBeMadeIsDoneWithout(t *testing.T) {
	c, _ := served(t, func(s *mysqltest.Session, sql string) {
		if strings.HasPrefix(sql, "ALTER") {
			s.Err(1071, "Specified key was too long")
			return
		}
		obliging(s, sql)
	})
	l := newLoad(false)
	require.NoError(t, load(t, l, c, three([]string{"1", "1", "x"}), ""))
	l.filled[0].rows, l.Plan.Fragments[0].Indexes = indexedRows, []string{"`kind`"}
	require.NoError(t, l.Index())
	require.NoError(t, l.Settle())
}

func TestACopyIsFilledOnTheServer(t *testing.T) {
	for name, tc := range map[string]struct {
		ok    wire.OK
		exact bool
	}{
		"as the first": {wire.OK{AffectedRows: 2, Warnings: 1}, true},
		"a server sees that an ENUM value is the same": {wire.OK{AffectedRows: 2}, true},
		"a warning more": {wire.OK{AffectedRows: 2, Warnings: 2}, false},
		"a row less":     {wire.OK{AffectedRows: 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, srv := served(t, func(s *mysqltest.Session, sql string) {
				ok := wire.OK{Status: wire.StatusAutocommit}
				switch {
				case strings.Contains(sql, "SELECT `id`"):
					ok.AffectedRows, ok.Warnings = tc.ok.AffectedRows, tc.ok.Warnings
				case strings.HasPrefix(sql, "INSERT"):
					ok.AffectedRows, ok.Warnings = 2, 1
				}
				s.OK(ok)
			})
			l := newLoad(false)
			again := *l.Plan.Fragments[0]
			again.From = 0
			l.Plan.Fragments = append(l.Plan.Fragments, &again)
			require.NoError(t, load(t, l, c, three([]string{"1", "0", "x"}, []string{"2", "1", "y"}), ""))
			require.NoError(t, l.Copy(1))
			require.Equal(t, tc.exact, l.Settle() == nil)
			require.Contains(t, strings.Join(srv.Log(), "\n"),
				"INSERT INTO `shop_0`.`serval_f2` (`id`, `kind`, `o``dd`) SELECT `id`, `kind`, `o``dd` FROM `shop_0`.`serval_f1`")
		})
	}
}
