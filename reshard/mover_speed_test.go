package reshard

import (
	"fmt"
	"os"
	osexec "os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// The copy, against `mysqldump | mysql` of the same tables: with SERVAL_SPEED set.
func TestCopySpeed(t *testing.T) {
	if os.Getenv("SERVAL_SPEED") == "" {
		t.Skip("it measures: set SERVAL_SPEED=1")
	}
	eachEngine(t, 0, func(t *testing.T, s *stand) {
		const rows = 100_000
		from := spread("t", "a", 4, intColumn("user_id"))
		l := s.layout(t, move{name: "t", columns: ordersColumns, key: []string{"id"}, from: from, to: spread("t", "b", 8, intColumn("user_id"))})
		s.fill(t, from, rows)
		for i := range 4 {
			s.exec(t, fmt.Sprintf("c%d", (i+1)%2), fmt.Sprintf("CREATE DATABASE dump_%d", i))
		}
		for round := range 2 {
			began := time.Now()
			for i := range 4 {
				s.dump(t, fmt.Sprintf("c%d", i%2), fmt.Sprintf("c%d", (i+1)%2), fmt.Sprintf("a_%d", i), fmt.Sprintf("dump_%d", i))
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
			t.Logf("round %d: mysqldump | mysql %v (%.0f rows/s), copy %v (%.0f rows/s): %.2f of it; compared in %v", round, dump,
				rows/dump.Seconds(), took, rows/took.Seconds(), dump.Seconds()/took.Seconds(), verified)
		}
	})
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
