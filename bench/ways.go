package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/servaldb/serval/internal/mysqlproc"
)

const (
	// shardedSchema is what Serval shows; wholeSchema has the same rows in
	// one piece on the first cluster, for the other ways.
	shardedSchema, wholeSchema = "bench", "bench_whole"

	readyTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second
)

// way is one way to the data. pid is the proxy's, 0 for the direct one.
type way struct {
	name, addr string
	pid        int
	server     int // the server's process
	db         *sql.DB
	cmd        *exec.Cmd
	log        string // the proxy's log file
}

// startWays starts the proxies and fills the tables. What is returned must be
// stopped, also with an error.
func startWays(ctx context.Context, opt options, dir string, primary *mysqlproc.Server) (ways []*way, err error) {
	direct := &way{name: "direct", addr: primary.Addr()}
	ways = append(ways, direct)
	if err := fill(ctx, direct.addr, wholeSchema); err != nil {
		return ways, fmt.Errorf("direct: %w", err)
	}
	serval, err := startServal(ctx, opt, dir, primary)
	if err != nil {
		return ways, err
	}
	ways = append(ways, serval)
	if err := fill(ctx, serval.addr, shardedSchema); err != nil {
		return ways, errors.Join(fmt.Errorf("serval: %w", err), serval.lastWords())
	}
	router, err := startRouter(ctx, dir, primary)
	if err != nil {
		return ways, err
	}
	ways = append(ways, router)
	for _, w := range ways {
		w.server = primary.PID()
		schema := wholeSchema
		if w == serval {
			schema = shardedSchema
		}
		if w.db, err = open(w.addr, schema); err != nil {
			return ways, err
		}
	}
	return ways, nil
}

// stopWays ends the proxies.
func stopWays(ways []*way) error {
	var errs []error
	for _, w := range ways {
		if w.db != nil {
			errs = append(errs, w.db.Close())
		}
		errs = append(errs, w.stop())
	}
	return errors.Join(errs...)
}

func open(addr, schema string) (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.DBName = mysqlproc.AppUser, mysqlproc.AppPassword, "tcp", addr, schema
	cfg.Logger = new(mysql.NopLogger) // errors are returned, too
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	return sql.OpenDB(connector), nil
}

// fill makes the tables in a schema of their own.
func fill(ctx context.Context, addr, schema string) error {
	db, err := open(addr, "")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // nothing is pending on it
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for _, statement := range []string{
		"CREATE DATABASE " + schema,
		"USE " + schema,
		"CREATE TABLE sbtest1 (id INT NOT NULL PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL)",
		"CREATE TABLE wide (id INT NOT NULL, owner INT NOT NULL, k INT NOT NULL, c CHAR(120) NOT NULL, PRIMARY KEY (owner, id))",
		"CREATE TABLE spread (id INT NOT NULL PRIMARY KEY, k INT NOT NULL, g INT NOT NULL, c CHAR(120) NOT NULL, KEY (k), KEY (g, k))",
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	const batch = 500
	for from := 1; from <= tableRows; from += batch {
		var one, many, all strings.Builder
		one.WriteString("INSERT INTO sbtest1 (id, k, c, pad) VALUES ")
		many.WriteString("INSERT INTO wide (id, owner, k, c) VALUES ")
		all.WriteString("INSERT INTO spread (id, k, g, c) VALUES ")
		for id := from; id < from+batch; id++ {
			separator := ","
			if id == from {
				separator = ""
			}
			text := strings.Repeat(fmt.Sprintf("%011d-", id), 10)[:119]
			fmt.Fprintf(&one, "%s(%d,%d,'%s','%s')", separator, id, id%1000, text, text[:59])
			fmt.Fprintf(&many, "%s(%d,%d,%d,'%s')", separator, id, 1+(id-1)/100, id%1000, text)
			fmt.Fprintf(&all, "%s(%d,%d,%d,'%s')", separator, id, id*7919%tableRows, id%groups, text)
		}
		for _, statement := range []string{one.String(), many.String(), all.String()} {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("fill: %w", err)
			}
		}
	}
	// Else a table just filled may be read without its index (top10, measured:
	// a tenth of the rate) until the server has counted its rows by itself.
	for _, table := range []string{"sbtest1", "wide", "spread"} {
		if _, err := conn.ExecContext(ctx, "ANALYZE TABLE "+table); err != nil { // its rows are skipped
			return fmt.Errorf("analyze: %w", err)
		}
	}
	return nil
}

// startServal runs the binary with the tables in 8 shards, all on the one
// server, so that the three ways differ in the proxy only.
func startServal(ctx context.Context, opt options, dir string, primary *mysqlproc.Server) (*way, error) {
	binary, err := absolute(opt.serval)
	if err != nil {
		return nil, err
	}
	listen, err := freeAddr()
	if err != nil {
		return nil, err
	}
	admin, err := freeAddr()
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`listen: %s
admin: %s
users:
  - {name: %s, password: %s, schemas: [%s]}
backend: {user: %s, password: %s}
home: c0
clusters:
  c0: {primary: %q}
schemas:
  %s:
    home: c0
    tables:
      sbtest1: {shard: hash(id), shards: 8, on: [c0]}
      wide: {shard: hash(owner), shards: 8, on: [c0]}
      spread: {shard: hash(id), shards: 4, on: [c0]}
%s`, listen, admin, mysqlproc.AppUser, mysqlproc.AppPassword, shardedSchema, mysqlproc.BackendUser, mysqlproc.BackendPassword, primary.Addr(), shardedSchema, tpchRules())
	file := filepath.Join(dir, "serval.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	return startProxy(ctx, "serval", listen, filepath.Join(dir, "serval.log"), exec.Command(binary, "serve", "-c", file))
}

// startRouter runs MySQL Router, from the same packages as the server, with a
// static route to the primary.
func startRouter(ctx context.Context, dir string, primary *mysqlproc.Server) (*way, error) {
	if primary.Programs.Router == "" {
		return nil, errors.New("no mysqlrouter beside mysqld: run scripts/get-mysql.sh")
	}
	listen, err := freeAddr()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "router")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`[DEFAULT]
logging_folder=
runtime_folder=%[1]s
data_folder=%[1]s
config_folder=%[1]s
%[5]s
[logger]
level=WARNING

[routing:primary]
bind_address=%[2]s
bind_port=%[3]s
destinations=%[4]s
routing_strategy=first-available
protocol=classic
max_connections=1024
`, home, host, port, primary.Addr(), pluginFolder(primary.Programs.Router))
	file := filepath.Join(home, "mysqlrouter.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	args := []string{"-c", file}
	if os.Getuid() == 0 {
		args = append(args, "--user=root")
	}
	return startProxy(ctx, "router", listen, filepath.Join(dir, "router.log"), exec.Command(primary.Programs.Router, args...))
}

// pluginFolder is the option that tells an unpacked Router where its plugins
// are; an installed one knows.
func pluginFolder(router string) string {
	folder := filepath.Join(filepath.Dir(filepath.Dir(router)), "root/usr/lib/mysqlrouter/plugin")
	if _, err := os.Stat(folder); err != nil {
		return ""
	}
	return "plugin_folder=" + folder
}

// startProxy starts cmd and waits until a query goes through it.
func startProxy(ctx context.Context, name, addr, log string, cmd *exec.Cmd) (*way, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the child has its own
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	w := &way{name: name, addr: addr, pid: cmd.Process.Pid, cmd: cmd, log: log}
	db, err := open(addr, "")
	if err != nil {
		return nil, errors.Join(err, w.stop())
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var one int
		if err = db.QueryRowContext(ctx, "SELECT 1").Scan(&one); err == nil {
			return w, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("%s does not answer: %w", name, err), w.lastWords(), w.stop())
		case <-tick.C:
		}
	}
}

// lastWords is the end of the proxy's log as an error.
func (w *way) lastWords() error {
	b, err := os.ReadFile(w.log)
	if err != nil {
		return err
	}
	const most = 2000
	return fmt.Errorf("log of %s:\n%s", w.name, b[max(0, len(b)-most):])
}

// stop ends the proxy by SIGTERM, by SIGKILL if that takes too long.
func (w *way) stop() error {
	if w.cmd == nil {
		return nil
	}
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", w.name, err)
	}
	timer := time.AfterFunc(stopTimeout, func() { _ = w.cmd.Process.Kill() })
	defer timer.Stop()
	_ = w.cmd.Wait() // how it ended is no result of a benchmark
	w.cmd = nil
	return nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
