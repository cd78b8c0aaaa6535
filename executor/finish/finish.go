// Package finish runs what no shard and no merge can do on one real server:
// the fragments' rows are put into temporary tables there, and the query is
// run over them. So its meaning is the server's own.
//
// Order: the connection to that server is taken first, from a bound of its own,
// and the shards' connections then. Nobody who holds one of the bound waits for
// another of it, so holding it while waiting for the shards' ends; the other
// way round, many who wait would keep the shards' connections from everybody.
//
// Rows are passed on as they come: what is held is a batch being filled, one on
// its way, and the buffers of the connections, however many rows there are.
package finish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// Defaults of what one statement may move, in rows and in bytes.
const (
	DefaultMaxRows  = 1_000_000
	DefaultMaxBytes = 1 << 30
)

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

// Load makes the temporary tables of one execution on one connection and fills
// them. Not for concurrent use.
//
//	Begin     the session state for loading; the tables' definitions are sent
//	Ready     their answers
//	Fragment  the rows of each fragment
//	Copy      the rows of a fragment that has another one's
//	Index     keys where there are many rows
//	Settle    the answers that are left
//	Clean     on every path behind Begin
type Load struct {
	Plan  *plan.Finish
	Bound *plan.BoundFinish
	// Binary: rows are those of a prepared statement.
	Binary bool
	// Replica: the server takes no changes but to temporary tables.
	Replica bool
	// MaxRows and MaxBytes bound what is moved.
	MaxRows, MaxBytes int64

	conn        *backend.Conn
	rows, bytes int64
	spans       []wire.Span
	// sql is the INSERT being filled.
	sql []byte
	// queued are the statements on the connection that are not answered, the
	// first sent of them have left; size is about how many bytes have not.
	queued     []statement
	sent, size int
	// early: the connection has been sent nothing but definitions.
	early bool
	// tables are those on the connection; filled is what each fragment's has.
	tables *tables
	filled []filling
	// rowFormat: the connection's binary log has another format for the while.
	rowFormat bool
	// computed are the tables of what was computed here, with that many rows.
	computed     []string
	computedRows int64
	// values are of the columns that reduce other fragments.
	values map[column]map[string]struct{}
}

// tables are what is left on a connection: empty temporary tables, by their
// quoted name, each with its definition. Making one takes a server longer than
// to fill it with a few rows and to ask for them.
type tables struct {
	made map[string]string
	// logged: the server would write what is done to them into its binary log.
	logged bool
}

// statement is what was sent and what its answer must say: rows is how many it
// inserts, -1 for a definition.
type statement struct {
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

// filling is what a fragment's table has got.
type filling struct {
	rows  int64
	zeros int
}

// Rows is how many rows were moved, Bytes their literals' length.
func (l *Load) Rows() int64 { return l.rows }

// Bytes is the length of what was moved, as it was written into statements.
func (l *Load) Bytes() int64 { return l.bytes }

// Begin brings the connection into the state for loading and sends the
// definitions of tables it does not have yet, without waiting. Clean must be
// called whatever the error.
func (l *Load) Begin(ctx context.Context, c *backend.Conn) error {
	l.conn, l.queued, l.sent, l.early = c, l.queued[:0], 0, true
	l.values = watched(l.Plan)
	l.filled = make([]filling, len(l.Plan.Fragments))
	l.tables, _ = c.Kept().(*tables)
	c.Keep(nil) // until Clean knows that they are empty
	c.Want(loading)
	if l.tables == nil {
		l.tables = &tables{made: map[string]string{}}
		if err := l.quiet(ctx, c); err != nil {
			return err
		}
	}
	if l.Bound.Own && len(l.tables.made) == 0 && !l.Replica {
		l.queue(statement{rows: -1}, []byte("CREATE DATABASE IF NOT EXISTS "+sqlval.QuoteName(l.Bound.Database)))
	}
	for i, f := range l.Plan.Fragments {
		name := l.quoted(i)
		def := definition(f)
		was, there := l.tables.made[name]
		if was == def {
			continue
		}
		if there {
			// Over other tables of these names a server prepares a statement
			// again, by its values: of SUM(?) it made a DOUBLE, then a DECIMAL.
			c.Forget()
			l.queue(statement{table: i, rows: -1}, []byte("DROP TEMPORARY TABLE IF EXISTS "+name))
		}
		l.tables.made[name] = def
		l.queue(statement{table: i, rows: -1}, []byte("CREATE TEMPORARY TABLE "+name+" "+def))
	}
	return l.flush()
}

// Ready waits for the tables.
func (l *Load) Ready() error { return l.answers() }

// Settle sends what is queued and waits for all answers.
func (l *Load) Settle() error {
	if err := l.flush(); err != nil {
		return err
	}
	return l.answers()
}

// Early reports that all rows are queued and none has left: then the query may
// be queued right behind them, and Answers be called before its answer is read.
func (l *Load) Early() bool { return l.early && l.sent == 0 }

// Answers reads the answers of what was queued, where the caller has sent it.
func (l *Load) Answers() error {
	l.sent = len(l.queued)
	return l.answers()
}

// queue puts a statement on the connection, on which nothing is outstanding.
func (l *Load) queue(s statement, sql []byte) {
	l.conn.Query(sql)
	l.queued, l.size = append(l.queued, s), l.size+len(sql)
}

func (l *Load) flush() error {
	l.sent, l.size = len(l.queued), 0
	return l.conn.Flush()
}

// answers reads the answers of all that was sent; the first error counts.
func (l *Load) answers() error {
	var first error
	for i := range l.queued[:l.sent] {
		h, err := l.conn.Header()
		if err == nil {
			err = l.check(&l.queued[i], &h)
		} else if l.queued[i].rows < 0 {
			err = l.refused(&l.queued[i], err)
		}
		if first == nil {
			first = err
		}
	}
	l.queued, l.sent = l.queued[l.sent:], 0
	return first
}

// Fragment reads the rows of fragment i to their end and passes them on; sql is
// how a shard was asked for them, for errors. What is left of them in the end
// leaves with the next fragment's, with Settle, or with whatever the caller
// queues behind it.
func (l *Load) Fragment(i int, rows Rows, sql []byte) error {
	f := l.Plan.Fragments[i]
	columns, err := rows.Open()
	if err != nil {
		return err
	}
	if len(columns) != len(f.Columns) {
		return sqlerr.New(sqlerr.UnknownError, "table %s answered with %d columns where the plan has %d", f.Table.Table, len(columns), len(f.Columns))
	}
	head := "INSERT INTO " + l.quoted(i) + " (" + columnNames(f) + ") VALUES "
	s := statement{table: i}
	l.sql = l.sql[:0]
	for {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		l.sql = append(l.sql, pick(s.rows == 0, head, ",")...)
		before := len(l.sql)
		if err := l.tuple(&s, row, columns, f); err != nil {
			return err
		}
		s.rows++
		l.rows++
		l.bytes += int64(len(l.sql) - before)
		if l.rows > l.MaxRows || l.bytes > l.MaxBytes {
			return l.tooMuch(f, sql)
		}
		if len(l.sql) >= batchBytes {
			if err := l.pass(s); err != nil {
				return err
			}
			s = statement{table: i}
		}
	}
	if s.rows == 0 {
		return nil
	}
	return l.pass(s)
}

// pass queues the INSERT, once what was sent before is answered: while the
// server works on a batch, the next is filled. A batch that is full leaves.
func (l *Load) pass(s statement) error {
	if err := l.answers(); err != nil {
		return err
	}
	l.queue(s, l.sql)
	l.filled[s.table].rows += s.rows
	l.filled[s.table].zeros += s.zeros
	l.sql = l.sql[:0]
	if l.size < batchBytes {
		return nil
	}
	l.early = false
	return l.flush()
}

// shownSQL is the longest statement an error shows, in bytes.
const shownSQL = 300

func (l *Load) tooMuch(f *plan.Fragment, sql []byte) error {
	if len(sql) > shownSQL {
		sql = append(sql[:shownSQL:shownSQL], "…"...)
	}
	return sqlerr.New(sqlerr.OutOfMemory, "Serval moves at most %d rows (serval_max_rows) and %d MiB to finish a statement on one server, and table %s passed that with: %s; "+
		"narrow it with WHERE, or SET serval_max_rows", l.MaxRows, l.MaxBytes>>20, f.Table.Table, sql)
}

// quoted is the name of the table of fragment i.
func (l *Load) quoted(i int) string {
	at := l.Plan.Place(l.Bound.Database, i)
	return sqlval.QuoteName(at.Schema) + "." + sqlval.QuoteName(at.Table)
}

// definition is what follows a fragment's table's name in its CREATE.
func definition(f *plan.Fragment) string {
	b := []byte("(")
	for j, c := range f.Columns {
		if j > 0 {
			b = append(b, ", "...)
		}
		b = append(append(append(b, sqlval.QuoteName(c.Name)...), ' '), c.Definition...)
	}
	if len(f.PrimaryKey) > 0 {
		b = append(b, ", PRIMARY KEY ("...)
		for j, k := range f.PrimaryKey {
			if j > 0 {
				b = append(b, ", "...)
			}
			b = append(b, sqlval.QuoteName(k)...)
		}
		b = append(b, ')')
	}
	return string(append(b, ") ENGINE=InnoDB"...))
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
	dst := append(l.sql, '(')
	for i, s := range l.spans {
		if i > 0 {
			dst = append(dst, ',')
		}
		v := s.Of(row)
		if v == nil {
			dst = append(dst, "NULL"...)
			continue
		}
		if l.values != nil {
			l.watch(to.table, i, v)
		}
		if f.Columns[i].Carry == plan.CarryEnum && string(v) == "0" {
			to.zeros++
		}
		if dst, err = appendValue(dst, v, f.Columns[i].Carry); errors.Is(err, errNotText) {
			return sqlerr.Refuse("this query over several shards", "column "+f.Columns[i].Name+" of "+f.Table.Table+" "+err.Error(), "")
		} else if err != nil {
			return fmt.Errorf("column %s of %s: %w", f.Columns[i].Name, f.Table.Table, err)
		}
	}
	l.sql = append(dst, ')')
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
	case plan.CarryCharacters:
		if len(v) == 1 && v[0] == 0 {
			return dst, errNotText
		}
		return appendQuoted(append(dst, "_utf8mb4"...), v), nil
	case plan.CarryText:
	}
	return appendQuoted(append(dst, "_binary"...), v), nil
}

func digits(v []byte) bool {
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(v) > 0
}

// errNotText: a JSON value has a date, bytes or the like in it, which its text
// does not tell from a string.
var errNotText = errors.New("has a JSON value of a type that its text does not show (a date, bytes, a decimal), which cannot be copied exactly")

// appendQuoted appends bytes as a string literal. Backslashes escape in the
// mode the load is run in.
func appendQuoted(dst, v []byte) []byte {
	dst = append(dst, '\'')
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
	if l.Plan.At.Cluster != "" { // what else the query does there must be logged
		l.rowFormat = true
		if _, err = c.Exec(ctx, "SET SESSION binlog_format = ROW"); err == nil {
			c.Adopt(loading)
		}
		return err
	}
	l.tables.logged = true
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

// ErrNotTaken is within the error of a Begin or Ready whose server makes no such
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

// Reasons for Clean to have the connection closed.
var (
	errUnread = errors.New("finish: answers are left on the connection")
	errLogged = errors.New("finish: the connection writes no binary log any more")
	errBig    = errors.New("finish: a server frees a session's temporary space when the session ends")
)

const (
	errCantReopen = 1137 // ER_CANT_REOPEN_TABLE
	errDuplicate  = 1062 // ER_DUP_ENTRY
)

const (
	// keptTables bounds the tables left on a connection.
	keptTables = 16
	// bigBytes: behind so many the connection is closed.
	bigBytes = 64 << 20
)

// Clean takes the rows away, and the tables, too, where keep is false or they
// have keys of their own: emptying so many rows takes longer than making tables
// anew. Where it fails the connection must be closed.
func (l *Load) Clean(ctx context.Context, c *backend.Conn, keep bool) error {
	if len(l.queued) > 0 {
		_ = l.Settle() // its error was told, or does not matter any more
	}
	switch {
	case l.tables.logged:
		return errLogged
	case !c.Usable():
		return errUnread
	case l.bytes > bigBytes, l.computedRows > bigComputed:
		return errBig
	}
	c.Want(loading)
	if len(l.computed) > 0 {
		c.Forget()
		if _, err := c.Exec(ctx, "DROP TEMPORARY TABLE IF EXISTS "+strings.Join(l.computed, ", ")); err != nil {
			return err
		}
	}
	if !keep || l.rows >= indexedRows || len(l.tables.made) > keptTables {
		if len(l.tables.made) > 0 {
			c.Forget()
			if _, err := c.Exec(ctx, "DROP TEMPORARY TABLE IF EXISTS "+strings.Join(slices.Sorted(maps.Keys(l.tables.made)), ", ")); err != nil {
				return err
			}
		}
		l.tables.made = map[string]string{}
	} else if err := l.empty(); err != nil {
		return err
	}
	if l.rowFormat {
		if _, err := c.Exec(ctx, "SET SESSION binlog_format = DEFAULT"); err != nil {
			return err
		}
	}
	c.Adopt(loading)
	if l.Plan.At.Cluster == "" {
		c.Keep(l.tables)
	}
	return nil
}

// empty deletes the rows, all of them.
func (l *Load) empty() error {
	for i, has := range l.filled {
		if has.rows > 0 {
			l.queue(statement{table: i, rows: has.rows}, []byte("DELETE FROM "+l.quoted(i)))
		}
	}
	return l.Settle()
}

// Describe prepares the query over the tables, which may be empty, for its
// columns.
func (l *Load) Describe(c *backend.Conn, want *backend.State) ([]wire.Column, error) {
	c.Want(want)
	st, err := c.Prepare(l.Bound.SQL)
	if err != nil {
		return nil, err
	}
	return st.Columns(), nil
}

// Check has the server read the query over the tables, before rows are moved for
// one that it does not take.
func (l *Load) Check(want *backend.State) error {
	_, err := l.Describe(l.conn, want)
	l.conn.Want(loading)
	return err
}

func pick(cond bool, yes, no string) string {
	if cond {
		return yes
	}
	return no
}
