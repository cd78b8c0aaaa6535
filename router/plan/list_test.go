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
