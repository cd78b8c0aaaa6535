package integration

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// reshardJobs is for own: there is one job at a time on a set of servers.
const reshardJobs = "reshard jobs"

// resharding is a `serval reshard start` that runs.
type resharding struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	out  bytes.Buffer // guarded by mu
	over chan error
}

func (r *resharding) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

func (r *resharding) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

func startReshard(t *testing.T, args ...string) *resharding {
	t.Helper()
	r := &resharding{over: make(chan error, 1)}
	r.cmd = exec.CommandContext(t.Context(), binary, append([]string{"reshard", "start"}, args...)...)
	r.cmd.Stdout, r.cmd.Stderr = r, r
	require.NoError(t, r.cmd.Start())
	go func() { r.over <- r.cmd.Wait() }()
	t.Cleanup(func() {
		r.end(t, syscall.SIGKILL)
		_ = exec.Command(binary, "reshard", "cancel", "-c", args[1]).Run() // it may have been cancelled
		if t.Failed() {
			t.Logf("output of reshard start:\n%s", r)
		}
	})
	return r
}

// end signals it and waits for its end.
func (r *resharding) end(t *testing.T, sig syscall.Signal) {
	t.Helper()
	_ = r.cmd.Process.Signal(sig) // it may have ended
	select {
	case err := <-r.over:
		r.over <- err
	case <-time.After(30 * time.Second):
		t.Error("reshard start does not end")
	}
}

// reshardJob is what of a job's status is looked at.
type reshardJob struct {
	ID                               int
	Stage, Tables, Worker, Trouble   string
	Verified                         string
	Rows, Total, Idle, Behind, Dirty int64
}

func lastJob(t *testing.T, config string) *reshardJob {
	t.Helper()
	out, ok := reshardRun(t, "status", "-c", config, "-o", "json")
	require.True(t, ok, out)
	var jobs []reshardJob
	require.NoError(t, json.Unmarshal([]byte(out), &jobs), out)
	if len(jobs) == 0 {
		return nil
	}
	return &jobs[0]
}

func awaitStage(t *testing.T, r *resharding, config, stage string) *reshardJob {
	t.Helper()
	var j *reshardJob
	eventually(t, 60*time.Second, func() error {
		select {
		case err := <-r.over:
			r.over <- err
			return fmt.Errorf("it has ended: %w\n%s", err, r)
		default:
		}
		if j = lastJob(t, config); j == nil || j.Stage != stage {
			return fmt.Errorf("not yet %s: %+v", stage, j)
		}
		return nil
	})
	return j
}

// writers change a table all the time until they are stopped: rows with a key of
// their own each, inserted, changed and deleted through Serval.
type writers struct {
	stop   chan struct{}
	wait   sync.WaitGroup
	writes atomic.Int64
	failed atomic.Pointer[error]
}

func writeAll(t *testing.T, db *sql.DB, n int) *writers {
	t.Helper()
	w := &writers{stop: make(chan struct{})}
	for i := range n {
		w.wait.Go(func() {
			pick := rand.New(rand.NewPCG(uint64(i), 1))
			for {
				select {
				case <-w.stop:
					return
				default:
				}
				id := 1 + i + n*pick.IntN(500)
				sql := []string{"INSERT INTO users (id, name, org) VALUES (%d, 'new', 1) ON DUPLICATE KEY UPDATE name = 'again'", "UPDATE users SET name = CONCAT('n', FLOOR(RAND() * 1000)) WHERE id = %d",
					"DELETE FROM users WHERE id = %d"}[pick.IntN(3)]
				if _, err := db.ExecContext(t.Context(), fmt.Sprintf(sql, id)); err != nil {
					w.failed.Store(&err)
					return
				}
				w.writes.Add(1)
			}
		})
	}
	t.Cleanup(w.end)
	return w
}

func (w *writers) end() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	w.wait.Wait()
}

// newRows are the rows of a table of the new rules, over the clusters, as text.
func newRows(t *testing.T, s *serverSet, database, table, columns string) (rows []string) {
	t.Helper()
	for _, c := range s.Clusters(t) {
		names := queryStrings(t, c.Primary.DB(), "SELECT TABLE_SCHEMA FROM information_schema.TABLES WHERE TABLE_NAME = '"+table+"' AND (TABLE_SCHEMA = '"+database+
			"' OR TABLE_SCHEMA RLIKE '^"+database+"_[0-9]+$') ORDER BY 1")
		for _, n := range names {
			rows = append(rows, queryStrings(t, c.Primary.DB(), "SELECT CONCAT_WS(' ', "+columns+") FROM `"+n+"`.`"+table+"`")...)
		}
	}
	return rows
}

func queryStrings(t *testing.T, db *sql.DB, query string) (out []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		var v string
		require.NoError(t, rows.Scan(&v))
		out = append(out, v)
	}
	require.NoError(t, rows.Err())
	return out
}

// A job copies while applications write, is killed, goes on, compares, and is
// cancelled; nobody sees its tables, and nothing of it is left.
func TestReshardJob(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		own(t, s.engine.String(), reshardJobs)
		dropSchema(t, s.Clusters(t), "moved")
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), "moved") })
		p := startServal(t, s, settings{Schema: "moved", AllSchemas: true, Tables: "users: {shard: hash(id), shards: 4, on: [c0, c1]}"})
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE moved", "CREATE TABLE moved.users (id BIGINT PRIMARY KEY, name VARCHAR(40), org INT NOT NULL, CONSTRAINT orgs CHECK (org > 0))",
			"CREATE TABLE moved.notes (id BIGINT AUTO_INCREMENT PRIMARY KEY, note TEXT)")
		for i := 0; i < 20_000; i += 1000 { // some chunks of each shard
			var rows []string
			for id := i + 1; id <= i+1000; id++ {
				rows = append(rows, fmt.Sprintf("(%d, 'n%d', %d)", id, id, id%7+1))
			}
			mustExec(t, db, "INSERT INTO moved.users VALUES "+strings.Join(rows, ", "))
		}
		mustExec(t, db, "INSERT INTO moved.notes (note) VALUES ('a'), ('b'), ('c')")
		out, ok := reshardRun(t, "status", "-c", p.Config)
		require.True(t, ok, out)
		to := edited(t, p.Config, "users: {shard: hash(id), shards: 4, on: [c0, c1]}", "users: {shard: hash(id), shards: 16, on: [c0, c1]}\n      notes: {shard: hash(id), shards: 2, on: [c0, c1]}")

		app := p.open(t, "moved")
		w := writeAll(t, app, 4)
		r := startReshard(t, "-c", p.Config, "--to", to, "--rate", "1000")
		awaitStage(t, r, p.Config, "copying")
		r.end(t, syscall.SIGKILL) // in the middle
		require.Equal(t, "copying", lastJob(t, p.Config).Stage)
		other := edited(t, p.Config, "shards: 4", "shards: 2")
		out, ok = reshardRun(t, "start", "-c", p.Config, "--to", other)
		require.False(t, ok)
		require.Contains(t, out, "moves to other rules")

		r = startReshard(t, "-c", p.Config)
		job := awaitStage(t, r, p.Config, "following")
		eventually(t, 10*time.Second, func() error {
			if !strings.Contains(r.String(), "following:") {
				return errors.New("it does not say that it follows")
			}
			return nil
		})
		require.Equal(t, "moved.notes, moved.users", job.Tables)
		require.Less(t, job.Idle, int64(5*time.Second))
		out, ok = reshardRun(t, "start", "-c", p.Config)
		require.False(t, ok)
		require.Contains(t, out, "another process works at the job")
		out, ok = reshardRun(t, "verify", "-c", p.Config) // by the process that works
		require.True(t, ok, out)
		require.Contains(t, out, ": no difference")

		// Nobody sees the tables that are filled, and check has nothing to say.
		require.Equal(t, []string{"notes", "users"}, queryStrings(t, app, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'moved' ORDER BY 1"))
		require.Equal(t, []string{"notes", "users"}, queryStrings(t, app, "SHOW TABLES"))
		_, err := app.ExecContext(t.Context(), "DELETE FROM serval_new_notes")
		require.Error(t, err)
		found, err := exec.CommandContext(t.Context(), binary, "check", "-c", p.Config, "--live").CombinedOutput()
		require.NoError(t, err, string(found))
		require.Equal(t, "following", one(t, app, fmt.Sprintf("SELECT stage FROM serval.reshards WHERE id = %d", job.ID)))

		requireDefinitionsRefused(t, app, "users", "notes")
		mustExec(t, app, "CREATE TABLE others (id BIGINT PRIMARY KEY)", "ALTER TABLE others ADD n INT", "CREATE VIEW seen AS SELECT id FROM notes", "DROP TABLE others")

		w.end()
		require.Nil(t, w.failed.Load(), "no statement fails")
		require.Positive(t, w.writes.Load())
		r.end(t, syscall.SIGTERM)
		require.Contains(t, r.String(), "goes on with it")
		out, ok = reshardRun(t, "verify", "-c", p.Config) // by itself
		require.True(t, ok, out)
		require.ElementsMatch(t, queryStrings(t, app, "SELECT CONCAT_WS(' ', id, name, org) FROM users"), newRows(t, s, "moved", "serval_new_users", "id, name, org"))
		require.Len(t, newRows(t, s, "moved", "serval_new_notes", "id, note"), 3)

		// A difference is named by its key.
		one0 := s.Clusters(t)[0].Primary.DB()
		mustExec(t, one0, "UPDATE moved_00.serval_new_users SET name = 'wrong' ORDER BY id DESC LIMIT 1")
		out, ok = reshardRun(t, "verify", "-c", p.Config)
		require.False(t, ok)
		require.Contains(t, out, "1 keys differ")

		out, ok = reshardRun(t, "cancel", "-c", p.Config)
		require.True(t, ok, out)
		require.Equal(t, "cancelled", lastJob(t, p.Config).Stage)
		for _, c := range s.Clusters(t) {
			require.Empty(t, queryStrings(t, c.Primary.DB(), "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA LIKE 'moved%' AND TABLE_NAME LIKE 'serval\\_new\\_%'"))
			require.Empty(t, queryStrings(t, c.Primary.DB(), "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME RLIKE '^moved_[0-9][0-9]$'"), "its databases, too")
		}
		require.Equal(t, fmt.Sprint(len(queryStrings(t, app, "SELECT id FROM users"))), one(t, app, "SELECT COUNT(*) FROM users"))
		mustExec(t, app, "ALTER TABLE users ADD late INT", "ALTER TABLE notes ADD late INT")
		out, ok = reshardRun(t, "verify", "-c", p.Config)
		require.False(t, ok)
		require.Contains(t, out, "there is no job")
	})
}

// requireDefinitionsRefused: while a job is there, no statement through Serval
// defines its tables, or one that refers to them.
func requireDefinitionsRefused(t *testing.T, app *sql.DB, tables ...string) {
	t.Helper()
	for _, table := range tables {
		for _, sql := range []string{"ALTER TABLE %s ADD late INT", "CREATE INDEX late ON %s (id)", "DROP INDEX late ON %s", "TRUNCATE %s", "DROP TABLE %s",
			"CREATE TABLE IF NOT EXISTS %s (id BIGINT PRIMARY KEY)"} {
			_, err := app.ExecContext(t.Context(), fmt.Sprintf(sql, table))
			require.ErrorContains(t, err, "serval reshard", sql)
			require.ErrorContains(t, err, "."+table+": reshard job ", sql)
		}
	}
	for _, sql := range []string{"RENAME TABLE notes TO later", "ALTER TABLE notes RENAME later", "CREATE TABLE others (id BIGINT PRIMARY KEY, FOREIGN KEY (id) REFERENCES notes (id))", "DROP TABLE notes, users",
		"CREATE TRIGGER late BEFORE INSERT ON notes FOR EACH ROW SET NEW.id = NEW.id", "DROP DATABASE moved"} {
		_, err := app.ExecContext(t.Context(), sql)
		require.ErrorContains(t, err, "serval reshard", sql)
	}
}

// cancel ends the process that works at the job, and a table that is somebody
// else's is never dropped.
func TestReshardCancelsWhileItWorks(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		own(t, s.engine.String(), reshardJobs)
		dropSchema(t, s.Clusters(t), "undone")
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), "undone") })
		p := startServal(t, s, settings{Schema: "undone", Tables: "logs: {shard: month(at), on: [c0], from: 2026-01}"})
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE undone", "CREATE TABLE undone.logs (id BIGINT, at DATE, PRIMARY KEY (id, at))", "INSERT INTO undone.logs VALUES (1, '2026-01-05'), (2, '2026-02-05')")
		to := edited(t, p.Config, "logs: {shard: month(at), on: [c0], from: 2026-01}", "logs: {shard: month(at), on: [c0, c1], from: 2026-01}")
		r := startReshard(t, "-c", p.Config, "--to", to)
		awaitStage(t, r, p.Config, "following")
		mustExec(t, s.Clusters(t)[1].Primary.DB(), "CREATE TABLE undone.serval_new_mine (id INT)")
		out, ok := reshardRun(t, "cancel", "-c", p.Config)
		require.True(t, ok, out)
		select {
		case err := <-r.over:
			require.NoError(t, err, "it hands over, and that is no failure")
			r.over <- err
		case <-time.After(30 * time.Second):
			require.Fail(t, "the worker goes on")
		}
		require.Contains(t, r.String(), "another process takes job")
		require.Equal(t, []string{"serval_new_mine"}, queryStrings(t, s.Clusters(t)[1].Primary.DB(), "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'undone'"),
			"not the job's, so it stays, and its database with it")
		_, err := db.ExecContext(t.Context(), "INSERT INTO undone.logs VALUES (3, '2026-02-06')")
		require.NoError(t, errors.Join(err))
	})
}
