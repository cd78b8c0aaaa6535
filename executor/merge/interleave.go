package merge

import (
	"errors"
	"io"

	"github.com/servaldb/serval/internal/wire"
)

// interleave gives its parts' rows in a given order: of[i] is the part whose
// next row is row i. What the parts have beyond that comes behind it.
type interleave struct {
	concat
	of []int
}

// NewInterleave is the rows of an INSERT … RETURNING in the order of its tuples.
func NewInterleave(parts []Rows, of []int, binary bool) Rows {
	return &interleave{concat: concat{parts: parts, binary: binary}, of: of}
}

// Open opens all parts, since each may have the next row.
func (n *interleave) Open() ([]wire.Column, error) {
	cols, err := n.concat.Open()
	for i := 1; i < len(n.parts) && err == nil; i++ {
		err = n.open(i)
	}
	return cols, err
}

func (n *interleave) Next() ([]byte, error) {
	for len(n.of) > 0 {
		part := n.of[0]
		n.of = n.of[1:]
		if row, err := n.parts[part].Next(); !errors.Is(err, io.EOF) {
			return row, err
		}
	}
	for ; n.at < len(n.parts); n.at++ {
		if row, err := n.parts[n.at].Next(); !errors.Is(err, io.EOF) {
			return row, err
		}
	}
	return nil, io.EOF
}
