// Command bench compares three ways to a MySQL server: direct, through Serval
// and through MySQL Router, in one run on one machine. For each kind of query
// it prints throughput, 99th percentile and the CPU seconds the proxy spends
// on 10,000 queries. The ways take turns and medians are printed, so that a
// noisy minute hurts all of them.
//
// All three ask the same server. Serval parses and routes: its table is
// sharded by hash(id) into eight databases there; the others have it whole.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// options are the flags.
type options struct {
	serval  string
	clients int
	rounds  int
	round   time.Duration
	only    string
	tpch    float64
}

func main() {
	var opt options
	flag.StringVar(&opt.serval, "serval", "bin/serval", "the serval binary")
	flag.IntVar(&opt.clients, "clients", 16, "connections, each with one query at a time")
	flag.IntVar(&opt.rounds, "rounds", 5, "rounds of each way and query; medians are printed")
	flag.DurationVar(&opt.round, "round", 3*time.Second, "how long a round lasts")
	flag.StringVar(&opt.only, "only", "", "one kind of query: "+queryNames()+", "+commitName+", "+tpchName)
	flag.Float64Var(&opt.tpch, "tpch", 0.05, "the scale factor of TPC-H, 0 leaves it out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, opt)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, opt options) (err error) {
	if opt.clients < 1 || opt.rounds < 1 || opt.round < 100*time.Millisecond {
		return errors.New("-clients and -rounds must be at least 1, -round at least 100ms")
	}
	dir, err := mysqlproc.NewTempDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Remove()) }()
	if opt.only == commitName {
		return compareCommits(ctx, opt, dir.Path)
	}
	server, err := mysqlproc.Start(ctx, mysqlproc.Options{Engine: mysqlproc.MySQL, Dir: filepath.Join(dir.Path, "server")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	ways, err := startWays(ctx, opt, dir.Path, server)
	defer func() { err = errors.Join(err, stopWays(ways)) }()
	if err != nil {
		return err
	}
	if opt.only != tpchName {
		if err := compareWays(ctx, opt, ways, server.Programs.Version); err != nil {
			return err
		}
	}
	if opt.tpch > 0 && (opt.only == "" || opt.only == tpchName) {
		if err := compareTPCH(ctx, opt.tpch, ways); err != nil {
			return err
		}
	}
	if opt.only == "" {
		return compareCommits(ctx, opt, dir.Path)
	}
	return nil
}

// compareWays runs every kind of query and prints the table.
func compareWays(ctx context.Context, opt options, ways []*way, version string) error {
	fmt.Printf("MySQL %s, %d rows, %d clients, %d rounds of %v, %d CPUs for clients, proxies and servers together\n\n",
		version, tableRows, opt.clients, opt.rounds, opt.round, runtime.NumCPU())
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "query\tway\tqueries/s\tp50 ms\tp99 ms\tof direct's\tproxy CPU s/10k\tof Router's\tall CPU s/10k\tof direct's\t")
	found := false
	for _, q := range queries {
		if opt.only != "" && opt.only != q.name {
			continue
		}
		found = true
		results, err := measureAll(ctx, opt, ways, q)
		if err != nil {
			return err
		}
		router, direct := results["router"].cpuPer10k, results["direct"]
		for _, w := range ways {
			r := results[w.name]
			cpu, share := "-", "-"
			if w.pid != 0 {
				cpu = fmt.Sprintf("%.3f", r.cpuPer10k)
			}
			if w.pid != 0 && router > 0 {
				share = fmt.Sprintf("%.2f", r.cpuPer10k/router)
			}
			fmt.Fprintf(out, "%s\t%s\t%.0f\t%.2f\t%.2f\t%.2f\t%s\t%s\t%.2f\t%.2f\t\n", q.name, w.name, r.perSecond, ms(r.p50), ms(r.p99),
				r.perSecond/direct.perSecond, cpu, share, r.allPer10k, r.allPer10k/direct.allPer10k)
		}
		fmt.Fprintln(out, strings.Repeat("\t", 10))
	}
	if !found {
		return fmt.Errorf("-only %s: known are %s, %s, %s", opt.only, queryNames(), commitName, tpchName)
	}
	return out.Flush()
}

// measureAll lets the ways take turns on one kind of query; one short round of
// each warms caches and connections.
func measureAll(ctx context.Context, opt options, ways []*way, q query) (map[string]result, error) {
	all := map[string][]result{}
	for round := range opt.rounds + 1 {
		for _, w := range ways {
			d := opt.round
			if round == 0 {
				d = min(d, time.Second)
			}
			r, err := measure(ctx, w, q, opt.clients, d)
			if err != nil {
				return nil, fmt.Errorf("%s through %s: %w", q.name, w.name, err)
			}
			if round > 0 {
				all[w.name] = append(all[w.name], r)
			}
		}
	}
	medians := map[string]result{}
	for name, results := range all {
		medians[name] = medianResult(results)
	}
	return medians, nil
}

// medianResult takes the median of each number by itself.
func medianResult(results []result) result {
	return result{
		perSecond: median(results, func(r result) float64 { return r.perSecond }),
		p50:       time.Duration(median(results, func(r result) float64 { return float64(r.p50) })),
		p99:       time.Duration(median(results, func(r result) float64 { return float64(r.p99) })),
		cpuPer10k: median(results, func(r result) float64 { return r.cpuPer10k }),
		allPer10k: median(results, func(r result) float64 { return r.allPer10k }),
	}
}

func median[R any](results []R, of func(R) float64) float64 {
	values := make([]float64, len(results))
	for i, r := range results {
		values[i] = of(r)
	}
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return 0
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// absolute makes the binary's path independent of a working directory.
func absolute(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(abs); err != nil {
		return "", fmt.Errorf("the serval binary: %w (make build)", err)
	}
	return abs, nil
}
