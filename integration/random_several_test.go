package integration

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRandomSeveral runs random UPDATEs and DELETEs of two tables of any rules
// on Serval and on one plain server, and compares counts and both tables.
// SERVAL_RANDOM_SEED and SERVAL_RANDOM_COUNT ask for others.
func TestRandomSeveral(t *testing.T) {
	seed, count := randomSeed(t, 100)
	eachEngine(t, func(t *testing.T, s *serverSet) {
		r := newRandomRun(t, s, "rndseveral", 4, seed)
		for n := range count {
			st, other := r.g.several()
			if r.stepStaged(t, st, mode{"text", n%3 == 0, st.sql, nil}) {
				r.sameTables(t, st.sql, []*randomTable{other})
			}
			for _, table := range []*randomTable{st.writes, other} {
				r.both(t, "DELETE FROM "+quoted(table.name))
				r.refill(t, table)
			}
		}
		t.Logf("seed %d: %d statements compared (%d with an error on both sides, %d keys that only a plain server meets), %d refused, %d differ",
			seed, r.compared, r.errors, r.lenient, r.refused, r.failed)
		r.logRefused(t)
	})
}

// several writes two tables. What is assigned is of the row itself or constant,
// and not what rows are found by: else it depends on how a server joins.
func (g *statements) several() (randomStatement, *randomTable) {
	var text string
	var a, b source
	for where := false; !where || b.table.name == "oth"; {
		text, a, b, where = g.joined(pick(g, g.tables...))
	}
	st := randomStatement{writes: a.table}
	if g.chance(30) {
		text += " AND " + g.atom([]source{b})
	}
	if g.chance(40) {
		st.sql = pick(g, "DELETE tgt, oth FROM ", "DELETE FROM oth, tgt USING ") + text
		return st, b.table
	}
	sets := g.free(text, a)
	if more := g.free(text, b); g.chance(80) || len(sets) == 0 {
		sets = append(sets, more...)
	}
	if len(sets) == 0 {
		return g.several()
	}
	g.r.Shuffle(len(sets), func(i, j int) { sets[i], sets[j] = sets[j], sets[i] })
	st.sql = "UPDATE " + text + " SET " + strings.Join(sets, ", ")
	return st, b.table
}

// free assigns a column of s that text does not name, if there is one.
func (g *statements) free(text string, s source) []string {
	var out []randomColumn
	for _, c := range s.table.columns {
		if key := c.name == s.table.key || slices.Contains(s.table.unique, c.name); !key && !regexp.MustCompile(`\b`+regexp.QuoteMeta(c.name)+`\b`).MatchString(text) {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil
	}
	c := pick(g, out...)
	return []string{g.ref(s, c.name) + " = " + g.valueFor(c, s)}
}
