package integration

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// TestRandomChanges runs random changes of every kind on Serval and on one
// plain server, as text and prepared, with and without autocommit, within
// transactions with savepoints, in many an sql_mode and by clients of both
// kinds of affected rows, and compares after each what a client can see and the
// tables. What Serval refuses (1235) is counted by reason. SERVAL_RANDOM_SEED
// and SERVAL_RANDOM_COUNT ask for others.
func TestRandomChanges(t *testing.T) {
	seed, count := randomSeed(t, 400)
	eachEngine(t, func(t *testing.T, s *serverSet) {
		newChangesRun(t, s, seed, "chg", changedTables(s.engine)).modes(t, seed, count)
	})
}

// modes runs the changes in each sql_mode.
func (r *changesRun) modes(t *testing.T, seed uint64, count int) {
	for _, mode := range changeModes {
		r.mode(t, mode)
		for range count / len(changeModes) {
			r.step(t)
		}
		r.end(t, "COMMIT")
	}
	r.report(t, seed)
}

var changeModes = []string{"DEFAULT", "'NO_ENGINE_SUBSTITUTION'", "'ANSI_QUOTES,STRICT_TRANS_TABLES'", "'NO_BACKSLASH_ESCAPES'", "DEFAULT",
	"'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'", "'TRADITIONAL'", "'PAD_CHAR_TO_FULL_LENGTH,NO_AUTO_VALUE_ON_ZERO,STRICT_TRANS_TABLES'"}

// changesRun is two pairs of sessions: the second one's clients count the rows
// that are found as affected, whether they change or not.
type changesRun struct {
	set           *serverSet
	serval, plain [2]*sql.Conn
	at            int
	g             *changer
	numbered      numbered
	seeds         map[*randomTable]string

	open, manual bool // a transaction; autocommit is off
	savepoints   []string
	bends        bool // values may be bent in this sql_mode
	// check, if not nil, looks at what is kept beside the tables that are written.
	check func(t *testing.T, after string, tables []*randomTable)

	notes, compared, failed, bothFail, otherError, refused, keys, rowByRow, ofValue int

	why, errors map[string]int
	shown       map[string]string
}

func newChangesRun(t *testing.T, s *serverSet, seed uint64, schema string, tables []*randomTable) *changesRun {
	t.Helper()
	clusters := s.Clusters(t)
	dropSchema(t, clusters, schema)
	rules := randomRules(tables) + "numbered: {shard: hash(id), shards: 4, on: [c0, c1], auto_increment: id}\n"
	proxy := startServal(t, s, settings{Schema: schema, Tables: rules})
	t.Cleanup(func() { dropSchema(t, clusters, schema) })
	found := func(c *mysql.Config) { c.ClientFoundRows = true }
	plain := s.Plain(t).Addr()
	r := &changesRun{
		set:    s,
		serval: [2]*sql.Conn{oneConn(t, proxy.open(t, "")), oneConn(t, proxy.open(t, "", found))},
		plain:  [2]*sql.Conn{oneConn(t, openDB(t, plain, "")), oneConn(t, openDB(t, plain, "", found))},
		g:      &changer{statements: &statements{r: rand.New(rand.NewPCG(seed, 4)), tables: tables, schema: schema}, maria: s.engine == mysqlproc.MariaDB},
		seeds:  map[*randomTable]string{}, why: map[string]int{}, errors: map[string]int{}, shown: map[string]string{},
	}
	mustExec(t, r.plain[0], "DROP DATABASE IF EXISTS "+schema)
	r.both(t, "CREATE DATABASE "+schema)
	for r.at = range r.plain {
		r.both(t, "USE "+schema)
		r.both(t, "SET timestamp = 1790000000, @n = 5, @s = 'user'")
	}
	r.at = 0
	for _, table := range tables {
		r.both(t, table.create())
		r.seeds[table] = r.acceptable(t, table, 20)
		mustExec(t, r.serval[0], r.seeds[table])
	}
	r.both(t, numberedTable)
	return r
}

// acceptable is an INSERT of n rows, which the plain server has already taken.
func (r *changesRun) acceptable(t *testing.T, table *randomTable, n int) string {
	t.Helper()
	var rows []string
	head := "INSERT INTO " + quoted(table.name) + " (`"
	for i, c := range table.writable() {
		if i > 0 {
			head += "`, `"
		}
		head += c.name
	}
	head += "`) VALUES "
	for try := 0; len(rows) < n && try < 20*n; try++ {
		var row []string
		for _, c := range table.writable() {
			v := r.g.value(c.kind)
			switch {
			case c.kind == "int" && c.name == table.unique[0] && !table.without:
				v = fmt.Sprint(1 + len(rows)/len(table.unique))
			case !strings.Contains(c.ddl, "NOT NULL") && r.g.chance(15):
				v = "NULL"
			}
			row = append(row, v)
		}
		one := "(" + strings.Join(row, ", ") + ")"
		if _, err := r.plain[0].ExecContext(t.Context(), head+one); err == nil {
			rows = append(rows, one)
		}
	}
	require.Greater(t, len(rows), n/3, "rows for %s", table.name)
	return head + strings.Join(rows, ", ")
}

func (r *changesRun) both(t *testing.T, statement string) {
	t.Helper()
	_, err := r.plain[r.at].ExecContext(t.Context(), statement)
	require.NoError(t, err, "plain server: %s", statement)
	_, err = r.serval[r.at].ExecContext(t.Context(), statement)
	require.NoError(t, err, "serval: %s", statement)
}

func (r *changesRun) mode(t *testing.T, mode string) {
	t.Helper()
	was := r.at
	for r.at = range r.plain {
		r.both(t, "SET SESSION sql_mode = "+mode)
	}
	r.at = was
	r.bends = mode != "DEFAULT" && !strings.Contains(mode, "STRICT") && !strings.Contains(mode, "TRADITIONAL")
	r.g.ansi = strings.Contains(mode, "ANSI_QUOTES")
}

func (r *changesRun) step(t *testing.T) {
	r.control(t)
	if r.g.chance(8) {
		r.numberedStep(t)
		return
	}
	way := r.g.r.IntN(4)
	r.g.params = way == 3
	c := r.g.next()
	m := mode{"text", way >= 2, c.sql, c.args}
	m.prepared = m.prepared || len(m.args) > 0
	same := r.run(t, c, m)
	if strings.HasPrefix(c.sql, "TRUNCATE") { // which commits
		r.open, r.savepoints = false, nil
	}
	switch {
	case !same:
		r.forget(t, c.writes)
	case !r.open && !r.manual && r.g.chance(10):
		r.refill(t, c.writes...)
	}
}

// control begins, marks and ends transactions, and takes the other session.
func (r *changesRun) control(t *testing.T) {
	g := r.g.statements
	switch {
	case !r.open && !r.manual:
		switch n := g.r.IntN(100); {
		case n < 5:
			r.at = 1 - r.at
			r.set.sync(t) // replicas are behind for other sessions than the writer's
		case n < 15:
			r.both(t, pick(g, "BEGIN", "START TRANSACTION", "START TRANSACTION WITH CONSISTENT SNAPSHOT", "START TRANSACTION READ WRITE", "begin work"))
			r.open = true
		case n < 17:
			r.both(t, "SET autocommit = 0")
			r.manual = true
		}
	case g.chance(12):
		name := pick(g, "a", "b", "c")
		r.both(t, "SAVEPOINT "+name)
		r.savepoints = append(slices.DeleteFunc(r.savepoints, func(s string) bool { return s == name }), name)
	case len(r.savepoints) > 0 && g.chance(12):
		i := g.r.IntN(len(r.savepoints))
		verb := pick(g, "ROLLBACK TO ", "ROLLBACK TO SAVEPOINT ", "ROLLBACK WORK TO ", "RELEASE SAVEPOINT ")
		r.both(t, verb+r.savepoints[i])
		if strings.HasPrefix(verb, "RELEASE") {
			i--
		}
		r.savepoints = r.savepoints[:i+1]
		r.sameTables(t, "after "+verb, r.g.tables)
	case g.chance(18):
		r.end(t, pick(g, "COMMIT", "COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN"))
	}
}

// end ends the transaction, and autocommit = 0 now and then.
func (r *changesRun) end(t *testing.T, statement string) {
	r.both(t, statement)
	r.open, r.savepoints = strings.Contains(statement, "CHAIN"), nil
	if r.manual && (r.g.chance(30) || statement == "ROLLBACK" || statement == "COMMIT") {
		r.both(t, "SET autocommit = 1")
		r.manual = r.manual && r.open
		if r.open {
			r.both(t, "COMMIT")
			r.open, r.manual = false, false
		}
	}
	r.sameTables(t, "after "+statement, r.g.tables)
}

// run runs one change on both; false: tables may differ now.
func (r *changesRun) run(t *testing.T, c change, m mode) bool {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	after := pick(r.g.statements, "SHOW WARNINGS", "SHOW WARNINGS", "SELECT ROW_COUNT()", "SHOW COUNT(*) WARNINGS")
	got := observeChange(ctx, r.serval[r.at], m, c.returns, after)
	if got.errno == 1235 || got.errno == 1526 { // 1526: a month without a table
		r.refuse(got, m)
		return true
	}
	if keyErrors[got.errno] && (r.bends || strings.Contains(c.sql, "IGNORE")) {
		r.keys++ // a sharding key is never bent
		return true
	}
	want := observeChange(ctx, r.plain[r.at], m, c.returns, after)
	require.NoError(t, ctx.Err(), "no answer within 30 s: %s", m.sql)
	r.compared++
	diff, same := r.compare(c, want, got, after)
	if diff != "" {
		r.failed++
		t.Errorf("prepared %v: %s\nargs %v\n%s", m.prepared, m.sql, m.args, diff)
	}
	if r.check != nil {
		r.check(t, m.sql, c.writes)
	}
	if !same {
		return false
	}
	return r.sameTables(t, m.sql, c.writes) && diff == ""
}

func (r *changesRun) refuse(got outcome, m mode) {
	r.refused++
	why := reason(got.message)
	if r.why[why]++; r.shown[why] == "" || len(m.sql) < len(r.shown[why]) {
		r.shown[why] = m.sql + "\n\t\t" + got.message
	}
}

// compare says how the answers differ; same: the tables are still alike.
func (r *changesRun) compare(c change, want, got outcome, after string) (diff string, same bool) {
	if strings.Contains(got.message, r.g.schema+"_") || strings.Contains(got.message, "already applied") {
		return "a message of shards: " + got.message, true
	}
	if want.errno != 0 && got.errno != 0 {
		r.bothFail++
		if want.errno != got.errno {
			r.otherErrors(c, want, got)
		}
		return "", true
	}
	if c.returns && want.columns == nil && len(got.rows) == 0 && want.errno == got.errno {
		return "", true // MariaDB answers without a result set where it sees that no row can be meant
	}
	if counter, same := r.known(c, want, got); counter != nil {
		*counter++
		return "", same
	}
	if r.g.maria && strings.HasPrefix(c.sql, "UPDATE IGNORE") && strings.Contains(c.sql, " AS oth") {
		want.affected = got.affected // MariaDB counts rows whose key is taken
	}
	if !r.g.maria && toItself(c.sql) { // MySQL counts a NULL that is assigned to itself as changed where the column has a DEFAULT
		if want.affected = got.affected; after == "SELECT ROW_COUNT()" {
			want.warnings = got.warnings
		}
	}
	if after != "SELECT ROW_COUNT()" {
		r.compareWarnings(c, &want, &got)
	}
	return compare("", want, got), true
}

// toItself: ON DUPLICATE KEY UPDATE assigns a column to itself.
func toItself(sql string) bool {
	_, set, found := strings.Cut(strings.NewReplacer("`", "", `"`, "").Replace(sql), "ON DUPLICATE KEY UPDATE ")
	return found && slices.ContainsFunc(strings.Split(set, ", "), func(a string) bool {
		to, value, _ := strings.Cut(a, " = ")
		return value[strings.LastIndexByte(value, '.')+1:] == to[strings.LastIndexByte(to, '.')+1:]
	})
}

// otherErrors notes two errors: of several wrong rows any may be told.
func (r *changesRun) otherErrors(c change, want, got outcome) {
	r.otherError++
	pair := fmt.Sprintf("%d where plain has %d", got.errno, want.errno)
	if r.errors[pair]++; r.shown[pair] == "" || len(c.sql) < len(r.shown[pair]) {
		r.shown[pair] = c.sql + "\n\t\tplain: " + want.message + "\n\t\tserval: " + got.message
	}
}

// known is the counter of a difference that is known, where only one side
// fails; nil for others. same: the tables are still alike.
func (r *changesRun) known(c change, want, got outcome) (counter *int, same bool) {
	plainFails, servalFails := want.errno != 0 && got.errno == 0, want.errno == 0 && got.errno != 0
	update := strings.Contains(c.sql, "UPDATE ") && !strings.HasPrefix(c.sql, "INSERT")
	switch {
	case !r.g.maria && update && defaultTime.MatchString(c.sql) && strings.Contains(c.sql, "SELECT"):
		return &r.ofValue, false // MySQL stores NULL where it has made a join of the subquery
	case plainFails && (want.errno == 1062 && update || want.errno == 1093):
		return &r.rowByRow, false // row after row a key is taken that all together leave free; or it reads what it writes
	case plainFails && badValue[want.errno], servalFails && badValue[got.errno]:
		return &r.ofValue, false // a strict mode is so with the rows a server happens to look at
	case plainFails && want.errno == 1364 && got.affected == 0:
		return &r.ofValue, true // no row was there to miss its value
	case servalFails && got.errno == 1265 && update:
		return &r.keys, false // a row that moves has a value that was bent before, and is not written again
	case servalFails && got.errno == 4025 && strings.Contains(c.sql, "IGNORE"):
		return &r.keys, false // MariaDB leaves a row that breaks a CHECK out where others are inserted with it, and fails where it is alone
	case servalFails && (got.errno == 1267 || got.errno == 1270) && len(c.args) > 0:
		return &r.refused, false // a parameter, which is read as a literal, is of another collation beside _utf8mb4'a'
	}
	return nil, true
}

// compareWarnings takes away what both need not tell alike.
func (r *changesRun) compareWarnings(c change, want, got *outcome) {
	conditions := strings.Contains(c.sql, "WHERE")
	counted := slices.Contains(got.warnings, fmt.Sprintf(uncounted, len(want.warnings)))
	want.warnings, got.warnings = changeWarnings(want.warnings, conditions), changeWarnings(got.warnings, conditions)
	if conditions {
		got.warnings = slices.DeleteFunc(got.warnings, func(w string) bool { return strings.HasPrefix(w, "there are") })
	}
	if got.affected == 0 && len(got.rows) == 0 {
		ofNone := func(w string) bool { return strings.HasPrefix(w, "Warning 1364 ") }
		want.warnings, got.warnings = slices.DeleteFunc(want.warnings, ofNone), slices.DeleteFunc(got.warnings, ofNone)
	}
	if moved := regexp.MustCompile(`^Warning 1265 Data truncated for column '(en|st)'`); strings.HasPrefix(c.sql, "UPDATE") || strings.Contains(c.sql, "SELECT") {
		got.warnings = slices.DeleteFunc(got.warnings, moved.MatchString) // of a row that moves, or is copied, with a value that was bent before
		want.warnings = slices.DeleteFunc(want.warnings, moved.MatchString)
	}
	fewer := !r.bends && len(got.warnings) < len(want.warnings) && !slices.ContainsFunc(want.warnings, func(w string) bool { return !strings.HasPrefix(w, "Note ") })
	if counted || fewer { // in a strict mode those of the last shard on each connection are kept
		r.notes++
		want.warnings, got.warnings = nil, nil
	}
}

// defaultTime assigns a column its DEFAULT CURRENT_TIMESTAMP.
var defaultTime = regexp.MustCompile(`\b(born|up)["` + "`" + `]? = DEFAULT\b`)

// badValue are the errors of a condition with a value that is none of its type.
var badValue = map[uint16]bool{1292: true, 1300: true, 1366: true, 1525: true}

// changeWarnings are the warnings that both must give. Those of conditions
// depend on the order in which a server looks at rows, and some are about the
// statement's text.
func changeWarnings(all []string, conditions bool) []string {
	var out []string
	for _, w := range all {
		if aboutText.MatchString(w) || conditions && (strings.Contains(w, "Truncated incorrect") || strings.Contains(w, "Incorrect ")) {
			continue
		}
		w = ofRow.ReplaceAllString(w, "")
		if (strings.HasPrefix(w, "Warning 1048 ") || strings.HasPrefix(w, "Warning 1364 ")) && slices.Contains(out, w) {
			continue // which one statement may say once
		}
		out = append(out, w)
	}
	slices.Sort(out)
	return out
}

var aboutText = regexp.MustCompile(`^Warning (1235|1287|3719|3720|3778) `)

// uncounted is that more warnings were told of than are shown.
const uncounted = "there are %d"

// observeChange runs a statement that writes, and asks for what it left.
func observeChange(ctx context.Context, conn *sql.Conn, m mode, returns bool, after string) outcome {
	var o outcome
	var err error
	switch {
	case m.prepared:
		err = o.preparedChange(ctx, conn, m, returns)
	case returns:
		err = o.read(conn.QueryContext(ctx, m.sql))
	default:
		err = o.wrote(conn.ExecContext(ctx, m.sql))
	}
	o.failed(err)
	if o.errno == 65535 {
		return o
	}
	if after == "SHOW WARNINGS" {
		o.warnings = warnings(ctx, conn)
		return o
	}
	var left outcome
	if err := left.read(conn.QueryContext(ctx, after)); err != nil {
		o.warnings = []string{err.Error()}
		return o
	}
	if after == "SELECT ROW_COUNT()" {
		o.warnings = []string{after + ": " + left.rows[0][0]}
		return o
	}
	o.warnings = warnings(ctx, conn)
	if n := strconv.Itoa(len(o.warnings)); left.rows[0][0] != n && n != "64" && n != "1024" { // what the servers keep
		o.warnings = append(o.warnings, "there are "+left.rows[0][0])
	}
	return o
}

func (o *outcome) preparedChange(ctx context.Context, conn *sql.Conn, m mode, returns bool) error {
	stmt, err := conn.PrepareContext(ctx, m.sql)
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Close() }() // its answer is in hand
	if returns {
		return o.read(stmt.QueryContext(ctx, m.args...))
	}
	return o.wrote(stmt.ExecContext(ctx, m.args...))
}

// sameTables compares whole tables.
func (r *changesRun) sameTables(t *testing.T, after string, tables []*randomTable) bool {
	same := true
	var differ []*randomTable
	for _, table := range tables {
		all := "SELECT * FROM " + quoted(table.name)
		plain := observe(t.Context(), r.plain[r.at], mode{sql: all})
		if diff := compare(all, plain, observe(t.Context(), r.serval[r.at], mode{sql: all})); diff != "" {
			r.failed++
			primary := observe(t.Context(), r.serval[r.at], mode{sql: "SELECT /*+ SERVAL(primary) */ * FROM " + quoted(table.name)})
			t.Errorf("%s\nafterwards %s has\n%s\non the primaries it is the same: %v", after, table.name, diff, compare(all, plain, primary) == "")
			differ, same = append(differ, table), false
		}
	}
	if !same {
		r.forget(t, differ)
	}
	return same
}

// forget makes both sides alike again after an answer that differs.
func (r *changesRun) forget(t *testing.T, tables []*randomTable) {
	t.Helper()
	r.both(t, "ROLLBACK")
	r.both(t, "SET autocommit = 1")
	r.open, r.manual, r.savepoints = false, false, nil
	r.refill(t, tables...)
}

// refill puts the first rows back.
func (r *changesRun) refill(t *testing.T, tables ...*randomTable) {
	t.Helper()
	for _, table := range tables {
		for _, conn := range []*sql.Conn{r.plain[r.at], r.serval[r.at]} {
			was := one(t, conn, "SELECT @@sql_mode")
			mustExec(t, conn, "SET SESSION sql_mode = DEFAULT", "DELETE FROM "+quoted(table.name), r.seeds[table], "SET SESSION sql_mode = '"+was+"'")
		}
	}
}

func (r *changesRun) report(t *testing.T, seed uint64) {
	t.Logf("seed %d: %d statements compared, %d differ (%d with an error on both sides, %d of them with another one; %d where a plain server fails row by row, %d by the rows a server looks at, in %d not all warnings are kept); refused %d, and %d keys that would be bent",
		seed, r.compared, r.failed, r.bothFail, r.otherError, r.rowByRow, r.ofValue, r.notes, r.refused, r.keys)
	for what, counts := range map[string]map[string]int{"refused": r.why, "error": r.errors} {
		for _, why := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return counts[b] - counts[a] }) {
			t.Logf("%s %4d %s\n\t%s", what, counts[why], why, r.shown[why])
		}
	}
}

// numbered is a table whose ids Serval makes; they are others than the plain
// server's, in the same order.
type numbered struct{ explicit int64 }

const numberedTable = "CREATE TABLE numbered (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, tag VARCHAR(20), n INT DEFAULT 1) DEFAULT CHARSET=utf8mb4"

// next is a random change of the table.
func (n *numbered) next(g *changer) string {
	n.explicit += 1_000_000
	tag := func() string { return g.value("text") }
	rows := func(format string) string {
		var all []string
		for range 1 + g.r.IntN(4) {
			all = append(all, strings.ReplaceAll(strings.ReplaceAll(format, "TAG", tag()), "NUM", g.value("int")))
		}
		return strings.Join(all, ", ")
	}
	switch g.r.IntN(12) {
	case 0:
		return "INSERT INTO numbered (id, tag) VALUES " + rows("("+pick(g.statements, "NULL", "0")+", TAG)")
	case 1:
		return "INSERT INTO numbered SET tag = " + tag()
	case 2:
		return "INSERT INTO numbered (tag, n) SELECT note, ct FROM byname WHERE k > 'a' ORDER BY k"
	case 3:
		return fmt.Sprintf("INSERT INTO numbered (id, tag) VALUES (%d, %s), (NULL, 'after')", n.explicit, tag())
	case 4:
		return "REPLACE INTO numbered (tag) VALUES " + rows("(TAG)")
	case 5:
		return "INSERT INTO numbered (id, tag, n) VALUES (LAST_INSERT_ID(), 'again', 1) ON DUPLICATE KEY UPDATE n = n + 1"
	case 6:
		return "UPDATE numbered SET n = n + 1 WHERE id = LAST_INSERT_ID()"
	case 7:
		return "DELETE FROM numbered WHERE tag = " + tag() + " OR n > 50"
	case 8:
		return "INSERT INTO numbered VALUES " + rows("(NULL, TAG, NUM)")
	case 9:
		return "INSERT IGNORE INTO numbered (n, tag) VALUES " + rows("(NUM, TAG)")
	}
	return "INSERT INTO numbered (tag, n) VALUES " + rows("(TAG, NUM)")
}

func (r *changesRun) numberedStep(t *testing.T) {
	r.g.params = r.g.chance(25)
	r.g.args = nil
	m := mode{sql: r.numbered.next(r.g), args: r.g.args}
	m.prepared = len(m.args) > 0 || r.g.chance(25)
	if !r.run(t, change{sql: m.sql}, m) {
		r.forget(t, nil)
	}
	for _, q := range []string{"SELECT tag, n FROM numbered ORDER BY id", "SELECT tag, n, LAST_INSERT_ID() > 0 FROM numbered WHERE id = LAST_INSERT_ID()", "SELECT COUNT(*), COUNT(DISTINCT id) FROM numbered"} {
		plain, serval := observe(t.Context(), r.plain[r.at], mode{sql: q}), observe(t.Context(), r.serval[r.at], mode{sql: q})
		if a, b := texts(plain.rows, nil), texts(serval.rows, nil); !slices.Equal(a, b) || plain.errno != serval.errno {
			r.failed++
			t.Errorf("after %s\n%s gives %s", m.sql, q, diffRows("rows", a, b))
			r.forget(t, nil)
			r.both(t, "DELETE FROM numbered")
			return
		}
	}
}
