package shardrule

import (
	"bufio"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
)

// utf8Weigher is a connection with SET NAMES utf8mb4.
type utf8Weigher struct{ lowerWeigher }

func (utf8Weigher) Charset() string { return "utf8mb4" }

// TestForeignVectors compares with the answers a Java runtime gave to
// testdata/Vectors.java. They are not to be rewritten by this test.
func TestForeignVectors(t *testing.T) {
	datadriven.Walk(t, "testdata/foreign", func(t *testing.T, path string) {
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
				k, err := c.KeyToStore(literal(t, in.Text()), utf8Weigher{})
				require.NoError(t, err, in.Text())
				shard, err := a.ShardOf(k)
				switch {
				case err == nil:
					fmt.Fprintf(&b, "%s %d\n", in.Text(), shard)
				default:
					require.Equal(t, uint16(sqlerr.NoPartitionForValue), sqlerr.From(err).Code, err)
					fmt.Fprintf(&b, "%s none\n", in.Text())
				}
			}
			return b.String()
		})
	})
}
