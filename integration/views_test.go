package integration

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// viewDefinitions are run on both sides: views over sharded, global and home
// tables, views over views, and their errors.
var viewDefinitions = []string{
	"CREATE VIEW adults AS SELECT id, name, country, age FROM users WHERE age >= 30",
	"CREATE VIEW spent (user_id, orders, total) AS SELECT user_id, COUNT(*), SUM(total) FROM orders GROUP BY user_id",
	"CREATE VIEW regions AS SELECT region, COUNT(*) AS n, AVG(total) AS mean, 'all' AS label FROM orders GROUP BY region",
	"CREATE VIEW everything AS SELECT * FROM users",
	"CREATE ALGORITHM = MERGE SQL SECURITY INVOKER VIEW of_users AS SELECT u.id AS uid, u.name, o.id AS oid, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE o.status <> 'it''s\\n'",
	"CREATE VIEW top_orders AS SELECT id, user_id, total FROM orders ORDER BY total DESC, user_id, id LIMIT 7",
	"CREATE VIEW by_name AS SELECT name, id FROM users ORDER BY name DESC, id",
	"CREATE VIEW rich_adults AS SELECT a.name, s.total FROM adults a JOIN spent s ON s.user_id = a.id",
	"CREATE VIEW with_home AS SELECT u.id, s.value FROM users u JOIN settings s ON s.name <> u.name",
	"CREATE VIEW places AS SELECT code AS c, name FROM countries UNION SELECT country, 'user' FROM users WHERE country IS NOT NULL",
	"CREATE VIEW prices AS SELECT sku, price FROM catalog WHERE price BETWEEN 1 AND 1000000",
	"CREATE VIEW home_only AS SELECT name FROM settings",
	"CREATE VIEW elsewhere.visitors AS SELECT id, born FROM views_shop.users WHERE born > DATE '1900-01-01'",
	"CREATE VIEW spies AS SELECT * FROM elsewhere.visitors",
	"CREATE OR REPLACE VIEW adults AS SELECT id, name, country, age FROM users WHERE age >= 20",
	"ALTER VIEW prices AS SELECT sku, price * 2 AS price FROM catalog",
	"CREATE VIEW w AS WITH c AS (SELECT user_id, MAX(total) AS m FROM orders GROUP BY user_id) SELECT c.user_id, c.m, ROW_NUMBER() OVER (ORDER BY c.user_id) AS rn FROM c",
	"CREATE VIEW checked AS SELECT id, age FROM users WHERE age > 10 WITH LOCAL CHECK OPTION",
	"CREATE VIEW to_drop AS SELECT id FROM users",
	"CREATE VIEW to_drop_2 AS SELECT id FROM users",
	"CREATE VIEW to_rename AS SELECT id FROM users",
	"RENAME TABLE to_rename TO renamed",
	"DROP VIEW to_drop",
	"DROP VIEW IF EXISTS to_drop, to_drop_2, home_nothing",
}

// viewQueries use them; each is compared with the plain server.
var viewQueries = []string{
	"SELECT * FROM adults ORDER BY id",
	"SELECT name FROM adults WHERE id = 7",
	"SELECT a.name, age + 1 FROM adults AS a WHERE a.id IN (1, 2, 3) ORDER BY a.id",
	"SELECT COUNT(*), MIN(adults.age) FROM adults",
	"SELECT views_shop.adults.country, COUNT(*) FROM views_shop.adults GROUP BY country ORDER BY country",
	"SELECT * FROM spent WHERE user_id = 3",
	"SELECT user_id, orders FROM spent ORDER BY total DESC, user_id LIMIT 3",
	"SELECT * FROM regions ORDER BY region",
	"SELECT label, SUM(n) FROM regions GROUP BY label",
	"SELECT * FROM everything ORDER BY id LIMIT 5",
	"SELECT uid, COUNT(oid) FROM of_users GROUP BY uid ORDER BY uid",
	"SELECT * FROM of_users WHERE uid = 5 ORDER BY oid",
	"SELECT * FROM top_orders ORDER BY total DESC, user_id, id",
	"SELECT * FROM by_name",
	"SELECT * FROM rich_adults ORDER BY name, total",
	"SELECT * FROM with_home ORDER BY id, value LIMIT 9",
	"SELECT * FROM places ORDER BY c, name",
	"SELECT * FROM prices ORDER BY sku",
	"SELECT * FROM home_only ORDER BY name",
	"SELECT h.name, COUNT(*) FROM home_only h JOIN users u ON u.id > 3 GROUP BY h.name ORDER BY h.name",
	"SELECT * FROM elsewhere.visitors ORDER BY id",
	"SELECT * FROM w ORDER BY user_id",
	"SELECT * FROM checked ORDER BY id",
	"SELECT * FROM renamed ORDER BY id",
	"SELECT u.name FROM users u WHERE u.id IN (SELECT user_id FROM spent WHERE total > 100) ORDER BY u.id",
	"SELECT a.id, (SELECT s.orders FROM spent s WHERE s.user_id = a.id) AS n FROM adults a ORDER BY a.id",
	"SELECT (SELECT MAX(n) FROM regions), id, (SELECT orders FROM spent WHERE user_id = adults.id) FROM adults ORDER BY id",
	"SELECT (SELECT n FROM regions ORDER BY n, region LIMIT 1) > 0, (SELECT orders FROM spent WHERE user_id = 3) + 1 FROM adults WHERE id < 9 ORDER BY id",
	"SELECT id FROM adults UNION ALL SELECT user_id FROM top_orders ORDER BY 1",
	"WITH users AS (SELECT 1 AS id) SELECT a.id FROM adults a JOIN users ON users.id = a.id",
	"SELECT nosuch FROM adults",
	"SELECT adults.nosuch FROM adults",
	"SELECT * FROM to_drop",
	"SHOW CREATE VIEW nosuch",
}

// viewShows are compared by their rows: that a column of theirs is TEXT or ENUM
// on a server is not kept.
var viewShows = []string{
	"SELECT * FROM by_name", // its own order
	"CHECK TABLE adults",
	"DESCRIBE adults",
	"DESC everything born",
	"SHOW FULL COLUMNS FROM regions",
	"SHOW COLUMNS FROM adults LIKE 'n%'",
	"SHOW COLUMNS FROM spent FROM views_shop",
	"SHOW INDEX FROM adults",
	"SHOW FULL TABLES",
	"SHOW FULL TABLES WHERE Table_type = 'VIEW'",
	"SHOW TABLES LIKE 'r%'",
}

// viewErrors must fail on both sides with the same number.
var viewErrors = []string{
	"CREATE VIEW adults AS SELECT id FROM users",
	"CREATE VIEW users AS SELECT id FROM orders",
	"CREATE OR REPLACE VIEW settings AS SELECT id FROM users",
	"CREATE VIEW e AS SELECT nosuch FROM users",
	"CREATE VIEW e AS SELECT id, id FROM users",
	"CREATE VIEW e (a) AS SELECT id, name FROM users",
	"CREATE VIEW e AS SELECT u.id FROM users u JOIN nosuch n ON n.id = u.id",
	"CREATE VIEW e AS SELECT @a, id FROM users",
	"CREATE OR REPLACE VIEW adults AS SELECT * FROM adults",
	"CREATE TABLE adults (id INT)",
	"ALTER TABLE adults ADD x INT",
	"RENAME TABLE adults TO spent",
	"RENAME TABLE adults TO elsewhere.adults",
	"DROP VIEW nosuch",
	"SHOW CREATE VIEW users",
}

// viewRefusals are refused by name.
var viewRefusals = []string{
	"UPDATE adults SET name = 'x' WHERE id = 1",
	"DELETE FROM adults WHERE id = 1",
	"INSERT INTO adults (id, name) VALUES (999, 'x')",
	"SELECT * FROM adults WHERE id = 1 FOR UPDATE",
	"CREATE TABLE copied LIKE adults",
	"CREATE VIEW mine AS SELECT id FROM users WHERE name = CURRENT_USER()",
}

func TestViews(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "views_shop"
		clusters := s.Clusters(t)
		drop := func() {
			dropSchema(t, clusters, schema)
			dropSchema(t, clusters, "elsewhere")
			// The table comes with the first view.
			_ = clusters[0].Primary.Exec(context.Background(), "DELETE FROM serval_meta.views WHERE schema_name IN ('"+schema+"', 'elsewhere')")
		}
		drop()
		cfg := settings{Schema: schema, AllSchemas: true, Tables: oracleTables(4)}
		proxy := startServal(t, s, cfg)
		other := startServal(t, s, cfg)
		t.Cleanup(drop)
		o := &oracle{schema: schema, serval: oneConn(t, proxy.open(t, "")), plain: oneConn(t, openDB(t, s.Plain(t).Addr(), ""))}
		mustExec(t, o.plain, "DROP DATABASE IF EXISTS "+schema, "DROP DATABASE IF EXISTS elsewhere")
		viewTables(t, o)
		for _, sql := range viewDefinitions {
			o.both(t, sql)
		}
		for _, c := range clusters {
			require.NoError(t, c.Sync(t.Context()))
		}
		viewsAnswer(t, o)

		viewsOfLimited(t, s, schema)

		// Another Serval sees them once it has looked, a new one at once.
		there := oneConn(t, other.open(t, schema))
		require.Eventually(t, func() bool {
			_, err := there.ExecContext(t.Context(), "SELECT * FROM renamed")
			return err == nil
		}, 30*time.Second, 200*time.Millisecond)
		proxy.stop(t)
		o.serval = oneConn(t, startServal(t, s, cfg).open(t, schema))
		viewsAnswer(t, o)
		viewsChange(t, o)
		eventually(t, 10*time.Second, func() error { // other tests define, too
			if n := scratchLeft(t, clusters[0].Primary.DB()); n > 0 {
				return fmt.Errorf("%d scratch databases are left", n)
			}
			return nil
		})
	})
}

func viewTables(t *testing.T, o *oracle) {
	for _, sql := range []string{"CREATE DATABASE elsewhere", "CREATE DATABASE " + o.schema, "USE " + o.schema} {
		o.both(t, sql)
	}
	o.create, o.seeds = map[string]string{}, map[string]string{}
	for _, sql := range schemaStatements(t) {
		if name := createdTable(sql); name != "" {
			o.both(t, sql)
			o.both(t, seedStatement(t, o.plain, o.schema, name))
		}
	}
}

func viewsAnswer(t *testing.T, o *oracle) {
	t.Helper()
	for _, q := range append(viewQueries, viewErrors...) {
		for _, m := range modes(statementCase{sql: q}) {
			o.runCase(t, statementCase{pos: "views", sql: q}, m)
		}
	}
	for _, q := range viewShows {
		want, got := observe(t.Context(), o.plain, mode{sql: q}), observe(t.Context(), o.serval, mode{sql: q})
		require.Equal(t, want.rows, got.rows, q)
		require.Equal(t, want.errno, got.errno, q)
	}
	for _, q := range viewRefusals {
		_, err := o.serval.ExecContext(t.Context(), q)
		require.ErrorContains(t, err, "Serval refuses", q)
	}
	for _, v := range []string{"adults", "spent", "of_users", "checked", "with_home"} {
		want := created(t, o.plain, v)
		require.Equal(t, want, created(t, o.serval, v))
	}
}

// created is SHOW CREATE VIEW without the account.
func created(t *testing.T, db execer, view string) string {
	var name, text, charset, collation string
	require.NoError(t, db.QueryRowContext(t.Context(), "SHOW CREATE VIEW "+view).Scan(&name, &text, &charset, &collation))
	before, after, _ := strings.Cut(text, " DEFINER=")
	_, after, _ = strings.Cut(after, " SQL ")
	return name + before + after + charset + collation
}

// viewsChange alters and drops tables and views.
func viewsChange(t *testing.T, o *oracle) {
	const invalid = "SELECT * FROM checked"
	for _, step := range []struct {
		sql     string
		queries []string
	}{
		{"ALTER TABLE users ADD later INT", []string{"SELECT * FROM everything ORDER BY id"}},
		{"ALTER TABLE users DROP COLUMN age", []string{invalid, "SELECT id FROM checked", "DESC checked", "SELECT * FROM everything", "SELECT * FROM renamed ORDER BY id"}},
		{"DROP TABLE settings", []string{"SELECT * FROM with_home"}},
		{"DROP TABLE users", []string{"SELECT * FROM renamed", "SELECT * FROM rich_adults", "SHOW TABLES"}},
		{"DROP VIEW renamed, home_only", []string{"SELECT * FROM renamed", "SHOW TABLES"}},
		{"DROP DATABASE " + o.schema, nil},
		{"CREATE DATABASE " + o.schema, nil},
		{"USE " + o.schema, []string{"SHOW TABLES", "SELECT * FROM spent"}},
	} {
		o.both(t, step.sql)
		for _, q := range step.queries {
			want, got := observe(t.Context(), o.plain, mode{sql: q}), observe(t.Context(), o.serval, mode{sql: q})
			require.Equal(t, want.rows, got.rows, "%s: %s", step.sql, q)
			require.Equal(t, want.errno, got.errno, "%s: %s: %s", step.sql, q, got.message)
		}
	}
}

func scratchLeft(t *testing.T, db execer) int {
	var n int
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'serval\_scratch%'`).Scan(&n))
	return n
}

func schemaStatements(t *testing.T) []string {
	text, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	return splitStatements(string(text))
}

// viewsOfLimited: who may use one schema reads no other one through views.
func viewsOfLimited(t *testing.T, s *serverSet, schema string) {
	limited := oneConn(t, startServal(t, s, settings{Schema: schema, Tables: oracleTables(4)}).open(t, schema))
	mustExec(t, limited, "SELECT * FROM adults", "CREATE VIEW own AS SELECT u.id FROM users u", "ALTER VIEW own AS SELECT u.id FROM users u", "DROP VIEW own")
	for _, q := range []string{
		"SELECT * FROM elsewhere.visitors",
		"CREATE VIEW own AS SELECT v.id FROM elsewhere.visitors v",
		"CREATE VIEW elsewhere.own AS SELECT id FROM users",
		"ALTER VIEW adults AS SELECT v.id FROM elsewhere.visitors v",
		"DROP VIEW elsewhere.visitors",
		"SHOW CREATE VIEW elsewhere.visitors",
		"SELECT * FROM spies",
	} {
		_, err := limited.ExecContext(t.Context(), q)
		require.ErrorContains(t, err, "denied", q)
	}
}
