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

	"github.com/servaldb/serval/internal/mysqlproc"
)

const uniqueTables = `
members: {shard: hash(id), shards: %d, on: [c0, c1], unique: [email, [country, phone]]}
docs:    {shard: hash(owner), shards: 4, on: [c0, c1], unique: [slug], auto_increment: id, layout: tables}
pays:    {shard: month(paid_at), from: 2026-09, on: [c0, c1], unique: [txn]}
trans:   {shard: 'month(paid_at), hash(user_id) x 2', from: 2026-09, on: [c0, c1], unique: [txn, [user_id, code]]}
chits:   {shard: 'hash(user_id %% 8) or hash(no %% 8) x 4', on: [c0, c1], unique: [code]}
stubs:   {shard: 'hash(user_id %% 8) or hash(no %% 8)', like: chits}
`

var uniqueCreates = []string{
	"CREATE TABLE members (id BIGINT NOT NULL PRIMARY KEY, email VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci UNIQUE, country CHAR(2), phone VARCHAR(20), name VARCHAR(40)," +
		" UNIQUE KEY home_phone (country, phone)) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
	"CREATE TABLE docs (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, owner BIGINT, slug VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, body TEXT, UNIQUE (slug))",
	"CREATE TABLE trans (id BIGINT NOT NULL, paid_at DATETIME NOT NULL, user_id BIGINT NOT NULL, txn BIGINT NOT NULL, code VARCHAR(10), v INT, PRIMARY KEY (id, paid_at, user_id), UNIQUE KEY by_txn (txn)," +
		" UNIQUE KEY of_user (user_id, code)) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
	"CREATE TABLE chits (no BIGINT NOT NULL PRIMARY KEY, user_id BIGINT NOT NULL, code VARCHAR(10), UNIQUE KEY by_code (code)) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
	"CREATE TABLE stubs (no BIGINT NOT NULL, user_id BIGINT NOT NULL, n INT, PRIMARY KEY (no, n), CONSTRAINT of_chit FOREIGN KEY (no) REFERENCES chits (no))",
	"CREATE TABLE pays (id BIGINT NOT NULL, paid_at DATETIME NOT NULL, txn BIGINT NOT NULL, PRIMARY KEY (id, paid_at), UNIQUE KEY by_txn (txn))",
}

// kept are the lookup tables: their table, key columns and sharding column.
var kept = []struct{ lookup, table, key, sharding string }{
	{"serval_unique_members_email", "members", "email", "id"},
	{"serval_unique_members_country_phone", "members", "country, phone", "id"},
	{"serval_unique_docs_slug", "docs", "slug", "owner"},
	{"serval_unique_pays_txn", "pays", "txn", "paid_at"},
	{"serval_unique_trans_txn", "trans", "txn", "paid_at, user_id"},
	{"serval_unique_trans_user_id_code", "trans", "user_id, code", "paid_at"},
	{"serval_unique_chits_code", "chits", "code", "user_id, no"},
}

// Unique keys without the sharding column are kept over all shards as one server
// keeps them: each statement of the file gives the same answer and leaves the
// same rows.
func TestUniqueOverShards(t *testing.T) {
	uniqueOverShards(t, func(s *serverSet) []string {
		if s.engine == mysqlproc.MySQL {
			return []string{"parameters", "in a transaction"}
		}
		return []string{"text", "in a transaction"}
	})
}

func uniqueOverShards(t *testing.T, ways func(*serverSet) []string) {
	t.Helper()
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		const schema = "uniq"
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: fmt.Sprintf(uniqueTables, 4)})
		o := &oracle{schema: schema, engine: s.engine.String(), serval: oneConn(t, p.open(t, "")), plain: oneConn(t, openDB(t, s.Plain(t).Addr(), ""))}
		mustExec(t, o.plain, "DROP DATABASE IF EXISTS "+schema)
		o.both(t, "CREATE DATABASE "+schema)
		o.both(t, "USE "+schema)
		cases := readCases(t, "testdata/unique/*.txt")
		for _, way := range ways(s) {
			t.Run(way, func(t *testing.T) {
				for _, create := range uniqueCreates {
					o.both(t, create)
					o.tables = append(o.tables, createdTable(create))
				}
				for _, c := range cases {
					uniqueStep(t, o, c, way)
				}
				for _, table := range slices.Backward(o.tables) {
					o.both(t, "DROP TABLE "+table)
				}
				requireNoLookups(t, clusters, schema)
				o.tables = nil
			})
		}
	})
}

func uniqueStep(t *testing.T, o *oracle, c statementCase, way string) {
	t.Helper()
	m := mode{name: way, sql: c.sql}
	if way == "parameters" {
		m.prepared = true
		m.sql, m.args = parameterize(c.sql)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if way == "in a transaction" {
		o.both(t, "BEGIN")
	}
	want, got := observe(ctx, o.plain, m), observe(ctx, o.serval, m)
	if strings.Contains(c.sql, "docs") {
		want.lastID, got.lastID = 0, 0
	}
	if m.prepared { // MySQL says at PREPARE what is deprecated, Serval where it runs a part
		got.warnings = slices.DeleteFunc(got.warnings, func(w string) bool { return strings.HasPrefix(w, "Warning 1287") })
	}
	if diff := compare(m.sql, want, got); diff != "" {
		o.fail(t, c, m, diff)
	}
	if way == "in a transaction" {
		uniqueSame(t, o, c, m)
		o.both(t, "COMMIT")
	}
	uniqueSame(t, o, c, m)
}

// uniqueSame compares the tables, and the lookup tables with them.
func uniqueSame(t *testing.T, o *oracle, c statementCase, m mode) {
	t.Helper()
	for _, table := range o.tables {
		q := mode{sql: "SELECT * FROM " + table}
		if table == "docs" {
			q.sql = "SELECT owner, slug, body FROM docs"
		}
		if diff := compare(q.sql, observe(t.Context(), o.plain, q), observe(t.Context(), o.serval, q)); diff != "" {
			o.fail(t, c, m, "afterwards the rows of "+table+" differ: "+diff)
		}
	}
	requireKept(t, o.serval, c.pos+": "+c.sql)
}

// requireKept: each lookup table has just what its table says.
func requireKept(t *testing.T, c *sql.Conn, after string) {
	t.Helper()
	for _, k := range kept {
		first, _, _ := strings.Cut(k.key, ",")
		columns := k.key + ", " + k.sharding
		want := allRows(t, c, "SELECT "+columns+" FROM "+k.table+" WHERE NOT ("+strings.ReplaceAll(k.key, ", ", " IS NULL OR ")+" IS NULL) ORDER BY "+first)
		got := allRows(t, c, "SELECT "+columns+" FROM "+k.lookup+" ORDER BY "+first)
		slices.Sort(want)
		slices.Sort(got)
		require.Equal(t, want, got, "%s after %s", k.lookup, after)
	}
}

func allRows(t *testing.T, c *sql.Conn, query string) []string {
	t.Helper()
	out := observe(t.Context(), c, mode{sql: query})
	require.Zero(t, out.errno, "%s: %+v", query, out)
	var rows []string
	for _, r := range out.rows {
		rows = append(rows, strings.Join(r, "|"))
	}
	return rows
}

// requireNoLookups: nothing is left on any server.
func requireNoLookups(t *testing.T, clusters []*mysqlproc.Cluster, schema string) {
	t.Helper()
	for _, c := range clusters {
		db := c.Primary.DB()
		require.Equal(t, "0", one(t, db, "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME LIKE 'serval\\_unique\\_%' AND TABLE_SCHEMA RLIKE '^"+schema+"(_[0-9]+)?$'"))
	}
}

// Rows that come in bulk, from a file or a query, are kept like any other.
func TestUniqueRowsInBulk(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		const schema = "uniqbulk"
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: fmt.Sprintf(uniqueTables, 4), Extra: "local_infile: true"})
		c := oneConn(t, p.open(t, "", allowFiles))
		mustExec(t, c, "CREATE DATABASE "+schema, "USE "+schema)
		mustExec(t, c, uniqueCreates...)
		load := func(file, word string) error {
			_, err := c.ExecContext(t.Context(), "LOAD DATA LOCAL INFILE "+reader(t, file)+" "+word+" INTO TABLE members FIELDS TERMINATED BY ',' (id, email, name)")
			return err
		}
		require.NoError(t, load("1,a@x,Ann\n2,b@x,Bob\n3,\\N,Cid\n4,\\N,Dan\n", ""))
		requireKept(t, c, "LOAD DATA")
		require.NoError(t, load("5,A@x,left out\n6,f@x,in\n", ""), "LOCAL is as IGNORE")
		require.Equal(t, "5", one(t, c, "SELECT COUNT(*) FROM members"))
		require.NoError(t, load("7,a@x,takes it over\n", "REPLACE"))
		require.Equal(t, "7", one(t, c, "SELECT id FROM members WHERE email = 'a@x'"))
		requireKept(t, c, "LOAD DATA REPLACE")

		mustExec(t, c, "DROP TABLE docs")
		body := " (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, owner BIGINT, slug VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, body TEXT, UNIQUE (slug)) "
		_, err := c.ExecContext(t.Context(), "CREATE TABLE docs"+body+"SELECT id, id AS owner, 'same' AS slug FROM members")
		require.ErrorContains(t, err, "Duplicate entry 'same' for key")
		requireNoTable(t, c, "docs")
		mustExec(t, c, "CREATE TABLE docs"+body+"SELECT id, id AS owner, email AS slug FROM members")
		requireKept(t, c, "CREATE TABLE SELECT")
		mustExec(t, c, "CREATE TABLE IF NOT EXISTS docs"+strings.TrimSpace(body))
		_, err = c.ExecContext(t.Context(), "CREATE TABLE docs"+body)
		require.ErrorContains(t, err, "Table 'docs' already exists")
		require.NotContains(t, strings.Join(allRows(t, c, "SHOW TABLES"), " "), "serval_unique")
		require.Equal(t, "0", one(t, c, "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME LIKE 'serval%' AND TABLE_SCHEMA = '"+schema+"'"))
	})
}

func requireNoTable(t *testing.T, c *sql.Conn, table string) {
	t.Helper()
	out := observe(t.Context(), c, mode{sql: "SELECT 1 FROM " + table})
	require.Equal(t, uint16(1146), out.errno, "%s: %+v", table, out)
}
