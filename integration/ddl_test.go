package integration

import (
	"context"
	"database/sql"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

const ddlTables = `
people: {shard: hash(id), shards: 8, on: [c0, c1]}
visits: {shard: hash(person), like: people}
pages:  {shard: hash(id), shards: 4, on: [c0, c1], layout: tables}
`

func startDDL(t *testing.T, s *serverSet, schema string) (*serval, *sql.DB) {
	t.Helper()
	clusters := s.Clusters(t)
	dropSchema(t, clusters, schema)
	t.Cleanup(func() {
		dropSchema(t, clusters, schema)
		_ = clusters[0].Primary.Exec(context.Background(), "DELETE FROM serval_meta.ddl_jobs WHERE schema_name = '"+schema+"'")
	})
	p := startServal(t, s, settings{Schema: schema, Tables: ddlTables})
	db := p.open(t, "")
	mustExec(t, db, "CREATE DATABASE "+schema)
	return p, p.open(t, schema)
}

// shards are the databases of `people` and their servers.
func peopleShards(t *testing.T, s *serverSet, schema string) (out [8]struct {
	server *mysqlproc.Server
	name   string
}) {
	t.Helper()
	for i := range out {
		out[i].server = s.Clusters(t)[i/4].Primary
		out[i].name = fmt.Sprintf("%s_%d.people", schema, i)
	}
	return out
}

// columnOn tells which shards have a column of people.
func columnOn(t *testing.T, s *serverSet, schema, column string) string {
	t.Helper()
	var b strings.Builder
	for _, shard := range peopleShards(t, s, schema) {
		database, _, _ := strings.Cut(shard.name, ".")
		b.WriteString(one(t, shard.server.DB(), "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'people' AND COLUMN_NAME = ?", database, column))
	}
	return b.String()
}

func jobState(t *testing.T, s *serverSet, schema string) string {
	t.Helper()
	return one(t, s.Clusters(t)[0].Primary.DB(), "SELECT CONCAT(state, ' ', progress) FROM serval_meta.ddl_jobs WHERE schema_name = ? ORDER BY id DESC LIMIT 1", schema)
}

// What fails on one shard says where, and the same statement goes on from there.
func TestDefinitionThatFailsOnOneShard(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		_, db := startDDL(t, s, "ddlone")
		mustExec(t, db, "CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(40))")
		require.Equal(t, "done 8 of 8", jobState(t, s, "ddlone"))
		shards := peopleShards(t, s, "ddlone")
		mustExec(t, shards[3].server.DB(), "INSERT INTO "+shards[3].name+" VALUES (-1, REPEAT('x', 30))")

		_, err := db.ExecContext(t.Context(), "ALTER TABLE people MODIFY name VARCHAR(10) NOT NULL, ADD COLUMN age INT")
		require.ErrorContains(t, err, "table people: 7 of 8 shards have the change")
		require.ErrorContains(t, err, "shard 3 (ddlone_3.people on cluster c0)")
		require.Equal(t, "11101111", columnOn(t, s, "ddlone", "age"))
		require.Equal(t, "failed 7 of 8", jobState(t, s, "ddlone"))

		mustExec(t, shards[3].server.DB(), "DELETE FROM "+shards[3].name)
		mustExec(t, db, "ALTER TABLE people MODIFY name VARCHAR(10) NOT NULL, ADD COLUMN age INT")
		require.Equal(t, "11111111", columnOn(t, s, "ddlone", "age"))
		require.Equal(t, "done 8 of 8", jobState(t, s, "ddlone"))

		// What no server takes is the server's own error, and nothing is left.
		_, err = db.ExecContext(t.Context(), "ALTER TABLE people ADD COLUMN age INT")
		require.ErrorContains(t, err, "Duplicate column name 'age'")
		require.NotContains(t, err.Error(), "shards have")
		require.Equal(t, "undone 0 of 8", jobState(t, s, "ddlone"))
		mustExec(t, db, "ALTER TABLE people DROP COLUMN age", "INSERT INTO people VALUES (1, 'a'), (2, 'b')")
		require.Equal(t, "2", one(t, db, "SELECT COUNT(*) FROM people"))
	})
}

// A table that is on some of the shards is not made nor changed on the others
// without being asked for; a CREATE that fails leaves nothing.
func TestDefinitionOverShardsThatDiffer(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		_, db := startDDL(t, s, "ddldiffer")
		shards := peopleShards(t, s, "ddldiffer")
		mustExec(t, shards[5].server.DB(), "CREATE DATABASE IF NOT EXISTS ddldiffer_5", "CREATE TABLE "+shards[5].name+" (id BIGINT PRIMARY KEY)")
		_, err := db.ExecContext(t.Context(), "CREATE TABLE people (id BIGINT PRIMARY KEY)")
		require.ErrorContains(t, err, "it is on 1 of 8 shards, such as shard 5")
		require.Equal(t, "00000100", columnOn(t, s, "ddldiffer", "id"))
		mustExec(t, db, "CREATE TABLE IF NOT EXISTS people (id BIGINT PRIMARY KEY)")
		require.Equal(t, "11111111", columnOn(t, s, "ddldiffer", "id"))

		mustExec(t, shards[2].server.DB(), "DROP TABLE "+shards[2].name)
		_, err = db.ExecContext(t.Context(), "ALTER TABLE people ADD COLUMN n INT")
		require.ErrorContains(t, err, "doesn't exist on shard 2")
		_, err = db.ExecContext(t.Context(), "TRUNCATE TABLE people")
		require.ErrorContains(t, err, "doesn't exist on shard 2")
		require.Equal(t, "00000000", columnOn(t, s, "ddldiffer", "n"))
		mustExec(t, db, "DROP TABLE people") // as if all had it
		require.Equal(t, "00000000", columnOn(t, s, "ddldiffer", "id"))
		_, err = db.ExecContext(t.Context(), "DROP TABLE people")
		require.ErrorContains(t, err, "1051")
		mustExec(t, db, "DROP TABLE IF EXISTS people")

		if s.engine == mysqlproc.MySQL { // where the name of a CHECK is the database's
			mustExec(t, shards[6].server.DB(), "CREATE TABLE ddldiffer_6.a (id BIGINT PRIMARY KEY, CONSTRAINT taken CHECK (id > 0))")
			_, err = db.ExecContext(t.Context(), "CREATE TABLE people (id BIGINT PRIMARY KEY, CONSTRAINT taken CHECK (id > 0))")
			require.ErrorContains(t, err, "3822")
			require.ErrorContains(t, err, "7 of 8 shards of table people had made it and have dropped it again")
			require.Equal(t, "00000000", columnOn(t, s, "ddldiffer", "id"))
			require.Equal(t, "undone 0 of 8", jobState(t, s, "ddldiffer"))
		}
		mustExec(t, db, "DROP DATABASE ddldiffer")
	})
}

// Serval is killed in the middle of an ALTER: the next one finishes it.
func TestDefinitionIsFinishedByTheNextServal(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p, db := startDDL(t, s, "ddlkill")
		mustExec(t, db, "CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(40))", "INSERT INTO people VALUES (1,'a'),(2,'b'),(3,'c'),(4,'d')")
		shards := peopleShards(t, s, "ddlkill")
		for _, statement := range []string{"ALTER TABLE people ADD COLUMN age INT", "CREATE INDEX by_name ON people (name)", "TRUNCATE TABLE people", "DROP TABLE people"} {
			// An open transaction holds the last shard back.
			tx, err := shards[7].server.DB().BeginTx(t.Context(), nil)
			require.NoError(t, err)
			one(t, tx, "SELECT COUNT(*) FROM "+shards[7].name)
			go func() { _, _ = db.ExecContext(context.Background(), statement) }()
			eventually(t, 10*time.Second, func() error { return runs(t, s, "ddlkill", strings.Fields(statement)[0]+" ") })
			second := p
			if statement == "CREATE INDEX by_name ON people (name)" { // one that is running already takes it up, too
				second = startServal(t, s, settings{Schema: "ddlkill", Tables: ddlTables})
			}
			require.NoError(t, p.cmd.Process.Signal(syscall.SIGKILL))
			p.awaitKilled(t)
			require.Regexp(t, "^running ", jobState(t, s, "ddlkill"))
			if second == p {
				second = startServal(t, s, settings{Schema: "ddlkill", Tables: ddlTables})
			}
			require.NoError(t, tx.Rollback())
			eventually(t, 30*time.Second, func() error {
				if state := jobState(t, s, "ddlkill"); state != "done 8 of 8" {
					return fmt.Errorf("the job is %s", state)
				}
				return nil
			})
			s.sync(t)
			p, db = second, second.open(t, "ddlkill")
			switch strings.Fields(statement)[0] {
			case "ALTER":
				require.Equal(t, "11111111", columnOn(t, s, "ddlkill", "age"))
			case "TRUNCATE":
				require.Equal(t, "0", one(t, db, "SELECT COUNT(*) FROM people"))
			case "DROP":
				require.Equal(t, "00000000", columnOn(t, s, "ddlkill", "id"))
			}
		}
	})
}

// Two sessions of two Servals change one table at once: one after the other.
func TestDefinitionsOfOneTableExcludeEachOther(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		_, db := startDDL(t, s, "ddltwo")
		other := startServal(t, s, settings{Schema: "ddltwo", Tables: ddlTables}).open(t, "ddltwo")
		mustExec(t, db, "CREATE TABLE people (id BIGINT PRIMARY KEY)")
		errs := make(chan error, 8)
		for i := range 8 {
			go func() {
				_, err := []*sql.DB{db, other}[i%2].ExecContext(context.Background(), fmt.Sprintf("ALTER TABLE people ADD COLUMN c%d INT", i))
				errs <- err
			}()
		}
		for range 8 {
			require.NoError(t, <-errs)
		}
		var first string
		for i, shard := range peopleShards(t, s, "ddltwo") {
			var name, text string
			require.NoError(t, shard.server.DB().QueryRowContext(t.Context(), "SHOW CREATE TABLE "+shard.name).Scan(&name, &text))
			if i == 0 {
				first = text
			}
			require.Equal(t, first, text, "the columns are in the same order everywhere")
		}
	})
}

// Tables made, dropped and bound together in other ways than by a definition.
func TestDefinitionsOfMoreTables(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		_, db := startDDL(t, s, "ddlmore")
		mustExec(t, db, "CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(40) DEFAULT 'it''s \\\\', CONSTRAINT named CHECK (id > 0), KEY by_name (name))",
			"CREATE TABLE pages LIKE people", "CREATE TABLE copied LIKE pages", "INSERT INTO pages (id) VALUES (1), (2), (3), (4)", "INSERT INTO copied (id) VALUES (7)")
		require.Equal(t, "4", one(t, db, "SELECT COUNT(*) FROM pages WHERE name = 'it''s \\\\'"))
		require.Equal(t, "7", one(t, db, "SELECT id FROM copied"))
		_, err := db.ExecContext(t.Context(), "INSERT INTO pages (id) VALUES (-1)")
		require.Error(t, err, "the CHECK is there")
		_, err = db.ExecContext(t.Context(), "DROP TABLE people, pages, nowhere")
		require.ErrorContains(t, err, "Unknown table 'ddlmore.nowhere'")
		mustExec(t, db, "DROP TABLE people, pages, copied")
		for _, table := range []string{"people", "pages", "copied"} {
			_, err = db.ExecContext(t.Context(), "SELECT * FROM "+table)
			require.ErrorContains(t, err, "1146", table)
		}
		mustExec(t, db, "CREATE TABLE people (id BIGINT PRIMARY KEY)",
			"CREATE TABLE visits (person BIGINT, at INT, PRIMARY KEY (person, at), CONSTRAINT of_person FOREIGN KEY (person) REFERENCES people (id))",
			"INSERT INTO people VALUES (1), (2), (3), (4), (5)", "INSERT INTO visits VALUES (1, 1), (2, 1), (3, 1), (4, 1)")
		_, err = db.ExecContext(t.Context(), "INSERT INTO visits VALUES (6, 1)")
		require.ErrorContains(t, err, "1452")
		_, err = db.ExecContext(t.Context(), "DELETE FROM people WHERE id = 3")
		require.ErrorContains(t, err, "1451")
		_, err = db.ExecContext(t.Context(), "UPDATE people SET id = 100 WHERE id = 3")
		require.Error(t, err, "a row that others refer to does not move away from them")
		mustExec(t, db, "DELETE FROM people WHERE id = 5")
		var name, text string
		require.NoError(t, db.QueryRowContext(t.Context(), "SHOW CREATE TABLE visits").Scan(&name, &text))
		require.Contains(t, text, "CONSTRAINT `of_person` FOREIGN KEY (`person`) REFERENCES `people` (`id`)")
	})
}

// `serval check --live --repair` makes shards the same where nothing is lost,
// and names what it leaves.
func TestDriftIsFoundAndRepaired(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p, db := startDDL(t, s, "ddldrift")
		mustExec(t, db, "CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL DEFAULT 'a,b', n BIGINT, KEY by_name (name))",
			"CREATE TABLE pages (id BIGINT PRIMARY KEY, CHECK (id > 0))", "CREATE TABLE visits (person BIGINT PRIMARY KEY)")
		check := func(more ...string) (string, error) {
			out, err := exec.CommandContext(t.Context(), binary, append([]string{"check", "-c", p.Config, "--live"}, more...)...).CombinedOutput()
			return string(out), err
		}
		out, err := check()
		require.NoError(t, err, out)
		shards := peopleShards(t, s, "ddldrift")
		mustExec(t, shards[1].server.DB(), "ALTER TABLE "+shards[1].name+" DROP COLUMN n")
		mustExec(t, shards[2].server.DB(), "ALTER TABLE "+shards[2].name+" MODIFY n INT, DROP INDEX by_name")
		mustExec(t, shards[3].server.DB(), "DROP TABLE "+shards[3].name)
		mustExec(t, shards[6].server.DB(), "ALTER TABLE "+shards[6].name+" ADD COLUMN extra INT", "INSERT INTO "+shards[6].name+" (id, extra) VALUES (5, 7)")
		mustExec(t, s.Clusters(t)[0].Primary.DB(), "DROP TABLE ddldrift.pages_1")

		out, err = check()
		require.Error(t, err, out)
		require.Contains(t, out, "--repair runs on c0: ALTER TABLE `ddldrift_1`.`people` ADD COLUMN `n` bigint")
		require.Equal(t, "10101111", columnOn(t, s, "ddldrift", "n"), "nothing was done yet")
		out, err = check("--repair")
		require.Error(t, err, "the extra column is left")
		require.Contains(t, out, "run it yourself on c1 if it is right: ALTER TABLE `ddldrift_6`.`people` DROP COLUMN `extra`")
		require.Equal(t, "11111111", columnOn(t, s, "ddldrift", "n"))
		require.Equal(t, "00000010", columnOn(t, s, "ddldrift", "extra"))
		out, err = check()
		require.Error(t, err)
		require.Equal(t, 1, strings.Count(out, "\n"), "only the extra column is left:\n%s", out)
		mustExec(t, shards[6].server.DB(), "ALTER TABLE "+shards[6].name+" DROP COLUMN extra")
		out, err = check()
		require.NoError(t, err, out)
	})
}

// Tables of a schema with a character set of its own have it on every shard.
func TestShardsHaveTheSchemasCharacterSet(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "ddlcharset"
		dropSchema(t, s.Clusters(t), schema)
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: "t: {shard: hash(id), shards: 4, on: [c0, c1]}"})
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE ddlcharset CHARACTER SET latin1 COLLATE latin1_bin", "CREATE TABLE ddlcharset.t (id INT PRIMARY KEY, name VARCHAR(10))",
			"INSERT INTO ddlcharset.t VALUES (1, 'a'), (2, 'A'), (3, 'b'), (4, 'B')")
		require.Equal(t, "latin1_bin", one(t, db, "SELECT MAX(COLLATION(name)) FROM ddlcharset.t"))
		require.Equal(t, "a", one(t, db, "SELECT name FROM ddlcharset.t ORDER BY name LIMIT 2, 1"))
		for _, c := range s.Clusters(t) { // as for a rule that came later
			primary := openDB(t, c.Primary.Addr(), "")
			for i := range 4 {
				mustExec(t, primary, fmt.Sprintf("DROP DATABASE IF EXISTS ddlcharset_%d", i))
			}
		}
		mustExec(t, db, "CREATE TABLE ddlcharset.t (id INT PRIMARY KEY, name VARCHAR(10))", "INSERT INTO ddlcharset.t VALUES (1, 'a'), (2, 'A')")
		require.Equal(t, "latin1_bin", one(t, db, "SELECT MAX(COLLATION(name)) FROM ddlcharset.t"))

		mustExec(t, db, "ALTER DATABASE ddlcharset COLLATE utf8mb4_bin", "DROP TABLE ddlcharset.t", "CREATE TABLE ddlcharset.t (id INT PRIMARY KEY, name VARCHAR(10))",
			"INSERT INTO ddlcharset.t VALUES (1, 'a'), (2, 'A')")
		require.Equal(t, "utf8mb4_bin", one(t, db, "SELECT MAX(COLLATION(name)) FROM ddlcharset.t"))
	})
}
