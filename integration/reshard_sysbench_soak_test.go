//go:build soak

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// movedSysbench are the rows of each of sysbench's two tables; SERVAL_MOVED_ROWS
// sets another number.
func movedSysbench(t *testing.T) int {
	text := os.Getenv("SERVAL_MOVED_ROWS")
	if text == "" {
		return 100_000
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// sysbench itself writes to two tables while they move, there, back and there again,
// and beside it writers that keep a journal of what was acknowledged write to a third
// one: no statement fails, no row is lost or there twice.
func TestSoakSysbenchTablesMove(t *testing.T) {
	for _, e := range mysqlproc.Engines { // one after the other: it is also a measurement
		for i, move := range []struct{ name, script, before, after string }{
			{"four shards become eight", "oltp_write_only", "{shard: hash(id), shards: 4, on: [c0, c1]}", "{shard: hash(id), shards: 8, on: [c0, c1]}"},
			{"out of the home", "oltp_read_write", "{on: c0}", "{shard: hash(id), shards: 4, on: [c0, c1]}"},
		} {
			t.Run(e.String()+", "+move.name, func(t *testing.T) {
				moveSysbench(t, sets[e], fmt.Sprintf("sbmoved%d", i), move.script, move.before, move.after)
			})
		}
	}
}

func moveSysbench(t *testing.T, s *serverSet, schema, script, before, after string) {
	own(t, s.engine.String(), reshardJobs)
	clusters, rows := s.Clusters(t), movedSysbench(t)
	dropSchema(t, clusters, schema)
	const ordersBefore, ordersAfter = "{shard: hash(user_id), shards: 4, on: [c0, c1]}", "{shard: hash(id), shards: 4, on: [c0, c1]}"
	lines := func(each, orders string) string {
		return fmt.Sprintf("sbtest1: %s\nsbtest2: %s\norders: %s", each, each, orders)
	}
	p := startServal(t, s, settings{Schema: schema, Tables: lines(before, ordersBefore)})
	t.Cleanup(func() { dropSchema(t, clusters, schema) })
	db := p.open(t, "")
	mustExec(t, db, "CREATE DATABASE "+schema, movedTable(schema+".orders"))
	fillMoved(t, db, schema+".orders")
	s.sync(t)
	sysbench := func(command string, more ...string) *exec.Cmd {
		host, port, _ := strings.Cut(p.Addr, ":")
		return exec.CommandContext(t.Context(), "sysbench", append([]string{script, "--db-driver=mysql", "--mysql-host=" + host, "--mysql-port=" + port, "--mysql-user=" + appUser,
			"--mysql-password=" + appPassword, "--mysql-db=" + schema, "--tables=2", fmt.Sprintf("--table-size=%d", rows), "--auto-inc=off", command}, more...)...)
	}
	out, err := sysbench("prepare").CombinedOutput()
	require.NoError(t, err, string(out))
	to := edited(t, p.Config, "sbtest1: "+before, "sbtest1: "+after, "sbtest2: "+before, "sbtest2: "+after, "orders: "+ordersBefore, "orders: "+ordersAfter)

	load := startMoved(t, p, schema, schema+".orders", 4)
	writing, said, ended := sysbench("run", "--threads=4", "--time=0", "--report-interval=1"), &safeBuffer{}, make(chan error, 1)
	writing.Stdout, writing.Stderr = said, said
	require.NoError(t, writing.Start())
	go func() { ended <- writing.Wait() }()
	going := func() {
		t.Helper()
		load.requireNoError(t)
		select {
		case err := <-ended:
			ended <- err
			require.Fail(t, "sysbench has ended", "%v: %s", err, said)
		default:
		}
	}
	began := time.Now()
	reshardOK(t, "start", "-c", p.Config, "--to", to, "--until", "following")
	took := time.Since(began)
	t.Logf("%d rows copied and caught up with in %s under load, %.0f rows/s", 2*rows+movedFixed, took.Round(time.Millisecond), float64(2*rows)/took.Seconds())
	going()
	for _, verb := range []string{"cutover", "reverse", "cutover"} {
		began := time.Now()
		reshardOK(t, verb, "-c", p.Config)
		going()
		p99, longest, n := load.held(began, time.Now())
		t.Logf("%s: of %d writes the longest took %s, the 99th of 100 %s", verb, n, longest, p99)
		time.Sleep(300 * time.Millisecond) // what is written by these rules
	}
	load.end()
	going()
	require.NoError(t, writing.Process.Signal(syscall.SIGKILL))
	<-ended
	t.Logf("sysbench: %s", sysbenchTotals(said.String()))
	s.sync(t)
	load.requireRows(t, db)
	for _, table := range []string{"sbtest1", "sbtest2"} {
		want := fmt.Sprintf("%d %d %d", rows, rows, int64(rows)*int64(rows+1)/2)
		require.Equal(t, want, one(t, db, fmt.Sprintf("SELECT CONCAT(COUNT(*), ' ', COUNT(DISTINCT id), ' ', SUM(id)) FROM %s.%s", schema, table)), "%s: every id is there once", table)
	}
	out2, err := runServal("check", "-c", p.Config, "--live", "--placement")
	require.NoError(t, err, out2)
	reshardOK(t, "finish", "-c", p.Config, "--pause", "0s")
	require.Empty(t, left(t, s, schema))
}

var sysbenchSecond = regexp.MustCompile(`tps: ([\d.]+) .*lat \(ms,95%\): ([\d.]+) err/s: ([\d.]+)`)

// sysbenchTotals sums up its report of each second.
func sysbenchTotals(out string) string {
	seconds, transactions, errors := 0, 0.0, 0.0
	for _, m := range sysbenchSecond.FindAllStringSubmatch(out, -1) {
		tps, _ := strconv.ParseFloat(m[1], 64)
		failed, _ := strconv.ParseFloat(m[3], 64)
		seconds, transactions, errors = seconds+1, transactions+tps, errors+failed
	}
	return fmt.Sprintf("%.0f transactions in %d s, %.0f ended by a deadlock or a lock wait", transactions, seconds, errors)
}
