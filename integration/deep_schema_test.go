package integration

import (
	"fmt"
	"strings"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// kind is a family of values: what fits where.
type kind int

const (
	kInt  kind = iota // small enough to be added and multiplied
	kBig              // near the bounds: compared, summed and divided only
	kUbig             // the same without sign
	kDec
	kDouble
	kText
	kDate
	kDatetime
	kTime
	kYear
	kEnum
	kSet
	kBytes
	kJSON
)

// val is an expression of the generator: what it is and what may be done with it.
type val struct {
	sql  string
	k    kind
	coll string // of text
	// fuzzy: of values that are equal under the collation any may be shown, so
	// only the collation's own comparisons have one answer.
	fuzzy bool
	// show is how the values shown may differ from the plain server's.
	show show
}

// show is what is left open of a value that is shown.
type show int

const (
	asIs     show = iota
	rounded       // a float whose last digits depend on the order of rows
	listed        // a list with commas, in any order
	jsonList      // a JSON array in any order
)

// deepColumn is a column of the schema.
type deepColumn struct {
	name, ddl string
	k         kind
	coll      string
}

// deepTable is a table of the schema.
type deepTable struct {
	name, rule string
	columns    []deepColumn
	unique     []int // the columns of the primary key
}

// deepSchema are tables of every rule. Columns of one name and type are in
// several, for NATURAL and USING.
func deepSchema(e mysqlproc.Engine, shards int) []*deepTable {
	ai, gc, bn, np := collations(e)
	text := func(name, coll string) deepColumn {
		return deepColumn{name, "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE " + coll, kText, coll}
	}
	of := func(name, ddl string, k kind) deepColumn { return deepColumn{name, ddl, k, ""} }
	hash := func(key string, n int) string {
		return fmt.Sprintf("{shard: hash(%s), shards: %d, on: [c0, c1]}", key, n)
	}
	homey := "{on: c0}"
	if shards == 4 {
		homey = "" // without a rule
	}
	return []*deepTable{
		{"acct", hash("id", shards), []deepColumn{
			of("id", "INT NOT NULL", kInt), of("i", "INT", kInt), of("b", "BIGINT", kBig), of("u", "BIGINT UNSIGNED", kUbig),
			of("d", "DECIMAL(12,3)", kDec), of("x", "DOUBLE", kDouble), text("ai", ai), text("gc", gc), text("bn", bn), text("np", np),
			of("dt", "DATE", kDate), of("at", "DATETIME(6)", kDatetime), of("tm", "TIME", kTime), of("yr", "YEAR", kYear),
			of("en", "ENUM('zeta','alpha','Mid')", kEnum), of("st", "SET('z','a','m')", kSet), of("vb", "VARBINARY(10)", kBytes), of("js", "JSON", kJSON),
		}, []int{0}},
		{"line", hash("id", shards), []deepColumn{
			of("id", "INT NOT NULL", kInt), of("n", "INT NOT NULL", kInt), of("i", "INT", kInt), of("d2", "DECIMAL(10,2)", kDec),
			text("ai", ai), text("bn", bn), of("dt", "DATE", kDate),
		}, []int{0, 1}},
		{"names", hash("s", 3), []deepColumn{
			text("s", ai), of("n", "INT NOT NULL", kInt), of("i", "SMALLINT", kInt), text("gc", gc), of("d", "DECIMAL(12,3)", kDec), of("u", "BIGINT UNSIGNED", kUbig),
		}, []int{0, 1}},
		{"padded", hash("k", 5), []deepColumn{
			text("k", gc), of("n", "INT NOT NULL", kInt), text("bn", bn), of("d5", "DECIMAL(20,5)", kDec), of("bl", "BLOB", kBytes), of("f", "FLOAT", kDouble),
		}, []int{0, 1}},
		{"logs", "{shard: month(at), on: [c0, c1], from: 2026-09, ahead: 1}", []deepColumn{
			of("n", "INT NOT NULL", kInt), of("at", "DATETIME NOT NULL", kDatetime), of("i", "INT", kInt), text("ai", ai), of("d", "DECIMAL(12,3)", kDec),
		}, []int{0, 1}},
		{"glob", "{global: true, on: [c0, c1]}", []deepColumn{
			of("id", "INT NOT NULL", kInt), text("gc", gc), of("d", "DECIMAL(12,3)", kDec), of("en", "ENUM('zeta','alpha','Mid')", kEnum),
		}, []int{0}},
		{"away", "{on: c1}", []deepColumn{
			of("id", "INT NOT NULL", kInt), text("ai", ai), of("dt", "DATE", kDate), of("b", "BIGINT", kBig),
		}, []int{0}},
		{"homey", homey, []deepColumn{
			of("id", "INT NOT NULL", kInt), of("i", "INT", kInt), text("bn", bn), of("d2", "DECIMAL(10,2)", kDec),
		}, []int{0}},
		{"bigs", hash("b", 3), []deepColumn{
			of("b", "BIGINT NOT NULL", kBig), of("n", "INT NOT NULL", kInt), of("i", "INT", kInt), text("gc", gc), of("d", "DECIMAL(12,3)", kDec),
		}, []int{0, 1}},
		{"decs", hash("d", shards), []deepColumn{
			of("d", "DECIMAL(12,3) NOT NULL", kDec), of("n", "INT NOT NULL", kInt), text("ai", ai), of("dt", "DATE", kDate),
		}, []int{0, 1}},
		{"bins", hash("bn", shards), []deepColumn{text("bn", bn), of("n", "INT NOT NULL", kInt), of("i", "INT", kInt), text("np", np)}, []int{0, 1}},
		{"nopads", hash("np", 3), []deepColumn{text("np", np), of("n", "INT NOT NULL", kInt), of("d", "DECIMAL(12,3)", kDec), text("ai", ai)}, []int{0, 1}},
	}
}

// collations are one that knows accents and case, two that pad with spaces, and
// one that does not.
func collations(e mysqlproc.Engine) (ai, gc, bn, np string) {
	if e == mysqlproc.MariaDB {
		return "utf8mb4_unicode_520_nopad_ci", "utf8mb4_general_ci", "utf8mb4_bin", "utf8mb4_nopad_bin"
	}
	return "utf8mb4_0900_ai_ci", "utf8mb4_general_ci", "utf8mb4_bin", "utf8mb4_0900_bin"
}

func (t *deepTable) create() string {
	var parts, key []string
	for _, c := range t.columns {
		ddl := c.ddl
		if c.k == kText && t.columns[t.unique[0]].name == c.name {
			ddl += " NOT NULL"
		}
		parts = append(parts, quoted(c.name)+" "+ddl)
	}
	for _, i := range t.unique {
		key = append(key, quoted(t.columns[i].name))
	}
	return "CREATE TABLE " + t.name + " (" + strings.Join(parts, ", ") + ", PRIMARY KEY (" + strings.Join(key, ", ") + "))"
}

func deepRules(tables []*deepTable) string {
	var b strings.Builder
	for _, t := range tables {
		if t.rule != "" {
			fmt.Fprintf(&b, "%s: %s\n", t.name, t.rule)
		}
	}
	return b.String()
}

var (
	deepWords = []string{"a", "A", "ä", "a ", "b", "B", "ab", "aB", "abc", "", "zoë", "ZOE", "Zoe ", "x y", "ss", "o'b", "7", "007"}
	deepBig   = []string{"0", "7", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775806", "123456789012", "3"}
	deepUbig  = []string{"0", "7", "1", "18446744073709551615", "9223372036854775808", "9223372036854775807", "18446744073709551614", "3"}
	deepDates = []string{"2026-09-01", "2026-09-30", "2026-10-15", "2026-10-31", "2026-11-30", "2026-12-31"}
	deepTimes = []string{"2026-09-01 00:00:00", "2026-09-30 23:59:59", "2026-10-15 12:00:00", "2026-11-01 00:00:00", "2026-12-31 23:59:59"}
	deepJSON  = []string{`{"n": 1, "s": "a"}`, `[1, 2, "x"]`, `7`, `"a"`, `{"n": 2.5}`, `null`}
)

// literal is a constant of a kind.
func (g *deep) literal(k kind) string {
	switch k {
	case kInt:
		return fmt.Sprint(g.n(14) - 2)
	case kBig:
		return one1(g, deepBig)
	case kUbig:
		return one1(g, deepUbig)
	case kDec:
		return fmt.Sprintf("%d.%s", g.n(12)-3, one1(g, []string{"5", "25", "125", "50", "0", "75"}))
	case kDouble:
		return fmt.Sprintf("%d.%se0", g.n(12)-3, one1(g, []string{"5", "25", "75", "0"}))
	case kText:
		return sqlString(one1(g, deepWords))
	case kDate:
		return sqlString(one1(g, deepDates))
	case kDatetime:
		return sqlString(one1(g, deepTimes))
	case kTime:
		return sqlString(one1(g, []string{"00:00:00", "12:30:00", "-01:00:00", "23:59:59", "100:00:00"}))
	case kYear:
		return one1(g, []string{"2020", "1999", "2026"})
	case kEnum:
		return one1(g, []string{"'zeta'", "'alpha'", "'Mid'"})
	case kSet:
		return one1(g, []string{"'z'", "'a,m'", "'m'", "'z,a'", "''"})
	case kJSON:
		return sqlString(one1(g, deepJSON))
	case kBytes:
	}
	return one1(g, []string{"x'61'", "x'6100'", "x'ff'", "x''"})
}

// one1 picks one; shrinking picks the first.
func one1[T any](g *deep, all []T) T { return all[g.n(len(all))] }

// fill is an INSERT of rows that break no key.
func (g *deep) fill(t *deepTable, first, n int) string {
	var rows []string
	for row := first; row < first+n; row++ {
		var values []string
		for i, c := range t.columns {
			switch v := g.literal(c.k); {
			case i == t.unique[0] && c.k == kInt && len(t.unique) == 1:
				values = append(values, fmt.Sprint(row))
			case c.name == "n":
				values = append(values, fmt.Sprint(row))
			case i == t.unique[0] && c.k == kInt:
				values = append(values, fmt.Sprint(1+g.n(16)))
			case !strings.Contains(c.ddl, "NOT NULL") && i != t.unique[0] && g.chance(15):
				values = append(values, "NULL")
			default:
				values = append(values, v)
			}
		}
		rows = append(rows, "("+strings.Join(values, ", ")+")")
	}
	return "INSERT INTO " + t.name + " VALUES " + strings.Join(rows, ", ")
}
