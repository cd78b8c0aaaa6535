package integration

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const renameTables = `
people: {shard: hash(id), shards: 8, on: [c0, c1]}
humans: {shard: hash(id), shards: 8, on: [c0, c1]}
swap:   {shard: hash(id), shards: 8, on: [c0, c1]}
fewer:  {shard: hash(id), shards: 4, on: [c0, c1]}
visits: {shard: hash(person), shards: 4, on: [c0, c1], auto_increment: id}
calls:  {shard: hash(person), shards: 4, on: [c0, c1], auto_increment: id}
logs:   {shard: month(at), on: [c0, c1], from: 2026-09, ahead: 1}
old:    {shard: month(at), on: [c0, c1], from: 2026-09, ahead: 1}
lands:  {global: true, on: [c0, c1]}
states: {global: true, on: [c0, c1]}
`

// A table gets another name on every shard, where a rule has that name and the
// same layout.
func TestRename(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		const schema = "renames"
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		_ = clusters[0].Primary.Exec(t.Context(), "DELETE FROM serval_meta.sequences WHERE schema_name = 'renames'") // there may be none
		p := startServal(t, s, settings{Schema: schema, Tables: renameTables})
		c := oneConn(t, p.open(t, ""))
		mustExec(t, c, "CREATE DATABASE "+schema, "USE "+schema,
			"CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(40))",
			"CREATE TABLE visits (id BIGINT AUTO_INCREMENT, person BIGINT, PRIMARY KEY (id))",
			"CREATE TABLE logs (id BIGINT, at DATETIME, PRIMARY KEY (id, at))",
			"CREATE TABLE lands (code CHAR(2) PRIMARY KEY, CHECK (code <> 'xx'))",
			"CREATE TABLE plain1 (id INT)")
		mustExec(t, c, "INSERT INTO people VALUES (1,'a'),(2,'b'),(3,'c'),(4,'d'),(5,'e')", "INSERT INTO visits (person) VALUES (1),(2),(3),(4)",
			"INSERT INTO logs VALUES (1, '2026-09-01'), (2, '2026-10-01'), (3, '2026-11-01')", "INSERT INTO lands VALUES ('de'), ('fr')")
		refused := func(statement, words string) {
			t.Helper()
			_, err := c.ExecContext(t.Context(), statement)
			require.ErrorContains(t, err, words, statement)
		}
		refused("RENAME TABLE people TO nobody", "first write the line of people once more")
		refused("RENAME TABLE people TO fewer", "no rule of the same kind")
		refused("RENAME TABLE plain1 TO people", "one has a rule")
		refused("SELECT 1 FROM humans", "doesn't exist")

		mustExec(t, c, "RENAME TABLE people TO humans", "RENAME TABLE logs TO old", "ALTER TABLE lands RENAME TO states", "RENAME TABLE visits TO calls")
		require.Equal(t, "5", one(t, c, "SELECT COUNT(*) FROM humans"))
		require.Equal(t, "c", one(t, c, "SELECT name FROM humans WHERE id = 3"))
		require.Equal(t, "1", one(t, c, "SELECT COUNT(*) FROM old WHERE at = '2026-10-01'"))
		require.Equal(t, "2", one(t, c, "SELECT COUNT(*) FROM states"))
		refused("SELECT 1 FROM people", "doesn't exist")
		require.Equal(t, "calls,humans,old,plain1,states", one(t, c, "SELECT GROUP_CONCAT(table_name ORDER BY table_name) FROM information_schema.tables WHERE table_schema = 'renames'"))

		mustExec(t, c, "INSERT INTO calls (person) VALUES (5), (6), (7)")
		require.Equal(t, "7", one(t, c, "SELECT COUNT(DISTINCT id) FROM calls"), "numbers go on behind the old name's")
		refused("RENAME TABLE calls TO visits", "take a name that was not used yet")

		mustExec(t, c, "CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(40), age INT)", "INSERT INTO people VALUES (1,'n',1)")
		refused("RENAME TABLE people TO humans", "exists")
		require.Equal(t, "1", one(t, c, "SELECT COUNT(*) FROM people"))
		mustExec(t, c, "RENAME TABLE humans TO swap, people TO humans")
		require.Equal(t, "1 5", one(t, c, "SELECT CONCAT((SELECT SUM(age) FROM humans), ' ', (SELECT COUNT(*) FROM swap))"))
	})
}

// Two tables exchange their names; a Serval that dies in the middle does not
// make the next one exchange them back.
func TestRenameIsFinishedByTheNextServal(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		const schema = "renamekill"
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: renameTables})
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE "+schema)
		db = p.open(t, schema)
		mustExec(t, db, "CREATE TABLE people (id BIGINT PRIMARY KEY)", "CREATE TABLE humans (id BIGINT PRIMARY KEY)", "INSERT INTO people VALUES (1), (2), (3), (4), (5), (6)")
		tx, err := clusters[1].Primary.DB().BeginTx(t.Context(), nil)
		require.NoError(t, err)
		one(t, tx, "SELECT COUNT(*) FROM renamekill_7.people")
		go func() {
			_, _ = db.ExecContext(context.Background(), "RENAME TABLE people TO swap, humans TO people, swap TO humans")
		}()
		eventually(t, 10*time.Second, func() error { return runs(t, s, schema, "RENAME ") })
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGKILL))
		p.awaitKilled(t)
		require.Regexp(t, "^running ", jobState(t, s, schema))
		next := startServal(t, s, settings{Schema: schema, Tables: renameTables})
		require.NoError(t, tx.Rollback())
		eventually(t, 30*time.Second, func() error {
			if state := jobState(t, s, schema); !strings.HasPrefix(state, "done 8 of 8") {
				return fmt.Errorf("the job is %s", state)
			}
			return nil
		})
		s.sync(t)
		c := oneConn(t, next.open(t, schema))
		require.Equal(t, "0 6", one(t, c, "SELECT CONCAT((SELECT COUNT(*) FROM people), ' ', (SELECT COUNT(*) FROM humans))"))
	})
}
