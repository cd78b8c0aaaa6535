//go:build soak

package integration

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What may be written into a key, and what it may be compared with, whatever the
// key's type is: text, bytes, numbers and moments in every spelling.
var (
	numberSpellings = strings.Split("0|1|-1|2|3|7|'1'|'01'|' 1'|'1 '|'1.0'|'1.5'|1.5|-0.5|0.5|-0.4|2.5|1e0|1e1|'1e1'|25e-1|0x31|x'31'|b'110001'|0x01|TRUE|FALSE|'+5'|+5|-(-5)|127|128|255|256|-128|-129|"+
		"32768|2147483647|2147483648|4294967295|4294967296|9223372036854775807|9223372036854775808|18446744073709551615|18446744073709551616|-9223372036854775808|-9223372036854775809|"+
		"9007199254740993|9007199254740993.0|9007199254740992e0|'9007199254740993'|''|'abc'|'1abc'|'0x31'|CAST(5 AS UNSIGNED)|CAST('7' AS DECIMAL(10,2))|99999999.99|12345.994|12345.995|'12345.995'|-0|-0.0|'-0'|'-0.4'|1-2|2*3|NULL|"+
		"1.0000000000000000000000000000000001|'1.'|'.5'|'\\t7'|'7\\n'|7 DIV 2|7/2|1=1|~0|1 << 63|- 7|--7|CAST(-1 AS UNSIGNED)|100.4999|'100.5'|1795392000|1795392000.5|1795391999999|1795392000000", "|")
	textSpellings = strings.Split("'a'|'A'|'a '|' a'|'ä'|'Ä'|'ß'|'ss'|'é'|_latin1 x'E9'|_utf8mb4'é'|_utf8mb4 x'C3A9'|_binary'a'|_binary'é'|N'a'|'a' 'b'|\"a\"|\"it''s\"|x'C3A9'|x'61'|0x6162|CHAR(97)|CONCAT('a','b')|"+
		"'abcdefghijklmnop'|'abcde     '|'a\\0'|'a\\\\b'|'a''b'|'a\\tb'|'a\\%b'|'北京'|'😀'|'Å'|'a' COLLATE utf8mb4_bin|CONVERT('é' USING latin1)|CAST('a' AS CHAR(10))|CAST('ab' AS BINARY(4))|'I'|'i'|'ı'|'İ'|'K'|'a\u00adb'|'e\u0301'|'\u00a0'|'a\u00a0'|"+
		"''|' '|'b'|'c'|'ab'|'AB'|'10'|'9'|'cn'|'CN'|'us '|NULL|LOWER('CN')|REPEAT('a',3)|'A-10'|'a\\n'|x''|0x00|'Z'|'z'|'ſ'|'s'|_utf8mb4'ä' COLLATE utf8mb4_general_ci|'abcd'|'abc\\0'|x'61620000'|'\\Z'|'\\x'", "|")
	momentSpellings = strings.Split("'2026-11-23'|20261123|'20261123'|'26-11-23'|261123|'2026-11-23 10:11:12'|'2026-11-30 23:59:59.999'|'2026-11-30 23:59:59.9999'|'2026-11-30 23:59:59.5'|'2026-11-30 23:59:59.4999999'|DATE'2026-11-23'|"+
		"TIMESTAMP'2026-11-30 23:59:59.6'|TIMESTAMP'2026-12-01'|'2026/11/23'|'2026-11-31'|'0000-00-00'|'0000-00-00 00:00:00'|'2026-00-00'|'2026-11-00'|'2026-1-5'|'2026-10-5 1:2:3'|'2026-11-23T10:00:00'|'2026-11-23 10:00:00+08:00'|"+
		"'2026-11-30 20:00:00-08:00'|20261130235959|20261130235959.7|'2026-11'|'2026-11-23x'|'1-1-1'|'70-01-01'|'69-12-31'|'9999-12-31'|'9999-12-31 23:59:59.9'|'1969-12-31 23:59:59'|'1970-01-01'|'1970-01-01 00:00:01'|'2038-01-19 03:14:08'|"+
		"CAST('2026-11-23' AS DATETIME)|DATE'2026-11-23' + INTERVAL 10 DAY|'202611'|202611|'2026-10-25 02:30:00'|'2026-10-25 01:30:00'|'2026-11-01 01:30:00'|'2026-10-25'|'2026-10-31 23:59:59'|'2026-11-01'|'2026-10-31 16:00:00'|'2026-10-31 15:59:59'|"+
		"NULL|'2026-12-01 00:00:00'|'2026-09-01'|'2026-11-30 24:00:00'|'2026-11-23 10'|'2026-11-23 10:11'|TIMESTAMP'2026-11-01 00:00:00'|'  2026-11-23'|'2026-11-23 '|'2026.11.23'|'2026-11-01 00:00:00.000001'|{d '2026-11-23'}|{ts '2026-11-01 00:00:00'}|'20261130235959'|'2026-11-23 00:00:00Z'", "|")
	goArguments = []any{int64(0), int64(1), int64(-1), int64(255), int64(2147483648), uint64(18446744073709551615), uint64(7), 1.5, 2.5, -0.5, 1e300, 5.0, true, false, "1", "01", " 1", "1.5", "a", "A", "a ", "é", "北京", []byte("a"), []byte("é"), []byte{0xe9},
		[]byte{0x61, 0, 0, 0}, []byte("cd"), "cn", "", "2026-11-23", "2026-11-30 23:59:59.9", int64(20261123), time.Date(2026, 11, 30, 23, 59, 59, 600e6, time.UTC), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), nil, []byte("2026-10-31 23:59:59"), int64(1795392000), "202611"}
)

// spellingCases are rules over columns; %s is nothing.
func spellingCases() []algorithmCase {
	var cases []algorithmCase
	add := func(rule string, columns ...string) {
		for _, c := range columns {
			cases = append(cases, algorithmCase{rule: rule, column: c})
		}
	}
	const oldest = "VARCHAR(10) COLLATE utf8mb4_unicode_520_ci"
	add("shard: hash(k), shards: 4", "BIGINT", "BIGINT UNSIGNED", "TINYINT", "INT", "DECIMAL(10,2)", "DECIMAL(20,0)", "VARCHAR(10) COLLATE utf8mb4_general_ci", "VARCHAR(10) COLLATE utf8mb4_bin", "VARCHAR(10) CHARACTER SET latin1",
		"CHAR(5) COLLATE utf8mb4_unicode_ci", oldest, "CHAR(5) CHARACTER SET ascii", "VARBINARY(10)", "BINARY(4)", "DATE", "DATETIME", "DATETIME(3)", "VARCHAR(10) CHARACTER SET gbk", "VARCHAR(10) CHARACTER SET utf16", "SMALLINT UNSIGNED ZEROFILL", "VARCHAR(10) COLLATE utf8mb4_turkish_ci")
	add("shard: mod(k), shards: 4", "BIGINT", "BIGINT UNSIGNED", "DECIMAL(10,2)", "SMALLINT")
	add("shard: jump(k), shards: 4", "INT", "VARCHAR(10) COLLATE utf8mb4_general_ci", "DATETIME", "BINARY(4)", "DECIMAL(10,2)")
	add("shard: murmur(k), shards: 4", "INT UNSIGNED", "VARCHAR(10) COLLATE utf8mb4_bin", "DATE", "DECIMAL(10,2)")
	add("shard: range(k), ranges: {..-1: 0, 0-1: 1, 2-300: 2, 301..: 3}", "BIGINT", "DECIMAL(10,2)", "TINYINT", "DECIMAL(10,0)")
	add("shard: range(k), ranges: {..2026-10: 0, 2026-11: 1, 2026-12..: 2}", "DATE", "DATETIME", "DATETIME(3)")
	add("shard: list(k), values: {a: 0, cn: 1, b: 2, '10': 1, '': 2}, default: 3", "VARCHAR(10) COLLATE utf8mb4_general_ci", "CHAR(5) COLLATE utf8mb4_unicode_ci", "BINARY(4)", "VARCHAR(10) CHARACTER SET latin1")
	add("shard: list(k), values: {1: 0, 7: 1, -1: 2, 0: 1}, default: 3", "INT", "DECIMAL(10,2)", "BIGINT UNSIGNED"[:6])
	add("shard: list(k), values: {2026-11-23: 0, 2026-11-01: 1}, default: 2", "DATE", "DATETIME")
	add("shard: month(k), from: 2026-09, ahead: 1", "DATE", "DATETIME", "DATETIME(3)", "TIMESTAMP", "TIMESTAMP(3)")
	add("shard: month(k), from: 2026-09, ahead: 1, time_zone: Europe/Berlin", "DATETIME", "TIMESTAMP")
	add("shard: 'month(k, seconds)', from: 2026-09, ahead: 1, time_zone: Asia/Shanghai", "INT", "BIGINT UNSIGNED")
	add("shard: 'month(k, milliseconds)', from: 2026-09, ahead: 1", "BIGINT")
	add("shard: 'month(k, format=%Y%m)', from: 2026-09, ahead: 1", "VARCHAR(10) COLLATE utf8mb4_general_ci", "CHAR(6) COLLATE utf8mb4_bin", "BINARY(6)"[:9])
	add("shard: mod(k div 10), shards: 4", "BIGINT", "INT UNSIGNED", "DECIMAL(20,0)")
	add("shard: 'hash(prefix(k, 2))', shards: 4", "VARCHAR(10) COLLATE utf8mb4_general_ci", "CHAR(5) COLLATE utf8mb4_bin")
	add("shard: mod(crc32(k)), shards: 4", "INT", "VARCHAR(10) COLLATE utf8mb4_bin", "VARCHAR(10) COLLATE utf8mb4_general_ci")
	add("shard: 'mod(number(suffix(k, 2)))', shards: 4", "VARCHAR(10) COLLATE utf8mb4_bin")
	add("shard: mod(month(k) + day(k)), shards: 4", "DATETIME", "DATE")
	add("shard: 'month(k), hash(id) x 3', from: 2026-09, ahead: 1", "DATETIME")
	add("shard: 'list(k), hash(id) x 2', values: {a: 0, cn: 1}, default: 2", "VARCHAR(10) COLLATE utf8mb4_general_ci")
	add("shard: 'hash(k) x 2, mod(id) x 2'", "INT", "DECIMAL(10,2)", "VARCHAR(10) COLLATE utf8mb4_unicode_ci")
	for _, c := range foreignCases {
		cases = append(cases, algorithmCase{rule: c.rule, column: c.column})
	}
	return cases
}

// lenientModes are sessions under which a server bends what does not fit.
var lenientModes = []string{"DEFAULT", "''", "'ALLOW_INVALID_DATES,STRICT_TRANS_TABLES'", "'NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'", "'ANSI_QUOTES,PIPES_AS_CONCAT,STRICT_ALL_TABLES'", "'PAD_CHAR_TO_FULL_LENGTH,STRICT_ALL_TABLES'", "'NO_UNSIGNED_SUBTRACTION,HIGH_NOT_PRECEDENCE'", "'NO_ZERO_DATE,NO_ZERO_IN_DATE'"}

// spellingLog has what is written logged.
var spellingLog = os.Getenv("SERVAL_SPELLING_LOG") != ""

// spelled is one case at work.
type spelled struct {
	algorithm
	r    *rand.Rand
	next int

	wrote, refused, read int
}

// A key is written in every spelling and by every kind of statement that a server
// takes, in sessions of every kind, and read in every other: a row is never where
// a read does not look.
func TestSoakSpellings(t *testing.T) {
	seed, count := randomSeed(t, 120)
	const schema = "spellings"
	eachEngine(t, func(t *testing.T, s *serverSet) {
		cases := spellingCases()
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
		both := []*sql.Conn{serval, plain}
		for _, conn := range both {
			mustExec(t, conn, "CREATE DATABASE "+schema, "USE "+schema)
		}
		var tables []*spelled
		for i, c := range cases {
			a := &spelled{algorithm: algorithm{algorithmCase: c, table: fmt.Sprintf("t%d", i), serval: serval, plain: plain}, r: rand.New(rand.NewPCG(seed, uint64(i)))}
			t.Run(c.rule+" of "+c.column, func(t *testing.T) {
				if a.create(t, both) {
					tables = append(tables, a)
					a.play(t, both, count)
				}
			})
		}
		t.Run("joins", func(t *testing.T) { joinSpelled(t, tables, seed) })
		out, err := runServal("check", "-c", p.Config, "--live", "--placement")
		require.Error(t, err, "some of the tables could not be made")
		require.NotContains(t, out, "belong to other shards")
	})
}

func (a *spelled) create(t *testing.T, both []*sql.Conn) bool {
	// No index on the key alone: by one MariaDB finds 2 for 1.5, as it happens.
	key := []string{"PRIMARY KEY (id, k)", "KEY (id)"}[a.r.IntN(2)]
	for _, conn := range both {
		mustExec(t, conn, "SET sql_mode = DEFAULT", "SET NAMES utf8mb4", "SET time_zone = '+00:00'")
		if _, err := conn.ExecContext(t.Context(), fmt.Sprintf("CREATE TABLE %s (id INT NOT NULL, k %s, v INT, %s, w VARCHAR(9) COLLATE utf8mb4_bin NOT NULL DEFAULT '北京😀', x VARCHAR(5) CHARACTER SET gbk NOT NULL DEFAULT '北京', y VARBINARY(9) NOT NULL DEFAULT x'FF5C27E900')", a.table, a.column, key)); err != nil {
			t.Log(err)
			return false
		}
	}
	return true
}

func (a *spelled) play(t *testing.T, both []*sql.Conn, count int) {
	for range 6 {
		mode := lenientModes[a.r.IntN(len(lenientModes))]
		charset := []string{"utf8mb4", "utf8mb4", "utf8mb4", "latin1", "gbk", "utf8mb4 COLLATE utf8mb4_bin"}[a.r.IntN(6)]
		zone := []string{"+00:00", "+08:00", "-03:30", "+05:30"}[a.r.IntN(4)]
		for _, conn := range both {
			mustExec(t, conn, "SET sql_mode = "+mode, "SET NAMES "+charset, "SET time_zone = '"+zone+"'")
		}
		for range count / 6 {
			a.write(t, mode+" "+charset+" "+zone)
		}
		for range count / 3 {
			a.ask(t, mode+" "+charset+" "+zone)
		}
		a.findEach(t, mode+" "+charset+" "+zone)
	}
	for _, conn := range both {
		mustExec(t, conn, "SET sql_mode = DEFAULT", "SET NAMES utf8mb4", "SET time_zone = '+00:00'")
	}
	a.findEach(t, "default")
	t.Logf("%d written, %d refused, %d read", a.wrote, a.refused, a.read)
}

// spelling is one that suits the column, mostly.
func (a *spelled) spelling() string {
	lists := [][]string{numberSpellings, textSpellings, momentSpellings}
	i := 0
	switch {
	case strings.Contains(a.column, "CHAR"), strings.Contains(a.column, "BINARY"):
		i = 1
	case strings.HasPrefix(a.column, "DATE"), strings.HasPrefix(a.column, "TIMESTAMP"):
		i = 2
	}
	if a.r.IntN(5) == 0 {
		i = a.r.IntN(3)
	}
	return lists[i][a.r.IntN(len(lists[i]))]
}

// write puts a row in, or changes one, on both.
func (a *spelled) write(t *testing.T, session string) {
	x, y := a.spelling(), a.spelling()
	a.next++
	id, old := a.next, 1+a.r.IntN(a.next)
	m := mode{}
	before := ""
	switch a.r.IntN(14) {
	case 0, 1:
		m.sql = fmt.Sprintf("INSERT INTO %s (id, k, v) VALUES (%d, %s, 0)", a.table, id, x)
	case 2:
		m.sql = fmt.Sprintf("INSERT INTO %s SET id = %d, k = %s", a.table, id, x)
	case 3:
		before = "SET @x = " + x
		m.sql = fmt.Sprintf("INSERT INTO %s (k, id) VALUES (@x, %d)", a.table, id)
	case 4, 5:
		m = mode{sql: fmt.Sprintf("INSERT INTO %s (id, k, v) VALUES (?, ?, 0)", a.table), prepared: true, args: []any{id, goArguments[a.r.IntN(len(goArguments))]}}
	case 6:
		m.sql = fmt.Sprintf("UPDATE %s SET k = %s WHERE id = %d", a.table, x, old)
	case 7:
		m.sql = fmt.Sprintf("REPLACE INTO %s (id, k, v) VALUES (%d, %s, 1)", a.table, id, x)
	case 8:
		m.sql = fmt.Sprintf("INSERT INTO %s (id, k, v) SELECT %d, %s, 2", a.table, id, x)
	case 9:
		m.sql = fmt.Sprintf("INSERT INTO %s (id, k, v) VALUES (%d, %s, 3) ON DUPLICATE KEY UPDATE v = v + 1", a.table, old, x)
	case 10:
		m.sql = fmt.Sprintf("INSERT IGNORE INTO %s (id, k, v) VALUES (%d, %s, 3)", a.table, id, x)
	case 11:
		m.sql = fmt.Sprintf("INSERT INTO %s (id, k, v) VALUES (%d, %s, 4), (%d, %s, 5)", a.table, id, x, id, y)
	case 12:
		m = mode{sql: fmt.Sprintf("UPDATE %s SET k = ? WHERE id = ?", a.table), prepared: true, args: []any{goArguments[a.r.IntN(len(goArguments))], old}}
	case 13:
		m.sql = fmt.Sprintf("UPDATE %s SET v = v + 1 WHERE k = %s", a.table, x)
	}
	a.step(t, session, before, m, true)
}

// ask reads by a spelling.
func (a *spelled) ask(t *testing.T, session string) {
	x, y := a.spelling(), a.spelling()
	head := "SELECT id, HEX(k), v, HEX(w), HEX(x), HEX(y) FROM " + a.table + " WHERE "
	before := ""
	m := mode{}
	switch a.r.IntN(12) {
	case 0, 1:
		m.sql = head + "k = " + x
	case 2:
		m.sql = head + "k IN (" + x + ", " + y + ")"
	case 3:
		m.sql = head + "k " + []string{">=", "<", "<=", ">", "<>", "<=>"}[a.r.IntN(6)] + " " + x
	case 4:
		m.sql = head + "k BETWEEN " + x + " AND " + y
	case 5:
		before = "SET @x = " + x
		m.sql = head + "k = @x"
	case 6, 7:
		m = mode{sql: head + "k = ?", prepared: true, args: []any{goArguments[a.r.IntN(len(goArguments))]}}
	case 8:
		m = mode{sql: head + "k >= ? AND k < ?", prepared: true, args: []any{goArguments[a.r.IntN(len(goArguments))], goArguments[a.r.IntN(len(goArguments))]}}
	case 9:
		m.sql = head + x + " = k"
	case 10:
		m.sql = head + fmt.Sprintf("id = %d AND k = %s", 1+a.r.IntN(a.next), x)
	case 11:
		m.sql = head + "k = " + x + " OR k = " + y + " OR k IS NULL"
	}
	a.step(t, session, before, m, false)
}

// findEach looks for every row by what its key is read as.
func (a *spelled) findEach(t *testing.T, session string) {
	for _, form := range []string{"k", "HEX(k)"} {
		all := observe(t.Context(), a.plain, mode{sql: "SELECT DISTINCT " + form + " FROM " + a.table + " WHERE k IS NOT NULL"})
		for _, row := range all.rows {
			m := mode{sql: "SELECT id, HEX(k), v, HEX(w), HEX(x), HEX(y) FROM " + a.table + " WHERE k = ?", prepared: true, args: []any{row[0]}}
			if form == "HEX(k)" {
				m = mode{sql: "SELECT id, HEX(k), v, HEX(w), HEX(x), HEX(y) FROM " + a.table + " WHERE k = x'" + row[0] + "'"}
				if !strings.Contains(a.column, "CHAR") && !strings.Contains(a.column, "BINARY") || len(row[0])%2 == 1 {
					continue
				}
			}
			a.step(t, session, "", m, false)
		}
	}
	a.step(t, session, "", mode{sql: "SELECT id, HEX(k), v, HEX(w), HEX(x), HEX(y) FROM " + a.table}, false)
}

// unplaced are errors of a key that does not fit its column, of one that has no
// place, and of text that is none of its character set: Serval never bends one.
var unplaced = map[uint16]bool{1048: true, 1264: true, 1265: true, 1292: true, 1300: true, 1364: true, 1366: true, 1406: true, 1526: true}

// step runs it on Serval, and on the plain server unless Serval refused it.
func (a *spelled) step(t *testing.T, session, before string, m mode, writes bool) {
	if before != "" {
		for _, conn := range []*sql.Conn{a.serval, a.plain} {
			_, _ = conn.ExecContext(t.Context(), before) // what cannot be read is NULL on both, or what was there before
		}
	}
	got := observe(t.Context(), a.serval, m)
	if got.errno == 1235 || writes && unplaced[got.errno] {
		a.refused++
		return
	}
	want := observe(t.Context(), a.plain, m)
	if writes {
		if got.errno == 0 && spellingLog {
			t.Logf("W %s: %s; %s %v", session, before, m.sql, m.args)
		}
		a.wrote++
	} else {
		a.read++
	}
	if (want.errno != 0) != (got.errno != 0) {
		t.Errorf("%s: %s; %s %v\nplain %d %s\nserval %d %s", session, before, m.sql, m.args, want.errno, want.message, got.errno, got.message)
		return
	}
	if want.affected != got.affected && !strings.Contains(m.sql, "SET k =") { // of rows that move not all are told apart
		t.Errorf("%s: %s; %s %v\naffected: plain %d serval %d", session, before, m.sql, m.args, want.affected, got.affected)
	}
	if diff := compareRows(m.sql, want, got); diff != "" {
		t.Errorf("%s: %s; %s %v\n%s", session, before, m.sql, m.args, diff)
	}
}

// joinSpelled joins tables that may share their shards, whatever their types.
func joinSpelled(t *testing.T, tables []*spelled, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1000))
	for range 150 {
		x, y := tables[r.IntN(len(tables))], tables[r.IntN(len(tables))]
		if r.IntN(3) > 0 { // neighbours have one rule
			i := r.IntN(len(tables) - 1)
			x, y = tables[i], tables[i+1]
		}
		q := fmt.Sprintf("SELECT a.id, b.id FROM %s a JOIN %s b ON a.k = b.k", x.table, y.table)
		switch r.IntN(3) {
		case 0:
			q = fmt.Sprintf("SELECT id FROM %s a WHERE EXISTS (SELECT 1 FROM %s b WHERE a.k = b.k)", x.table, y.table)
		case 1:
			q = fmt.Sprintf("SELECT id FROM %s a WHERE k IN (SELECT k FROM %s b WHERE v > 0)", x.table, y.table)
		}
		x.step(t, x.column+" with "+y.column, "", mode{sql: q}, false)
	}
}
