package session

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
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

// Ranks of warnings of one line, behind those of its fields in their order.
const (
	rankShort = 1 << 20
	rankOther = rankShort + 1
	rankLong  = rankShort + 2
)

// own notes that a column gets a value of Serval's in this line.
func (w *loadWarnings) own(column string) {
	if w.zeros == nil {
		w.zeros = map[loadCell]bool{}
	}
	w.zeros[loadCell{w.row, strings.ToLower(column)}] = true
}

// note warns of the current line. In a strict mode it is an error.
func (l *loader) note(rank int, code uint16, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if l.strict {
		e := sqlerr.New(code, "%s", text)
		if e.State = "01000"; code == errNullToNotNull {
			e.State = "22004"
		}
		return e
	}
	if l.warn.rows++; l.warn.rows <= maxDiagnostics {
		l.warn.notes = append(l.warn.notes, loadWarning{diagnostic{"Warning", code, text}, l.warn.row, rank})
	} else {
		l.warn.more++
	}
	return nil
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

// rowsMoved is the error of a batch with the line of the file it is about.
func rowsMoved(err error, first int) error {
	var e *sqlerr.Error
	if !errors.As(err, &e) {
		return err
	}
	m := atRow.FindStringSubmatchIndex(e.Message)
	if m == nil {
		return err
	}
	moved := *e
	n, _ := strconv.Atoi(e.Message[m[2]:m[3]]) // digits
	moved.Message = e.Message[:m[2]] + strconv.Itoa(first+n)
	return &moved
}
