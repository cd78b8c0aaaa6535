package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// oddTypes are the columns that only one engine has, and their rows. Serval's
// parser does not know all of them, so the table has no rule.
var oddTypes = map[string][]string{
	"mysql": {
		`CREATE TABLE odd (id INT NOT NULL PRIMARY KEY, j JSON, g GEOMETRY, p POINT SRID 4326, l LINESTRING, po POLYGON,
  mp MULTIPOINT, gc GEOMETRYCOLLECTION, v VECTOR(3), e ENUM('/*', 'a,b', '', '*/ -- '), k INT GENERATED ALWAYS AS (id + 1) VIRTUAL,
  s VARCHAR(20) CHARACTER SET utf8mb4 GENERATED ALWAYS AS (CONCAT('s', id)) STORED, h INT INVISIBLE DEFAULT 4)`,
		`INSERT INTO odd (id, j, g, p, l, po, mp, gc, v, e) VALUES
  (1, '{"a": [1, -2, 1.5, 1e100, true, null, "x\\"ä😀\\u0000"], "b": {"c": 18446744073709551615}, "": 9223372036854775807}',
   ST_GeomFromText('POINT(1 2)'), ST_GeomFromText('POINT(48.1 11.5)', 4326), ST_GeomFromText('LINESTRING(0 0,1 1.5)'),
   ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'), ST_GeomFromText('MULTIPOINT(1 1,2 2)'), ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))'),
   STRING_TO_VECTOR('[1,2.5,-3e10]'), '/*'),
  (2, '"text"', ST_GeomFromText('LINESTRING(1 2,3 4)', 3857), ST_GeomFromText('POINT(-33 151)', 4326), NULL, NULL, NULL, NULL, NULL, ''),
  (3, 'null', NULL, ST_GeomFromText('POINT(0 0)', 4326), NULL, NULL, NULL, NULL, STRING_TO_VECTOR('[0,0,0]'), '*/ -- '),
  (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'a,b'),
  (5, '0.1', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (6, '-0.0', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (7, '1.7976931348623157e308', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (8, '123456789012345678901234567890', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (9, '1.0', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (10, '[[], {}, ""]', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
	},
	"mariadb": {
		`CREATE TABLE odd (id INT NOT NULL PRIMARY KEY, j JSON, g GEOMETRY, p POINT, l LINESTRING, po POLYGON,
  mp MULTIPOINT, gc GEOMETRYCOLLECTION, u UUID, i6 INET6, i4 INET4, e ENUM('/*', 'a,b', '', '*/ -- '), k INT GENERATED ALWAYS AS (id + 1) VIRTUAL,
  s VARCHAR(20) CHARACTER SET utf8mb4 GENERATED ALWAYS AS (CONCAT('s', id)) STORED, h INT INVISIBLE DEFAULT 4)`,
		`INSERT INTO odd (id, j, g, p, l, po, mp, gc, u, i6, i4, e) VALUES
  (1, '{"a": [1, -2, 1.50, 1e100, true,  null, "x\\"ä😀"], "b": {"c": 18446744073709551615}}',
   ST_GeomFromText('POINT(1 2)'), ST_GeomFromText('POINT(48.1 11.5)', 4326), ST_GeomFromText('LINESTRING(0 0,1 1.5)'),
   ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'), ST_GeomFromText('MULTIPOINT(1 1,2 2)'), ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))'),
   '123e4567-e89b-12d3-a456-426655440000', '2001:db8::ff00:42:8329', '192.0.2.1', '/*'),
  (2, '"text"', ST_GeomFromText('LINESTRING(1 2,3 4)', 3857), NULL, NULL, NULL, NULL, NULL, '00000000-0000-0000-0000-000000000000', '::', '0.0.0.0', ''),
  (3, 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '::ffff:1.2.3.4', '255.255.255.255', '*/ -- '),
  (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'a,b')`,
	},
}

// oddQueries need rows of two clusters.
var oddQueries = map[string][]string{
	"": {
		`SELECT a.* FROM odd a JOIN (SELECT COUNT(*) AS n FROM tick) c ORDER BY a.id`,
		`SELECT a.id, ST_AsText(a.g), ST_SRID(a.g), ST_AsText(a.p), ST_SRID(a.p), ST_AsText(a.l), ST_Area(a.po), ST_AsText(a.mp), ST_AsText(a.gc)
  FROM odd a JOIN (SELECT MAX(id) AS n FROM tick) c ORDER BY a.id`,
		`SELECT a.id, HEX(a.g), HEX(a.p), a.e, a.e + 0, a.k, a.s, a.h FROM odd a JOIN (SELECT MAX(id) AS n FROM tick) c ORDER BY a.id`,
		`SELECT a.id, JSON_EXTRACT(a.j, '$.a[2]'), JSON_LENGTH(a.j), JSON_VALUE(a.j, '$.b.c') FROM odd a JOIN odd b ON b.id = a.k JOIN tick ORDER BY a.id`,
		`SELECT COUNT(DISTINCT s), COUNT(DISTINCT e), MAX(h) FROM odd, tick`,
		`SELECT j, COUNT(*) FROM odd, tick GROUP BY j WITH ROLLUP`,
	},
	"mysql": {
		`SELECT a.id, HEX(a.v), VECTOR_TO_STRING(a.v), JSON_UNQUOTE(JSON_EXTRACT(a.j, '$.a[6]')), a.j = b.j, a.j + 0 FROM odd a JOIN odd b ON b.id = 5 JOIN tick WHERE a.id <> 8 ORDER BY a.id`,
	},
	"mariadb": {
		`SELECT a.id, a.u, HEX(a.u), HEX(a.i6), HEX(a.i4), a.u < b.u FROM odd a JOIN odd b ON b.id = 1 JOIN tick ORDER BY a.id`,
	},
}

// TestFinishOfOddTypes compares values of the types only one engine has, or
// that other values than their text.
func TestFinishOfOddTypes(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "finishodd"
		engine := "mysql"
		if s.engine.String() != engine {
			engine = "mariadb"
		}
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		proxy := startServal(t, s, settings{Schema: schema, AllSchemas: true, Tables: "tick: {shard: hash(id), shards: 4, on: [c0, c1]}\n"})
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		o := &oracle{schema: schema, serval: oneConn(t, proxy.open(t, "")), plain: oneConn(t, openDB(t, s.Plain(t).Addr(), ""))}
		mustExec(t, o.plain, "DROP DATABASE IF EXISTS "+schema)
		for _, sql := range append([]string{"CREATE DATABASE " + schema, "USE " + schema, "CREATE TABLE tick (id INT NOT NULL PRIMARY KEY)", "INSERT INTO tick VALUES (1)"}, oddTypes[engine]...) {
			o.both(t, sql)
		}
		for _, c := range clusters {
			require.NoError(t, c.Sync(t.Context()))
		}
		for _, q := range append(oddQueries[""], oddQueries[engine]...) {
			for _, m := range modes(statementCase{sql: q}) {
				o.runCase(t, statementCase{pos: "odd types", sql: q}, m)
			}
		}
		if engine == "mysql" {
			jsonOfOtherTypes(t, o)
		}
	})
}

// jsonOfOtherTypes: values that JSON text does not have are refused where they
// would arrive as others.
func jsonOfOtherTypes(t *testing.T, o *oracle) {
	const q = "SELECT a.j, COUNT(*) FROM odd a, tick b WHERE a.id = 100 GROUP BY a.j WITH ROLLUP"
	for _, value := range []string{
		"JSON_OBJECT('at', TIMESTAMP'2026-11-23 10:11:12.5')", "JSON_ARRAY(DATE'2026-11-23')", "JSON_ARRAY(TIME'10:11:12')", "CAST(1.50 AS JSON)",
		"CAST(12345678901234567890.123 AS JSON)", "JSON_OBJECT('b', x'00FF')", "CAST(b'101' AS JSON)", "CAST(CAST(2026 AS YEAR) AS JSON)",
		"JSON_ARRAY(ST_GeomFromText('POINT(1 2)'))", "CAST(CAST(5 AS UNSIGNED) AS JSON)", "CAST(1.5 AS JSON)", "CAST(1e0/3 AS JSON)", "CAST(0.1 AS JSON)",
	} {
		o.both(t, "INSERT INTO odd (id, j) VALUES (100, "+value+")")
		m := mode{name: "text", sql: q}
		want, got := observe(t.Context(), o.plain, m), observe(t.Context(), o.serval, m)
		if got.errno != 1235 {
			require.Empty(t, compare(q, want, got), value)
		}
		t.Logf("%s: %d %s", value, got.errno, got.message)
		o.both(t, "DELETE FROM odd WHERE id = 100")
	}
	// Asked at home, where the table is, its values are no copies.
	types := mode{name: "text", sql: "SELECT COUNT(DISTINCT JSON_TYPE(j)) FROM odd, tick"}
	require.Empty(t, compare(types.sql, observe(t.Context(), o.plain, types), observe(t.Context(), o.serval, types)))
}
