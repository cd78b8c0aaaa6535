package parser

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHeadsOfViewsAreRead(t *testing.T) {
	for _, c := range []struct {
		sql, body string
		want      ViewHead
	}{
		{"CREATE VIEW v AS SELECT 1", "SELECT 1", ViewHead{Name: TableName{Table: "v"}}},
		{"create or replace algorithm = merge definer = `a`@`%` sql security invoker view s.v (a, `b c`) as select * from t with local check option",
			"select * from t", ViewHead{Name: TableName{"s", "v"}, Replace: true, Columns: []string{"a", "b c"},
				Algorithm: "MERGE", Definer: "`a`@`%`", Security: "INVOKER", Check: "LOCAL"}},
		{"ALTER VIEW v AS (SELECT 1) WITH CHECK OPTION", "(SELECT 1)", ViewHead{Name: TableName{Table: "v"}, Alter: true, Check: "CASCADED"}},
		{"CREATE VIEW IF NOT EXISTS v AS SELECT 1", "SELECT 1", ViewHead{Name: TableName{Table: "v"}, IfNotExists: true}},
		{`/*!50001 CREATE VIEW v AS select 'it\'s' AS "a" */`, `select 'it\'s' AS "a"`, ViewHead{Name: TableName{Table: "v"}}},
		{"/*!50001 CREATE ALGORITHM=UNDEFINED */ /*!50013 DEFINER=`a`@`%` SQL SECURITY DEFINER */ /*!50001 VIEW `v` AS select 1 AS `1` from `t` */",
			"select 1 AS `1` from `t`", ViewHead{Name: TableName{Table: "v"}, Algorithm: "UNDEFINED", Definer: "`a`@`%`", Security: "DEFINER"}},
	} {
		st := Parse([]byte(c.sql), Options{})
		h := st.View()
		require.NotNil(t, h, c.sql)
		require.Equal(t, c.body, st.Slice(h.Body), c.sql)
		h.Body = Span{}
		require.Equal(t, c.want, *h, c.sql)
	}
	for _, sql := range []string{"CREATE TABLE v (a INT)", "SELECT 1", "CREATE VIEW", "ALTER TABLE v ADD a INT", "CREATE VIEW v AS", "DROP VIEW v"} {
		require.Nil(t, Parse([]byte(sql), Options{}).View(), sql)
	}
}

func TestTablesOfAViewAreKnownWithoutItsHead(t *testing.T) {
	st := Parse([]byte("ALTER VIEW v AS SELECT u.id, s.t.c FROM users u JOIN s.t ON s.t.id = u.id"), Options{})
	require.Nil(t, st.Node)
	require.Equal(t, KindDDL, st.Kind)
	require.Equal(t, []TableName{{Table: "v"}, {Table: "users"}, {"s", "t"}}, st.Tables)
}

func TestARewrittenStatementKeepsItsValues(t *testing.T) {
	st := Parse([]byte("SELECT a, 'x' FROM v WHERE b = 7 AND c IN (SELECT c FROM v)"), Options{})
	sp, err := st.Spans()
	require.NoError(t, err)
	var edits []Edit
	for _, table := range sp.Tables {
		edits = append(edits, Edit{table.Span, "(SELECT * FROM t WHERE d = 'y?') AS v"})
	}
	got, err := st.Rewritten(edits)
	require.NoError(t, err)
	const view = "(SELECT * FROM t WHERE d = 'y?') AS v"
	require.Equal(t, "SELECT a, ? FROM "+view+" WHERE b = ? AND c IN (SELECT c FROM "+view+")", got.Text)
	require.Equal(t, []TableName{{Table: "t"}, {Table: "t"}}, got.Tables)
	require.Len(t, got.Markers, 2)
	for i, m := range got.Markers {
		require.Equal(t, byte('?'), got.Text[m.Offset])
		require.Equal(t, i, m.Value)
	}
	require.Equal(t, []TableName{{Table: "v"}, {Table: "v"}}, st.Tables, "the statement itself stays")

	part, err := got.Part(Span{got.Markers[1].Offset - 20, got.Markers[1].Offset + 1})
	require.Error(t, err)
	require.Nil(t, part)
	_, err = st.Rewritten([]Edit{{sp.Tables[0].Span, "("}})
	require.Error(t, err)
}

func TestTheEndOfACommentInAStringIsInDoubt(t *testing.T) {
	for _, sql := range []string{"/*!50001 CREATE VIEW v AS select 'a */ b' */", `/*!50001 CREATE VIEW v AS select 'a\' */ b' */`} {
		require.Nil(t, Parse([]byte(sql), Options{}).Node, sql)
		require.Nil(t, Parse([]byte(sql), Options{}).View(), sql)
	}
	require.Nil(t, Parse([]byte(`/*!50001 CREATE VIEW v AS select 'it\'s' AS a */`), Options{Mode: NoBackslashEscapes}).View())
}

func TestLiteralsStayWhereTheyAreAskedTo(t *testing.T) {
	st := ParseLiterally([]byte("SELECT 'a', 2 FROM t WHERE b = ?"), Options{})
	require.Equal(t, "SELECT 'a', 2 FROM t WHERE b = ?", st.Text)
	require.False(t, st.Params)
	require.Equal(t, []Marker{{Offset: len(st.Text) - 1, Value: 2}}, st.Markers)
	require.True(t, ParseLiterally([]byte("SELECT a FROM t"), Options{}).Params)
}
