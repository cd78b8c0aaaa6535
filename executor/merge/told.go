package merge

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// told shows the first shard's rows with what the others add.
type told struct {
	node   *plan.Told
	parts  []Rows
	opt    *Options
	first  *shape
	rows   [][]byte // the first shard's
	totals []int64  // of Sum, by row
	next   uint64   // the highest AUTO_INCREMENT, 0 for none
	at     int
	out    rowBuilder
}

func newTold(parts []Rows, n *plan.Told, opt *Options) Rows {
	return &told{node: n, parts: parts, opt: opt, out: rowBuilder{binary: opt.Binary}}
}

// Open implements Rows; all answers are read.
func (t *told) Open() ([]wire.Column, error) {
	var shown []wire.Column
	for i, p := range t.parts {
		cols, err := p.Open()
		if err == nil && i > 0 && len(cols) != len(shown) {
			err = shardsAgree(shown, cols)
		}
		if err != nil {
			return nil, err
		}
		if i == 0 {
			shown, t.first = cols, newShape(cols, t.opt.Binary)
		}
		if err := t.read(p, newShape(cols, t.opt.Binary), i == 0); err != nil {
			return nil, err
		}
	}
	return shown, nil
}

func (t *told) read(p Rows, s *shape, first bool) error {
	for {
		row, err := p.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.cut(row, len(s.cols)); err != nil {
			return err
		}
		at := len(t.rows)
		if !first {
			at, err = t.same(s)
		} else if err = t.opt.Budget.Take(len(row), "the answer of SHOW"); err == nil {
			t.rows, t.totals = append(t.rows, bytes.Clone(row)), append(t.totals, 0)
		}
		if err != nil {
			return err
		}
		if err := t.add(s, at); err != nil {
			return err
		}
	}
}

// same is the first shard's row that this one is about, -1 for none.
func (t *told) same(s *shape) (int, error) {
	if t.node.Sum < 0 {
		return -1, nil
	}
	for i, row := range t.rows {
		if err := t.first.cut(row, len(t.first.cols)); err != nil {
			return -1, err
		}
		equal := true
		for _, c := range t.node.Same {
			equal = equal && bytes.Equal(t.first.raw(c), s.raw(c))
		}
		if equal {
			return i, nil
		}
	}
	return -1, nil
}

// add takes what the row tells of its shard.
func (t *told) add(s *shape, at int) error {
	if c := t.node.Sum; c >= 0 && at >= 0 && !s.f[c].null {
		n, err := intValue(s.cols[c].Type, t.opt.Binary, s.value(c))
		if err != nil {
			return err
		}
		t.totals[at] += n
	}
	if c := t.node.Definition; c >= 0 {
		if _, _, n := autoIncrement(string(s.value(c))); n > t.next {
			t.next = n
		}
	}
	return nil
}

// Next implements Rows.
func (t *told) Next() ([]byte, error) {
	if t.at == len(t.rows) {
		return nil, io.EOF
	}
	if err := t.first.cut(t.rows[t.at], len(t.first.cols)); err != nil {
		return nil, err
	}
	t.out.begin(len(t.first.cols))
	for i := range t.first.cols {
		switch {
		case t.first.f[i].null:
			t.out.null()
		case i == t.node.Name:
			t.out.text([]byte(t.node.Logical))
		case i == t.node.Definition:
			t.out.text([]byte(t.define(string(t.first.value(i)))))
		case i == t.node.Sum && !t.opt.Binary:
			t.out.text(strconv.AppendInt(nil, t.totals[t.at], 10))
		case i == t.node.Sum && t.first.cols[i].Type == wire.TypeLongLong:
			t.out.uint64(uint64(t.totals[t.at]))
		default:
			t.out.raw(t.first.raw(i))
		}
	}
	t.at++
	return t.out.buf, nil
}

// define is a shard's CREATE TABLE as the table's.
func (t *told) define(sql string) string {
	quote := func(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") }
	if t.node.Physical != t.node.Logical {
		for _, before := range []string{"CREATE TABLE ", "\n  CONSTRAINT "} {
			for _, after := range []string{"`", "_"} {
				sql = strings.ReplaceAll(sql, before+quote(t.node.Physical)+after, before+quote(t.node.Logical)+after)
			}
		}
	}
	sql = t.node.Define(sql)
	start, end, _ := autoIncrement(sql)
	if t.next > 1 && start > 0 {
		sql = sql[:start] + " AUTO_INCREMENT=" + strconv.FormatUint(t.next, 10) + sql[end:]
	}
	return sql
}

// autoIncrement is where AUTO_INCREMENT=n stands among a definition's options, or
// would stand, behind the engine; 0 where there is no such place.
func autoIncrement(sql string) (start, end int, n uint64) {
	const engine, auto = "\n) ENGINE=", " AUTO_INCREMENT="
	start = strings.LastIndex(sql, engine)
	if start < 0 {
		return 0, 0, 0
	}
	start += len(engine)
	if i := strings.IndexAny(sql[start:], " \n"); i >= 0 {
		start += i
	} else {
		start = len(sql)
	}
	end = start
	if strings.HasPrefix(sql[start:], auto) {
		for end += len(auto); end < len(sql) && sql[end] >= '0' && sql[end] <= '9'; end++ {
			n = n*10 + uint64(sql[end]-'0')
		}
	}
	return start, end, n
}
