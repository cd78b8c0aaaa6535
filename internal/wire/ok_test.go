package wire

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/internal/sqlerr"
)

func printOK(ok OK) string {
	var b strings.Builder
	fmt.Fprintf(&b, "affected=%d insert_id=%d status=%#04x warnings=%d\n", ok.AffectedRows, ok.LastInsertID, ok.Status, ok.Warnings)
	if len(ok.Info) > 0 {
		fmt.Fprintf(&b, "info %q\n", ok.Info)
	}
	for _, v := range ok.Tracked.Vars {
		fmt.Fprintf(&b, "var %s = %q\n", v.Name, v.Value)
	}
	if ok.Tracked.SchemaChanged {
		fmt.Fprintf(&b, "schema %q\n", ok.Tracked.Schema)
	}
	if ok.Tracked.StateChanged {
		b.WriteString("state changed\n")
	}
	if ok.Tracked.GTIDs != "" {
		fmt.Fprintf(&b, "gtids %s\n", ok.Tracked.GTIDs)
	}
	return b.String()
}

func TestOKFromRealServers(t *testing.T) {
	datadriven.RunTest(t, "testdata/ok.txt", func(t *testing.T, d *datadriven.TestData) string {
		payload, err := hex.DecodeString(strings.TrimSpace(d.Input))
		require.NoError(t, err)
		ok, err := DecodeOK(payload, CapSessionTrack)
		if err != nil {
			return err.Error()
		}
		again, err := DecodeOK(ok.Append(nil, CapSessionTrack, payload[0]), CapSessionTrack)
		require.NoError(t, err)
		again.Status = ok.Status // the flag of session state follows what Serval keeps of it
		require.Equal(t, printOK(ok), printOK(again))
		return printOK(ok)
	})
}

func TestOKWithoutSessionTrackingHasItsInfoInEitherForm(t *testing.T) {
	for _, info := range []string{"\x05hello", "hello"} {
		ok, err := DecodeOK(append([]byte{0, 1, 0, 2, 0, 0, 0}, info...), 0)
		require.NoError(t, err)
		require.Equal(t, "hello", string(ok.Info))
	}
	tracked := OK{Tracked: Tracked{StateChanged: true}}.Append(nil, 0, HeaderOK)
	require.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0}, tracked, "a client without session tracking is told nothing of it")
}

func TestOKRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringN(0, 20, 60), rapid.StringN(240, 300, 600))
		want := OK{
			AffectedRows: rapid.Uint64().Draw(t, "affected"), LastInsertID: rapid.Uint64().Draw(t, "id"),
			Status:   rapid.Uint16().Draw(t, "status") &^ StatusSessionStateChanged,
			Warnings: rapid.Uint16().Draw(t, "warnings"), Info: []byte(text.Draw(t, "info")),
		}
		for range rapid.IntRange(0, 3).Draw(t, "vars") {
			want.Tracked.Vars = append(want.Tracked.Vars, TrackedVar{Name: "v" + text.Draw(t, "name"), Value: text.Draw(t, "value")})
		}
		if rapid.Bool().Draw(t, "schema changed") {
			want.Tracked.SchemaChanged, want.Tracked.Schema = true, text.Draw(t, "schema")
		}
		want.Tracked.StateChanged = rapid.Bool().Draw(t, "state")
		want.Tracked.GTIDs = text.Draw(t, "gtids")
		got, err := DecodeOK(want.Append(nil, CapSessionTrack, HeaderOK), CapSessionTrack)
		require.NoError(t, err)
		if !want.Tracked.Empty() {
			want.Status |= StatusSessionStateChanged
		}
		if len(want.Info) == 0 {
			want.Info, got.Info = nil, nil
		}
		require.Equal(t, want, got)
	})
}

func TestEndOfResultInBothDialects(t *testing.T) {
	ok := OK{Status: StatusAutocommit | StatusMoreResults, Warnings: 3}
	for _, caps := range []uint32{0, CapDeprecateEOF, CapDeprecateEOF | CapSessionTrack} {
		end := ok.AppendEnd(nil, caps)
		require.True(t, IsEnd(end, caps))
		got, err := DecodeEnd(end, caps)
		require.NoError(t, err)
		require.Equal(t, ok, got)
	}
	longText := append([]byte{0xfe, 0, 0, 0, 1, 0, 0, 0, 0}, "a row that begins with a value of 16 MB"...)
	require.False(t, IsEnd(longText, 0))
	require.False(t, IsEnd(make([]byte, MaxFrame), CapDeprecateEOF))
	require.False(t, IsEnd(nil, CapDeprecateEOF))
	require.False(t, IsEnd(nil, 0))
	_, err := DecodeEOF([]byte{0xfe, 1})
	require.ErrorIs(t, err, ErrMalformed)
	_, err = DecodeEOF([]byte{0})
	require.ErrorIs(t, err, ErrMalformed)
}

func TestErrWithAndWithoutSQLState(t *testing.T) {
	for name, c := range map[string]struct {
		payload string
		want    *sqlerr.Error
	}{
		"with its state":         {"\xff\x15\x04#28000Access denied", &sqlerr.Error{Code: 1045, State: "28000", Message: "Access denied"}},
		"before the handshake":   {"\xff\x10\x04Too many connections", &sqlerr.Error{Code: 1040, State: "HY000", Message: "Too many connections"}},
		"without a message":      {"\xff\x10\x04", &sqlerr.Error{Code: 1040, State: "HY000"}},
		"a mark without a state": {"\xff\x10\x04#280", &sqlerr.Error{Code: 1040, State: "HY000", Message: "#280"}},
		"a state and no message": {"\xff\x10\x04#28000", &sqlerr.Error{Code: 1040, State: "28000"}},
		"cut in its code":        {"\xff\x10", nil},
		"another kind of packet": {"\x00\x15\x04#28000", nil},
		"an empty payload":       {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := DecodeErr([]byte(c.payload))
			if c.want == nil {
				require.ErrorIs(t, err, ErrMalformed)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, e)
			again, err := DecodeErr(AppendErr(nil, e))
			require.NoError(t, err)
			require.Equal(t, e, again)
			require.True(t, IsErr(AppendErr(nil, e)))
		})
	}
	require.Equal(t, "\xff\x10\x04no", string(AppendErr(nil, &sqlerr.Error{Code: 1040, Message: "no"})))
}

func TestColumnRoundTripAndRealBytes(t *testing.T) {
	// MySQL 9.7: SELECT 1.
	payload, err := hex.DecodeString("036465660000000131000c3f0002000000088100000000")
	require.NoError(t, err)
	col, err := DecodeColumn(payload)
	require.NoError(t, err)
	require.Equal(t, "1", string(col.Name))
	require.Equal(t, TypeLongLong, col.Type)
	require.Equal(t, FlagNotNull|FlagBinary, col.Flags)
	require.Equal(t, CollationBinary, col.Charset)
	require.Equal(t, payload, col.Append(nil))

	rapid.Check(t, func(t *rapid.T) {
		name := rapid.Map(rapid.StringN(0, 64, 300), func(s string) []byte { return []byte(s) })
		want := Column{
			Schema: name.Draw(t, "schema"), Table: name.Draw(t, "table"), OrgTable: name.Draw(t, "org table"),
			Name: name.Draw(t, "name"), OrgName: name.Draw(t, "org name"), Charset: rapid.Uint16().Draw(t, "charset"),
			Length: rapid.Uint32().Draw(t, "length"), Type: rapid.Byte().Draw(t, "type"),
			Flags: rapid.Uint16().Draw(t, "flags"), Decimals: rapid.Byte().Draw(t, "decimals"),
		}
		payload := want.Append(nil)
		got, err := DecodeColumn(payload)
		require.NoError(t, err)
		kept := got.Clone()
		require.Equal(t, want, kept)
		clear(payload)
		require.Equal(t, want, kept, "a clone does not borrow")
		for cut := range payload[:len(payload)-2] { // the last two bytes are filler
			_, err := DecodeColumn(want.Append(nil)[:cut])
			require.ErrorIs(t, err, ErrMalformed)
		}
	})
}

func FuzzOK(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, 0, 0, 0}, CapSessionTrack)
	seed, _ := hex.DecodeString("000000024000000009010403636170020131")
	f.Add(seed, CapSessionTrack)
	f.Fuzz(func(t *testing.T, payload []byte, caps uint32) {
		if ok, err := DecodeOK(payload, caps); err == nil {
			again, err := DecodeOK(ok.Append(nil, caps, payload[0]), caps)
			require.NoError(t, err)
			require.Equal(t, ok.AffectedRows, again.AffectedRows)
			require.Equal(t, len(ok.Tracked.Vars), len(again.Tracked.Vars))
		}
		_, _ = DecodeErr(payload)
		_, _ = DecodeEnd(payload, caps)
		_, _ = DecodeColumn(payload)
		_, _ = DecodePrepareOK(payload)
		_, _, _, _ = DecodeLongData(payload)
	})
}
