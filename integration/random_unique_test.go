package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// TestRandomChangesOfUniqueKeys is TestRandomChanges over tables with unique keys
// that do not have the sharding column; the lookup tables are compared with them,
// too.
func TestRandomChangesOfUniqueKeys(t *testing.T) {
	seed, count := randomSeed(t, 240)
	eachEngine(t, func(t *testing.T, s *serverSet) {
		r := newChangesRun(t, s, seed, "uchg", uniqueChangedTables(s.engine))
		r.check = r.keptAlike
		r.modes(t, seed, count)
	})
}

// overShards are the keys that are kept over the shards, by table.
var overShards = map[string][]string{
	"acc": {"name, i"}, "items": {"code, v", "price"}, "byname": {"note, ct"}, "logs": {"s, d"}, "stamps": {"v"}, "days": {"v, n"}, "my chars": {"n, group"},
}

func uniqueChangedTables(e mysqlproc.Engine) []*randomTable {
	var out []*randomTable
	for _, t := range changedTables(e) {
		if t.without {
			continue
		}
		for _, key := range overShards[t.name] {
			t.more = append(t.more, "UNIQUE KEY `over "+key+"` (`"+strings.ReplaceAll(key, ", ", "`, `")+"`)")
		}
		if keys := overShards[t.name]; keys != nil {
			t.rule = strings.TrimSuffix(t.rule, "}") + ", unique: [[" + strings.Join(keys, "], [") + "]]}"
		}
		out = append(out, t)
	}
	return out
}

// keptAlike: each lookup table has just the values that its table has.
func (r *changesRun) keptAlike(t *testing.T, after string, tables []*randomTable) {
	t.Helper()
	c := r.serval[r.at]
	for _, table := range tables {
		for _, key := range overShards[table.name] {
			columns := "`" + strings.ReplaceAll(key, ", ", "`, `") + "`"
			lookup := allRows(t, c, "SELECT /*+ SERVAL(primary) */ "+columns+", `"+table.key+"` FROM `serval_unique_"+table.name+"_"+strings.ReplaceAll(key, ", ", "_")+"`")
			rows := allRows(t, c, "SELECT /*+ SERVAL(primary) */ "+columns+", `"+table.key+"` FROM `"+table.name+"` WHERE "+strings.ReplaceAll(columns, ",", " IS NOT NULL AND ")+" IS NOT NULL")
			require.ElementsMatch(t, rows, lookup, "%s by %s after %s", table.name, key, after)
		}
	}
}
