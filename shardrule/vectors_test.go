package shardrule

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// made is the rule's algorithm for a column.
func made(t require.TestingT, rule string, shards int, c *Column) Algorithm {
	return madeOver(t, rule, shards, c, nil)
}

// madeOver is made for functions of time too, over these periods.
func madeOver(t require.TestingT, rule string, shards int, c *Column, zone *time.Location, periods ...string) Algorithm {
	r, err := ParseRule(rule, func(string, []string) string { return "" })
	require.NoError(t, err, rule)
	var a Algorithm
	if r.Function().Periodic != nil {
		a = overPeriods(t, rule, zone, periods...)
	} else {
		a, err = r.Algorithm(shards, Periods{})
		require.NoError(t, err, rule)
	}
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
// input's first line is the rule, the arguments are its column. Of time the answer is
// the period's name. The answers
// were worked out by hand or are published ones; each file says which.
func TestVectors(t *testing.T) {
	datadriven.Walk(t, "testdata/vectors", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			shards := 1
			d.MaybeScanArgs(t, "shards", &shards)
			zone := zoneArg(t, d, "zone")
			session := inZone{zone: zoneArg(t, d, "session")}
			var periods []string
			if d.HasArg("periods") {
				var all string
				d.ScanArgs(t, "periods", &all)
				periods = strings.Split(all, ",")
			}
			c := columnArgs(t, d)
			in := bufio.NewScanner(strings.NewReader(d.Input))
			require.True(t, in.Scan())
			a := madeOver(t, in.Text(), shards, &c, zone, periods...)
			var b strings.Builder
			for in.Scan() {
				fmt.Fprintf(&b, "%-30s ", in.Text())
				k, err := c.KeyToStore(literal(t, in.Text()), session)
				shard := 0
				if err == nil {
					shard, err = a.ShardOf(k)
				}
				if err != nil {
					b.WriteString("error: " + err.Error() + "\n")
					continue
				}
				inner := a
				if d, ok := a.(DerivedTwin); ok {
					inner = d.inner
				}
				if m, ok := inner.(*Time); ok {
					fmt.Fprintf(&b, "%s\n", m.calendar.Name(m.periods[shard]))
					continue
				}
				fmt.Fprintf(&b, "%d\n", shard)
			}
			return b.String()
		})
	})
}

func zoneArg(t *testing.T, d *datadriven.TestData, name string) *time.Location {
	if !d.HasArg(name) {
		return nil
	}
	var text string
	d.ScanArgs(t, name, &text)
	zone, err := time.LoadLocation(text)
	require.NoError(t, err)
	return zone
}
