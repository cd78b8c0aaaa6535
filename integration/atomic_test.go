package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// faultPoints are the moments of a COMMIT over several clusters at which a
// Serval built for it ends itself as by kill -9 (executor/txn/fault_on.go).
var faultPoints = []string{"begin-commit", "prepared", "decided", "branch-committed", "committed"}

// No crash of Serval leaves half a transaction: transfers between accounts on
// different clusters go on while Serval ends at every step of the commit
// protocol and at random moments.
func TestNoCrashLeavesHalfATransaction(t *testing.T) { transfers(t, 3) }

// transfers kills Serval once at each fault point and kills times at random,
// then asks a fresh one.
func transfers(t *testing.T, kills int) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		faulty := buildFaulty(t)
		b := newBank(t, s.Clusters(t), "bank")
		for _, point := range faultPoints {
			p := b.serve(t, faulty, "SERVAL_FAULT="+point)
			b.work(t, p, 20*time.Second)
			p.awaitKilled(t)
		}
		r := rand.New(rand.NewPCG(1, 2))
		for range kills {
			p := b.serve(t, binary)
			go func() {
				time.Sleep(time.Duration(50+r.IntN(400)) * time.Millisecond) // a random moment is what is wanted
				_ = p.cmd.Process.Kill()
			}()
			b.work(t, p, 20*time.Second)
			p.awaitKilled(t)
		}
		b.check(t)
	})
}

// faulty is a Serval with the fault points in it.
var faulty part[string]

func buildFaulty(t *testing.T) string {
	t.Helper()
	return faulty.start(t, "serval with fault points", func() (string, error) {
		path := filepath.Join(tempDir, "serval-faulty")
		build := exec.Command("go", "build", "-tags", "fault", "-o", path, "./cmd/serval")
		build.Dir = ".."
		out, err := build.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("%w: %s", err, out)
		}
		return path, nil
	})
}

const (
	accounts  = 40
	firstRich = 1000 // of each account
)

const bankTables = `
account:  {shard: hash(id), shards: 4, on: [c0, c1]}
transfer: {shard: hash(id), shards: 4, on: [c0, c1]}
`

// bank is the accounts and what was acknowledged.
type bank struct {
	clusters []*mysqlproc.Cluster
	schema   string
	config   string
	listen   string
	admin    string

	mu    sync.Mutex
	acked map[int64]bool
	next  int64
}

func newBank(t *testing.T, clusters []*mysqlproc.Cluster, schema string) *bank {
	t.Helper()
	b := &bank{clusters: clusters, schema: schema, acked: map[int64]bool{}, listen: freeAddr(t), admin: freeAddr(t)}
	dropSchema(t, b.clusters, b.schema)
	t.Cleanup(func() { dropSchema(t, b.clusters, b.schema) })
	cfg := settings{Schema: b.schema, Tables: bankTables, Clusters: clusterLines(b.clusters)}
	b.config = filepath.Join(t.TempDir(), "bank.yaml")
	require.NoError(t, os.WriteFile(b.config, []byte(cfg.yaml(b.listen, b.admin)), 0o600))
	p := b.serve(t, binary)
	db := p.open(t, "")
	mustExec(t, oneConn(t, db), "CREATE DATABASE "+schema, "USE "+schema,
		"CREATE TABLE account (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)",
		"CREATE TABLE transfer (id BIGINT PRIMARY KEY, payer BIGINT NOT NULL, payee BIGINT NOT NULL, amount BIGINT NOT NULL)")
	for id := range accounts {
		mustExec(t, db, fmt.Sprintf("INSERT INTO %s.account VALUES (%d, %d)", schema, id, firstRich))
	}
	p.stop(t)
	return b
}

// serve starts a Serval of that binary.
func (b *bank) serve(t *testing.T, program string, env ...string) *serval {
	t.Helper()
	return startProgram(t, program, env, b.listen, b.admin, "-c", b.config)
}

// awaitKilled waits for the end of a Serval that is killed.
func (p *serval) awaitKilled(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		t.Fatalf("serval was to be killed and is alive\n%s", p.log)
	}
	var e *exec.ExitError
	require.ErrorAs(t, p.err, &e)
	require.Equal(t, syscall.SIGKILL, e.Sys().(syscall.WaitStatus).Signal(), "%s", p.log)
}

// work transfers money until Serval is gone, at most for that long.
func (b *bank) work(t *testing.T, p *serval, most time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	db := p.open(t, b.schema)
	var workers sync.WaitGroup
	var errs errorList
	for w := range 4 {
		r := rand.New(rand.NewPCG(uint64(w), uint64(b.next)))
		workers.Go(func() {
			for ctx.Err() == nil {
				if err := b.transfer(ctx, db, r); err != nil && !deadlock(err) {
					select {
					case <-p.done: // that is why
					case <-time.After(5 * time.Second):
						errs.add(err)
					}
					return
				}
			}
		})
	}
	workers.Wait()
	require.NoError(t, errs.first())
}

// transfer is one transaction over two accounts and the journal.
func (b *bank) transfer(ctx context.Context, db *sql.DB, r *rand.Rand) error {
	payer, payee, amount := r.IntN(accounts), r.IntN(accounts), 1+r.IntN(5)
	if payer == payee {
		return nil
	}
	b.mu.Lock()
	b.next++
	id := b.next
	b.mu.Unlock()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	steps := map[int]string{
		payer: fmt.Sprintf("UPDATE account SET balance = balance - %d WHERE id = %d", amount, payer),
		payee: fmt.Sprintf("UPDATE account SET balance = balance + %d WHERE id = %d", amount, payee),
	}
	for _, statement := range []string{
		steps[min(payer, payee)], steps[max(payer, payee)],
		fmt.Sprintf("INSERT INTO transfer VALUES (%d, %d, %d, %d)", id, payer, payee, amount),
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	b.mu.Lock()
	b.acked[id] = true
	b.mu.Unlock()
	return nil
}

// check asks a fresh Serval: nothing is prepared any more, every acknowledged
// transfer is there, and every account has what the journal says.
func (b *bank) check(t *testing.T) {
	t.Helper()
	p := b.serve(t, binary)
	b.awaitRecovery(t)
	for _, c := range b.clusters {
		require.NoError(t, c.Sync(t.Context()))
	}
	db := p.open(t, b.schema)
	balance := map[int64]int64{}
	for id := range int64(accounts) {
		balance[id] = firstRich
	}
	there := map[int64]bool{}
	eachRow(t, db, "SELECT id, payer, payee, amount FROM transfer", 4, func(v []int64) {
		there[v[0]] = true
		balance[v[1]] -= v[3]
		balance[v[2]] += v[3]
	})
	for id := range b.acked {
		require.True(t, there[id], "transfer %d was acknowledged and is lost", id)
	}
	sum := int64(0)
	eachRow(t, db, "SELECT id, balance FROM account", 2, func(v []int64) {
		require.Equal(t, balance[v[0]], v[1], "account %d has half a transfer", v[0])
		sum += v[1]
	})
	require.Equal(t, int64(accounts*firstRich), sum)
	require.NotEmpty(t, b.acked)
	t.Logf("%d transfers acknowledged, %d more committed without the client hearing of it", len(b.acked), len(there)-len(b.acked))
}

// awaitRecovery waits until no primary has a branch any more that was prepared
// when the wait began; those of the tests beside this one come and go.
func (b *bank) awaitRecovery(t *testing.T) {
	t.Helper()
	left := b.branches(t)
	eventually(t, 40*time.Second, func() error {
		now := b.branches(t)
		maps.DeleteFunc(left, func(id string, _ bool) bool { return !now[id] })
		if len(left) > 0 {
			return fmt.Errorf("%d branches are still prepared", len(left))
		}
		return nil
	})
}

// branches are the prepared ones of all primaries.
func (b *bank) branches(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, c := range b.clusters {
		rows, err := c.Primary.DB().QueryContext(t.Context(), "XA RECOVER")
		require.NoError(t, err)
		for rows.Next() {
			var format, gtrid, bqual int
			var id string
			require.NoError(t, rows.Scan(&format, &gtrid, &bqual, &id))
			all[c.Name+" "+id] = true
		}
		require.NoError(t, rows.Err())
	}
	return all
}

func eachRow(t *testing.T, db *sql.DB, query string, columns int, f func([]int64)) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		v := make([]int64, columns)
		to := make([]any, columns)
		for i := range v {
			to[i] = &v[i]
		}
		require.NoError(t, rows.Scan(to...))
		f(v)
	}
	require.NoError(t, rows.Err())
}
