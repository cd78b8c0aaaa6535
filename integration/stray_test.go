package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What stands at home and names a table whose rows are in shards would answer by,
// or change, a table of that name left over there: functions, also called by
// others, triggers of tables at home, and views, all made past Serval.
func TestStraysDoNotRun(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		schema := schemaOf(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		home := oneConn(t, clusters[0].Primary.DB())
		mustExec(t, home, "CREATE DATABASE "+schema, "USE "+schema, "CREATE TABLE b (id INT PRIMARY KEY, v INT)", "INSERT INTO b VALUES (55, 55)",
			"CREATE TABLE h (id INT PRIMARY KEY, v INT)", "CREATE TABLE watched (id INT PRIMARY KEY, v INT)", "INSERT INTO h VALUES (1, 1)",
			"CREATE FUNCTION counted() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM b)",
			"CREATE FUNCTION twice() RETURNS INT READS SQL DATA RETURN 2 * counted()", "CREATE FUNCTION fine(n INT) RETURNS INT DETERMINISTIC RETURN n + 1",
			"CREATE TRIGGER notes AFTER INSERT ON watched FOR EACH ROW UPDATE b SET v = v + 1",
			"CREATE VIEW old AS SELECT h.id, b.v FROM h JOIN b", "CREATE VIEW older AS SELECT v FROM old", "CREATE VIEW good AS SELECT id FROM h")
		mustExec(t, home, "USE mysql")
		p := startServal(t, s, settings{Schema: schema, Tables: "b: {shard: hash(id), shards: 4, on: [c0, c1]}\n"})
		c := oneConn(t, p.open(t, schema))
		mustExec(t, c, "CREATE TABLE b (id INT PRIMARY KEY, v INT)", "INSERT INTO b VALUES (1, 1), (2, 2)")
		for _, q := range []string{"SELECT counted()", "SELECT Twice() FROM h", "SELECT `counted`() + id FROM b", "DO counted()", "SET @n = twice()", "UPDATE h SET v = counted()",
			"INSERT INTO h VALUES (7, " + schema + ".counted())", "INSERT INTO b VALUES (7, counted())", "INSERT INTO watched VALUES (1, 1)", "REPLACE INTO watched VALUES (1, 1)",
			"SELECT * FROM old", "SELECT COUNT(*) FROM older", "SELECT * FROM b JOIN old ON b.id = old.id", "CREATE TABLE n AS SELECT * FROM old", "DELETE FROM h WHERE id IN (SELECT v FROM older)",
			"SELECT IF(1, counted(), 2) UNION SELECT 1", "SELECT id FROM h ORDER BY counted()"} {
			_, err := c.ExecContext(t.Context(), q)
			require.ErrorContains(t, err, "it names b, or calls or reads what does", q)
		}
		require.Equal(t, "2", one(t, c, "SELECT fine(1)"))
		require.Equal(t, "1", one(t, c, "SELECT * FROM good"))
		require.Equal(t, "3", one(t, c, "SELECT fine(MAX(v)) FROM b"))
		require.Equal(t, "55 1", one(t, clusters[0].Primary.DB(), "SELECT CONCAT(MAX(v), ' ', COUNT(*)) FROM "+schema+".b"))
		mustExec(t, c, "SET @n = fine(4) + (SELECT SUM(v) FROM b)", "SET @m := (SELECT id FROM b WHERE id = 9)")
		require.Equal(t, "8 NULL", one(t, c, "SELECT CONCAT(@n, ' ', IFNULL(@m, 'NULL'))"))
		mustExec(t, c, "SHOW CREATE VIEW old", "DELETE FROM h WHERE id = 9")
	})
}
