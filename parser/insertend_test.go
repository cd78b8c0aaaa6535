package parser

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatStandsBehindAnInsert(t *testing.T) {
	for _, c := range []struct {
		name, sql, alias string
		columns          []string
		returning        string
		wordy            bool
	}{
		{name: "the row's name", sql: "INSERT INTO t (a) VALUES (1), (2) AS new ON DUPLICATE KEY UPDATE a = new.a", alias: "new"},
		{name: "names of its columns", sql: "INSERT INTO t VALUES (1, 2) AS `n``w` (x, `y`) ON DUPLICATE KEY UPDATE a = y", alias: "n`w", columns: []string{"x", "y"}},
		{name: "behind SET", sql: "INSERT INTO t SET a = 1 AS new", alias: "new"},
		{name: "no alias of a column in a query", sql: "INSERT INTO t SELECT a AS new FROM u ON DUPLICATE KEY UPDATE a = 1"},
		{name: "RETURNING", sql: "DELETE FROM t WHERE a = 1 RETURNING a, t.b AS c, s.t.d", returning: "RETURNING a, t.b AS c, s.t.d"},
		{name: "a label with a table's name", sql: "INSERT INTO t VALUES (1) RETURNING t.a + 1", returning: "RETURNING t.a + 1", wordy: true},
		{name: "a word that is no clause", sql: "INSERT INTO t (returning) VALUES (1)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := Parse([]byte(c.sql), Options{})
			require.NotNil(t, st.Node, "%v", st.Why)
			if a := st.RowAlias(); c.alias != "" {
				require.Equal(t, RowAlias{Span: a.Span, Name: c.alias, Columns: c.columns}, *a)
				require.Regexp(t, "^AS ", st.Text[a.Start:a.End])
			} else {
				require.Nil(t, a)
			}
			at, wordy := st.Returning()
			require.Equal(t, c.wordy, wordy)
			require.Equal(t, len(c.returning) > 0, !at.Empty())
			_, err := st.Spans()
			require.NoError(t, err)
		})
	}
	for name, sql := range map[string]string{
		"a query within RETURNING":    "DELETE FROM t RETURNING (SELECT a FROM u)",
		"a name where none may be":    "INSERT INTO t VALUES (1) AS new WHERE a",
		"an unfinished list of names": "INSERT INTO t VALUES (1) AS new (a,",
	} {
		t.Run(name+" is not read", func(t *testing.T) { require.Nil(t, Parse([]byte(sql), Options{}).Node) })
	}
}
