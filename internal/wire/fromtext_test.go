package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// roundTrip gives what a binary row made from text reads as.
func roundTrip(t require.TestingT, col Column, text string) string {
	row, err := AppendBinaryText(AppendBinaryRow(nil, 1), &col, []byte(text))
	require.NoError(t, err, text)
	spans, err := BinarySpans(nil, row, []Column{col})
	require.NoError(t, err, text)
	got, err := AppendColumnText(nil, &col, spans[0].Of(row))
	require.NoError(t, err)
	return string(got)
}

func TestTextBecomesBinaryAndComesBack(t *testing.T) {
	for _, c := range []struct {
		col  Column
		text string
	}{
		{Column{Type: TypeTiny}, "-128"},
		{Column{Type: TypeTiny, Flags: FlagUnsigned}, "255"},
		{Column{Type: TypeShort}, "-32768"},
		{Column{Type: TypeYear, Flags: FlagUnsigned, Length: 4}, "2026"},
		{Column{Type: TypeInt24}, "-8388608"},
		{Column{Type: TypeLong, Flags: FlagUnsigned}, "4294967295"},
		{Column{Type: TypeLongLong}, "-9223372036854775808"},
		{Column{Type: TypeLongLong, Flags: FlagUnsigned}, "18446744073709551615"},
		{Column{Type: TypeDouble, Decimals: 31}, "1.234567890123456e15"},
		{Column{Type: TypeFloat, Decimals: 31}, "0.1"},
		{Column{Type: TypeNewDecimal}, "-12345678901234567890.123"},
		{Column{Type: TypeVarString}, ""},
		{Column{Type: TypeBlob}, "\x00\xff"},
		{Column{Type: TypeDate}, "0000-00-00"},
		{Column{Type: TypeDate}, "2026-00-01"},
		{Column{Type: TypeDateTime}, "2026-11-23 00:00:00"},
		{Column{Type: TypeTimestamp, Decimals: 6}, "2026-11-23 23:59:59.000001"},
		{Column{Type: TypeDateTime, Decimals: 2}, "9999-12-31 23:59:59.90"},
		{Column{Type: TypeTime}, "00:00:00"},
		{Column{Type: TypeTime}, "-838:59:59"},
		{Column{Type: TypeTime, Decimals: 3}, "24:00:00.120"},
	} {
		require.Equal(t, c.text, roundTrip(t, c.col, c.text))
	}
}

func TestTextThatIsNotOfTheColumnsType(t *testing.T) {
	for _, c := range []struct {
		typ  byte
		text string
	}{
		{TypeTiny, "128"}, {TypeLong, ""}, {TypeLong, "1.0"}, {TypeLongLong, "x"}, {TypeDouble, ""}, {TypeFloat, "a"},
		{TypeDate, ""}, {TypeDate, "2026-11"}, {TypeDate, "2026-13-01"}, {TypeDate, "2026-11-23x"}, {TypeDate, "99999999999-1-1"},
		{TypeDateTime, "2026-11-23 24:00:00"}, {TypeDateTime, "2026-11-23 10:00"}, {TypeDateTime, "2026-11-23 10:00:00.1234567"},
		{TypeDateTime, "2026-11-23 10:00:00.12a"}, {TypeTime, "839:00:00"}, {TypeTime, "10:60:00"}, {TypeTime, "--1:00:00"},
		{TypeNull, "x"}, {0x12, "x"},
	} {
		_, err := AppendBinaryText(nil, &Column{Type: c.typ}, []byte(c.text))
		require.ErrorIs(t, err, ErrMalformed, "%#x %q", c.typ, c.text)
	}
}

func TestAnyTimeComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?[0-7][0-9][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{6}`).Draw(t, "time")
		want := text
		if i := 0; want[i] == '-' || want[i] == '0' { // hours have at least two digits
			sign := ""
			if want[0] == '-' {
				sign, want = "-", want[1:]
			}
			if want[0] == '0' {
				want = want[1:]
			}
			want = sign + want
		}
		if want == "-00:00:00.000000" {
			want = "00:00:00.000000" // there is no minus zero: its binary form is empty
		}
		require.Equal(t, want, roundTrip(t, Column{Type: TypeTime, Decimals: 6}, text))
	})
}
