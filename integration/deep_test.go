package integration

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// TestRandomQueries runs random queries of every shape on Serval and on one
// plain server and compares what a client can see; those that differ are made
// smaller before they are shown. What Serval refuses is counted by reason.
// SERVAL_RANDOM_SEED and SERVAL_RANDOM_COUNT ask for others.
func TestRandomQueries(t *testing.T) {
	seed, count := randomSeed(t, 300)
	eachEngine(t, func(t *testing.T, s *serverSet) {
		d := newDeepRun(t, s, 4+4*int(seed%2), seed)
		phases := []func(*testing.T){
			func(*testing.T) {},
			d.inTransaction,
			func(t *testing.T) { d.both(t, "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'") },
			func(t *testing.T) {
				d.both(t, "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ANSI_QUOTES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH'")
			},
		}
		for _, d.phase = range phases {
			d.phase(t)
			for range count / len(phases) {
				d.step(t)
			}
			d.both(t, "ROLLBACK")
			d.both(t, "SET SESSION sql_mode = DEFAULT")
		}
		t.Logf("seed %d: %d queries compared (%d with an error on both sides), %d refused, %d differ, %d fail within the plain server, in %d the plain server contradicts itself",
			seed, d.compared, d.errors, d.refused, d.failed, d.crashed, d.contradictions)
		d.report(t)
	})
}

type deepRun struct {
	serval, plain *sql.Conn
	server        *mysqlproc.Server // the plain one
	g             *deep
	phase         func(*testing.T)

	compared, errors, refused, failed, crashed, contradictions int

	why      map[string]int
	example  map[string]string // the shortest query of a reason
	failures map[string]int    // errors on both sides
}

func newDeepRun(t *testing.T, s *serverSet, shards int, seed uint64) *deepRun {
	t.Helper()
	const schema = "deep"
	clusters := s.Clusters(t)
	dropSchema(t, clusters, schema)
	g := &deep{engine: s.engine, tables: deepSchema(s.engine, shards), r: rand.New(rand.NewPCG(seed, 7))}
	proxy := startServal(t, s, settings{Schema: schema, Tables: deepRules(g.tables)})
	t.Cleanup(func() { dropSchema(t, clusters, schema) })
	d := &deepRun{
		serval: oneConn(t, proxy.open(t, "")), plain: oneConn(t, openDB(t, s.Plain(t).Addr(), "")), server: s.Plain(t), g: g,
		why: map[string]int{}, example: map[string]string{}, failures: map[string]int{},
	}
	mustExec(t, d.plain, "DROP DATABASE IF EXISTS "+schema, slowest[s.engine])
	d.both(t, "CREATE DATABASE "+schema)
	d.both(t, "USE "+schema)
	for _, table := range g.tables {
		d.both(t, table.create())
		d.both(t, g.fill(table, 1, 18))
	}
	s.sync(t)
	return d
}

func (d *deepRun) both(t *testing.T, statement string) {
	t.Helper()
	_, err := d.plain.ExecContext(t.Context(), statement)
	require.NoError(t, err, "plain server: %s", statement)
	_, err = d.serval.ExecContext(t.Context(), statement)
	require.NoError(t, err, "serval: %s", statement)
}

// inTransaction opens one with changes that nobody else sees.
func (d *deepRun) inTransaction(t *testing.T) {
	d.both(t, "START TRANSACTION")
	for _, table := range d.g.tables {
		d.both(t, d.g.fill(table, 101, 4))
	}
	for _, statement := range []string{
		"UPDATE acct SET i = i + 1, ai = 'mine' WHERE id % 3 = 0", "DELETE FROM line WHERE n % 4 = 1", "UPDATE names SET gc = NULL WHERE i > 2",
		"DELETE FROM logs WHERE n > 15", "UPDATE away SET dt = '2026-10-15' WHERE id < 5", "UPDATE homey SET i = NULL WHERE id > 10", "UPDATE glob SET d = 9.125 WHERE id IN (2, 3)",
	} {
		d.both(t, statement)
	}
}

// step makes one statement and compares it.
func (d *deepRun) step(t *testing.T) {
	way := d.g.r.IntN(4)
	d.g.again = false
	st := d.g.statement(way == 3)
	made := slices.Clone(d.g.made)
	outcome, diff := d.try(t, st, way >= 2)
	switch outcome {
	case refusedQuery:
		d.refused++
		why := head(diff)
		d.why[why]++
		if old := d.example[why]; old == "" || len(st.sql) < len(old) {
			d.example[why] = st.sql
		}
	case differs:
		d.failed++
		small, diff := d.shrink(t, made, st, way, diff)
		t.Errorf("prepared %v: %s\nargs %v\n%s", way >= 2, small.sql, small.args, diff)
	case failsAlike:
		d.errors++
		d.failures[diff]++
		d.compared++
	case crashes:
		d.crashed++
	case contradicted:
		d.contradictions++
		t.Logf("the plain server contradicts itself in %s\n%v", st.sql, st.args)
	case agrees:
		d.compared++
	}
}

type verdict int

const (
	agrees verdict = iota
	failsAlike
	refusedQuery
	differs
	crashes
	contradicted
)

const (
	lostServer   = 65535 // observe's number for what is no server's error
	brokenServer = 1030  // the storage engine's error within a query: "Wrong index given to function"
)

// outOfTime are the errors of a query that took the plain server longer than
// slowest: some join six tables on nothing.
var outOfTime = map[uint16]bool{3024: true, 1969: true}

// slowest is what one query may take on the plain server, by the engine's own setting.
var slowest = map[mysqlproc.Engine]string{
	mysqlproc.MySQL:   "SET SESSION max_execution_time = 8000",
	mysqlproc.MariaDB: "SET SESSION max_statement_time = 8",
}

// contradicts: by another way of running or writing the same query the plain
// server gives Serval's answer. An optimizer's switches are not to change one,
// nor whether a CTE has a name; so the server has a defect there (MySQL 9.7:
// semijoins within outer joins, an INTERSECT named twice) and its first answer
// says nothing. Serval's own servers are not asked: a wrong answer of
// theirs is one that its clients get.
func (d *deepRun) contradicts(ctx context.Context, t *testing.T, st deepStatement, m mode, other outcome) bool {
	t.Helper()
	side := d.plain
	for _, way := range otherWays {
		name, _, _ := strings.Cut(way, " =")
		if _, err := side.ExecContext(ctx, "SET SESSION "+way); err != nil {
			continue // the other engine's
		}
		same := st.compare(observe(ctx, side, m), other) == ""
		mustExec(t, side, "SET SESSION "+name+" = DEFAULT")
		if same {
			return true
		}
	}
	again := d.inlined()
	again.sequence, again.cut = st.sequence, st.cut
	return again.sql != st.sql && again.compare(observe(ctx, side, mode{m.name, m.prepared, again.sql, again.args}), other) == ""
}

// inlined is the last statement made, with its CTEs where they are named.
func (d *deepRun) inlined() deepStatement {
	g := *d.g
	g.again, g.replay, g.inline = true, slices.Clone(d.g.made), true
	return g.statement(d.g.params)
}

// otherWays are settings under which a server runs a query in another way.
var otherWays = []string{
	"optimizer_switch = 'semijoin=off,materialization=off'", "optimizer_switch = 'semijoin=off'", "optimizer_switch = 'materialization=off'",
	"optimizer_switch = 'derived_merge=off'", "optimizer_switch = 'derived_condition_pushdown=off'", "optimizer_switch = 'hash_set_operations=off'",
	"optimizer_switch = 'hash_join=off,block_nested_loop=off'", "optimizer_switch = 'condition_fanout_filter=off'",
	"optimizer_search_depth = 1", "internal_tmp_mem_storage_engine = MEMORY", "join_cache_level = 0",
}

// crash starts the plain server again, which a query has ended: it is not tried
// on Serval's servers, whose program is the same.
func (d *deepRun) crash(t *testing.T, st deepStatement) {
	t.Helper()
	t.Logf("the plain server crashes with %s\n%v", st.sql, st.args)
	require.NoError(t, d.server.Restart(t.Context()))
	d.plain = oneConn(t, openDB(t, d.server.Addr(), ""))
	mustExec(t, d.plain, "USE deep", slowest[d.g.engine])
	d.both(t, "ROLLBACK")
	d.both(t, "SET SESSION sql_mode = DEFAULT")
	d.phase(t)
}

// try compares one statement.
func (d *deepRun) try(t *testing.T, st deepStatement, prepared bool) (verdict, string) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	m := mode{"text", prepared || len(st.args) > 0, st.sql, st.args}
	want := observe(ctx, d.plain, m)
	if want.errno == lostServer {
		d.crash(t, st)
		return crashes, ""
	}
	if want.errno == brokenServer || outOfTime[want.errno] {
		return crashes, ""
	}
	got := observe(ctx, d.serval, m)
	require.NoError(t, ctx.Err(), "no answer within a minute: %s", st.sql)
	if got.errno == 1235 && want.errno != 1235 {
		if want.errno != 0 {
			return failsAlike, want.message
		}
		return refusedQuery, got.message
	}
	if diff := st.compare(want, got); diff != "" {
		if d.contradicts(ctx, t, st, m, got) {
			return contradicted, ""
		}
		return differs, diff
	}
	if want.errno != 0 {
		return failsAlike, fmt.Sprint(want.errno, " ", want.message)
	}
	return agrees, ""
}

// compare says how the answers differ, with what the statement leaves open.
func (st deepStatement) compare(want, got outcome) string {
	rows, gotten := want.rows, got.rows
	want.rows, got.rows, want.warnings, got.warnings = nil, nil, nil, nil
	loosen(want.columns)
	loosen(got.columns)
	diff := compare("", want, got)
	if want.errno != got.errno {
		return diff
	}
	rows, gotten = st.normal(rows, gotten)
	a, b := texts(rows, nil), texts(gotten, nil)
	if st.cut {
		if len(a) != len(b) {
			diff += "\n" + diffRows("number of rows", a, b)
		}
		return diff
	}
	if !st.sequence {
		a, b = sortedRows(a), sortedRows(b)
	}
	if !slices.Equal(a, b) {
		diff += "\n" + diffRows("rows", a, b)
	}
	return diff
}

// normal makes values that may be shown in several ways the same.
func (st deepStatement) normal(want, got [][]string) (a, b [][]string) {
	for _, row := range want {
		a = append(a, st.normalRow(row))
	}
	for i, row := range got {
		row = st.normalRow(row)
		for j, c := range st.cols {
			if c.show == rounded && i < len(a) && j < len(row) && near(a[i][j], row[j]) {
				row[j] = a[i][j]
			}
		}
		b = append(b, row)
	}
	return a, b
}

func (st deepStatement) normalRow(row []string) []string {
	row = slices.Clone(row)
	for j, c := range st.cols {
		if j >= len(row) || row[j] == null {
			continue
		}
		switch {
		case c.show == rounded:
			row[j] = significant(row[j])
		case c.show == listed && len(row[j]) >= longestConcat:
			row[j] = "cut off"
		case c.show == listed:
			parts := strings.Split(row[j], ",")
			slices.Sort(parts)
			row[j] = strings.Join(parts, ",")
		case c.show == jsonList:
			row[j] = sortedArray(row[j])
		case c.fuzzy || c.k == kText && st.sequence && !st.exact:
			row[j] = folded.Replace(strings.ToLower(row[j]))
		}
	}
	return row
}

// longestConcat is group_concat_max_len, at which a list in no order has any end.
const longestConcat = 1024

// significant is a float without the digits that depend on the order of rows.
func significant(text string) string {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	if math.Abs(f) < 1e-9 {
		f = 0
	}
	return strconv.FormatFloat(f, 'g', 9, 64)
}

// near: two floats that differ in their last digits only.
func near(a, b string) bool {
	x, err := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err == nil && err2 == nil && math.Abs(x-y) <= 1e-8*max(math.Abs(x), math.Abs(y))
}

func sortedArray(text string) string {
	var all []json.RawMessage
	if json.Unmarshal([]byte(text), &all) != nil {
		return text
	}
	slices.SortFunc(all, func(a, b json.RawMessage) int { return strings.Compare(string(a), string(b)) })
	return fmt.Sprintf("%s", all)
}

// shrink chooses less as long as the answers differ.
func (d *deepRun) shrink(t *testing.T, made []int, st deepStatement, way int, diff string) (deepStatement, string) {
	d.g.again = true
	defer func() { d.g.again = false }()
	tries := 0
	for size := len(made); size > 0; size /= 2 {
		for at := 0; at < len(made) && tries < 600; {
			smaller := false
			for _, candidate := range [][]int{slices.Concat(made[:at], made[min(at+size, len(made)):]), zeroed(made, at, size)} {
				d.g.replay = candidate
				other := d.g.statement(way == 3)
				if len(other.sql) >= len(st.sql) {
					continue
				}
				tries++
				if v, less := d.try(t, other, way >= 2); v == differs {
					made, st, diff, smaller = slices.Clone(d.g.made), other, less, true
					break
				}
			}
			if !smaller {
				at += size
			}
		}
	}
	return st, diff
}

func zeroed(made []int, at, size int) []int {
	out := slices.Clone(made)
	for i := at; i < min(at+size, len(out)); i++ {
		out[i] = 0
	}
	return out
}

// report tells what is refused and what fails, the most frequent first.
func (d *deepRun) report(t *testing.T) {
	for _, why := range most(d.why) {
		t.Logf("refused %4d %s\n    %s", d.why[why], why, d.example[why])
	}
	for _, why := range most(d.failures) {
		t.Logf("errors %4d %s", d.failures[why], head(why))
	}
}

func most(counts map[string]int) []string {
	all := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return counts[b] - counts[a] })
	return all[:min(len(all), 25)]
}
