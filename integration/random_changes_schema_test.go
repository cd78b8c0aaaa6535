package integration

import (
	"fmt"
	"strings"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// made is the beginning of a generated column's kind.
const made = "made "

// changedTables are tables of every rule and column type for random changes.
func changedTables(e mysqlproc.Engine) []*randomTable {
	ai := "utf8mb4_0900_ai_ci"
	if e == mysqlproc.MariaDB {
		ai = "utf8mb4_unicode_ci"
	}
	text := func(n int, collation string) string {
		return fmt.Sprintf("VARCHAR(%d) CHARACTER SET %s COLLATE %s", n, collation[:strings.IndexByte(collation, '_')], collation)
	}
	hash := func(column string) string { return "{shard: hash(" + column + "), shards: 4, on: [c0, c1]}" }
	tables := []*randomTable{
		{name: "acc", rule: hash("id"), key: "id", group: "id", unique: []string{"id"}, more: []string{"KEY (name)"}, columns: []randomColumn{
			{"id", "int", "INT NOT NULL"},
			{"name", "text", text(20, ai)},
			{"bal", "decimal", "DECIMAL(12,3) NOT NULL DEFAULT '0.500'"},
			{"i", "int", "SMALLINT DEFAULT 3"},
			{"bu", "unsigned", "BIGINT UNSIGNED"},
			{"db", "double", "DOUBLE"},
			{"en", "enum", "ENUM('zeta','alpha','Mid') DEFAULT 'alpha'"},
			{"st", "set", "SET('z','a','m')"},
			{"js", "json", "JSON"},
			{"bt", "bit", "BIT(8)"},
			{"dt", "date", "DATE"},
			{"ts", "datetime", "DATETIME(3)"},
			{"tm", "time", "TIME"},
			{"yr", "year", "YEAR"},
			{"l1", "text", text(12, "latin1_swedish_ci")},
			{"tx", "text", "TEXT CHARACTER SET utf8mb4"},
			{"vb", "bytes", "VARBINARY(10)"},
			{"gs", made + "text", "VARCHAR(40) AS (CONCAT(COALESCE(tx, '-'), ':', id)) STORED"},
			{"gv", made + "int", "INT AS (i * 2) VIRTUAL"},
		}},
		{name: "items", rule: hash("acc_id"), key: "acc_id", group: "id", unique: []string{"acc_id", "n"}, more: []string{"UNIQUE KEY byc (acc_id, code)", "KEY (v)"}, columns: []randomColumn{
			{"acc_id", "int", "INT NOT NULL"},
			{"n", "int", "INT NOT NULL"},
			{"code", "text", text(8, "utf8mb4_general_ci")},
			{"v", "int", "INT DEFAULT 7"},
			{"price", "decimal", "DECIMAL(8,2)"},
			{"at", "datetime", "DATETIME DEFAULT CURRENT_TIMESTAMP"},
			{"en", "enum", "ENUM('zeta','alpha','Mid')"},
		}},
		{name: "byname", rule: hash("k"), key: "k", unique: []string{"k"}, columns: []randomColumn{
			{"k", "text", text(20, ai) + " NOT NULL"},
			{"ct", "int", "INT NOT NULL DEFAULT 0"},
			{"note", "text", text(10, "utf8mb4_bin") + " DEFAULT 'none'"},
			{"dt", "date", "DATE"},
			{"js", "json", "JSON"},
		}},
		{name: "gl", rule: "{global: true, on: [c0, c1]}", unique: []string{"id"}, more: []string{"UNIQUE KEY (s)"}, columns: []randomColumn{
			{"id", "int", "INT NOT NULL"},
			{"s", "text", text(20, "utf8mb4_general_ci")},
			{"d", "decimal", "DECIMAL(12,3)"},
			{"en", "enum", "ENUM('zeta','alpha','Mid') NOT NULL DEFAULT 'zeta'"},
		}},
		{name: "home", unique: []string{"id"}, more: []string{"UNIQUE KEY (u)"}, columns: []randomColumn{
			{"id", "int", "INT NOT NULL"},
			{"s", "text", text(20, "utf8mb4_bin")},
			{"u", "int", "INT"},
			{"dt", "date", "DATE DEFAULT '2026-10-01'"},
			{"db", "double", "DOUBLE"},
		}},
		{name: "away", rule: "{on: c1}", unique: []string{"id"}, columns: []randomColumn{
			{"id", "int", "INT NOT NULL"},
			{"s", "text", text(10, ai)},
			{"d", "decimal", "DECIMAL(12,3)"},
			{"i", "int", "TINYINT"},
			{"gv", made + "decimal", "DECIMAL(14,3) AS (d + 1) STORED"},
		}},
		{name: "logs", rule: "{shard: month(at), on: [c0, c1], from: 2026-09, ahead: 1}", key: "at", unique: []string{"id", "at"}, columns: []randomColumn{
			{"id", "int", "INT NOT NULL"},
			{"at", "datetime", "DATETIME NOT NULL"},
			{"s", "text", text(20, ai)},
			{"d", "decimal", "DECIMAL(12,3)"},
			{"st", "set", "SET('z','a','m') DEFAULT 'z'"},
		}},
		{name: "stamps", rule: hash("id"), key: "id", unique: []string{"id"}, columns: []randomColumn{
			{"id", "int", "INT NOT NULL"},
			{"v", "int", "INT"},
			{"up", "datetime", "TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"},
			{"born", "datetime", "DATETIME DEFAULT CURRENT_TIMESTAMP"},
		}},
		{name: "bare", rule: hash("id"), key: "id", unique: []string{"id", "v"}, without: true, columns: []randomColumn{
			{"id", "int", "INT"},
			{"v", "int", "INT"},
			{"s", "text", text(12, ai)},
		}},
	}
	for _, k := range []struct{ table, kind, ddl string }{
		{"decs", "decimal", "DECIMAL(8,2)"},
		{"days", "date", "DATE"},
		{"wide", "unsigned", "BIGINT UNSIGNED"},
		{"bytes", "bytes", "VARBINARY(10)"},
		{"my chars", "text", strings.Replace(text(10, "utf8mb4_general_ci"), "VARCHAR", "CHAR", 1)},
	} {
		tables = append(tables, &randomTable{name: k.table, rule: hash("k"), key: "k", unique: []string{"k", "n"}, columns: []randomColumn{
			{"n", "int", "INT NOT NULL"},
			{"k", k.kind, k.ddl + " NOT NULL"},
			{"group", "text", text(20, "utf8mb4_general_ci")},
			{"v", "int", "INT DEFAULT '1'"},
		}})
	}
	return tables
}

// writable are the columns that are not generated.
func (t *randomTable) writable() []randomColumn {
	var out []randomColumn
	for _, c := range t.columns {
		if !strings.HasPrefix(c.kind, made) {
			out = append(out, c)
		}
	}
	return out
}

// plainly are the columns that are neither generated nor in the primary key or
// the sharding key.
func (t *randomTable) plainly() []randomColumn {
	var out []randomColumn
	for _, c := range t.writable() {
		if !t.isUnique(c.name) && c.name != t.key {
			out = append(out, c)
		}
	}
	return out
}

func (t *randomTable) isUnique(column string) bool {
	for _, u := range t.unique {
		if u == column {
			return true
		}
	}
	return false
}
