package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/router/plan"
)

// loadWarnings puts the warnings of a load together: the server's about the
// INSERTs, counted by the lines of the file, and those of LOAD DATA's own.
type loadWarnings struct {
	row     int            // of the file, counted from 1
	columns map[string]int // the place of each column's field
	notes   []loadWarning  // of the batch
	// zeros are the values that Serval wrote, by line and column.
	zeros   map[loadCell]bool
	noValue []string // what was said of columns without a default
	mariadb bool
	rows    int // notes in all
	more    int // notes of the batch that are counted only
}

type loadCell struct {
	row    int
	column string
}

type loadWarning struct {
	diagnostic
	row, rank int
}

// Ranks of warnings of one line, behind those of its fields in their order. On
// MySQL those of NULLs, in their order, come behind rankNull.
const (
	rankShort = 1 << 20
	rankNull  = rankShort + 1
	rankOther = 1 << 21
	rankLong  = rankOther + 1
)

// own notes that a column gets a value of Serval's in this line.
func (w *loadWarnings) own(column string) {
	if w.zeros == nil {
		w.zeros = map[loadCell]bool{}
	}
	w.zeros[loadCell{w.row, strings.ToLower(column)}] = true
}

// note warns of the current line. In a strict mode it is an error.
func (l *loader) note(rank int, code uint16, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if l.strict {
		e := sqlerr.New(code, "%s", text)
		if e.State = "01000"; code == errNullToNotNull {
			e.State = "22004"
		}
		if l.refused == nil || rank < l.refusedRank {
			l.refused, l.refusedRank = e, rank
		}
		return
	}
	if l.warn.rows++; l.warn.rows <= maxDiagnostics {
		l.warn.notes = append(l.warn.notes, loadWarning{diagnostic{level: "Warning", code: code, message: text}, l.warn.row, rank})
	} else {
		l.warn.more++
	}
}

// atRow is the end of a message about one row of a statement.
var atRow = regexp.MustCompile(`(?i)\bat row (\d+)$`)

// ofColumn is which column a message about one row is about.
var ofColumn = regexp.MustCompile("(?i)column ['`](?:[^'`]*`\\.`)*([^'`]+)['`] at row ")

// merge makes d, what the servers said about a batch, all that is to be said
// about its lines, which follow the first ones.
func (w *loadWarnings) merge(d *diagnostics, first int) {
	all, row := w.notes, first
	for _, r := range d.rows {
		line := loadWarning{diagnostic: r, row: row, rank: rankOther}
		if m := atRow.FindStringSubmatchIndex(r.message); m != nil {
			n, _ := strconv.Atoi(r.message[m[2]:m[3]]) // digits
			row = first + n
			line.row, line.message = row, r.message[:m[2]]+strconv.Itoa(row)
			if c := ofColumn.FindStringSubmatch(r.message); c != nil {
				name := strings.ToLower(c[1])
				if w.zeros[loadCell{row, name}] {
					d.count--
					continue
				}
				if i, ok := w.columns[name]; ok {
					line.rank = i
				}
			}
		}
		const noDefault = 1364
		if r.code == noDefault { // said once by MariaDB's LOAD DATA, never by MySQL's
			if !w.mariadb || slices.Contains(w.noValue, r.message) {
				d.count--
				continue
			}
			w.noValue = append(w.noValue, r.message)
		}
		all = append(all, line)
	}
	slices.SortStableFunc(all, func(a, b loadWarning) int {
		if a.row != b.row {
			return a.row - b.row
		}
		return a.rank - b.rank
	})
	d.count += len(w.notes) + w.more
	d.rows = d.rows[:0]
	for _, line := range all {
		d.rows = append(d.rows, line.diagnostic)
	}
	w.notes, w.more = nil, 0
	clear(w.zeros)
}

// blame is the error of a batch with the line of the file it is about; first are
// the lines before the batch.
func (l *loader) blame(ctx context.Context, err error, bound *plan.Bound, first int) error {
	var e *sqlerr.Error
	if !errors.As(err, &e) || ctx.Err() != nil {
		return err
	}
	blamed := *e
	m := atRow.FindStringSubmatchIndex(e.Message)
	switch {
	case bound == nil: // a row that cannot be placed
		row := l.unplaced(ctx)
		if row < 0 {
			return err
		}
		if m != nil {
			blamed.Message = e.Message[:m[2]] + strconv.Itoa(first+row+1)
		} else {
			blamed.Message += fmt.Sprintf(" (row %d of the file)", first+row+1)
		}
	case m == nil:
		return err
	case bound.Staged != nil: // row by row, or many at once
		blamed.Message = e.Message[:m[0]] + fmt.Sprintf("in rows %d to %d", first+1, first+l.rows)
	default:
		n, _ := strconv.Atoi(e.Message[m[2]:m[3]]) // digits
		blamed.Message = e.Message[:m[2]] + strconv.Itoa(first+n)
	}
	return &blamed
}

// unplaced is the batch's first row that cannot be bound, -1 if each by itself
// can.
func (l *loader) unplaced(ctx context.Context) int {
	for i, from := range l.starts[:l.rows] {
		to := len(l.batch)
		if i+1 < l.rows {
			to = l.starts[i+1] - len(", ")
		}
		if _, _, err := l.s.bindInner(ctx, append(bytes.Clone(l.head), l.batch[from:to]...)); err != nil {
			return i
		}
	}
	return -1
}
