package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// outcome is all a client can see of one statement.
type outcome struct {
	columns  []column
	rows     [][]string
	affected int64
	lastID   int64
	warnings []string
	errno    uint16
	message  string
}

// column is what ColumnTypes tells.
type column struct {
	name, kind       string
	nullable         bool
	precision, scale int64
}

const null = "\x00NULL"

// observe runs a statement and notes everything.
func observe(ctx context.Context, conn *sql.Conn, m mode) outcome {
	var o outcome
	var err error
	if m.prepared {
		err = o.prepared(ctx, conn, m)
	} else if hasRows(m.sql) {
		err = o.read(conn.QueryContext(ctx, m.sql))
	} else {
		err = o.wrote(conn.ExecContext(ctx, m.sql))
	}
	o.failed(err)
	if o.errno != 65535 {
		o.warnings = warnings(ctx, conn)
	}
	return o
}

// failed notes an error; 65535 is none of a server's.
func (o *outcome) failed(err error) {
	if err == nil {
		return
	}
	o.errno, o.message = 65535, err.Error()
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		o.errno, o.message = e.Number, e.Message
	}
}

func (o *outcome) prepared(ctx context.Context, conn *sql.Conn, m mode) error {
	stmt, err := conn.PrepareContext(ctx, m.sql)
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Close() }() // its answer is in hand
	if hasRows(m.sql) {
		return o.read(stmt.QueryContext(ctx, m.args...))
	}
	return o.wrote(stmt.ExecContext(ctx, m.args...))
}

// forgetTypes leaves the columns' names.
func (o *outcome) forgetTypes() {
	for i, c := range o.columns {
		o.columns[i] = column{name: c.name}
	}
}

var moment = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`)

// forgetTimes leaves that there is one.
func (o *outcome) forgetTimes() {
	for _, row := range o.rows {
		for i, value := range row {
			if moment.MatchString(value) {
				row[i] = "a time"
			}
		}
	}
}

func (o *outcome) wrote(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	if o.affected, err = r.RowsAffected(); err != nil {
		return err
	}
	o.lastID, err = r.LastInsertId()
	return err
}

func (o *outcome) read(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	for _, c := range types {
		nullable, _ := c.Nullable()
		precision, scale, _ := c.DecimalSize()
		o.columns = append(o.columns, column{c.Name(), c.DatabaseTypeName(), nullable, precision, scale})
	}
	values, into := make([]sql.NullString, len(types)), make([]any, len(types))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = v.String
			if !v.Valid {
				row[i] = null
			}
		}
		o.rows = append(o.rows, row)
	}
	return rows.Err()
}

// warnings of the last statement, sorted: several shards have no order.
func warnings(ctx context.Context, conn *sql.Conn) []string {
	rows, err := conn.QueryContext(ctx, "SHOW WARNINGS")
	if err != nil {
		return []string{"SHOW WARNINGS: " + err.Error()}
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	var all []string
	for rows.Next() {
		var level, message string
		var code int
		if err := rows.Scan(&level, &code, &message); err != nil {
			return []string{"SHOW WARNINGS: " + err.Error()}
		}
		if level == "Error" {
			all = append(all, fmt.Sprintf("%s %d", level, code)) // its text is compared as the error's
			continue
		}
		if strings.HasPrefix(message, "Optimizer hint syntax error near 'SERVAL(") {
			continue // a server does not know Serval's hints, and never sees them through it
		}
		all = append(all, fmt.Sprintf("%s %d %s", level, code, message))
	}
	if err := rows.Err(); err != nil {
		return []string{"SHOW WARNINGS: " + err.Error()}
	}
	slices.Sort(all)
	return all
}

// compare says how got differs from want, empty if a client can't tell.
func compare(query string, want, got outcome) string {
	var diffs []string
	differ := func(what string, want, got any) {
		if w, g := fmt.Sprint(want), fmt.Sprint(got); w != g {
			diffs = append(diffs, fmt.Sprintf("%s:\n  plain  %s\n  serval %s", what, w, g))
		}
	}
	differ("error", want.errno, got.errno)
	if want.errno != got.errno {
		return strings.Join(append(diffs, "messages:\n  plain  "+want.message+"\n  serval "+got.message), "\n")
	}
	differ("columns", columnText(want.columns), columnText(got.columns))
	differ("affected rows", want.affected, got.affected)
	// Numbers that the server makes up are others behind Serval; both make them or neither.
	differ("last insert id given", want.lastID != 0, got.lastID != 0)
	differ("warnings", strings.Join(want.warnings, "; "), strings.Join(got.warnings, "; "))
	if tuplesReturned.MatchString(query) {
		differ("rows in their order", want.rows, got.rows)
	} else if diff := compareRows(query, want, got); diff != "" {
		diffs = append(diffs, diff)
	}
	return strings.Join(diffs, "\n")
}

func columnText(columns []column) string {
	var b strings.Builder
	for _, c := range columns {
		fmt.Fprintf(&b, "%s %s", c.name, c.kind)
		if c.kind == "DECIMAL" {
			fmt.Fprintf(&b, "(%d,%d)", c.precision, c.scale)
		}
		if !c.nullable {
			b.WriteString(" NOT NULL")
		}
		b.WriteString("; ")
	}
	return b.String()
}

var (
	orderBy = regexp.MustCompile(`(?is)\bORDER\s+BY\s+([^()]+?)(?:\s+LIMIT\b.*|\s+FOR\s+(UPDATE|SHARE).*)?$`)
	limit   = regexp.MustCompile(`(?is)\bLIMIT\s+[^()]+$`)
	sortKey = regexp.MustCompile("(?is)^\\s*(?:`?\\w+`?\\.)?`?(\\w+)`?(?:\\s+(?:ASC|DESC))?\\s*$")
)

// compareRows compares as multisets. Under ORDER BY the sequence of sort keys
// must be the same, too; rows that tie may change places. A LIMIT may cut
// rows that tie: then only the keys (or, without ORDER BY, the number of
// rows) are sure.
func compareRows(query string, want, got outcome) string {
	keys, ordered := sortColumns(query, want.columns)
	limited := limit.MatchString(query)
	if anyOfEquals.MatchString(query) {
		want.rows, got.rows = foldRows(want.rows), foldRows(got.rows)
	}
	wanted, gotten := texts(want.rows, nil), texts(got.rows, nil)
	switch {
	case limited && ordered && keys != nil:
		return diffRows("sort keys", texts(want.rows, keys), texts(got.rows, keys))
	case limited && !ordered:
		if len(wanted) != len(gotten) {
			return diffRows("number of rows", wanted, gotten)
		}
		return ""
	case ordered && keys == nil:
		return diffRows("rows", wanted, gotten)
	case ordered:
		if diff := diffRows("sort keys", texts(want.rows, keys), texts(got.rows, keys)); diff != "" {
			return diff
		}
	}
	return diffRows("rows", sortedRows(wanted), sortedRows(gotten))
}

// anyOfEquals: of values that are equal under a collation ('a', 'A', 'ä') SQL
// lets the server show any.
var anyOfEquals = regexp.MustCompile(`(?i)\b(DISTINCT|GROUP\s+BY|UNION|MIN\(|MAX\()`)

func foldRows(rows [][]string) [][]string {
	out := make([][]string, len(rows))
	for i, row := range rows {
		out[i] = make([]string, len(row))
		for j, v := range row {
			out[i][j] = v
			if v != null {
				out[i][j] = folded.Replace(strings.ToLower(v))
			}
		}
	}
	return out
}

// sortColumns finds the ORDER BY's columns in the result; keys are nil where
// one of them is not in it.
func sortColumns(query string, columns []column) (keys []int, ordered bool) {
	m := orderBy.FindStringSubmatch(query)
	if m != nil && strings.EqualFold(strings.TrimSpace(m[1]), "NULL") {
		return nil, false // it asks for no order
	}
	if m == nil {
		return nil, regexp.MustCompile(`(?is)\bORDER\s+BY\b[^)]*$`).MatchString(query)
	}
	for term := range strings.SplitSeq(m[1], ",") {
		k := sortKey.FindStringSubmatch(term)
		if k == nil {
			return nil, true
		}
		i := slices.IndexFunc(columns, func(c column) bool { return strings.EqualFold(c.name, k[1]) })
		if i < 0 {
			var n int
			if _, err := fmt.Sscan(k[1], &n); err != nil || n < 1 || n > len(columns) {
				return nil, true
			}
			i = n - 1
		}
		keys = append(keys, i)
	}
	return keys, true
}

// texts are rows as text, all columns or those of keys.
func texts(rows [][]string, keys []int) []string {
	out := make([]string, len(rows))
	for i, row := range rows {
		if keys != nil {
			part := make([]string, len(keys))
			for j, k := range keys {
				if k < len(row) {
					part[j] = row[k]
				}
			}
			row = part
		}
		out[i] = strings.ReplaceAll(strings.Join(row, " | "), null, "NULL")
	}
	return out
}

func diffRows(what string, want, got []string) string {
	if slices.Equal(want, got) {
		return ""
	}
	const most = 8
	var b strings.Builder
	fmt.Fprintf(&b, "%s: plain has %d, serval %d", what, len(want), len(got))
	shown := 0
	for i := range max(len(want), len(got)) {
		w, g := "(none)", "(none)"
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if w == g {
			continue
		}
		fmt.Fprintf(&b, "\n  #%d plain  %s\n  #%d serval %s", i+1, head(w), i+1, head(g))
		if shown++; shown == most {
			b.WriteString("\n  ...")
			break
		}
	}
	return b.String()
}
