package integration

import (
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// At each step of a COMMIT over two clusters its session is killed, its client
// goes, or Serval is told to end: it is committed or rolled back as a whole,
// the client is told the truth, and nothing stays prepared.
func TestACommitThatIsDisturbedEndsWhole(t *testing.T) {
	disturb := map[string]func(d *disturbed){
		"KILL QUERY":      func(d *disturbed) { mustExec(d.t, d.other, "KILL QUERY "+d.id) },
		"KILL CONNECTION": func(d *disturbed) { mustExec(d.t, d.other, "KILL "+d.id) },
		"client gone":     func(d *disturbed) { d.vanish() },
		"SIGTERM":         func(d *disturbed) { require.NoError(d.t, d.p.cmd.Process.Signal(syscall.SIGTERM)) },
	}
	eachEngine(t, func(t *testing.T, s *serverSet) {
		faulty := buildFaulty(t)
		b := newBank(t, s.Clusters(t), "bankends")
		x := one(t, b.clusters[0].Primary.DB(), "SELECT MIN(id) FROM bankends_0.account")
		y := one(t, b.clusters[1].Primary.DB(), "SELECT MIN(id) FROM bankends_2.account")
		for _, point := range faultPoints {
			for name, do := range disturb {
				t.Run(point+"/"+name, func(t *testing.T) {
					d := &disturbed{t: t, x: x, y: y}
					d.run(b, faulty, point, do)
				})
			}
		}
	})
}

// disturbed is a transfer from account x to y whose COMMIT is held at a step.
type disturbed struct {
	t      *testing.T
	x, y   string
	p      *serval
	id     string // of its session
	other  execer
	vanish func()
}

func (d *disturbed) run(b *bank, program, point string, disturb func(*disturbed)) {
	t := d.t
	file := filepath.Join(t.TempDir(), "held")
	d.p = b.serve(t, program, "SERVAL_FAULT="+point+":"+file)
	db := d.p.open(t, b.schema)
	d.other = oneConn(t, db)
	conn := oneConn(t, db)
	d.id = one(t, conn, "SELECT CONNECTION_ID()")
	before := one(t, d.other, "SELECT /*+ SERVAL(primary) */ balance FROM account WHERE id = "+d.x)
	mustExec(t, conn, "BEGIN", "UPDATE account SET balance = balance - 1 WHERE id = "+d.x, "UPDATE account SET balance = balance + 1 WHERE id = "+d.y)
	ctx, cancel := context.WithCancel(t.Context())
	d.vanish = cancel
	answer := make(chan error, 1)
	go func() { _, err := conn.ExecContext(ctx, "COMMIT"); answer <- err }()
	eventually(t, 20*time.Second, func() error { _, err := os.Stat(file); return err })
	disturb(d)
	time.Sleep(20 * time.Millisecond) // what was done comes to the session in its own time
	require.NoError(t, os.Remove(file))
	var err error
	select {
	case err = <-answer:
	case <-time.After(20 * time.Second):
		t.Fatal("COMMIT has no answer")
	}
	cancel()
	d.p.stop(t)
	b.awaitRecovery(t)
	fresh := b.serve(t, binary)
	defer fresh.stop(t)
	after := fresh.open(t, b.schema)
	moved := one(t, after, "SELECT /*+ SERVAL(primary) */ balance FROM account WHERE id = "+d.x) != before
	require.Equal(t, "40000", one(t, after, "SELECT SUM(balance) FROM account FOR UPDATE"), "half a transfer")
	var server *mysql.MySQLError
	switch {
	case err == nil:
		require.True(t, moved, "it was acknowledged")
	case errors.As(err, &server):
		require.False(t, moved, "the client was told %v", err)
	}
	t.Logf("answer %v, moved %t", err, moved)
}

// A cluster that is taken out of the configuration while a branch is prepared on
// it is not forgotten; put back, the branch is ended.
func TestABranchOnAClusterThatIsTakenOutIsTold(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Own(t)
		cfg := settings{Schema: "gone", AllSchemas: true, Clusters: clusterLines(clusters)}
		p := startServal(t, s, cfg)
		all, err := os.ReadFile(p.Config)
		require.NoError(t, err)
		db := p.open(t, "")
		root := oneConn(t, clusters[1].Primary.DB())
		mustExec(t, root, "XA START 'serval:another:1','1:c0'", "XA END 'serval:another:1','1:c0'", "XA PREPARE 'serval:another:1','1:c0'")
		_ = root.Raw(func(any) error { return driver.ErrBadConn }) // MariaDB keeps a branch to its connection
		told := func(what string) func() error {
			return func() error {
				got := one(t, db, "SELECT CONCAT(COUNT(*), ' ', COALESCE(MAX(trouble), '')) FROM serval.transactions WHERE gtrid = 'serval:another:1'")
				if !strings.HasPrefix(got, what) {
					return errors.New(got)
				}
				return nil
			}
		}
		eventually(t, 10*time.Second, told("1 "))
		reload := func(text string) {
			require.NoError(t, os.WriteFile(p.Config, []byte(text), 0o600))
			require.NoError(t, p.cmd.Process.Signal(syscall.SIGHUP))
		}
		cfg.Clusters = clusterLines(clusters[:1])
		reload(cfg.yaml(p.Addr, p.Admin))
		eventually(t, 10*time.Second, told("1 cluster c1 is not in the configuration any more"))
		time.Sleep(6 * time.Second) // longer than recovery waits for another Serval's
		require.NoError(t, told("1 cluster c1 is not in the configuration any more")())
		reload(string(all))
		eventually(t, 20*time.Second, told("0 "))
		require.Error(t, clusters[1].Primary.DB().QueryRowContext(t.Context(), "XA RECOVER").Scan(), "no rows")
	})
}
