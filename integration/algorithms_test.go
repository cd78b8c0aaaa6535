package integration

import (
	"database/sql"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// algorithmCase is one table under one rule.
type algorithmCase struct {
	// rule is what stands in the braces, without on:.
	rule string
	// column is the key's type.
	column string
	// zone, if not empty, is the sessions' time_zone.
	zone string
	// values of the key that have a place, and refused ones that have none.
	values, refused []string
}

const (
	wholeNumbers = "0 1 2 3 4 5 7 8 99 100 101 199 200 300 -1 -2 -7 -100 2147483647 -2147483648"
	someTexts    = "'' 'a' 'A' 'abc' 'ABC' 'b' 'x y' '10' '9' '13800001111' 'zebra' 'Zebra'"
	someDays     = "'2025-12-31' '2026-01-01' '2026-01-31' '2026-02-01' '2026-06-30' '2026-07-01' '2026-11-23'"
)

// algorithmCases have every function of numbers and texts over every kind of
// column.
var algorithmCases = []algorithmCase{
	{rule: "shard: mod(k), shards: 4", column: "BIGINT", values: split(wholeNumbers + " NULL 9223372036854775807 -9223372036854775808 '007' 7.0")},
	{rule: "shard: mod(k), shards: 7, layout: tables", column: "INT", values: split(wholeNumbers)},
	{rule: "shard: mod(k), shards: 5", column: "BIGINT UNSIGNED", values: split("0 1 4 5 9223372036854775808 18446744073709551615 NULL")},
	{rule: "shard: mod(k), shards: 3", column: "DECIMAL(30,2)", values: split("0 1 2.5 -2.5 -0.01 123456789012345678901234567.89 NULL")},
	{rule: "shard: mod(k), shards: 3", column: "INT(8) ZEROFILL", values: split("0 1 2 42 NULL")},
	{rule: "shard: hash(k), slots: [0-99, 100-900, '901-1023']", column: "BIGINT", values: split(wholeNumbers + " NULL")},
	{rule: "shard: hash(k), slots: ['512-600,1023', '0-511', '601-1022']", column: "VARCHAR(20) COLLATE utf8mb4_general_ci", values: split(someTexts + " NULL")},
	{rule: "shard: jump(k), shards: 4", column: "BIGINT", values: split(wholeNumbers + " NULL")},
	{rule: "shard: jump(k), shards: 4, layout: tables", column: "VARCHAR(20) COLLATE utf8mb4_general_ci", values: split(someTexts + " NULL")},
	{rule: "shard: jump(k), shards: 5", column: "BIGINT UNSIGNED", values: split("0 1 4 5 9223372036854775808 18446744073709551615 NULL")},
	{rule: "shard: murmur(k), shards: 4, seed: 7, virtual: 100", column: "VARCHAR(20) COLLATE utf8mb4_bin", values: split(someTexts + " NULL")},
	{rule: "shard: murmur(k), shards: 4, layout: tables", column: "DATE", values: split(someDays + " NULL")},
	{rule: "shard: murmur(k), shards: 3", column: "DECIMAL(10,2)", values: split("0 1.5 -1.5 1.50 2 NULL")},
	{rule: "shard: range(k), ranges: {-5-99: 0, 100-199: 1, 300-: 2}", column: "BIGINT", values: split("0 99 100 199 300 2147483647 -5 '007' 9223372036854775807"), refused: split("200 299 -6 NULL")},
	{rule: "shard: range(k), ranges: {..9: 0, 10..9223372036854775807: 1, 9223372036854775809..: 2}, default: 3, nulls: 0, layout: tables", column: "BIGINT UNSIGNED",
		values: split("0 9 10 9223372036854775807 9223372036854775808 9223372036854775809 18446744073709551615 NULL")},
	{rule: "shard: range(k), ranges: {..-1: 0, 0-99: 1, 100-: 2}, nulls: 1", column: "DECIMAL(30,2)", values: split("-0.01 -1 0 99.99 100 123456789012345678901234567.89 NULL")},
	{rule: "shard: range(k), ranges: {..2025-12: 0, 2026-01-01..2026-06-30: 1, '2026-07-01 00:00:00..': 2}", column: "DATETIME(3)",
		values: split("'2025-12-31 23:59:59.999' '2026-01-01' '2026-06-30 23:59:59.999' '2026-07-01'"), refused: split("NULL")},
	{rule: "shard: range(k), ranges: {..2025-12: 0, 2026-01..2026-06: 1}, default: 2, layout: tables", column: "DATE", values: split(someDays + " NULL")},
	{rule: "shard: list(k), values: {a: 0, 'ABC': 1, 'x y': 2, '10': 2}, default: 3", column: "VARCHAR(20) COLLATE utf8mb4_general_ci", values: split(someTexts + " 'a\u00a0' '北京' NULL")},
	{rule: "shard: list(k), values: {a: 0, A: 1, '北京': 2}, nulls: 0", column: "VARCHAR(20) COLLATE utf8mb4_bin", values: split("'a' 'A' '北京' NULL"), refused: split("'b' 'abc'")},
	{rule: "shard: list(k), values: {1: 0, 2: 0, -7: 1, 007: 2}, default: 1, layout: tables", column: "INT", values: split(wholeNumbers + " NULL")},
	{rule: "shard: list(k), values: {0.5: 0, 7: 1, 9: 2}", column: "DECIMAL(10,2)", values: split("0.5 7 7.00 9"), refused: split("1 NULL")},
	{rule: "shard: list(k), values: {2026-01-01: 0, 2026-11-23: 1, 2026-02-01: 2}, default: 0", column: "DATE", values: split(someDays + " NULL")},
	{rule: "shard: list(k), values: {ab: 0, cd: 1}, default: 2", column: "BINARY(4)", values: split("'ab' 'cd' x'63640000' 'zz' NULL")},
}

// exprCases have every part of expressions over every kind of column.
var exprCases = []algorithmCase{
	{rule: "shard: mod(k div 10), shards: 4", column: "BIGINT", values: split(wholeNumbers + " NULL 9223372036854775807 -9223372036854775808 '007'")},
	{rule: "shard: mod(k % 7 - 3), shards: 4, layout: tables", column: "INT", values: split(wholeNumbers + " NULL")},
	{rule: "shard: hash(k * 3 + 1), shards: 4", column: "BIGINT UNSIGNED", values: split("0 1 2 3 99 1000000 NULL"), refused: split("18446744073709551615 9223372036854775807")},
	{rule: "shard: range(k div 100), ranges: {..-1: 0, 0-1: 1, 2-: 2}, nulls: 0", column: "INT", values: split(wholeNumbers + " NULL")},
	{rule: "shard: range(1000 - k), ranges: {..800: 0, 801-999: 1, 1000-: 2}", column: "INT", values: split("0 1 2 99 100 200 300 -1 -2 2147483647 -2147483647"), refused: split("NULL")},
	{rule: "shard: mod(abs(k)), shards: 3", column: "BIGINT", values: split(wholeNumbers + " NULL")},
	{rule: "shard: mod(crc32(k)), shards: 5", column: "INT(6) ZEROFILL", values: split("0 1 2 42 99999 NULL")},
	{rule: "shard: mod(crc32(k)), shards: 5, layout: tables", column: "VARCHAR(20) COLLATE utf8mb4_general_ci", values: split(someTexts + " NULL 'a '")[:13]},
	{rule: "shard: mod(crc32(k)), shards: 5", column: "VARCHAR(20) COLLATE utf8mb4_bin", values: split(someTexts + " '北京' NULL")},
	{rule: "shard: 'hash(prefix(k, 2))', shards: 4", column: "VARCHAR(20) COLLATE utf8mb4_unicode_ci", values: split(someTexts + " NULL"), refused: split("'北京'")},
	{rule: "shard: 'jump(suffix(k, 2))', shards: 4", column: "CHAR(20) COLLATE utf8mb4_general_ci", values: split(someTexts + " NULL")},
	{rule: "shard: 'list(prefix(k, 1))', values: {a: 0, z: 1, '北': 2}, default: 3", column: "VARCHAR(20) COLLATE utf8mb4_bin", values: split(someTexts + " '北京' '上海' NULL")},
	{rule: "shard: 'list(prefix(k, 1))', values: {A: 0, z: 1, x: 2}, default: 3", column: "VARCHAR(20) COLLATE utf8mb4_general_ci", values: split(someTexts + " NULL")},
	{rule: "shard: 'mod(number(suffix(k, 3)))', shards: 4, layout: tables", column: "CHAR(12) COLLATE utf8mb4_bin", values: split("'20261123-042' '007' '13800001111' '9' NULL"), refused: split("'abc' ''")},
	{rule: "shard: list(year(k)), values: {2025: 0, 2026: 1}, default: 2", column: "DATE", values: split(someDays + " '2030-01-01' NULL")},
	{rule: "shard: mod(month(k) + weekday(k) + day(k)), shards: 5", column: "DATETIME", values: split(someDays + " NULL")},
	{rule: "shard: 'month(substring(k, 3, 6), format=%Y%m)', from: 2026-09, ahead: 1", column: "VARCHAR(20) COLLATE utf8mb4_general_ci", values: split("'a-202609-1' 'a-202610-1' 'B-202609-2'"), refused: split("'a-199901-1' 'a' NULL")},
	{rule: "shard: 'day(k div 1000000, seconds)', from: '2026-11-20', ahead: 1", column: "BIGINT", values: split("1795392000000001 1795305600999999 1795219200000000"), refused: split("0 NULL")},
}

// Expressions over the key.
func TestExpressionAlgorithms(t *testing.T) { runAlgorithms(t, "algoexpr", exprCases) }

// split cuts at spaces outside quotes.
func split(s string) []string {
	var out []string
	word, quoted := "", false
	for _, r := range s + " " {
		if r == '\'' {
			quoted = !quoted
		}
		if r != ' ' || quoted {
			word += string(r)
			continue
		}
		out = append(out, word)
		word = ""
	}
	return out
}

// Every algorithm over every type: a client sees what one server would show, the
// servers agree that each row is where the rule says, and a row that is not is
// found.
func TestAlgorithms(t *testing.T) { runAlgorithms(t, "algo", algorithmCases) }

// halfOf are every other of the cases; the other engine has the others. The soak run does
// all of them on each.
func halfOf[T any](s *serverSet, cases []T) (half []T) {
	for i, c := range cases {
		if (i%2 == 0) == (s.engine == mysqlproc.MySQL) {
			half = append(half, c)
		}
	}
	return half
}

func runAlgorithms(t *testing.T, schema string, cases []algorithmCase) {
	t.Helper()
	runAlgorithmsOf(t, schema, func(*serverSet) []algorithmCase { return cases })
}

func runAlgorithmsOf(t *testing.T, schema string, of func(*serverSet) []algorithmCase) {
	t.Helper()
	eachEngine(t, func(t *testing.T, s *serverSet) {
		cases := of(s)
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		var rules strings.Builder
		for i, c := range cases {
			fmt.Fprintf(&rules, "t%d: {%s, on: [c0, c1]}\n", i, c.rule)
		}
		p := startServal(t, s, settings{Schema: schema, Tables: rules.String(), AllSchemas: true})
		serval, plain := oneConn(t, p.open(t, "")), oneConn(t, openDB(t, s.Plain(t).Addr(), ""))
		mustExec(t, plain, "DROP DATABASE IF EXISTS "+schema)
		for _, conn := range []*sql.Conn{serval, plain} {
			mustExec(t, conn, "CREATE DATABASE "+schema, "USE "+schema)
		}
		for i, c := range cases {
			a := algorithm{algorithmCase: c, table: fmt.Sprintf("t%d", i), serval: serval, plain: plain}
			t.Run(c.rule+" of "+c.column, a.run)
		}
		out, err := runServal("check", "-c", p.Config, "--live", "--placement")
		require.NoError(t, err, out)
		var strays []string
		for i := range cases {
			strays = append(strays, stray(t, s, schema, fmt.Sprintf("t%d", i)))
		}
		out, err = runServal("check", "-c", p.Config, "--live", "--placement")
		require.Error(t, err, out)
		for i, c := range cases {
			require.Contains(t, out, "1 rows of "+strays[i], c.rule)
		}
	})
}

// algorithm is one case at work.
type algorithm struct {
	algorithmCase
	table         string
	serval, plain *sql.Conn
}

func (a *algorithm) run(t *testing.T) {
	// Rows that change their shard need a primary key, which has no NULL.
	keyed := !slices.Contains(a.values, "NULL") && !strings.HasSuffix(a.column, " NULL")
	create := fmt.Sprintf("CREATE TABLE %s (id INT NOT NULL, k %s, v INT, KEY (k))", a.table, a.column)
	if keyed {
		create = fmt.Sprintf("CREATE TABLE %s (id INT NOT NULL, k %s, v INT, PRIMARY KEY (id, k), KEY (k))", a.table, a.column)
	}
	for _, conn := range []*sql.Conn{a.plain, a.serval} {
		mustExec(t, conn, create)
		if a.zone != "" {
			mustExec(t, conn, "SET time_zone = '"+a.zone+"'")
			defer mustExec(t, conn, "SET time_zone = '+00:00'")
		}
	}
	for i, v := range a.values {
		a.same(t, fmt.Sprintf("INSERT INTO %s VALUES (%d, %s, %d)", a.table, i, v, i))
	}
	for _, v := range a.refused {
		got := observe(t.Context(), a.serval, mode{sql: fmt.Sprintf("INSERT INTO %s VALUES (-1, %s, 0)", a.table, v)})
		require.NotZero(t, got.errno, "%s has no place", v)
	}
	all := append(append([]string(nil), a.values...), a.refused...)
	for _, v := range all {
		for _, operator := range []string{"=", "<=>", "<", "<=", ">", ">=", "<>"} {
			a.read(t, fmt.Sprintf("k %s %s", operator, v))
		}
	}
	random := rand.New(rand.NewSource(1)) // the same queries each time
	some := func() string { return all[random.Intn(len(all))] }
	for range 15 {
		a.read(t, fmt.Sprintf("k BETWEEN %s AND %s", some(), some()))
		a.read(t, fmt.Sprintf("k > %s AND k < %s", some(), some()))
		a.read(t, fmt.Sprintf("k IN (%s, %s, %s) OR k = %s", some(), some(), some(), some()))
	}
	a.read(t, "k IS NULL")
	a.read(t, "k IS NOT NULL")
	for range 5 {
		a.same(t, fmt.Sprintf("UPDATE %s SET v = v + 1 WHERE k = %s", a.table, some()))
		a.same(t, fmt.Sprintf("UPDATE %s SET v = v + 10 WHERE k >= %s", a.table, some()))
	}
	for i := range 4 {
		if keyed {
			a.same(t, fmt.Sprintf("UPDATE %s SET k = %s WHERE id = %d", a.table, a.values[random.Intn(len(a.values))], i))
		}
	}
	a.same(t, fmt.Sprintf("DELETE FROM %s WHERE k = %s", a.table, a.values[len(a.values)-1]))
	a.read(t, "TRUE")
}

func (a *algorithm) read(t *testing.T, where string) {
	a.same(t, fmt.Sprintf("SELECT id, k, v FROM %s WHERE %s ORDER BY id", a.table, where))
}

// same runs a statement on both sides and compares, as text and prepared.
func (a *algorithm) same(t *testing.T, statement string) {
	t.Helper()
	modes := []mode{{sql: statement}}
	if sql, args := parameterize(statement); readHead.MatchString(statement) && len(args) > 0 {
		modes = append(modes, mode{sql: sql, args: args, prepared: true})
	}
	for _, m := range modes {
		want, got := observe(t.Context(), a.plain, m), observe(t.Context(), a.serval, m)
		if diff := compare(m.sql, want, got); diff != "" {
			t.Errorf("%s %v\n%s", m.sql, m.args, diff)
		}
	}
}

// stray copies a row to a shard of the same cluster that it does not belong to,
// and names that shard.
func stray(t *testing.T, s *serverSet, schema, table string) string {
	for _, c := range s.Clusters(t) {
		rows, err := c.Primary.DB().QueryContext(t.Context(), "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES"+
			" WHERE (TABLE_SCHEMA = ? OR TABLE_SCHEMA RLIKE ?) AND TABLE_NAME RLIKE ? ORDER BY 1, 2",
			schema, "^"+schema+"_[0-9w]+$", "^"+table+"(_[0-9w]+)*$")
		require.NoError(t, err)
		var places []string
		for rows.Next() {
			var database, name string
			require.NoError(t, rows.Scan(&database, &name))
			places = append(places, database+"."+name)
		}
		require.NoError(t, rows.Err())
		for i, from := range places {
			if len(places) > 1 && one(t, c.Primary.DB(), "SELECT COUNT(*) FROM "+from) != "0" {
				to := places[(i+1)%len(places)]
				mustExec(t, c.Primary.DB(), "INSERT INTO "+to+" SELECT * FROM "+from+" LIMIT 1")
				return to
			}
		}
	}
	t.Fatalf("%s.%s has no shard with a row beside another", schema, table)
	return ""
}
