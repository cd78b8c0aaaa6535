//go:build soak

package integration

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// typesBoth are columns that both engines have, typesOf those of one.
const typesBoth = "n INT NOT NULL DEFAULT (1 + 1) COMMENT 'it''s (n)', v INT AS (n + 1) VIRTUAL, id BIGINT NOT NULL PRIMARY KEY, st VARCHAR(40) AS (CONCAT('x', n)) STORED, hid INT INVISIBLE DEFAULT 7," +
	" u BIGINT UNSIGNED, de DECIMAL(30,10), f FLOAT, fm FLOAT(7,3), do DOUBLE, b BIT(10), z INT(8) UNSIGNED ZEROFILL, y YEAR, da DATE, dt DATETIME(6), ts TIMESTAMP(3) NULL, ti TIME(6)," +
	" e ENUM('a','b','ü'), se SET('x','y','z'), bi BINARY(5), vb VARBINARY(100), bl LONGBLOB, tx LONGTEXT, js JSON, g GEOMETRY, p POINT, made TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP," +
	" KEY (de DESC), KEY (tx(10)), CHECK (n >= 0), CHECK (id > 0)"

var typesOf = map[mysqlproc.Engine]string{
	mysqlproc.MySQL: ", ve VECTOR(3), sr POINT NOT NULL DEFAULT (ST_GeomFromText('POINT(1 2)', 4326)) SRID 4326, SPATIAL KEY (sr), KEY ((n * 2)), KEY ((CAST(js->'$.a' AS UNSIGNED ARRAY))), un VARCHAR(36) DEFAULT (UUID())",
	mysqlproc.MariaDB: ", uu UUID, i6 INET6, i4 INET4, un VARCHAR(36) DEFAULT (UUID()), ce INT CHECK (ce > 1)," +
		" sr POINT NOT NULL DEFAULT (POINT(1, 2)), SPATIAL KEY (sr)",
}

// typesRows are SET lists; the two tables get the same.
var typesRows = map[mysqlproc.Engine][]string{
	0: {
		"n = 1, u = 18446744073709551615, de = -12345678901234567890.1234567891, f = 1.1, fm = 1.234, do = -0.1, b = 1023, z = 42, y = 2155, hid = NULL",
		"n = 2, f = 3.4028234e38, do = 1.7976931348623157e308, b = 0, y = 0, da = '0000-00-00', dt = '0000-00-00 00:00:00', ts = '0000-00-00 00:00:00', ti = '-838:59:59.000000'",
		"n = 3, f = -1e-38, do = 2.2250738585072014e-308, da = '2026-00-00', dt = '9999-12-31 23:59:59.999999', ts = '2038-01-19 03:14:07.999', ti = '838:59:58.999999'",
		"n = 4, f = -0.0, do = -0.0, da = '0001-01-01', dt = '2026-02-31 10:11:12.5', ts = '1970-01-01 00:00:01', ti = '-00:00:00.000001'",
		"n = 5, e = 'ü', se = 'x,z', bi = x'0100000000', vb = x'00FF5C27', bl = x'00', tx = 'a%_\\\\''\"\\n\\0😀'",
		"n = 6, e = 'nonsense', se = '', bi = '', vb = '', bl = '', tx = '', js = '{\"b\": [1, 2.5, null, \"ü\", -0.0, 1e300], \"a\": [3, 4]}'",
		"n = 7, g = ST_GeomFromText('POINT(1 2)', 4326), p = ST_GeomFromText('POINT(0.1 -7)'), js = 'null', made = '1999-01-01 00:00:00'",
		"n = 8, g = ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))'), js = '\"text\"', bl = REPEAT(x'00FF', 200000), tx = REPEAT('ü', 100000)",
		"n = 9, js = JSON_OBJECT('d', 1.10, 't', 'x', 'a', JSON_ARRAY(1))",
	},
	mysqlproc.MySQL: {
		"n = 10, ve = STRING_TO_VECTOR('[1.5,-0,3e-30]'), sr = ST_GeomFromText('POINT(50 7)', 4326), js = JSON_OBJECT('at', CAST('2026-01-02 03:04:05.6' AS DATETIME(6)), 'u', CAST(5 AS UNSIGNED), 'bl', x'00ff', 'p', de)",
	},
	mysqlproc.MariaDB: {
		"n = 11, uu = '123e4567-e89b-12d3-a456-426655440000', i6 = '2001:db8::ff00:42:8329', i4 = '192.168.0.1', ce = 5",
	},
}

// Tables with every type, in every character set, go through the whole chain on
// both engines, and every row and definition is the same there and back again.
func TestSoakEveryTypeMovesThereAndBack(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		own(t, s.engine.String(), reshardJobs)
		const schema = "everytype"
		dropSchema(t, s.Clusters(t), schema)
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
		const before, after = "t: {on: c0}\ntexts: {on: c0}", "t: {shard: hash(id), shards: 3, on: [c0, c1]}\ntexts: {shard: hash(id), shards: 2, on: [c1, c0]}"
		p := startServal(t, s, settings{Schema: schema, Tables: before})
		db := p.open(t, "")
		home := s.Clusters(t)[0].Primary.DB()
		mustExec(t, db, "CREATE DATABASE "+schema)
		conn, err := home.Conn(t.Context())
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		exec := func(statements ...string) {
			for _, sql := range statements {
				_, err := conn.ExecContext(t.Context(), sql)
				require.NoError(t, err, sql)
			}
		}
		exec("USE "+schema, "SET NAMES utf8mb4", "SET sql_mode = 'NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES', time_zone = '+02:00'")
		columns := textColumns(t, home)
		both := func(sql string) {
			for _, name := range []string{"t", "reference"} {
				exec(strings.ReplaceAll(sql, "%t", name))
			}
		}
		both("CREATE TABLE %t (" + typesBoth + typesOf[s.engine] + ")")
		for _, name := range []string{"texts", "reftexts"} {
			exec("CREATE TABLE " + name + " (id INT PRIMARY KEY" + columns.definition + ")")
		}
		fill := func(from int) {
			for i, row := range slices.Concat(typesRows[0], typesRows[s.engine]) {
				// One evaluates what is told anew for each; the other is its copy.
				exec(fmt.Sprintf("INSERT INTO t SET id = %d, %s", from+i, row), fmt.Sprintf("INSERT INTO reference (%s) SELECT %[1]s FROM t WHERE id = %d", ownColumns(t, home, schema, "t"), from+i))
			}
			for i, values := range columns.rows {
				for _, name := range []string{"texts", "reftexts"} {
					exec(fmt.Sprintf("INSERT INTO %s VALUES (%d%s)", name, from+i, values))
				}
			}
		}
		fill(1)
		definitions := []string{definitionOf(t, db, schema+".t"), definitionOf(t, db, schema+".texts")}
		to := edited(t, p.Config, "t: {on: c0}", "t: {shard: hash(id), shards: 3, on: [c0, c1]}", "texts: {on: c0}", "texts: {shard: hash(id), shards: 2, on: [c1, c0]}")
		awaitStage(t, startReshard(t, "-c", p.Config, "--to", to), p.Config, "following")
		fill(101)
		exec("UPDATE t SET vb = 'late' WHERE id % 4 = 1", "UPDATE reference SET vb = 'late' WHERE id % 4 = 1", "UPDATE reference JOIN t USING (id) SET reference.made = t.made", "DELETE FROM t WHERE id = 103", "DELETE FROM reference WHERE id = 103")
		check := func(when string) {
			for _, pair := range [][2]string{{"t", "reference"}, {"texts", "reftexts"}} {
				list := exactColumns(t, home, schema, pair[1])
				want := queryStrings(t, home, "SELECT "+list+" FROM "+schema+"."+pair[1])
				require.ElementsMatch(t, want, newRows(t, s, schema, pair[0], list), "%s, %s", pair[0], when)
			}
			require.Equal(t, definitions, []string{definitionOf(t, db, schema+".t"), definitionOf(t, db, schema+".texts")}, when)
		}
		reshardOK(t, "verify", "-c", p.Config)
		reshardOK(t, "cutover", "-c", p.Config)
		check("after the cut over")
		mustExec(t, db, "UPDATE "+schema+".t SET hid = 8, de = de + 1, made = FROM_UNIXTIME(981165906) WHERE n > 3", "DELETE FROM "+schema+".texts WHERE id = 1")
		exec("UPDATE reference SET hid = 8, de = de + 1, made = FROM_UNIXTIME(981165906) WHERE n > 3", "DELETE FROM reftexts WHERE id = 1")
		check("once written to")
		reshardOK(t, "verify", "-c", p.Config)
		reshardOK(t, "reverse", "-c", p.Config)
		check("back again")
		reshardOK(t, "cutover", "-c", p.Config)
		check("after the second cut over")
		reshardOK(t, "finish", "-c", p.Config, "--pause", "0s")
		require.Empty(t, left(t, s, schema))
	})
}

// everyText is a column for each character set of a server.
type everyText struct {
	definition string
	rows       []string
}

func textColumns(t *testing.T, db *sql.DB) (out everyText) {
	t.Helper()
	out.rows = make([]string, 4)
	every := ""
	for b := 0x20; b < 0x100; b++ {
		every += fmt.Sprintf("%02X", b)
	}
	for _, cs := range queryStrings(t, db, "SELECT CONCAT(CHARACTER_SET_NAME, ' ', MAXLEN) FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME <> 'binary' ORDER BY 1") {
		name, longest, _ := strings.Cut(cs, " ")
		out.definition += ", c_" + name + " VARCHAR(250) CHARACTER SET " + name + ", t_" + name + " TEXT CHARACTER SET " + name
		out.rows[0] += ", 'a', 'b '"
		out.rows[1] += ", '', NULL"
		for i, text := range []string{"Ä€誠Жאـก ソ\\\\''\"", "aéあ가中"} {
			out.rows[2+i] += fmt.Sprintf(", CONVERT(_utf8mb4'%s' USING %s), CONVERT(_utf8mb4'%s' USING %[2]s)", text, name, text)
			if longest == "1" && name != "ascii" && i == 1 {
				from := strings.LastIndex(out.rows[3], ", CONVERT")
				out.rows[3] = out.rows[3][:from] + ", _" + name + " x'" + every + "'"
			}
		}
	}
	return out
}

// ownColumns are those with values of their own, hidden ones included.
func ownColumns(t *testing.T, db *sql.DB, schema, table string) string {
	t.Helper()
	return strings.Join(queryStrings(t, db, "SELECT CONCAT('`', COLUMN_NAME, '`') FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '"+schema+"' AND TABLE_NAME = '"+table+
		"' AND IFNULL(GENERATION_EXPRESSION, '') = '' ORDER BY ORDINAL_POSITION"), ", ")
}

// exactColumns is all columns as text that shows every bit, for CONCAT_WS.
func exactColumns(t *testing.T, db *sql.DB, schema, table string) string {
	t.Helper()
	types := "(SELECT JSON_ARRAYAGG(JSON_TYPE(v)) FROM JSON_TABLE(JSON_EXTRACT(', COLUMN_NAME, ', ''$'', ''$**[*]'', ''$**.*''), ''$[*]'' COLUMNS (v JSON PATH ''$'')) x)"
	list := queryStrings(t, db, "SELECT CONCAT('IFNULL(', CASE WHEN DATA_TYPE = 'json' THEN CONCAT('CONCAT(', COLUMN_NAME, ', "+types+")')"+
		" WHEN DATA_TYPE = 'float' THEN CONCAT(COLUMN_NAME, ' * 1e0') WHEN DATA_TYPE IN ('bit', 'enum', 'set') THEN CONCAT(COLUMN_NAME, ' + 0')"+
		" WHEN DATA_TYPE RLIKE 'text|blob' THEN CONCAT('SHA2(HEX(', COLUMN_NAME, '), 256)') WHEN DATA_TYPE IN ('timestamp') THEN CONCAT('UNIX_TIMESTAMP(', COLUMN_NAME, ')')"+
		" WHEN DATA_TYPE RLIKE 'char|binary|geom|point|vector' THEN CONCAT('HEX(', COLUMN_NAME, ')') ELSE COLUMN_NAME END, ', ''NULL'')') FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '"+
		schema+"' AND TABLE_NAME = '"+table+"' ORDER BY ORDINAL_POSITION")
	return "CONCAT_WS('|', " + strings.Join(list, ", ") + ")"
}

func definitionOf(t *testing.T, db *sql.DB, table string) string {
	t.Helper()
	var name, sql string
	require.NoError(t, db.QueryRowContext(t.Context(), "SHOW CREATE TABLE "+table).Scan(&name, &sql))
	return sql
}
