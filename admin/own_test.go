package admin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/topology"
)

func TestOwnTablesAreQueries(t *testing.T) {
	o := &OwnTables{Digests: NewDigests(), Transactions: func() []TransactionStat { return nil }, Sources: Sources{
		Catalog:  func() *catalog.Catalog { return &catalog.Catalog{} },
		View:     func() *topology.View { return &topology.View{} },
		Pools:    func() []PoolStat { return nil },
		Sessions: func() []SessionStat { return []SessionStat{{ID: 7, User: `o'b\x`, Seconds: 1.5}} },
	}}
	for _, name := range o.Names() {
		sql, columns, ok := o.Query(name)
		require.True(t, ok)
		require.NotEmpty(t, columns)
		require.NotContains(t, sql, `\`, "no mode reads it differently")
	}
	sql, _, _ := o.Query("SESSIONS")
	require.Contains(t, sql, "UNION ALL SELECT CAST(7 AS SIGNED) AS `id`, CAST(_utf8mb4 X'6f27625c78' AS CHAR(64) CHARACTER SET utf8mb4) AS `user`")
	_, _, ok := o.Query("nothing")
	require.False(t, ok)
}

func TestDigestsAreBounded(t *testing.T) {
	d := NewDigests()
	now := time.Unix(1000, 0)
	for i := range 3 * maxDigests {
		d.Observe("shop", fmt.Appendf(nil, "SELECT %d", i), time.Millisecond, 2, 1, i%2 == 0, now)
	}
	d.Observe("shop", []byte(strings.Repeat("x", 2*maxDigestText)), time.Hour, -1, 1, false, now)
	all := d.Top(10 * maxDigests)
	require.LessOrEqual(t, len(all), maxDigests+digestParts)
	var count, errs uint64
	for _, g := range all {
		count += g.Count
		errs += g.Errors
		require.LessOrEqual(t, len(g.Text), maxDigestText)
	}
	require.EqualValues(t, 3*maxDigests+1, count, "nothing goes uncounted")
	require.EqualValues(t, 3*maxDigests/2, errs)
	require.Equal(t, time.Hour, all[0].Max, "the longest together is first")
}

func BenchmarkDigestsObserve(b *testing.B) {
	d := NewDigests()
	text := []byte("SELECT c FROM sbtest1 WHERE id = ?")
	b.ReportAllocs()
	for b.Loop() {
		d.Observe("shop", text, time.Millisecond, 1, 1, false, time.Unix(1, 0))
	}
}
