package plan

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplitListNeedsValuesInARow(t *testing.T) {
	value := func(i int) Chunk { return Chunk{Kind: ChunkValue, Index: i} }
	word := func(s string) Chunk { return Chunk{Text: s} }
	for name, c := range map[string]struct {
		in          Template
		first, last int
		want        string
	}{
		"a list":                        {Template{word("IN ("), value(3), word(", "), value(4), word(")")}, 3, 4, "IN (?4…)"},
		"behind another value":          {Template{value(2), word("IN ("), value(3), word(" ,\n"), value(4), word(")")}, 3, 4, "?3IN (?4…)"},
		"a value that is computed with": {Template{word("IN ("), value(3), word(" + 1, "), value(4), word(")")}, 3, 4, ""},
		"a sign":                        {Template{word("IN ("), value(3), word(", -"), value(4), word(")")}, 3, 4, ""},
		"another order":                 {Template{word("IN ("), value(4), word(", "), value(3), word(")")}, 3, 4, ""},
		"not there":                     {Template{word("IN ("), value(1), word(")")}, 3, 4, ""},
	} {
		t.Run(name, func(t *testing.T) {
			out, ok := c.in.SplitList(c.first, c.last)
			require.Equal(t, c.want != "", ok)
			if ok {
				require.Equal(t, c.want, templateString(out, nil))
			} else {
				require.Equal(t, c.in, out)
			}
		})
	}
}

// mixed are parameters and literals: those of literal are written out.
type mixed struct {
	values
	literal map[int]bool
}

func (m mixed) AllMarkers() bool { return false }
func (m mixed) AppendSQL(dst []byte, i int) ([]byte, bool) {
	if m.literal[i] {
		return m.list[i].AppendSQL(dst, false), false
	}
	return append(dst, '?'), true
}

func TestALiteralInAListStandsForNoParameter(t *testing.T) {
	r := byKey(placement(4), In{Column: "id", Values: []Operand{value(0), value(1), value(2)}})
	r.Lists = true
	r.SQL = Template{{Text: "id IN ("}, {Kind: ChunkList, Index: 0, Index2: 2}, {Text: ")"}}
	got := map[int]Task{}
	for _, task := range bind(t, r, mixed{ints(4, 5, 6), map[int]bool{0: true}}) {
		got[task.Shard] = task
	}
	require.Equal(t, "id IN (4, ?, ?)", string(got[0].SQL))
	require.Equal(t, []int{1, 2}, got[0].Markers, "the literal is no parameter")
	require.Equal(t, "id IN (?, ?)", string(got[1].SQL))
	require.Equal(t, []int{1, 1}, got[1].Markers)
	require.Equal(t, []int{2, 2}, got[2].Markers)
}
