package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// compareAll runs each line on Serval and on a plain server, in a database of
// the name schema, and compares the answers and what the dump then shows.
func compareAll(t *testing.T, s *serverSet, schema, tables, lines, dump string) {
	t.Helper()
	dropSchema(t, s.Clusters(t), schema)
	t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
	p := startServal(t, s, settings{Schema: schema, Tables: tables})
	serval, plain := oneConn(t, p.open(t, "")), oneConn(t, openDB(t, s.Plain(t).Addr(), ""))
	mustExec(t, plain, "DROP DATABASE IF EXISTS "+schema)
	lines = "CREATE DATABASE " + schema + "\nUSE " + schema + "\n" + lines
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		want, got := observe(t.Context(), plain, mode{sql: line}), observe(t.Context(), serval, mode{sql: line})
		want.warnings, got.warnings = changeWarnings(want.warnings, true), changeWarnings(got.warnings, true)
		if strings.HasPrefix(line, "CREATE") || strings.HasPrefix(line, "USE") {
			want.affected, got.affected, want.warnings, got.warnings = 0, 0, nil, nil
		}
		require.Empty(t, compare(line, want, got), "%s", line)
		if want.affected > 0 {
			want, got = observe(t.Context(), plain, mode{sql: dump}), observe(t.Context(), serval, mode{sql: dump})
			require.Empty(t, compare(dump, want, got), "behind %s", line)
		}
	}
}

// Rows of a table without a key: found again by all of their values, and as many
// as are meant.
func TestRowsThatNoKeyTellsApart(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		compareAll(t, s, "alike", "b: {shard: hash(id), shards: 4, on: [c0, c1]}\no: {shard: hash(id), shards: 4, on: [c0, c1]}\ng: {global: true, on: [c0, c1]}\n", `
CREATE TABLE b (id INT, v INT, s VARCHAR(10), f FLOAT, d DOUBLE, j JSON, t TEXT, bi BIT(60), e ENUM('a','b'), ts TIMESTAMP NULL, dc DECIMAL(20,6), vb VARBINARY(9), c CHAR(4), g INT AS (v+1))
CREATE TABLE o (id INT NOT NULL PRIMARY KEY, v INT)
CREATE TABLE g (id INT, v VARCHAR(9))
CREATE TABLE h (id INT, v VARCHAR(9))
INSERT INTO b (id, v, s, f, d, j, t, bi, e, ts, dc, vb, c) VALUES (1, 1, 'a', 1.1, 2.2, '{"a":1.0}', 'x', 1152921504606846975, 'b', '2026-01-01', 1.5, x'00ff', 'ab'), (1, 1, 'a', 1.1, 2.2, '{"a":1.0}', 'x', 1152921504606846975, 'b', '2026-01-01', 1.5, x'00ff', 'ab')
INSERT INTO b (id, v, s, f, d, j, t, bi, e, ts, dc, vb, c) VALUES (1, 1, 'A', 1.1, 2.2, '{"a":1.0}', 'x', 1152921504606846974, 'b', '2026-01-01', 1.5, x'00ff', 'ab'), (5, 5, 'five', 1e20, 1e300, '[]', 'long', 1, 'a', NULL, 0, '', '')
INSERT INTO b (id) VALUES (NULL), (NULL), (NULL)
INSERT INTO o VALUES (1, 1), (2, 5), (3, 5)
INSERT INTO g VALUES (1, 'a'), (1, 'a'), (2, 'b')
INSERT INTO h VALUES (1, 'a'), (1, 'a'), (2, 'b')
UPDATE b SET id = id + 1
UPDATE b SET id = 9, v = 9 ORDER BY id LIMIT 2
UPDATE b SET id = id + 1, v = 1 WHERE id = 2 AND s = 'a' LIMIT 2
UPDATE b SET v = v + 1 ORDER BY id DESC, v LIMIT 2
DELETE FROM b WHERE id IS NULL LIMIT 1
DELETE FROM b ORDER BY id DESC, v LIMIT 1
UPDATE b JOIN o ON b.v + 1 = o.id SET b.t = CONCAT(o.id, 'joined')
UPDATE IGNORE o SET id = id + 1
UPDATE IGNORE o SET id = id + 1 ORDER BY id DESC
UPDATE o SET v = v + 1, id = id ORDER BY id LIMIT 2
UPDATE o SET v = v + 1, v = v * 10 ORDER BY id DESC LIMIT 2
UPDATE g JOIN o ON o.v > g.id SET g.v = CONCAT(g.v, '!')
UPDATE h JOIN o ON o.v > h.id SET h.v = CONCAT(h.v, '!'), h.id = h.id + 1
DELETE h FROM h JOIN o ON o.v > h.id WHERE h.id = 2
DELETE g FROM o JOIN g ON o.v > g.id WHERE g.id = 2
DELETE b FROM b JOIN o ON o.v = b.v
DELETE FROM b ORDER BY v LIMIT 10
`, "SELECT 1, id, v, s, f, d, j, t, bi + 0, e, ts, dc, HEX(vb), c, g FROM b UNION ALL SELECT 2, id, v, '', 0, 0, '', '', 0, '', NULL, 0, '', '', 0 FROM o"+
			" UNION ALL SELECT 3, id, 0, v, 0, 0, '', '', 0, '', NULL, 0, '', '', 0 FROM g UNION ALL SELECT 4, id, 0, v, 0, 0, '', '', 0, '', NULL, 0, '', '', 0 FROM h ORDER BY 1, 2, 3, 4, 5, 7, 8, 9")
	})
}

// ON DUPLICATE KEY UPDATE that moves the row it meets, or reads other tables.
func TestDuplicatesThatNoShardCanChange(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		compareAll(t, s, "met", "b: {shard: hash(id), shards: 8, on: [c0, c1]}\no: {shard: hash(id), shards: 8, on: [c0, c1]}\ng: {global: true, on: [c0, c1]}\n", `
CREATE TABLE b (id INT NOT NULL, k VARCHAR(10) NOT NULL, v INT, d DATE, f FLOAT, PRIMARY KEY (id, k))
CREATE TABLE o (id INT NOT NULL PRIMARY KEY, v INT)
CREATE TABLE g (id INT NOT NULL PRIMARY KEY, v INT)
CREATE TABLE h (id INT NOT NULL PRIMARY KEY, v INT, u INT UNIQUE)
INSERT INTO b VALUES (1, 'a', 1, '2026-01-01', 1.1), (2, 'b', 2, NULL, 2.2), (3, 'c', 3, NULL, NULL)
INSERT INTO o VALUES (1, 1), (2, 5), (3, 5)
INSERT INTO g VALUES (1, 1), (2, 5), (3, 5)
INSERT INTO h VALUES (1, 1, 1), (2, 5, 2), (3, 5, NULL)
INSERT INTO b (id, k, v) VALUES (1, 'A', 7) ON DUPLICATE KEY UPDATE id = 50
INSERT INTO b (id, k, v) VALUES (2, 'b', 7), (9, 'n', 9), (3, 'c', 4) ON DUPLICATE KEY UPDATE id = b.id + VALUES(id), v = VALUES(v) + 1
INSERT INTO b (id, k, v) VALUES (9, 'n', '11') ON DUPLICATE KEY UPDATE v = (SELECT MAX(v) FROM o) + VALUES(v), d = '2026-05-05'
INSERT INTO b (id, k, v) VALUES (9, 'n', 11) ON DUPLICATE KEY UPDATE v = (SELECT MAX(o.v) FROM o WHERE o.id < b.id)
INSERT INTO b (id, k, v) VALUES (9, 'n', 5) ON DUPLICATE KEY UPDATE v = (SELECT MAX(o.v) FROM o), k = 'n'
INSERT IGNORE INTO b (id, k, v) VALUES (9, 'n', 11), (9, 'm', NULL), (4, 'd', 1) ON DUPLICATE KEY UPDATE id = id - 5, k = 'd'
INSERT INTO b (id, k, f, d) SELECT o.id + 3, 'c', 3.3, '2026-06-01' FROM o WHERE o.id < 10 ON DUPLICATE KEY UPDATE id = b.id + 100, f = VALUES(f), d = VALUES(d) + INTERVAL 1 DAY
INSERT INTO o VALUES (1, 1), (2, 2) ON DUPLICATE KEY UPDATE id = id + 1
INSERT INTO o VALUES (1, 1) ON DUPLICATE KEY UPDATE id = id + 3
INSERT INTO o VALUES (4, 1) ON DUPLICATE KEY UPDATE id = 4, v = 2
INSERT INTO o SET id = 4, v = 1 ON DUPLICATE KEY UPDATE id = (SELECT 9)
INSERT IGNORE INTO h (id, v, u) VALUES (1, 4, '2x'), ('1x', 4, NULL) ON DUPLICATE KEY UPDATE v = (SELECT SUM(v) FROM o)
INSERT INTO o VALUES ('7abc', 1) ON DUPLICATE KEY UPDATE id = 5
INSERT INTO o VALUES (9, 1) ON DUPLICATE KEY UPDATE v = (SELECT v FROM b)
INSERT INTO o VALUES (19, 1) ON DUPLICATE KEY UPDATE v = (SELECT v FROM b)
INSERT INTO g VALUES (1, 4), (9, 9) ON DUPLICATE KEY UPDATE v = (SELECT SUM(v) FROM o) + VALUES(v)
INSERT IGNORE INTO h VALUES (2, 4, 2), (3, 3, 3), (8, 8, 8) ON DUPLICATE KEY UPDATE v = (SELECT SUM(v) FROM o), u = 1
INSERT INTO h VALUES (7, 4, 2), (3, 3, 3), (8, 8, 8) ON DUPLICATE KEY UPDATE v = (SELECT SUM(v) FROM o) + VALUES(v), u = VALUES(u) + 10
`, "SELECT 1, id, k, v, d, f FROM b UNION ALL SELECT 2, id, '', v, NULL, 0 FROM o UNION ALL SELECT 3, id, '', v, NULL, 0 FROM g UNION ALL SELECT 4, id, u, v, NULL, 0 FROM h ORDER BY 1, 2, 3, 4")
	})
}

// A stored program that names a sharded table is not run: on its one server a
// table of that name may be left over.
func TestStoredProgramsOfShardedTables(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		dropSchema(t, clusters, "called")
		t.Cleanup(func() { dropSchema(t, clusters, "called") })
		p := startServal(t, s, settings{Schema: "called", Tables: "b: {shard: hash(id), shards: 4, on: [c0, c1]}\n"})
		c := oneConn(t, p.open(t, ""))
		mustExec(t, c, "CREATE DATABASE called", "USE called", "CREATE TABLE b (id INT PRIMARY KEY, v INT)", "CREATE TABLE h (id INT PRIMARY KEY, v INT)", "INSERT INTO b VALUES (1, 1), (2, 2)")
		home := clusters[0].Primary.DB()
		mustExec(t, home, "CREATE TABLE called.b (id INT PRIMARY KEY, v INT)", "INSERT INTO called.b VALUES (55, 55)",
			"CREATE PROCEDURE called.writes() UPDATE b SET v = v + 1", "CREATE PROCEDURE called.within() CALL called.writes()",
			"CREATE PROCEDURE called.prepares() BEGIN SET @x = 'UPDATE called.b SET v = v + 1'; PREPARE s FROM @x; EXECUTE s; END",
			"CREATE PROCEDURE called.elsewhere() INSERT INTO h VALUES (1, 1)")
		for _, name := range []string{"writes", "called.writes", "within", "`prepares`"} {
			_, err := c.ExecContext(t.Context(), "CALL "+name+"()")
			require.ErrorContains(t, err, "names b, whose rows are on several servers", name)
		}
		mustExec(t, c, "CALL elsewhere()")
		require.Equal(t, "1", one(t, c, "SELECT v FROM h"))
		require.Equal(t, "55", one(t, oneConn(t, home), "SELECT v FROM called.b"))
		out, err := runServal("check", "-c", p.Config, "--live")
		require.Error(t, err)
		require.Contains(t, out, "the procedure writes on cluster c0 names it")
		require.NotContains(t, out, "elsewhere")
	})
}

// A YEAR takes a column's TIME for a number, on MySQL; an expression's is of
// this year.
func TestTimeOfAColumnForAYear(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		compareAll(t, s, "years", "y: {shard: hash(id), shards: 4, on: [c0, c1]}\n", `
CREATE TABLE y (id INT PRIMARY KEY, yr YEAR, tm TIME)
INSERT INTO y VALUES (1, 2000, '10:11:12'), (2, 2000, '-01:00:00'), (3, 2000, '00:00:00'), (4, 2000, '00:20:20')
UPDATE y a JOIN y b ON a.id = b.id + 1 SET a.yr = b.tm WHERE a.id = 2
UPDATE y a JOIN y b ON a.id = b.id + 1 SET a.yr = b.tm WHERE a.id = 3
UPDATE y a JOIN y b ON a.id = b.id + 1 SET a.yr = b.tm WHERE a.id = 4
UPDATE y a JOIN y b ON a.id = b.id - 1 SET a.yr = b.tm WHERE a.id = 3
INSERT INTO y (id, yr) SELECT id + 10, tm FROM y WHERE id = 4
INSERT INTO y (id, yr) SELECT id + 10, tm FROM y WHERE id = 1
`, "SELECT * FROM y ORDER BY id")
	})
}
