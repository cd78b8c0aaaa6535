// Package finish runs what no shard and no merge can do on one real server:
// the fragments' rows are put into temporary tables there, and the query is
// run over them. So its meaning is the server's own.
//
// Order: all fragments are read into memory, within a budget, before the
// server is asked for a connection. Who held the shards' connections while
// waiting for one more could wait for others who do the same.
package finish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// DefaultMaxRows is how many rows one statement may move.
const DefaultMaxRows = 1_000_000

// batchBytes is about how long one INSERT gets; max_allowed_packet is 16 MiB
// or more by default.
const batchBytes = 1 << 20

// Rows is a fragment's rows as its shards sent them.
type Rows interface {
	// Open gives the columns, which stay valid.
	Open() ([]wire.Column, error)
	// Next gives a row's payload, valid until the next call, and io.EOF behind
	// the last.
	Next() ([]byte, error)
}

// Load collects the statements that make and fill the temporary tables of one
// execution. Not for concurrent use.
type Load struct {
	Plan  *plan.Finish
	Bound *plan.BoundFinish
	// Binary: rows are those of a prepared statement.
	Binary bool
	// MaxRows and MaxBytes bound what is moved.
	MaxRows, MaxBytes int64

	rows, bytes int64
	spoilt      bool
	statements  []statement
	// filled is what each fragment's table gets, in their order.
	filled []filling
	spans  []wire.Span
}

// statement is one to be run before the query; rows is how many it inserts, -1
// for a definition.
type statement struct {
	sql   []byte
	table int
	rows  int64
	// zeros are the ENUM values that are none of the list's; storing one
	// again is a warning.
	zeros int
	// optional: the query is right without it.
	optional bool
	// copied: the rows come from another table, which may not warn of zeros.
	copied bool
}

type filling struct {
	rows  int64
	zeros int
}

// Rows is how many rows were moved.
func (l *Load) Rows() int64 { return l.rows }

// Fragment reads the rows of fragment i to their end; sql is how a shard was
// asked for them, for errors.
func (l *Load) Fragment(i int, rows Rows, sql []byte) error {
	f := l.Plan.Fragments[i]
	columns, err := rows.Open()
	if err != nil {
		return err
	}
	if len(columns) != len(f.Columns) {
		return sqlerr.New(sqlerr.UnknownError, "table %s answered with %d columns where the plan has %d", f.Table.Table, len(columns), len(f.Columns))
	}
	l.statements = append(l.statements, statement{sql: definition(l.Bound.Database, i, f), table: i, rows: -1})
	head := "INSERT INTO " + quoted(l.Bound.Database, i) + " VALUES "
	var s statement
	had, zeros := l.rows, 0
	for {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if s.sql == nil {
			s = statement{sql: append(make([]byte, 0, len(head)+4*len(row)), head...), table: i}
		} else {
			s.sql = append(s.sql, ',')
		}
		before, hadZeros := len(s.sql), s.zeros
		if err := l.tuple(&s, row, columns, f); err != nil {
			return err
		}
		s.rows++
		l.rows++
		zeros += s.zeros - hadZeros
		l.bytes += int64(len(s.sql) - before)
		if l.rows > l.MaxRows || l.bytes > l.MaxBytes {
			return l.tooMuch(f, sql)
		}
		if len(s.sql) >= batchBytes {
			l.statements = append(l.statements, s)
			s = statement{}
		}
	}
	if s.sql != nil {
		l.statements = append(l.statements, s)
	}
	l.filled = append(l.filled, filling{rows: l.rows - had, zeros: zeros})
	return nil
}

// shownSQL is the longest statement an error shows, in bytes.
const shownSQL = 300

func (l *Load) tooMuch(f *plan.Fragment, sql []byte) error {
	if len(sql) > shownSQL {
		sql = append(sql[:shownSQL:shownSQL], "…"...)
	}
	return sqlerr.New(sqlerr.OutOfMemory, "Serval moves at most %d rows and %d MiB to finish a statement on one server, and table %s passed that with: %s; "+
		"narrow it with WHERE", l.MaxRows, l.MaxBytes>>20, f.Table.Table, sql)
}

func quoted(database string, i int) string {
	return quoteName(database) + "." + quoteName(plan.ScratchName(i))
}

func quoteName(name string) string {
	return "`" + string(bytes.ReplaceAll([]byte(name), []byte("`"), []byte("``"))) + "`"
}

// definition is the CREATE of a fragment's table.
func definition(database string, i int, f *plan.Fragment) []byte {
	b := []byte("CREATE TEMPORARY TABLE " + quoted(database, i) + " (")
	for j, c := range f.Columns {
		if j > 0 {
			b = append(b, ", "...)
		}
		b = append(append(append(b, quoteName(c.Name)...), ' '), c.Definition...)
	}
	if len(f.PrimaryKey) > 0 {
		b = append(b, ", PRIMARY KEY ("...)
		for j, k := range f.PrimaryKey {
			if j > 0 {
				b = append(b, ", "...)
			}
			b = append(b, quoteName(k)...)
		}
		b = append(b, ')')
	}
	return append(b, ") ENGINE=InnoDB"...)
}

// tuple appends a row as a VALUES tuple.
func (l *Load) tuple(to *statement, row []byte, columns []wire.Column, f *plan.Fragment) error {
	var err error
	if l.Binary {
		l.spans, err = wire.BinarySpans(l.spans[:0], row, columns)
	} else {
		l.spans, err = wire.TextSpans(l.spans[:0], row, len(columns))
	}
	if err != nil {
		return fmt.Errorf("a row of %s: %w", f.Table.Table, err)
	}
	dst := append(to.sql, '(')
	for i, s := range l.spans {
		if i > 0 {
			dst = append(dst, ',')
		}
		v := s.Of(row)
		if v == nil {
			dst = append(dst, "NULL"...)
			continue
		}
		if f.Columns[i].Carry == plan.CarryEnum && string(v) == "0" {
			to.zeros++
		}
		if dst, err = appendValue(dst, v, f.Columns[i].Carry); err != nil {
			return fmt.Errorf("column %s of %s: %w", f.Columns[i].Name, f.Table.Table, err)
		}
	}
	to.sql = append(dst, ')')
	return nil
}

func appendValue(dst, v []byte, carry plan.Carry) ([]byte, error) {
	switch carry {
	case plan.CarryNumber, plan.CarryEnum:
		if !digits(v) {
			return dst, fmt.Errorf("%q is not a number", v)
		}
		return append(dst, v...), nil
	case plan.CarryTimestamp:
		return appendTimestamp(dst, v)
	case plan.CarryText:
	}
	return appendBytes(dst, v), nil
}

func digits(v []byte) bool {
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(v) > 0
}

// appendBytes appends bytes as a literal without a character set: they are
// stored as they are. Backslashes escape in the mode the load is run in.
func appendBytes(dst, v []byte) []byte {
	dst = append(dst, "_binary'"...)
	for _, c := range v {
		switch c {
		case '\'', '\\':
			dst = append(dst, '\\', c)
		case 0:
			dst = append(dst, '\\', '0')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case 0x1a:
			dst = append(dst, '\\', 'Z')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '\'')
}

// appendTimestamp appends UNIX seconds, with their fraction, as UTC text.
func appendTimestamp(dst, v []byte) ([]byte, error) {
	whole, fraction, _ := bytes.Cut(v, []byte{'.'})
	seconds, err := strconv.ParseInt(string(whole), 10, 64)
	if err != nil || len(fraction) > 0 && !digits(fraction) {
		return dst, fmt.Errorf("%q is no time", v)
	}
	dst = append(dst, '\'')
	if seconds == 0 && len(bytes.Trim(fraction, "0")) == 0 {
		return append(dst, "0000-00-00 00:00:00'"...), nil
	}
	dst = time.Unix(seconds, 0).UTC().AppendFormat(dst, "2006-01-02 15:04:05")
	if len(fraction) > 0 {
		dst = append(append(dst, '.'), fraction...)
	}
	return append(dst, '\''), nil
}

// loading is the session state the tables are made and filled in: whatever the
// shards hold is taken as it is, and strings are read as they were written.
var loading = &backend.State{Vars: []backend.Var{
	{Name: "character_set_client", SQL: "utf8mb4"},
	{Name: "sql_mode", SQL: "'ALLOW_INVALID_DATES'"},
	{Name: "time_zone", SQL: "'+00:00'"},
}}

// pipelined is how many statements are sent before their answers are read; the
// answers are short.
const pipelined = 32

// Fill makes and fills the tables. The connection is in another session state
// then, and Drop must be called whatever the error.
func (l *Load) Fill(ctx context.Context, c *backend.Conn) error {
	c.Want(loading)
	if err := l.quiet(ctx, c); err != nil {
		return err
	}
	for at := 0; at < len(l.statements); at += pipelined {
		batch := l.statements[at:min(at+pipelined, len(l.statements))]
		for i := range batch {
			c.Query(batch[i].sql)
		}
		if err := c.Flush(); err != nil {
			return err
		}
		var first error
		for i := range batch {
			h, err := c.Header()
			if err == nil {
				err = l.check(&batch[i], &h)
			} else if batch[i].rows < 0 {
				err = l.refused(&batch[i], err)
			}
			if first == nil {
				first = err
			}
		}
		if first != nil {
			return first
		}
	}
	return nil
}

// quiet keeps the copies out of the server's binary log: MariaDB logs temporary
// tables unless its format is ROW. (MySQL does not in the format it has by
// default, and does not let a statement change it.)
func (l *Load) quiet(ctx context.Context, c *backend.Conn) error {
	if c.Flavor() != topology.FlavorMariaDB {
		return nil
	}
	_, rows, err := c.Select(ctx, "SELECT @@log_bin AND @@binlog_format <> 'ROW'")
	if err != nil || len(rows) == 0 || string(rows[0][0]) == "0" {
		return err
	}
	l.spoilt = true
	if _, err = c.Exec(ctx, "SET SESSION sql_log_bin = 0"); err != nil {
		return err
	}
	c.Adopt(loading) // or the next state would set it back
	return nil
}

// refused is a server that will not have such a temporary table.
func (l *Load) refused(s *statement, err error) error {
	switch sqlerr.From(err).Code {
	case sqlerr.ServerLost, sqlerr.QueryInterrupted, sqlerr.QueryTimeout, sqlerr.ServerShutdown:
		return err
	}
	if s.optional {
		return nil
	}
	return sqlerr.Refuse("this query over several shards", "the server that was to finish it takes no copy of "+
		l.Plan.Fragments[s.table].Table.Table+" ("+sqlerr.From(err).Message+")", "").WithCause(errors.Join(ErrNotTaken, err))
}

// ErrNotTaken is within the error of a Fill whose server makes no such
// temporary tables; another one may.
var ErrNotTaken = errors.New("finish: the server takes no copies")

// check: every value arrived as it was. A warning says that one was changed.
func (l *Load) check(s *statement, h *backend.Header) error {
	table := l.Plan.Fragments[s.table].Table.Table
	switch {
	case h.Columns != nil:
		return sqlerr.New(sqlerr.UnknownError, "filling a temporary table was answered with rows")
	case s.rows < 0:
	case s.copied && h.OK.Warnings == 0 && h.OK.AffectedRows == uint64(s.rows):
	case int(h.OK.Warnings) != min(s.zeros, math.MaxUint16) || h.OK.AffectedRows != uint64(s.rows):
		return sqlerr.Refuse("this query over several shards", "rows of "+table+" could not be copied exactly to the server that was to finish it", "")
	}
	return nil
}

// Error gives the client's view of an error of the loading or the query: a
// table that would have to be opened twice is a refusal.
func (l *Load) Error(err error) error {
	var e *sqlerr.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case errDuplicate:
		return sqlerr.Refuse("this query over several shards", "rows of different shards have the same primary key: "+e.Message, "").WithCause(err)
	case errCantReopen:
		return sqlerr.Refuse("this query over several shards", "it names a CTE several times, and a server cannot read one temporary table twice",
			"write it out where it is used")
	}
	return err
}

// errSpoilt: the connection writes no binary log any more.
var errSpoilt = errors.New("finish: the connection must not be used again")

const (
	errCantReopen = 1137 // ER_CANT_REOPEN_TABLE
	errDuplicate  = 1062 // ER_DUP_ENTRY
)

// Drop takes the tables away; where it fails the connection must be given up.
func (l *Load) Drop(ctx context.Context, c *backend.Conn) error {
	if l.spoilt {
		return errSpoilt
	}
	sql := "DROP TEMPORARY TABLE IF EXISTS "
	for i := range l.Plan.Fragments {
		if i > 0 {
			sql += ", "
		}
		sql += quoted(l.Bound.Database, i)
	}
	_, err := c.Exec(ctx, sql)
	return err
}

// Describe prepares the query over empty tables, for its columns.
func (l *Load) Describe(ctx context.Context, c *backend.Conn, want *backend.State) ([]wire.Column, error) {
	l.statements = l.statements[:0]
	for i, f := range l.Plan.Fragments {
		l.statements = append(l.statements, statement{sql: definition(l.Bound.Database, i, f), table: i, rows: -1})
	}
	if err := l.Fill(ctx, c); err != nil {
		return nil, err
	}
	c.Want(want)
	st, err := c.Prepare(l.Bound.SQL)
	if err != nil {
		return nil, l.Error(err)
	}
	return st.Columns(), nil
}
