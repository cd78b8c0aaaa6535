package merge

import (
	"io"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// limit shows Count rows after skipping Offset. Behind the last it pulls no
// more: what the shards have left is for the caller to end.
type limit struct {
	in         Rows
	skip, left uint64
}

func newLimit(in Rows, n plan.ResolvedLimit) Rows {
	return &limit{in: in, skip: n.Offset, left: n.Count}
}

func (l *limit) Open() ([]wire.Column, error) { return l.in.Open() }

func (l *limit) Next() ([]byte, error) {
	if l.left == 0 {
		return nil, io.EOF
	}
	for ; l.skip > 0; l.skip-- {
		if _, err := l.in.Next(); err != nil {
			return nil, err
		}
	}
	l.left--
	return l.in.Next()
}
