package integration

import (
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
