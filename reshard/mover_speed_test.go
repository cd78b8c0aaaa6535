package reshard

import (
	"fmt"
	"os"
	osexec "os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// sbtestColumns are sysbench's table.
const sbtestColumns = "(id BIGINT NOT NULL PRIMARY KEY, k INT NOT NULL DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '', KEY k_1 (k))"

// The copy, against `mysqldump | mysql` of the same tables: with SERVAL_SPEED, the
// number of rows, set.
func TestCopySpeed(t *testing.T) {
	rows, _ := strconv.Atoi(os.Getenv("SERVAL_SPEED"))
	if rows < 1000 {
		t.Skip("it measures: set SERVAL_SPEED=100000")
	}
	eachEngine(t, 0, func(t *testing.T, s *stand) {
		s.copySpeed(t, move{name: "t", columns: ordersColumns, key: []string{"id"}, from: spread("t", "a", 4, intColumn("user_id")), to: spread("t", "b", 8, intColumn("user_id"))}, rows, func(from *shardrule.Placement) {
			s.fill(t, from, rows)
		})
		s.copySpeed(t, move{name: "s", columns: sbtestColumns, key: []string{"id"}, from: home("s"), to: spread("s", "e", 4, intColumn("id"))}, rows, func(*shardrule.Placement) {
			for id := 0; id < rows; id += 1000 {
				values := make([]string, 1000)
				for i := range values {
					values[i] = fmt.Sprintf("(%d, %d, REPEAT('%011d-', 10), REPEAT('%011d-', 5))", id+i, (id+i)*7919%rows, id+i, id)
				}
				s.exec(t, "c0", "INSERT INTO d.s VALUES "+strings.Join(values, ", "))
			}
		})
	})
}

// copySpeed measures one move, each way by turns.
func (s *stand) copySpeed(t *testing.T, m move, rows int, fill func(from *shardrule.Placement)) {
	t.Helper()
	l := s.layout(t, m)
	fill(m.from)
	other := func(shard topology.Shard) string {
		return map[string]string{"c0": "c1", "c1": "c0"}[shard.Cluster]
	}
	for _, src := range m.from.Shards {
		s.exec(t, other(src), "CREATE DATABASE dump_"+src.Database)
	}
	for round := range 3 {
		began := time.Now()
		for _, src := range m.from.Shards {
			s.dump(t, src.Cluster, other(src), src.Database, "dump_"+src.Database)
		}
		dump := time.Since(began)
		for _, tgt := range l.Tables[0].Targets {
			s.exec(t, tgt.Shard.Cluster, "TRUNCATE "+tgt.Shard.Database+"."+tgt.New)
		}
		began = time.Now()
		r := s.start(t, MoverConfig{Layout: l, Journal: newMemory()})
		r.copyDone(t)
		took := time.Since(began)
		v := r.verified(t)
		require.EqualValues(t, rows, v.Rows)
		verified := time.Since(began) - took
		r.end()
		t.Logf("%s, round %d: mysqldump | mysql %v (%.0f rows/s), copy %v (%.0f rows/s): %.2f of it; compared in %v", m.name, round, dump,
			float64(rows)/dump.Seconds(), took, float64(rows)/took.Seconds(), dump.Seconds()/took.Seconds(), verified)
	}
}

// dump copies one database by `mysqldump | mysql`.
func (s *stand) dump(t *testing.T, from, to, database, into string) {
	t.Helper()
	programs := s.primary(from).Programs
	login := func(cluster string) []string {
		return []string{"--no-defaults", "--protocol=TCP", "-h127.0.0.1", fmt.Sprintf("-P%d", s.primary(cluster).Port()), "-u" + mysqlproc.AppUser, "-p" + mysqlproc.AppPassword}
	}
	args := append(login(from), "--single-transaction", "--quick", "--skip-triggers")
	if s.primary(from).Engine() == mysqlproc.MySQL {
		args = append(args, "--set-gtid-purged=OFF")
	}
	dump := osexec.Command(programs.Dump, append(args, database)...)
	load := osexec.Command(programs.Client, append(login(to), into)...)
	pipe, err := dump.StdoutPipe()
	require.NoError(t, err)
	load.Stdin = pipe
	require.NoError(t, dump.Start())
	out, err := load.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, dump.Wait())
}
