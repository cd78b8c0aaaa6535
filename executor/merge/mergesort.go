package merge

import (
	"bytes"
	"errors"
	"io"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// mergeSort merges sorted streams by a tree of losers: one comparison a level
// for each row. Rows with equal keys come in the order of their streams.
type mergeSort struct {
	by      []plan.SortKey
	opt     *Options
	keys    *keys
	streams []stream
	// tree[0] is the winner, tree[i] the loser of the match at inner node i;
	// stream i stands at leaf len(streams)+i.
	tree    []int
	started bool
}

// stream is one input with its current row.
type stream struct {
	in    Rows
	shape *shape
	row   []byte // nil behind the last
	key   []byte
}

func newMergeSort(parts []Rows, by []plan.SortKey, opt *Options) Rows {
	m := &mergeSort{by: by, opt: opt, streams: make([]stream, len(parts)), tree: make([]int, max(1, len(parts)))}
	for i, p := range parts {
		m.streams[i].in = p
	}
	return m
}

func (m *mergeSort) Open() ([]wire.Column, error) {
	if len(m.streams) == 0 {
		return nil, sqlerr.New(sqlerr.UnknownError, "merge: no shard was asked")
	}
	var first []wire.Column
	for i := range m.streams {
		s := &m.streams[i]
		cols, err := s.in.Open()
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = cols
		} else if err := shardsAgree(first, cols); err != nil {
			return nil, err
		} else {
			s.in = fit(first, cols, s.in, m.opt.Binary)
		}
		s.shape = newShape(first, m.opt.Binary)
	}
	var err error
	m.keys, err = newKeys(first, m.by, m.opt.PadWeight)
	return first, err
}

func (m *mergeSort) Next() ([]byte, error) {
	if !m.started {
		m.started = true
		for i := range m.streams {
			if err := m.pull(i); err != nil {
				return nil, err
			}
		}
		m.tree[0] = m.play(1)
	} else if w := m.tree[0]; m.streams[w].row != nil {
		// The winner's row was in use until now; only now may it go.
		if err := m.pull(w); err != nil {
			return nil, err
		}
		m.replay(w)
	}
	if row := m.streams[m.tree[0]].row; row != nil {
		return row, nil
	}
	return nil, io.EOF
}

func (m *mergeSort) pull(i int) error {
	s := &m.streams[i]
	row, err := s.in.Next()
	if errors.Is(err, io.EOF) {
		s.row = nil
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.shape.cut(row, m.keys.upto); err != nil {
		return err
	}
	s.row = row
	s.key, err = m.keys.append(s.key[:0], s.shape)
	return err
}

// play finds the winner below a node and leaves the losers in the tree.
func (m *mergeSort) play(node int) int {
	if n := len(m.streams); node >= n {
		return node - n
	}
	a, b := m.play(2*node), m.play(2*node+1)
	if m.less(b, a) {
		a, b = b, a
	}
	m.tree[node] = b
	return a
}

func (m *mergeSort) replay(w int) {
	for node := (w + len(m.streams)) / 2; node > 0; node /= 2 {
		if m.less(m.tree[node], w) {
			m.tree[node], w = w, m.tree[node]
		}
	}
	m.tree[0] = w
}

func (m *mergeSort) less(a, b int) bool {
	x, y := &m.streams[a], &m.streams[b]
	if x.row == nil || y.row == nil {
		return x.row != nil || (y.row == nil && a < b)
	}
	if c := bytes.Compare(x.key, y.key); c != 0 {
		return c < 0
	}
	return a < b
}
