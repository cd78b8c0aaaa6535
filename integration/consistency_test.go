package integration

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// A session reads what it wrote even when no replica has it yet; others may
// read the past from a replica.
func TestReadYourWrites(t *testing.T) {
	eachEngineAlone(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		dropSchema(t, clusters, "ryw")
		t.Cleanup(func() { dropSchema(t, clusters, "ryw") })
		// No replica is ever left out for its lag: only GTIDs keep reads right.
		p := startServal(t, s, settings{Schema: "ryw", Tables: simpleTables, Extra: "replicas: {max_lag: 10h}\n"})
		writer := oneConn(t, p.open(t, ""))
		mustExec(t, writer, "CREATE DATABASE ryw", "USE ryw", createT)
		fillT(t, writer, 40)
		for _, c := range clusters {
			require.NoError(t, c.Sync(t.Context()))
			require.NoError(t, c.Replicas[0].Delay(t.Context(), time.Hour))
		}
		t.Cleanup(func() {
			for _, c := range clusters {
				require.NoError(t, c.Replicas[0].Delay(context.Background(), 0))
				require.NoError(t, c.Sync(context.Background()))
			}
		})
		for id := 1; id <= 40; id++ {
			mustExec(t, writer, fmt.Sprintf("UPDATE t SET n = %d WHERE id = %d", 1000+id, id))
			require.Equal(t, fmt.Sprint(1000+id), one(t, writer, fmt.Sprintf("SELECT n FROM t WHERE id = %d", id)), "text, right after the write")
			require.Equal(t, fmt.Sprint(1000+id), one(t, writer, "SELECT n FROM t WHERE id = ?", id), "prepared")
		}
		require.Equal(t, fmt.Sprint(40*1000+40*41/2), one(t, writer, "SELECT SUM(n) FROM t"), "over all shards")
		mustExec(t, writer, "BEGIN", "UPDATE t SET n = 1 WHERE id = 1", "COMMIT")
		require.Equal(t, "1", one(t, writer, "SELECT n FROM t WHERE id = 1"), "after a transaction's commit")
		require.Equal(t, "1", one(t, writer, "SELECT /*+ SERVAL(primary) */ n FROM t WHERE id = 1"))

		other := oneConn(t, p.open(t, "ryw"))
		require.Equal(t, "9", one(t, other, "SELECT /*+ SERVAL(replica) */ n FROM t WHERE id = 9"), "another session may read a replica's past")
	})
}

// With replicas that run freely, no interleaving lets a session miss its write.
func TestReadYourWritesUnderLoad(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "rywload")
		db := p.open(t, "rywload")
		fillT(t, db, 16)
		var sessions sync.WaitGroup
		for w := range 8 {
			conn := oneConn(t, db)
			sessions.Go(func() {
				for i := range 60 {
					id := w*2 + 1 + i%2
					if _, err := conn.ExecContext(t.Context(), "UPDATE t SET n = ? WHERE id = ?", i+100, id); err != nil {
						t.Errorf("write: %v", err)
						return
					}
					var n int
					if err := conn.QueryRowContext(t.Context(), "SELECT n FROM t WHERE id = ?", id).Scan(&n); err != nil || n != i+100 {
						t.Errorf("session %d wrote %d and read %d (%v)", w, i+100, n, err)
						return
					}
				}
			})
		}
		sessions.Wait()
	})
}

// Plain reads go to replicas; writes and transactions to the primary.
func TestReadsGoToReplicas(t *testing.T) {
	eachEngineAlone(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "rwsplit")
		conn := oneConn(t, p.open(t, "rwsplit"))
		fillT(t, conn, 50)
		s.sync(t)
		reader := oneConn(t, p.open(t, "rwsplit"))
		before := questions(t, s)
		const reads = 200
		for i := range reads {
			require.Equal(t, fmt.Sprint(i%50+1), one(t, reader, fmt.Sprintf("SELECT id FROM t WHERE id = %d", i%50+1)))
		}
		after := questions(t, s)
		onReplicas := after.replicas - before.replicas
		require.GreaterOrEqual(t, onReplicas, int64(reads*9/10), "selects answered by replicas")
		before = questions(t, s)
		mustExec(t, reader, "BEGIN")
		for i := range 50 {
			one(t, reader, fmt.Sprintf("SELECT id FROM t WHERE id = %d", i+1))
		}
		mustExec(t, reader, "COMMIT")
		for i := range 50 {
			one(t, reader, fmt.Sprintf("SELECT id FROM t WHERE id = %d FOR UPDATE", i+1))
		}
		after = questions(t, s)
		require.GreaterOrEqual(t, after.primaries-before.primaries, int64(100), "reads in transactions and locking reads are the primary's")
	})
}

// selects are the servers' own counts of SELECT statements.
type selects struct{ primaries, replicas int64 }

func questions(t *testing.T, s *serverSet) selects {
	t.Helper()
	var total selects
	read := func(server *mysqlproc.Server) (sum int64) {
		for _, name := range []string{"Com_select", "Com_stmt_execute"} {
			var variable string
			var n int64
			require.NoError(t, server.DB().QueryRowContext(t.Context(), "SHOW GLOBAL STATUS LIKE '"+name+"'").Scan(&variable, &n))
			sum += n
		}
		return sum
	}
	for _, c := range s.Clusters(t) {
		total.primaries += read(c.Primary)
		total.replicas += read(c.Replicas[0])
	}
	return total
}

// What befalls a cluster that Serval has found the primary of by itself, one
// after the other.
func TestFailover(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		t.Run("a replica is killed", func(t *testing.T) { replicaKilled(t, s) })
		t.Run("a promotion from outside", func(t *testing.T) { promotionFromOutside(t, s) })
		t.Run("writes are held without a primary", func(t *testing.T) { writesAreHeld(t, s) })
	})
}

// A replica that dies takes no read with it but the one in its hands.
func replicaKilled(t *testing.T, s *serverSet) {
	p := startFailover(t, s, "replicakilled")
	c := s.Failover(t)
	db := p.open(t, "replicakilled")
	mustExec(t, db, "CREATE TABLE t (id INT PRIMARY KEY, n INT)", "INSERT INTO t VALUES (1, 1)")
	require.NoError(t, c.Sync(t.Context()))
	require.NoError(t, c.Replicas[0].Kill9())
	t.Cleanup(func() { require.NoError(t, c.Replicas[0].Restart(context.Background())) })
	failed := 0
	for range 200 {
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT n FROM t WHERE id = 1").Scan(&n); err != nil {
			failed++
		}
	}
	require.Zero(t, failed, "reads outside transactions are tried again elsewhere")
}

// startFailover is a Serval for the cluster to break, its primary found by itself.
func startFailover(t *testing.T, s *serverSet, schema string) *serval {
	t.Helper()
	c := s.Failover(t)
	dropSchema(t, []*mysqlproc.Cluster{c}, schema)
	t.Cleanup(func() { dropSchema(t, []*mysqlproc.Cluster{c}, schema) })
	p := startServal(t, s, settings{Schema: schema, Clusters: serverLines(c), Home: c.Name})
	mustExec(t, p.open(t, ""), "CREATE DATABASE "+schema)
	return p
}

// A promotion done from outside is followed: writes wait for the new primary
// instead of failing, and none is lost or written to two servers.
func promotionFromOutside(t *testing.T, s *serverSet) {
	p := startFailover(t, s, "promotion")
	c := s.Failover(t)
	db := p.open(t, "promotion")
	mustExec(t, db, "CREATE TABLE t (id INT PRIMARY KEY)")
	require.NoError(t, c.Sync(t.Context()))

	var acknowledged atomic.Int64
	var errs errorList
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := db.ExecContext(context.WithoutCancel(ctx), "INSERT INTO t VALUES (?)", w*1_000_000+i); err != nil {
					errs.add(err)
					continue
				}
				acknowledged.Add(1)
			}
		})
	}
	for range 2 { // there and back
		reach(t, &acknowledged, 50)
		require.NoError(t, c.Promote(t.Context(), c.Replicas[0]))
		reach(t, &acknowledged, 50)
	}
	cancel()
	writers.Wait()
	require.NoError(t, c.Sync(t.Context()))
	var rows int64
	require.NoError(t, c.Primary.DB().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM promotion.t").Scan(&rows))
	require.GreaterOrEqual(t, rows, acknowledged.Load(), "no acknowledged write is lost")
	t.Logf("%d writes acknowledged over two promotions, %d failed: %v", acknowledged.Load(), errs.len(), errs.first())
	require.LessOrEqual(t, errs.len(), 16, "writes are held while there is no primary: only those in flight may fail")
}

// reach waits until the counter has grown by n.
func reach(t *testing.T, counter *atomic.Int64, n int64) {
	t.Helper()
	goal := counter.Load() + n
	eventually(t, 30*time.Second, func() error {
		if now := counter.Load(); now < goal {
			return fmt.Errorf("%d writes, %d wanted", now, goal)
		}
		return nil
	})
}

// errorList is errors from several goroutines.
type errorList struct {
	mu  sync.Mutex
	all []error
}

func (l *errorList) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, err)
}

func (l *errorList) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

func (l *errorList) first() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return nil
	}
	return l.all[0]
}

// While there is no primary, a write waits; it is done when one is there.
func writesAreHeld(t *testing.T, s *serverSet) {
	p := startFailover(t, s, "held")
	c := s.Failover(t)
	db := p.open(t, "held")
	mustExec(t, db, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	require.NoError(t, c.Sync(t.Context()))
	old := c.Primary
	require.NoError(t, old.Kill9())
	t.Cleanup(func() {
		ctx := context.Background()
		require.NoError(t, old.Restart(ctx))
		require.NoError(t, old.SetReadOnly(ctx, true))
		require.NoError(t, old.Follow(ctx, c.Primary))
	})
	require.Equal(t, "1", one(t, db, "SELECT COUNT(*) FROM t"), "reads go on")
	written := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(t.Context(), "INSERT INTO t VALUES (2)")
		written <- err
	}()
	select {
	case err := <-written:
		t.Fatalf("the write did not wait for a primary: %v", err)
	case <-time.After(1500 * time.Millisecond): // it must not end: there is nothing to wait on
	}
	require.NoError(t, c.Promote(t.Context(), c.Replicas[0]))
	select {
	case err := <-written:
		require.NoError(t, err, "the held write is done on the new primary")
	case <-time.After(20 * time.Second):
		t.Fatal("the held write did not go on")
	}
	require.Equal(t, "2", one(t, db, "SELECT COUNT(*) FROM t"))
}
