package reshard

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Every type's odd values arrive as they are: by the copy, and by changes that are
// followed.
func TestRowsOfEveryTypeArriveExactly(t *testing.T) {
	eachEngine(t, 0, func(t *testing.T, s *stand) {
		const columns = `(
			v INT AS (id + 1) VIRTUAL, id BIGINT NOT NULL, st INT AS (id + 2) STORED,
			u BIGINT UNSIGNED, de DECIMAL(30,10), f FLOAT, fm FLOAT(7,3), do DOUBLE, b BIT(10), z INT(8) UNSIGNED ZEROFILL, y YEAR,
			da DATE, dt DATETIME(6), ts TIMESTAMP(3) NULL, ti TIME(6), e ENUM('a','b','ü'), se SET('x','y','z'),
			c CHAR(10) CHARACTER SET latin1, vc VARCHAR(50) CHARACTER SET utf8mb4, gb VARCHAR(50) CHARACTER SET gbk, sj TEXT CHARACTER SET sjis,
			uc VARCHAR(20) CHARACTER SET ucs2, u32 TEXT CHARACTER SET utf32, ko TEXT CHARACTER SET koi8r,
			bi BINARY(5), vb VARBINARY(100), bl LONGBLOB, tx LONGTEXT, js JSON, g GEOMETRY, p POINT, PRIMARY KEY (id))`
		bigint := shardrule.Column{Name: "id", Type: shardrule.TypeInt, Bits: 64, SQLType: "bigint"}
		text := shardrule.Column{Name: "vb", Type: shardrule.TypeBinary, Length: 100, SQLType: "varbinary(100)", Nullable: true}
		l := s.layout(t, move{name: "t", columns: columns, key: []string{"id"}, from: spread("t", "a", 2, bigint), to: spread("t", "b", 3, text)})
		insert := func(shard int, from int) []string {
			c := fmt.Sprintf("a_%d.t", shard)
			row := func(set string) string { from++; return fmt.Sprintf("INSERT INTO %s SET id = %d, %s", c, from, set) }
			return []string{
				"SET sql_mode = 'NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', NAMES utf8mb4",
				row("u = 18446744073709551615, de = -12345678901234567890.1234567891, f = 1.1, fm = 1.234, do = -0.1, b = 1023, z = 42, y = 2155"),
				row("f = 3.4028234e38, do = 1.7976931348623157e308, b = 0, y = 0, da = '0000-00-00', dt = '0000-00-00 00:00:00', ts = '0000-00-00 00:00:00', ti = '-838:59:59.000000'"),
				row("f = -1e-38, do = 2.2250738585072014e-308, da = '2026-00-00', dt = '9999-12-31 23:59:59.999999', ts = '2038-01-19 03:14:07.999', ti = '838:59:58.999999'"),
				row("da = '0001-01-01', dt = '2026-02-00 10:11:12.5', ts = '1970-01-01 00:00:01', ti = '-00:00:00.000001', vb = 'x'"),
				row("e = 'ü', se = 'x,z', c = 'é  ', vc = '😀''\"\\\\\\n\\0end', gb = '誠\\\\', sj = 'ソ能表', uc = 'äß', u32 = '😀a', ko = 'Привет', vb = 'y'"),
				row("e = 'nonsense', se = '', c = '', vc = '', gb = '', sj = '', uc = '', u32 = '', ko = '', bi = '', vb = '', bl = '', tx = ''"),
				row("bi = x'0100000000', vb = x'00FF5C27', bl = x'00', tx = 'a%_\\'', vc = ' trailing  ', uc = ' ', js = '{\"b\": [1, 2.5, null, \"ü\", -0.0, 1e300], \"a\": \"\\\\\"x\"}'"),
				row("g = ST_GeomFromText('POINT(1 2)', 4326), p = ST_GeomFromText('POINT(0.1 -7)'), js = 'null'"),
				row("g = ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))'), js = '\"text\"', bl = REPEAT(x'00FF', 2000000), tx = REPEAT('ü', 1000000)"),
				row("f = 16777217, do = 0.30000000000000004, de = 0.0000000001, b = b'1000000001', js = '[]'"),
			}
		}
		for i := range 2 {
			s.exec(t, fmt.Sprintf("c%d", i), withoutNames(insert(i, 100*i))...)
		}
		r := s.start(t, MoverConfig{Layout: l, Journal: newMemory()})
		r.copyDone(t)
		r.caughtUp(t)
		const all = "id, v, st, u, de, CAST(f*1e0 AS CHAR) f, fm, do, HEX(b) b, z, y, da, dt, ts, ti, e+0 e, se+0 se, HEX(c) c, HEX(vc) vc, HEX(gb) gb, HEX(sj) sj, HEX(uc) uc," +
			" HEX(u32) u32, HEX(ko) ko, HEX(bi) bi, HEX(vb) vb, SHA2(bl, 256) bl, LENGTH(bl) lb, SHA2(tx, 256) tx, js, HEX(g) g, HEX(p) p"
		require.Equal(t, 20, s.sameRows(t, l, all))
		for i := range 2 {
			s.exec(t, fmt.Sprintf("c%d", i), withoutNames(insert(i, 1000+100*i))...)
			s.exec(t, fmt.Sprintf("c%d", i), fmt.Sprintf("UPDATE a_%d.t SET vb = CONCAT('k', id), id = id + 5000 WHERE id %% 3 = 0", i),
				fmt.Sprintf("DELETE FROM a_%d.t WHERE id %% 7 = 0", i))
		}
		r.caughtUp(t)
		require.Greater(t, s.sameRows(t, l, all), 20)
		v := r.verified(t)
		require.NotZero(t, v.Rows)
		s.exec(t, "c0", "UPDATE b_0.serval_new_t SET f = 7, e = 1 LIMIT 1", "INSERT INTO b_0.serval_new_t (id) VALUES (77777)")
		s.exec(t, "c1", "DELETE FROM b_1.serval_new_t LIMIT 1")
		bad, err := r.Verify(t.Context(), VerifyOptions{})
		require.NoError(t, err)
		t.Log(bad.Differing)
		require.Len(t, bad.Differing, 3)
		mended, err := r.Verify(t.Context(), VerifyOptions{Repair: true})
		require.NoError(t, err)
		require.Empty(t, mended.Differing)
		require.EqualValues(t, 3, mended.Repaired)
		s.sameRows(t, l, all)
	})
}

// withoutNames: a SET of the session and NAMES are two statements.
func withoutNames(sql []string) []string {
	return append([]string{"SET NAMES utf8mb4", "SET sql_mode = 'NO_ENGINE_SUBSTITUTION', time_zone = '+00:00'"}, sql[1:]...)
}

// Keys of every type are taken out of the binlog as the server finds them again.
func TestKeysOfEveryTypeAreFollowed(t *testing.T) {
	keys := []struct{ name, sql, values string }{
		{"tinyint", "TINYINT", "(-128),(0),(127)"},
		{"unsigned", "BIGINT UNSIGNED", "(0),(18446744073709551615),(9223372036854775808)"},
		{"mediumint", "MEDIUMINT", "(-8388608),(8388607)"},
		{"zerofill", "INT(6) UNSIGNED ZEROFILL", "(5),(4294967295)"},
		{"decimal", "DECIMAL(25,7)", "(-123456789012345678.1234567),(0.0000001),(0),(999999999999999999.9999999)"},
		{"decimal0", "DECIMAL(9,0)", "(-999999999),(7)"},
		{"latin1", "VARCHAR(300) CHARACTER SET latin1", "('a'),(_latin1 x'E9'),('x''y\\\\'),('')"},
		{"utf8mb4", "VARCHAR(50) CHARACTER SET utf8mb4", "('ä'),('😀'),('a,b'),('Z')"},
		{"collated", "VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "('Abc'),('é'),('zz ')"},
		{"char", "CHAR(20) CHARACTER SET utf8mb4", "('a'),('ü  '),('')"},
		{"charlong", "CHAR(200) CHARACTER SET utf8mb4", "('a'),('ü  '),('')"},
		{"gbk", "CHAR(20) CHARACTER SET gbk", "('誠'),('a')"},
		{"ucs2", "VARCHAR(20) CHARACTER SET ucs2", "('ä'),('b')"},
		{"binary", "BINARY(6)", "(x'010000000000'),(x'00'),('abc')"},
		{"varbinary", "VARBINARY(300)", "(x'0100'),(x'00'),(''),(x'275C2C')"},
		{"date", "DATE", "('0000-00-00'),('2026-11-23'),('9999-12-31')"},
		{"datetime", "DATETIME", "('0000-00-00 00:00:00'),('2026-11-23 10:11:12')"},
		{"datetime6", "DATETIME(6)", "('2026-11-23 10:11:12.000001'),('1000-01-01 00:00:00.999999')"},
		{"datetime3", "DATETIME(3)", "('2026-11-23 10:11:12.001'),('2026-11-23 10:11:12.120')"},
		{"timestamp", "TIMESTAMP(2) DEFAULT '2020-01-01'", "('2026-11-23 10:11:12.34'),('1970-01-02 00:00:00')"},
		{"time", "TIME", "('-838:59:59'),('00:00:01'),('838:59:59')"},
		{"time3", "TIME(3)", "('-00:00:01.001'),('-10:20:30.999'),('00:00:00.001')"},
		{"time6", "TIME(6)", "('-00:00:01.000001'),('10:20:30.999999'),('-01:00:00')"},
		{"year", "YEAR", "(0),(1901),(2155)"},
		{"enum", "ENUM('z','a','m')", "('z'),('a'),('m')"},
		{"set", "SET('a','b','c','d','e','f','g','h','i')", "(''),('a,i'),('b')"},
		{"bit", "BIT(20)", "(b'0'),(b'11111111111111111111'),(b'100000000')"},
	}
	eachEngine(t, 0, func(t *testing.T, s *stand) {
		var moves []move
		for _, k := range keys {
			moves = append(moves, move{name: k.name, columns: "(a VARCHAR(10), k " + k.sql + " NOT NULL, j JSON, n INT NOT NULL, h VARCHAR(20) AS (CONCAT(n, 'x')) VIRTUAL, PRIMARY KEY (k, n))",
				key: []string{"k", "n"}, from: home(k.name), to: spread(k.name, "b", 2, shardrule.Column{Name: "n", Type: shardrule.TypeInt, Bits: 32, SQLType: "int"})})
		}
		l := s.layout(t, moves...)
		change := func(n int) {
			for _, k := range keys {
				s.exec(t, "c0", "SET NAMES utf8mb4", "SET sql_mode = '', time_zone = '+00:00'",
					fmt.Sprintf("INSERT INTO d.%s (k, n) SELECT x.k, %d FROM (SELECT 1 AS k) y JOIN d.%s x WHERE FALSE", k.name, n, k.name),
					fmt.Sprintf("INSERT INTO d.%s (k, n) VALUES %s", k.name, rowsWith(k.values, n)),
					fmt.Sprintf("UPDATE d.%s SET a = 'v', n = n + 1 WHERE n = %d", k.name, n-10), fmt.Sprintf("DELETE FROM d.%s WHERE n = %d", k.name, n-20))
			}
		}
		change(0)
		r := s.start(t, MoverConfig{Layout: l, Journal: newMemory()})
		r.copyDone(t)
		for n := 10; n <= 50; n += 10 {
			change(n)
		}
		r.caughtUp(t)
		for _, table := range l.Tables {
			require.NotZero(t, s.sameRows(t, &Layout{Tables: []*Table{table}}, "HEX(k), n, a"), table.Name)
		}
		r.verified(t)
		// A locking read that does not find its row by the primary key would lock others.
		for _, mv := range r.tables {
			mv.sources[0].restore(Part{})
			c, err := r.readChunk(t.Context(), mv.sources[0], 1)
			require.NoError(t, err)
			require.NotEmpty(t, c.keys)
			require.NoError(t, r.with(t.Context(), "c0", func(conn *backend.Conn) error {
				explain, kind := "EXPLAIN ", 3
				if conn.Flavor() == topology.FlavorMySQL {
					explain, kind = "EXPLAIN FORMAT=TRADITIONAL ", 4 // behind a column partitions
				}
				return query(conn, explain+"SELECT * FROM "+mv.sources[0].name+" WHERE "+mv.isKey(c.keys[0]), func(row [][]byte) error {
					require.Equal(t, "const", string(row[kind]), "%s: %s", mv.Name, c.keys[0])
					return nil
				})
			}))
		}
	})
}

// rowsWith puts a number behind each value: (1),(2) is (1, 7),(2, 7).
func rowsWith(values string, n int) string {
	out, depth := "", 0
	quoted := false
	for i := range len(values) {
		switch c := values[i]; {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				out += fmt.Sprintf(", %d", n)
			}
		}
		out += values[i : i+1]
	}
	return out
}
