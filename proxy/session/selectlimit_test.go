package session

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLimitedText(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"behind the query":               {"SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a LIMIT 2 "},
		"before a comment and the end":   {"SELECT a FROM t -- all\n;", "SELECT a FROM t LIMIT 2  -- all\n;"},
		"before what locks":              {"SELECT a FROM t FOR UPDATE SKIP LOCKED", "SELECT a FROM t  LIMIT 2 FOR UPDATE SKIP LOCKED"},
		"before the older way to lock":   {"SELECT a FROM t LOCK IN SHARE MODE", "SELECT a FROM t  LIMIT 2 LOCK IN SHARE MODE"},
		"a hint for joins locks nothing": {"SELECT a FROM t USE INDEX FOR JOIN (k)", "SELECT a FROM t USE INDEX FOR JOIN (k) LIMIT 2 "},
		"behind a union":                 {"(SELECT 1 LIMIT 5) UNION (SELECT 2)", "(SELECT 1 LIMIT 5) UNION (SELECT 2) LIMIT 2 "},
		"behind WITH":                    {"WITH x AS (SELECT a FROM t LIMIT 9) SELECT * FROM x", "WITH x AS (SELECT a FROM t LIMIT 9) SELECT * FROM x LIMIT 2 "},
		"a table":                        {"TABLE t", "TABLE t LIMIT 2 "},
		"one of its own counts":          {"SELECT a FROM t LIMIT 7", "SELECT a FROM t LIMIT 7"},
		"variables take one row":         {"SELECT a FROM t INTO @x", "SELECT a FROM t INTO @x"},
		"not in a subquery":              {"SELECT a FROM (SELECT a FROM t LIMIT 7) x", "SELECT a FROM (SELECT a FROM t LIMIT 7) x LIMIT 2 "},
		"no table":                       {"SELECT @@sql_select_limit", ""},
		"an INSERT":                      {"INSERT INTO t SELECT a FROM u", ""},
		"an UPDATE behind WITH":          {"WITH x AS (SELECT 1) UPDATE t SET a = (SELECT 1 FROM x)", ""},
		"a DELETE":                       {"DELETE FROM t", ""},
		"a call":                         {"CALL p()", ""},
		"nothing":                        {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok, err := limitedText(tc.text, "2", 0)
			require.NoError(t, err)
			require.Equal(t, tc.want != "", ok)
			require.Equal(t, tc.want, got)
		})
	}
	_, _, err := limitedText("(SELECT a FROM t LIMIT 7)", "2", 0)
	require.ErrorContains(t, err, "whether it has a LIMIT of its own")
}
