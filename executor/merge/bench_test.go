package merge

import (
	"io"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// benchRows repeats one row n times, its first column counted up.
type benchRows struct {
	cols []wire.Column
	n    int
	at   int
	step int
	buf  []byte
}

func (b *benchRows) Open() ([]wire.Column, error) { return b.cols, nil }

func (b *benchRows) Next() ([]byte, error) {
	if b.n == 0 {
		return nil, io.EOF
	}
	b.n--
	b.at += b.step
	b.buf = b.buf[:1]
	b.buf = strconv.AppendInt(b.buf, int64(b.at), 10)
	b.buf[0] = byte(len(b.buf) - 1)
	b.buf = append(b.buf, "\x05hello\x101234567890123456"...)
	return b.buf, nil
}

func benchmark(b *testing.B, node func(leaf plan.Node) plan.Node, rowsOut bool) {
	cols := testColumns(b, "id bigint,name varbinary,w varbinary")
	const shards = 8
	parts := make([]Rows, shards)
	for i := range parts {
		parts[i] = &benchRows{cols: cols, n: b.N/shards + 1, at: i, step: shards, buf: make([]byte, 1, 64)}
	}
	rows, err := Build(node(&plan.Route{}), &Options{Budget: &Budget{Limit: 1 << 40}, Leaf: leafOf(parts)})
	require.NoError(b, err)
	_, err = rows.Open()
	require.NoError(b, err)
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for {
		if _, err = rows.Next(); err != nil {
			break
		}
		n++
	}
	require.Equal(b, io.EOF, err)
	require.True(b, !rowsOut || n >= b.N)
}

var benchKeys = []plan.SortKey{{Column: 0, Weight: -1}}

func BenchmarkConcat(b *testing.B) {
	benchmark(b, func(leaf plan.Node) plan.Node { return leaf }, true)
}

func BenchmarkMergeSort(b *testing.B) {
	benchmark(b, func(leaf plan.Node) plan.Node { return &plan.MergeSort{Input: leaf, Keys: benchKeys} }, true)
}

func BenchmarkMergeSortProject(b *testing.B) {
	benchmark(b, func(leaf plan.Node) plan.Node {
		return &plan.Project{Input: &plan.MergeSort{Input: leaf, Keys: benchKeys}, Keep: 2}
	}, true)
}

func BenchmarkMergeSortText(b *testing.B) {
	keys := []plan.SortKey{{Column: 1, Weight: -1}, {Column: 0, Weight: -1}}
	benchmark(b, func(leaf plan.Node) plan.Node { return &plan.MergeSort{Input: leaf, Keys: keys} }, true)
}

func BenchmarkAggregate(b *testing.B) {
	benchmark(b, func(leaf plan.Node) plan.Node {
		return &plan.Aggregate{Input: &plan.MergeSort{Input: leaf, Keys: benchKeys}, Group: benchKeys,
			Outputs: []plan.Output{{Func: plan.FuncKeep}, {Func: plan.FuncCount}, {Func: plan.FuncMax, Column: 1, Weight: -1}}}
	}, true)
}
