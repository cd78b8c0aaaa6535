package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/servaldb/serval/internal/mysqlproc"
)

const (
	// commitName is what -only calls the commits.
	commitName = "commit"
	// commitSchema has the accounts, through Serval and, whole, on the first server.
	commitSchema = "pay"
	// commitAccounts is how many rows are written to: so many that clients
	// seldom wait for each other.
	commitAccounts = 10_000
)

// commitWay is one way to end a transaction of two updates by key: on the
// server itself, or through Serval, where both rows are on one cluster or on two.
type commitWay struct {
	name string
	db   *sql.DB
	// first and second are ids of which one row each is written; in a way over
	// two clusters those of the first cluster and those of the second.
	first, second []int
	mode          string // serval_transaction; empty on the server itself
}

// commitResult is of one round; medians are printed.
type commitResult struct {
	perSecond               float64
	whole, wholeP99, commit time.Duration // whole: from BEGIN to COMMIT's answer
}

// compareCommits prints what a transaction costs on the server itself, through
// Serval on one cluster, and over two.
func compareCommits(ctx context.Context, opt options, dir string) error {
	for _, engine := range mysqlproc.Engines {
		if err := compareEngine(ctx, opt, engine, filepath.Join(dir, "commit-"+engine.String())); err != nil {
			return fmt.Errorf("commits on %s: %w", engine, err)
		}
	}
	return nil
}

func compareEngine(ctx context.Context, opt options, engine mysqlproc.Engine, dir string) (err error) {
	var servers []*mysqlproc.Server
	for i := range 2 {
		s, err := mysqlproc.Start(ctx, mysqlproc.Options{Engine: engine, Dir: filepath.Join(dir, fmt.Sprint("c", i)), ServerID: uint32(i + 1),
			Extra: []string{"--innodb-flush-method=fsync"}}) // with 1 a commit is to wait for the disk
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		servers = append(servers, s)
	}
	proxy, err := startCommitServal(ctx, opt, dir, servers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proxy.stop()) }()
	ways, stop, err := commitWays(ctx, proxy, servers)
	defer stop()
	if err != nil {
		return errors.Join(err, proxy.lastWords())
	}
	fmt.Printf("\n%s %s: BEGIN, two updates by key, COMMIT; %d rounds of %v taking turns, medians\n\n", engine, servers[0].Programs.Version, opt.rounds, opt.round)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "fsync\tclients\tway\ttransactions/s\tp50 ms\tp99 ms\tof one cluster's\tCOMMIT p50 ms\tof one cluster's\t")
	for _, durable := range []int{0, 1} {
		for _, s := range servers {
			for _, set := range []string{"innodb_flush_log_at_trx_commit = %d", "sync_binlog = %d"} {
				if _, err := s.DB().ExecContext(ctx, "SET GLOBAL "+fmt.Sprintf(set, durable)); err != nil {
					return err
				}
			}
		}
		for _, clients := range []int{1, opt.clients} {
			if err := compareWaysOnce(ctx, opt, out, ways, durable, clients); err != nil {
				return errors.Join(err, proxy.lastWords())
			}
		}
	}
	return out.Flush()
}

func compareWaysOnce(ctx context.Context, opt options, out *tabwriter.Writer, ways []*commitWay, durable, clients int) error {
	all := map[string][]commitResult{}
	for round := range opt.rounds + 1 {
		for i := range ways {
			w := ways[(round+i)%len(ways)] // none is always behind the same other
			d := opt.round
			if round == 0 { // warms caches and connections
				d = min(d, time.Second)
			}
			r, err := w.measure(ctx, clients, d)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if round > 0 {
				all[w.name] = append(all[w.name], r)
			}
		}
	}
	one := medianCommit(all[ways[1].name])
	for _, w := range ways {
		r := medianCommit(all[w.name])
		fmt.Fprintf(out, "%d\t%d\t%s\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", durable, clients, w.name, r.perSecond, ms(r.whole), ms(r.wholeP99),
			float64(r.whole)/float64(one.whole), ms(r.commit), float64(r.commit)/float64(one.commit))
	}
	fmt.Fprintln(out, strings.Repeat("\t", 9))
	return nil
}

func medianCommit(results []commitResult) commitResult {
	return commitResult{
		perSecond: median(results, func(r commitResult) float64 { return r.perSecond }),
		whole:     time.Duration(median(results, func(r commitResult) float64 { return float64(r.whole) })),
		wholeP99:  time.Duration(median(results, func(r commitResult) float64 { return float64(r.wholeP99) })),
		commit:    time.Duration(median(results, func(r commitResult) float64 { return float64(r.commit) })),
	}
}

// startCommitServal runs Serval with the accounts in four shards on two clusters.
func startCommitServal(ctx context.Context, opt options, dir string, servers []*mysqlproc.Server) (*way, error) {
	binary, err := absolute(opt.serval)
	if err != nil {
		return nil, err
	}
	listen, err := freeAddr()
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`listen: %s
users:
  - {name: %s, password: %s, schemas: [%s]}
backend: {user: %s, password: %s}
home: c0
clusters:
  c0: {primary: %q}
  c1: {primary: %q}
schemas:
  %s:
    home: c0
    tables:
      account: {shard: hash(id), shards: 4, on: [c0, c1]}
`, listen, mysqlproc.AppUser, mysqlproc.AppPassword, commitSchema, mysqlproc.BackendUser, mysqlproc.BackendPassword,
		servers[0].Addr(), servers[1].Addr(), commitSchema)
	file := filepath.Join(dir, "serval.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	return startProxy(ctx, "serval", listen, filepath.Join(dir, "serval.log"), exec.Command(binary, "serve", "-c", file))
}

// commitWays makes the accounts and the ways to them.
func commitWays(ctx context.Context, proxy *way, servers []*mysqlproc.Server) (ways []*commitWay, stop func(), err error) {
	var dbs []*sql.DB
	stop = func() {
		for _, db := range dbs {
			_ = db.Close() // nothing is pending on it
		}
	}
	for _, addr := range []string{servers[0].Addr(), proxy.addr} {
		db, err := open(addr, "")
		if err != nil {
			return nil, stop, err
		}
		dbs = append(dbs, db)
		if err := fillAccounts(ctx, db, addr == proxy.addr); err != nil {
			return nil, stop, err
		}
	}
	var ids [2][]int
	for i, s := range servers {
		if ids[i], err = idsOn(ctx, s.DB()); err != nil {
			return nil, stop, err
		}
	}
	plain, serval := dbs[0], dbs[1]
	half := len(ids[0]) / 2
	return []*commitWay{
		{"one server, direct", plain, ids[0][:half], ids[0][half:], ""},
		{"one cluster, atomic", serval, ids[0][:half], ids[0][half:], "atomic"},
		{"one cluster, best_effort", serval, ids[0][:half], ids[0][half:], "best_effort"},
		{"two clusters, best_effort", serval, ids[0], ids[1], "best_effort"},
		{"two clusters, atomic", serval, ids[0], ids[1], "atomic"},
	}, stop, nil
}

// fillAccounts makes the table; the whole one beside Serval's shards has
// another database.
func fillAccounts(ctx context.Context, db *sql.DB, sharded bool) error {
	schema := commitSchema
	if !sharded {
		schema += "_whole"
	}
	statements := []string{"CREATE DATABASE " + schema, "CREATE TABLE " + schema + ".account (id INT NOT NULL PRIMARY KEY, balance BIGINT NOT NULL, note CHAR(60) NOT NULL)"}
	const batch = 500
	for from := 1; from <= commitAccounts; from += batch {
		var b strings.Builder
		b.WriteString("INSERT INTO " + schema + ".account VALUES ")
		for id := from; id < from+batch; id++ {
			if id > from {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "(%d, 1000, 'an account')", id)
		}
		statements = append(statements, b.String())
	}
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("fill %s: %w", schema, err)
		}
	}
	return nil
}

// idsOn are the accounts whose shards stand on the server.
func idsOn(ctx context.Context, server *sql.DB) (ids []int, err error) {
	var union []string
	for i := range 4 {
		var n int
		name := fmt.Sprintf("%s_%d", commitSchema, i)
		if err := server.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '"+name+"'").Scan(&n); err != nil {
			return nil, err
		}
		if n > 0 {
			union = append(union, "SELECT id FROM "+name+".account")
		}
	}
	rows, err := server.QueryContext(ctx, strings.Join(union, " UNION ALL "))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// payer is one client.
type payer struct {
	conn          *sql.Conn
	r             *rand.Rand
	way           *commitWay
	whole, commit *hdrhistogram.Histogram
}

// measure lets clients pay for d. Any error ends it.
func (w *commitWay) measure(ctx context.Context, clients int, d time.Duration) (commitResult, error) {
	payers := make([]*payer, clients)
	for i := range payers {
		p, err := w.payer(ctx, uint64(i))
		if err != nil {
			return commitResult{}, err
		}
		defer func() { _ = p.conn.Close() }()
		payers[i] = p
	}
	began := time.Now()
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for i, p := range payers {
		wg.Go(func() {
			for errs[i] == nil && time.Since(began) < d {
				errs[i] = p.pay(ctx)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	whole, commit := newHistogram(), newHistogram()
	for _, p := range payers {
		whole.Merge(p.whole)
		commit.Merge(p.commit)
	}
	return commitResult{
		perSecond: float64(whole.TotalCount()) / took.Seconds(),
		whole:     time.Duration(whole.ValueAtQuantile(50)), wholeP99: time.Duration(whole.ValueAtQuantile(99)),
		commit: time.Duration(commit.ValueAtQuantile(50)),
	}, errors.Join(errs...)
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, int64(time.Minute), 3) }

func (w *commitWay) payer(ctx context.Context, seed uint64) (*payer, error) {
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	setup := []string{"USE " + commitSchema, "SET serval_transaction = '" + w.mode + "'"}
	if w.mode == "" {
		setup = []string{"USE " + commitSchema + "_whole"}
	}
	for _, s := range setup {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return &payer{conn: conn, r: rand.New(rand.NewPCG(seed, 7)), way: w, whole: newHistogram(), commit: newHistogram()}, nil
}

// pay runs one transaction. The two ids come from two lists, always in the
// same order, so that no two transactions wait for each other in a circle.
func (p *payer) pay(ctx context.Context) error {
	began := time.Now()
	var last time.Time
	for _, s := range []string{
		"BEGIN",
		fmt.Sprintf("UPDATE account SET balance = balance - 1 WHERE id = %d", p.way.first[p.r.IntN(len(p.way.first))]),
		fmt.Sprintf("UPDATE account SET balance = balance + 1 WHERE id = %d", p.way.second[p.r.IntN(len(p.way.second))]),
		"COMMIT",
	} {
		last = time.Now()
		r, err := p.conn.ExecContext(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		if n, _ := r.RowsAffected(); n != 1 && strings.HasPrefix(s, "UPDATE") {
			return fmt.Errorf("%s: %d rows", s, n)
		}
	}
	end := time.Now()
	return errors.Join(p.whole.RecordValue(int64(end.Sub(began))), p.commit.RecordValue(int64(end.Sub(last))))
}
