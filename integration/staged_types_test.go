package integration

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const stagedTypes = `
times:  {shard: hash(id), shards: 4, on: [c0, c1]}
floats: {shard: hash(id), shards: 4, on: [c0, c1]}
unique1: {shard: hash(id), shards: 4, on: [c0, c1]}
nulls:  {shard: hash(id), shards: 4, on: [c0, c1]}
nokey:  {shard: hash(id), shards: 4, on: [c0, c1]}
`

// pair is a session of Serval and one of a plain server with the same tables.
type pair struct {
	t             *testing.T
	serval, plain *sql.Conn
}

// both runs statements on both; they must succeed.
func (p pair) both(statements ...string) {
	p.t.Helper()
	mustExec(p.t, p.plain, statements...)
	mustExec(p.t, p.serval, statements...)
}

// same runs a statement on both and compares its answer and a table.
func (p pair) same(table, statement string) {
	p.t.Helper()
	for _, sql := range []string{statement, "SELECT * FROM " + table} {
		m := mode{sql: sql}
		if diff := compare(sql, observe(p.t.Context(), p.plain, m), observe(p.t.Context(), p.serval, m)); diff != "" {
			p.t.Errorf("%s\n%s\n%s", statement, sql, diff)
		}
	}
}

// refused runs a statement that Serval refuses in words of this kind.
func (p pair) refused(statement, words string) {
	p.t.Helper()
	_, err := p.serval.ExecContext(p.t.Context(), statement)
	require.ErrorContains(p.t, err, words, statement)
}

// Writes that are read first, of columns and tables whose values are hard to
// carry from one shard to another.
func TestStagedTypes(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		const schema = "stagedtypes"
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		proxy := startServal(t, s, settings{Schema: schema, Tables: stagedTypes})
		p := pair{t, oneConn(t, proxy.open(t, "")), oneConn(t, openDB(t, s.Plain(t).Addr(), ""))}
		mustExec(t, p.plain, "DROP DATABASE IF EXISTS "+schema)
		p.both("CREATE DATABASE "+schema, "USE "+schema,
			"CREATE TABLE times (id BIGINT PRIMARY KEY, n INT, t1 TIMESTAMP NULL DEFAULT NULL, t2 TIMESTAMP(3) NULL DEFAULT NULL, d DATETIME DEFAULT '2020-01-01')",
			"CREATE TABLE floats (id BIGINT PRIMARY KEY, f FLOAT, g FLOAT, d DOUBLE, dec1 DECIMAL(30,15), s VARCHAR(40), n INT)",
			"CREATE TABLE unique1 (id BIGINT NOT NULL, n INT NOT NULL, v INT, UNIQUE KEY (id, n))",
			"CREATE TABLE nulls (id BIGINT NOT NULL, n INT, v INT, UNIQUE KEY (id, n))",
			"CREATE TABLE nokey (id BIGINT, v INT, KEY (id))")
		for _, test := range []struct {
			name string
			run  func(*testing.T, pair)
		}{
			{"TIMESTAMPs move as they are", timesMove},
			{"ON UPDATE is the time of the move, if the row changes", timesOnUpdate},
			{"FLOATs come with all their digits", floatsCopied},
			{"a unique key without NULL will do", uniqueKeyed},
			{"rows whose move would show stay", func(t *testing.T, p pair) { movesRefused(t, s, p) }},
			{"INSERT … SET of what must be computed", setComputed},
		} {
			t.Run(test.name, func(t *testing.T) { test.run(t, pair{t, p.serval, p.plain}) })
		}
	})
}

func timesMove(t *testing.T, p pair) {
	zones := []string{"SET time_zone = '+00:00'", "SET time_zone = '+05:30'"}
	if _, err := p.plain.ExecContext(t.Context(), "SET time_zone = 'Europe/Berlin'"); err == nil {
		_, err = p.serval.ExecContext(t.Context(), "SET time_zone = 'Europe/Berlin'")
		require.NoError(t, err)
		zones = append(zones, "SET time_zone = 'Europe/Berlin'")
	}
	for i, zone := range zones {
		p.both(zone, "DELETE FROM times", "INSERT INTO times (id, n, t1, t2) VALUES (1, 1, '2026-07-01 12:00:00', '2026-01-01 00:00:00.125'), (2, 2, NULL, '2026-10-25 01:30:00.5'), (3, 3, '2038-01-01 00:00:00', NULL)")
		p.same("times", "UPDATE times SET id = id + 100")
		p.same("times", "UPDATE times SET id = id + 0, n = n + 1")
		p.same("times", "UPDATE times SET id = id + 7, t1 = '2026-07-02 01:02:03' WHERE n > 2")
		p.same("times", "UPDATE times SET id = id + 7, t1 = t2 WHERE n = 2")
		if i < 2 {
			continue
		}
		// 00:30 UTC is 02:30 for the first time in that night, 01:30 for the second.
		p.both("SET time_zone = '+00:00'", "INSERT INTO times (id, t1) VALUES (50, '2026-10-25 00:30:00'), (51, '2026-10-25 01:30:00')", zone)
		_, first := p.serval.ExecContext(t.Context(), "UPDATE times SET id = 60 WHERE id = 50")
		_, second := p.serval.ExecContext(t.Context(), "UPDATE times SET id = 61 WHERE id = 51")
		require.True(t, (first == nil) != (second == nil), "%v, %v", first, second)
		for _, err := range []error{first, second} {
			if err != nil {
				require.ErrorContains(t, err, "TIMESTAMP of the hour")
			}
		}
		p.both("SET time_zone = '+00:00'")
		require.Equal(t, "2", one(t, p.serval, "SELECT COUNT(*) FROM times WHERE id IN (50, 61) AND t1 IN ('2026-10-25 00:30:00', '2026-10-25 01:30:00') OR id IN (51, 60) AND t1 IN ('2026-10-25 00:30:00', '2026-10-25 01:30:00')"))
	}
	p.both("SET time_zone = DEFAULT")
}

func timesOnUpdate(t *testing.T, p pair) {
	p.both("SET time_zone = '+00:00'", "DELETE FROM times", "ALTER TABLE times ADD COLUMN u TIMESTAMP NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP, ADD COLUMN w DATETIME(6) NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP(6)",
		"INSERT INTO times (id, n, u, w) VALUES (1, 1, '2020-01-01', '2020-01-01 00:00:00.5'), (2, 2, '2020-01-01', NULL)")
	p.both("UPDATE times SET id = id + 0 WHERE n = 1", "UPDATE times SET id = id + 0 WHERE n = 2")
	p.same("times", "UPDATE times SET id = id + 0 WHERE n = 2")
	p.both("UPDATE times SET id = id + 100, n = n + 10 WHERE n = 1", "UPDATE times SET id = id + 100, u = '2021-01-01' WHERE n = 2")
	p.same("(SELECT 1) x", "SELECT id, n, u = '2020-01-01', ABS(TIMESTAMPDIFF(SECOND, u, NOW())) < 100, ABS(TIMESTAMPDIFF(SECOND, w, NOW())) < 100 FROM times WHERE n = 11")
	p.same("(SELECT 1) x", "SELECT id, n, u, ABS(TIMESTAMPDIFF(SECOND, w, NOW())) < 100 FROM times WHERE n = 2")
	p.both("SET time_zone = DEFAULT")
}

func floatsCopied(_ *testing.T, p pair) {
	p.both("INSERT INTO floats (id, f, g, n) VALUES (1, 0.1, 1e30, 1), (2, 16777217, 3.4028234e38, 2), (3, 1.1754944e-38, -0.3333333, 3), (4, NULL, 123456.78, 4)")
	for _, statement := range []string{
		"INSERT INTO floats (id, f, g, d) SELECT id + 10, f, g, f FROM floats WHERE id < 10 ORDER BY id",
		"INSERT INTO floats SELECT id + 20, f, g, f, f / 7, f, n FROM floats WHERE id < 10 AND f < 10 ORDER BY id",
		"INSERT INTO floats (id, s, dec1) SELECT id + 30, f, f FROM floats WHERE id IN (1, 4) ORDER BY f",
		"INSERT INTO floats (id, f, g) SELECT t.id + 40, t.g AS other, t.f AS f FROM floats t WHERE id < 10 HAVING f > 0 ORDER BY other",
		"REPLACE INTO floats SELECT * FROM floats WHERE id < 3",
		"UPDATE floats a JOIN floats b ON a.n = b.id + 1 SET a.f = b.g, a.d = b.f, a.s = b.f WHERE a.id < 10",
		"INSERT INTO floats (id, f) SELECT DISTINCT n + 60, f FROM floats WHERE n IS NOT NULL AND id < 10",
	} {
		p.same("floats", statement)
	}
	sum := "SELECT id, f + 0e0, g + 0e0, d FROM floats"
	p.same("floats", sum)
	p.refused("INSERT INTO floats SELECT * FROM (SELECT id + 50 AS id, f, g, d, dec1, s, n FROM floats WHERE id = 1) x", "add 0e0")
	p.refused("INSERT INTO floats (id, f) SELECT n + 70, MAX(f) FROM floats GROUP BY n", "add 0e0")
}

func uniqueKeyed(_ *testing.T, p pair) {
	p.both("INSERT INTO unique1 VALUES (1, 1, 1), (1, 2, 2), (2, 1, 3), (3, 1, 4), (4, 9, 5)", "INSERT INTO nulls VALUES (1, 1, 1), (2, NULL, 2)", "INSERT INTO nokey VALUES (1, 1), (2, 2), (2, 2)")
	for _, statement := range []string{
		"UPDATE unique1 SET v = 10 ORDER BY v DESC LIMIT 2",
		"UPDATE unique1 SET id = id + 100 WHERE n = 1",
		"UPDATE unique1 SET v = v + (SELECT COUNT(*) FROM nokey)",
		"UPDATE unique1 a JOIN nulls b ON b.id = a.n SET a.v = 77",
		"DELETE FROM unique1 ORDER BY v, id, n LIMIT 3",
	} {
		p.same("unique1", statement)
	}
	p.same("nulls", "UPDATE nulls SET v = 10 ORDER BY v LIMIT 1")
	p.same("nokey", "DELETE FROM nokey ORDER BY v DESC LIMIT 1")
	p.same("nokey", "INSERT INTO nokey SELECT id + 10, v FROM nokey")
}

func setComputed(_ *testing.T, p pair) {
	for _, statement := range []string{
		"INSERT INTO unique1 SET id = 500 + 1, n = 2, v = 3",
		"INSERT INTO unique1 SET id = (SELECT MAX(id) FROM nokey), n = (SELECT COUNT(*) FROM nokey), v = LENGTH('abc')",
		"REPLACE INTO unique1 SET id = 500 + 1, n = 2, v = DEFAULT",
		"INSERT IGNORE INTO unique1 SET id = 500 + 1, n = 2, v = 8",
		"INSERT INTO unique1 SET id = 500 + 1, n = 2, v = 8 ON DUPLICATE KEY UPDATE v = VALUES(v) + 1",
		"INSERT INTO unique1 (id, n, v) VALUES (600 + 1, 1, DEFAULT), (600 + 2, 2, DEFAULT)",
	} {
		p.same("unique1", strings.TrimSpace(statement))
	}
}

// movesRefused: triggers and foreign keys are made on a shard, past Serval.
func movesRefused(t *testing.T, s *serverSet, p pair) {
	shard := s.Clusters(t)[1].Primary.DB()
	mustExec(t, p.serval, "INSERT INTO nokey VALUES (901, 1)", "INSERT INTO floats (id, n) VALUES (901, 1)")
	mustExec(t, shard, "CREATE TRIGGER stagedtypes_3.told BEFORE DELETE ON stagedtypes_3.floats FOR EACH ROW SET @told = 1")
	p.refused("UPDATE floats SET id = 902 WHERE id = 901", "the trigger told of a shard")
	mustExec(t, shard, "DROP TRIGGER stagedtypes_3.told", "CREATE TABLE stagedtypes_2.child (id BIGINT, FOREIGN KEY (id) REFERENCES stagedtypes_2.floats (id) ON DELETE CASCADE)")
	p.refused("UPDATE floats SET id = 902 WHERE id = 901", "of a shard would change the rows")
	mustExec(t, shard, "DROP TABLE stagedtypes_2.child")
	mustExec(t, p.serval, "UPDATE floats SET id = 902 WHERE id = 901", "DELETE FROM floats WHERE id = 902", "DELETE FROM nokey WHERE id = 901")
}
