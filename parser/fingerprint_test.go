package parser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/internal/sqlval"
)

var kindNames = map[sqlval.Kind]string{
	sqlval.Int: "int", sqlval.Decimal: "decimal", sqlval.Float: "float", sqlval.String: "string",
	sqlval.Binary: "binary",
}

// TestFingerprint shows the key, the verb and the literals of each statement
// of a text.
func TestFingerprint(t *testing.T) {
	datadriven.Walk(t, "testdata/fingerprint", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var b strings.Builder
			lexer, fp := &Lexer{}, &Fingerprint{}
			sql := []byte(strings.ReplaceAll(d.Input, "␠", " "))
			for {
				if err := lexer.Fingerprint(sql, modeOf(d), fp); err != nil {
					fmt.Fprintf(&b, "error: %v\n", err)
					return b.String()
				}
				b.WriteString(describeFingerprint(sql, modeOf(d), fp))
				sql = sql[fp.End:]
				if len(strings.TrimSpace(string(sql))) == 0 {
					return b.String()
				}
			}
		})
	})
}

func describeFingerprint(sql []byte, mode Mode, fp *Fingerprint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  verb=%q", fp.Key, fp.Verb)
	for flag, name := range map[Flags]string{HasUserVar: "uservar", HasHint: "hint", HasVersioned: "versioned"} {
		if fp.Flags == flag {
			b.WriteString(" " + name)
		}
	}
	if fp.Rows > 0 {
		fmt.Fprintf(&b, " rows=%d first=%d width=%d", fp.Rows, fp.FirstRow, fp.RowWidth)
	}
	b.WriteString("\n")
	for i, l := range fp.Literals {
		if l.Marker {
			fmt.Fprintf(&b, "  %d marker\n", i)
			continue
		}
		v := l.Value(sql, mode)
		fmt.Fprintf(&b, "  %d %s %s = %q\n", i, kindNames[v.Kind], sql[l.Start:l.End], v.Text)
	}
	return b.String()
}

func fingerprint(t require.TestingT, sql string, mode Mode) *Fingerprint {
	fp := &Fingerprint{}
	require.NoError(t, (&Lexer{}).Fingerprint([]byte(sql), mode, fp))
	return fp
}

// statements are all the statements of the text cases, as seeds.
func statements(t testing.TB) []string {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	more, err := filepath.Glob("testdata/fingerprint/*.txt")
	require.NoError(t, err)
	var out []string
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, block := range strings.Split(string(text), "\n\n") {
			if head, _, ok := strings.Cut(block, "\n----"); ok {
				lines := strings.Split(head, "\n")
				for len(lines) > 0 && strings.HasPrefix(lines[0], "#") {
					lines = lines[1:]
				}
				if len(lines) > 1 {
					out = append(out, strings.Join(lines[1:], "\n"))
				}
			}
		}
	}
	require.Greater(t, len(out), 100)
	return out
}

// withOtherLiterals puts another literal of the same kind, or in Text again
// what there is, in each place.
func withOtherLiterals(sql string, fp *Fingerprint, other func(Literal) string) string {
	var edits []edit
	for _, l := range fp.Literals {
		if !l.Marker {
			edits = append(edits, edit{Span{l.Start, l.End}, other(l)})
		}
	}
	return applyEdits(sql, edits)
}

func TestOtherLiteralsGiveTheSameKey(t *testing.T) {
	seeds := statements(t)
	rapid.Check(t, func(rt *rapid.T) {
		sql := rapid.SampledFrom(seeds).Draw(rt, "sql")
		fp := &Fingerprint{}
		if (&Lexer{}).Fingerprint([]byte(sql), 0, fp) != nil {
			return
		}
		changed := withOtherLiterals(sql, fp, func(l Literal) string { return drawLiteral(rt, l.Kind) })
		again := fingerprint(rt, changed, 0)
		require.Equal(rt, string(fp.Key), string(again.Key), "of %s", changed)
		require.Equal(rt, len(fp.Literals), len(again.Literals))
	})
}

// drawLiteral draws a literal of the kind, with quotes and escapes inside.
func drawLiteral(rt *rapid.T, k sqlval.Kind) string {
	switch k {
	case sqlval.Int:
		return fmt.Sprint(rapid.Uint64().Draw(rt, "int"))
	case sqlval.Decimal:
		return fmt.Sprintf("%d.%d", rapid.Uint32().Draw(rt, "whole"), rapid.Uint32().Draw(rt, "part"))
	case sqlval.Float:
		return fmt.Sprintf("%de-%d", rapid.Uint32().Draw(rt, "mantissa"), rapid.Uint8().Draw(rt, "exponent"))
	case sqlval.Binary:
		return fmt.Sprintf("x'%x'", rapid.SliceOf(rapid.Byte()).Draw(rt, "bytes"))
	}
	v := sqlval.Value{Kind: sqlval.String, Text: rapid.SliceOf(rapid.Byte()).Draw(rt, "text")}
	return string(v.AppendSQL(nil, false))
}

func TestStringsReadBackAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.SliceOf(rapid.Byte()).Draw(rt, "text")
		noBackslash := rapid.Bool().Draw(rt, "noBackslash")
		mode := Mode(0)
		if noBackslash {
			mode = NoBackslashEscapes
		}
		v := sqlval.Value{Kind: sqlval.String, Text: text}
		sql := v.AppendSQL([]byte("SELECT "), noBackslash)
		fp := &Fingerprint{}
		require.NoError(rt, (&Lexer{}).Fingerprint(sql, mode, fp))
		require.Len(rt, fp.Literals, 1)
		require.Equal(rt, string(text), string(fp.Literals[0].Value(sql, mode).Text))
	})
}

func TestFoldedTuplesHaveOneKey(t *testing.T) {
	key := func(rows int) *Fingerprint {
		tuples := strings.TrimSuffix(strings.Repeat("(1, 'a', NULL), ", rows), ", ")
		return fingerprint(t, "INSERT INTO t VALUES "+tuples, 0)
	}
	require.Equal(t, string(key(2).Key), string(key(1000).Key))
	require.NotEqual(t, string(key(1).Key), string(key(2).Key), "one row is planned by itself")
	require.Equal(t, 1000, key(1000).Rows)
	require.Equal(t, 2000, len(key(1000).Literals))
}

func TestLargeInsertTakesLinearTimeAndNoKey(t *testing.T) {
	var b strings.Builder
	b.WriteString("INSERT INTO t VALUES ")
	for b.Len() < 16<<20 {
		b.WriteString("(12345,'some text here','2026-11-23 10:00:00'),")
	}
	fp := fingerprint(t, strings.TrimSuffix(b.String(), ","), 0)
	require.Equal(t, "INSERT INTO t VALUES(?,?,?)+", string(fp.Key))
	require.Equal(t, fp.Rows*3, len(fp.Literals))
	// The last tuple has another shape: nothing is folded.
	fp = fingerprint(t, b.String()+"(NULL,'x','y')", 0)
	require.Zero(t, fp.Rows)
	require.True(t, strings.HasSuffix(string(fp.Key), ",(NULL,?,?)"))
}

func TestFingerprintDoesNotAllocate(t *testing.T) {
	lexer, fp := &Lexer{}, &Fingerprint{}
	sql := []byte("SELECT c, 'x' FROM sbtest1 WHERE id IN (1, 2, 3) AND k BETWEEN 5 AND 10 ORDER BY c LIMIT 5")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := lexer.Fingerprint(sql, 0, fp); err != nil {
			t.Fatal(err)
		}
	}))
}

func TestMemoryOfAHugeStatementIsGivenBack(t *testing.T) {
	lexer, fp := &Lexer{}, &Fingerprint{}
	huge := "SELECT 1 FROM t WHERE a IN (1" + strings.Repeat(", 2", 200_000) + ")"
	require.NoError(t, lexer.Fingerprint([]byte(huge), 0, fp))
	require.NoError(t, lexer.Fingerprint([]byte("SELECT 1"), 0, fp))
	require.Less(t, cap(fp.Key)+cap(fp.Literals), smallText)
}

func TestNestingHasABound(t *testing.T) {
	deep := "SELECT " + strings.Repeat("(", 1<<20)
	require.ErrorContains(t, (&Lexer{}).Fingerprint([]byte(deep), 0, &Fingerprint{}), "nested too deep")
	s := Parse([]byte("SELECT "+strings.Repeat("(", 4000)+"1"+strings.Repeat(")", 4000)), Options{})
	require.NoError(t, s.Why)
	s.Facts()
}

func FuzzFingerprint(f *testing.F) {
	for _, sql := range statements(f) {
		f.Add([]byte(sql), uint8(0))
		f.Add([]byte(sql), uint8(AnsiQuotes|NoBackslashEscapes))
	}
	f.Fuzz(func(t *testing.T, sql []byte, mode uint8) {
		checkFingerprint(t, sql, Mode(mode)&(AnsiQuotes|NoBackslashEscapes))
	})
}

// checkFingerprint holds for every text.
func checkFingerprint(t *testing.T, sql []byte, mode Mode) {
	fp := &Fingerprint{}
	err := (&Lexer{}).Fingerprint(sql, mode, fp)
	if err != nil {
		return
	}
	require.LessOrEqual(t, len(fp.Key), 2*len(sql)+1)
	require.LessOrEqual(t, fp.End, len(sql))
	at := 0
	for _, l := range fp.Literals {
		require.GreaterOrEqual(t, l.Start, at)
		require.Greater(t, l.End, l.Start)
		at = l.End
		l.Value(sql, mode)
	}
	require.LessOrEqual(t, at, fp.End)
	if fp.Rows > 0 {
		require.LessOrEqual(t, fp.FirstRow+fp.Rows*fp.RowWidth, len(fp.Literals))
		return
	}
	// The key is its own fingerprint.
	again := &Fingerprint{}
	require.NoError(t, (&Lexer{}).Fingerprint(fp.Key, mode, again))
	require.Equal(t, string(fp.Key), string(again.Key))
	require.Equal(t, len(fp.Literals), len(again.Literals))
}

func FuzzParse(f *testing.F) {
	for _, sql := range statements(f) {
		f.Add([]byte(sql))
	}
	f.Fuzz(func(t *testing.T, sql []byte) {
		s := Parse(sql, Options{})
		s.Facts()
		for _, m := range s.Markers {
			require.Equal(t, byte('?'), s.Text[m.Offset])
		}
		if s.Node == nil {
			return
		}
		if sp, err := s.Spans(); err == nil {
			splice(s, sp)
		}
	})
}

func benchmarkFingerprint(b *testing.B, sql string) {
	lexer, fp := &Lexer{}, &Fingerprint{}
	text := []byte(sql)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := lexer.Fingerprint(text, 0, fp); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFingerprintPointSelect(b *testing.B) {
	benchmarkFingerprint(b, "SELECT c FROM sbtest1 WHERE id=50123")
}

func BenchmarkFingerprintThreeTables(b *testing.B) {
	benchmarkFingerprint(b, "SELECT u.name, COUNT(*) AS n, SUM(i.price * i.quantity) total FROM users u "+
		"JOIN orders o ON o.user_id = u.id JOIN order_items i ON i.order_id = o.id "+
		"WHERE u.country = 'de' AND o.created_at >= '2026-01-01' AND i.price > 9.99 GROUP BY u.name ORDER BY total DESC LIMIT 20")
}

func BenchmarkFingerprintInsert1000(b *testing.B) {
	benchmarkFingerprint(b, "INSERT INTO t (a, b, c) VALUES "+
		strings.TrimSuffix(strings.Repeat("(12345, 'some text here', 1.5), ", 1000), ", "))
}

func BenchmarkParsePointSelect(b *testing.B) {
	sql := []byte("SELECT c FROM sbtest1 WHERE id=50123")
	b.ReportAllocs()
	for b.Loop() {
		Parse(sql, Options{})
	}
}

func BenchmarkSpansPointSelect(b *testing.B) {
	s := Parse([]byte("SELECT c FROM sbtest1 WHERE id=50123"), Options{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Spans(); err != nil {
			b.Fatal(err)
		}
	}
}
