package integration

import (
	"database/sql"
	"fmt"
	"hash/crc32"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// compositeCase is a table of two sharding columns, a and b.
type compositeCase struct {
	// rule is what stands in the braces, without on:.
	rule string
	// columnA and columnB are their types; as and bs values that have a place, and
	// refused ones of a that have none.
	columnA, columnB string
	as, bs, refused  []string
	// apart, if not nil: values of a and b that may not be in one row.
	apart func(a, b string) bool
	zone  string
}

// compositeCases have rules of several functions over columns of several types.
func compositeCases(now time.Time) []compositeCase {
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	quoted := func(layout string, times ...time.Time) (out []string) {
		for _, at := range times {
			out = append(out, "'"+at.Format(layout)+"'")
		}
		return out
	}
	times := []time.Time{month.AddDate(0, -2, 0), month.AddDate(0, -1, 14), month.Add(-time.Second), month, month.AddDate(0, 0, 14), month.AddDate(0, 1, 0)}
	from := fmt.Sprintf(", from: '%s', ahead: 2", times[0].Format("2006-01"))
	numbers := split("0 1 2 3 7 64 65 -1 2147483647")
	last := func(s string) string { return strings.Trim(s, "'")[len(strings.Trim(s, "'"))-1:] }
	slots := func(a, b string) bool {
		return crc32.ChecksumIEEE([]byte(last(a)))%1024/256 != crc32.ChecksumIEEE([]byte(last(b)))%1024/256
	}
	digits := func(a, b string) bool { return (int(last(a)[0])-int(last(b)[0]))%5 != 0 }
	orders := split("'A-10' 'A-21' 'B-32' 'A-13' 'A-7' 'B-5'")
	return []compositeCase{
		{rule: "shard: 'month(a), hash(b) x 4'" + from, columnA: "DATETIME", columnB: "BIGINT", as: quoted(time.DateTime, times...), bs: numbers, refused: split("'1999-12-31' NULL")},
		{rule: "shard: 'month(a), hash(b) x 4', layout: tables" + from, columnA: "DATE", columnB: "VARCHAR(20) COLLATE utf8mb4_general_ci",
			as: quoted(time.DateOnly, times...), bs: split("'' 'a' 'A ' 'b' 'zoë' 'ZOE'"), refused: split("'1999-12-31'")},
		{rule: "shard: 'month(a), mod(b) x 3', time_zone: Asia/Shanghai" + from, columnA: "TIMESTAMP NULL", columnB: "DECIMAL(10,2)", zone: "-03:30",
			as: quoted(time.DateTime, times[1], times[3], times[4]), bs: split("0 1.5 -0.5 2 7.25"), refused: split("NULL")},
		{rule: "shard: 'list(a), hash(b) x 2', values: {cn: 0, us: 1, de: 2}", columnA: "CHAR(2) COLLATE utf8mb4_general_ci", columnB: "INT", as: split("'cn' 'US' 'de'"), bs: numbers,
			refused: split("'fr' NULL")},
		{rule: "shard: 'list(a, cn: 0, us: 1), jump(b) x 3', default: 2, layout: tables", columnA: "VARCHAR(9) COLLATE utf8mb4_bin", columnB: "INT", as: split("'cn' 'us' 'CN' ''"), bs: numbers},
		{rule: "shard: 'hash(a) x 2, mod(b) x 3'", columnA: "INT NULL", columnB: "INT", as: append(split("NULL"), numbers...), bs: append(split("NULL"), numbers...)},
		{rule: "shard: 'hash(a) x 2, murmur(b, seed=7) x 3'", columnA: "INT", columnB: "VARBINARY(4)", as: numbers, bs: split("'ab' 'cd' x'63640000' x'00'")},
		{rule: "shard: 'hash(a % 10) or hash(number(suffix(b, 1))) x 4'", columnA: "INT UNSIGNED", columnB: "VARCHAR(20) COLLATE utf8mb4_bin", as: split("0 10 21 32 13 7 5 95"), bs: orders, apart: slots},
		{rule: "shard: 'range(a, ..9: 0, 10..: 1), mod(a) or mod(number(suffix(b, 1))) x 5', layout: tables", columnA: "INT UNSIGNED", columnB: "CHAR(20) COLLATE utf8mb4_bin",
			as: split("10 21 32 13 7 5 95"), bs: orders, apart: digits},
	}
}

// Rules of several columns: a client sees what one server would show, the servers
// agree that each row is where the rule says, and a row that is not is found.
func TestComposites(t *testing.T) {
	cases := compositeCases(time.Now().UTC())
	const schema = "composites"
	eachEngine(t, func(t *testing.T, s *serverSet) {
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
			a := composite{compositeCase: c, algorithm: algorithm{table: fmt.Sprintf("t%d", i), serval: serval, plain: plain}}
			t.Run(c.rule, a.run)
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

// composite is one case at work.
type composite struct {
	compositeCase
	algorithm
}

func (c *composite) run(t *testing.T) {
	key := ", PRIMARY KEY (id, a, b)"
	if strings.HasSuffix(c.columnA, " NULL") {
		key = ""
	}
	create := fmt.Sprintf("CREATE TABLE %s (id INT NOT NULL, a %s, b %s, v INT, KEY (b)%s)", c.table, c.columnA, c.columnB, key)
	for _, conn := range []*sql.Conn{c.plain, c.serval} {
		mustExec(t, conn, create)
		if c.zone != "" {
			mustExec(t, conn, "SET time_zone = '"+c.zone+"'")
			defer mustExec(t, conn, "SET time_zone = '+00:00'")
		}
	}
	id := 0
	for _, a := range c.as {
		var rows []string
		for _, b := range c.bs {
			id++
			row := fmt.Sprintf("(%d, %s, %s, %d)", id, a, b, id)
			if c.apart != nil && c.apart(a, b) {
				got := observe(t.Context(), c.serval, mode{sql: "INSERT INTO " + c.table + " VALUES " + row})
				require.EqualValues(t, 1526, got.errno, row)
				continue
			}
			rows = append(rows, row)
		}
		if len(rows) > 0 {
			c.same(t, "INSERT INTO "+c.table+" VALUES "+strings.Join(rows, ", "))
		}
	}
	for _, v := range c.refused {
		got := observe(t.Context(), c.serval, mode{sql: fmt.Sprintf("INSERT INTO %s VALUES (-1, %s, %s, 0)", c.table, v, c.bs[0])})
		require.NotZero(t, got.errno, "%s has no place", v)
	}
	random := rand.New(rand.NewSource(1)) // the same statements each time
	c.reads(t, random)
	if c.zone == "" {
		c.moves(t, random)
	}
	c.same(t, fmt.Sprintf("DELETE FROM %s WHERE a = %s AND b = %s", c.table, c.as[0], c.bs[0]))
	c.same(t, fmt.Sprintf("DELETE FROM %s WHERE b = %s", c.table, c.bs[1]))
	c.read(t, "TRUE")
}

func (c *composite) reads(t *testing.T, random *rand.Rand) {
	as, bs := append(c.as[:len(c.as):len(c.as)], c.refused...), c.bs
	a, b := func() string { return as[random.Intn(len(as))] }, func() string { return bs[random.Intn(len(bs))] }
	operator := func() string { return split("= <=> < <= > >= <>")[random.Intn(7)] }
	for range 25 {
		c.read(t, fmt.Sprintf("a %s %s AND b %s %s", operator(), a(), operator(), b()))
		c.read(t, fmt.Sprintf("a = %s AND b = %s", a(), b()))
		c.read(t, fmt.Sprintf("a %s %s OR b %s %s", operator(), a(), operator(), b()))
		c.read(t, fmt.Sprintf("a BETWEEN %s AND %s AND b IN (%s, %s)", a(), a(), b(), b()))
		c.read(t, fmt.Sprintf("(a, b) IN ((%s, %s), (%s, %s))", a(), b(), a(), b()))
	}
	for _, where := range []string{"a IS NULL", "b IS NULL", "a IS NOT NULL AND b = " + bs[0]} {
		c.read(t, where)
	}
	for _, statement := range []string{
		"SELECT a, COUNT(*), SUM(v) FROM %s GROUP BY a ORDER BY a",
		"SELECT a, b, COUNT(*) FROM %s GROUP BY a, b ORDER BY a, b",
		"SELECT COUNT(*) FROM %[1]s x JOIN %[1]s y ON x.a = y.a AND x.b = y.b",
		"SELECT COUNT(*) FROM %[1]s x JOIN %[1]s y ON x.b = y.b WHERE x.a = " + c.as[0],
		"SELECT COUNT(*) FROM %[1]s x LEFT JOIN %[1]s y ON x.a = y.a AND x.b = y.b AND y.v > 9 WHERE y.id IS NULL",
		"SELECT COUNT(*) FROM %[1]s WHERE b IN (SELECT b FROM %[1]s WHERE a = " + c.as[len(c.as)-1] + ")",
		"SELECT COUNT(*) FROM %[1]s x WHERE EXISTS (SELECT 1 FROM %[1]s y WHERE y.a = x.a AND y.b = x.b AND y.id <> x.id)",
		"SELECT COUNT(*), COUNT(DISTINCT b), MAX(v) FROM %s",
	} {
		c.same(t, fmt.Sprintf(statement, c.table))
	}
}

// moves change either column, where both of it stay possible together.
func (c *composite) moves(t *testing.T, random *rand.Rand) {
	a, b := func() string { return c.as[random.Intn(len(c.as))] }, func() string { return c.bs[random.Intn(len(c.bs))] }
	c.same(t, fmt.Sprintf("UPDATE %s SET v = v + 1 WHERE a = %s", c.table, a()))
	c.same(t, fmt.Sprintf("UPDATE %s SET v = v + 10 WHERE b >= %s", c.table, b()))
	c.same(t, fmt.Sprintf("UPDATE %s SET v = v + 100 WHERE b = %s ORDER BY v LIMIT 2", c.table, b()))
	for range 6 {
		newA, newB := a(), b()
		if c.apart == nil {
			c.same(t, fmt.Sprintf("UPDATE %s SET a = %s WHERE b = %s AND id %% 3 = 0", c.table, newA, newB))
			c.same(t, fmt.Sprintf("UPDATE %s SET b = %s WHERE a = %s AND id %% 3 = 1", c.table, newB, newA))
		}
		if c.apart == nil || !c.apart(newA, newB) {
			c.same(t, fmt.Sprintf("UPDATE %s SET a = %s, b = %s WHERE id %% 5 = %d", c.table, newA, newB, random.Intn(5)))
			c.same(t, fmt.Sprintf("REPLACE INTO %s VALUES (%d, %s, %s, 1)", c.table, 1000+random.Intn(3), newA, newB))
			c.same(t, fmt.Sprintf("INSERT INTO %s VALUES (%d, %s, %s, 1) ON DUPLICATE KEY UPDATE v = v + 1, a = VALUES(a)", c.table, 1000+random.Intn(3), newA, newB))
			continue
		}
		got := observe(t.Context(), c.serval, mode{sql: fmt.Sprintf("UPDATE %s SET a = %s, b = %s, v = -1", c.table, newA, newB)})
		require.EqualValues(t, 1526, got.errno, "%s and %s are apart", newA, newB)
		c.read(t, "TRUE")
	}
	c.read(t, "TRUE")
}
