package executor

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

func TestErrorsSpeakOfLogicalNames(t *testing.T) {
	months := &plan.Rename{Database: "shop", LogicalDatabase: "shop",
		Tables: []plan.TableRename{{Physical: "payment_logs_202611", Logical: "payment_logs"}}}
	hash := &plan.Rename{Database: "shop_3", LogicalDatabase: "shop",
		Tables: []plan.TableRename{{Physical: "users", Logical: "users"}}}
	for _, c := range []struct {
		name   string
		rename *plan.Rename
		msg    string
		want   string
	}{
		{"a missing table", hash, "Table 'shop_3.users' doesn't exist", "Table 'shop.users' doesn't exist"},
		{"a quoted database", hash, "Unknown database 'shop_3'", "Unknown database 'shop'"},
		{"a foreign key", hash, "a foreign key constraint fails (`shop_3`.`orders`, CONSTRAINT `x`)", "a foreign key constraint fails (`shop`.`orders`, CONSTRAINT `x`)"},
		{"a longer name is another name", hash, "Table 'shop_31.users' and 'my_shop_3.users'", "Table 'shop_31.users' and 'my_shop_3.users'"},
		{"a word of a sentence is no name", hash, "no shop_3 here", "no shop_3 here"},
		{"a key's value stays, its name doesn't", months,
			"Duplicate entry 'payment_logs_202611.x' for key 'payment_logs_202611.PRIMARY'",
			"Duplicate entry 'payment_logs_202611.x' for key 'payment_logs.PRIMARY'"},
		{"a column's value stays", hash, "Incorrect integer value: 'shop_3.users' for column `shop_3`.`users`.`id` at row 1",
			"Incorrect integer value: 'shop_3.users' for column `shop`.`users`.`id` at row 1"},
		{"a value that pretends to be a message", hash, "Duplicate entry 'x for key shop_3.y' for key 'users.PRIMARY'",
			"Duplicate entry 'x for key shop_3.y' for key 'users.PRIMARY'"},
		{"a period's table", months, "Table 'shop.payment_logs_202611' doesn't exist", "Table 'shop.payment_logs' doesn't exist"},
		{"a column of it", months, "Unknown column 'payment_logs_202611.x' in 'field list'", "Unknown column 'payment_logs.x' in 'field list'"},
		{"several in one message", hash, "'shop_3.a' and 'shop_3.b'", "'shop.a' and 'shop.b'"},
		{"no rename", nil, "Table 'shop_3.users' doesn't exist", "Table 'shop_3.users' doesn't exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := sqlerr.New(1146, "%s", c.msg).Retryable()
			err := renameError(in, c.rename)
			e := sqlerr.From(err)
			require.Equal(t, c.want, e.Message)
			require.Equal(t, in.Code, e.Code)
			require.Equal(t, in.State, e.State)
			require.True(t, sqlerr.SafeToRetry(err), "whether it may be tried again stays")
		})
	}
	other := errors.New("shop_3.users")
	require.Equal(t, other, renameError(other, hash))
	require.NoError(t, renameError(nil, hash))
}

func TestColumnsSpeakOfLogicalNames(t *testing.T) {
	n := columnNames{rename: &plan.Rename{Database: "shop_3", LogicalDatabase: "shop",
		Tables: []plan.TableRename{{Physical: "logs_1", Logical: "logs"}}}}
	show := func(schema, table, org string) string {
		c := wire.Column{Schema: []byte(schema), Table: []byte(table), OrgTable: []byte(org)}
		n.undo(&c)
		return string(c.Schema) + " " + string(c.Table) + " " + string(c.OrgTable)
	}
	require.Equal(t, "shop logs logs", show("shop_3", "logs_1", "logs_1"))
	require.Equal(t, "shop l logs", show("shop_3", "l", "logs_1"), "an alias stays")
	require.Equal(t, "shop users users", show("shop_3", "users", "users"))
	require.Equal(t, "other x x", show("other", "x", "x"))
	require.Equal(t, "  ", show("", "", ""), "an expression has no table")
}

func TestMariaDBPositionsHaveOneGTIDOfADomain(t *testing.T) {
	require.Equal(t, "0-1-7", joinDomains("0-1-5", "0-1-7"))
	require.Equal(t, "0-2-9", joinDomains("0-2-9", "0-1-7"))
	require.Equal(t, "0-1-5,1-1-3", joinDomains("0-1-5", "1-1-3"))
	require.Equal(t, "0-1-6,1-1-9", joinDomains("0-1-6,1-1-3", "1-1-9,0-1-2"))
}

func TestInfoTextsAreAddedOnlyWhereTheyAreAlike(t *testing.T) {
	info := func(texts ...string) string {
		var oks []*wire.OK
		for _, s := range texts {
			oks = append(oks, &wire.OK{Info: []byte(s)})
		}
		return string(addInfo(oks))
	}
	require.Equal(t, "Rows matched: 11  Changed: 1  Warnings: 0",
		info("Rows matched: 1  Changed: 1  Warnings: 0", "Rows matched: 10  Changed: 0  Warnings: 0"))
	require.Empty(t, info("Records: 1", "Rows matched: 1"))
	require.Empty(t, info("", ""))
	require.Empty(t, info("Records: 1", ""))
}

func TestLabelsOfSubqueriesAreAsTheClientWroteThem(t *testing.T) {
	n := columnNames{rename: &plan.Rename{Database: "shop_3", LogicalDatabase: "shop", Labels: []plan.TableRename{
		{Physical: "`shop_3`.`users` AS `users`", Logical: "shop.users"}, {Physical: "`shop`.`logs_1`", Logical: "logs"},
	}}}
	for _, c := range []struct{ label, want string }{
		{"(SELECT MAX(id) FROM `shop_3`.`users` AS `users` WHERE id = 3)", "(SELECT MAX(id) FROM shop.users WHERE id = 3)"},
		{"EXISTS (SELECT 1 FROM `shop`.`logs_1` l)", "EXISTS (SELECT 1 FROM logs l)"},
		{"`shop_3` + `users`", "`shop_3` + `users`"},
	} {
		col := wire.Column{Name: []byte(c.label)}
		n.undo(&col)
		require.Equal(t, c.want, string(col.Name))
	}
	col := wire.Column{Name: []byte("`shop`.`logs_1`"), OrgTable: []byte("t")}
	n.undo(&col)
	require.Equal(t, "`shop`.`logs_1`", string(col.Name), "a column's own name is no text of an expression")
}
