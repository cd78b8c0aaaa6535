package integration

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRandom runs random statements on Serval and on one plain server and
// compares what a client can see. What Serval refuses (1235) is counted, and
// is no difference. SERVAL_RANDOM_SEED and SERVAL_RANDOM_COUNT ask for others.
func TestRandom(t *testing.T) {
	seed, count := randomSeed(t, 250)
	eachEngine(t, func(t *testing.T, s *serverSet) {
		for _, shards := range []int{4, 8} {
			t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
				r := newRandomRun(t, s, "rnd", shards, seed)
				for _, mode := range []string{"", "ANSI_QUOTES,STRICT_TRANS_TABLES", "NO_BACKSLASH_ESCAPES", ""} {
					r.mode(t, mode)
					r.run(t, count/4)
				}
				t.Logf("seed %d: %d statements compared (%d with an error on both sides), %d refused, %d differ", seed, r.compared, r.errors, r.refused, r.failed)
				r.logRefused(t)
				require.Less(t, r.refused*2, r.compared, "more than a third of the statements are refused")
			})
		}
	})
}

// randomSeed is the seed and the number of statements asked for.
func randomSeed(t *testing.T, usual int) (seed uint64, count int) {
	t.Helper()
	seed, count = 1, usual
	var err error
	if s := os.Getenv("SERVAL_RANDOM_SEED"); s != "" {
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	if s := os.Getenv("SERVAL_RANDOM_COUNT"); s != "" {
		count, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	return seed, count
}

type randomRun struct {
	serval, plain *sql.Conn
	g             *statements
	seeds         map[*randomTable]string
	bends         bool // the sql_mode is not strict

	compared, errors, refused, failed, lenient int
	why                                        map[string]int
}

func newRandomRun(t *testing.T, s *serverSet, schema string, shards int, seed uint64) *randomRun {
	t.Helper()
	return newRandomRunOf(t, s, schema, randomTables(s.engine, shards), rand.NewPCG(seed, uint64(shards)))
}

// newRandomRunOf is newRandomRun over other tables.
func newRandomRunOf(t *testing.T, s *serverSet, schema string, tables []*randomTable, source rand.Source) *randomRun {
	t.Helper()
	clusters := s.Clusters(t)
	dropSchema(t, clusters, schema)
	proxy := startServal(t, s, settings{Schema: schema, Tables: randomRules(tables)})
	t.Cleanup(func() { dropSchema(t, clusters, schema) })
	r := &randomRun{
		serval: oneConn(t, proxy.open(t, "")),
		plain:  oneConn(t, openDB(t, s.Plain(t).Addr(), "")),
		g:      &statements{r: rand.New(source), tables: tables, schema: schema},
		seeds:  map[*randomTable]string{}, why: map[string]int{},
	}
	mustExec(t, r.plain, "DROP DATABASE IF EXISTS "+schema)
	r.both(t, "CREATE DATABASE "+schema)
	r.both(t, "USE "+schema)
	for _, table := range tables {
		r.both(t, table.create())
		r.seeds[table] = r.g.fill(table, 24)
		r.both(t, r.seeds[table])
	}
	return r
}

func (r *randomRun) both(t *testing.T, statement string) {
	t.Helper()
	_, err := r.plain.ExecContext(t.Context(), statement)
	require.NoError(t, err, "plain server: %s", statement)
	_, err = r.serval.ExecContext(t.Context(), statement)
	require.NoError(t, err, "serval: %s", statement)
}

// mode sets the sql_mode of the statements that follow; empty is the server's own.
func (r *randomRun) mode(t *testing.T, mode string) {
	t.Helper()
	if mode == "" {
		r.both(t, "SET SESSION sql_mode = DEFAULT")
	} else {
		r.both(t, "SET SESSION sql_mode = '"+mode+"'")
	}
	r.bends = mode == "NO_BACKSLASH_ESCAPES"
	r.g.ansi = strings.Contains(mode, "ANSI_QUOTES")
}

func (r *randomRun) run(t *testing.T, count int) {
	for range count {
		way := r.g.r.IntN(4)
		r.g.params = way == 3
		var st randomStatement
		if r.g.chance(30) {
			st = r.g.write()
		} else {
			st = r.g.read()
		}
		r.step(t, st, mode{"text", way >= 2, st.sql, st.args})
	}
}

// logRefused tells what is refused most.
func (r *randomRun) logRefused(t *testing.T) {
	reasons := slices.SortedFunc(maps.Keys(r.why), func(a, b string) int { return r.why[b] - r.why[a] })
	for _, why := range reasons[:min(len(reasons), 12)] {
		t.Logf("%4d %s", r.why[why], why)
	}
}

// reason is a refusal's text without the names in it.
func reason(message string) string {
	what, _, _ := strings.Cut(message, ": ")
	return regexp.MustCompile(`expression .*|column .*|table .*|aggregate .*|ordering by .*|ordering groups by .*`).ReplaceAllStringFunc(what,
		func(s string) string { return s[:strings.IndexByte(s, ' ')] + " …" })
}

func (r *randomRun) step(t *testing.T, st randomStatement, m mode) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if len(m.args) > 0 {
		m.prepared = true
	}
	got := observe(ctx, r.serval, m)
	if got.errno == 1235 || st.writes != nil && keyErrors[got.errno] && r.lax(st) {
		r.refused++
		r.why[reason(got.message)]++
		return
	}
	want := observe(ctx, r.plain, m)
	require.NoError(t, ctx.Err(), "no answer within 20 s: %s", m.sql)
	r.compared++
	if want.errno != 0 {
		r.errors++
	}
	diff := st.compare(want, got)
	if st.writes != nil {
		all := "SELECT * FROM " + quoted(st.writes.name)
		if after := compare(all, observe(ctx, r.plain, mode{sql: all}), observe(ctx, r.serval, mode{sql: all})); after != "" {
			diff += "\nafterwards " + after
		}
	}
	if diff != "" {
		r.failed++
		t.Errorf("prepared %v: %s\nargs %v\n%s", m.prepared, m.sql, m.args, diff)
	}
	if st.writes != nil && (diff != "" || r.g.chance(20)) {
		r.both(t, "DELETE FROM "+quoted(st.writes.name))
		r.refill(t, st.writes)
	}
}

// refill puts the first rows back, whatever the sql_mode is.
func (r *randomRun) refill(t *testing.T, table *randomTable) {
	t.Helper()
	for _, conn := range []*sql.Conn{r.plain, r.serval} {
		was := one(t, conn, "SELECT @@sql_mode")
		mustExec(t, conn, "SET SESSION sql_mode = DEFAULT", r.seeds[table], "SET SESSION sql_mode = '"+was+"'")
	}
}

// compare is the other compare with what the statement is known to leave open.
func (st randomStatement) compare(want, got outcome) string {
	rows, gotten := want.rows, got.rows
	want.rows, got.rows = nil, nil
	want.warnings, got.warnings = st.warnings(want.warnings), st.warnings(got.warnings)
	loosen(want.columns)
	loosen(got.columns)
	if st.writes != nil && want.errno != 0 && got.errno != 0 {
		return "" // of several wrong rows any may be told
	}
	if insertHead.MatchString(st.sql) && len(got.warnings) < len(want.warnings) {
		want.warnings, got.warnings = nil, nil // those of one shard
	}
	diff := compare("", want, got)
	if want.errno != got.errno {
		return diff
	}
	if st.folds {
		rows, gotten = foldRows(rows), foldRows(gotten)
	}
	a, b := texts(rows, nil), texts(gotten, nil)
	if st.cut {
		if len(a) != len(b) {
			diff += "\n" + diffRows("number of rows", a, b)
		}
		return diff
	}
	if !st.total {
		a, b = sortedRows(a), sortedRows(b)
	}
	if !slices.Equal(a, b) {
		diff += "\n" + diffRows("rows", a, b)
	}
	return diff
}

// keyErrors are those of a sharding key that does not fit its column; Serval
// never bends one, whatever the sql_mode and IGNORE say.
var keyErrors = map[uint16]bool{1048: true, 1264: true, 1265: true, 1292: true, 1364: true, 1366: true, 1406: true}

func (r *randomRun) lax(st randomStatement) bool {
	return r.bends || strings.Contains(st.sql, "IGNORE")
}

var atRow = regexp.MustCompile(` at row \d+`)

// warnings that both must give: those of INSERT, whose rows are numbered per
// shard. Others depend on the order in which a server tries conditions.
func (st randomStatement) warnings(all []string) []string {
	if st.writes == nil || !insertHead.MatchString(st.sql) {
		return nil
	}
	var out []string
	for _, w := range all {
		out = append(out, atRow.ReplaceAllString(w, ""))
	}
	slices.Sort(out)
	return out
}

var insertHead = regexp.MustCompile(`(?i)^(INSERT|REPLACE)`)

// loosen forgets what servers tell differently of the same expression, by the
// way they choose to run it: NOT NULL of an outer join's columns they find
// empty, the width of numbers.
func loosen(columns []column) {
	for i := range columns {
		c := &columns[i]
		c.nullable, c.precision = true, 0
		switch {
		case c.kind == "INT", c.kind == "YEAR", c.kind == "UNSIGNED INT":
			c.kind = "BIGINT"
		case strings.HasSuffix(c.kind, "TEXT"), c.kind == "SET", c.kind == "ENUM", c.kind == "CHAR":
			c.kind = "VARCHAR"
		}
	}
}
