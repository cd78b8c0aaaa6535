package merge

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// parts deals rows out to shards, each sorted by less.
func deal(t *rapid.T, tt testing.TB, cols []wire.Column, lines []string, bin bool, order func(a, b string) int) []Rows {
	n := rapid.IntRange(1, 6).Draw(t, "shards")
	shards := make([][]string, n)
	for _, l := range lines {
		i := rapid.IntRange(0, n-1).Draw(t, "shard")
		shards[i] = append(shards[i], l)
	}
	parts := make([]Rows, n)
	for i, s := range shards {
		if order != nil {
			slices.SortStableFunc(s, order)
		}
		f := &fakeRows{cols: cols}
		for _, l := range s {
			f.rows = append(f.rows, testRow(tt, cols, l, bin))
		}
		parts[i] = f
	}
	return parts
}

func drawInts(t *rapid.T) []int64 {
	return rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(-3, 3), rapid.Int64()), 0, 60).Draw(t, "ints")
}

func TestMergingSortedStreamsIsSortingAll(t *testing.T) {
	cols := testColumns(t, "n bigint,s varbinary")
	rapid.Check(t, func(rt *rapid.T) {
		bin, desc := rapid.Bool().Draw(rt, "binary"), rapid.Bool().Draw(rt, "desc")
		order := func(a, b string) int { return compareLines(a, b, desc) }
		var lines []string
		for _, n := range drawInts(rt) {
			lines = append(lines, fmt.Sprintf("%d|%s", n, rapid.SampledFrom([]string{"", "a", "a\x00", "a\x00b", "b"}).Draw(rt, "s")))
		}
		for range rapid.IntRange(0, 3).Draw(rt, "nulls") {
			lines = append(lines, "NULL|x")
		}
		keys := []plan.SortKey{{Column: 0, Desc: desc, Weight: -1}, {Column: 1, Weight: -1}}
		opt := &Options{Binary: bin, Budget: &Budget{Limit: 1 << 20}}
		parts := deal(rt, t, cols, lines, bin, order)
		_, got, err := collect(t, newMergeSort(parts, keys, opt), bin)
		require.NoError(t, err)
		slices.SortStableFunc(lines, order)
		require.Equal(t, len(lines), len(got))
		require.True(t, slices.Equal(lines, got), "%q\n%q", lines, got)
	})
}

func compareLines(a, b string, desc bool) int {
	x, s, _ := strings.Cut(a, "|")
	y, u, _ := strings.Cut(b, "|")
	n, errX := strconv.ParseInt(x, 10, 64)
	m, errY := strconv.ParseInt(y, 10, 64)
	c := 0
	switch {
	case errX != nil && errY != nil:
	case errX != nil:
		c = -1
	case errY != nil:
		c = 1
	case n < m:
		c = -1
	case n > m:
		c = 1
	}
	if desc {
		c = -c
	}
	if c == 0 {
		return strings.Compare(s, u)
	}
	return c
}

func TestSortIsMergeSortOfSingleRows(t *testing.T) {
	cols := testColumns(t, "n bigint,s varbinary")
	rapid.Check(t, func(rt *rapid.T) {
		var lines []string
		for _, n := range drawInts(rt) {
			lines = append(lines, fmt.Sprintf("%d|x", n))
		}
		budget := &Budget{Limit: 1 << 20}
		opt := &Options{Budget: budget}
		parts := deal(rt, t, cols, lines, false, nil)
		_, got, err := collect(t, newSort(newConcat(parts, false, false), []plan.SortKey{{Column: 0, Weight: -1}}, opt), false)
		require.NoError(t, err)
		slices.SortFunc(lines, func(a, b string) int { return compareLines(a, b, false) })
		require.True(t, slices.Equal(lines, got))
		require.Zero(t, budget.Used(), "what was held is given back")
	})
}

func TestCombiningPartialAggregatesIsAggregatingAll(t *testing.T) {
	cols := testColumns(t, "g int,c bigint,s decimal(2),lo decimal(2),hi decimal(2)")
	node := &plan.Aggregate{Group: []plan.SortKey{{Column: 0, Weight: -1}}, Outputs: []plan.Output{
		{Func: plan.FuncKeep}, {Func: plan.FuncCount, Column: 1}, {Func: plan.FuncSum, Column: 2},
		{Func: plan.FuncMin, Column: 3, Weight: -1}, {Func: plan.FuncMax, Column: 4, Weight: -1}}}
	rapid.Check(t, func(rt *rapid.T) {
		type row struct {
			g     int
			cents int64
		}
		var rows []row
		n := rapid.IntRange(0, 40).Draw(rt, "rows")
		for range n {
			rows = append(rows, row{rapid.IntRange(0, 4).Draw(rt, "g"), rapid.Int64().Draw(rt, "cents")})
		}
		summary := func(rows []row) []string {
			var out []string
			for g := range 5 {
				var in []row
				for _, r := range rows {
					if r.g == g {
						in = append(in, r)
					}
				}
				if len(in) == 0 {
					continue
				}
				sum, lo, hi := new(big.Int), in[0].cents, in[0].cents
				for _, r := range in {
					sum.Add(sum, big.NewInt(r.cents))
					lo, hi = min(lo, r.cents), max(hi, r.cents)
				}
				out = append(out, fmt.Sprintf("%d|%d|%s|%s|%s", g, len(in), cents(sum), cents(big.NewInt(lo)), cents(big.NewInt(hi))))
			}
			return out
		}
		shards := rapid.IntRange(1, 4).Draw(rt, "shards")
		bin := rapid.Bool().Draw(rt, "binary")
		parts := make([]Rows, shards)
		for i := range parts {
			var mine []row
			for j, r := range rows {
				if j%shards == i {
					mine = append(mine, r)
				}
			}
			f := &fakeRows{cols: cols}
			for _, l := range summary(mine) {
				f.rows = append(f.rows, testRow(t, cols, l, bin))
			}
			parts[i] = f
		}
		opt := &Options{Binary: bin, Budget: &Budget{Limit: 1 << 20}}
		_, got, err := collect(t, newAggregate(newMergeSort(parts, node.Group, opt), node, opt), bin)
		require.NoError(t, err)
		require.True(t, slices.Equal(summary(rows), got), "%q\n%q", summary(rows), got)
	})
}

// cents is how the server writes a DECIMAL(…,2).
func cents(n *big.Int) string {
	d := apd.NewWithBigInt(new(apd.BigInt).SetMathBigInt(n), -2)
	return d.Text('f')
}

func drawDecimal(t *rapid.T) string {
	s := rapid.StringMatching(`-?[0-9]{1,40}(\.[0-9]{1,20})?`).Draw(t, "decimal")
	return s
}

func TestDecimalKeysOrderAsTheNumbersDo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := drawDecimal(rt), drawDecimal(rt)
		if rapid.Bool().Draw(rt, "near") {
			b = a + rapid.SampledFrom([]string{"", "0", "1"}).Draw(rt, "tail")
		}
		x, _, err := apd.NewFromString(a)
		require.NoError(t, err)
		y, _, err := apd.NewFromString(b)
		require.NoError(t, err)
		ka, err := appendDecimal(nil, []byte(a))
		require.NoError(t, err)
		kb, err := appendDecimal(nil, []byte(b))
		require.NoError(t, err)
		require.Equal(t, x.Cmp(y), slices.Compare(ka, kb), "%s %s", a, b)
	})
}

func TestExactSumsAreThoseOfArbitraryPrecision(t *testing.T) {
	ctx := apd.BaseContext.WithPrecision(200)
	rapid.Check(t, func(rt *rapid.T) {
		var e exact
		e.reset(rapid.IntRange(0, 5).Draw(rt, "scale"))
		want := new(apd.Decimal)
		for range rapid.IntRange(1, 12).Draw(rt, "n") {
			s := drawDecimal(rt)
			d, _, err := apd.NewFromString(s)
			require.NoError(t, err)
			_, err = ctx.Add(want, want, d)
			require.NoError(t, err)
			require.NoError(t, e.add([]byte(s)))
		}
		got, _, err := apd.NewFromString(string(e.append(nil)))
		require.NoError(t, err)
		require.Zero(t, want.Cmp(got), "want %s, got %s", want, got)
	})
}

func TestQuickAveragesAreTheSameAsLongOnes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		scale := rapid.IntRange(0, 12).Draw(rt, "scale")
		decimals := scale + rapid.IntRange(0, 6).Draw(rt, "more")
		count := rapid.Int64Range(1, 1000).Draw(rt, "count")
		n := rapid.OneOf(rapid.Int64Range(-1000, 1000), rapid.Int64()).Draw(rt, "sum")
		quick, long := exact{small: n, scale: scale}, exact{big: big.NewInt(n), scale: scale}
		require.Equal(t, string(long.average(nil, count, decimals)), string(quick.average(nil, count, decimals)))
		require.Equal(t, string(long.append(nil)), string(quick.append(nil)))
	})
}

// comparePadded is what appendPadded encodes, said directly.
func comparePadded(a, b, space []byte) int {
	n := max(len(a), len(b))
	for len(a) < n {
		a = append(a, space...)
	}
	for len(b) < n {
		b = append(b, space...)
	}
	return slices.Compare(a, b)
}

func TestPaddedWeightsCompareAsIfSpacesFollowed(t *testing.T) {
	space := []byte{0, 5}
	unit := rapid.SampledFrom([]string{"\x00\x04", "\x00\x05", "\x00\x06", "\x00\x00", "\x05\x00"})
	rapid.Check(t, func(rt *rapid.T) {
		draw := func() []byte { return []byte(strings.Join(rapid.SliceOfN(unit, 0, 6).Draw(rt, "w"), "")) }
		a, b := draw(), draw()
		ka, kb := appendPadded(nil, a, space), appendPadded(nil, b, space)
		require.Equal(t, comparePadded(slices.Clone(a), slices.Clone(b), space), slices.Compare(ka, kb), "%x %x", a, b)
		if string(ka) != string(kb) {
			require.False(t, strings.HasPrefix(string(ka), string(kb)), "a key is a prefix of another")
		}
	})
}

func TestByteKeysCompareAsTheBytesAndArePrefixFree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		draw := func() []byte { return rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0xff}), 0, 5).Draw(rt, "b") }
		a, b := draw(), draw()
		ka, kb := appendBytes(nil, a), appendBytes(nil, b)
		require.Equal(t, slices.Compare(a, b), slices.Compare(ka, kb))
		if string(a) != string(b) {
			require.False(t, strings.HasPrefix(string(ka), string(kb)))
		}
	})
}

func TestFloatKeysOrderAsTheNumbersDo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := rapid.Float64().Draw(rt, "a"), rapid.Float64().Draw(rt, "b")
		want := 0
		if a < b {
			want = -1
		} else if a > b {
			want = 1
		}
		require.Equal(t, want, slices.Compare(appendFloat(nil, a), appendFloat(nil, b)))
	})
}

func TestNoBytesCrashTheRowReader(t *testing.T) {
	all := testColumns(t, "a tinyint,b varchar,c date,d time,e double,f decimal(2),g datetime,h bit,i year,j bigint")
	var by []plan.SortKey
	for i := range all {
		by = append(by, plan.SortKey{Column: i, Weight: 1})
	}
	for _, bin := range []bool{false, true} {
		k, err := newKeys(all, by, testPad)
		require.NoError(t, err)
		rapid.Check(t, func(rt *rapid.T) {
			row := rapid.SliceOf(rapid.OneOf(rapid.ByteRange(0, 12), rapid.Byte())).Draw(rt, "row")
			s := newShape(all, bin)
			if s.cut(row, len(all)) == nil {
				_, _ = k.append(nil, s)
			}
		})
	}
}
