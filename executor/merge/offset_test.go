package merge

import (
	"errors"
	"io"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// counting is a shard's sorted rows, made as they are asked for: from, from +
// step, …
type counting struct {
	next, step, left int
	pulled           *int
	row              []byte
}

func (c *counting) Open() ([]wire.Column, error) {
	return []wire.Column{{Name: []byte("id"), Type: wire.TypeLongLong, Charset: wire.CollationBinary}}, nil
}

func (c *counting) Next() ([]byte, error) {
	if c.left == 0 {
		return nil, io.EOF
	}
	c.left--
	*c.pulled++
	var digits [20]byte
	c.row = wire.AppendLenEncBytes(c.row[:0], strconv.AppendInt(digits[:0], int64(c.next), 10))
	c.next += c.step
	return c.row, nil
}

// A deep OFFSET is skipped row by row: nothing is held, and of the shards' rows
// no more are read than come before the last one shown.
func TestDeepOffsetHoldsNoRows(t *testing.T) {
	const shards, offset, count = 4, 1_000_000, 10
	pulled := 0
	route := &plan.Route{}
	limit := &plan.Limit{Input: &plan.MergeSort{Input: route, Keys: []plan.SortKey{{Weight: -1}}}}
	budget := &Budget{Limit: 1 << 10}
	rows, err := Build(limit, &Options{Budget: budget, Limits: map[*plan.Limit]plan.ResolvedLimit{limit: {Count: count, Offset: offset}},
		Leaf: func(plan.Node) ([]Rows, error) {
			var all []Rows
			for i := range shards {
				all = append(all, &counting{next: i, step: shards, left: offset + count, pulled: &pulled})
			}
			return all, nil
		}})
	require.NoError(t, err)
	_, err = rows.Open()
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range count {
		row, err := rows.Next()
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(offset+i), string(row[1:]))
	}
	runtime.ReadMemStats(&after)
	_, err = rows.Next()
	require.True(t, errors.Is(err, io.EOF))
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(256<<10), "allocated over a million rows, the garbage too")
	require.Zero(t, budget.Used())
	require.LessOrEqual(t, pulled, offset+count+shards)
}
