package wire

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTextRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 20).Draw(t, "columns")
		var row []byte
		want := make([][]byte, n)
		for i := range want {
			if !rapid.Bool().Draw(t, "null") {
				size := rapid.SampledFrom([]int{0, 1, 250, 251, 252, 65535, 65536}).Draw(t, "size")
				want[i] = bytes.Repeat([]byte{byte(i)}, size)
			}
			row = AppendTextValue(row, want[i])
		}
		spans, err := TextSpans(nil, row, n)
		require.NoError(t, err)
		require.Len(t, spans, n)
		for i, s := range spans {
			require.Equal(t, want[i], s.Of(row))
			require.Equal(t, want[i] == nil, s.Null())
		}
		_, err = TextSpans(nil, row, n+1)
		require.ErrorIs(t, err, ErrMalformed)
		if n > 0 {
			_, err = TextSpans(nil, row, n-1)
			require.ErrorIs(t, err, ErrMalformed, "bytes left over")
		}
	})
}

func TestTextRowRefuses(t *testing.T) {
	for name, row := range map[string]string{
		"a value longer than the row":    "\x05abc",
		"a length of 2^63":               "\xfe\x00\x00\x00\x00\x00\x00\x00\x80",
		"a length of 2^64-1":             "\xfe\xff\xff\xff\xff\xff\xff\xff\xff",
		"a length cut short":             "\xfd\x01",
		"a first byte that is no length": "\xff",
		"nothing":                        "",
	} {
		_, err := TextSpans(nil, []byte(row), 1)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
}

// binaryKinds are types with values of theirs as binary bytes in hex, as a
// server or driver would send them.
var binaryKinds = []struct {
	typ    byte
	values []string
}{
	{TypeTiny, []string{"00", "ff", "7f"}},
	{TypeShort, []string{"0100", "ffff"}},
	{TypeYear, []string{"ea07"}},
	{TypeLong, []string{"01000000", "ffffffff"}},
	{TypeInt24, []string{"01000000"}},
	{TypeLongLong, []string{"0100000000000000", "ffffffffffffffff"}},
	{TypeFloat, []string{"0000c03f"}},
	{TypeDouble, []string{"000000000000f83f"}},
	{TypeDate, []string{"", "ea070b17"}},
	{TypeDateTime, []string{"", "ea070b17", "ea070b170a0b0c", "ea070b170a0b0c40e20100"}},
	{TypeTimestamp, []string{"", "ea070b170a0b0c"}},
	{TypeTime, []string{"", "00000000000a0b0c", "01220000000a0b0c40e20100"}},
	{TypeNewDecimal, []string{"312e3530"}},
	{TypeVarString, []string{"", "61"}},
	{TypeBlob, []string{"00ff", strings.Repeat("61", 300)}},
	{TypeBit, []string{"01"}},
	{TypeJSON, []string{"7b7d"}},
	{TypeVector, []string{"0000803f"}},
}

type binaryCell struct {
	col   Column
	value []byte
}

var anyCell = rapid.Custom(func(t *rapid.T) binaryCell {
	k := rapid.SampledFrom(binaryKinds).Draw(t, "kind")
	c := binaryCell{col: Column{Type: k.typ}}
	if !rapid.Bool().Draw(t, "null") {
		c.value, _ = hex.DecodeString(rapid.SampledFrom(k.values).Draw(t, "value"))
	}
	return c
})

func TestBinaryRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cells := rapid.SliceOfN(anyCell, 0, 20).Draw(t, "cells")
		prefix := []byte("what a row is appended to")
		buf := AppendBinaryRow(bytes.Clone(prefix), len(cells))
		columns := make([]Column, len(cells))
		for i, c := range cells {
			columns[i] = c.col
			if c.value == nil {
				SetBinaryNull(buf[len(prefix):], i)
				continue
			}
			buf = AppendBinaryValue(buf, c.col.Type, c.value)
		}
		row := buf[len(prefix):]
		spans, err := BinarySpans(nil, row, columns)
		require.NoError(t, err)
		for i, s := range spans {
			require.Equal(t, cells[i].value, s.Of(row), "column %d", i)
		}
		for cut := range row {
			_, err := BinarySpans(nil, row[:cut], columns)
			require.ErrorIs(t, err, ErrMalformed)
		}
		_, err = BinarySpans(nil, append(row, 0), columns)
		require.ErrorIs(t, err, ErrMalformed)
	})
}

func TestBinaryRowRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		typ byte
		row string
	}{
		"an EOF":                          {TypeTiny, "\xfe\x00\x00"},
		"a date of five bytes":            {TypeDate, "\x00\x00\x05\xea\x07\x0b\x17\x01"},
		"a time of seven bytes":           {TypeTime, "\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00"},
		"a date longer than the row":      {TypeDate, "\x00\x00\x04\xea\x07"},
		"a text of 2^64-1 bytes":          {TypeVarString, "\x00\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xff"},
		"a type that never comes by wire": {0x12, "\x00\x00\x01a"},
	} {
		_, err := BinarySpans(nil, []byte(c.row), []Column{{Type: c.typ}})
		require.ErrorIs(t, err, ErrMalformed, name)
	}
}

func FuzzRows(f *testing.F) {
	f.Add([]byte("\x01a\xfb\x00"), []byte{TypeTiny, TypeVarString})
	f.Add([]byte("\x00\x00\x01\x04\xea\x07\x0b\x17"), []byte{TypeTiny, TypeDate})
	f.Fuzz(func(t *testing.T, row, types []byte) {
		columns := make([]Column, len(types))
		for i, typ := range types {
			columns[i].Type = typ
		}
		if spans, err := TextSpans(nil, row, len(types)); err == nil {
			var again []byte
			for _, s := range spans {
				again = AppendTextValue(again, s.Of(row))
			}
			againSpans, err := TextSpans(nil, again, len(types))
			require.NoError(t, err)
			require.Len(t, againSpans, len(spans))
		}
		spans, err := BinarySpans(nil, row, columns)
		if err != nil {
			return
		}
		for i, s := range spans {
			if _, err := AppendColumnText(nil, &columns[i], s.Of(row)); !s.Null() && types[i] != TypeNull {
				require.NoError(t, err, fmt.Sprintf("type %#x value %x", types[i], s.Of(row)))
			}
		}
	})
}

func BenchmarkTextSpans(b *testing.B) {
	var row []byte
	for i := range 10 {
		row = AppendTextValue(row, bytes.Repeat([]byte{'a'}, i*20))
	}
	spans := make([]Span, 0, 10)
	b.ReportAllocs()
	for b.Loop() {
		spans, _ = TextSpans(spans[:0], row, 10)
	}
}
