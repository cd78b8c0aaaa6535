package parser

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWriteSpans(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"UPDATE LOW_PRIORITY IGNORE t SET a = 1, b = f(a, 2) + (SELECT MAX(x) FROM u WHERE y = 1 LIMIT 1) WHERE c = 3 ORDER BY d LIMIT 4",
			"tables=t values=?|f(a, ?) + (SELECT MAX(x) FROM u WHERE y = ? LIMIT ?) where=WHERE c = ? order=ORDER BY d limit=LIMIT ?"},
		{"WITH q AS (SELECT 1 AS n) UPDATE t JOIN q ON t.a = q.n SET t.b = DEFAULT",
			"with=WITH q AS (SELECT ? AS n) tables=t JOIN q ON t.a = q.n values=DEFAULT"},
		{"UPDATE t USE INDEX FOR ORDER BY (k) SET a = b = c", "tables=t USE INDEX FOR ORDER BY (k) values=b = c"},
		{"DELETE FROM t WHERE a = 1 LIMIT 5", "tables=t where=WHERE a = ? limit=LIMIT ?"},
		{"DELETE QUICK a, b.* FROM t AS a JOIN b USING (id) WHERE a.x = 1", "tables=t AS a JOIN b USING (id) where=WHERE a.x = ?"},
		{"DELETE FROM a USING t AS a JOIN b USING (id)", "tables=t AS a JOIN b USING (id)"},
		{"INSERT INTO t (a, b) SELECT x, y FROM u JOIN v ON u.i = v.i ON DUPLICATE KEY UPDATE a = VALUES(a)",
			"query=SELECT x, y FROM u JOIN v ON u.i = v.i dup=ON DUPLICATE KEY UPDATE a = VALUES(a)"},
		{"INSERT INTO t SET a = (SELECT 1), t.b = x = 2 ON DUPLICATE KEY UPDATE a = 1",
			"values=(SELECT ?)|x = ? query=SET a = (SELECT ?), t.b = x = ? dup=ON DUPLICATE KEY UPDATE a = ?"},
		{"INSERT INTO t VALUES ROW(1, f(a, 2)), ROW(DEFAULT, (SELECT 3)) ON DUPLICATE KEY UPDATE a = 1",
			"rows=?,f(a, ?)|DEFAULT,(SELECT ?) query=VALUES ROW(?, f(a, ?)), ROW(DEFAULT, (SELECT ?)) dup=ON DUPLICATE KEY UPDATE a = ?"},
		{"REPLACE t (SELECT x FROM u)", "query=(SELECT x FROM u)"},
		{"INSERT IGNORE INTO s.t WITH q AS (SELECT 1) SELECT * FROM q", "query=WITH q AS (SELECT ?) SELECT * FROM q"},
		{"INSERT INTO t (a) SELECT x FROM u UNION ALL (SELECT y FROM v LIMIT 3)", "query=SELECT x FROM u UNION ALL (SELECT y FROM v LIMIT ?)"},
	} {
		t.Run(c.sql, func(t *testing.T) {
			st := Parse([]byte(c.sql), Options{})
			require.NotNil(t, st.Node)
			w, err := st.WriteSpans()
			require.NoError(t, err)
			var got []string
			add := func(name string, s Span) {
				if !s.Empty() {
					got = append(got, name+"="+st.Text[s.Start:s.End])
				}
			}
			add("with", w.With)
			add("tables", w.Tables)
			var values []string
			for _, v := range w.Values {
				values = append(values, st.Text[v.Start:v.End])
			}
			if values != nil {
				got = append(got, "values="+strings.Join(values, "|"))
			}
			add("where", w.Where)
			add("order", w.OrderBy)
			add("limit", w.Limit)
			var rows []string
			for _, r := range w.Rows {
				var row []string
				for _, v := range r {
					row = append(row, st.Text[v.Start:v.End])
				}
				rows = append(rows, strings.Join(row, ","))
			}
			if rows != nil {
				got = append(got, "rows="+strings.Join(rows, "|"))
			}
			add("query", w.Query)
			add("dup", w.OnDuplicate)
			require.Equal(t, c.want, strings.Join(got, " "))
		})
	}
}
