package mysqlproc_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// childEnv makes the test program be the parent that is killed.
const childEnv = "SERVAL_MYSQLPROC_CHILD"

func TestMain(m *testing.M) {
	if engine := os.Getenv(childEnv); engine != "" {
		beKilled(engine)
		return
	}
	os.Exit(m.Run())
}

// beKilled starts a server, says its pid and folder, and waits for its end.
func beKilled(engine string) {
	e, err := mysqlproc.ParseEngine(engine)
	if err == nil {
		var s *mysqlproc.Server
		if s, err = mysqlproc.Start(context.Background(), mysqlproc.Options{Engine: e}); err == nil {
			fmt.Println(s.PID(), s.Dir())
			select {}
		}
	}
	fmt.Println("error:", err)
	os.Exit(1)
}

func eachEngine(t *testing.T, f func(t *testing.T, e mysqlproc.Engine)) {
	for _, e := range mysqlproc.Engines {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			f(t, e)
		})
	}
}

func TestClusterReplicates(t *testing.T) {
	eachEngine(t, func(t *testing.T, e mysqlproc.Engine) {
		ctx := t.Context()
		dir, err := mysqlproc.NewTempDir()
		require.NoError(t, err)
		defer func() { require.NoError(t, dir.Remove()) }()
		began := time.Now()
		clusters, err := mysqlproc.StartClusters(ctx, e, dir.Path, 2)
		require.NoError(t, err)
		defer func() { require.NoError(t, mysqlproc.CloseAll(clusters)) }()
		t.Logf("%s: two clusters of one primary and one replica in %v", e, time.Since(began).Round(10*time.Millisecond))

		c := clusters[0]
		require.NoError(t, c.Primary.Exec(ctx, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1), (2)"))
		require.NoError(t, c.Sync(ctx))
		require.Equal(t, 2, count(t, c.Replicas[0].DB()), "the replica has the primary's rows")
		requireNoDatabase(t, clusters[1].Primary)

		backend, err := c.Replicas[0].Open(mysqlproc.BackendUser, mysqlproc.BackendPassword, "d")
		require.NoError(t, err)
		defer func() { _ = backend.Close() }()
		_, err = backend.ExecContext(ctx, "INSERT INTO t VALUES (9)")
		require.ErrorContains(t, err, "read-only", "the backend account cannot write to a replica")

		t.Run("a delayed replica answers with old rows", func(t *testing.T) { delayed(t, c) })
		t.Run("a promoted replica takes over", func(t *testing.T) { promoted(t, c) })
		t.Run("a killed primary leaves a replica that can be promoted", func(t *testing.T) { killed(t, clusters[1]) })
	})
}

func delayed(t *testing.T, c *mysqlproc.Cluster) {
	ctx := t.Context()
	require.NoError(t, c.Replicas[0].PauseApply(ctx))
	require.NoError(t, c.Primary.Exec(ctx, "INSERT INTO d.t VALUES (3)"))
	require.Equal(t, 2, count(t, c.Replicas[0].DB()))
	require.NoError(t, c.Replicas[0].ResumeApply(ctx))
	require.NoError(t, c.Sync(ctx))
	require.Equal(t, 3, count(t, c.Replicas[0].DB()))
	require.NoError(t, c.Replicas[0].Delay(ctx, time.Hour))
	require.NoError(t, c.Primary.Exec(ctx, "INSERT INTO d.t VALUES (4)"))
	require.Equal(t, 3, count(t, c.Replicas[0].DB()))
	require.NoError(t, c.Replicas[0].Delay(ctx, 0))
	require.NoError(t, c.Sync(ctx))
	require.Equal(t, 4, count(t, c.Replicas[0].DB()))
}

func promoted(t *testing.T, c *mysqlproc.Cluster) {
	ctx := t.Context()
	old, next := c.Primary, c.Replicas[0]
	require.NoError(t, c.Promote(ctx, next))
	require.Same(t, next, c.Primary)
	require.Same(t, old, c.Replicas[0])
	require.NoError(t, next.Exec(ctx, "INSERT INTO d.t VALUES (5)"))
	require.NoError(t, c.Sync(ctx))
	require.Equal(t, 5, count(t, old.DB()), "the old primary follows")
	require.NoError(t, c.Promote(ctx, old))
	require.NoError(t, old.Exec(ctx, "INSERT INTO d.t VALUES (6)"))
	require.NoError(t, c.Sync(ctx))
	require.Equal(t, 6, count(t, next.DB()), "and takes over again")
}

func killed(t *testing.T, c *mysqlproc.Cluster) {
	ctx := t.Context()
	require.NoError(t, c.Primary.Exec(ctx, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1)"))
	require.NoError(t, c.Sync(ctx))
	old := c.Primary
	require.NoError(t, old.Kill9())
	require.Zero(t, old.PID())
	require.NoError(t, c.Promote(ctx, c.Replicas[0]))
	require.NoError(t, c.Primary.Exec(ctx, "INSERT INTO d.t VALUES (2)"))
	port := old.Port()
	require.NoError(t, old.Restart(ctx))
	require.Equal(t, port, old.Port())
	require.NoError(t, old.SetReadOnly(ctx, true))
	require.NoError(t, old.Follow(ctx, c.Primary))
	require.NoError(t, c.Sync(ctx))
	require.Equal(t, 2, count(t, old.DB()))
}

func count(t *testing.T, db *sql.DB) int {
	t.Helper()
	var n int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM d.t").Scan(&n))
	return n
}

func requireNoDatabase(t *testing.T, s *mysqlproc.Server) {
	t.Helper()
	var name string
	err := s.DB().QueryRowContext(t.Context(), "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'd'").Scan(&name)
	require.ErrorIs(t, err, sql.ErrNoRows)
}

// A parent that is killed takes its server with it, and the next run removes
// the folder.
func TestServerDiesWithItsParent(t *testing.T) {
	eachEngine(t, func(t *testing.T, e mysqlproc.Engine) {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+e.String())
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		var word, dir string
		_, err = fmt.Fscan(out, &word, &dir)
		require.NoError(t, err)
		pid, err := strconv.Atoi(word)
		require.NoError(t, err, "the child says: %s %s", word, dir)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed: an error by design
		require.Eventually(t, func() bool { return gone(pid) }, 10*time.Second, 10*time.Millisecond)

		owner := dir + "/.owner"
		old := time.Now().Add(-time.Hour)
		require.NoError(t, os.Chtimes(owner, old, old))
		next, err := mysqlproc.NewTempDir()
		require.NoError(t, err)
		require.NoError(t, next.Remove())
		_, err = os.Stat(dir)
		require.ErrorIs(t, err, fs.ErrNotExist, "the folder of a killed run is removed by the next")
	})
}

// gone: no such process, or a zombie that somebody else has to reap.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestCloseLeavesNothing(t *testing.T) {
	s, err := mysqlproc.Start(t.Context(), mysqlproc.Options{Engine: mysqlproc.MariaDB, NoBinlog: true})
	require.NoError(t, err)
	pid, dir := s.PID(), s.Dir()
	require.NoError(t, s.Close())
	require.True(t, gone(pid))
	_, err = os.Stat(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, s.Close(), "closing twice is allowed")
}

func TestBadArgumentsAreReportedWithTheLog(t *testing.T) {
	eachEngine(t, func(t *testing.T, e mysqlproc.Engine) {
		_, err := mysqlproc.Start(t.Context(), mysqlproc.Options{Engine: e, Extra: []string{"--no-such-option=1"}})
		require.ErrorContains(t, err, "no-such-option", "the server's own words are in the error")
	})
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := mysqlproc.Start(ctx, mysqlproc.Options{Engine: mysqlproc.MySQL})
	require.Error(t, err)
}

func TestTooLongFolderIsRefused(t *testing.T) {
	dir := t.TempDir() + "/" + strings.Repeat("x", 100)
	_, err := mysqlproc.Start(t.Context(), mysqlproc.Options{Engine: mysqlproc.MariaDB, Dir: dir})
	require.ErrorContains(t, err, "too long for a unix socket")
}

func TestParseEngine(t *testing.T) {
	for _, e := range mysqlproc.Engines {
		got, err := mysqlproc.ParseEngine(strings.ToUpper(e.String()))
		require.NoError(t, err)
		require.Equal(t, e, got)
	}
	_, err := mysqlproc.ParseEngine("postgres")
	require.ErrorContains(t, err, "mysql or mariadb")
}

func TestFindNamesTheFolderItWasToldToUse(t *testing.T) {
	t.Setenv("SERVAL_MYSQL_HOME", t.TempDir())
	_, err := mysqlproc.Find(t.Context(), mysqlproc.MySQL)
	require.ErrorIs(t, err, mysqlproc.ErrNotFound)
	require.ErrorContains(t, err, "scripts/get-mysql.sh")
}
