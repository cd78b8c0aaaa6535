package integration

import (
	"fmt"
	"slices"
	"strings"
)

// changer makes random changes of every kind. What it makes leaves no choice
// to a server: where the order of rows matters the statement gives one, and a
// row that is joined more than once gets values of its own only.
type changer struct {
	*statements
	maria bool
}

// change is a random statement that writes.
type change struct {
	sql  string
	args []any
	// writes are the tables that may be other ones afterwards.
	writes []*randomTable
	// returns: it gives rows.
	returns bool
}

// computed is an expression of a kind without columns.
func (g *changer) computed(kind string) string {
	switch kind {
	case "int":
		return pick(g.statements, "20 + 7", "7 * 3", "ABS(-15)", "LENGTH('abc')", "YEAR('2026-10-01') - 2020", "7.0", "5 DIV 2", "@n", "@n + 1", "COALESCE(NULL, 4)")
	case "unsigned":
		return pick(g.statements, "1 + 1", "~0", "CAST(7 AS UNSIGNED)", "@n", "1 << 40")
	case "decimal":
		return pick(g.statements, "1.5 * 3", "1 / 3", "ROUND(2.555, 2)", "@n * 1.5", "-(1.25)", "CAST('3.5' AS DECIMAL(5,1))")
	case "double":
		return pick(g.statements, "1e0 / 3", "SQRT(2)", "PI()", "1 / 7", "@n")
	case "date":
		return pick(g.statements, "'2026-10-01' + INTERVAL 1 DAY", "CURDATE()", "LAST_DAY('2026-09-01')", "DATE('2026-11-05 12:00:00')", "CAST('2026-12-01' AS DATE)", "20261101")
	case "datetime":
		return pick(g.statements, "NOW()", "CURRENT_TIMESTAMP", "DATE_ADD('2026-10-31 23:59:59', INTERVAL 1 SECOND)", "TIMESTAMP('2026-11-01', '10:00:00')", "DATE'2026-10-02'", "20261101101010")
	case "time":
		return pick(g.statements, "SEC_TO_TIME(3600)", "MAKETIME(1, 2, 3)", "ADDTIME('01:00:00', '00:30:00')", "'11:12'", "101112")
	case "year":
		return pick(g.statements, "2000 + 26", "YEAR('2026-10-01')", "'2030'")
	case "json":
		return pick(g.statements, "JSON_OBJECT('a', 1 + 1)", "JSON_ARRAY(1, 'x', NULL)", "JSON_QUOTE('y')", "JSON_MERGE_PATCH('{\"a\": 1}', '{\"c\": 2.50}')")
	case "enum":
		return pick(g.statements, "CONCAT('al', 'pha')", "2", "1 + 2", "'MID'", "LOWER('ZETA')")
	case "set":
		return pick(g.statements, "3", "CONCAT('a', ',', 'm')", "1 | 4", "'Z'")
	case "bit":
		return pick(g.statements, "5 + 1", "b'1' | 4", "x'41'")
	case "bytes":
		return pick(g.statements, "UNHEX('6100')", "CONCAT('a', 'b')", "CAST('q' AS BINARY)", "UNHEX('FF')", "REVERSE('ab')")
	}
	return pick(g.statements, "CONCAT('a', 'b')", "UPPER('q')", "LEFT('zoë', 2)", "HEX(10)", "@s", "CONCAT(@s, '!')", "REPEAT('x', 3)", "NULLIF('a', 'b')", "7 + 1", "TRIM(' t ')", "CAST(1.50 AS CHAR)")
}

// from is an expression over the column v of a kind.
func (g *changer) from(kind, v string) string {
	switch kind {
	case "int":
		return pick(g.statements, v+" + 1", v+" * 2", v+" - 1", "-"+v, "IFNULL("+v+", 0) + 1", v+" DIV 2", "IF("+v+" > 3, 0, "+v+")", "CASE WHEN "+v+" IS NULL THEN 9 ELSE "+v+" END", v+" % 3", "GREATEST("+v+", 2)")
	case "unsigned":
		return pick(g.statements, v+" >> 1", v+" | 1", v+" & 255", "IFNULL("+v+", 5)", v+" DIV 3")
	case "decimal":
		return pick(g.statements, v+" + 1.5", v+" * 1.1", v+" / 3", "ROUND("+v+")", "-"+v, "COALESCE("+v+", 0) + 1", "TRUNCATE("+v+", 1)")
	case "double":
		return pick(g.statements, v+" * 2", v+" / 3", "IFNULL("+v+", 1)", "ROUND("+v+", 1)", "-"+v)
	case "date":
		return pick(g.statements, v+" + INTERVAL 1 DAY", "DATE_ADD("+v+", INTERVAL 1 MONTH)", "LAST_DAY("+v+")", "COALESCE("+v+", '2026-10-10')", v)
	case "datetime":
		return pick(g.statements, v+" + INTERVAL 90 MINUTE", "DATE_SUB("+v+", INTERVAL 1 DAY)", "DATE("+v+")", "COALESCE("+v+", NOW())", v)
	case "time":
		return pick(g.statements, "ADDTIME("+v+", '01:00:00')", "IFNULL("+v+", '01:02:03')", "TIMEDIFF("+v+", '00:00:01')", v)
	case "year":
		return pick(g.statements, v+" - 1", "IFNULL("+v+", 2000)", v)
	case "json":
		return pick(g.statements, "JSON_SET("+v+", '$.z', 1)", "JSON_REMOVE("+v+", '$.a')", "COALESCE("+v+", JSON_OBJECT())", "JSON_ARRAY("+v+")", v)
	case "enum":
		return pick(g.statements, "IF("+v+" = 'zeta', 'Mid', "+v+")", v+" + 0", "LOWER("+v+")", v)
	case "set":
		return pick(g.statements, "CONCAT_WS(',', "+v+", 'z')", v+" | 2", v+" + 0", v)
	case "bit":
		return pick(g.statements, v+" | 1", v+" ^ 3", "IFNULL("+v+", 2)", v+" + 0")
	case "bytes":
		return pick(g.statements, "CONCAT("+v+", 'x')", "REVERSE("+v+")", "LEFT("+v+", 1)", v)
	}
	return pick(g.statements, "CONCAT("+v+", 'x')", "UPPER("+v+")", "LEFT("+v+", 2)", "REVERSE("+v+")", "REPLACE("+v+", 'a', 'b')", "TRIM("+v+")", "COALESCE("+v+", 'none')", "CONCAT(LENGTH("+v+"), '')", "LOWER("+v+")")
}

// alike are the columns of t of a kind.
func alike(t *randomTable, kind string) []randomColumn {
	var out []randomColumn
	for _, c := range t.columns {
		if strings.TrimPrefix(c.kind, made) == kind {
			out = append(out, c)
		}
	}
	return out
}

// other is a table that is not one of those.
func (g *changer) other(not ...*randomTable) *randomTable {
	t := pick(g.statements, g.tables...)
	for slices.Contains(not, t) {
		t = pick(g.statements, g.tables...)
	}
	return t
}

// scalar is a subquery of a kind that reads none of those tables.
func (g *changer) scalar(kind string, not ...*randomTable) string {
	o := g.other(not...)
	from := " FROM " + g.name(o.name) + " AS sv"
	s := source{o, "sv"}
	if same := alike(o, kind); len(same) > 0 && kind != "json" {
		v := g.ref(s, pick(g.statements, same...).name)
		switch g.r.IntN(3) {
		case 0:
			if kind != "text" && kind != "enum" && kind != "set" && kind != "bit" && kind != "bytes" { // of equal texts any may be the greatest
				return "(SELECT " + pick(g.statements, "MIN", "MAX") + "(" + v + ")" + from + g.unparametrized(func() string { return g.filter(s) }) + ")"
			}
		case 1:
			return "(SELECT " + v + from + g.unparametrized(func() string { return g.filter(s) }) + g.uniqueOrder(s) + " LIMIT 1)"
		}
	}
	switch kind {
	case "int", "unsigned", "decimal", "double":
		return pick(g.statements, "(SELECT COUNT(*) + 30"+from+")", "(SELECT COUNT(*)"+from+" WHERE 1 = 0)", "(SELECT COUNT(DISTINCT "+g.ref(s, o.unique[0])+")"+from+")")
	case "text":
		return "(SELECT CONCAT('c', COUNT(*))" + from + ")"
	}
	return g.computed(kind)
}

// given is a value for a column in VALUES.
func (g *changer) given(c randomColumn, t *randomTable) string {
	nullable := !strings.Contains(c.ddl, "NOT NULL")
	switch {
	case g.chance(6) && (nullable || g.chance(10)):
		return "NULL"
	case g.chance(4) && (!t.isUnique(c.name) || g.chance(10)):
		return pick(g.statements, "DEFAULT", "DEFAULT", "DEFAULT("+g.name(c.name)+")")
	case g.chance(3):
		return g.unparametrized(g.odd)
	case g.chance(8):
		return g.computed(c.kind)
	case g.chance(4):
		return g.scalar(c.kind, t)
	}
	return g.value(c.kind)
}

// assigned is a value for a column of t in SET, over rows of s.
func (g *changer) assigned(c randomColumn, t *randomTable, s source) string {
	own := g.ref(s, c.name)
	switch {
	case g.chance(30):
		return g.from(c.kind, own)
	case g.chance(12):
		if same := alike(t, c.kind); len(same) > 1 && c.kind != "json" {
			return g.ref(s, pick(g.statements, same...).name)
		}
	case g.chance(8):
		return g.scalar(c.kind, t)
	case g.chance(5):
		return "DEFAULT"
	case g.chance(5) && !strings.Contains(c.ddl, "NOT NULL"):
		return "NULL"
	case g.chance(3):
		return g.unparametrized(g.odd)
	case g.chance(6):
		return g.computed(c.kind)
	case g.chance(3):
		return g.ref(s, pick(g.statements, t.columns...).name)
	}
	return g.value(c.kind)
}

// filter is a WHERE clause over rows of s.
func (g *changer) filter(s source) string {
	t := s.table
	key := t.column(t.unique[0])
	if t.key != "" {
		key = t.column(t.key)
	}
	k := g.ref(s, key.name)
	switch g.r.IntN(10) {
	case 0:
		return ""
	case 1, 2:
		return " WHERE " + k + " = " + g.value(key.kind)
	case 3, 4:
		return " WHERE " + k + " IN (" + g.value(key.kind) + ", " + g.value(key.kind) + ", " + g.value(key.kind) + ")"
	case 5:
		return " WHERE " + k + pick(g.statements, " > ", " <= ") + g.value(key.kind)
	case 6:
		c := pick(g.statements, t.columns...)
		if c.kind == "json" {
			return " WHERE JSON_EXTRACT(" + g.ref(s, c.name) + ", '$.a') = 1"
		}
		if g.chance(40) {
			return " WHERE " + g.ref(s, c.name) + pick(g.statements, " IS NOT NULL", " IS NULL")
		}
		return " WHERE " + g.ref(s, c.name) + pick(g.statements, " = ", " <> ") + g.value(c.kind)
	}
	return " WHERE " + g.condition([]source{s}, 1)
}

// total orders rows of s so that no two may change places.
func (g *changer) total(s source) string { return g.uniqueOrder(s) }

func (g *changer) some(n int) string { return fmt.Sprintf(" LIMIT %d", 1+g.r.IntN(n)) }
