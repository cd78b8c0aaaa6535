package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// reshardOK is the same, of what must succeed.
func reshardOK(t *testing.T, args ...string) string {
	t.Helper()
	out, ok := reshardRun(t, args...)
	require.True(t, ok, "serval reshard %s: %s", strings.Join(args, " "), out)
	t.Logf("serval reshard %s\n%s", strings.Join(args, " "), out)
	return out
}

// movedTo is a table before and after.
type movedTo struct{ name, before, after string }

// moves are those that the soak run leaves out.
var moves = []movedTo{
	{"four shards become eight", "{shard: hash(user_id), shards: 4, on: [c0, c1]}", "{shard: hash(user_id), shards: 8, on: [c0, c1]}"},
	{"out of the home", "{on: c0}", "{shard: hash(user_id), shards: 4, on: [c0, c1]}"},
}

// A table moves while applications write to it: nothing fails, nothing is lost, and
// it goes back with what was written since.
func TestTablesMoveWhileTheyAreWritten(t *testing.T) { moveTables(t, moves) }

func moveTables(t *testing.T, moves []movedTo) {
	t.Helper()
	eachEngine(t, func(t *testing.T, s *serverSet) {
		own(t, s.engine.String(), reshardJobs)
		for i, move := range moves {
			t.Run(move.name, func(t *testing.T) { moveTable(t, s, fmt.Sprintf("moved%d", i), move.before, move.after) })
		}
	})
}

func moveTable(t *testing.T, s *serverSet, schema, before, after string) {
	t.Helper()
	dropSchema(t, s.Clusters(t), schema)
	p := startServal(t, s, settings{Schema: schema, Tables: "orders: " + before + "\nnumbers: {on: c0}"})
	t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
	db := p.open(t, "")
	mustExec(t, db, "CREATE DATABASE "+schema, movedTable(schema+".orders"), "CREATE TABLE "+schema+".numbers (id BIGINT AUTO_INCREMENT PRIMARY KEY)")
	fillMoved(t, db, schema+".orders")
	s.sync(t)
	to := edited(t, p.Config, "orders: "+before, "orders: "+after, "numbers: {on: c0}", "numbers: {shard: hash(id), shards: 2, on: [c0, c1]}")
	load := startMoved(t, p, schema, schema+".orders", 6)

	awaitStage(t, startReshard(t, "-c", p.Config, "--to", to), p.Config, "following")
	numbers := 0
	turn := func(verb string, more ...string) {
		for range 5 {
			mustExec(t, db, "INSERT INTO "+schema+".numbers VALUES ()")
			numbers++
		}
		began := time.Now()
		out, ok := reshardRun(t, append([]string{verb, "-c", p.Config}, more...)...)
		t.Log(out)
		if !ok {
			load.end()
			out, _ := reshardRun(t, "verify", "-c", p.Config)
			t.Fatalf("without writes: %s", out)
		}
		load.requireNoError(t)
		require.Empty(t, lastJob(t, p.Config).Trouble, "its own renames are no trouble")
		p99, longest, n := load.held(began, time.Now())
		t.Logf("%s: of %d writes the longest took %s, the 99th of 100 %s; %d deadlocks so far", verb, n, longest, p99, load.deadlocks)
	}
	if before == moves[1].before {
		turn("cutover", "--to", amendMoved(t, p, to))
	} else {
		turn("cutover")
	}
	_, err := db.ExecContext(t.Context(), "ALTER TABLE "+schema+".orders ADD late INT")
	require.ErrorContains(t, err, "(reversing) moves it", "the old tables are kept for the way back")
	time.Sleep(500 * time.Millisecond) // what is written by the new rules
	turn("reverse")
	time.Sleep(300 * time.Millisecond)
	turn("cutover")
	mustExec(t, db, "INSERT INTO "+schema+".numbers VALUES ()")
	s.sync(t)
	require.Equal(t, fmt.Sprint(numbers+1), one(t, db, "SELECT COUNT(DISTINCT id) FROM "+schema+".numbers"), "a number was given twice")
	load.end()
	load.requireNoError(t)
	s.sync(t) // another session than the writers' reads replicas
	load.requireRows(t, db)
	out, err := runServal("check", "-c", p.Config, "--live", "--placement")
	require.NoError(t, err, out)
	reshardOK(t, "finish", "-c", p.Config, "--pause", "0s")
	s.sync(t) // another session than the writers' reads replicas
	load.requireRows(t, db)
	mustExec(t, db, "ALTER TABLE "+schema+".orders ADD late INT")
	require.Empty(t, left(t, s, schema))
}

// amendMoved changes the rules while a job is under way: its cut over is refused until
// it is given a file that has the change, too.
func amendMoved(t *testing.T, p *serval, to string) string {
	t.Helper()
	const was, is = "users:\n", "users:\n  - {name: late, password: late}\n"
	out, err := runServal("rules", "apply", "-c", p.Config, "--to", edited(t, p.Config, was, is))
	require.NoError(t, err, out)
	require.Contains(t, out, "reshard job ")
	out, ok := reshardRun(t, "cutover", "-c", p.Config)
	require.False(t, ok)
	require.Contains(t, out, "rules were applied since")
	out, ok = reshardRun(t, "cutover", "-c", p.Config, "--to", edited(t, to, was, is, "shards: 4", "shards: 16"))
	require.False(t, ok)
	require.Contains(t, out, "moves to other rules")
	return edited(t, to, was, is)
}

// left are tables of jobs on the servers.
func left(t *testing.T, s *serverSet, schema string) []string {
	t.Helper()
	var out []string
	for _, c := range s.Clusters(t) {
		rows, err := openDB(t, c.Primary.Addr(), "").QueryContext(t.Context(),
			"SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables WHERE table_schema LIKE ? AND (table_name LIKE 'serval\\_new%' OR table_name LIKE 'serval\\_old%')", schema+"%")
		require.NoError(t, err)
		for rows.Next() {
			var name string
			require.NoError(t, rows.Scan(&name))
			out = append(out, name)
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
	}
	return out
}
