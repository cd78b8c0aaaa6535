package merge

import (
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// The expected texts were read from MariaDB 10.11.
func TestDoublesAreWrittenAsTheServerWritesThem(t *testing.T) {
	for want, f := range map[string]float64{
		"0.000000000000001": 1e-15, "1e-16": 1e-16, "1.5e-17": 1.5e-17, "0.0000000000000015": 1.5e-15, "1.5e-16": 1.5e-16,
		"100000000000000": 1e14, "1e15": 1e15, "1.25e16": 1.25e16, "0": math.Copysign(0, -1), "0.1": 0.1,
		"123456789.123": 123456789.123, "0.00001": 1e-5, "1234567890123456.8": 1234567890123456.8,
		"0.0000000000000031622776601683794": 3.1622776601683794e-15, "-2.5": -2.5,
	} {
		require.Equal(t, want, string(appendDouble(nil, f, notFixed)))
	}
	require.Equal(t, "2.50", string(appendDouble(nil, 2.5, 2)))
}

// The expected texts were read from MariaDB 10.11: where a word of nine digits
// ends with the last decimal, the quotient is cut off, not rounded.
func TestAveragesHaveTheServersDigits(t *testing.T) {
	for _, c := range []struct {
		name     string
		sum      string
		count    int64
		decimals int
		want     string
	}{
		{"an integer's", "2", 3, 4, "0.6667"},
		{"half away from zero", "-1", 8, 2, "-0.13"},
		{"five decimals are cut off at nine", "0.00002", 3, 9, "0.000006666"},
		{"fourteen at eighteen", "0.00000000000002", 3, 18, "0.000000000000006666"},
		{"nine are rounded at thirteen", "0.000000002", 3, 13, "0.0000000006667"},
		{"six at ten", "0.000002", 3, 10, "0.0000006667"},
		{"more than 64 bits", "99999999999999999999999999.99", 3, 6, "33333333333333333333333333.330000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e exact
			require.NoError(t, e.add([]byte(c.sum)))
			require.Equal(t, c.want, string(e.average(nil, c.count, c.decimals)))
		})
	}
}

func TestExactSumsCrossTheirBounds(t *testing.T) {
	var e exact
	for range 3 {
		e.addInt(math.MaxInt64)
	}
	require.Equal(t, "27670116110564327421", string(e.append(nil)))
	e.addInt(math.MinInt64)
	e.addUint(math.MaxUint64)
	require.Equal(t, "36893488147419103228", string(e.append(nil)))
	e.reset(2)
	require.NoError(t, e.add([]byte("-0.05")))
	require.Equal(t, "-0.05", string(e.append(nil)))
	require.NoError(t, e.add([]byte("0.051")), "more decimals than the column says")
	require.Equal(t, "0.001", string(e.append(nil)))
	for _, bad := range []string{"", "-", "1e5", "1.2.3", "x"} {
		require.ErrorIs(t, e.add([]byte(bad)), wire.ErrMalformed, bad)
	}
}

func TestMalformedValuesAreErrors(t *testing.T) {
	for _, c := range []struct{ typ, value string }{
		{"int", "1x"}, {"int", ""}, {"bigint", "9223372036854775808"}, {"bigint unsigned", "18446744073709551616"},
		{"decimal(2)", "1e5"}, {"decimal(2)", ""}, {"double", "x"}, {"date", "yesterday"}, {"date", ""},
		{"datetime", "2026-01-01 00:00:00.1234567"}, {"time", "1:2:3:4:5:6:7"},
	} {
		cols := testColumns(t, "a "+c.typ)
		in := &fakeRows{cols: cols, rows: [][]byte{wire.AppendLenEncString(nil, c.value)}}
		s := newSort(in, []plan.SortKey{{Weight: -1}}, &Options{Budget: &Budget{Limit: 1 << 20}})
		_, _, err := collect(t, s, false)
		require.ErrorIs(t, err, wire.ErrMalformed, "%s %q", c.typ, c.value)
	}
}

func TestCutShortRowsAreErrors(t *testing.T) {
	cols := testColumns(t, "a int,b varchar,c date")
	for _, bin := range []bool{false, true} {
		whole := testRow(t, cols, "1|abc|2026-11-23", bin)
		s := newShape(cols, bin)
		require.NoError(t, s.cut(whole, len(cols)))
		for n := range whole {
			require.ErrorIs(t, s.cut(whole[:n], len(cols)), wire.ErrMalformed, "%d bytes, binary %t", n, bin)
		}
	}
}

func TestABudgetTakesAndGives(t *testing.T) {
	b := Budget{Limit: 64 << 20}
	require.NoError(t, b.Take(64<<20, "x"))
	err := b.Take(1, "sorting its rows")
	require.Equal(t, uint16(sqlerr.OutOfMemory), sqlerr.From(err).Code)
	require.Contains(t, err.Error(), "64 MiB")
	require.Contains(t, err.Error(), "sorting its rows")
	b.Give(10, 1)
	require.NoError(t, b.Take(10, "x"))
	require.Equal(t, int64(64<<20), b.Used())
}

func TestABudgetOfRowsNamesItsVariable(t *testing.T) {
	b := Budget{Limit: 64 << 20, MaxRows: 2}
	require.NoError(t, b.Take(1, "x"))
	require.NoError(t, b.Take(1, "x"))
	err := b.Take(1, "sorting its rows")
	require.Equal(t, uint16(sqlerr.OutOfMemory), sqlerr.From(err).Code)
	require.ErrorContains(t, err, "2 rows")
	require.ErrorContains(t, err, "serval_max_rows")
	b.Give(2, 2)
	require.NoError(t, b.Take(1, "x"))
}

func TestALimitPullsNoMoreThanItShows(t *testing.T) {
	in := &fakeRows{cols: testColumns(t, "a int")}
	for range 10 {
		in.rows = append(in.rows, testRow(t, in.cols, "1", false))
	}
	l := newLimit(in, plan.ResolvedLimit{Count: 2, Offset: 3})
	_, lines, err := collect(t, l, false)
	require.NoError(t, err)
	require.Len(t, lines, 2)
	require.Equal(t, 5, in.pulled)
	_, err = l.Next()
	require.Equal(t, io.EOF, err)
	require.Equal(t, 5, in.pulled)
}

func TestALaterShardIsOpenedOnlyInItsTurn(t *testing.T) {
	cols := testColumns(t, "a int")
	first, second := &fakeRows{cols: cols, rows: [][]byte{testRow(t, cols, "1", false)}}, &fakeRows{cols: cols}
	c := newConcat([]Rows{first, second}, false, false)
	_, err := c.Open()
	require.NoError(t, err)
	_, err = c.Next()
	require.NoError(t, err)
	require.False(t, second.opened)
	_, err = c.Next()
	require.Equal(t, io.EOF, err)
	require.True(t, second.opened)
}

func TestANodeThatIsNotKnownIsAnError(t *testing.T) {
	_, err := Build(&plan.Sequence{}, &Options{})
	require.Error(t, err)
	rows, err := Build(&plan.Route{}, &Options{Leaf: leafOf(nil)})
	require.NoError(t, err)
	_, err = rows.Open()
	require.Error(t, err, "no shard at all")
}

func TestAKnownCollationIsTakenBeforeTheResults(t *testing.T) {
	cols := testColumns(t, "name varchar,w varbinary")
	space := []byte{'_'}
	for _, c := range []struct {
		name string
		pad  plan.Pad
		want int
	}{
		{"it pads with another weight", plan.Pad{Known: true, Space: space}, 2},
		{"it does not pad", plan.Pad{Known: true}, 3},
		{"not known: the result's is taken", plan.Pad{}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := &fakeRows{cols: cols}
			for _, l := range []string{"a|a", "a |a_", "a |as"} {
				in.rows = append(in.rows, testRow(t, cols, l, false))
			}
			opt := &Options{PadWeight: testPad, Budget: &Budget{Limit: 1 << 20}}
			keys := []plan.SortKey{{Weight: 1, Pad: c.pad}}
			_, lines, err := collect(t, newDistinct(newSort(in, keys, opt), keys, opt), false)
			require.NoError(t, err)
			require.Len(t, lines, c.want)
		})
	}
}

func TestQuotientsRoundAsTheServerShowsThem(t *testing.T) {
	for _, c := range []struct {
		parts    []string
		count    int64
		decimals int
		want     string
	}{
		{[]string{"0.666666666000000000000000000000"}, 1, 8, "0.66666667"},
		{[]string{"0.333333333000000000000000000000", "0.333333333000000000000000000000", "0.333333333000000000000000000000"}, 1, 4, "1.0000"},
		{[]string{"-0.000050000000000000000000000000"}, 1, 4, "-0.0001"},
		{[]string{"-0.000049999000000000000000000000"}, 1, 4, "0.0000"},
		{[]string{"2.000000000000000000000000000000"}, 3, 8, "0.66666667"},
		{[]string{"99999999999999999999999999999999999.5"}, 1, 0, "100000000000000000000000000000000000"},
	} {
		var e exact
		e.reset(30)
		for _, p := range c.parts {
			require.NoError(t, e.add([]byte(p)))
		}
		require.Equal(t, c.want, string(e.quotient(nil, c.count, c.decimals)), "%v / %d", c.parts, c.count)
	}
}
