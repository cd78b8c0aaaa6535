package integration

import (
	"fmt"
	"strings"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// randomColumn is a column as the generator sees it.
type randomColumn struct {
	name, kind string // kind: the family of literals and expressions that fit
	ddl        string
}

// randomTable is a table of the random statements.
type randomTable struct {
	name, rule string
	columns    []randomColumn
	// unique are the columns that together tell rows apart.
	unique []string
	// key is the sharding column, empty where there is none.
	key string
	// peers are tables of the same shards, by sharding column.
	group string
	// more are definitions behind the primary key; without: there is none.
	more    []string
	without bool
}

func (t *randomTable) column(name string) randomColumn {
	for _, c := range t.columns {
		if c.name == name {
			return c
		}
	}
	panic("no column " + name + " in " + t.name) // a mistake in this file
}

func (t *randomTable) create() string {
	var parts []string
	for _, c := range t.columns {
		parts = append(parts, quoted(c.name)+" "+c.ddl)
	}
	var key []string
	for _, u := range t.unique {
		key = append(key, quoted(u))
	}
	if !t.without {
		parts = append(parts, "PRIMARY KEY ("+strings.Join(key, ", ")+")")
	}
	parts = append(parts, t.more...)
	return "CREATE TABLE " + quoted(t.name) + " (" + strings.Join(parts, ", ") + ") DEFAULT CHARSET=utf8mb4"
}

func quoted(name string) string { return "`" + name + "`" }

// randomTables are tables of every rule, and of key types that are hard to
// place: collated text, decimals, times, 64 bits without sign.
func randomTables(e mysqlproc.Engine, shards int) []*randomTable {
	ai := "utf8mb4_0900_ai_ci"
	if e == mysqlproc.MariaDB {
		ai = "utf8mb4_unicode_ci"
	}
	varchar := func(collation string) string {
		return "VARCHAR(20) CHARACTER SET " + collation[:strings.IndexByte(collation, '_')] + " COLLATE " + collation
	}
	hash := func(column string) string {
		return fmt.Sprintf("{shard: hash(%s), shards: %d, on: [c0, c1]}", column, shards)
	}
	tables := []*randomTable{
		{name: "vals", rule: hash("id"), key: "id", group: "id", unique: []string{"id"}, columns: []randomColumn{
			{"id", "int", "INT NOT NULL"},
			{"i", "int", "INT"},
			{"bu", "unsigned", "BIGINT UNSIGNED"},
			{"d", "decimal", "DECIMAL(12,3)"},
			{"db", "double", "DOUBLE"},
			{"ai", "text", varchar(ai)},
			{"gc", "text", varchar("utf8mb4_general_ci")},
			{"bn", "text", varchar("utf8mb4_bin")},
			{"l1", "text", varchar("latin1_swedish_ci")},
			{"vb", "bytes", "VARBINARY(10)"},
			{"dt", "date", "DATE"},
			{"ts", "datetime", "DATETIME(3)"},
			{"tm", "time", "TIME"},
			{"yr", "year", "YEAR"},
			{"en", "enum", "ENUM('zeta','alpha','Mid')"},
			{"st", "set", "SET('z','a','m')"},
			{"bt", "bit", "BIT(8)"},
			{"tx", "text", "TEXT CHARACTER SET utf8mb4"},
			{"ff", "double", "FLOAT"},
			{"ub", "text", varchar("utf8mb4_unicode_ci")},
		}},
		{name: "peers", rule: hash("id"), key: "id", group: "id", unique: []string{"id", "n"}, columns: []randomColumn{
			{"id", "int", "INT NOT NULL"},
			{"n", "int", "INT NOT NULL"},
			{"s", "text", varchar(ai)},
			{"v", "decimal", "DECIMAL(10,2) DEFAULT '1.50'"},
		}},
		{name: "glob", rule: "{global: true, on: [c0, c1]}", unique: []string{"id"}, columns: []randomColumn{
			{"id", "int", "INT NOT NULL"},
			{"s", "text", varchar("utf8mb4_general_ci")},
			{"d", "decimal", "DECIMAL(12,3)"},
		}},
		{name: "whole", unique: []string{"id"}, columns: []randomColumn{
			{"id", "int", "INT NOT NULL"},
			{"s", "text", varchar("utf8mb4_bin")},
			{"dt", "date", "DATE"},
		}},
		{name: "logs", rule: "{shard: month(at), on: [c0, c1], from: 2026-09, ahead: 1}", key: "at", unique: []string{"id", "at"}, columns: []randomColumn{
			{"id", "int", "INT NOT NULL"},
			{"at", "datetime", "DATETIME NOT NULL"},
			{"s", "text", varchar(ai)},
			{"d", "decimal", "DECIMAL(12,3)"},
		}},
	}
	tables = append(tables, randomKeyTables(hash, varchar, ai)...)
	return tables
}

// randomKeyTables have one key column k of each type, under names that are
// hard to quote.
func randomKeyTables(hash, varchar func(string) string, ai string) []*randomTable {
	keys := []struct{ table, kind, ddl string }{
		{"order", "text", varchar(ai)},
		{"Select", "text", varchar("utf8mb4_general_ci")},
		{"my table", "text", varchar("utf8mb4_bin")},
		{"MixedCase", "text", varchar("latin1_swedish_ci")},
		{"a-b", "bytes", "VARBINARY(10)"},
		{"decs", "decimal", "DECIMAL(8,2)"},
		{"times", "datetime", "DATETIME"},
		{"days", "date", "DATE"},
		{"wide", "unsigned", "BIGINT UNSIGNED"},
		{"chars", "text", strings.Replace(varchar("utf8mb4_general_ci"), "VARCHAR(20)", "CHAR(10)", 1)},
		{"tiny", "int", "TINYINT"},
	}
	var out []*randomTable
	for _, k := range keys {
		out = append(out, &randomTable{name: k.table, rule: hash("k"), key: "k", unique: []string{"n"}, columns: []randomColumn{
			{"k", k.kind, k.ddl},
			{"n", "int", "INT NOT NULL"},
			{"group", "text", varchar("utf8mb4_general_ci")},
			{"d", "decimal", "DECIMAL(12,3)"},
		}})
		out[len(out)-1].unique = []string{"k", "n"}
	}
	return out
}

// randomRules are the lines below `tables:`.
func randomRules(tables []*randomTable) string {
	var b strings.Builder
	for _, t := range tables {
		if t.rule != "" {
			fmt.Fprintf(&b, "%q: %s\n", t.name, t.rule)
		}
	}
	return b.String()
}
