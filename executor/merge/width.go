package merge

import (
	"encoding/binary"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// A server tells an expression's type by the way it runs the statement, and
// shards of unequal contents are run in unequal ways (a table of one row is
// read ahead and its values are constants): x+0 is INT on one and BIGINT on
// another, LOWER(x) is VARCHAR here and TEXT there.

// alike: values of both types are written the same way in text rows, and in
// binary ones but for the width of integers.
func alike(x, y *wire.Column) bool {
	return x.Type == y.Type || intWidth(x.Type) > 0 && intWidth(y.Type) > 0 || isString(x) && isString(y)
}

// intWidth is how many bytes an integer has in a binary row; 0 for another type.
func intWidth(typ byte) int {
	switch typ {
	case wire.TypeTiny:
		return 1
	case wire.TypeShort:
		return 2
	case wire.TypeLong, wire.TypeInt24:
		return 4
	case wire.TypeLongLong:
		return 8
	}
	return 0
}

func isString(c *wire.Column) bool {
	switch c.Type {
	case wire.TypeVarchar, wire.TypeVarString, wire.TypeString, wire.TypeTinyBlob, wire.TypeBlob, wire.TypeMediumBlob, wire.TypeLongBlob:
		return true // MIN of an ENUM, too
	}
	return false
}

// fit makes a shard's rows rows of the columns shown, those of the first shard.
func fit(shown, cols []wire.Column, in Rows, bin bool) Rows {
	if !bin {
		return in
	}
	for i := range cols {
		if intWidth(cols[i].Type) != intWidth(shown[i].Type) {
			return &fitted{Rows: in, shown: shown, shape: newShape(cols, bin), out: rowBuilder{binary: true}}
		}
	}
	return in
}

// fitted writes integers in the width of the columns shown.
type fitted struct {
	Rows
	shown []wire.Column
	shape *shape
	out   rowBuilder
}

func (f *fitted) Next() ([]byte, error) {
	row, err := f.Rows.Next()
	if err != nil {
		return nil, err
	}
	s := f.shape
	if err := s.cut(row, len(s.cols)); err != nil {
		return nil, err
	}
	f.out.begin(len(s.cols))
	for i := range s.cols {
		width := intWidth(f.shown[i].Type)
		switch {
		case s.f[i].null:
			f.out.null()
		case width == intWidth(s.cols[i].Type):
			f.out.raw(s.raw(i))
		default:
			if err := f.integer(i, width); err != nil {
				return nil, err
			}
		}
	}
	return f.out.buf, nil
}

// integer writes the value of column i in width bytes.
func (f *fitted) integer(i, width int) error {
	c := &f.shape.cols[i]
	n, fits, bits := uint64(0), false, uint(8*width)
	if c.Unsigned() {
		u, err := uintValue(c.Type, true, f.shape.value(i))
		if err != nil {
			return err
		}
		n, fits = u, bits == 64 || u>>bits == 0
	} else {
		v, err := intValue(c.Type, true, f.shape.value(i))
		if err != nil {
			return err
		}
		n, fits = uint64(v), v<<(64-bits)>>(64-bits) == v
	}
	if !fits {
		return sqlerr.New(sqlerr.UnknownError, "column %s is %s on one shard, and a value of another is too large for that; CAST it to one type",
			c.Name, typeName(&f.shown[i]))
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	f.out.raw(b[:width])
	return nil
}
