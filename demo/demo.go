// Package demo is `serval demo`: a small sharded shop on real servers, with
// Serval in front, in one command. Everything lives in one temporary folder
// and is gone when Run returns.
package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
	"time"

	"github.com/servaldb/serval/internal/mysqlproc"
)

const (
	// DefaultListen and DefaultAdmin are where the demo answers.
	DefaultListen = "127.0.0.1:3307"
	DefaultAdmin  = "127.0.0.1:9307"

	user, password, schema = "app", "s3cret", "shop"

	readyTimeout = 30 * time.Second
	fillTimeout  = 60 * time.Second
)

// Options of one demo.
type Options struct {
	// Engine is mysql or mariadb; empty takes what is there, MySQL first.
	Engine string
	// Listen and Admin are the addresses of the proxy and its admin page;
	// empty means the defaults.
	Listen, Admin string
	// Load adds a gentle workload and a line about it every second.
	Load bool
	// Serve runs the proxy with a config file until ctx ends, and calls ready
	// once it accepts connections. It must not return before the proxy has
	// stopped.
	Serve func(ctx context.Context, configPath string, ready func()) error
	// Out is where the demo tells what it does.
	Out io.Writer
}

//go:embed serval.yaml.tmpl
var configTemplate string

// Run runs the demo until ctx ends, which is its orderly end and no error.
func Run(ctx context.Context, opt Options) (err error) {
	if opt.Listen == "" {
		opt.Listen = DefaultListen
	}
	if opt.Admin == "" {
		opt.Admin = DefaultAdmin
	}
	if err := checkFree(opt.Listen, "--listen"); err != nil {
		return err
	}
	if err := checkFree(opt.Admin, "--admin"); err != nil {
		return err
	}
	programs, err := findEngine(ctx, opt.Engine)
	if err != nil {
		return err
	}
	dir, err := mysqlproc.NewTempDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Remove()) }()
	say := func(format string, args ...any) { fmt.Fprintf(opt.Out, format+"\n", args...) }

	began := time.Now()
	say("Starting %s %s: 2 clusters of 1 primary and 1 replica in %s", programs.Engine, programs.Version, dir.Path)
	clusters, err := mysqlproc.StartClusters(ctx, programs.Engine, dir.Path, 2)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	defer func() { err = errors.Join(err, mysqlproc.CloseAll(clusters)) }()
	for _, c := range clusters {
		say("  %s  primary %s  replica %s", c.Name, c.Primary.Addr(), c.Replicas[0].Addr())
	}
	say("  replicating after %v", round(time.Since(began)))

	config := filepath.Join(dir.Path, "serval.yaml")
	if err := writeConfig(config, opt, clusters); err != nil {
		return err
	}
	say("Starting Serval with %s", config)
	return serve(ctx, opt, config, func(ctx context.Context) error {
		return show(ctx, opt, programs, say)
	})
}

// serve runs the proxy and, once it is ready, during; it returns when both
// have ended, however the first of them ended.
func serve(ctx context.Context, opt Options, config string, during func(context.Context) error) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	ready, served := make(chan struct{}), make(chan error, 1)
	go func() {
		defer stop()
		served <- opt.Serve(running, config, func() { close(ready) })
	}()
	var err error
	timer := time.NewTimer(readyTimeout)
	defer timer.Stop()
	select {
	case <-ready:
		err = during(running)
	case <-running.Done():
	case <-timer.C:
		err = fmt.Errorf("serval is not ready after %v", readyTimeout)
	}
	stop()
	// The proxy's own error is the cause of during's.
	if serveErr := unlessEnded(ctx, <-served); serveErr != nil {
		return fmt.Errorf("serval: %w", serveErr)
	}
	return unlessEnded(ctx, err)
}

// show fills the shop, says what to try, and stays until ctx ends.
func show(ctx context.Context, opt Options, programs *mysqlproc.Programs, say func(string, ...any)) error {
	db, err := openShop(opt.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // nothing is pending on it
	began := time.Now()
	rows, err := fill(ctx, db)
	if err != nil {
		return err
	}
	say("Filled the shop through Serval: %d rows in 6 tables, %v", rows, round(time.Since(began)))
	host, port, err := net.SplitHostPort(opt.Listen)
	if err != nil {
		return fmt.Errorf("listen address: %w", err)
	}
	say(paste, client(programs), host, port, user, password, schema, opt.Admin)
	if opt.Load {
		return load(ctx, db, opt.Out)
	}
	<-ctx.Done()
	return nil
}

// paste is what the user is told to try: client, host, port, user, password,
// schema, admin address.
const paste = `
Serval is up. Three things to paste:

  %[1]s -h%[2]s -P%[3]s -u%[4]s -p%[5]s %[6]s

  EXPLAIN FORMAT='route' SELECT country, COUNT(*), SUM(total) FROM users JOIN orders ON orders.user_id = users.id GROUP BY country ORDER BY country;

  curl http://%[7]s/metrics        # and the admin page: http://%[7]s/

Ctrl-C ends it and leaves nothing behind.
`

// client is the command line client to type: the short name where the shell
// knows it.
func client(p *mysqlproc.Programs) string {
	if _, err := exec.LookPath("mysql"); err == nil {
		return "mysql"
	}
	if p.Client != "" {
		return p.Client
	}
	return "mysql"
}

func findEngine(ctx context.Context, name string) (*mysqlproc.Programs, error) {
	if name != "" {
		engine, err := mysqlproc.ParseEngine(name)
		if err != nil {
			return nil, fmt.Errorf("--engine: %w", err)
		}
		return mysqlproc.Find(ctx, engine)
	}
	var errs []error
	for _, engine := range mysqlproc.Engines {
		p, err := mysqlproc.Find(ctx, engine)
		if err == nil {
			return p, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("the demo needs a MySQL or a MariaDB to start: %w", errors.Join(errs...))
}

// checkFree fails where addr cannot be listened on.
func checkFree(addr, flag string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; choose another address with %s", addr, err, flag)
	}
	return l.Close()
}

func writeConfig(file string, opt Options, clusters []*mysqlproc.Cluster) error {
	t, err := template.New("serval.yaml").Parse(configTemplate)
	if err != nil {
		return fmt.Errorf("config of the demo: %w", err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("config of the demo: %w", err)
	}
	err = t.Execute(f, struct {
		Options
		BackendUser, BackendPassword string
		Clusters                     []*mysqlproc.Cluster
	}{opt, mysqlproc.BackendUser, mysqlproc.BackendPassword, clusters})
	return errors.Join(err, f.Close())
}

// unlessEnded drops the errors that the demo's own end causes.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // what fails while everything is being stopped is no news
	}
	return err
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
