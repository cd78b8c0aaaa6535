package integration

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// Named CHECKs and FOREIGN KEYs on shards that are tables of one database: what
// clients are told has their names, as from a plain server, and so do DROP and
// ALTER; drift is seen and mended under them.
func TestConstraintNames(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		dropSchema(t, clusters, "named")
		t.Cleanup(func() { dropSchema(t, clusters, "named") })
		p := startServal(t, s, settings{Schema: "named", AllSchemas: true, Tables: `
pages: {shard: hash(id), shards: 4, on: [c0, c1], layout: tables}
notes: {shard: hash(page), like: pages}
bills: {shard: month(at), on: [c0, c1], keep: 3, ahead: 1}
`})
		serval, plain := oneConn(t, p.open(t, "")), oneConn(t, openDB(t, s.Plain(t).Addr(), ""))
		both := func(statements ...string) {
			t.Helper()
			for _, sql := range statements {
				want, got := observe(t.Context(), plain, mode{sql: sql}), observe(t.Context(), serval, mode{sql: sql})
				want.affected, got.affected, want.warnings, got.warnings = 0, 0, nil, nil
				require.Empty(t, compare(sql, want, got), "%s", sql)
				require.Equal(t, want.message, got.message, "%s", sql)
			}
		}
		at := one(t, plain, "SELECT NOW()")
		both("DROP DATABASE IF EXISTS named", "CREATE DATABASE named", "USE named",
			"CREATE TABLE pages (id BIGINT PRIMARY KEY, n INT, CONSTRAINT low CHECK (id < 1000), CONSTRAINT positive CHECK (n > 0), CHECK (n < 100))",
			"CREATE TABLE notes (id BIGINT, page BIGINT, PRIMARY KEY (page, id), CONSTRAINT of_page FOREIGN KEY (page) REFERENCES pages (id))",
			"CREATE TABLE bills (id BIGINT, at DATETIME, n INT, PRIMARY KEY (id, at), CONSTRAINT owed CHECK (n > 0))")
		shown := []string{"SHOW CREATE TABLE pages", "SHOW CREATE TABLE notes", "SHOW CREATE TABLE bills"}
		both(shown...)
		both("INSERT INTO pages VALUES (1, 1), (2, 2), (3, 3), (4, 4)",
			"INSERT INTO pages VALUES (5, 0)", "INSERT INTO pages VALUES (1000, 1)", "UPDATE pages SET n = -1 WHERE id = 3", "INSERT INTO pages VALUES (6, 100)",
			"INSERT INTO notes VALUES (1, 1), (1, 2)", "INSERT INTO notes VALUES (1, 9)", "DELETE FROM pages WHERE id = 1",
			"INSERT INTO bills VALUES (1, '"+at+"', 5)", "INSERT INTO bills VALUES (2, '"+at+"', 0)")
		both("ALTER TABLE pages ADD CONSTRAINT more CHECK (n <> 50), DROP CONSTRAINT low", shown[0], "INSERT INTO pages VALUES (7, 50)",
			"ALTER TABLE notes DROP FOREIGN KEY of_page", shown[1], "ALTER TABLE notes ADD CONSTRAINT `of a page` FOREIGN KEY (page) REFERENCES pages (id)", shown[1],
			"ALTER TABLE pages DROP CONSTRAINT not_there", "ALTER TABLE bills DROP CONSTRAINT owed, ADD CONSTRAINT `owed more` CHECK (n > 1)", shown[2])
		if s.engine == mysqlproc.MySQL {
			both("ALTER TABLE pages ALTER CHECK more NOT ENFORCED", shown[0], "ALTER TABLE pages DROP CHECK pages_chk_1", shown[0])
		}
		both("CREATE TABLE copied LIKE notes")
		out, err := runServal("check", "-c", p.Config, "--live")
		require.NoError(t, err, out)
		mustExec(t, clusters[0].Primary.DB(), "ALTER TABLE named.pages_1 DROP CONSTRAINT positive_1", "ALTER TABLE named.notes_1 DROP FOREIGN KEY `of a page_1`")
		out, err = runServal("check", "-c", p.Config, "--live", "--repair")
		require.NoError(t, err, out)
		require.Contains(t, out, "ADD CONSTRAINT `positive_1` CHECK")
		require.Contains(t, out, "ADD CONSTRAINT `of a page_1` FOREIGN KEY (`page`) REFERENCES `pages_1` (`id`)")
		out, err = runServal("check", "-c", p.Config, "--live")
		require.NoError(t, err, out)
		both("DROP TABLE notes", "DROP TABLE pages", "DROP TABLE bills")
	})
}
