package merge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// fakeRows gives rows from memory, always through one buffer, so that whoever
// keeps a row longer than it may sees it change.
type fakeRows struct {
	cols   []wire.Column
	rows   [][]byte
	buf    []byte
	opened bool
	pulled int
}

func (f *fakeRows) Open() ([]wire.Column, error) { f.opened = true; return f.cols, nil }

func (f *fakeRows) Next() ([]byte, error) {
	for i := range f.buf {
		f.buf[i] = 0xee
	}
	if f.pulled == len(f.rows) {
		return nil, io.EOF
	}
	f.buf = append(f.buf[:0], f.rows[f.pulled]...)
	f.pulled++
	return f.buf, nil
}

var testTypes = map[string]wire.Column{
	"tinyint": {Type: wire.TypeTiny}, "smallint": {Type: wire.TypeShort}, "int": {Type: wire.TypeLong},
	"bigint": {Type: wire.TypeLongLong}, "year": {Type: wire.TypeYear, Flags: wire.FlagUnsigned},
	"decimal": {Type: wire.TypeNewDecimal}, "double": {Type: wire.TypeDouble, Decimals: 31},
	"float": {Type: wire.TypeFloat, Decimals: 31}, "date": {Type: wire.TypeDate}, "datetime": {Type: wire.TypeDateTime},
	"timestamp": {Type: wire.TypeTimestamp}, "time": {Type: wire.TypeTime}, "bit": {Type: wire.TypeBit},
	"null": {Type: wire.TypeNull}, "json": {Type: wire.TypeJSON}, "varbinary": {Type: wire.TypeVarString},
	"varchar": {Type: wire.TypeVarString, Charset: 45}, "text": {Type: wire.TypeBlob, Charset: 45},
	"enum": {Type: wire.TypeString, Charset: 45, Flags: wire.FlagEnum},
}

// testColumn reads "name type(decimals) unsigned".
func testColumn(t testing.TB, def string) wire.Column {
	words := strings.Fields(def)
	require.GreaterOrEqual(t, len(words), 2, "column %q", def)
	name, scale, _ := strings.Cut(words[1], "(")
	c, ok := testTypes[name]
	require.True(t, ok, "type %q", name)
	c.Name = []byte(words[0])
	if scale != "" {
		n, err := strconv.Atoi(strings.TrimSuffix(scale, ")"))
		require.NoError(t, err)
		c.Decimals = byte(n)
	}
	if c.Charset == 0 {
		c.Charset = wire.CollationBinary
	}
	if len(words) > 2 {
		c.Flags |= wire.FlagUnsigned
	}
	return c
}

func testColumns(t testing.TB, defs string) []wire.Column {
	var cols []wire.Column
	for _, d := range strings.Split(defs, ",") {
		cols = append(cols, testColumn(t, d))
	}
	return cols
}

// testRow encodes "1|a|NULL" as a server sends it.
func testRow(t testing.TB, cols []wire.Column, line string, bin bool) []byte {
	values := strings.Split(line, "|")
	require.Len(t, values, len(cols), "row %q", line)
	b := rowBuilder{binary: bin}
	b.begin(len(cols))
	for i, v := range values {
		switch {
		case v == "NULL":
			b.null()
		case cols[i].Type == wire.TypeBit:
			n, err := strconv.ParseUint(v, 10, 16)
			require.NoError(t, err)
			b.text([]byte{byte(n >> 8), byte(n)})
		case bin:
			b.raw(encodeBinary(t, &cols[i], v))
		default:
			b.text([]byte(v))
		}
	}
	return b.buf
}

func encodeBinary(t testing.TB, c *wire.Column, v string) []byte {
	le := binary.LittleEndian
	number := func() uint64 {
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return uint64(n)
		}
		n, err := strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
		return n
	}
	float := func() float64 {
		f, err := strconv.ParseFloat(v, 64)
		require.NoError(t, err)
		return f
	}
	switch c.Type {
	case wire.TypeTiny:
		return []byte{byte(number())}
	case wire.TypeShort, wire.TypeYear:
		return le.AppendUint16(nil, uint16(number()))
	case wire.TypeLong:
		return le.AppendUint32(nil, uint32(number()))
	case wire.TypeLongLong:
		return le.AppendUint64(nil, number())
	case wire.TypeDouble:
		return le.AppendUint64(nil, math.Float64bits(float()))
	case wire.TypeFloat:
		return le.AppendUint32(nil, math.Float32bits(float32(float())))
	case wire.TypeDate, wire.TypeDateTime, wire.TypeTimestamp, wire.TypeTime:
		return encodeTemporal(t, c.Type == wire.TypeTime, v)
	}
	return wire.AppendLenEncString(nil, v)
}

// encodeTemporal leaves out zero parts at the end, as servers do.
func encodeTemporal(t testing.TB, isTime bool, v string) []byte {
	neg := strings.HasPrefix(v, "-")
	v, frac, _ := strings.Cut(strings.TrimPrefix(v, "-"), ".")
	var p []int
	for _, s := range strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune("-: ", r) }) {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		p = append(p, n)
	}
	us, err := strconv.Atoi((frac + "000000")[:6])
	require.NoError(t, err)
	le := binary.LittleEndian
	var b []byte
	if isTime {
		if p[0]+p[1]+p[2]+us == 0 {
			return []byte{0}
		}
		b = []byte{0}
		if neg {
			b[0] = 1
		}
		b = append(le.AppendUint32(b, uint32(p[0]/24)), byte(p[0]%24), byte(p[1]), byte(p[2]))
	} else {
		for len(p) < 6 {
			p = append(p, 0)
		}
		b = append(le.AppendUint16(nil, uint16(p[0])), byte(p[1]), byte(p[2]))
		if p[3]+p[4]+p[5]+us > 0 {
			b = append(b, byte(p[3]), byte(p[4]), byte(p[5]))
		} else if p[0]+p[1]+p[2] == 0 {
			b = nil
		}
	}
	if us > 0 {
		b = le.AppendUint32(b, uint32(us))
	}
	return append([]byte{byte(len(b))}, b...)
}

// showRow prints a row as testRow reads it.
func showRow(t testing.TB, cols []wire.Column, row []byte, bin bool) string {
	s := newShape(cols, bin)
	require.NoError(t, s.cut(row, len(cols)))
	end := 0
	values := make([]string, len(cols))
	for i := range cols {
		values[i], end = "NULL", s.f[i].end
		if !s.f[i].null {
			values[i] = showValue(t, &cols[i], s.value(i), bin)
		}
	}
	require.Len(t, row, end, "nothing stands behind the last column")
	return strings.Join(values, "|")
}

func showValue(t testing.TB, c *wire.Column, v []byte, bin bool) string {
	kind, known := kindOf(c)
	switch {
	case !known:
		return string(v)
	case c.Type == wire.TypeBit:
		return strconv.Itoa(int(v[0])<<8 | int(v[1]))
	case !bin:
		return string(v)
	case kind == keyInt:
		n, err := intValue(c.Type, true, v)
		require.NoError(t, err)
		return strconv.FormatInt(n, 10)
	case kind == keyUint:
		n, err := uintValue(c.Type, true, v)
		require.NoError(t, err)
		return strconv.FormatUint(n, 10)
	case c.Type == wire.TypeFloat:
		f, _ := floatValue(c.Type, true, v)
		return strconv.FormatFloat(f, 'g', 6, 32)
	case kind == keyFloat:
		f, _ := floatValue(c.Type, true, v)
		return string(appendDouble(nil, f, c.Decimals))
	case kind == keyDate:
		var p [7]uint64
		require.NoError(t, binaryDate(&p, v))
		s := fmt.Sprintf("%04d-%02d-%02d", p[0], p[1], p[2])
		if c.Type != wire.TypeDate {
			s += fmt.Sprintf(" %02d:%02d:%02d", p[3], p[4], p[5])
		}
		return s + fraction(p[6], c.Decimals)
	case kind == keyTime:
		n, err := timeKey(true, v)
		require.NoError(t, err)
		sign := ""
		if n < 0 {
			n, sign = -n, "-"
		}
		return fmt.Sprintf("%s%02d:%02d:%02d", sign, n/3600e6, n/60e6%60, n/1e6%60) + fraction(uint64(n%1e6), c.Decimals)
	}
	return string(v)
}

func fraction(us uint64, decimals byte) string {
	if decimals == 0 {
		return ""
	}
	return ("." + fmt.Sprintf("%06d", us))[:1+decimals]
}

// testPad: a space's weight is the letter s, wherever text is padded.
func testPad(uint16) []byte { return []byte("s") }

// collect reads a stream to its end.
func collect(t testing.TB, rows Rows, bin bool) (cols []wire.Column, lines []string, err error) {
	cols, err = rows.Open()
	for err == nil {
		var row []byte
		if row, err = rows.Next(); err == nil {
			lines = append(lines, showRow(t, cols, row, bin))
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return cols, lines, err
}

func leafOf(parts []Rows) func(plan.Node) ([]Rows, error) {
	return func(plan.Node) ([]Rows, error) { return parts, nil }
}
