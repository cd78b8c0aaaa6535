package shardrule

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/internal/sqlval"
)

// lowerWeigher weighs like a collation without case: lower case, and a
// no-break space as a space.
type lowerWeigher struct{}

func (lowerWeigher) Weight(_ string, text []byte) ([]byte, bool) {
	return []byte(strings.ReplaceAll(strings.ToLower(string(text)), "\u00a0", " ")), true
}

func (lowerWeigher) Charset() string { return "utf8mb4" }

// literal reads a value as SQL writes it.
func literal(t *testing.T, s string) sqlval.Value {
	t.Helper()
	before, quoted, isQuoted := strings.Cut(s, "'")
	quoted = strings.TrimSuffix(quoted, "'")
	quoted = strings.NewReplacer(`\n`, "\n", `\0`, "\x00", `\xff`, "\xff", `\u00a0`, "\u00a0").Replace(quoted)
	switch {
	case isQuoted && before == "x":
		b, err := hex.DecodeString(quoted)
		require.NoError(t, err)
		return sqlval.Value{Kind: sqlval.Binary, Text: b}
	case isQuoted && before != "":
		return sqlval.Value{Kind: sqlval.Temporal, Text: []byte(quoted)}
	case isQuoted:
		return sqlval.StringValue(quoted)
	case s == "NULL":
		return sqlval.NullValue
	case strings.ContainsAny(s, "eE"):
		return sqlval.Value{Kind: sqlval.Float, Text: []byte(s)}
	case strings.Contains(s, "."):
		return sqlval.Value{Kind: sqlval.Decimal, Text: []byte(s)}
	}
	return sqlval.Value{Kind: sqlval.Int, Text: []byte(s)}
}

// columnArgs makes the column of a case: (type=bigint unsigned) and so on.
func columnArgs(t *testing.T, d *datadriven.TestData) Column {
	t.Helper()
	i := ColumnInfo{Name: "k"}
	for _, a := range d.CmdArgs {
		v := strings.Join(a.Vals, " ")
		switch a.Key {
		case "type":
			i.DataType, _, _ = strings.Cut(v, " ")
			i.ColumnType = v
		case "length":
			i.CharLength = v
		case "precision":
			i.NumericPrecision = v
		case "scale":
			i.NumericScale, i.DatetimePrecision = v, v
		case "collation":
			i.Collation = v
		case "null":
			i.Nullable = "YES"
		}
	}
	c := ColumnFrom(i)
	if d.HasArg("pad") {
		c.PadSpace, c.PadWeight = true, " "
	}
	return c
}

// compare and store: a column in the command, one literal a line.
func TestConversionsFollowTheServers(t *testing.T) {
	datadriven.Walk(t, "testdata/convert", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			c := columnArgs(t, d)
			var b strings.Builder
			for _, line := range strings.Split(d.Input, "\n") {
				v := literal(t, line)
				switch d.Cmd {
				case "compare":
					k, m, err := c.KeyToCompare(v, lowerWeigher{})
					require.NoError(t, err)
					fmt.Fprintf(&b, "%-30s %s\n", line, matchText(k, m))
				case "store":
					k, err := c.KeyToStore(v, lowerWeigher{})
					if err != nil {
						fmt.Fprintf(&b, "%-30s %s\n", line, err)
						continue
					}
					fmt.Fprintf(&b, "%-30s %s\n", line, matchText(k, MatchKey))
				default:
					d.Fatalf(t, "unknown command %s", d.Cmd)
				}
			}
			return b.String()
		})
	})
}

func matchText(k Key, m Match) string {
	switch {
	case m == MatchNone:
		return "no row"
	case m == MatchUnknown:
		return "unknown"
	case k.Null:
		return "NULL"
	case k.Alt != nil:
		return fmt.Sprintf("%q or %q", k.Bytes, k.Alt)
	}
	return fmt.Sprintf("%q", k.Bytes)
}

func TestTextAsksForItsWeightWithoutTheSpacesThatDoNotCount(t *testing.T) {
	c := Column{Name: "k", Type: TypeText, Collation: "utf8mb4_general_ci", PadSpace: true}
	_, _, err := c.KeyToCompare(sqlval.StringValue("ab  "), nil)
	var need *WeightNeeded
	require.True(t, errors.As(err, &need))
	require.Equal(t, &WeightNeeded{Collation: "utf8mb4_general_ci", Text: []byte("ab")}, need)
	require.Equal(t, "WEIGHT_STRING(CONVERT(_utf8mb4 x'6162' USING utf8mb4) COLLATE utf8mb4_general_ci)", WeightExpr(need.Collation, need.Text))

	c.PadSpace = false
	_, err = c.KeyToStore(sqlval.StringValue("ab  "), nil)
	require.True(t, errors.As(err, &need))
	require.Equal(t, []byte("ab  "), need.Text)
}

// What is stored is found again: the key of the stored value is the key its
// own text compares with.
func TestAStoredValueIsFoundByItsText(t *testing.T) {
	columns := []Column{
		{Name: "k", Type: TypeInt, Bits: 64}, {Name: "k", Type: TypeInt, Bits: 32, Unsigned: true},
		{Name: "k", Type: TypeDecimal, Scale: 2, Length: 10}, {Name: "k", Type: TypeBinary, Length: 10},
		{Name: "k", Type: TypeDatetime, Scale: 3}, {Name: "k", Type: TypeDate},
	}
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(columns).Draw(t, "column")
		text := rapid.OneOf(
			rapid.StringMatching(`[-+]?[0-9]{1,9}(\.[0-9]{0,3})?`),
			rapid.StringMatching(`20[0-9]{2}-[01]?[0-9]-[0-3]?[0-9]( [0-2]?[0-9]:[0-5]?[0-9]:[0-5][0-9](\.[0-9]{1,6})?)?`),
			rapid.StringMatching(`[a-z0-9 ]{0,12}`),
		).Draw(t, "text")
		stored, err := c.KeyToStore(sqlval.StringValue(text), nil)
		if err != nil {
			return
		}
		found, m, err := c.KeyToCompare(sqlval.StringValue(string(stored.Bytes)), nil)
		require.NoError(t, err)
		require.Equal(t, MatchKey, m)
		require.Equal(t, string(stored.Bytes), string(found.Bytes))
	})
}

func FuzzConvert(f *testing.F) {
	f.Add(uint8(3), "2026-11-23 10:00:00.5", uint8(6))
	f.Add(uint8(2), "-007.50", uint8(1))
	f.Fuzz(func(t *testing.T, kind uint8, text string, typ uint8) {
		c := Column{Name: "k", Type: ColumnType(typ % 8), Bits: 32, Scale: 3, Length: 20, PadSpace: true, PadWeight: " ", Collation: "utf8mb4_bin"}
		v := sqlval.Value{Kind: sqlval.Kind(kind % 7), Text: []byte(text)}
		_, _, err := c.KeyToCompare(v, lowerWeigher{})
		require.NoError(t, err)
		k, err := c.KeyToStore(v, lowerWeigher{})
		require.True(t, err != nil || k.Null || k.Bytes != nil || c.Type == TypeText || c.Type == TypeBinary)
	})
}

func TestAnIntegerKeyIsMadeWithoutAllocating(t *testing.T) {
	c := Column{Name: "k", Type: TypeInt, Bits: 64}
	h, err := NewHash(8)
	require.NoError(t, err)
	for _, v := range []sqlval.Value{sqlval.IntValue(123456), sqlval.IntValue(-7), sqlval.StringValue("42")} {
		require.Zero(t, testing.AllocsPerRun(100, func() {
			k, _, _ := c.KeyToCompare(v, nil)
			_, _ = h.ShardOf(k)
		}))
	}
}

func BenchmarkIntKeyToShard(b *testing.B) {
	c := Column{Name: "k", Type: TypeInt, Bits: 64}
	h, _ := NewHash(8)
	v := sqlval.IntValue(123456789)
	b.ReportAllocs()
	for b.Loop() {
		k, _, _ := c.KeyToCompare(v, nil)
		_, _ = h.ShardOf(k)
	}
}

// latin1 is a connection of that character set, whose weights are not known.
type latin1 struct{}

func (latin1) Weight(string, []byte) ([]byte, bool) { return nil, false }
func (latin1) Charset() string                      { return "latin1" }

// A server that is not strict bends what its column does not hold, so that must be
// refused here, or the row is not where its key says.
func TestTextThatAServerMightBendIsNotStored(t *testing.T) {
	for _, c := range []struct {
		name    string
		column  Column
		text    string
		session Weigher
		refused string
	}{
		{"six characters of latin1 are three of UTF-8", Column{Type: TypeText, Collation: "utf8mb4_general_ci", Length: 5}, "ééé", latin1{}, "may be too long"},
		{"bytes that are no UTF-8 are stored as question marks", Column{Type: TypeText, Collation: "utf8mb4_bin", TextKey: ByCharacters}, "\xe9", utf8mb4{}, "may not have these characters"},
		{"so are characters that the column's character set does not have", Column{Type: TypeText, Collation: "latin1_bin", TextKey: ByCharacters}, "北京", utf8mb4{}, "may not have these characters"},
		{"latin1 has é", Column{Type: TypeText, Collation: "latin1_bin", TextKey: ByCharacters}, "é", utf8mb4{}, ""},
		{"GBK has 北京", Column{Type: TypeText, Collation: "gbk_bin", TextKey: ByCharacters}, "北京", utf8mb4{}, ""},
		{"utf8mb3 has no 😀", Column{Type: TypeText, Collation: "utf8mb3_bin", TextKey: ByCharacters}, "😀", utf8mb4{}, "may not have these characters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.column.KeyToStore(sqlval.StringValue(c.text), c.session)
			if c.refused == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.refused)
		})
	}
}
