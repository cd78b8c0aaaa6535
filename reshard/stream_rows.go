package reshard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

// imageReader takes primary keys out of the row images of one table's events;
// of all other columns it only knows how long they are.
type imageReader struct {
	columns []column
	// key are the primary key's columns as indexes in columns, in its order.
	key  []int
	at   []int // by column: which one of the key it is, or -1
	json int   // columns of type JSON
}

var errImage = errors.New("a row image of the binlog is cut off")

func newImageReader(columns []column, key []string) *imageReader {
	r := &imageReader{columns: columns, at: make([]int, len(columns))}
	for i := range r.at {
		r.at[i] = -1
	}
	for n, name := range key {
		i := indexOf(columns, name)
		r.key = append(r.key, i)
		r.at[i] = n
	}
	for _, c := range columns {
		if c.dataType == "json" {
			r.json++
		}
	}
	return r
}

// fits compares the table as the binlog describes it with what was read at the
// start.
func (r *imageReader) fits(t *replication.TableMapEvent) error {
	if int(t.ColumnCount) != len(r.columns) {
		return fmt.Errorf("its rows have %d columns in the binlog and not %d: it has been altered", t.ColumnCount, len(r.columns))
	}
	for i, tp := range t.ColumnType {
		if tp == typeBlobCompressed || tp == typeVarcharCompressed {
			return fmt.Errorf("column %s is COMPRESSED in the binlog: it has been altered", r.columns[i].name)
		}
	}
	return nil
}

// MariaDB's types of COMPRESSED columns, of which the replication package does not
// know that they have metadata: that of all columns behind them is wrong.
const (
	typeBlobCompressed    = 140 // MYSQL_TYPE_BLOB_COMPRESSED
	typeVarcharCompressed = 141 // MYSQL_TYPE_VARCHAR_COMPRESSED
)

// keys gives the key of each image of an event: one of an insert or delete, two of
// an update, the second one again where it does not say that it changed.
func (r *imageReader) keys(e *replication.RowsEvent, data []byte, give func(key string) error) error {
	partial := false // JSON changes may be diffs
	two := e.ColumnBitmap2 != nil
	for len(data) > 0 {
		before, rest, err := r.image(e, e.ColumnBitmap1, data, nil, false)
		if err != nil {
			return err
		}
		data = rest
		if err := give(joinKey(before)); err != nil {
			return err
		}
		if !two {
			continue
		}
		partial = e.Type() == replication.EnumRowsEventTypeUnknown // of PARTIAL_UPDATE_ROWS_EVENT
		after, rest, err := r.image(e, e.ColumnBitmap2, data, before, partial)
		if err != nil {
			return err
		}
		data = rest
		if err := give(joinKey(after)); err != nil {
			return err
		}
	}
	return nil
}

func joinKey(values [][]byte) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(v)
	}
	return b.String()
}

// image reads one image: the key's values as SQL, and what is behind the image.
// What the image does not have is taken from before.
func (r *imageReader) image(e *replication.RowsEvent, present, data []byte, before [][]byte, partial bool) (key [][]byte, rest []byte, err error) {
	if partial {
		if data, err = r.skipPartial(data); err != nil {
			return nil, nil, err
		}
	}
	n := 0
	for i := range r.columns {
		n += int(present[i/8] >> (i % 8) & 1)
	}
	size := (n + 7) / 8
	if len(data) < size {
		return nil, nil, errImage
	}
	nulls := data[:size]
	data = data[size:]
	key = make([][]byte, len(r.key))
	nth := -1
	for i := range r.columns {
		if present[i/8]>>(i%8)&1 == 0 {
			continue
		}
		nth++
		if nulls[nth/8]>>(nth%8)&1 == 1 {
			continue
		}
		value, rest, err := cut(e.Table.ColumnType[i], e.Table.ColumnMeta[i], data)
		if err != nil {
			return nil, nil, fmt.Errorf("column %s: %w", r.columns[i].name, err)
		}
		data = rest
		if r.at[i] < 0 {
			continue
		}
		if key[r.at[i]], err = keyLiteral(&r.columns[i], e.Table.ColumnType[i], e.Table.ColumnMeta[i], value); err != nil {
			return nil, nil, err
		}
	}
	for i := range key {
		if key[i] == nil && before != nil {
			key[i] = before[i]
		}
		if key[i] == nil {
			return nil, nil, fmt.Errorf("a change does not say the value of the primary key's column %s: binlog_row_image has to be FULL", r.columns[r.key[i]].name)
		}
	}
	return key, data, nil
}

// skipPartial skips the options and the bitmap of JSON diffs.
func (r *imageReader) skipPartial(data []byte) ([]byte, error) {
	if len(data) == 0 {
		return nil, errImage
	}
	options := data[0] // a small length-encoded integer
	data = data[1:]
	if options&1 == 0 {
		return data, nil
	}
	size := (r.json + 7) / 8
	if len(data) < size {
		return nil, errImage
	}
	return data[size:], nil
}

// realType: of CHAR, BINARY, ENUM and SET the metadata has the type and the length.
func realType(tp byte, meta uint16) (real byte, length int) {
	if tp != mysql.MYSQL_TYPE_STRING || meta < 256 {
		return tp, int(meta)
	}
	b0, b1 := byte(meta>>8), byte(meta)
	if b0&0x30 != 0x30 {
		return b0 | 0x30, int(uint16(b1) | uint16((b0&0x30)^0x30)<<4)
	}
	return b0, int(b1)
}

// cut takes one value off an image.
func cut(tp byte, meta uint16, data []byte) (value, rest []byte, err error) {
	tp, length := realType(tp, meta)
	prefix, n := 0, 0
	switch tp {
	case mysql.MYSQL_TYPE_TINY, mysql.MYSQL_TYPE_YEAR:
		n = 1
	case mysql.MYSQL_TYPE_SHORT:
		n = 2
	case mysql.MYSQL_TYPE_INT24, mysql.MYSQL_TYPE_DATE, mysql.MYSQL_TYPE_NEWDATE, mysql.MYSQL_TYPE_TIME:
		n = 3
	case mysql.MYSQL_TYPE_LONG, mysql.MYSQL_TYPE_FLOAT, mysql.MYSQL_TYPE_TIMESTAMP:
		n = 4
	case mysql.MYSQL_TYPE_LONGLONG, mysql.MYSQL_TYPE_DOUBLE, mysql.MYSQL_TYPE_DATETIME:
		n = 8
	case mysql.MYSQL_TYPE_NEWDECIMAL:
		n = decimalSize(int(meta>>8), int(meta&0xff))
	case mysql.MYSQL_TYPE_BIT:
		n = (int(meta>>8)*8 + int(meta&0xff) + 7) / 8
	case mysql.MYSQL_TYPE_TIMESTAMP2:
		n = 4 + (int(meta)+1)/2
	case mysql.MYSQL_TYPE_DATETIME2:
		n = 5 + (int(meta)+1)/2
	case mysql.MYSQL_TYPE_TIME2:
		n = 3 + (int(meta)+1)/2
	case mysql.MYSQL_TYPE_ENUM, mysql.MYSQL_TYPE_SET:
		n = length & 0xff
	case mysql.MYSQL_TYPE_BLOB, mysql.MYSQL_TYPE_TINY_BLOB, mysql.MYSQL_TYPE_MEDIUM_BLOB, mysql.MYSQL_TYPE_LONG_BLOB,
		mysql.MYSQL_TYPE_GEOMETRY, mysql.MYSQL_TYPE_JSON, mysql.MYSQL_TYPE_VECTOR:
		prefix = int(meta)
	case mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING, mysql.MYSQL_TYPE_STRING:
		prefix = 1
		if length > 255 {
			prefix = 2
		}
	default:
		return nil, nil, fmt.Errorf("the binlog has a value of a type (%d) that is not known", tp)
	}
	if len(data) < prefix {
		return nil, nil, errImage
	}
	for i := prefix - 1; i >= 0; i-- {
		n = n<<8 | int(data[i])
	}
	if n < 0 || len(data)-prefix < n {
		return nil, nil, errImage
	}
	return data[prefix : prefix+n], data[prefix+n:], nil
}

// keyLiteral is a key column's value as SQL.
func keyLiteral(c *column, tp byte, meta uint16, v []byte) ([]byte, error) {
	tp, length := realType(tp, meta)
	switch tp {
	case mysql.MYSQL_TYPE_TINY, mysql.MYSQL_TYPE_SHORT, mysql.MYSQL_TYPE_INT24, mysql.MYSQL_TYPE_LONG, mysql.MYSQL_TYPE_LONGLONG:
		n := littleEndian(v)
		if c.unsigned {
			return strconv.AppendUint(nil, n, 10), nil
		}
		shift := 64 - 8*len(v)
		return strconv.AppendInt(nil, int64(n<<shift)>>shift, 10), nil
	case mysql.MYSQL_TYPE_ENUM, mysql.MYSQL_TYPE_SET:
		return strconv.AppendUint(nil, littleEndian(v), 10), nil
	case mysql.MYSQL_TYPE_BIT:
		return strconv.AppendUint(nil, bigEndian(v), 10), nil
	case mysql.MYSQL_TYPE_NEWDECIMAL:
		return decimalText(v, int(meta>>8), int(meta&0xff)), nil
	case mysql.MYSQL_TYPE_YEAR:
		if v[0] == 0 {
			return []byte("0"), nil
		}
		return strconv.AppendInt(nil, 1900+int64(v[0]), 10), nil
	case mysql.MYSQL_TYPE_DATE, mysql.MYSQL_TYPE_NEWDATE:
		n := littleEndian(v)
		return fmt.Appendf(nil, "'%04d-%02d-%02d'", n>>9, n>>5&15, n&31), nil
	case mysql.MYSQL_TYPE_DATETIME2:
		return datetimeText(v, int(meta)), nil
	case mysql.MYSQL_TYPE_TIMESTAMP2:
		return timestampText(v, int(meta)), nil
	case mysql.MYSQL_TYPE_TIME2:
		return timeText(v, int(meta)), nil
	case mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING:
		return c.appendKey(nil, v), nil
	case mysql.MYSQL_TYPE_STRING:
		if c.dataType == "binary" && len(v) < length {
			v = append(append(make([]byte, 0, length), v...), make([]byte, length-len(v))...) // the binlog has no trailing zero bytes
		}
		return c.appendKey(nil, v), nil
	}
	return nil, fmt.Errorf("the primary key's column %s is stored in an old form (type %d), which Serval cannot read from the binlog; "+
		"ALTER TABLE … FORCE stores it anew", c.name, tp)
}

func littleEndian(v []byte) uint64 {
	var b [8]byte
	copy(b[:], v)
	return binary.LittleEndian.Uint64(b[:])
}

func bigEndian(v []byte) uint64 {
	var n uint64
	for _, b := range v {
		n = n<<8 | uint64(b)
	}
	return n
}

// fraction is the digits behind the second, with the point.
func fraction(v []byte, digits int) string {
	if digits == 0 {
		return ""
	}
	n := bigEndian(v)
	for i := 2 * len(v); i < 6; i++ {
		n *= 10
	}
	return "." + fmt.Sprintf("%06d", n)[:digits]
}

func datetimeText(v []byte, digits int) []byte {
	n := bigEndian(v[:5]) - 0x8000000000
	ym, day, hms := n>>22, n>>17&31, n&(1<<17-1)
	return fmt.Appendf(nil, "'%04d-%02d-%02d %02d:%02d:%02d%s'", ym/13, ym%13, day, hms>>12, hms>>6&63, hms&63, fraction(v[5:], digits))
}

func timestampText(v []byte, digits int) []byte {
	n := bigEndian(v[:4])
	if n == 0 && bigEndian(v[4:]) == 0 {
		return []byte("'0000-00-00 00:00:00'")
	}
	return fmt.Appendf(nil, "'%s%s'", time.Unix(int64(n), 0).UTC().Format("2006-01-02 15:04:05"), fraction(v[4:], digits))
}

// timeText reads a TIME: all its bytes are one number, with an offset.
func timeText(v []byte, digits int) []byte {
	n := int64(bigEndian(v)) - 1<<(8*len(v)-1)
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	part := 8 * (len(v) - 3)
	hms, frac := n>>part, n&(1<<part-1)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(frac))
	return fmt.Appendf(nil, "'%s%02d:%02d:%02d%s'", sign, hms>>12&1023, hms>>6&63, hms&63, fraction(b[8-(len(v)-3):], digits))
}

// decimalBytes is how many bytes 0 to 9 digits take.
var decimalBytes = [10]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}

func decimalSize(precision, scale int) int {
	whole := precision - scale
	return whole/9*4 + decimalBytes[whole%9] + scale/9*4 + decimalBytes[scale%9]
}

// decimalText reads a DECIMAL: groups of 9 digits, big-endian; the first bit is
// the sign, and of a negative number all bits are turned.
func decimalText(v []byte, precision, scale int) []byte {
	b := append([]byte(nil), v...)
	negative := b[0]&0x80 == 0
	b[0] ^= 0x80
	if negative {
		for i := range b {
			b[i] = ^b[i]
		}
	}
	var digits []byte
	group := func(n int) {
		size := decimalBytes[n]
		digits = fmt.Appendf(digits, "%0*d", n, bigEndian(b[:size]))
		b = b[size:]
	}
	whole := precision - scale
	if whole%9 > 0 {
		group(whole % 9)
	}
	for range whole / 9 {
		group(9)
	}
	out := make([]byte, 0, len(digits)+scale+3)
	if negative {
		out = append(out, '-')
	}
	out = append(out, '0')
	out = append(out, digits...)
	if scale == 0 {
		return out
	}
	digits = digits[:0]
	out = append(out, '.')
	for range scale / 9 {
		group(9)
	}
	if scale%9 > 0 {
		group(scale % 9)
	}
	return append(out, digits...)
}
