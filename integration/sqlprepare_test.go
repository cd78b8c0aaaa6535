package integration

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Statements prepared in SQL text give what one server gives.
func TestPreparedInText(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "sqlprep")
		db := p.open(t, "sqlprep")
		fillT(t, db, 50)
		c := oneConn(t, db)
		mustExec(t, c, "PREPARE point FROM 'SELECT name FROM t WHERE id = ?'", "SET @id = 7, @text = 'SELECT SUM(n) FROM t WHERE name LIKE ? AND id > ?', @name = 'name 1%'")
		require.Equal(t, "name 7", one(t, c, "EXECUTE point USING @id"))
		mustExec(t, c, "SET @id = 8")
		require.Equal(t, "name 8", one(t, c, "EXECUTE point USING @id"))
		mustExec(t, c, "PREPARE sums FROM @text")
		require.Equal(t, one(t, c, "SELECT SUM(n) FROM t WHERE name LIKE 'name 1%' AND id > 8"), one(t, c, "EXECUTE sums USING @name, @id"))
		mustExec(t, c, `PREPARE put FROM 'UPDATE t SET name = ? WHERE id = ?'`, `SET @name = 'it''s \\ "é"'`, "EXECUTE put USING @name, @id")
		require.Equal(t, `it's \ "é"`, one(t, c, "EXECUTE point USING @id"))
		mustExec(t, c, "DEALLOCATE PREPARE point")
		_, err := c.ExecContext(t.Context(), "EXECUTE point USING @id")
		require.ErrorContains(t, err, "1243")
	})
}

// A statement runs in the database, and reads as in the sql_mode, that it was
// prepared in, whatever the session's are by then.
func TestPreparedStatementsKeepTheirDatabase(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		schemas := []string{"prepone", "preptwo"}
		for _, schema := range schemas {
			dropSchema(t, clusters, schema)
			t.Cleanup(func() { dropSchema(t, clusters, schema) })
		}
		p := startServal(t, s, settings{Schema: schemas[0], Tables: "t: {shard: hash(id), shards: 4, on: [c0, c1]}", AllSchemas: true})
		plain := s.Plain(t)
		for name, c := range map[string]*sql.Conn{"plain": oneConn(t, openDB(t, plain.Addr(), "")), "Serval": oneConn(t, p.open(t, ""))} {
			for i, schema := range schemas {
				mustExec(t, c, "DROP DATABASE IF EXISTS "+schema, "CREATE DATABASE "+schema, "USE "+schema, "CREATE TABLE t (id BIGINT PRIMARY KEY, v INT)",
					fmt.Sprintf("INSERT INTO t VALUES (1, %d)", i))
			}
			mustExec(t, c, "USE prepone", "PREPARE p FROM 'SELECT v FROM t WHERE id = 1'")
			binary, err := c.PrepareContext(t.Context(), "SELECT v FROM t WHERE id = ?")
			require.NoError(t, err)
			mustExec(t, c, "USE preptwo")
			require.Equal(t, "0", one(t, c, "EXECUTE p"), name)
			var v string
			require.NoError(t, binary.QueryRow(1).Scan(&v), name)
			require.Equal(t, "0", v, name)
			require.Equal(t, "1", one(t, c, "SELECT v FROM t WHERE id = 1"), name)
			require.Equal(t, "preptwo", one(t, c, "SELECT DATABASE()"), name)
		}
	})
}
