package integration

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRandomStaged runs random writes that Serval has to read first on Serval
// and on one plain server, within transactions too, and compares what a client
// can see and the tables afterwards. SERVAL_RANDOM_SEED and
// SERVAL_RANDOM_COUNT ask for others.
func TestRandomStaged(t *testing.T) {
	seed, count := randomSeed(t, 240)
	eachEngine(t, func(t *testing.T, s *serverSet) {
		r := newRandomRun(t, s, "rndstaged", 4, seed)
		for _, mode := range []string{"", "ANSI_QUOTES,STRICT_TRANS_TABLES", "NO_BACKSLASH_ESCAPES", "STRICT_ALL_TABLES,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO"} {
			r.mode(t, mode)
			r.runStaged(t, count/4)
		}
		t.Logf("seed %d: %d statements compared (%d with an error on both sides, %d keys that only a plain server meets), %d refused, %d differ",
			seed, r.compared, r.errors, r.lenient, r.refused, r.failed)
		r.logRefused(t)
		require.Less(t, r.refused*3, r.compared, "more than a quarter of the statements are refused")
	})
}

func (r *randomRun) runStaged(t *testing.T, count int) {
	open := false
	for n := range count {
		if !open && r.g.chance(10) {
			r.both(t, "BEGIN")
			open = true
		}
		way := r.g.r.IntN(4)
		r.g.params = way == 3
		st := r.g.staged()
		same := r.stepStaged(t, st, mode{"text", way >= 2, st.sql, st.args})
		switch {
		case open && (!same || r.g.chance(30) || n == count-1):
			if end := pick(r.g, "COMMIT", "ROLLBACK"); same {
				r.both(t, end)
			} else {
				r.both(t, "ROLLBACK")
			}
			open = false
			r.sameTables(t, "the end of the transaction", r.g.tables)
		case n%50 == 49:
			r.sameTables(t, st.sql, r.g.tables)
		}
		if !open && (!same || r.g.chance(12)) {
			r.both(t, "DELETE FROM "+quoted(st.writes.name))
			r.refill(t, st.writes)
		}
	}
}

// stepStaged runs one statement on both; false: the tables may differ now, or
// the transaction is not what it was.
func (r *randomRun) stepStaged(t *testing.T, st randomStatement, m mode) bool {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	m.prepared = m.prepared || len(m.args) > 0
	got := observe(ctx, r.serval, m)
	if got.errno == 1235 || keyErrors[got.errno] && r.lax(st) {
		r.refused++
		r.why[reason(got.message)]++
		return true
	}
	want := observe(ctx, r.plain, m)
	require.NoError(t, ctx.Err(), "no answer within 30 s: %s", m.sql)
	r.compared++
	if want.errno != 0 {
		r.errors++
	}
	if got.errno == 0 && (want.errno == 1062 && strings.HasPrefix(st.sql, "UPDATE") || want.errno == 1093) {
		r.lenient++ // row after row a key is taken that all together leave free; or it reads what it writes
		return false
	}
	if ofValue[want.errno] && got.errno == 0 || ofValue[got.errno] && want.errno == 0 {
		r.lenient++ // a strict mode is so with the rows a server happens to look at
		return false
	}
	if !strings.Contains(st.sql, "SELECT") {
		want.warnings, got.warnings = nil, nil // nothing is read first
	}
	diff := compareStaged(st, want, got)
	if diff != "" {
		r.failed++
		t.Errorf("prepared %v: %s\nargs %v\n%s", m.prepared, m.sql, m.args, diff)
	}
	return r.sameTables(t, m.sql, []*randomTable{st.writes}) && diff == ""
}

// sameTables compares whole tables.
func (r *randomRun) sameTables(t *testing.T, after string, tables []*randomTable) bool {
	same := true
	for _, table := range tables {
		all := "SELECT * FROM " + quoted(table.name)
		plain := observe(t.Context(), r.plain, mode{sql: all})
		if diff := compare(all, plain, observe(t.Context(), r.serval, mode{sql: all})); diff != "" {
			r.failed++
			t.Errorf("%s\nafterwards %s has\n%s", after, table.name, diff)
			r.both(t, "DELETE FROM "+quoted(table.name))
			r.refill(t, table)
			same = false
		}
	}
	return same
}

// compareStaged compares two answers to a write. Of errors the kind is enough:
// of several wrong rows any may be told. Of warnings, what is told and how
// often, since rows are numbered in each write anew.
func compareStaged(st randomStatement, want, got outcome) string {
	if want.errno != 0 && got.errno != 0 {
		return ""
	}
	want.warnings, got.warnings = toCompare(want.warnings), toCompare(got.warnings)
	if strings.HasPrefix(st.sql, "UPDATE") && strings.Contains(st.sql, " AS oth") {
		want.warnings, got.warnings = nil, nil // a row that is joined often is converted as often
	}
	return compare("", want, got)
}

// toCompare are the warnings that both must give: not those of conditions, which
// depend on the order in which a server looks at rows, nor those of a
// statement's text.
func toCompare(all []string) []string {
	var out []string
	for _, w := range all {
		if !strings.Contains(w, "Truncated incorrect") && !ofText.MatchString(w) {
			out = append(out, ofRow.ReplaceAllString(w, ""))
		}
	}
	slices.Sort(out)
	return out
}

// ofValue are the errors of a condition with a value that is none of its type.
var ofValue = map[uint16]bool{1292: true, 1366: true}

var ofText = regexp.MustCompile(`^Warning (1287|3719|3720|3778) |Incorrect \w+ value: '[^']*' for column`)

var ofRow = regexp.MustCompile(` at row \d+|'[^']*' for key.*`)
