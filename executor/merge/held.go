package merge

import (
	"bytes"
	"slices"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// Held sorts rows that are in memory already. The zero value is ready; what one
// sort has allocated the next one uses again.
type Held struct {
	rows  []heldRow
	chunk []byte // of keys
}

// heldRow is one row with its key.
type heldRow struct {
	key, row []byte
	at       int // where it stood
}

// heldKey is what a row's key takes, at a guess.
const heldKey = 16

// Sort brings rows into the order of a MergeSort's keys. Rows with equal keys
// stay in the order they came in. Of the options Binary and PadWeight count.
func (h *Held) Sort(cols []wire.Column, by []plan.SortKey, rows [][]byte, opt *Options) error {
	keys, err := newKeys(cols, by, opt.PadWeight)
	if err != nil {
		return err
	}
	shape := newShape(cols, opt.Binary)
	if need := len(rows) * heldKey; cap(h.chunk) < need {
		h.chunk = make([]byte, 0, need)
	}
	h.rows, h.chunk = h.rows[:0], h.chunk[:0]
	for i, row := range rows {
		if err := shape.cut(row, keys.upto); err != nil {
			return err
		}
		at := len(h.chunk)
		if h.chunk, err = keys.append(h.chunk, shape); err != nil {
			return err
		}
		h.rows = append(h.rows, heldRow{key: h.chunk[at:], row: row, at: i})
	}
	slices.SortFunc(h.rows, func(a, b heldRow) int {
		if c := bytes.Compare(a.key, b.key); c != 0 {
			return c
		}
		return a.at - b.at
	})
	for i := range h.rows {
		rows[i] = h.rows[i].row
	}
	return nil
}

// At is where the i-th row of the last sort stood before.
func (h *Held) At(i int) int { return h.rows[i].at }

// Forget lets go of the rows of the last sort.
func (h *Held) Forget() { clear(h.rows) }
