package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func rowsOf(names []string, rows ...[]string) outcome {
	var o outcome
	for _, n := range names {
		o.columns = append(o.columns, column{name: n, kind: "INT"})
	}
	o.rows = rows
	return o
}

// The comparison itself sees every difference that counts, and no other.
func TestCompare(t *testing.T) {
	names := []string{"a", "b"}
	plain := rowsOf(names, []string{"1", "x"}, []string{"1", "y"}, []string{"2", "z"})
	swapped := rowsOf(names, []string{"1", "y"}, []string{"1", "x"}, []string{"2", "z"})
	reversed := rowsOf(names, []string{"2", "z"}, []string{"1", "y"}, []string{"1", "x"})
	fewer := rowsOf(names, []string{"1", "x"}, []string{"2", "z"})
	twice := rowsOf(names, []string{"1", "x"}, []string{"1", "x"}, []string{"2", "z"})
	renamed := rowsOf([]string{"a", "B"}, plain.rows...)
	for _, c := range []struct {
		name, sql string
		got       outcome
		same      bool
	}{
		{"the same rows", "SELECT a, b FROM t", plain, true},
		{"another order without ORDER BY", "SELECT a, b FROM t", reversed, true},
		{"another order with ORDER BY", "SELECT a, b FROM t ORDER BY a", reversed, false},
		{"rows that tie may change places", "SELECT a, b FROM t ORDER BY a", swapped, true},
		{"but not where the order says which is first", "SELECT a, b FROM t ORDER BY a, b", swapped, false},
		{"an order by something unseen is compared exactly", "SELECT a, b FROM t ORDER BY c", swapped, false},
		{"by position", "SELECT a, b FROM t ORDER BY 1 DESC", reversed, false},
		{"a qualified and quoted key", "SELECT a, b FROM t ORDER BY t.`a` ASC", swapped, true},
		{"a missing row", "SELECT a, b FROM t", fewer, false},
		{"a row twice", "SELECT a, b FROM t", twice, false},
		{"fewer rows under LIMIT", "SELECT a, b FROM t LIMIT 3", fewer, false},
		{"other rows under LIMIT without order", "SELECT a, b FROM t LIMIT 3", twice, true},
		{"ties under LIMIT", "SELECT a, b FROM t ORDER BY a LIMIT 3", twice, true},
		{"an order in a subquery is not the statement's", "SELECT a, b FROM (SELECT a, b FROM t ORDER BY a) x", reversed, true},
		{"ORDER BY NULL is no order", "SELECT a, b FROM t ORDER BY NULL", reversed, true},
		{"another column name", "SELECT a, b FROM t", renamed, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			diff := compare(c.sql, plain, c.got)
			require.Equal(t, c.same, diff == "", "%s", diff)
		})
	}
	for name, got := range map[string]outcome{
		"affected rows":     {affected: 2},
		"last insert id":    {affected: 1, lastID: 5},
		"a warning":         {affected: 1, warnings: []string{"Warning 1265 x"}},
		"an error":          {errno: 1062, message: "duplicate"},
		"a column nullable": {affected: 1, columns: []column{{name: "a", nullable: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			require.NotEmpty(t, compare("INSERT INTO t VALUES (1)", outcome{affected: 1}, got))
		})
	}
}

func TestParameterize(t *testing.T) {
	for _, c := range []struct {
		sql, want string
		args      []any
	}{
		{"SELECT * FROM t WHERE id = 42", "SELECT * FROM t WHERE id = ?", []any{int64(42)}},
		{"SELECT * FROM t WHERE a='it''s' AND b >= -3", "SELECT * FROM t WHERE a=? AND b >= ?", []any{"it's", int64(-3)}},
		{"SELECT * FROM t WHERE a BETWEEN 1 AND 5", "SELECT * FROM t WHERE a BETWEEN ? AND ?", []any{int64(1), int64(5)}},
		{"SELECT * FROM t WHERE p = 1.5", "SELECT * FROM t WHERE p = 1.5", nil},
		{"SELECT * FROM t ORDER BY 1 LIMIT 3", "SELECT * FROM t ORDER BY 1 LIMIT 3", nil},
	} {
		got, args := parameterize(c.sql)
		require.Equal(t, c.want, got)
		require.Equal(t, c.args, args)
	}
}
