package merge

import (
	"bytes"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// distinct drops rows whose key is that of the row before.
type distinct struct {
	in    Rows
	by    []plan.SortKey
	opt   *Options
	shape *shape
	keys  *keys
	// last is the key of the row shown last; nil before the first.
	last, key []byte
	shown     bool
}

func newDistinct(in Rows, by []plan.SortKey, opt *Options) Rows {
	return &distinct{in: in, by: by, opt: opt}
}

func (d *distinct) Open() ([]wire.Column, error) {
	cols, err := d.in.Open()
	if err != nil {
		return nil, err
	}
	d.shape = newShape(cols, d.opt.Binary)
	d.keys, err = newKeys(cols, d.by, d.opt.PadWeight)
	return cols, err
}

func (d *distinct) Next() ([]byte, error) {
	for {
		row, err := d.in.Next()
		if err != nil {
			return nil, err
		}
		if err := d.shape.cut(row, d.keys.upto); err != nil {
			return nil, err
		}
		if d.key, err = d.keys.append(d.key[:0], d.shape); err != nil {
			return nil, err
		}
		if d.shown && bytes.Equal(d.key, d.last) {
			continue
		}
		d.shown = true
		d.key, d.last = d.last, d.key
		return row, nil
	}
}
