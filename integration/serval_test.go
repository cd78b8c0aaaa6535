package integration

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

const (
	appUser, appPassword       = "app", "s3cret"
	reportUser, reportPassword = "report", "r3port"
)

// settings make a config file.
type settings struct {
	Schema string
	// Tables are the lines below `tables:`.
	Tables string
	// Clusters are the lines below `clusters:`; empty: c0 and c1 of the set.
	Clusters string
	// Extra are top-level lines.
	Extra string
	Home  string // empty: c0
	// AllSchemas: the accounts may use every database.
	AllSchemas bool
}

// yaml is the config file's text.
func (s settings) yaml(listen, admin string) string {
	if s.Home == "" {
		s.Home = "c0"
	}
	tables := "    tables: {}\n"
	if s.Tables != "" {
		tables = "    tables:\n" + indent(s.Tables, 6)
	}
	only := ", schemas: [" + s.Schema + "]"
	if s.AllSchemas {
		only = ""
	}
	return fmt.Sprintf(`listen: %s
admin: %s
%susers:
  - {name: %s, password: %s%s}
  - {name: %s, password: %s%s, access: read_only}
backend: {user: %s, password: %s}
home: %s
clusters:
%sschemas:
  %s:
    home: %s
%s`, listen, admin, indent(s.Extra, 0), appUser, appPassword, only, reportUser, reportPassword, only,
		mysqlproc.BackendUser, mysqlproc.BackendPassword, s.Home, indent(s.Clusters, 2), s.Schema, s.Home, tables)
}

func indent(text string, by int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString(strings.Repeat(" ", by) + strings.TrimSpace(line) + "\n")
		}
	}
	return b.String()
}

// clusterLines are the lines below `clusters:` for clusters whose primary is told.
func clusterLines(clusters []*mysqlproc.Cluster) string {
	var b strings.Builder
	for _, c := range clusters {
		var replicas []string
		for _, r := range c.Replicas {
			replicas = append(replicas, fmt.Sprintf("%q", r.Addr()))
		}
		fmt.Fprintf(&b, "%s: {primary: %q, replicas: [%s]}\n", c.Name, c.Primary.Addr(), strings.Join(replicas, ", "))
	}
	return b.String()
}

// serverLines are the same for clusters whose primary is to be found.
func serverLines(clusters ...*mysqlproc.Cluster) string {
	var b strings.Builder
	for _, c := range clusters {
		var servers []string
		for _, s := range c.Servers() {
			servers = append(servers, fmt.Sprintf("%q", s.Addr()))
		}
		fmt.Fprintf(&b, "%s: {servers: [%s]}\n", c.Name, strings.Join(servers, ", "))
	}
	return b.String()
}

// serval is a running proxy.
type serval struct {
	Addr, Admin string
	Config      string // the file's path; empty without one
	cmd         *exec.Cmd
	log         *safeBuffer
	done        chan struct{}
	err         error // how it ended; read after done
}

// safeBuffer can be read while it is written to.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// startServal runs `serval serve` on the set's clusters and waits until it is ready.
func startServal(t *testing.T, s *serverSet, cfg settings) *serval {
	t.Helper()
	if cfg.Clusters == "" {
		cfg.Clusters = clusterLines(s.Clusters(t))
	}
	listen, admin := freeAddr(t), freeAddr(t)
	file := filepath.Join(t.TempDir(), "serval.yaml")
	require.NoError(t, os.WriteFile(file, []byte(cfg.yaml(listen, admin)), 0o600))
	p := startServe(t, listen, admin, "-c", file)
	p.Config = file
	return p
}

// startServe runs `serval serve` with these arguments and waits until it is
// ready. It is stopped, and must stop cleanly, when the test ends.
func startServe(t *testing.T, listen, admin string, args ...string) *serval {
	t.Helper()
	return startProgram(t, binary, nil, listen, admin, args...)
}

// startProgram is startServe with another binary and more environment.
func startProgram(t *testing.T, program string, env []string, listen, admin string, args ...string) *serval {
	t.Helper()
	p := &serval{Addr: listen, Admin: admin, log: &safeBuffer{}, done: make(chan struct{})}
	p.cmd = exec.Command(program, append([]string{"serve"}, args...)...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	require.NoError(t, p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() { p.stop(t) })
	deadline := time.Now().Add(20 * time.Second)
	for {
		select {
		case <-p.done:
			t.Fatalf("serval ended at once: %v\n%s", p.err, p.log)
		default:
		}
		if status, _ := p.tryGet("/readyz"); status == http.StatusOK {
			return p
		}
		if time.Now().After(deadline) {
			_, body := p.tryGet("/readyz")
			t.Fatalf("serval is not ready after 20 s: %s\n%s", body, p.log)
		}
		time.Sleep(10 * time.Millisecond) // another process: nothing to wait on but its answer
	}
}

// stop sends SIGTERM and checks that Serval ends well; its log is shown where
// the test failed.
func (p *serval) stop(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
	default:
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		select {
		case <-p.done:
			if p.err != nil {
				t.Errorf("serval did not end cleanly on SIGTERM: %v", p.err)
			}
		case <-time.After(60 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.done
			t.Errorf("serval did not end within 60 s of SIGTERM")
		}
	}
	if log := p.log.String(); strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
		t.Errorf("serval panicked")
	}
	if t.Failed() {
		log := p.log.String()
		t.Logf("log of serval:\n%s", log[max(0, len(log)-8000):])
	}
}

func (p *serval) tryGet(path string) (status int, body string) {
	client := http.Client{Timeout: 5 * time.Second}
	r, err := client.Get("http://" + p.Admin + path)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err.Error()
	}
	return r.StatusCode, string(b)
}

// get is a page of the admin address.
func (p *serval) get(t *testing.T, path string) string {
	t.Helper()
	status, body := p.tryGet(path)
	require.Equal(t, http.StatusOK, status, "%s: %s", path, body)
	return body
}

// rss is the resident memory of Serval in bytes.
func (p *serval) rss(t *testing.T) int64 {
	t.Helper()
	n, err := residentBytes(p.cmd.Process.Pid)
	require.NoError(t, err)
	return n
}

func residentBytes(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	var size, resident int64
	_, err = fmt.Sscan(string(b), &size, &resident)
	return resident * int64(os.Getpagesize()), err
}

// open connects as app to a schema, which may be empty.
func (p *serval) open(t *testing.T, schema string, change ...func(*mysql.Config)) *sql.DB {
	t.Helper()
	return openDB(t, p.Addr, schema, change...)
}

// openDB connects as app to any address, closed when the test ends.
func openDB(t *testing.T, addr, schema string, change ...func(*mysql.Config)) *sql.DB {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.DBName = appUser, appPassword, "tcp", addr, schema
	cfg.Timeout = 10 * time.Second
	cfg.Logger = new(mysql.NopLogger) // errors are returned, too
	for _, f := range change {
		f(cfg)
	}
	connector, err := mysql.NewConnector(cfg)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// oneConn is one connection of its own: one session.
func oneConn(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// execer is a *sql.DB, *sql.Conn or *sql.Tx.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func mustExec(t *testing.T, db execer, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err, "%s", s)
	}
}

// one is the one value a query returns, as text.
func one(t *testing.T, db execer, query string, args ...any) string {
	t.Helper()
	var v sql.NullString
	require.NoError(t, db.QueryRowContext(t.Context(), query, args...).Scan(&v), "%s", query)
	if !v.Valid {
		return "NULL"
	}
	return v.String
}

// dropSchema removes a test's databases from the servers themselves: the
// schema's, and its shards'. No other test may have that schema meanwhile.
func dropSchema(t *testing.T, clusters []*mysqlproc.Cluster, schema string) {
	t.Helper()
	ctx := context.Background() // also called when the test's own has ended
	for _, c := range clusters {
		own(t, c.Primary.Addr(), schema)
		rows, err := c.Primary.DB().QueryContext(ctx, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ? OR SCHEMA_NAME RLIKE ?",
			schema, "^"+schema+"_[0-9w]+$")
		require.NoError(t, err)
		var names []string
		for rows.Next() {
			var name string
			require.NoError(t, rows.Scan(&name))
			names = append(names, name)
		}
		require.NoError(t, rows.Err())
		for _, name := range names {
			require.NoError(t, c.Primary.Exec(ctx, "DROP DATABASE `"+name+"`"))
		}
	}
}

// freeAddr is an address nobody listens on, and given only once.
func freeAddr(t *testing.T) string {
	t.Helper()
	port, err := mysqlproc.FreePort()
	require.NoError(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// eventually waits for another process to get somewhere.
func eventually(t *testing.T, within time.Duration, f func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %v", within, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
