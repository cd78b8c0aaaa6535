package merge

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// sorter sorts all rows in memory, within the statement's budget. Rows with
// equal keys stay in the order they came in.
type sorter struct {
	in     Rows
	by     []plan.SortKey
	opt    *Options
	shape  *shape
	keys   *keys
	rows   []sortRow
	chunk  []byte // where rows are copied to
	held   int
	at     int
	sorted bool
}

// sortRow is one row with its key, both in data.
type sortRow struct {
	data []byte
	key  int // data[:key] is the key
}

// sortChunk is what is allocated at once for rows, in bytes.
const sortChunk = 4 << 10

// sortRowSize is what a row costs beside its bytes.
const sortRowSize = 48

func newSort(in Rows, by []plan.SortKey, opt *Options) Rows {
	return &sorter{in: in, by: by, opt: opt}
}

func (s *sorter) Open() ([]wire.Column, error) {
	cols, err := s.in.Open()
	if err != nil {
		return nil, err
	}
	s.shape = newShape(cols, s.opt.Binary)
	s.keys, err = newKeys(cols, s.by, s.opt.PadWeight)
	return cols, err
}

func (s *sorter) Next() ([]byte, error) {
	if !s.sorted {
		s.sorted = true
		if err := s.fill(); err != nil {
			return nil, err
		}
		slices.SortStableFunc(s.rows, func(a, b sortRow) int {
			return bytes.Compare(a.data[:a.key], b.data[:b.key])
		})
	}
	if s.at >= len(s.rows) {
		s.opt.Budget.Give(s.held, len(s.rows))
		s.rows, s.chunk, s.held, s.at = nil, nil, 0, 0
		return nil, io.EOF
	}
	r := s.rows[s.at]
	s.at++
	return r.data[r.key:], nil
}

func (s *sorter) fill() error {
	var key []byte
	for {
		row, err := s.in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.shape.cut(row, s.keys.upto); err != nil {
			return err
		}
		if key, err = s.keys.append(key[:0], s.shape); err != nil {
			return err
		}
		n := len(key) + len(row) + sortRowSize
		if err := s.opt.Budget.Take(n, "sorting its rows"); err != nil {
			return err
		}
		s.held += n
		if cap(s.chunk)-len(s.chunk) < len(key)+len(row) {
			s.chunk = make([]byte, 0, max(sortChunk, len(key)+len(row)))
		}
		at := len(s.chunk)
		s.chunk = append(append(s.chunk, key...), row...)
		s.rows = append(s.rows, sortRow{data: s.chunk[at:], key: len(key)})
	}
}
