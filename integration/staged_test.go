package integration

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

const stagedTables = `
big:    {shard: hash(id), shards: 4, on: [c0, c1]}
kinds:  {shard: hash(id), shards: 8, on: [c0, c1]}
copy:   {shard: hash(owner), shards: 4, on: [c0, c1], auto_increment: id}
`

// Writes whose rows are read first: all or nothing, with every value as it was.
func TestStagedWrites(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		const schema = "staged"
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: stagedTables})
		c := oneConn(t, p.open(t, ""))
		mustExec(t, c, "CREATE DATABASE staged", "USE staged",
			"CREATE TABLE big (id BIGINT PRIMARY KEY, n INT, txt VARCHAR(40) CHARACTER SET utf8mb4, raw VARBINARY(40), d DOUBLE, f FLOAT, bits BIT(9), at DATETIME(6), dec1 DECIMAL(20,6), e ENUM('a','b') , js JSON)",
			"CREATE TABLE copy (id BIGINT AUTO_INCREMENT, owner BIGINT, txt VARCHAR(40) CHARACTER SET utf8mb4, KEY (id))")
		t.Run("thousands of rows move, every value as it was", func(t *testing.T) { stagedValues(t, c) })
		t.Run("a failure in the middle takes all back", func(t *testing.T) { stagedFailure(t, c) })
		t.Run("keys may be swapped", func(t *testing.T) { stagedSwap(t, c) })
		t.Run("a number is an ENUM's place, though a value may look like it", func(t *testing.T) {
			mustExec(t, c, "ALTER TABLE big ADD COLUMN g ENUM('2','1')", "UPDATE big SET g = '1' WHERE id = 30", "UPDATE big SET id = id + 0, g = 1 WHERE id = 30")
			require.Equal(t, "2", one(t, c, "SELECT g FROM big WHERE id = 30"))
		})
		t.Run("rows are numbered", func(t *testing.T) { stagedNumbers(t, c) })
		t.Run("a value is to its column what it was where it came from", func(t *testing.T) { stagedKinds(t, c) })
		t.Run("text survives the session's character set and mode", func(t *testing.T) { stagedText(t, p, c) })
	})
}

// stagedValues moves all rows to other shards and compares them with what was
// there.
func stagedValues(t *testing.T, c *sql.Conn) {
	mustExec(t, c, `INSERT INTO big VALUES (1, 1, 'a''b\\c"d', X'00FF27', 0.1, 0.1, b'101010101', '2026-11-23 10:00:00.123456', 12345678901234.654321, 'a', '{"k": [1, 2.5, null, "é"]}')`,
		`INSERT INTO big VALUES (2, NULL, '日本 🎉', '', 1e-300, 1e30, NULL, NULL, -0.000001, NULL, NULL)`,
		"INSERT INTO big (id, n, txt) WITH RECURSIVE r AS (SELECT 3 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 900) SELECT i, i % 7, CONCAT('t', i) FROM r")
	sum := "SELECT CONCAT_WS('/', COUNT(*), SUM(id), SUM(n), SUM(CRC32(CONCAT_WS('|', n, txt, HEX(raw), d, f + 0e0, bits + 0, at, dec1, e, js)))) FROM big"
	before := one(t, c, sum)
	r, err := c.ExecContext(t.Context(), "UPDATE big SET id = id + 1000000")
	require.NoError(t, err)
	n, _ := r.RowsAffected()
	require.EqualValues(t, 900, n)
	require.Equal(t, "900", one(t, c, "SELECT COUNT(*) FROM big WHERE id > 1000000"))
	_, err = c.ExecContext(t.Context(), "UPDATE big SET id = id - 1000000")
	require.NoError(t, err)
	require.Equal(t, before, one(t, c, sum))
}

func stagedFailure(t *testing.T, c *sql.Conn) {
	all := "SELECT CONCAT_WS('/', COUNT(*), SUM(id), SUM(n)) FROM big"
	before := one(t, c, all)
	isDuplicate := func(statement string) {
		_, err := c.ExecContext(t.Context(), statement)
		var e *mysql.MySQLError
		require.True(t, errors.As(err, &e) && e.Number == 1062, "%s: %v", statement, err)
	}
	// The last row to come has a key that is there.
	isDuplicate("INSERT INTO big (id, n) SELECT CASE WHEN id = 900 THEN 1 ELSE id + 5000 END, 0 FROM big ORDER BY id")
	require.Equal(t, before, one(t, c, all))
	mustExec(t, c, "BEGIN", "UPDATE big SET n = 100 WHERE id = 1")
	within := one(t, c, all)
	isDuplicate("UPDATE big SET id = CASE WHEN id = 5 THEN 900 ELSE id + 5000 END WHERE id < 800")
	require.Equal(t, within, one(t, c, all), "what the transaction did before stays")
	mustExec(t, c, "COMMIT")
	require.Equal(t, within, one(t, c, all))
}

func stagedSwap(t *testing.T, c *sql.Conn) {
	a, b := one(t, c, "SELECT txt FROM big WHERE id = 11"), one(t, c, "SELECT txt FROM big WHERE id = 12")
	mustExec(t, c, "UPDATE big SET id = 23 - id WHERE id IN (11, 12)")
	require.Equal(t, b, one(t, c, "SELECT txt FROM big WHERE id = 11"))
	require.Equal(t, a, one(t, c, "SELECT txt FROM big WHERE id = 12"))
}

func stagedNumbers(t *testing.T, c *sql.Conn) {
	r, err := c.ExecContext(t.Context(), "INSERT INTO copy (owner, txt) SELECT id, txt FROM big WHERE id BETWEEN 100 AND 799")
	require.NoError(t, err)
	n, _ := r.RowsAffected()
	require.EqualValues(t, 700, n)
	first, _ := r.LastInsertId()
	require.NotZero(t, first)
	require.Equal(t, fmt.Sprint(first), one(t, c, "SELECT MIN(id) FROM copy"))
	require.Equal(t, fmt.Sprint(first), one(t, c, "SELECT LAST_INSERT_ID()"))
	require.Equal(t, "700", one(t, c, "SELECT COUNT(DISTINCT id) FROM copy"))
}

// stagedKinds: what is read comes as text, and must not mean another number,
// text or time for that.
func stagedKinds(t *testing.T, c *sql.Conn) {
	mustExec(t, c, "CREATE TABLE kinds (id BIGINT PRIMARY KEY, n DECIMAL(20,3), txt VARCHAR(40), d DATETIME, raw VARBINARY(20))",
		"INSERT INTO big (id, raw, at, bits) VALUES (3001, '7', '2026-10-01 02:03:04', b'1000001')",
		"INSERT INTO kinds (id, n, txt, d, raw) SELECT id + 1, raw, raw, at, raw FROM big WHERE id = 3001 ORDER BY id",
		"INSERT INTO kinds (id, n, txt, raw) SELECT id + 2, at, at, bits FROM big WHERE id = 3001 ORDER BY id",
		"INSERT INTO kinds (id, n, txt, d) SELECT id + 3, bits, DATE(at), DATE(at) FROM big WHERE id = 3001 ORDER BY id")
	for id, want := range map[string]string{"3002": "7.000/7/2026-10-01 02:03:04/37", "3003": "20261001020304.000/2026-10-01 02:03:04.000000/0041", "3004": "65.000/2026-10-01/2026-10-01 00:00:00"} {
		require.Equal(t, want, one(t, c, "SELECT CONCAT_WS('/', n, txt, d, HEX(raw)) FROM kinds WHERE id = "+id))
	}
	_, err := c.ExecContext(t.Context(), "UPDATE big b JOIN kinds k ON k.id = b.id + 1 SET k.n = x'07' WHERE b.id = 3001 AND k.txt = '7' AND k.n < 8 ORDER BY b.id")
	require.Error(t, err)
	_, err = c.ExecContext(t.Context(), "INSERT INTO kinds (id, n) SELECT id + 9, x'37' FROM big WHERE id = 3001 ORDER BY id")
	require.ErrorContains(t, err, "x'37' would be the number 55")
	mustExec(t, c, "DELETE FROM big WHERE id = 3001")
}

func stagedText(t *testing.T, p *serval, admin *sql.Conn) {
	c := oneConn(t, p.open(t, "staged"))
	mustExec(t, admin, `UPDATE big SET txt = 'back\\slash 🎉 ''q' WHERE id = 20`)
	want := one(t, admin, "SELECT HEX(txt) FROM big WHERE id = 20")
	for i, set := range []string{"SET NAMES latin1", "SET NAMES utf8mb3", "SET NAMES utf8mb4, sql_mode = 'NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'", "SET sql_select_limit = 1, sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES'"} {
		id := fmt.Sprint(2000 + i)
		mustExec(t, c, set, "INSERT INTO big (id, txt) SELECT "+id+" + id - 20, txt FROM big WHERE id = 20 ORDER BY 1")
		require.Equal(t, want, one(t, c, "SELECT HEX(txt) FROM big WHERE id = "+id), set)
	}
	mustExec(t, c, "SET sql_select_limit = DEFAULT")
	require.Equal(t, "4", one(t, c, "SELECT COUNT(*) FROM big WHERE id >= 2000 AND id < 2010"))
}
