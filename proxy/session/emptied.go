package session

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// TRUNCATE of a table with lookup tables. One connection a cluster locks all
// shards of all of them there; once every cluster has, nobody has an open
// transaction on them and nobody begins one. Then the table is emptied, then its
// lookup tables: what a crash in between leaves are values that seem taken, never
// rows whose values are not kept. Running it again mends that.

const (
	// emptyWait is how long TRUNCATE waits for those who use the table, emptyTry
	// how long for one of the clusters while it holds others: somebody who waits
	// there may be waited for here.
	emptyWait = 20 * time.Second
	emptyTry  = "2"
	// errLockWait is ER_LOCK_WAIT_TIMEOUT.
	errLockWait = 1205
)

// emptying is one TRUNCATE at work. conns are its connections by cluster.
type emptying struct {
	s     *Session
	n     *plan.Emptied
	conns map[string]*backend.Conn
	mu    struct {
		sync.Mutex
		gtids map[string]string
		begun bool // a shard is empty
	}
}

// empty runs a TRUNCATE.
func (s *Session) empty(ctx context.Context, n *plan.Emptied) (out executor.Outcome, err error) {
	if s.locksTables() {
		return out, sqlerr.Refuse("TRUNCATE of "+n.Table.Table+" under LOCK TABLES", "its lookup tables would have to be locked, too", "UNLOCK TABLES first")
	}
	if s.deps.Jobs != nil {
		alone, err := s.deps.Jobs.Alone(ctx, n.Home, n.Table.Schema, n.Table.Table)
		if err != nil {
			return out, err
		}
		defer alone.Close()
	}
	e := &emptying{s: s, n: n, conns: map[string]*backend.Conn{}}
	defer e.unlock()
	if err := e.lock(ctx); err != nil {
		return out, err
	}
	for i := range n.Of {
		if err := e.truncate(ctx, i); err != nil {
			return out, e.failed(err)
		}
	}
	return executor.Outcome{Rows: -1, GTIDs: e.mu.gtids}, nil
}

// places are the tables' quoted names on each cluster.
func (e *emptying) places(some []int) map[string][]string {
	out := map[string][]string{}
	for _, i := range some {
		for _, shard := range e.n.Of[i].Shards {
			out[shard.Cluster] = append(out[shard.Cluster], sqlval.QuoteName(shard.Database)+"."+sqlval.QuoteName(shard.Table))
		}
	}
	return out
}

// lock locks all tables on all clusters, or none.
func (e *emptying) lock(ctx context.Context) error {
	all := make([]int, len(e.n.Of))
	for i := range all {
		all[i] = i
	}
	places := e.places(all)
	for deadline := time.Now().Add(emptyWait); ; {
		err := e.tryLock(ctx, places)
		if err == nil || sqlerr.From(err).Code != errLockWait || time.Now().After(deadline) {
			return err
		}
		e.unlock()
	}
}

func (e *emptying) tryLock(ctx context.Context, places map[string][]string) error {
	for _, cluster := range slices.Sorted(maps.Keys(places)) {
		conns, err := e.s.deps.Fleet.Acquire(ctx, e.s.wantPrimary(cluster, 1))
		if err != nil {
			return err
		}
		e.conns[cluster] = conns[0]
		conns[0].Want(e.s.settings.state(false))
		for _, sql := range []string{"SET SESSION lock_wait_timeout = " + emptyTry, "LOCK TABLES " + strings.Join(places[cluster], " WRITE, ") + " WRITE"} {
			if _, err := conns[0].Exec(ctx, sql); err != nil {
				return err
			}
		}
	}
	return nil
}

// unlock gives all locks back, and the connections up.
func (e *emptying) unlock() {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackTime)
	defer cancel()
	for cluster, c := range e.conns {
		if c.Usable() {
			_, _ = c.Exec(ctx, "UNLOCK TABLES") // they go with the connection
		}
		c.Discard()
		delete(e.conns, cluster)
	}
}

// truncate empties every shard of one of the tables, clusters side by side.
func (e *emptying) truncate(ctx context.Context, i int) error {
	var clusters sync.WaitGroup
	places := e.places([]int{i})
	errs := make([]error, 0, len(places))
	for cluster, tables := range places {
		clusters.Go(func() {
			for _, table := range tables {
				ok, err := e.conns[cluster].Exec(ctx, "TRUNCATE TABLE "+table)
				e.note(cluster, ok.Tracked.GTIDs, err, &errs)
				if err != nil {
					return
				}
			}
		})
	}
	clusters.Wait()
	return errors.Join(errs...)
}

func (e *emptying) note(cluster, gtids string, err error, errs *[]error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		*errs = append(*errs, err)
		return
	}
	if e.mu.begun = true; gtids != "" {
		if e.mu.gtids == nil {
			e.mu.gtids = map[string]string{}
		}
		e.mu.gtids[cluster] = topology.JoinGTIDs(e.mu.gtids[cluster], gtids)
	}
}

// failed is the error in the table's own names.
func (e *emptying) failed(err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	told := *sqlerr.From(err)
	for _, p := range e.n.Of {
		for _, shard := range p.Shards {
			told.Message = strings.ReplaceAll(told.Message, sqlval.QuoteName(shard.Database)+"."+sqlval.QuoteName(shard.Table), sqlval.QuoteName(p.Schema)+"."+sqlval.QuoteName(p.Table))
		}
	}
	if e.mu.begun {
		told.Message += "; some shards of " + e.n.Table.Table + " are empty now, and values seem taken that are not: run it again"
	}
	return (&told).WithCause(err)
}
