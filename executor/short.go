package executor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// Of a sorted LIMIT over n shards each shard has about an n-th. So where they
// are asked in one statement each is asked for a little more than that: for 10
// rows of 4 shards 28 are read instead of 40. Each row comes with the number of
// its arm. Where an arm has given all it was asked for, and all of it belongs to
// what is shown, it may have more: then the statement is run again with the
// whole LIMIT.

// short is a run in which each arm is asked for less than the LIMIT; the zero
// value one in which it is not.
type short struct {
	// each is what an arm is asked for, sum the first rows that count.
	each, sum int
}

// shortOf is what each of n arms is asked for so that the first sum rows are
// rarely more than it gives: the mean of a fair share and 2.5 times its
// deviation; 0 where that saves little.
func shortOf(sum uint64, n int) short {
	const most = 1 << 20 // more rows are never united
	if sum > most {
		return short{}
	}
	mean := float64(sum) / float64(n)
	each := int(math.Ceil(mean + 2.5*math.Sqrt(mean)))
	if each*4 > int(sum)*3 {
		return short{}
	}
	return short{each: each, sum: int(sum)}
}

// shorten decides whether the arms of one statement are asked for less.
func (f *fan) shorten(tasks []*plan.Task, h *habit) short {
	limit, ok := f.root.(*plan.Limit)
	if !ok || sortOf(f.root) == nil || !h.mayShorten() {
		return short{}
	}
	r := f.req.Bound.Limits[limit]
	if r.Count+r.Offset < r.Count {
		return short{}
	}
	s := shortOf(r.Count+r.Offset, len(tasks))
	if s.each == 0 {
		return short{}
	}
	for _, t := range tasks {
		if _, ok := beforeLimit(t.SQL, s.sum); t.Arm == 0 || !ok {
			return short{}
		}
	}
	return s
}

// sortOf is the MergeSort right above the only leaf below n, nil where there is
// none.
func sortOf(n plan.Node) *plan.MergeSort {
	for {
		c := n.Children()
		if len(c) != 1 {
			return nil
		}
		if _, leaf := c[0].(*plan.Route); leaf {
			s, _ := n.(*plan.MergeSort)
			return s
		}
		n = c[0]
	}
}

// beforeLimit is the statement up to the number of a LIMIT at its end, false
// where it does not end in just that.
func beforeLimit(sql []byte, number int) ([]byte, bool) {
	var digits [20]byte
	sql, ok := bytes.CutSuffix(bytes.TrimRight(sql, " \t\r\n"), strconv.AppendInt(digits[:0], int64(number), 10))
	word := bytes.TrimRight(sql, " \t\r\n")
	return sql, ok && len(word) < len(sql) && len(word) > 5 && bytes.EqualFold(word[len(word)-5:], []byte("limit"))
}

// appendArm appends a task's SQL as arm number i.
func (s short) appendArm(dst []byte, t *plan.Task, i int) []byte {
	if s.each == 0 {
		return append(dst, t.SQL...)
	}
	sql, _ := beforeLimit(t.SQL, s.sum)
	dst = strconv.AppendInt(append(append(dst, sql[:t.Arm]...), ", "...), int64(i), 10)
	return strconv.AppendInt(append(dst, sql[t.Arm:]...), int64(s.each), 10)
}

// errShort: an arm may have rows that were not asked for.
var errShort = errors.New("executor: a shard may have more rows of the LIMIT than it was asked for")

// cutArms takes the arms' numbers off the end of each row, and gives them in
// the rows' order. width is how many columns there are with the number.
func cutArms(dst []uint8, rows [][]byte, number *wire.Column, width int, isBinary bool) ([]uint8, error) {
	dst = dst[:0]
	for i, row := range rows {
		var arm uint64
		var ok bool
		if isBinary {
			rows[i], arm, ok = cutBinary(row, number, width)
		} else {
			rows[i], arm, ok = cutText(row)
		}
		if !ok || arm >= unitedArms {
			return dst, wire.ErrMalformed
		}
		dst = append(dst, uint8(arm))
	}
	return dst, nil
}

// cutText cuts a number of one or two digits, with its length before it, off a
// row of text.
func cutText(row []byte) (rest []byte, arm uint64, ok bool) {
	for digits := 1; digits <= 2 && digits < len(row); digits++ {
		if at := len(row) - digits; int(row[at-1]) == digits {
			arm, err := strconv.ParseUint(string(row[at:]), 10, 8)
			return row[:at-1], arm, err == nil
		}
	}
	return row, 0, false
}

// cutBinary cuts an integer off a binary row, and the byte of the NULL bitmap
// that is there for it alone.
func cutBinary(row []byte, number *wire.Column, width int) (rest []byte, arm uint64, ok bool) {
	const header, bitsInFront = 1, 2
	bitmap, without := (width+bitsInFront+7)/8, (width-1+bitsInFront+7)/8
	size := map[byte]int{wire.TypeLong: 4, wire.TypeLongLong: 8}[number.Type]
	end := len(row) - size
	if size == 0 || end < header+bitmap {
		return row, 0, false
	}
	if size == 4 {
		arm = uint64(binary.LittleEndian.Uint32(row[end:]))
	} else {
		arm = binary.LittleEndian.Uint64(row[end:])
	}
	if rest = row[:end]; without < bitmap {
		rest = slices.Delete(rest, header+without, header+bitmap)
	}
	return rest, arm, true
}

// enough reports that no arm can have a row more that belongs to the first sum:
// of each that gave all it was asked for, one stands behind them, or is the
// last. arm gives the arm of each of n sorted rows.
func (s short) enough(n int, arm func(int) uint8) bool {
	var used [unitedArms]int
	for i := range min(n, s.sum-1) {
		if used[arm(i)]++; used[arm(i)] >= s.each {
			return false
		}
	}
	return true
}

const (
	// shortRest is how many runs the whole LIMIT is asked for after a run that
	// had asked for too little; twice as many for each one in a row.
	shortRest, shortRestMost = 8, 1 << 12
)

// mayShorten decides it for the next run.
func (h *habit) mayShorten() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shortRest > 0 {
		h.shortRest--
		return false
	}
	return true
}

// noteShort follows a run that asked for less.
func (h *habit) noteShort(enough bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if enough {
		h.shortFailed = 0
		return
	}
	h.shortFailed = min(max(shortRest, 2*h.shortFailed), shortRestMost)
	h.shortRest = h.shortFailed
}
