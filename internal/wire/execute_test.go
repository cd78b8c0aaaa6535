package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
)

var anyParam = rapid.Custom(func(t *rapid.T) Param {
	c := anyCell.Draw(t, "cell")
	p := Param{Type: c.col.Type, Unsigned: rapid.Bool().Draw(t, "unsigned"), Null: c.value == nil, Value: c.value}
	if p.Null && rapid.Bool().Draw(t, "of type null") {
		p.Type = TypeNull
	}
	return p
})

func TestExecuteRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		params := rapid.SliceOfN(anyParam, 0, 20).Draw(t, "params")
		payload := AppendExecute([]byte{}, 7, params)
		id, err := StatementID(payload)
		require.NoError(t, err)
		require.EqualValues(t, 7, id)
		var e Execute
		require.NoError(t, e.Decode(payload, len(params), nil))
		require.EqualValues(t, 7, e.StatementID)
		require.Len(t, e.Params, len(params))
		for i := range params {
			require.Equal(t, params[i], e.Params[i])
		}
		before := e.Types
		for cut := range payload {
			require.ErrorIs(t, e.Decode(payload[:cut], len(params), nil), ErrMalformed)
			require.Equal(t, before, e.Types)
		}
	})
}

func TestTypesSentOnceAreRemembered(t *testing.T) {
	first := []Param{{Type: TypeLongLong, Unsigned: true, Value: []byte{1, 0, 0, 0, 0, 0, 0, 0}}, {Type: TypeVarString, Value: []byte("a")}}
	var e Execute
	require.NoError(t, e.Decode(AppendExecute(nil, 1, first), 2, nil))
	require.Equal(t, first, e.Params)

	again := append([]byte{ComStmtExecute, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0b10, 0}, 9, 0, 0, 0, 0, 0, 0, 0)
	require.NoError(t, e.Decode(again, 2, nil))
	require.Equal(t, []Param{{Type: TypeLongLong, Unsigned: true, Value: []byte{9, 0, 0, 0, 0, 0, 0, 0}}, {Type: TypeVarString, Null: true}}, e.Params)

	other := []Param{{Type: TypeVarString, Value: []byte("b")}, {Type: TypeNull, Null: true}}
	require.NoError(t, e.Decode(AppendExecute(nil, 1, other), 2, nil))
	require.Equal(t, other, e.Params)
	require.Equal(t, []ParamType{{Type: TypeVarString}, {Type: TypeNull}}, e.Types)

	var never Execute
	require.ErrorIs(t, never.Decode(again, 2, nil), ErrMalformed, "no types were ever sent")
	again[11] = 2
	require.ErrorIs(t, e.Decode(again, 2, nil), ErrMalformed, "a flag that is neither 0 nor 1")
}

func TestLongDataTakesThePlaceOfAValue(t *testing.T) {
	// Parameter 0 came as long data, so the payload has only the value of 1.
	payload := []byte{ComStmtExecute, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, TypeBlob, 0, TypeTiny, 0, 5}
	var e Execute
	require.NoError(t, e.Decode(payload, 2, [][]byte{[]byte("long"), nil}))
	require.Equal(t, []Param{{Type: TypeBlob, Value: []byte("long")}, {Type: TypeTiny, Value: []byte{5}}}, e.Params)
	require.NoError(t, e.Decode(payload, 2, [][]byte{{}, nil}))
	require.Equal(t, []byte{}, e.Params[0].Value, "long data may be empty")
	require.ErrorIs(t, e.Decode(payload, 2, nil), ErrMalformed)

	id, param, data, err := DecodeLongData([]byte("\x18\x02\x00\x00\x00\x03\x00piece"))
	require.NoError(t, err)
	require.EqualValues(t, 2, id)
	require.EqualValues(t, 3, param)
	require.Equal(t, "piece", string(data))
	_, _, _, err = DecodeLongData([]byte("\x18\x02\x00\x00\x00\x03"))
	require.ErrorIs(t, err, ErrMalformed)
	_, err = StatementID([]byte("\x19\x02\x00\x00"))
	require.ErrorIs(t, err, ErrMalformed)
}

func TestExecuteAgainAllocatesNothing(t *testing.T) {
	payload := AppendExecute(nil, 1, []Param{{Type: TypeLong, Value: []byte{1, 0, 0, 0}}, {Type: TypeVarString, Value: []byte("abc")}})
	var e Execute
	require.NoError(t, e.Decode(payload, 2, nil))
	scratch := make([]byte, 0, 64)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_ = e.Decode(payload, 2, nil)
		scratch = scratch[:0]
		for i := range e.Params {
			_, scratch, _ = e.Params[i].SQLValue(scratch)
		}
	}))
}

func TestPrepareOKRoundTrip(t *testing.T) {
	want := PrepareOK{StatementID: 1 << 30, Columns: 3, Params: 65535, Warning: 2}
	payload := want.Append(nil)
	require.Len(t, payload, 12)
	got, err := DecodePrepareOK(payload)
	require.NoError(t, err)
	require.Equal(t, want, got)
	for _, cut := range []int{0, 1, 5, 8, 11} {
		_, err := DecodePrepareOK(payload[:cut])
		require.ErrorIs(t, err, ErrMalformed)
	}
	_, err = DecodePrepareOK([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	require.ErrorIs(t, err, ErrMalformed)
}

func TestParamsAsSQLValues(t *testing.T) {
	long := []byte{0xea, 0x07, 11, 23, 10, 11, 12, 0x40, 0xe2, 0x01, 0}
	for name, c := range map[string]struct {
		p    Param
		kind sqlval.Kind
		text string
	}{
		"a NULL":                              {Param{Type: TypeLong, Null: true}, sqlval.Null, ""},
		"a negative byte":                     {Param{Type: TypeTiny, Value: []byte{0x80}}, sqlval.Int, "-128"},
		"the same byte unsigned":              {Param{Type: TypeTiny, Unsigned: true, Value: []byte{0x80}}, sqlval.Int, "128"},
		"a short":                             {Param{Type: TypeShort, Value: []byte{0xfe, 0xff}}, sqlval.Int, "-2"},
		"an int":                              {Param{Type: TypeLong, Value: []byte{0, 0, 0, 0x80}}, sqlval.Int, "-2147483648"},
		"an unsigned int":                     {Param{Type: TypeLong, Unsigned: true, Value: []byte{0, 0, 0, 0x80}}, sqlval.Int, "2147483648"},
		"the smallest bigint":                 {Param{Type: TypeLongLong, Value: []byte{0, 0, 0, 0, 0, 0, 0, 0x80}}, sqlval.Int, "-9223372036854775808"},
		"the largest unsigned bigint":         {Param{Type: TypeLongLong, Unsigned: true, Value: bytes.Repeat([]byte{0xff}, 8)}, sqlval.Int, "18446744073709551615"},
		"a double stays approximate":          {Param{Type: TypeDouble, Value: []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x3f}}, sqlval.Float, "1.5e+00"},
		"a float is the double it stands for": {Param{Type: TypeFloat, Value: []byte{0xcd, 0xcc, 0xcc, 0x3d}}, sqlval.Float, "1.0000000149011612e-01"},
		"a decimal":                           {Param{Type: TypeNewDecimal, Value: []byte("1.50")}, sqlval.Decimal, "1.50"},
		"text":                                {Param{Type: TypeVarString, Value: []byte("a'b")}, sqlval.String, "a'b"},
		"empty text is not NULL":              {Param{Type: TypeString, Value: []byte{}}, sqlval.String, ""},
		"bytes":                               {Param{Type: TypeBlob, Value: []byte{0, 255}}, sqlval.Binary, "\x00\xff"},
		"a date":                              {Param{Type: TypeDate, Value: long[:4]}, sqlval.Temporal, "2026-11-23"},
		"a date sent with a time":             {Param{Type: TypeDate, Value: long[:7]}, sqlval.Temporal, "2026-11-23"},
		"the zero date":                       {Param{Type: TypeDate, Value: nil}, sqlval.Temporal, "0000-00-00"},
		"a datetime without time":             {Param{Type: TypeDateTime, Value: long[:4]}, sqlval.Temporal, "2026-11-23 00:00:00"},
		"a datetime":                          {Param{Type: TypeTimestamp, Value: long[:7]}, sqlval.Temporal, "2026-11-23 10:11:12"},
		"a datetime with microseconds":        {Param{Type: TypeDateTime, Value: long}, sqlval.Temporal, "2026-11-23 10:11:12.123456"},
		"a datetime with zero microseconds":   {Param{Type: TypeDateTime, Value: append(bytes.Clone(long[:7]), 0, 0, 0, 0)}, sqlval.Temporal, "2026-11-23 10:11:12"},
		"the zero time":                       {Param{Type: TypeTime}, sqlval.Temporal, "00:00:00"},
		"a time of 34 days before":            {Param{Type: TypeTime, Value: []byte{1, 34, 0, 0, 0, 22, 59, 59}}, sqlval.Temporal, "-838:59:59"},
		"a time with microseconds":            {Param{Type: TypeTime, Value: []byte{0, 0, 0, 0, 0, 1, 2, 3, 5, 0, 0, 0}}, sqlval.Temporal, "01:02:03.000005"},
		"a forged time does not overflow":     {Param{Type: TypeTime, Value: []byte{0, 255, 255, 255, 255, 255, 255, 255}}, sqlval.Temporal, "25166079:255:255"},
	} {
		t.Run(name, func(t *testing.T) {
			v, scratch, err := c.p.SQLValue([]byte("before"))
			require.NoError(t, err)
			require.Equal(t, c.kind, v.Kind)
			require.Equal(t, c.text, string(v.Text))
			require.Equal(t, "before", string(scratch[:6]))
		})
	}
}

func TestParamsThatAreNoSQLValue(t *testing.T) {
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		bits := math.Float64bits(f)
		p := Param{Type: TypeDouble, Value: []byte{byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24), byte(bits >> 32), byte(bits >> 40), byte(bits >> 48), byte(bits >> 56)}}
		_, _, err := p.SQLValue(nil)
		var e *sqlerr.Error
		require.ErrorAs(t, err, &e)
		require.EqualValues(t, sqlerr.WrongArguments, e.Code)
	}
	for _, p := range []Param{{Type: TypeLong, Value: []byte{1}}, {Type: TypeDouble, Value: []byte{1}}, {Type: TypeDate, Value: []byte{1}}, {Type: TypeTime, Value: []byte{1}}} {
		_, _, err := p.SQLValue(nil)
		require.ErrorIs(t, err, ErrMalformed)
	}
}

func TestBinaryColumnsAsText(t *testing.T) {
	long := []byte{0xea, 0x07, 11, 23, 10, 11, 12, 0x40, 0xe2, 0x01, 0}
	double := func(f float64) []byte {
		b := math.Float64bits(f)
		return []byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24), byte(b >> 32), byte(b >> 40), byte(b >> 48), byte(b >> 56)}
	}
	for _, c := range []struct {
		col   Column
		value []byte
		want  string
	}{
		{Column{Type: TypeLong}, []byte{0xff, 0xff, 0xff, 0xff}, "-1"},
		{Column{Type: TypeLong, Flags: FlagUnsigned}, []byte{0xff, 0xff, 0xff, 0xff}, "4294967295"},
		{Column{Type: TypeLong, Flags: FlagUnsigned | FlagZerofill, Length: 10}, []byte{7, 0, 0, 0}, "0000000007"},
		{Column{Type: TypeLong, Flags: FlagUnsigned | FlagZerofill, Length: 2}, []byte{0, 1, 0, 0}, "256"},
		{Column{Type: TypeYear, Flags: FlagUnsigned | FlagZerofill, Length: 4}, []byte{0, 0}, "0000"},
		{Column{Type: TypeDateTime, Decimals: 3}, long, "2026-11-23 10:11:12.123"},
		{Column{Type: TypeDateTime, Decimals: 6}, long[:7], "2026-11-23 10:11:12.000000"},
		{Column{Type: TypeDateTime}, nil, "0000-00-00 00:00:00"},
		{Column{Type: TypeTime, Decimals: 2}, []byte{1, 0, 0, 0, 0, 1, 2, 3}, "-01:02:03.00"},
		{Column{Type: TypeDate}, long[:4], "2026-11-23"},
		{Column{Type: TypeDouble, Decimals: 31}, double(0.1), "0.1"},
		{Column{Type: TypeDouble, Decimals: 31}, double(1e20), "1e20"},
		{Column{Type: TypeDouble, Decimals: 31}, double(-1.5e-20), "-1.5e-20"},
		{Column{Type: TypeDouble, Decimals: 31}, double(1e100), "1e100"},
		{Column{Type: TypeDouble, Decimals: 31}, double(123456789012345), "123456789012345"},
		{Column{Type: TypeDouble, Decimals: 31}, double(0), "0"},
		{Column{Type: TypeDouble, Decimals: 2}, double(1.5), "1.50"},
		{Column{Type: TypeFloat, Decimals: 31}, []byte{0xcd, 0xcc, 0xcc, 0x3d}, "0.1"},
		{Column{Type: TypeVarString}, []byte("x"), "x"},
	} {
		got, err := AppendColumnText(nil, &c.col, c.value)
		require.NoError(t, err)
		require.Equal(t, c.want, string(got))
	}
}

// What both MariaDB 10.11 and MySQL 9.7 print for these in columns DOUBLE and
// FLOAT of a text row.
func TestFloatsPrintAsServersPrintThem(t *testing.T) {
	for _, c := range []struct {
		f             float64
		double, float string
	}{
		{1e15, "1e15", "1e15"},
		{1e14, "100000000000000", "100000000000000"},
		{123456789012345678, "1.2345678901234568e17", "1.23457e17"},
		{16777216, "16777216", "16777200"},
		{1.5e-5, "0.000015", "0.000015"},
		{1e-15, "0.000000000000001", "0.000000000000001"},
		{1e-16, "1e-16", "1e-16"},
		{1234567890123456, "1.234567890123456e15", "1.23457e15"},
		{3.4e38, "3.4e38", "3.4e38"},
		{-1.25e-30, "-1.25e-30", "-1.25e-30"},
		{123456.7, "123456.7", "123457"},
		{1234567.9, "1234567.9", "1234570"},
		{0.000123456789, "0.000123456789", "0.000123457"},
		{999999.5, "999999.5", "1000000"},
		{1.2345678901234567e-7, "0.00000012345678901234566", "0.000000123457"},
	} {
		bits := math.Float64bits(c.f)
		double := binary.LittleEndian.AppendUint64(nil, bits)
		float := binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(c.f)))
		got, err := AppendColumnText(nil, &Column{Type: TypeDouble, Decimals: 31}, double)
		require.NoError(t, err)
		require.Equal(t, c.double, string(got))
		got, err = AppendColumnText(nil, &Column{Type: TypeFloat, Decimals: 31}, float)
		require.NoError(t, err)
		require.Equal(t, c.float, string(got))
	}
}

func TestColumnParamsKeepBytesBytesAndTextText(t *testing.T) {
	for name, c := range map[string]struct {
		col  Column
		want byte
	}{
		"a number keeps its type": {Column{Type: TypeLongLong}, TypeLongLong},
		"a decimal too":           {Column{Type: TypeNewDecimal, Charset: CollationBinary}, TypeNewDecimal},
		"a MEDIUMINT":             {Column{Type: TypeInt24}, TypeLong},
		"a YEAR":                  {Column{Type: TypeYear}, TypeShort},
		"a BIT is a number":       {Column{Type: TypeBit}, TypeLongLong},
		"an ENUM is text":         {Column{Type: TypeString, Charset: 45, Flags: FlagEnum}, TypeVarString},
		"JSON is text":            {Column{Type: TypeJSON, Charset: CollationBinary}, TypeVarString},
		"VARBINARY is bytes":      {Column{Type: TypeVarString, Charset: CollationBinary}, TypeBlob},
		"TEXT is text":            {Column{Type: TypeBlob, Charset: 255}, TypeVarString},
	} {
		p := ColumnParam(&c.col, []byte("1"))
		require.Equal(t, c.want, p.Type, name)
		require.False(t, p.Null)
		require.True(t, ColumnParam(&c.col, nil).Null)
	}
	bit := ColumnParam(&Column{Type: TypeBit}, []byte{0x0a, 0xaa})
	require.Equal(t, []byte{0xaa, 0x0a, 0, 0, 0, 0, 0, 0}, bit.Value)
	require.True(t, bit.Unsigned)
}

func TestPaddedNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, width := rapid.Uint32Range(0, 2_000_000).Draw(t, "v"), rapid.IntRange(1, 6).Draw(t, "width")
		got := string(appendPadded(nil, v, width))
		want := []byte{}
		for n := v; n > 0 || len(want) == 0; n /= 10 {
			want = append([]byte{byte('0' + n%10)}, want...)
		}
		for len(want) < width {
			want = append([]byte{'0'}, want...)
		}
		require.Equal(t, string(want), got)
	})
}

func FuzzExecute(f *testing.F) {
	f.Add(AppendExecute(nil, 1, []Param{{Type: TypeLong, Value: []byte{1, 0, 0, 0}}, {Type: TypeVarString, Null: true}}), 2, []byte("a"))
	f.Fuzz(func(t *testing.T, payload []byte, n int, long []byte) {
		if n < 0 || n > 65535 {
			return
		}
		var e Execute
		if e.Decode(payload, n, nil) == nil {
			again := AppendExecute(nil, e.StatementID, e.Params)
			var e2 Execute
			require.NoError(t, e2.Decode(again, n, nil))
			require.Equal(t, e.Types, e2.Types)
			var scratch []byte
			for _, p := range e.Params {
				_, scratch, _ = p.SQLValue(scratch)
			}
		}
		if n > 0 {
			longs := make([][]byte, n)
			longs[0] = long
			_ = e.Decode(payload, n, longs)
		}
	})
}
