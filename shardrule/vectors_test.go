package shardrule

import (
	"bufio"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// made is the rule's algorithm for a column.
func made(t require.TestingT, rule string, shards int, c *Column) Algorithm {
	r, err := ParseRule(rule, func(string, []string) string { return "" })
	require.NoError(t, err, rule)
	a, err := r.Algorithm("t", shards, nil)
	require.NoError(t, err, rule)
	if k, ok := a.(TextKeyer); ok {
		c.TextKey = k.TextKey()
	}
	require.NoError(t, a.Takes(*c), rule)
	if b, ok := a.(Binder); ok {
		a, err = b.Bind(*c, lowerWeigher{})
		require.NoError(t, err, rule)
	}
	return a
}

// TestVectors places values a case a line, as an INSERT of them would: the
// input's first line is the rule, the arguments are its column. The answers
// were worked out by hand or are published ones; each file says which.
func TestVectors(t *testing.T) {
	datadriven.Walk(t, "testdata/vectors", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			shards := 1
			d.MaybeScanArgs(t, "shards", &shards)
			c := columnArgs(t, d)
			in := bufio.NewScanner(strings.NewReader(d.Input))
			require.True(t, in.Scan())
			a := made(t, in.Text(), shards, &c)
			var b strings.Builder
			for in.Scan() {
				fmt.Fprintf(&b, "%-30s ", in.Text())
				k, err := c.KeyToStore(literal(t, in.Text()), lowerWeigher{})
				shard := 0
				if err == nil {
					shard, err = a.ShardOf(k)
				}
				if err != nil {
					b.WriteString("error: " + err.Error() + "\n")
					continue
				}
				fmt.Fprintf(&b, "%d\n", shard)
			}
			return b.String()
		})
	})
}
