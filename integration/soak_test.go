//go:build soak

package integration

import (
	"database/sql"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

const (
	sysbenchTables = 8
	sysbenchRows   = 20_000
)

// TestSoakSysbench is the acceptance run: a minute of oltp_read_write with 16
// threads over 8 tables sharded by hash(id), with prepared statements and
// without, on both engines, with no error. A transaction of it deletes a row
// and inserts it again, so that afterwards every id must be there once, on its
// shard, the same through Serval, on the primaries and on the replicas.
func TestSoakSysbench(t *testing.T) {
	sysbench, err := exec.LookPath("sysbench")
	require.NoError(t, err, "run scripts/setup.sh sysbench")
	for _, e := range mysqlproc.Engines { // one after the other: it is also a measurement
		for _, mode := range []string{"auto", "disable"} {
			t.Run(e.String()+", db-ps-mode="+mode, func(t *testing.T) { soakSysbench(t, sets[e], sysbench, mode) })
		}
	}
}

var (
	ignoredErrors = regexp.MustCompile(`ignored errors:\s+(\d+)`)
	reconnects    = regexp.MustCompile(`reconnects:\s+(\d+)`)
	transactions  = regexp.MustCompile(`transactions:\s+(\d+)`)
)

func soakSysbench(t *testing.T, s *serverSet, sysbench, mode string) {
	clusters := s.Clusters(t)
	dropSchema(t, clusters, "sbtest")
	t.Cleanup(func() { dropSchema(t, clusters, "sbtest") })
	var tables strings.Builder
	for i := range sysbenchTables {
		fmt.Fprintf(&tables, "sbtest%d: {shard: hash(id), shards: 8, on: [c0, c1]}\n", i+1)
	}
	p := startServal(t, s, settings{Schema: "sbtest", Tables: tables.String()})
	mustExec(t, p.open(t, ""), "CREATE DATABASE sbtest")
	host, port, _ := strings.Cut(p.Addr, ":")
	run := func(command string, seconds string) string {
		args := []string{"oltp_read_write", "--db-driver=mysql", "--mysql-host=" + host, "--mysql-port=" + port, "--mysql-user=" + appUser,
			"--mysql-password=" + appPassword, "--mysql-db=sbtest", fmt.Sprintf("--tables=%d", sysbenchTables), fmt.Sprintf("--table-size=%d", sysbenchRows),
			"--auto-inc=off", "--threads=16", "--time=" + seconds, "--db-ps-mode=" + mode, "--percentile=99", command}
		out, err := exec.CommandContext(t.Context(), sysbench, args...).CombinedOutput()
		require.NoError(t, err, "sysbench %s: %s", command, out)
		return string(out)
	}
	run("prepare", "0")
	requireSysbenchRows(t, p, clusters)
	out := run("run", "60")
	t.Log(out)
	require.Equal(t, "0", found(t, ignoredErrors, out), "no errors, deadlocks included")
	require.Equal(t, "0", found(t, reconnects, out))
	require.NotEqual(t, "0", found(t, transactions, out))
	requireSysbenchRows(t, p, clusters)
}

func found(t *testing.T, pattern *regexp.Regexp, text string) string {
	t.Helper()
	m := pattern.FindStringSubmatch(text)
	require.NotNil(t, m, "%s in %s", pattern, text)
	return m[1]
}

// requireSysbenchRows checks every table: all ids once, each on its shard, and
// the same rows seen through Serval, on primaries and on replicas.
func requireSysbenchRows(t *testing.T, p *serval, clusters []*mysqlproc.Cluster) {
	t.Helper()
	for _, c := range clusters {
		require.NoError(t, c.Sync(t.Context()))
	}
	db := p.open(t, "sbtest")
	const digest = "SELECT COUNT(*), SUM(id), SUM(CRC32(CONCAT_WS('|', id, k, c, pad))) FROM "
	read := func(db *sql.DB, table string) (v [3]int64) {
		var sum, crc sql.NullInt64 // NULL over no rows
		require.NoError(t, db.QueryRowContext(t.Context(), digest+table).Scan(&v[0], &sum, &crc), "%s", table)
		v[1], v[2] = sum.Int64, crc.Int64
		return v
	}
	for i := range sysbenchTables {
		name := fmt.Sprintf("sbtest%d", i+1)
		var primaries, replicas [3]int64
		for shard := range 8 {
			c := clusters[shard/4]
			table := fmt.Sprintf("sbtest_%d.%s", shard, name)
			for n, v := range read(c.Primary.DB(), table) {
				primaries[n] += v
			}
			for n, v := range read(c.Replicas[0].DB(), table) {
				replicas[n] += v
			}
			var strangers int
			require.NoError(t, c.Primary.DB().QueryRowContext(t.Context(),
				fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE (CRC32(id) %% 1024) DIV 128 <> %d", table, shard)).Scan(&strangers))
			require.Zero(t, strangers, "rows of other shards in %s", table)
		}
		require.EqualValues(t, sysbenchRows, primaries[0], "%s: every row is there", name)
		require.EqualValues(t, sysbenchRows*(sysbenchRows+1)/2, primaries[1], "%s: every id is there", name)
		require.Equal(t, primaries, replicas, "%s: replicas have the same rows", name)
		require.Equal(t, primaries, read(db, name), "%s: Serval shows the union of the shards", name)
	}
}

func TestSoakStreamingSelect(t *testing.T) { streaming(t, 1_000_000) }

func TestSoakNoAcknowledgedWriteIsLost(t *testing.T) { acknowledged(t, 60*time.Second) }

// TestSoakOracle is TestOracle on 8 shards in every way a statement is sent.
func TestSoakOracle(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) { runOracle(t, s, 8, false, readCases(t, planFiles, ownFiles)) })
}
