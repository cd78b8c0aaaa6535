package infile

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func plain() Format {
	return Format{Fields: []byte("\t"), Lines: []byte("\n"), Enclosed: None, Escaped: '\\'}
}

func csv() Format {
	return Format{Fields: []byte(","), Lines: []byte("\n"), Enclosed: '"', Escaped: '\\'}
}

func with(f Format, change func(*Format)) Format { change(&f); return f }

// records is what a file reads as: fields in brackets, + where a line goes on.
func records(r io.Reader, f Format, want, limit int) (string, error) {
	var out strings.Builder
	in := NewReader(r, f, limit)
	for {
		fields, long, err := in.Record(want)
		if errors.Is(err, io.EOF) {
			return out.String(), nil
		}
		if err != nil {
			return out.String(), err
		}
		for _, v := range fields {
			if v.Null {
				out.WriteString("[NULL]")
				continue
			}
			fmt.Fprintf(&out, "[%s]", v.Text)
		}
		if long {
			out.WriteString("+")
		}
		out.WriteString(";")
	}
}

// What files read as, as seen in tables of MySQL 9.7 and MariaDB 10.11
// (integration's TestLoadData compares whole loads).
func TestRecords(t *testing.T) {
	for _, c := range []struct {
		name   string
		format Format
		file   string
		want   string
	}{
		{"two lines", plain(), "1\ta\n2\tb\n", "[1][a];[2][b];"},
		{"a last line without its end", plain(), "1\ta\n2\tb", "[1][a];[2][b];"},
		{"an empty file has no line", plain(), "", ""},
		{"an empty line has one empty field", plain(), "\n", "[];"},
		{"a line goes on", plain(), "1\ta\tx\ty\n2\tb\n", "[1][a]+;[2][b];"},
		{"nobody is told that the last line goes on", plain(), "1\ta\tx", "[1][a];"},
		{"escapes", plain(), `\t\n\0\Z\x\\` + "\tb\\\nc\n", "[\t\n\x00\x1ax\\][b\nc];"},
		{"\\N alone is NULL", plain(), "\\N\ta\\N\n", "[NULL][aN];"},
		{"a file that ends in an escape", plain(), "1\ta\\", "[1][a\\];"},
		{"an escaped end in what is left of a line", plain(), "1\ta\tx\\\ny\n2\tb\n", "[1][a]+;[2][b];"},
		{"NULL is a word where nothing is enclosed", plain(), "NULL\t1\n", "[NULL][1];"},
		{"quotes", csv(), `"a","b ""q"" c"` + "\n", `[a][b "q" c];`},
		{"ends within quotes", csv(), "\"a\n,b\",1\n", "[a\n,b][1];"},
		{"a quote that ends nothing", csv(), "\"a\"b\",1\n", `[a"b][1];`},
		{"a quote in the middle", csv(), "a\"b\",1\n", `[a"b"][1];`},
		{"quotes that are never closed", csv(), "\"a,1\n", "[\"a,1\n];"},
		{"NULL with and without quotes", csv(), "NULL,\"NULL\"\n", "[NULL][NULL];"},
		{"\\N in quotes is NULL, too", csv(), "\"\\N\",\\N\n", "[NULL][NULL];"},
		{"quotes closed by the file's end", csv(), "1,\"b\"", "[1][b];"},
		{"a quote that escapes itself", with(csv(), func(f *Format) { f.Escaped = '"' }), "\"a\"\"b\",\"\\N\"\n", `[a"b][\N];`},
		{"a quote before half a terminator", with(csv(), func(f *Format) { f.Lines = []byte("\r\n") }), "\"a\"\rb\",1\r\n", "[a\"\rb][1];"},
		{"no escapes", with(plain(), func(f *Format) { f.Escaped = None }), "\\N\ta\\\n", `[\N][a\];`},
		{"lines that start with something", with(plain(), func(f *Format) { f.Start = []byte("xxy") }), "no\nxxxya\tb\nxxyc\td\nxx", "[a][b];[c][d];"},
		{"long terminators", with(plain(), func(f *Format) { f.Fields, f.Lines = []byte("||"), []byte("\r\n") }), "1|2||a\rb\r\n|||c\r\n", "[1|2][a\rb];[][|c];"},
		{"lines that end as fields do", with(plain(), func(f *Format) { f.Lines = f.Fields }), "1\t2\t3\t4\n", "[1][2];[3][4\n];"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := records(strings.NewReader(c.file), c.format, 2, 1<<20)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestSkipGoesOverLines(t *testing.T) {
	r := NewReader(strings.NewReader("a\\\nb\nc\nd"), plain(), 100)
	for _, more := range []bool{true, true, false} {
		got, err := r.Skip(1)
		require.NoError(t, err)
		require.Equal(t, more, got)
	}
	_, _, err := r.Record(1)
	require.ErrorIs(t, err, io.EOF)
}

func TestSkipOfLinesWithoutEndGoesOverFields(t *testing.T) {
	endless := with(plain(), func(f *Format) { f.Lines, f.Start = nil, []byte(">") })
	r := NewReader(strings.NewReader("no >1\t2\t3\t4"), endless, 100)
	more, err := r.Skip(2)
	require.NoError(t, err)
	require.True(t, more)
	fields, _, err := r.Record(2)
	require.NoError(t, err)
	require.Equal(t, "3", string(fields[0].Text), "which no > stands before")

	r = NewReader(strings.NewReader("1\t\"2\""), with(csv(), func(f *Format) { f.Lines, f.Fields = nil, []byte("\t") }), 100)
	more, err = r.Skip(3)
	require.NoError(t, err)
	require.False(t, more)
}

func TestARecordIsBounded(t *testing.T) {
	_, err := records(strings.NewReader("1\t"+strings.Repeat("x", 200)+"\n"), plain(), 2, 100)
	require.ErrorIs(t, err, ErrTooLong)
}

func TestAnErrorOfTheSourceIsNoEnd(t *testing.T) {
	broken := errors.New("broken")
	_, err := records(io.MultiReader(strings.NewReader("1\ta\n2\tb"), iotest.ErrReader(broken)), plain(), 2, 100)
	require.ErrorIs(t, err, broken)
}

// How a file is cut into reads makes no difference, and every file ends.
func TestReadsMakeNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.SampledFrom([]string{"a", "N", "NULL", ",", "\n", "\"", "\\", "|", "||", "x", "\r\n"})
		file := strings.Join(rapid.SliceOf(bytes).Draw(t, "file"), "")
		term := rapid.SampledFrom([]string{",", "\n", "||", "\r\n", "", "x"})
		one := rapid.SampledFrom([]int{None, '"', '\\', 'x'})
		f := Format{Fields: []byte(term.Draw(t, "fields")), Lines: []byte(term.Draw(t, "lines")), Start: []byte(rapid.SampledFrom([]string{"", "x", "||"}).Draw(t, "start")),
			Enclosed: one.Draw(t, "enclosed"), Escaped: one.Draw(t, "escaped")}
		whole, err := records(strings.NewReader(file), f, 3, 1<<20)
		require.NoError(t, err)
		cut, err := records(iotest.OneByteReader(strings.NewReader(file)), f, 3, 1<<20)
		require.NoError(t, err)
		require.Equal(t, whole, cut)
	})
}
