package integration

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// thingsTable has a column of each type that is copied, with the values that
// are easily lost on the way.
const thingsTable = `CREATE TABLE things (
  id BIGINT NOT NULL PRIMARY KEY, i TINYINT, u BIGINT UNSIGNED, z INT(6) ZEROFILL, dc DECIMAL(30,10), f FLOAT, d DOUBLE,
  y YEAR, da DATE, t TIME(3), dt DATETIME(6), ts TIMESTAMP(2) NULL, ch CHAR(5), la VARCHAR(20) CHARACTER SET latin1,
  u16 VARCHAR(20) CHARACTER SET gbk, bi BINARY(4), vb VARBINARY(20), tx TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  bl BLOB, en ENUM('a''b','ä','c\\d'), se SET('x','y','z') NOT NULL, b BIT(11), b64 BIT(64), ` + "`odd ``name` INT" + `)`

var thingsRows = []string{
	`INSERT INTO things VALUES (1, -128, 18446744073709551615, 7, 12345678901234567890.0123456789, 0.1, 0.1, 2000, '2026-11-23',
  '-838:59:58.123', '2026-11-23 10:11:12.123456', '2026-11-23 10:11:12.34', 'ab', 'é€', '日本', 'ab', 'a''b\\c', 'a\nb\r\0\Z"` + "`" + `',
  x'00FF275C', 'c\\d', 'x,z', b'10000000001', 18446744073709551615, 5)`,
	`INSERT INTO things VALUES (2, 127, 0, 123456, -0.0000000001, 3.4e38, 1.7976931348623157e308, 0, '0000-00-00',
  '00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', 'x  ', 'x  ', '', '', '', '', '', '', '', 0, 0, NULL)`,
	`INSERT INTO things VALUES (3, 0, 1, 0, 0, -1.17549e-38, 5e-324, 1901, '2026-02-00', '12:00:00.5', '2026-11-31 00:00:00',
  '2026-10-25 01:30:00', ' a', 'ÿ', '一二', x'00', x'00', '😀', x'F09F', 'a''b', 'y', 1, 9223372036854775808, -1)`,
	`INSERT INTO things (id, se, d, f) VALUES (4, '', -0.0, 16777217)`,
	`INSERT INTO things (id, se, d, f, da) VALUES (5, 'x,y,z', 0.30000000000000004, 3.1415927, '9999-12-31')`,
}

// thingsQueries cannot be answered shard by shard.
var thingsQueries = []string{
	`SELECT a.*, c.n FROM things a JOIN (SELECT COUNT(*) AS n FROM things) c ORDER BY a.id`,
	`SELECT a.id, HEX(a.la), HEX(a.u16), HEX(a.bi), HEX(a.vb), HEX(a.tx), HEX(a.bl), a.en + 0, a.se + 0, HEX(a.b), HEX(a.b64), a.f + 0e0, UNIX_TIMESTAMP(a.ts)
  FROM things a JOIN (SELECT MAX(id) AS n FROM things) c ORDER BY a.id`,
	`SELECT STDDEV(d / 1e300), COUNT(DISTINCT la, tx), SUM(dc) / COUNT(*), BIT_XOR(u), GROUP_CONCAT(id ORDER BY id SEPARATOR '-') FROM things`,
	`SELECT id, ROW_NUMBER() OVER (ORDER BY la, id), SUM(dc) OVER (ORDER BY id) FROM things ORDER BY id`,
	`SELECT en, COUNT(*) FROM things GROUP BY en WITH ROLLUP`,
	`SELECT t.id, n.body FROM things t LEFT JOIN notes n ON n.id = t.id AND n.body = 'two' WHERE t.id < 4 ORDER BY t.id`,
	`SELECT t.id, n.body FROM things t LEFT JOIN notes n ON n.id = t.id WHERE n.body IS NULL ORDER BY t.id`,
	`SELECT t.id, l.v FROM things t RIGHT JOIN local l ON l.id = t.id AND t.id > 1 ORDER BY l.id`,
	`SELECT l.v, h.v FROM local l JOIN homey h ON h.id = l.id ORDER BY l.id`,
	`SELECT l.v, (SELECT COUNT(*) FROM things WHERE things.id > l.id) FROM local l ORDER BY l.id`,
	`SELECT id FROM things UNION SELECT thing_id FROM notes ORDER BY id DESC LIMIT 3`,
	`SELECT t.id FROM things t WHERE EXISTS (SELECT * FROM notes n WHERE n.id = t.id) ORDER BY t.id`,
	`WITH RECURSIVE r AS (SELECT MIN(id) AS n FROM things UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT * FROM r ORDER BY n`,
	`SELECT things.id, odd.v FROM finishing.things, homey odd WHERE finishing.things.id = odd.id ORDER BY things.id`,
	`SELECT t.id, COUNT(*), t.la FROM things t, notes n GROUP BY t.id ORDER BY t.id`,
	`SELECT nosuch FROM things, notes`,
	`SELECT id FROM things, notes`,
	`SELECT t.id, 1 / 0, 'a' + 1 FROM things t JOIN local l ON l.id = t.id ORDER BY t.id`,
	"SELECT `odd ``name`, SUM(`odd ``name`) OVER () FROM things ORDER BY id",
	`SELECT t.id FROM things t NATURAL JOIN homey h ORDER BY t.id`,
	`SELECT id FROM things JOIN homey USING (id) WHERE id > 1 ORDER BY id`,
	`SELECT COUNT(*), SUM(n.id > 1) FROM things t LEFT JOIN notes n ON t.id <=> n.id`,
}

// TestFinish compares queries that are finished on one server with a plain
// server's answers, and sees that nothing of it is left behind.
func TestFinish(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "finishing"
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		proxy := startServal(t, s, settings{Schema: schema, AllSchemas: true, Tables: `things: {shard: hash(id), shards: 4, on: [c0, c1]}
notes: {shard: hash(thing_id), shards: 4, on: [c0, c1]}
local: {on: c1}
homey: {on: c0}
`})
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		o := &oracle{schema: schema, serval: oneConn(t, proxy.open(t, "")), plain: oneConn(t, openDB(t, s.Plain(t).Addr(), ""))}
		mustExec(t, o.plain, "DROP DATABASE IF EXISTS "+schema)
		before := binlogs(t, clusters)
		for _, sql := range append([]string{
			"CREATE DATABASE " + schema, "USE " + schema, thingsTable,
			"CREATE TABLE notes (id BIGINT NOT NULL, thing_id BIGINT NOT NULL, body VARCHAR(40) CHARACTER SET utf8mb4, PRIMARY KEY (thing_id, id))",
			"CREATE TABLE local (id BIGINT NOT NULL PRIMARY KEY, v VARCHAR(20) CHARACTER SET utf8mb4)",
			"CREATE TABLE homey (id BIGINT NOT NULL PRIMARY KEY, v VARCHAR(20) CHARACTER SET utf8mb4)",
			"SET sql_mode = 'ALLOW_INVALID_DATES'", "SET time_zone = '+02:00'",
		}, thingsRows...) {
			o.both(t, sql)
		}
		o.both(t, "INSERT INTO notes (id, thing_id, body) VALUES (1, 11, 'one'), (2, 12, 'two'), (2, 13, 'zwei'), (7, 14, NULL)")
		o.both(t, "INSERT INTO local VALUES (1, 'l1'), (3, 'l3'), (9, 'l9')")
		o.both(t, "INSERT INTO homey VALUES (1, 'h1'), (2, 'h2'), (3, 'h3')")
		for _, c := range clusters {
			require.NoError(t, c.Sync(t.Context()))
		}
		require.NotEmpty(t, before[0].logged(t, schema), "writing shows in a binary log")
		before = binlogs(t, clusters)
		for _, mode := range []string{"'ALLOW_INVALID_DATES'", "DEFAULT", "'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PAD_CHAR_TO_FULL_LENGTH'"} {
			o.both(t, "SET sql_mode = "+mode)
			for _, q := range thingsQueries {
				for _, m := range modes(statementCase{sql: q}) {
					o.runCase(t, statementCase{pos: "sql_mode " + mode, sql: q}, m)
				}
			}
		}
		for _, b := range before {
			require.Empty(t, b.logged(t, schema, "serval_f"), "reading writes nothing to any binary log")
		}
		t.Logf("%d compared, %d differ", o.compared, o.failed)
		finishInTransaction(t, o)
		finishCancelled(t, o)
		finishTimes(t, o)
		finishManyAtOnce(t, proxy)
	})
}

// binlog is how far a server's binary log has come.
type binlog struct {
	server         *sql.Conn
	file, position string
}

func binlogs(t *testing.T, clusters []*mysqlproc.Cluster) (all []binlog) {
	t.Helper()
	for _, c := range clusters {
		for _, server := range c.Servers() {
			status := "SHOW BINARY LOG STATUS"
			if server.Engine() == mysqlproc.MariaDB {
				status = "SHOW MASTER STATUS"
			}
			conn := oneConn(t, server.DB())
			now := observe(t.Context(), conn, mode{sql: status})
			require.Zero(t, now.errno, now.message)
			all = append(all, binlog{conn, now.rows[0][0], now.rows[0][1]})
		}
	}
	return all
}

// logged are the later events with one of these words.
func (b binlog) logged(t *testing.T, words ...string) (events []string) {
	t.Helper()
	for _, event := range allRows(t, b.server, "SHOW BINLOG EVENTS IN '"+b.file+"' FROM "+b.position) {
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(event, w) }) {
			events = append(events, event)
		}
	}
	return events
}

// finishInTransaction: a transaction's own writes are copied, others' are not,
// and the transaction goes on.
func finishInTransaction(t *testing.T, o *oracle) {
	const q = "SELECT COUNT(DISTINCT la) + COUNT(*), MAX(id) FROM things"
	for _, sql := range []string{"SET sql_mode = 'ALLOW_INVALID_DATES'", "BEGIN", "INSERT INTO things (id, se, la) VALUES (100, 'x', 'mine'), (101, 'x', 'too')"} {
		o.both(t, sql)
	}
	o.runCase(t, statementCase{pos: "in a transaction", sql: q}, mode{name: "text", sql: q})
	o.runCase(t, statementCase{pos: "in a transaction", sql: q}, mode{name: "prepared", prepared: true, sql: q})
	o.both(t, "ROLLBACK")
	o.runCase(t, statementCase{pos: "after it", sql: q}, mode{name: "text", sql: q})
}

// finishCancelled: a statement whose time is up leaves the session usable.
func finishCancelled(t *testing.T, o *oracle) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := o.serval.ExecContext(ctx, "SELECT /*+ SERVAL(timeout=100ms) */ t.id, SLEEP(1) FROM things t, notes n")
	require.Error(t, err)
	require.NoError(t, o.serval.PingContext(t.Context()))
	require.Equal(t, "5", one(t, o.serval, "SELECT COUNT(DISTINCT id) * COUNT(DISTINCT 1) FROM things"))
}

// finishTimes tells how long a join of ten rows by ten takes.
func finishTimes(t *testing.T, o *oracle) {
	const q = "SELECT COUNT(*) FROM homey a JOIN local b ON a.id = b.id"
	const n = 50
	began := time.Now()
	for range n {
		mustExec(t, o.serval, q)
	}
	through := time.Since(began) / n
	began = time.Now()
	for range n {
		mustExec(t, o.plain, q)
	}
	t.Logf("a join across clusters took %v, on one server %v", through, time.Since(began)/n)
}

// finishManyAtOnce: sessions that finish at the same time, some of them giving
// up, neither wait for each other in a circle nor see each other's tables.
func finishManyAtOnce(t *testing.T, proxy *serval) {
	db := proxy.open(t, "finishing")
	db.SetMaxOpenConns(40)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var g errgroup.Group
	for i := range 40 {
		g.Go(func() error {
			for j := range 10 {
				if (i+j)%5 == 0 {
					short, stop := context.WithTimeout(ctx, 3*time.Millisecond)
					_, _ = db.ExecContext(short, "SELECT COUNT(DISTINCT a.id) FROM things a, notes b, local c") // it may or may not be in time
					stop()
					continue
				}
				var n int
				if err := db.QueryRowContext(ctx, "SELECT COUNT(DISTINCT a.id) * 100 + COUNT(*) FROM things a JOIN notes n ON n.id = a.id WHERE a.id <= ?", 1+i%2).Scan(&n); err != nil {
					return err
				}
				if want := []int{101, 203}[i%2]; n != want {
					return fmt.Errorf("%d, not %d", n, want)
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
}
