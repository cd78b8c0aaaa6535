package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// reshardRun is `serval reshard …`, its output and whether it ended with 0.
func reshardRun(t *testing.T, args ...string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, append([]string{"reshard"}, args...)...).CombinedOutput()
	return string(out), err == nil
}

// reshardPlanned is what of a plan's JSON is looked at.
type reshardPlanned struct {
	Possible bool
	Exact    bool
	Rows     int64
	Seconds  int64
	Tables   []struct {
		Table   string
		Rows    int64
		Sources []struct{ Rows int64 }
		Targets []struct {
			Cluster, Database, Table, Slots string
			Rows                            int64
		}
		Stays []struct{ Shard int }
	}
	Clusters []struct {
		Cluster string
		RowsIn  int64 `json:"rows_in"`
		Free    int64
	}
	Obstacles, Remarks []struct{ Schema, Table, What, Do string }
	Statements         []struct{ Statement, From, To string }
	Steps, Reverse     []string
}

func planJSON(t *testing.T, args ...string) (p reshardPlanned, ok bool) {
	t.Helper()
	out, ok := reshardRun(t, append([]string{"plan", "-o", "json"}, args...)...)
	require.NoError(t, json.Unmarshal([]byte(out), &p), out)
	return p, ok
}

// A plan says what moves and what stays, counts rows where they will be, tells
// which of the statements that were asked run another way, and changes nothing.
func TestReshardPlan(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		dropSchema(t, s.Clusters(t), "planned")
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), "planned") })
		p := startServal(t, s, settings{Schema: "planned", Tables: "users: {shard: hash(id), shards: 4, on: [c0]}\n" +
			"orders: {shard: hash(id), shards: 2, on: [c0, c1]}"})
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE planned", "CREATE TABLE planned.users (id BIGINT PRIMARY KEY, name VARCHAR(40))",
			"CREATE TABLE planned.orders (id BIGINT, user_id BIGINT NOT NULL, PRIMARY KEY (id, user_id))",
			"CREATE TABLE planned.notes (id BIGINT AUTO_INCREMENT PRIMARY KEY, at DATETIME NOT NULL, note TEXT)")
		for i := 1; i <= 1000; i += 100 {
			var users, orders []string
			for id := i; id < i+100; id++ {
				users, orders = append(users, fmt.Sprintf("(%d, 'n')", id)), append(orders, fmt.Sprintf("(%d, 7)", id))
			}
			mustExec(t, db, "INSERT INTO planned.users VALUES "+strings.Join(users, ", "))
			if i <= 400 {
				mustExec(t, db, "INSERT INTO planned.orders VALUES "+strings.Join(orders, ", "))
			}
		}
		mustExec(t, db, "INSERT INTO planned.notes (at) VALUES ('2026-03-04 05:06:07'), ('2026-06-01 00:00:00')")
		require.Equal(t, "7", one(t, db, "SELECT user_id FROM planned.orders WHERE id = 5"))

		same, ok := planJSON(t, "-c", p.Config, "--to", edited(t, p.Config, "home: c0\nclusters", "features: {scatter: off}\nhome: c0\nclusters"))
		require.True(t, ok)
		require.Empty(t, same.Tables)

		to := edited(t, p.Config, "users: {shard: hash(id), shards: 4, on: [c0]}", "users: {shard: hash(id), shards: 4, on: [c0, c1]}",
			"orders: {shard: hash(id), shards: 2", "notes: {shard: month(at), on: [c0, c1], ahead: 1}\n      orders: {shard: hash(user_id), shards: 2")
		plan, ok := planJSON(t, "-c", p.Config, "--to", to, "--exact", "--rate", "100")
		require.True(t, ok)
		require.True(t, plan.Possible && plan.Exact)
		require.Empty(t, plan.Obstacles)
		byName := map[string]int{}
		for i, x := range plan.Tables {
			byName[x.Table] = i
		}
		users := plan.Tables[byName["users"]]
		require.Len(t, users.Stays, 2, "shards 0 and 1 stay on c0")
		require.Len(t, users.Targets, 2)
		require.Equal(t, "512-767", users.Targets[0].Slots)
		require.Equal(t, "c1", users.Targets[0].Cluster)
		onC0 := one(t, s.Clusters(t)[0].Primary.DB(), "SELECT COUNT(*) FROM planned_2.users")
		require.Equal(t, onC0, fmt.Sprint(users.Targets[0].Rows), "each row of shard 2 goes to shard 2")
		orders := plan.Tables[byName["orders"]]
		require.EqualValues(t, 400, orders.Rows)
		require.ElementsMatch(t, []int64{0, 400}, []int64{orders.Targets[0].Rows, orders.Targets[1].Rows}, "all are one user's")
		notes := plan.Tables[byName["notes"]]
		require.Equal(t, "notes_202603", notes.Targets[0].Table, "periods begin with the first row's")
		require.EqualValues(t, 1, notes.Targets[0].Rows)
		require.GreaterOrEqual(t, len(notes.Targets), 9)
		require.EqualValues(t, (plan.Rows+99)/100, plan.Seconds)
		require.NotEmpty(t, plan.Statements)
		found := false
		for _, x := range plan.Statements {
			found = found || strings.Contains(x.Statement, "WHERE id = ?") && x.From == "single shard" && x.To == "scatter"
		}
		require.True(t, found, plan.Statements)
		for _, c := range plan.Clusters {
			require.Positive(t, c.Free, "the test's servers have their files here")
		}
		require.NotEmpty(t, plan.Steps)
		require.NotEmpty(t, plan.Reverse)

		text, ok := reshardRun(t, "plan", "-c", p.Config, "--to", to)
		require.True(t, ok, text)
		require.Regexp(t, `planned\.users +hash\(id\) x 4 on c0 +hash\(id\) x 4 on c0, c1`, text)
		require.Regexp(t, `planned\.users +made +2 +512-767 +c1 +planned_2\.users`, text)
		require.Contains(t, text, "1. start: makes serval_new_… tables")
		require.Contains(t, text, "(estimated")
		require.Equal(t, "0", one(t, s.Clusters(t)[0].Primary.DB(), "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA LIKE 'planned%' AND TABLE_NAME LIKE 'serval\\_new\\_%'"))
	})
}

// Each reason against a job is said by name, and the command ends with 1.
func TestReshardPlanSaysWhatIsInTheWay(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		dropSchema(t, s.Clusters(t), "inway")
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), "inway") })
		p := startServal(t, s, settings{Schema: "inway", Tables: "placeholder: {on: c0}"})
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE inway")
		home := s.Clusters(t)[0].Primary.DB()
		mustExec(t, home, "CREATE TABLE inway.nokey (id INT)", "CREATE TABLE inway.loose (id INT PRIMARY KEY, email VARCHAR(50), UNIQUE KEY (email))",
			"CREATE TABLE inway.parent (id INT PRIMARY KEY)", "CREATE TABLE inway.child (id INT PRIMARY KEY, parent INT, CONSTRAINT of_parent FOREIGN KEY (parent) REFERENCES parent (id))",
			"CREATE TABLE inway.triggered (id INT PRIMARY KEY)", "CREATE TRIGGER inway.rings BEFORE INSERT ON inway.triggered FOR EACH ROW SET NEW.id = NEW.id",
			"CREATE TABLE inway.begins (k VARCHAR(100), PRIMARY KEY (k(5)))", "CREATE TABLE inway.isam (id INT PRIMARY KEY) ENGINE = MyISAM",
			"CREATE TABLE inway.dated (id INT PRIMARY KEY, at DATETIME NULL)", "INSERT INTO inway.dated VALUES (1, NULL), (2, '2026-11-01')",
			"CREATE TABLE inway.listed (id INT PRIMARY KEY)", "INSERT INTO inway.listed VALUES (1), (5)", "CREATE TABLE inway.taken (id INT PRIMARY KEY)",
			"CREATE TABLE inway.fine (id INT PRIMARY KEY, twice INT AS (id * 2) STORED)", "CREATE VIEW inway.looks AS SELECT * FROM inway.fine")
		reasons := map[string]string{}
		onlyMaria := ""
		hash := ": {shard: hash(id), shards: 2, on: [c0, c1], layout: tables}\n      "
		if s.engine == mysqlproc.MariaDB {
			mustExec(t, home, "CREATE TABLE inway.packed (id INT PRIMARY KEY, t TEXT COMPRESSED)", "CREATE TABLE inway.versioned (id INT PRIMARY KEY) WITH SYSTEM VERSIONING")
			onlyMaria = "packed" + hash + "versioned" + hash
			reasons["packed"], reasons["versioned"] = "column t is COMPRESSED", "it is system-versioned"
		}
		other := s.Clusters(t)[1].Primary.DB()
		mustExec(t, other, "CREATE DATABASE IF NOT EXISTS inway", "CREATE TABLE inway.taken (id INT PRIMARY KEY)", "CREATE TABLE inway.serval_new_loose (id INT)")
		to := edited(t, p.Config, "placeholder: {on: c0}", "nokey"+hash+"loose: {on: c1}\n      parent"+hash+"child"+hash+"triggered"+hash+
			"begins: {on: c1}\n      isam"+hash+"dated: {shard: month(at), on: [c0, c1]}\n      listed: {shard: list(id), values: {1: 0, 2: 1}, on: [c0, c1]}\n      "+
			"taken: {on: c1}\n      fine"+hash+"looks"+hash+"same"+hash+"loose2"+hash+onlyMaria)
		plan, ok := planJSON(t, "-c", p.Config, "--to", to, "--exact")
		require.False(t, ok)
		require.False(t, plan.Possible)
		said := map[string]string{}
		for _, o := range plan.Obstacles {
			said[o.Table] += o.What + "; " + o.Do + "\n"
		}
		for table, why := range map[string]string{
			"nokey": "it has no primary key", "loose": "inway.serval_new_loose on c1 is there already", "parent": "foreign key of_parent refers from child to parent",
			"child": "foreign key of_parent refers from child to parent", "triggered": "it has the trigger rings", "begins": "has only the beginning of a column",
			"isam": "its engine is MyISAM", "dated": "1 rows of inway.dated on c0 have no shard by the new rule, the first with at = NULL",
			"listed": "1 rows of inway.listed on c0 have no shard by the new rule, the first with id = 5", "taken": "inway.taken on c1 is there already",
			"looks": "no primary key",
		} {
			require.Contains(t, said[table], why, table)
		}
		for table, why := range reasons {
			require.Contains(t, said[table], why, table)
		}
		require.Empty(t, said["fine"], "generated columns and views are no reason")
		text, ok := reshardRun(t, "plan", "-c", p.Config, "--to", to)
		require.False(t, ok)
		require.Contains(t, text, "in the way: inway.nokey: it has no primary key, by which rows are copied and followed; add one\n")
		require.NotContains(t, text, "1. start")
	})
}

// A unique key must stay so over all shards.
func TestReshardPlanLooksAtUniqueKeys(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		dropSchema(t, s.Clusters(t), "keyed")
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), "keyed") })
		p := startServal(t, s, settings{Schema: "keyed", Tables: "users: {on: c0}"})
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE keyed", "CREATE TABLE keyed.users (id INT PRIMARY KEY, email VARCHAR(50), UNIQUE KEY (email))")
		plan, ok := planJSON(t, "-c", p.Config, "--to", edited(t, p.Config, "users: {on: c0}", "users: {shard: hash(id), shards: 2, on: [c0, c1]}"))
		require.False(t, ok)
		require.Contains(t, plan.Obstacles[0].What, "its unique key (email) does not have the new sharding column id")
		plan, ok = planJSON(t, "-c", p.Config, "--to", edited(t, p.Config, "users: {on: c0}", "users: {shard: hash(id), shards: 2, on: [c0, c1], unique: [email]}"))
		require.True(t, ok, plan.Obstacles)

		// MySQL takes the name of a CHECK once in a database, MariaDB once in a table.
		mustExec(t, s.Clusters(t)[0].Primary.DB(), "ALTER TABLE keyed.users ADD CONSTRAINT positive CHECK (id > 0)")
		plan, ok = planJSON(t, "-c", p.Config, "--to", edited(t, p.Config, "users: {on: c0}", "users: {shard: hash(id), places: [c0/keyed], unique: [email]}"))
		if s.engine == mysqlproc.MySQL {
			require.False(t, ok)
			require.Contains(t, plan.Obstacles[0].What, "its CHECK positive has a name that MySQL takes once in a database")
		} else {
			require.True(t, ok, plan.Obstacles)
		}
	})
}
