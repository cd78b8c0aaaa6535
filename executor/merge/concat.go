package merge

import (
	"errors"
	"io"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// concat gives its parts' rows one part after the other: a route over several
// shards, or UNION ALL. A part is opened when its turn comes, so that the first
// rows don't wait for the last shard; parts whose columns differ are therefore
// found out late, and the error then ends a result that has begun.
type concat struct {
	parts  []Rows
	union  bool
	binary bool
	cols   []wire.Column
	at     int
}

func newConcat(parts []Rows, union, binary bool) Rows {
	if len(parts) == 1 {
		return parts[0]
	}
	return &concat{parts: parts, union: union, binary: binary}
}

func (c *concat) Open() ([]wire.Column, error) {
	if len(c.parts) == 0 {
		return nil, sqlerr.New(sqlerr.UnknownError, "merge: no shard was asked")
	}
	var err error
	c.cols, err = c.parts[0].Open()
	return c.cols, err
}

func (c *concat) Next() ([]byte, error) {
	for c.at < len(c.parts) {
		row, err := c.parts[c.at].Next()
		if !errors.Is(err, io.EOF) {
			return row, err
		}
		if c.at++; c.at == len(c.parts) {
			break
		}
		if err := c.open(c.at); err != nil {
			return nil, err
		}
	}
	return nil, io.EOF
}

func (c *concat) open(i int) error {
	cols, err := c.parts[i].Open()
	if err != nil {
		return err
	}
	if c.union {
		return armsAgree(c.cols, cols)
	}
	if err := shardsAgree(c.cols, cols); err != nil {
		return err
	}
	c.parts[i] = fit(c.cols, cols, c.parts[i], c.binary)
	return nil
}
