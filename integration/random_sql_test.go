package integration

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// statements makes random statements. Of the same seed they are the same.
type statements struct {
	r      *rand.Rand
	tables []*randomTable
	// params: literals become parameters.
	params bool
	args   []any
	ansi   bool // " quotes names
	schema string
}

// randomStatement is one statement and what is known of its answer.
type randomStatement struct {
	sql  string
	args []any
	// total: its ORDER BY leaves no choice of sequence.
	total bool
	// cut: LIMIT without a total order.
	cut bool
	// folds: equal values may be shown as any of them.
	folds bool
	// tables it may write to.
	writes *randomTable
}

func pick[T any](g *statements, all ...T) T { return all[g.r.IntN(len(all))] }
func (g *statements) chance(percent int) bool {
	return g.r.IntN(100) < percent
}

// lit is a literal, or a parameter.
func (g *statements) lit(text string, value any) string {
	if !g.params || value == nil {
		return text
	}
	g.args = append(g.args, value)
	return "?"
}

var (
	randomWords = []string{"a", "A", "ä", "a ", "b", "B", "ab", "aB", "abc", "", " ", "zoë", "ZOE", "Zoe ", "x\ty", "x y", "ss", "ß", "o'b", `b\\s`, "7", "007", "7abc", "%", "a_"}
	randomInts  = []int64{-3, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 100}
	randomWide  = []uint64{0, 1, 7, 9223372036854775807, 9223372036854775808, 18446744073709551615, 10, 123456789012}
	randomDates = []string{"2026-09-01", "2026-09-30", "2026-10-01", "2026-10-31", "2026-11-01", "2026-11-30", "2026-12-31", "2026-10-15"}
	randomTimes = []string{"2026-09-01 00:00:00", "2026-09-30 23:59:59", "2026-10-01 00:00:00", "2026-10-31 23:59:59", "2026-11-01 00:00:00", "2026-11-23 12:00:00", "2026-12-31 23:59:59"}
)

func sqlString(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// value is a literal of a kind; odd ones are of another type than the column.
func (g *statements) value(kind string) string {
	switch kind = strings.TrimPrefix(kind, made); kind {
	case "int":
		n := pick(g, randomInts...)
		return g.lit(fmt.Sprint(n), n)
	case "unsigned":
		n := pick(g, randomWide...)
		return g.lit(fmt.Sprint(n), n)
	case "decimal":
		s := fmt.Sprintf("%d.%s", g.r.IntN(14)-4, pick(g, "0", "5", "25", "125", "50", "7"))
		return g.lit(s, nil)
	case "double":
		return g.lit(fmt.Sprintf("%d.%d", g.r.IntN(14)-4, 25*g.r.IntN(4)), nil)
	case "date":
		s := pick(g, randomDates...)
		return g.lit(sqlString(s), s)
	case "datetime":
		s := pick(g, randomTimes...)
		return g.lit(sqlString(s), s)
	case "time":
		s := pick(g, "00:00:00", "12:30:00", "-01:00:00", "23:59:59", "100:00:00")
		return g.lit(sqlString(s), s)
	case "year":
		return pick(g, "2020", "1999", "2026", "2155")
	case "enum":
		s := pick(g, "zeta", "alpha", "Mid")
		return g.lit(sqlString(s), s)
	case "set":
		s := pick(g, "z", "a,m", "m", "z,a", "")
		return g.lit(sqlString(s), s)
	case "bit":
		return pick(g, "0", "1", "b'101'", "200")
	case "json":
		s := pick(g, `{"a": 1}`, `{"a": 2, "b": [1, "x"]}`, `[1, 2]`, `"x"`, "7", "null", "{}")
		return g.lit(sqlString(s), s)
	case "bytes":
		return pick(g, "x'61'", "x'6100'", "'a'", "x'ff'", "''")
	}
	s := pick(g, randomWords...)
	return g.lit(sqlString(s), strings.ReplaceAll(s, `\\`, `\`))
}

func (g *statements) odd() string {
	return pick(g, "'007'", "7.0", "7.5", "'7abc'", "NULL", "0x37", "TRUE", "' 7'", "'1e1'", "1e1", "-0", "b'111'", "'7 '", "'-1'", "+7", "- 1", "'2026-10-01'",
		"20261001", "DATE'2026-10-01'", "TIMESTAMP'2026-10-01 00:00:00'", "'2026-10-1'", "'a'", "'A '", "_utf8mb4'a'", "_latin1'a'", "_binary'a'", "'a' COLLATE utf8mb4_bin", "N'a'", "x'61'", "7e0", "0.7e1", "'7.0'",
		"18446744073709551615", "9223372036854775808", "-9223372036854775808", "99999999999999999999", "'2026-10-01 00:00:00.9'", "'ab' 'c'", "(7)", "'a\\t'", "-(7)", "'Ä'", "6+1", "CAST('7' AS SIGNED)")
}

func (g *statements) name(s string) string {
	if g.ansi {
		return `"` + s + `"`
	}
	if strings.ContainsAny(s, " -") || strings.EqualFold(s, "order") || strings.EqualFold(s, "select") || strings.EqualFold(s, "group") || g.chance(20) {
		return quoted(s)
	}
	return s
}

func (g *statements) gap() string {
	return pick(g, " ", " ", " ", " ", "  ", "\n", " /* x */ ", " /**/ ", " -- c\n", " # c\n", "\t")
}

// source is a table in a FROM clause.
type source struct {
	table *randomTable
	alias string
}

// from makes a FROM clause.
func (g *statements) from() (string, []source) {
	t := pick(g, g.tables...)
	if g.chance(40) {
		t = g.tables[0]
	}
	first, text := g.source(t, "")
	all := []source{first}
	join := pick(g, " JOIN ", " INNER JOIN ", " LEFT JOIN ", " LEFT JOIN ")
	switch {
	case g.chance(55):
	case t.group != "" && g.chance(60):
		o, s := g.source(pick(g, g.tables[0], g.tables[1]), "q")
		on := fmt.Sprintf("%s = %s", g.ref(first, "id"), g.ref(o, "id"))
		if g.chance(30) {
			on += " AND " + g.atom([]source{first, o})
		}
		text += join + s + " ON " + on
		all = append(all, o)
	default:
		o, s := g.source(g.tables[2], "q")
		// Of text and number servers make different things by how they join.
		c := pick(g, t.columns...)
		with := map[string]string{"text": "s", "decimal": "d"}[c.kind]
		if with == "" {
			with = "id"
		}
		text += join + s + fmt.Sprintf(" ON %s = %s", g.ref(first, c.name), g.ref(o, with))
		all = append(all, o)
	}
	return text, all
}

func (g *statements) source(t *randomTable, alias string) (source, string) {
	text := g.name(t.name)
	if g.chance(15) {
		text = g.name(g.schema) + "." + text
	}
	s := source{t, t.name}
	if alias == "" && g.chance(35) {
		alias = pick(g, "p", "V", t.name, "order")
	}
	if alias != "" {
		s.alias = alias
		text += pick(g, " AS ", " ") + g.name(alias)
	}
	return s, text
}

func (g *statements) ref(s source, column string) string {
	return g.name(s.alias) + "." + g.name(column)
}

func (g *statements) anyColumn(from []source) (source, randomColumn) {
	s := pick(g, from...)
	if s.table.key != "" && g.chance(25) {
		return s, s.table.column(s.table.key)
	}
	return s, pick(g, s.table.columns...)
}

// atom is a condition without AND and OR.
func (g *statements) atom(from []source) string {
	s, c := g.anyColumn(from)
	ref := g.ref(s, c.name)
	if s.table.name == "decs" && c.name == "k" {
		c.kind = "int" // a DECIMAL key compared with more decimals is rounded by MariaDB, at times
	}
	if len(from) == 1 && g.chance(50) {
		ref = g.name(c.name)
	}
	switch g.r.IntN(12) {
	case 0, 1, 2:
		return ref + " = " + g.value(c.kind)
	case 3:
		return ref + pick(g, " < ", " > ", " <= ", ">=", " <> ", " <=> ") + g.value(c.kind)
	case 4, 5:
		return ref + pick(g, " IN (", " IN (", " NOT IN (") + g.value(c.kind) + ", " + g.value(c.kind) + ", " + g.value(c.kind) + ")"
	case 6:
		return ref + pick(g, " BETWEEN ", " NOT BETWEEN ") + g.value(c.kind) + " AND " + g.value(c.kind)
	case 7:
		return ref + pick(g, " IS NULL", " IS NOT NULL")
	case 8:
		return ref + " = " + g.odd()
	case 9:
		return ref + " IN (" + g.odd() + ", " + g.value(c.kind) + ")"
	case 10:
		return g.value(c.kind) + " = " + ref
	}
	if c.kind == "text" {
		return ref + " LIKE " + pick(g, "'a%'", "'%b%'", "'A'", "'_'")
	}
	s2, c2 := g.anyColumn(from)
	return ref + pick(g, " = ", " < ", " <> ") + g.ref(s2, c2.name)
}

func (g *statements) condition(from []source, depth int) string {
	if depth == 0 || g.chance(40) {
		return g.atom(from)
	}
	switch g.r.IntN(6) {
	case 0, 1:
		return g.condition(from, depth-1) + " AND " + g.condition(from, depth-1)
	case 2:
		return "(" + g.condition(from, depth-1) + " OR " + g.condition(from, depth-1) + ")"
	case 3:
		return "NOT (" + g.condition(from, depth-1) + ")"
	case 4:
		return "(" + g.condition(from, depth-1) + ") AND (" + g.condition(from, depth-1) + ")"
	}
	return g.condition(from, depth-1) + " OR " + g.condition(from, depth-1)
}

func (g *statements) where(from []source) string {
	if g.chance(30) {
		return ""
	}
	return g.gap() + "WHERE" + g.gap() + g.condition(from, 2)
}

// expr is a value made of columns.
func (g *statements) expr(from []source) string {
	s, c := g.anyColumn(from)
	ref := g.ref(s, c.name)
	if g.chance(55) {
		return ref
	}
	switch c.kind {
	case "int", "decimal":
		return pick(g, ref+" + 1", "-"+ref, "ABS("+ref+")", ref+" * 1.5", ref+" % 3", "IFNULL("+ref+", 0)", "COALESCE("+ref+", -1)", ref+" / 3",
			"ROUND("+ref+", 1)", ref+" DIV 2", "CASE WHEN "+ref+" > 3 THEN 'big' ELSE 'small' END", ref+" IS NULL", "CAST("+ref+" AS CHAR)", "GREATEST("+ref+", 3)", "IF("+ref+" > 2, "+ref+", NULL)", ref+" BETWEEN 1 AND 5", "FLOOR("+ref+")", "SIGN("+ref+")")
	case "text":
		return pick(g, "UPPER("+ref+")", "CONCAT("+ref+", 'x')", "LENGTH("+ref+")", "LEFT("+ref+", 1)", "IFNULL("+ref+", 'none')", "COALESCE("+ref+", 'A')", "REVERSE("+ref+")", "TRIM("+ref+")",
			ref+" = 'a'", "CASE "+ref+" WHEN 'a' THEN 1 ELSE 2 END", "NULLIF("+ref+", 'a')", ref+" COLLATE "+pick(g, "utf8mb4_bin", "utf8mb4_general_ci"), "LOWER("+ref+")", "CAST("+ref+" AS BINARY)", "IF("+ref+" > 'a', "+ref+", 'q')")
	case "date", "datetime":
		return pick(g, "YEAR("+ref+")", "DATE("+ref+")", "MONTH("+ref+")", "DATE_ADD("+ref+", INTERVAL 1 DAY)", ref+" + INTERVAL 1 MONTH", "DATE_FORMAT("+ref+", '%Y-%m')", "DAYNAME("+ref+")", "IFNULL("+ref+", '2000-01-01')", "TO_DAYS("+ref+")", "LAST_DAY("+ref+")")
	case "enum", "set":
		return pick(g, ref+" + 0", "CONCAT("+ref+")", "UPPER("+ref+")", "IFNULL("+ref+", 'q')", "COALESCE("+ref+", "+ref+")")
	case "unsigned":
		return pick(g, ref+" % 7", "IFNULL("+ref+", 0)", "CAST("+ref+" AS CHAR)", ref+" / 2", ref+" & 3", ref+" >> 1", ref+" * 1.0")
	case "double":
		return pick(g, ref+" * 2", "-"+ref, "ROUND("+ref+")", "IFNULL("+ref+", 0)", "CAST("+ref+" AS DECIMAL(10,2))", "ABS("+ref+")")
	case "bit":
		return pick(g, ref+" + 0", "HEX("+ref+")", "IFNULL("+ref+", 1)", ref+" | 1")
	case "time", "year":
		return pick(g, ref+" + 0", "IFNULL("+ref+", 1)", "CAST("+ref+" AS CHAR)", "MAX("+ref+") OVER ()")
	}
	return pick(g, "HEX("+ref+")", "LENGTH("+ref+")", "IFNULL("+ref+", 'q')")
}

// read is a random SELECT.
func (g *statements) read() randomStatement {
	g.args = nil
	var st randomStatement
	switch g.r.IntN(10) {
	case 0, 1, 2, 3:
		st = g.rows()
	case 4:
		st = g.totals()
	case 5, 6, 7:
		st = g.groups()
	case 8:
		st = g.distinct()
	default:
		st = g.union()
	}
	st.args = g.args
	return st
}

func (g *statements) rows() randomStatement {
	var list []string
	mark := len(g.args)
	text, from := g.from()
	joinArgs := append([]any(nil), g.args[mark:]...)
	g.args = g.args[:mark]
	star := g.chance(20)
	for i := range 1 + g.r.IntN(4) {
		e := g.expr(from)
		if g.chance(40) {
			e += pick(g, " AS ", " ") + g.name(pick(g, fmt.Sprintf("c%d", i), fmt.Sprintf("C%d", i)))
		}
		list = append(list, e)
	}
	if star {
		list = []string{pick(g, "*", g.name(from[0].alias)+".*")}
	}
	g.args = append(g.args, joinArgs...)
	sql := pick(g, "SELECT", "select", "/* c */ SELECT", "SELECT /* c */", "SELECT ALL", "SELECT SQL_NO_CACHE", "(SELECT") + g.gap() + strings.Join(list, ", ") + g.gap() + "FROM " + text + g.where(from)
	st := randomStatement{}
	var order []string
	if g.chance(70) {
		for range g.r.IntN(3) {
			order = append(order, g.orderItem(from, len(list), star))
		}
		if g.chance(85) {
			st.total = true
			for _, s := range from {
				for _, u := range s.table.unique {
					order = append(order, g.ref(s, u)+pick(g, "", " DESC", " ASC"))
				}
			}
		}
	}
	if len(order) > 0 {
		sql += g.gap() + "ORDER BY " + strings.Join(order, ", ")
	} else {
		st.total = false
	}
	st.sql = g.limit(sql, &st)
	if strings.HasPrefix(sql, "(") {
		st.sql += ")"
	}
	return st
}

func (g *statements) orderItem(from []source, shown int, star bool) string {
	s, c := g.anyColumn(from)
	e := g.ref(s, c.name)
	switch {
	case !star && g.chance(25):
		e = fmt.Sprint(1 + g.r.IntN(shown))
	case g.chance(30):
		e = g.expr(from)
	}
	return e + pick(g, "", " DESC", " ASC")
}

func (g *statements) limit(sql string, st *randomStatement) string {
	if !g.chance(35) {
		return sql
	}
	st.cut = !st.total
	n, skip := int64(g.r.IntN(6)), int64(g.r.IntN(6))
	switch g.r.IntN(4) {
	case 0:
		return sql + " LIMIT " + g.lit(fmt.Sprint(n), n) + " OFFSET " + g.lit(fmt.Sprint(skip), skip)
	case 1:
		return sql + " LIMIT " + g.lit(fmt.Sprint(skip), skip) + ", " + g.lit(fmt.Sprint(n), n)
	}
	return sql + " LIMIT " + g.lit(fmt.Sprint(n), n)
}

func (g *statements) aggregate(from []source) string {
	s, c := g.anyColumn(from)
	ref := g.ref(s, c.name)
	if g.chance(20) {
		ref = g.expr(from)
	}
	return pick(g, "COUNT(*)", "COUNT("+ref+")", "SUM("+ref+")", "AVG("+ref+")", "MIN("+ref+")", "MAX("+ref+")", "COUNT(1)", "MIN("+ref+")", "MAX("+ref+")", "COUNT(DISTINCT "+ref+")", "SUM("+ref+") + 1", "BIT_OR("+ref+")")
}

func (g *statements) totals() randomStatement {
	text, from := g.from()
	join := g.args
	g.args = nil
	var list []string
	for range 1 + g.r.IntN(3) {
		list = append(list, g.aggregate(from)+pick(g, "", "", " AS x"))
	}
	g.args = append(g.args, join...)
	st := randomStatement{folds: true, total: true}
	st.sql = g.limit("SELECT"+g.gap()+strings.Join(list, ", ")+" FROM "+text+g.where(from), &st)
	return st
}

func (g *statements) groups() randomStatement {
	text, from := g.from()
	join := g.args
	g.args = nil
	var keys, list []string
	for range 1 + g.r.IntN(2) {
		s, c := g.anyColumn(from)
		k := g.ref(s, c.name)
		if g.chance(20) {
			k = g.expr(from)
		}
		keys = append(keys, k)
		if g.chance(90) {
			list = append(list, k)
		}
	}
	shownKeys := len(list)
	for range 1 + g.r.IntN(3) {
		list = append(list, g.aggregate(from))
	}
	by := keys
	if shownKeys == len(keys) && g.chance(25) {
		by = nil
		for i := range keys {
			by = append(by, fmt.Sprint(i+1))
		}
	}
	g.args = append(g.args, join...)
	sql := "SELECT " + strings.Join(list, ", ") + " FROM " + text + g.where(from) + g.gap() + "GROUP BY " + strings.Join(by, ", ")
	if g.chance(15) {
		sql += " HAVING " + pick(g, "COUNT(*) > 1", "COUNT(*) >= 1", list[len(list)-1]+" > 1", keys[0]+" IS NOT NULL")
	}
	st := randomStatement{folds: true}
	if g.chance(70) {
		st.total = true
		var order []string
		if g.chance(40) {
			order = append(order, pick(g, "COUNT(*)", fmt.Sprint(len(list)), list[len(list)-1])+pick(g, "", " DESC"))
		}
		for _, k := range by {
			order = append(order, k+pick(g, "", " DESC", " ASC"))
		}
		sql += " ORDER BY " + strings.Join(order, ", ")
	}
	st.sql = g.limit(sql, &st)
	return st
}

func (g *statements) distinct() randomStatement {
	text, from := g.from()
	join := g.args
	g.args = nil
	var list, order []string
	for i := range 1 + g.r.IntN(3) {
		list = append(list, g.expr(from))
		order = append(order, fmt.Sprint(i+1)+pick(g, "", " DESC"))
	}
	g.args = append(g.args, join...)
	st := randomStatement{folds: true}
	sql := "SELECT DISTINCT " + strings.Join(list, ", ") + " FROM " + text + g.where(from)
	if g.chance(60) {
		st.total = true
		g.r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		sql += " ORDER BY " + strings.Join(order, ", ")
	}
	st.sql = g.limit(sql, &st)
	return st
}

func (g *statements) union() randomStatement {
	var arms []string
	for range 2 + g.r.IntN(2) {
		text, from := g.from()
		join := g.args
		g.args = nil
		_ = join
		if strings.Contains(text, "?") {
			return g.union()
		}
		arms = append(arms, "SELECT "+g.expr(from)+", "+g.expr(from)+" FROM "+text)
	}
	st := randomStatement{folds: true}
	st.sql = g.limit(strings.Join(arms, pick(g, " UNION ALL ", " UNION ALL ", " UNION ALL ", " UNION ")), &st)
	return st
}
