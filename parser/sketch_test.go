package parser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sketched prints the references: ! for certain, + for aliased.
func sketched(t *testing.T, sql string) string {
	t.Helper()
	k, err := Parse([]byte(sql), Options{}).Sketch()
	require.NoError(t, err)
	var out []string
	for _, r := range k.References {
		s := strings.TrimPrefix(r.Name.Schema+"."+r.Name.Table, ".")
		if r.Certain {
			s += "!"
		}
		if r.Aliased {
			s += "+"
		}
		if !r.Keyword.Empty() {
			s = sql[r.Keyword.Start:r.Keyword.End] + " " + s
		}
		out = append(out, s)
	}
	if len(k.CTEs) > 0 {
		out = append(out, fmt.Sprint("ctes ", k.CTEs))
	}
	for _, d := range k.Definitions {
		text := "defines " + sql[d.Name.Start:d.Name.End] + "=" + sql[d.Body.Start:d.Body.End]
		if d.Chooses {
			text += " chosen"
		}
		if d.Whole {
			text += " whole"
		}
		out = append(out, text)
	}
	if len(k.Lists) > 0 {
		out = append(out, fmt.Sprint("lists ", k.Lists))
	}
	if k.OuterJoin && k.Semijoin {
		out = append(out, "semijoin by outer join")
	}
	if k.Needs != "" {
		out = append(out, "needs "+k.Needs)
	}
	return strings.Join(out, " ")
}

func TestSketchFindsWhereATableMayBe(t *testing.T) {
	for sql, want := range map[string]string{
		"TABLE t":                                                                    "TABLE t!",
		"TABLE s.t ORDER BY a, b LIMIT 1":                                            "TABLE s.t!",
		"SELECT a, b FROM t, s.u x, `v` AS y":                                        "t! s.u!+ v!+",
		"SELECT a FROM t JOIN u ON t.a = u.b, v":                                     "t! u! v!",
		"SELECT a FROM t LEFT JOIN u USING (a, b)":                                   "t! u!",
		"SELECT a FROM (t, u) JOIN (v) ON 1":                                         "t u v",
		"SELECT a FROM t FETCH FIRST 2 ROWS ONLY":                                    "t!",
		"SELECT EXTRACT(YEAR FROM c) FROM t":                                         "c t!",
		"SELECT TRIM('x' FROM c), d FROM t":                                          "c t!",
		"SELECT * FROM {OJ t LEFT JOIN u ON 1}":                                      "t! u!",
		"SELECT * FROM JSON_TABLE(t.d, '$') j, t":                                    "t!",
		"SELECT (SELECT 1 FROM u, v), a FROM t":                                      "u! v! t!",
		"(SELECT a FROM t) EXCEPT TABLE u":                                           "t! TABLE u!",
		"SELECT STRAIGHT_JOIN a FROM t STRAIGHT_JOIN u":                              "t! u!",
		"WITH c (x, y) AS (SELECT 1 FROM t), d AS (TABLE u) SELECT * FROM c, d":      "t! TABLE u! c! d! ctes [c d] defines c=(SELECT 1 FROM t) defines d=(TABLE u)",
		"SELECT a FROM t, LATERAL (SELECT 1 FROM u) l":                               "t! u!",
		"SELECT a, b INTO @x, @y FROM t, u":                                          "t! u!",
		"SELECT a FROM t INTO @x, @y":                                                "t!",
		"SELECT a FROM t /*! JOIN u */":                                              "t u",
		"SELECT a FROM t FOR SYSTEM_TIME ALL, s.u":                                   "t! s.u! needs a table's history",
		"SELECT a FROM t USE INDEX (x)":                                              "t! needs an index by its name",
		"SELECT MATCH (a) AGAINST ('x') FROM t":                                      "t! lists [against] needs a full-text index",
		"SELECT a FROM t PARTITION (p0)":                                             "t! needs a partition by its name",
		"SELECT RANK() OVER (PARTITION BY a, b) FROM t":                              "t!",
		"SELECT a FROM (TABLE t) AS u (x) JOIN v":                                    "TABLE t! v! lists [u]",
		"WITH c AS (SELECT 1 FROM t LIMIT 1) SELECT a FROM c GROUP BY a WITH ROLLUP": "t! c! ctes [c] defines c=(SELECT 1 FROM t LIMIT 1) whole",
		"WITH c AS (SELECT 1 FROM t, u LIMIT 1) SELECT a FROM c":                     "t! u! c! ctes [c] defines c=(SELECT 1 FROM t, u LIMIT 1) chosen whole",
		"WITH c AS (SELECT RANK() OVER (ORDER BY a) FROM t, u) SELECT a FROM c":      "t! u! c! ctes [c] defines c=(SELECT RANK() OVER (ORDER BY a) FROM t, u) whole",
		"WITH c AS (SELECT a FROM t, (SELECT DISTINCT b FROM u) v WHERE b IN (SELECT MAX(b) FROM u)) SELECT a FROM c": "t! u! u! c! ctes [c] defines c=(SELECT a FROM t, (SELECT DISTINCT b FROM u) v WHERE b IN (SELECT MAX(b) FROM u))",
		"WITH c AS (SELECT IFNULL(MAX(a), (SELECT 1)) FROM t), d AS (SELECT 1 UNION SELECT 2) SELECT a FROM c, d":     "t! c! d! ctes [c d] defines c=(SELECT IFNULL(MAX(a), (SELECT 1)) FROM t) whole defines d=(SELECT 1 UNION SELECT 2) whole",
		"WITH c AS (SELECT LAG(a) OVER w FROM t JOIN u) SELECT a FROM c":                                              "t! u! c! ctes [c] defines c=(SELECT LAG(a) OVER w FROM t JOIN u) chosen whole",
		"WITH c AS (TABLE t), d AS (SELECT 1 FROM c LIMIT 1) SELECT a FROM d":                                         "TABLE t! c! d! ctes [c d] defines c=(TABLE t) defines d=(SELECT 1 FROM c LIMIT 1) chosen whole",
		"WITH c AS (WITH d AS (SELECT 1 FROM t) SELECT 2 FROM d) SELECT a FROM c":                                     "t! d! c! ctes [c d]",
		"WITH c AS (SELECT 1 FROM t": "t! ctes [c]",
		"WITH":                       "",
		"WITH RECURSIVE":             "",
		"WITH c":                     "",
		"WITH c AS (SELECT 1), ":     "ctes [c]",
		"SELECT 1 FROM t LEFT JOIN u ON a IN (SELECT 1 FROM v)":   "t! u! v! semijoin by outer join",
		"SELECT 1 FROM t RIGHT OUTER JOIN u ON a = ANY (TABLE v)": "t! u! TABLE v! semijoin by outer join",
		"SELECT LEFT(a, 1) FROM t WHERE EXISTS (SELECT 1 FROM v)": "t! v!",
		"SELECT 1 FROM t LEFT JOIN u ON a IN (1, 2)":              "t! u!",
		"SELECT a FROM mysql.user":                                "mysql.user! needs mysql",
		"SELECT a FROM t GROUP BY a, b HAVING a ORDER BY a, b":    "t!",
	} {
		require.Equal(t, want, sketched(t, sql), sql)
	}
}

// TestSketchMissesNoTable: what TiDB's parser says is a table is among the
// references.
func TestSketchMissesNoTable(t *testing.T) {
	for _, sql := range statements(t) {
		s := Parse([]byte(sql), Options{})
		if s.Node == nil || s.Kind != KindSelect || s.Facts().Sequence {
			continue
		}
		k, err := s.Sketch()
		require.NoError(t, err)
		have := map[TableName]bool{}
		for _, r := range k.References {
			have[r.Name] = true
		}
		for _, n := range s.Tables {
			require.True(t, have[n], "%v in %s", n, sql)
		}
	}
}
