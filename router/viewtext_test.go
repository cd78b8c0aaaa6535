package router

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

func TestAServersTextBecomesADefinition(t *testing.T) {
	for _, c := range []struct {
		why, server string
		columns     []string
		definition  string
		literals    bool
	}{
		{"the view's column names are put in",
			"select `serval_scratch_0`.`users`.`id` AS `id`,count(0) AS `COUNT(*)` from `serval_scratch_0`.`users` group by `serval_scratch_0`.`users`.`id`",
			[]string{"a", "b"}, "select `users`.`id` AS `a`,count(0) AS `b` from `shop`.`users` group by `users`.`id`", false},
		{"MySQL qualifies the aliases of views",
			"select `serval_scratch_1`.`a`.`id` AS `id` from `serval_scratch_1`.`adults` `a`", []string{"id"},
			"select `a`.`id` AS `id` from `other`.`adults` `a`", false},
		{"tables that differ in their schema alone keep it",
			"select `serval_scratch_0`.`t`.`id` AS `id` from (`serval_scratch_0`.`t` join `serval_scratch_1`.`t` on((`serval_scratch_0`.`t`.`id` = `serval_scratch_1`.`t`.`id`)))",
			[]string{"id"}, "select `shop`.`t`.`id` AS `id` from (`shop`.`t` join `other`.`t` on((`shop`.`t`.`id` = `other`.`t`.`id`)))", false},
		{"a string is no name, and one beside a column has its collation",
			"select `u`.`id` AS `id` from `serval_scratch_0`.`users` `u` where ((`u`.`name` = '`serval_scratch_0`.') or (`u`.`name` like 'it\\'s%'))",
			[]string{"id"},
			"select `u`.`id` AS `id` from `shop`.`users` `u` where ((`u`.`name` = '`serval_scratch_0`.') or (`u`.`name` like 'it\\'s%'))", false},
		{"a string of its own has the connection's",
			"select 'x' AS `x` from `serval_scratch_0`.`users`", []string{"x"}, "select 'x' AS `x` from `shop`.`users`", true},
		{"a date is no text",
			"select DATE'2020-01-01' AS `d` from `serval_scratch_0`.`users`", []string{"d"}, "select DATE'2020-01-01' AS `d` from `shop`.`users`", false},
		{"an order is kept by a limit",
			"select `users`.`id` AS `id` from `serval_scratch_0`.`users` order by `users`.`name`", []string{"id"},
			"select `users`.`id` AS `id` from `shop`.`users` order by `users`.`name` LIMIT 18446744073709551615", false},
		{"of a set operation it is the first SELECT that names the columns",
			"select `users`.`id` AS `id` from `serval_scratch_0`.`users` union select 1 AS `1`", []string{"n"},
			"select `users`.`id` AS `n` from `shop`.`users` union select 1 AS `1`", false},
		{"behind a CTE too",
			"with c as (select `serval_scratch_0`.`users`.`id` AS `id` from `serval_scratch_0`.`users`)select `c`.`id` AS `id` from `c`", []string{"n"},
			"with c as (select `users`.`id` AS `id` from `shop`.`users`)select `c`.`id` AS `n` from `c`", false},
	} {
		got, err := NewViewText("v", c.server, []string{"shop", "other"}, c.columns)
		require.NoError(t, err, c.why)
		require.Equal(t, c.definition, got.Definition, c.why)
		require.Equal(t, c.literals, got.Literals, c.why)
	}
	_, err := NewViewText("v", "select 1 AS `1`", nil, []string{"a", "b"})
	require.ErrorContains(t, err, "Serval refuses the view v", "another number of columns")
	_, err = NewViewText("v", "select from", nil, nil)
	require.ErrorContains(t, err, "Serval refuses the view v", "no SELECT")
}

func TestInformationSchemaHasRowsOfViewsByTheirPresentNames(t *testing.T) {
	all := func(*catalog.View) bool { return true }
	rows := viewRows(shop(t), "columns", []string{"TABLE_SCHEMA", "TABLE_NAME", "COLUMN_NAME", "ORDINAL_POSITION", "EXTRA"}, all)
	require.Equal(t, "SELECT 'other' AS `TABLE_SCHEMA`, 'adults' AS `TABLE_NAME`, 'id' AS `COLUMN_NAME`, 1 AS `ORDINAL_POSITION`, NULL AS `EXTRA`", rows[0])
	require.Empty(t, viewRows(shop(t), "STATISTICS", []string{"TABLE_NAME"}, all))
}

func TestViewsOfAStatementAreFoundThroughViews(t *testing.T) {
	views, tables := Through(shop(t), "other", parser.Parse([]byte("SELECT 1 FROM rich"), parser.Options{}))
	require.Len(t, views, 3)
	require.Equal(t, []parser.TableName{{Schema: "other", Table: "adults"}, {Schema: "other", Table: "spent"}, {Schema: "shop", Table: "users"}, {Schema: "shop", Table: "orders"}}, tables)
}

func TestAViewWhoseTableOrColumnIsGoneIsInvalid(t *testing.T) {
	const invalid = "ERROR 1356 (HY000): View 'other.adults' references invalid table(s) or column(s) or function(s) or definer/invoker of view lack rights to use them"
	cat := shop(t)
	users := cat.Schemas["shop"].Tables["users"]
	columns := users.Columns
	for _, c := range []struct {
		why  string
		keep int
		ok   bool
	}{{"all are there", len(columns), true}, {"age is not", len(columns) - 1, false}, {"the table is not", 0, false}} {
		users.Columns = columns[:c.keep]
		_, _, err := planText(t, cat, "other", "SELECT name FROM rich WHERE id = 7")
		if c.ok {
			require.NoError(t, err, c.why)
		} else {
			require.EqualError(t, err, invalid, c.why)
		}
	}
}

func TestViewsAreRenamedInTheirRows(t *testing.T) {
	p, b, err := planText(t, shop(t), "other", "RENAME TABLE adults TO grown, best TO other.better")
	require.NoError(t, err)
	require.Equal(t, `Sequence
├─ Route one cluster=c0 target=primary
│    UPDATE serval_meta.views SET view_name = 'grown' WHERE schema_name = 'other' AND view_name = 'adults'
├─ Route one cluster=c0 target=primary
│    UPDATE serval_meta.views SET view_name = 'better' WHERE schema_name = 'other' AND view_name = 'best'
└─ Route one cluster=c0 target=primary
     DO 0
changes: serval_meta.views
`, plan.Format(p, b)+notes(p))
}

func TestAColumnsNameWithValuesNeedsThemInTheText(t *testing.T) {
	sql := []byte("SELECT (SELECT MAX(n) FROM other.regions) + 1 FROM users")
	_, err := Plan(shop(t), "shop", parser.Parse(sql, parser.Options{}))
	require.ErrorIs(t, err, ErrLabel)
	p, err := Plan(shop(t), "shop", parser.ParseLiterally(sql, parser.Options{}))
	require.NoError(t, err)
	require.Contains(t, plan.Format(p, nil), " AS `(SELECT MAX(n) FROM other.regions) + 1` FROM")
}
