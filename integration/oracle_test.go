package integration

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// planFiles hold the cases: each planned statement is run through Serval and
// on one plain server.
const (
	planFiles  = "../router/testdata/plan/*.txt"
	schemaFile = "../router/testdata/schema.sql"
	// ownFiles are cases about answers rather than plans: types, NULLs,
	// collations, errors.
	ownFiles = "testdata/oracle/*.txt"
)

// statementCase is one statement of a case file.
type statementCase struct {
	pos, sql string
	// refused: the file says that Serval refuses it.
	refused bool
	// notCompared: what Serval alone knows (EXPLAIN FORMAT='route').
	notCompared bool
	// random: values differ by run; only columns and errors are compared.
	random bool
	// untyped: the types of columns are not compared; MySQL widens an
	// expression's where it puts it into a temporary table.
	untyped bool
	// clock: times are told by each server's own clock: any is any other.
	clock bool
	// database is the current one; empty means the schema.
	database string
	// only is the engine that knows the statement; empty means both.
	only string
}

var (
	refusal    = regexp.MustCompile(`(?i)^(error|refuse|serval refuses)|\bERROR \d+|Serval refuses`)
	servalOnly = regexp.MustCompile(`(?i)^\s*(EXPLAIN|KILL|SHOW\s+(FULL\s+)?PROCESSLIST|SET\s+serval_|XA\b|LOCK\s+TABLES|USE\b)|\bserval\.|serval_|\b(CONNECTION_ID|UUID|UUID_SHORT|RAND|NOW|SYSDATE|CURRENT_TIMESTAMP|CURRENT_USER|USER|SESSION_USER|SLEEP|LAST_INSERT_ID)\b\s*\(`)
	readHead   = regexp.MustCompile(`(?is)^[\s(]*(/\*.*?\*/)?[\s(]*(SELECT|WITH|SHOW|TABLE|VALUES|DESC|DESCRIBE|EXPLAIN|CHECK|ANALYZE)\b`)
	ddlHead    = regexp.MustCompile(`(?is)^\s*(CREATE|ALTER|DROP|TRUNCATE|RENAME)\b`)
	tableDDL   = regexp.MustCompile(`(?is)^\s*(CREATE|ALTER|DROP|TRUNCATE|RENAME)\s+(UNIQUE\s+)?(TABLE|INDEX)\b`)
	returning  = regexp.MustCompile(`(?is)^\s*(INSERT|REPLACE|DELETE)\b.*\bRETURNING\b`)
	// tuplesReturned: an INSERT's rows come in the order of its tuples.
	tuplesReturned = regexp.MustCompile(`(?is)^\s*(INSERT|REPLACE) INTO\b.*\bVALUES\b.*\bRETURNING\b`)
	txnHead        = regexp.MustCompile(`(?is)^\s*(BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SET)\b`)
)

// readCases collects the SQL under the `plan` and `query` commands.
func readCases(t *testing.T, patterns ...string) []statementCase {
	t.Helper()
	require.NoError(t, flag.Set("datadriven-quiet", "true"), "the files are only read here")
	var cases []statementCase
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
				if d.Cmd != "plan" && d.Cmd != "query" || d.HasArg("visible") || d.HasArg("off") {
					return d.Expected
				}
				sql := strings.TrimSuffix(strings.TrimSpace(d.Input), ";")
				c := statementCase{
					pos: filepath.Base(d.Pos), sql: sql,
					refused:     d.Cmd == "plan" && refusal.MatchString(d.Expected) || d.HasArg("refused"),
					notCompared: servalOnly.MatchString(sql),
					random:      d.HasArg("random"),
					untyped:     d.HasArg("untyped"),
					clock:       d.HasArg("clock"),
				}
				d.MaybeScanArgs(t, "db", &c.database)
				d.MaybeScanArgs(t, "only", &c.only)
				// What the router's files skip depends on the server (versions,
				// statistics) or makes objects; tables made and changed are ours
				// to put back, and a refusal is a refusal.
				c.notCompared = c.notCompared || d.HasArg("skip") && !c.refused && !tableDDL.MatchString(sql)
				cases = append(cases, c)
				return d.Expected // only read here: the router's own tests check it
			})
		}
	}
	require.NotEmpty(t, cases, "no cases below %v", patterns)
	return cases
}

// TestOracle runs every statement, and the dialogs, on Serval (4 and 8 shards over two clusters)
// and on one plain server, and compares what a client can see: on 4 shards as text and
// prepared, on 8 as text, half of them on each engine. The soak run does all on 8.
func TestOracle(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		t.Run("4 shards", func(t *testing.T) {
			o := runOracle(t, s, 4, false, readCases(t, planFiles, ownFiles))
			o.plain, o.serval = o.another(t, o.plainDB), o.another(t, o.servalDB)
			t.Run("dialogs", o.runDialogs)
		})
		t.Run("8 shards", func(t *testing.T) { runOracle(t, s, 8, true, halfOf(s, readCases(t, planFiles, ownFiles))) })
	})
}

func runOracle(t *testing.T, s *serverSet, shards int, textOnly bool, cases []statementCase) *oracle {
	t.Helper()
	schema, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	o := newOracle(t, s, "shop", splitStatements(string(schema)), shards)
	o.textOnly = textOnly
	o.runAll(t, cases)
	return o
}

// another is one more session, in the schema.
func (o *oracle) another(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	conn := oneConn(t, db)
	mustExec(t, conn, "USE "+o.schema)
	return conn
}

// oracle is one comparison: Serval and the plain server, one session each.
type oracle struct {
	serval, plain *sql.Conn
	// servalDB and plainDB are where further sessions come from.
	servalDB, plainDB *sql.DB
	schema            string
	engine            string
	create            map[string]string // table: its CREATE TABLE
	tables            []string          // in order of creation
	seeds             map[string]string // table: its INSERT
	// answered are the plain server's answers to the last case, by mode.
	answered struct {
		sql string
		by  map[string]outcome
	}
	// textOnly leaves prepared statements out.
	textOnly bool
	// counts for the report
	compared, refused, failed int
}

func newOracle(t *testing.T, s *serverSet, schema string, statements []string, shards int) *oracle {
	t.Helper()
	clusters := s.Clusters(t)
	dropSchema(t, clusters, schema)
	proxy := startServal(t, s, settings{Schema: schema, Tables: oracleTables(shards), AllSchemas: true})
	t.Cleanup(func() { dropSchema(t, clusters, schema) })
	o := &oracle{
		schema:   schema,
		engine:   s.engine.String(),
		servalDB: proxy.open(t, ""), plainDB: openDB(t, s.Plain(t).Addr(), ""),
		create: map[string]string{}, seeds: map[string]string{},
	}
	o.serval, o.plain = oneConn(t, o.servalDB), oneConn(t, o.plainDB)
	began := time.Now()
	mustExec(t, o.plain, "DROP DATABASE IF EXISTS "+schema)
	mustExec(t, o.plain, "CREATE DATABASE IF NOT EXISTS other")
	mustExec(t, o.serval, "CREATE DATABASE IF NOT EXISTS other")
	o.both(t, "CREATE DATABASE "+schema)
	o.both(t, "USE "+schema)
	for _, statement := range statements {
		name := createdTable(statement)
		if name == "" {
			continue // the router's test schema may say more than tables
		}
		o.create[name] = statement
		o.tables = append(o.tables, name)
		o.both(t, statement)
	}
	require.NotEmpty(t, o.tables, "%s creates no table", schemaFile)
	for _, table := range o.tables {
		o.seeds[table] = seedStatement(t, o.plain, schema, table)
		o.both(t, o.seeds[table])
		o.requireSame(t, table)
	}
	for _, statement := range statements {
		if viewPattern.MatchString(statement) {
			o.both(t, statement)
		}
	}
	t.Logf("%d tables created and filled on both sides in %v", len(o.tables), time.Since(began).Round(time.Millisecond))
	return o
}

// both runs a statement on both sides; it must succeed.
func (o *oracle) both(t *testing.T, statement string) {
	t.Helper()
	_, err := o.plain.ExecContext(t.Context(), statement)
	require.NoError(t, err, "plain server: %s", head(statement))
	_, err = o.serval.ExecContext(t.Context(), statement)
	require.NoError(t, err, "serval: %s", head(statement))
}

func (o *oracle) runAll(t *testing.T, cases []statementCase) {
	began := time.Now()
	for _, c := range cases {
		if c.notCompared || txnHead.MatchString(c.sql) || c.only != "" && c.only != o.engine {
			continue
		}
		for _, mode := range modes(c) {
			if !o.textOnly || mode.name == "text" {
				o.runCase(t, c, mode)
			}
		}
	}
	t.Logf("compared %d statements, %d refused as the files say, %d differ, in %v", o.compared, o.refused, o.failed, time.Since(began).Round(time.Millisecond))
}

// mode is how a statement is sent.
type mode struct {
	name     string
	prepared bool
	sql      string
	args     []any
}

// modes of a case: as text, prepared as it is, and prepared with its literals
// as parameters where it has some.
func modes(c statementCase) []mode {
	if n := strings.Count(unquoted(c.sql), "?"); n > 0 {
		return []mode{{"prepared", true, c.sql, values(n)}}
	}
	all := []mode{{"text", false, c.sql, nil}, {"prepared", true, c.sql, nil}}
	if readHead.MatchString(c.sql) {
		// Once more, when the shards of a server may be asked in one statement.
		all = append(all, mode{"text again", false, c.sql, nil}, mode{"prepared again", true, c.sql, nil})
	}
	if sql, args := parameterize(c.sql); len(args) > 0 {
		all = append(all, mode{"parameters", true, sql, args})
	}
	return all
}

func (o *oracle) runCase(t *testing.T, c statementCase, m mode) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if c.database != "" {
		o.both(t, "USE "+c.database)
		defer o.both(t, "USE "+o.schema)
	}
	got := observe(ctx, o.serval, m)
	if c.refused {
		o.refused++
		if got.errno == 0 && !c.notCompared {
			o.fail(t, c, m, "the file says Serval refuses it, but it answered")
			o.restore(t, c.sql)
		}
		return
	}
	want := o.wanted(ctx, c, m)
	o.compared++
	if c.random {
		want.rows, got.rows = nil, nil
	}
	if c.untyped {
		want.forgetTypes()
		got.forgetTypes()
	}
	if c.clock {
		want.forgetTimes()
		got.forgetTimes()
	}
	if diff := compare(m.sql, want, got); diff != "" {
		o.fail(t, c, m, diff)
	}
	if ctx.Err() != nil {
		t.Fatalf("%s: %s: no answer within 20 s", c.pos, m.sql)
	}
	if readHead.MatchString(c.sql) {
		return
	}
	for _, table := range o.named(c.sql) {
		if c.random {
			break
		}
		if diff := o.tableDiff(ctx, table, want.lastID != 0); diff != "" {
			o.fail(t, c, m, "afterwards "+diff)
		}
	}
	if want.affected != 0 || got.affected != 0 || hasRows(c.sql) || want.errno != got.errno || ddlHead.MatchString(c.sql) {
		o.restore(t, c.sql)
	}
}

// ofSession: a read that changes what the session has.
var ofSession = regexp.MustCompile(`(?i)@|LOCK|NEXT|FOUND_ROWS|INTO`)

// wanted is what the plain server answers. It is not asked again for a read that
// Serval is asked once more.
func (o *oracle) wanted(ctx context.Context, c statementCase, m mode) outcome {
	first, again := strings.CutSuffix(m.name, " again")
	if again && !c.clock && !ofSession.MatchString(m.sql) && o.answered.sql == c.sql {
		return o.answered.by[first]
	}
	out := observe(ctx, o.plain, m)
	if o.answered.sql != c.sql {
		o.answered.sql, o.answered.by = c.sql, map[string]outcome{}
	}
	o.answered.by[m.name] = out
	return out
}

func (o *oracle) fail(t *testing.T, c statementCase, m mode, diff string) {
	t.Helper()
	o.failed++
	t.Errorf("%s (%s):\n%s\nargs %v\n%s", c.pos, m.name, m.sql, m.args, diff)
}

// named are the known tables a statement names.
func (o *oracle) named(sql string) []string {
	var names []string
	for _, table := range o.tables {
		if regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(table) + `\b`).MatchString(sql) {
			names = append(names, table)
		}
	}
	return names
}

// tableDiff compares a whole table; only its number of rows where numbers were
// made up by the server.
func (o *oracle) tableDiff(ctx context.Context, table string, generated bool) string {
	m := mode{sql: "SELECT * FROM " + o.schema + "." + table}
	if generated {
		m.sql = "SELECT COUNT(*) FROM " + o.schema + "." + table
	}
	if diff := compare(m.sql, observe(ctx, o.plain, m), observe(ctx, o.serval, m)); diff != "" {
		return "the rows of " + table + " differ: " + diff
	}
	return ""
}

func (o *oracle) requireSame(t *testing.T, table string) {
	t.Helper()
	if diff := o.tableDiff(t.Context(), table, false); diff != "" {
		t.Fatal(diff)
	}
}

// restore puts the tables a statement names back to their seeds. After DDL
// they are made again.
func (o *oracle) restore(t *testing.T, sql string) {
	t.Helper()
	ddl := ddlHead.MatchString(sql)
	if name := createdTable(sql); name != "" && o.create[name] == "" {
		o.both(t, "DROP TABLE IF EXISTS "+name)
	}
	for _, table := range o.named(sql) {
		if ddl {
			o.both(t, "DROP TABLE IF EXISTS "+table)
			o.both(t, o.create[table])
		} else {
			o.both(t, "DELETE FROM "+table)
		}
		o.both(t, o.seeds[table])
	}
}

var (
	createPattern = regexp.MustCompile("(?is)^\\s*CREATE\\s+TABLE\\s+(?:IF\\s+NOT\\s+EXISTS\\s+)?(?:`?\\w+`?\\.)?`?(\\w+)`?")
	viewPattern   = regexp.MustCompile(`^CREATE OR REPLACE VIEW\b`)
	sqlComment    = regexp.MustCompile(`(?m)^\s*--.*$`)
)

// createdTable is the table a CREATE TABLE makes, empty for another statement.
func createdTable(statement string) string {
	if m := createPattern.FindStringSubmatch(statement); m != nil {
		return m[1]
	}
	return ""
}

// splitStatements splits a file of statements that each end with ; at a line's end.
func splitStatements(text string) []string {
	text = sqlComment.ReplaceAllString(text, "")
	var all []string
	for _, s := range regexp.MustCompile(`;\s*(\n|$)`).Split(text, -1) {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

var (
	stringLiteral = regexp.MustCompile(`'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*"`)
	comparedValue = regexp.MustCompile(`(=|<=|>=|<>|!=|<|>|\bBETWEEN|\bAND)(\s*)('(?:[^'\\]|'')*'|-?\d+(?:\.\d+)?)`)
	wholeNumber   = regexp.MustCompile(`^-?\d+$`)
)

func unquoted(sql string) string { return stringLiteral.ReplaceAllString(sql, "''") }

// parameterize makes parameters of the literals that values are compared with
// or assigned, so that the prepared way through Serval is the one drivers use.
func parameterize(sql string) (string, []any) {
	if ddlHead.MatchString(sql) || strings.Contains(sql, "INTERVAL") {
		return sql, nil
	}
	var args []any
	out := comparedValue.ReplaceAllStringFunc(sql, func(found string) string {
		m := comparedValue.FindStringSubmatch(found)
		literal := m[3]
		switch {
		case strings.HasPrefix(literal, "'"):
			args = append(args, strings.ReplaceAll(strings.Trim(literal, "'"), "''", "'"))
		case wholeNumber.MatchString(literal):
			var n int64
			_, _ = fmt.Sscan(literal, &n) // the pattern says it is one
			args = append(args, n)
		default:
			return found // a decimal would become a float: another value
		}
		return m[1] + m[2] + "?"
	})
	return out, args
}

// values for a statement that has parameters of its own: small numbers find rows.
func values(n int) []any {
	args := make([]any, n)
	for i := range args {
		args[i] = int64(7 + i)
	}
	return args
}

// hasRows: the statement is answered with rows.
func hasRows(sql string) bool { return readHead.MatchString(sql) || returning.MatchString(sql) }

func head(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}

// sortedRows is rows as a multiset: sorted text.
func sortedRows(rows []string) []string {
	rows = slices.Clone(rows)
	slices.Sort(rows)
	return rows
}
