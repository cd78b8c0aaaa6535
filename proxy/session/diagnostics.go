package session

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// maxDiagnostics bounds the rows kept of SHOW WARNINGS. MySQL keeps 1024
// (max_error_count), MariaDB 64.
const (
	maxDiagnostics        = 1024
	maxDiagnosticsMariaDB = 64
)

// diagnostic is one row of SHOW WARNINGS.
type diagnostic struct {
	level   string // Note, Warning, Error
	code    uint16
	message string
	reading int // which one it was read in, of a statement over several servers
}

// says: both tell the same.
func (r diagnostic) says(o diagnostic) bool {
	return r.level == o.level && r.code == o.code && r.message == o.message
}

// diagnostics is what the last statement left to be asked for.
type diagnostics struct {
	rows []diagnostic
	// count is how many there were, which may be more than were kept; repeated
	// were given by a further server about the statement's text.
	count, repeated int
	// bound is the running statement, whose physical names are undone in what
	// is read; nil for Serval's own.
	bound *plan.Bound
	// shard is whose warnings are read, of a statement over several; readings is
	// how many there were.
	shard, readings int
	// ofFailed is what a server told of a read that failed.
	ofFailed []diagnostic
}

func (d *diagnostics) reset() {
	d.rows, d.count, d.repeated, d.bound, d.readings, d.ofFailed = d.rows[:0], 0, 0, nil, 0, nil
}

// aboutText are warnings of a statement's text, which every server gives: of
// what is deprecated (ER_WARN_DEPRECATED_SYNTAX and its like) or not supported, and
// columns without a value.
var aboutText = []uint16{1235, 1287, 1364, 1681, 3719, 3720, 3778}

// read adds the warnings of the statement the connection has just run. One
// that cannot answer has none to tell.
func (d *diagnostics) read(c *backend.Conn) {
	count := int(c.End().Warnings)
	_, rows, err := c.Select(context.Background(), "SHOW WARNINGS LIMIT "+strconv.Itoa(maxDiagnostics))
	d.count += count
	d.readings++
	before := d.rows
	if err != nil {
		return
	}
	for _, r := range rows {
		if len(r) < 3 || len(d.rows) >= maxDiagnostics {
			return
		}
		code, _ := strconv.ParseUint(string(r[1]), 10, 16) // a server's own number
		row := diagnostic{string(r[0]), uint16(code), d.bound.StatementRow(d.shard, logicalNames(d.bound, uint16(code), string(r[2]))), d.readings}
		if slices.Contains(aboutText, row.code) && slices.ContainsFunc(before, row.says) {
			d.count, d.repeated = d.count-1, d.repeated+1
			continue
		}
		d.rows = append(d.rows, row)
	}
}

// complete: the servers told n warnings together, of which those of statements
// before the last on their connection were not read. Where all that were are
// about the text, so are the others.
func (d *diagnostics) complete(n int) {
	if d.count+d.repeated >= n {
		return
	}
	for _, r := range d.rows {
		if !slices.Contains(aboutText, r.code) {
			d.count = n
			return
		}
	}
	if len(d.rows) == 0 {
		d.count = n
	}
}

// expectsWarnings: those of all tasks are to be told, not only of the last on
// each connection, at the cost of sending no task ahead.
func (s *Session) expectsWarnings(e *planned, bound *plan.Bound) bool {
	if s.staging {
		return true
	}
	return !e.plan.ReadOnly && runsInTransaction(e.kind) && tasks(bound) > 1 && (e.ignores || plan.Copies(e.plan.Root) || !s.strict())
}

// warned reads the warnings of one task.
func (s *Session) warned(c *backend.Conn, task *plan.Task) {
	s.lease.warned = true
	s.diag.shard = task.Shard
	s.diag.read(c)
	s.diag.shard = 0
}

// before puts the diagnostics of what ran earlier in front.
func (d *diagnostics) before(earlier diagnostics) {
	d.rows = append(earlier.rows, d.rows...)
	d.rows = d.rows[:min(len(d.rows), maxDiagnostics)]
	d.count, d.repeated = d.count+earlier.count, d.repeated+earlier.repeated
}

// strict: values may not be bent. The servers' own default is.
func (s *Session) strict() bool {
	mode, set := s.settings.value("sql_mode")
	mode = strings.ToUpper(mode)
	return !set || strings.Contains(mode, "STRICT") || strings.Contains(mode, "TRADITIONAL")
}

// strictly are the warnings that a strict mode makes errors of: values that do
// not fit, division by zero, arguments no function takes (MySQL's
// Strict_error_handler).
var strictly = []uint16{1048, 1260, 1261, 1262, 1264, 1265, 1292, 1364, 1365, 1366, 1406, 1411, 1441, 3020}

// bent is the first warning that a strict mode makes an error of, nil if there
// is none.
func (d *diagnostics) bent() error {
	for _, r := range d.rows {
		if r.level == "Warning" && slices.Contains(strictly, r.code) {
			return sqlerr.New(r.code, "%s", r.message)
		}
	}
	return nil
}

// errors counts the rows of level Error.
func (d *diagnostics) errors() int {
	n := 0
	for _, r := range d.rows {
		if r.level == "Error" {
			n++
		}
	}
	return n
}

// The columns of SHOW WARNINGS, SHOW COUNT(*), FOUND_ROWS(), ROW_COUNT() and
// LAST_INSERT_ID(), as MySQL 9.7 and MariaDB 10.11 define them.
var (
	levelColumn   = wire.Column{Charset: ownCollation, Length: 28, Type: wire.TypeVarString, Flags: wire.FlagNotNull, Decimals: 31}
	codeColumn    = wire.Column{Charset: wire.CollationBinary, Length: 5, Type: wire.TypeLong, Flags: wire.FlagNotNull | wire.FlagUnsigned | wire.FlagBinary}
	messageColumn = wire.Column{Charset: ownCollation, Length: 2048, Type: wire.TypeVarString, Flags: wire.FlagNotNull, Decimals: 31}
	rowsColumn    = wire.Column{Charset: wire.CollationBinary, Length: 21, Type: wire.TypeLongLong, Flags: wire.FlagNotNull | wire.FlagBinary}
	lastIDColumn  = wire.Column{Charset: wire.CollationBinary, Length: 21, Type: wire.TypeLongLong, Flags: wire.FlagNotNull | wire.FlagUnsigned | wire.FlagBinary}
	countColumn   = wire.Column{Charset: wire.CollationBinary, Length: 21, Type: wire.TypeLongLong, Flags: wire.FlagUnsigned | wire.FlagBinary}
)

// showDiagnostics answers SHOW WARNINGS and SHOW ERRORS [LIMIT [offset,] n],
// and SHOW COUNT(*) WARNINGS. These statements leave the diagnostics alone.
func (s *Session) showDiagnostics(tokens []token) (handled bool, err error) {
	rest := tokens[1:]
	if len(rest) == 5 && rest[0].is("COUNT") && rest[1].op("(") && rest[2].op("*") && rest[3].op(")") {
		switch {
		case rest[4].is("WARNINGS"):
			s.table([]column{{"@@session.warning_count", true, &countColumn}}, [][][]byte{{digits(int64(s.diag.count))}})
		case rest[4].is("ERRORS"):
			s.table([]column{{"@@session.error_count", true, &countColumn}}, [][][]byte{{digits(int64(s.diag.errors()))}})
		default:
			return false, nil
		}
		return true, nil
	}
	if len(rest) == 0 || !rest[0].is("WARNINGS") && !rest[0].is("ERRORS") {
		return false, nil
	}
	offset, count, ok := showLimit(rest[1:])
	if !ok {
		return false, nil
	}
	var rows [][][]byte
	for _, d := range s.diag.rows[:min(len(s.diag.rows), s.keepsDiagnostics())] {
		if rest[0].is("ERRORS") && d.level != "Error" {
			continue
		}
		rows = append(rows, [][]byte{[]byte(d.level), digits(int64(d.code)), []byte(d.message)})
	}
	rows = rows[min(offset, len(rows)):]
	rows = rows[:min(count, len(rows))]
	found := s.foundRows // which these statements leave alone, too
	s.table([]column{{"Level", false, &levelColumn}, {"Code", true, &codeColumn}, {"Message", false, &messageColumn}}, rows)
	s.foundRows = found
	return true, nil
}

// keepsDiagnostics is how many one server would have kept, which a statement over
// several may have more of.
func (s *Session) keepsDiagnostics() int {
	if set, ok := s.settings.value("max_error_count"); ok {
		if n, err := strconv.Atoi(set); err == nil {
			return n
		}
	}
	if s.onMariaDB() {
		return maxDiagnosticsMariaDB
	}
	return maxDiagnostics
}

// showLimit reads nothing, LIMIT n, or LIMIT offset, n.
func showLimit(tokens []token) (offset, count int, ok bool) {
	number := func(t token) int {
		n, err := strconv.ParseUint(t.Text, 10, 31)
		if err != nil {
			ok = false
		}
		return int(n)
	}
	ok = true
	switch {
	case len(tokens) == 0:
		return 0, maxDiagnostics, true
	case !tokens[0].is("LIMIT"):
		return 0, 0, false
	case len(tokens) == 2:
		count = number(tokens[1])
	case len(tokens) == 4 && tokens[2].op(","):
		offset, count = number(tokens[1]), number(tokens[3])
	default:
		return 0, 0, false
	}
	return offset, count, ok
}
