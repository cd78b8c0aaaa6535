package integration

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// madeRules are sources of each kind, and rules for tables that are made: h by
// key, g everywhere, w on the other cluster. p, and t where it is temporary,
// have none.
const madeRules = `src: {shard: hash(id), shards: 4, on: [c0, c1]}
twin: {shard: hash(id), like: src}
other: {shard: hash(ref), shards: 3, on: [c0, c1]}
lands: {global: true, on: [c0, c1]}
far: {on: c1}
h: {shard: hash(id), like: src}
g: {global: true, on: [c0, c1]}
w: {on: c1}`

var madeSources = []string{
	"CREATE TABLE src (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(20) COLLATE utf8mb4_general_ci DEFAULT 'n', kind ENUM('a','b') NOT NULL, total DECIMAL(9,2), at DATETIME(3), ts TIMESTAMP NULL, f DOUBLE, b BLOB, bits BIT(5), y YEAR)",
	"CREATE TABLE twin (id BIGINT NOT NULL PRIMARY KEY, v INT UNSIGNED COMMENT 'it''s')",
	"CREATE TABLE other (id INT NOT NULL, ref BIGINT NOT NULL, t TIME, PRIMARY KEY (ref, id))",
	"CREATE TABLE lands (code CHAR(2) NOT NULL PRIMARY KEY, name VARCHAR(20))",
	"CREATE TABLE far (sku VARCHAR(10) NOT NULL PRIMARY KEY, price DECIMAL(6,2))",
	"CREATE TABLE notes (id INT NOT NULL PRIMARY KEY, note TEXT)",
	"INSERT INTO src VALUES (1,'one','a',1.50,'2026-01-01 00:00:00.5','2026-01-01 10:00:00',1.5,x'00ff',b'101',2020),(2,NULL,'b',NULL,NULL,NULL,NULL,NULL,NULL,NULL),(3,'three','a',3,'2026-03-03','2026-03-03 10:00:00',0.1,'x',b'1',1999),(4,'it''s \\\\','b',4,'2026-04-04',NULL,-4,'',b'11111',2001),(5,'ünï','a',5,NULL,NULL,5,NULL,NULL,NULL)",
	"INSERT INTO twin VALUES (1,10),(2,20),(3,30),(7,70)",
	"INSERT INTO other VALUES (1,3,'10:00:00'),(2,3,NULL),(3,1,'-01:00:00'),(4,9,NULL)",
	"INSERT INTO lands VALUES ('de','Germany'),('fr','France')",
	"INSERT INTO far VALUES ('a',1.5),('b',2.5)",
	"INSERT INTO notes VALUES (1,'first'),(3,'third')",
}

// madeCases are statements with # for the table that is made; into are the
// tables of madeRules it can be, with a 1 in front for MySQL only.
var madeCases = []struct{ name, sql, into string }{
	{"all of a sharded table", "CREATE TABLE # AS SELECT * FROM src ", "pgwht"},
	{"of tables that share shards", "CREATE TABLE # SELECT src.id, name, v + 1 AS more, CONCAT(name, '!') c FROM src JOIN twin USING (id)", "pht"},
	{"of tables that do not", "CREATE TABLE # AS SELECT src.id, other.id AS oid, t FROM src JOIN other ON other.ref = src.id WHERE other.id <> 2", "pgwht"},
	{"of groups", "CREATE TABLE # AS SELECT kind, COUNT(*) AS id, SUM(total) AS sum, AVG(total), MAX(at) FROM src GROUP BY kind", "pgwt"},
	{"with a definition", "CREATE TABLE # (id BIGINT NOT NULL, extra INT NOT NULL DEFAULT 7, name VARCHAR(50) NOT NULL DEFAULT '', PRIMARY KEY (id), KEY (extra)) COMMENT 'made' AS SELECT id, IFNULL(name, 'none') AS name FROM src", "pgwht"},
	{"with a number for each row", "CREATE TABLE # (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY) SELECT name FROM src WHERE id = 3", "pwt"},
	{"with a generated column", "CREATE TABLE # (id BIGINT PRIMARY KEY, twice BIGINT AS (id * 2)) AS SELECT id FROM twin", "pht"},
	{"of a global table", "CREATE TABLE # AS SELECT 1 AS id, code, name FROM lands WHERE code = 'de'", "pht"},
	{"of a table elsewhere", "CREATE TABLE # AS SELECT 5 AS id, sku, price * 2 AS p FROM far WHERE sku = 'a'", "pghwt"},
	{"of a table at home and a sharded one", "CREATE TABLE # AS SELECT src.id, note, name FROM src LEFT JOIN notes ON notes.id = src.id", "pht"},
	{"of a table at home", "CREATE TABLE # AS SELECT id, note FROM notes", "pht"},
	{"of no table", "CREATE TABLE # AS SELECT 1 AS id, 'x' AS v, 2.50 AS d, NULL AS n", "pht"},
	{"of a union", "CREATE TABLE # (SELECT id, name FROM src WHERE id < 3) UNION ALL (SELECT id, v FROM twin WHERE id > 3)", "pht"},
	{"of a CTE", "CREATE TABLE # WITH x AS (SELECT id, v FROM twin) SELECT x.id, x.v, src.kind FROM x JOIN src ON src.id = x.id", "pht"},
	{"of a view", "CREATE TABLE # AS SELECT * FROM seen WHERE id <> 4", "pgwht"},
	{"with values that are literals", "CREATE TABLE # AS SELECT id, id + 5, 'a b', name LIKE 'o%' FROM src WHERE id IN (1, 2)", "pht"},
	{"duplicates fail, and nothing is left", "CREATE TABLE # (id BIGINT PRIMARY KEY) AS SELECT ref AS id FROM other", "pgwht"},
	{"duplicates are ignored", "CREATE TABLE # (id BIGINT PRIMARY KEY) IGNORE AS SELECT ref AS id FROM other", "1pht"},
	{"duplicates replace", "CREATE TABLE # (id BIGINT PRIMARY KEY, n INT) REPLACE SELECT ref AS id, 1 AS n FROM other", "pht"},
	{"a column of two tables", "CREATE TABLE # AS SELECT * FROM src JOIN twin ON src.id = twin.id", "pht"},
	{"an unknown column", "CREATE TABLE # AS SELECT id, nope FROM src", "pht"},
	{"an unknown table", "CREATE TABLE # AS SELECT s.id FROM src s, nowhere n", "pht"},
	{"a value that a strict mode refuses", "CREATE TABLE # (id BIGINT PRIMARY KEY, name VARCHAR(2)) AS SELECT id, name FROM src", "pht"},
	{"twice", "CREATE TABLE # AS SELECT id FROM src; CREATE TABLE # AS SELECT id FROM twin", "pgwh"},
	{"twice if it is not there", "CREATE TABLE # AS SELECT id FROM src; CREATE TABLE IF NOT EXISTS # AS SELECT id FROM twin", "pgwh"},
	{"none if it is there", "CREATE TABLE IF NOT EXISTS # AS SELECT id FROM src", "pht"},
}

// A table made of other tables' rows is what one server makes of them.
func TestCreateTableSelect(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "made"
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: madeRules})
		plain, proxied := oneConn(t, openDB(t, s.Plain(t).Addr(), "")), oneConn(t, p.open(t, ""))
		mustExec(t, plain, "DROP DATABASE IF EXISTS "+schema)
		t.Cleanup(func() { _, _ = s.Plain(t).DB().ExecContext(context.Background(), "DROP DATABASE IF EXISTS "+schema) })
		for _, c := range []*sql.Conn{plain, proxied} {
			mustExec(t, c, "CREATE DATABASE "+schema+" ", "USE "+schema)
			for _, statement := range madeSources {
				mustExec(t, c, statement)
			}
			mustExec(t, c, "CREATE VIEW seen AS SELECT id, name FROM src")
		}
		for _, c := range madeCases {
			kinds, only := strings.CutPrefix(c.into, "1")
			if only && s.engine == mysqlproc.MariaDB {
				continue // which loses the row that was there first
			}
			for _, into := range kinds {
				t.Run(c.name+" into "+string(into), func(t *testing.T) {
					require.Equal(t, madeBy(t, plain, c.sql, string(into)), madeBy(t, proxied, c.sql, string(into)))
				})
			}
		}
		t.Run("in a transaction a temporary table commits nothing", func(t *testing.T) {
			for _, c := range []*sql.Conn{plain, proxied} {
				mustExec(t, c, "BEGIN", "INSERT INTO notes VALUES (9, 'open')", "CREATE TEMPORARY TABLE tt AS SELECT id, name FROM src", "ROLLBACK")
				require.Equal(t, "2", one(t, c, "SELECT COUNT(*) FROM notes"))
				mustExec(t, c, "DROP TEMPORARY TABLE IF EXISTS tt")
			}
		})
		t.Run("what would run twice is refused", func(t *testing.T) {
			for sql, why := range map[string]string{
				"CREATE TABLE p AS SELECT LAST_INSERT_ID() AS id FROM src":                               "LAST_INSERT_ID() is the session's",
				"CREATE TABLE p AS SELECT GET_LOCK('a', 1) AS id FROM src":                               "run once more",
				"CREATE TABLE p (id INT, FOREIGN KEY (id) REFERENCES notes (id)) AS SELECT id FROM twin": "foreign key",
				"CREATE TABLE h AS SELECT v FROM twin":                                                   "no column id",
			} {
				_, err := proxied.ExecContext(t.Context(), sql)
				require.ErrorContains(t, err, why)
			}
		})
		for _, c := range clusters {
			eventually(t, 10*time.Second, func() error { // other tests define, too
				if n := scratchLeft(t, c.Primary.DB()); n > 0 {
					return fmt.Errorf("%d scratch databases are left", n)
				}
				return nil
			})
		}
	})
}

var physicalCounter = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// madeBy is what the statement does and leaves.
func madeBy(t *testing.T, conn *sql.Conn, statements, into string) string {
	t.Helper()
	word := "TABLE"
	if into == "t" {
		word = "TEMPORARY TABLE"
	}
	mustExec(t, conn, "DROP "+word+" IF EXISTS "+into)
	var out strings.Builder
	for statement := range strings.SplitSeq(statements, "; ") {
		statement = strings.Replace(strings.Replace(statement, "#", into, 1), "CREATE TABLE", "CREATE "+word, 1)
		result, err := conn.ExecContext(t.Context(), statement)
		if err != nil {
			// Which of several duplicates is met first is the server's affair.
			fmt.Fprintln(&out, "error:", regexp.MustCompile(`Duplicate entry '\d+'|at row \d+`).ReplaceAllString(err.Error(), "…"))
			continue
		}
		n, _ := result.RowsAffected()
		fmt.Fprintln(&out, "affected:", n)
		for line := range strings.Lines(rowsText(t, conn, "SHOW WARNINGS")) {
			if !strings.Contains(line, "AVG(") { // MariaDB tells of its own digits
				out.WriteString(line)
			}
		}
	}
	var name, definition string
	if err := conn.QueryRowContext(t.Context(), "SHOW CREATE TABLE "+into).Scan(&name, &definition); err != nil {
		fmt.Fprintln(&out, "then:", err)
		return out.String()
	}
	out.WriteString(physicalCounter.ReplaceAllString(definition, "") + "\n")
	rows := strings.SplitAfter(rowsText(t, conn, "SELECT * FROM "+into), "\n")
	slices.Sort(rows)
	out.WriteString(strings.Join(rows, ""))
	return out.String()
}
