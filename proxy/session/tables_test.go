package session

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/parser"
)

func TestAQualifierOfAnUnreadQueryIsNoSchema(t *testing.T) {
	const unread = ", JSON_TABLE('[1]', '$[*]' COLUMNS (x INT PATH '$')) j"
	for sql, want := range map[string][]parser.TableName{
		"SELECT u.id FROM users u" + unread:                {{Table: "users"}},
		"SELECT u.id FROM users u, mysql.user" + unread:    {{Table: "users"}, {Schema: "mysql", Table: "user"}},
		"SELECT 1 FROM a JOIN (TABLE b.c) d ON 1" + unread: {{Table: "a"}, {Schema: "b", Table: "c"}},
	} {
		st := parser.Parse([]byte(sql), parser.Options{})
		require.Nil(t, st.Node, sql)
		require.Equal(t, want, tablesOf(st), sql)
	}
}
