package backend

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/topology"
)

// pair is a cluster of a primary p and a replica r, both fake.
type pair struct {
	f    *Fleet
	p, r *mysqltest.Server
	mu   sync.Mutex
	lost []string
	// gtidWait is what the replica answers to a wait for GTIDs.
	gtidWait string
}

func newPair(t *testing.T, change func(*FleetConfig)) *pair {
	pr := &pair{gtidWait: "0"}
	answer := func(s *mysqltest.Session, _ byte, arg []byte) error {
		if strings.HasPrefix(string(arg), "SELECT WAIT_FOR_EXECUTED_GTID_SET") {
			s.Result([]string{"w", "e"}, []string{pr.gtidWait, gtidUUID + ":1-50"})
			return nil
		}
		return okHandler(s, 0, nil)
	}
	pr.p, pr.r = mysqltest.Start(t, answer), mysqltest.Start(t, answer)
	cfg := FleetConfig{
		Clusters: []ClusterConfig{{
			Cluster: topology.Cluster{Name: "c0", Instances: []topology.Instance{{Addr: pr.p.Addr, Weight: 1}, {Addr: pr.r.Addr, Weight: 1}}},
			Config:  Config{ConnectTimeout: time.Second},
		}},
		HoldTimeout: 5 * time.Second, MaxLag: time.Second,
		Lost: func(addr string) { pr.mu.Lock(); pr.lost = append(pr.lost, addr); pr.mu.Unlock() },
	}
	if change != nil {
		change(&cfg)
	}
	pr.f = NewFleet(cfg)
	t.Cleanup(pr.f.Close)
	return pr
}

const gtidUUID = "9bfc7855-e73d-11f1-bfe5-02fc00000001"

// publish says who is the primary; the other one is a replica.
func (pr *pair) publish(primary string) {
	c := &topology.ClusterView{Name: "c0", Primary: primary, Why: "a test says so"}
	for _, addr := range []string{pr.p.Addr, pr.r.Addr} {
		in := topology.InstanceView{Instance: topology.Instance{Addr: addr, Weight: 1}, Up: true, Role: topology.RoleReplica,
			LagKnown: true, Executed: gtidUUID + ":1-10"}
		if addr == primary {
			in.Role = topology.RolePrimary
		} else if addr == pr.p.Addr {
			in.Up = false
		}
		c.Instances = append(c.Instances, in)
	}
	pr.f.Publish(&topology.View{Clusters: map[string]*topology.ClusterView{"c0": c}})
}

func (pr *pair) lostAddrs() []string {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	return append([]string(nil), pr.lost...)
}

// goes says which server a want leads to.
func (pr *pair) goes(t *testing.T, want Want) string {
	t.Helper()
	want.Cluster = "c0"
	conns, err := pr.f.Acquire(context.Background(), want)
	require.NoError(t, err)
	for _, c := range conns {
		c.Release(nil)
	}
	return conns[0].Addr()
}

func TestFleetTargets(t *testing.T) {
	pr := newPair(t, nil)
	pr.publish(pr.p.Addr)
	require.Equal(t, pr.p.Addr, pr.goes(t, Want{N: 2}))
	require.Equal(t, pr.r.Addr, pr.goes(t, Want{Target: topology.TargetReplica}))
	rows, err := pr.f.Select(context.Background(), "c0", "SELECT 1")
	require.NoError(t, err)
	require.Empty(t, rows)
	require.Len(t, pr.f.Stats(), 2)
}

func TestFleetReadsOwnWrites(t *testing.T) {
	read := func(n string) Want { return Want{Target: topology.TargetReplica, GTID: gtidUUID + ":" + n} }
	waits := func(s *mysqltest.Server) (n int) {
		for _, l := range s.Log() {
			if strings.HasPrefix(l, "query SELECT WAIT_FOR") {
				n++
			}
		}
		return n
	}
	t.Run("a replica known to have them answers without a wait", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.publish(pr.p.Addr)
		require.Equal(t, pr.r.Addr, pr.goes(t, read("10")))
		require.Zero(t, waits(pr.r))
	})
	t.Run("one that catches up is waited for once, and remembered", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.publish(pr.p.Addr)
		for _, n := range []string{"40", "45", "50"} {
			require.Equal(t, pr.r.Addr, pr.goes(t, read(n)))
		}
		require.Equal(t, 1, waits(pr.r))
	})
	t.Run("one that does not sends the read to the primary", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.gtidWait = "1"
		pr.publish(pr.p.Addr)
		require.Equal(t, pr.p.Addr, pr.goes(t, read("40")))
	})
	t.Run("nor does one that has not renamed the tables answer anything", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.gtidWait = "1"
		pr.publish(pr.p.Addr)
		pr.f.SetFloors(map[string]string{"c0": gtidUUID + ":1-11", "c1": gtidUUID + ":1-99"})
		require.Equal(t, pr.p.Addr, pr.goes(t, Want{Target: topology.TargetReplica}))
		require.Equal(t, pr.p.Addr, pr.goes(t, read("1-5")))
		pr.f.SetFloors(map[string]string{"c0": gtidUUID + ":1-10"})
		require.Nil(t, pr.f.floors.Load(), "it has, so nobody needs to look any more")
		require.Equal(t, pr.r.Addr, pr.goes(t, Want{Target: topology.TargetReplica}))
	})
	t.Run("what is no GTID never becomes SQL", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.publish(pr.p.Addr)
		require.Equal(t, pr.p.Addr, pr.goes(t, read("1', 0) OR SLEEP('9")))
		require.Zero(t, waits(pr.r))
	})
}

func TestFleetProof(t *testing.T) {
	t.Run("a session of which nobody knows what it wrote reads the primary", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.publish(pr.p.Addr)
		require.Equal(t, pr.p.Addr, pr.goes(t, Want{Target: topology.TargetReplica, Proof: &Proof{}}))
	})
	t.Run("MySQL's GTIDs say enough", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.publish(pr.p.Addr)
		proof := &Proof{Shown: func([][][]byte) bool { return false }}
		require.Equal(t, pr.r.Addr, pr.goes(t, Want{Target: topology.TargetReplica, Proof: proof}))
	})
	t.Run("MariaDB's do not: a replica is asked until it has shown it once", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.publish(pr.p.Addr)
		pr.r.SetVersion("10.11.6-MariaDB")
		shown, asked := false, 0
		proof := &Proof{Shown: func([][][]byte) bool { asked++; return shown }}
		want := Want{Target: topology.TargetReplica, Proof: proof}
		require.Equal(t, pr.p.Addr, pr.goes(t, want))
		shown = true
		require.Equal(t, pr.r.Addr, pr.goes(t, want))
		require.Equal(t, pr.r.Addr, pr.goes(t, want))
		require.Equal(t, 2, asked)
	})
}

func TestFleetReplicaThatCantBeReached(t *testing.T) {
	pr := newPair(t, nil)
	pr.publish(pr.p.Addr)
	pr.r.Close()
	require.Equal(t, pr.p.Addr, pr.goes(t, Want{Target: topology.TargetReplica}))
	require.Contains(t, pr.lostAddrs(), pr.r.Addr, "health is told")
	n := len(pr.lostAddrs())
	require.Equal(t, pr.p.Addr, pr.goes(t, Want{Target: topology.TargetReplica}))
	require.Len(t, pr.lostAddrs(), n, "it is left out for a while, not dialled again")
}

func TestFleetHolds(t *testing.T) {
	ctx := context.Background()
	acquire := func(pr *pair) chan string {
		done := make(chan string, 1)
		go func() {
			conns, err := pr.f.Acquire(ctx, Want{Cluster: "c0"})
			if err != nil {
				done <- err.Error()
				return
			}
			conns[0].Release(nil)
			done <- conns[0].Addr()
		}()
		return done
	}
	holding := func(t *testing.T, pr *pair, n int) {
		require.Eventually(t, func() bool { return pr.f.Holding() == n }, 5*time.Second, time.Millisecond)
	}
	t.Run("a write waits for a primary and goes to the one that comes", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.publish("")
		done := acquire(pr)
		holding(t, pr, 1)
		pr.publish(pr.r.Addr)
		require.Equal(t, pr.r.Addr, <-done)
		holding(t, pr, 0)
	})
	t.Run("a write to a primary that is gone waits for the next", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.publish(pr.p.Addr)
		pr.p.Close()
		done := acquire(pr)
		holding(t, pr, 1)
		require.Contains(t, pr.lostAddrs(), pr.p.Addr)
		pr.publish(pr.r.Addr)
		require.Equal(t, pr.r.Addr, <-done)
	})
	t.Run("a primary that turned read-only is not written to", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.p.SetReadOnly(true)
		pr.publish(pr.p.Addr)
		done := acquire(pr)
		holding(t, pr, 1)
		pr.publish(pr.r.Addr)
		require.Equal(t, pr.r.Addr, <-done)
	})
	t.Run("connections of before a demotion are asked again", func(t *testing.T) {
		pr := newPair(t, func(cfg *FleetConfig) { cfg.HoldTimeout = 10 * time.Millisecond })
		pr.publish(pr.p.Addr)
		require.Equal(t, pr.p.Addr, pr.goes(t, Want{}))
		pr.publish("")
		pr.p.SetReadOnly(true) // an account that ignores read_only would still write
		pr.publish(pr.p.Addr)
		_, err := pr.f.Acquire(ctx, Want{Cluster: "c0"})
		require.Equal(t, sqlerr.OptionPreventsWrite, code(err))
	})
	t.Run("the wait has an end, and the error says why and what to do", func(t *testing.T) {
		pr := newPair(t, func(cfg *FleetConfig) { cfg.HoldTimeout = 10 * time.Millisecond })
		pr.publish("")
		_, err := pr.f.Acquire(ctx, Want{Cluster: "c0"})
		require.Equal(t, sqlerr.OptionPreventsWrite, code(err))
		require.True(t, sqlerr.SafeToRetry(err))
		require.ErrorIs(t, err, ErrWaited, "nobody need wait a second time")
		require.Equal(t, "ERROR 1290 (HY000): Cluster c0 has no primary (read-only): a test says so; the statement waited 10ms. "+
			"Bring it back, or promote a replica: end its replication and SET GLOBAL read_only=OFF", err.Error())
	})
	t.Run("a server full of others' connections is asked again", func(t *testing.T) {
		full := sqlerr.New(sqlerr.TooManyConnections, "Too many connections").Retryable()
		require.True(t, worthHolding(ctx, full))
		require.False(t, worthHolding(ctx, full.WithCause(ErrWaited)), "a full pool has waited already")
	})
	t.Run("not more than HoldMax wait", func(t *testing.T) {
		pr := newPair(t, func(cfg *FleetConfig) { cfg.HoldMax = 1 })
		pr.publish("")
		done := acquire(pr)
		holding(t, pr, 1)
		_, err := pr.f.Acquire(ctx, Want{Cluster: "c0"})
		require.ErrorContains(t, err, "too many statements wait")
		pr.publish(pr.p.Addr)
		<-done
	})
	t.Run("a read goes on with a replica while there is no primary", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.publish("")
		require.Equal(t, pr.r.Addr, pr.goes(t, Want{Target: topology.TargetReplica}))
	})
	t.Run("who is cancelled waits no longer", func(t *testing.T) {
		pr := newPair(t, nil)
		cctx, cancel := context.WithCancel(ctx)
		cancel()
		_, err := pr.f.Acquire(cctx, Want{Cluster: "c0"})
		require.Equal(t, sqlerr.QueryInterrupted, code(err))
	})
}

func TestFleetUpdate(t *testing.T) {
	pr := newPair(t, nil)
	pr.publish(pr.p.Addr)
	kept := (*pr.f.pools.Load())[pr.p.Addr]
	pr.f.Update([]ClusterConfig{{
		Cluster: topology.Cluster{Name: "c0", Instances: []topology.Instance{{Addr: pr.p.Addr}}},
		Config:  Config{ConnectTimeout: time.Second},
	}})
	require.Same(t, kept, (*pr.f.pools.Load())[pr.p.Addr])
	require.Len(t, pr.f.Stats(), 1)
	require.Equal(t, pr.p.Addr, pr.goes(t, Want{Target: topology.TargetReplica}), "the replica is gone")
	pr.f.Update([]ClusterConfig{{
		Cluster: topology.Cluster{Name: "c0", Instances: []topology.Instance{{Addr: pr.p.Addr}}},
		Config:  Config{ConnectTimeout: time.Second, Password: "new"},
	}})
	require.NotSame(t, kept, (*pr.f.pools.Load())[pr.p.Addr], "a new password needs new connections")
}

// publishDown says that the replica is not reached.
func (pr *pair) publishDown() {
	pr.f.Publish(&topology.View{Clusters: map[string]*topology.ClusterView{"c0": {Name: "c0", Primary: pr.p.Addr, Instances: []topology.InstanceView{
		{Instance: topology.Instance{Addr: pr.p.Addr}, Up: true, Role: topology.RolePrimary},
		{Instance: topology.Instance{Addr: pr.r.Addr, Weight: 1}},
	}}}})
}

// A server that was frozen, or whose network swallows packets, takes no
// statement with it for longer than its probes need to be sure.
func TestFleetGivesUpAServerThatDoesNotAnswer(t *testing.T) {
	asked := make(chan struct{})
	pr := newPair(t, nil)
	pr.r = mysqltest.Start(t, func(s *mysqltest.Session, _ byte, _ []byte) error {
		close(asked)
		s.WaitClosed()
		return nil
	})
	pr.f.Update([]ClusterConfig{{
		Cluster: topology.Cluster{Name: "c0", Instances: []topology.Instance{{Addr: pr.p.Addr}, {Addr: pr.r.Addr, Weight: 1}}},
		Config:  Config{ConnectTimeout: time.Second},
	}})
	pr.publish(pr.p.Addr)
	conns, err := pr.f.Acquire(context.Background(), Want{Cluster: "c0", Target: topology.TargetReplica})
	require.NoError(t, err)
	require.Equal(t, pr.r.Addr, conns[0].Addr())
	failed := make(chan error, 1)
	go func() {
		_, err := conns[0].Exec(context.Background(), "SELECT 1")
		conns[0].Release(err)
		failed <- err
	}()
	<-asked
	pr.publishDown()
	select {
	case err := <-failed:
		t.Fatalf("given up at the first sign: %v", err)
	case <-time.After(50 * time.Millisecond): // it must still wait: there is no event to wait for
	}
	s := (*pr.f.pools.Load())[pr.r.Addr]
	pr.f.mu.Lock()
	s.down = s.down.Add(-stallTime)
	pr.f.mu.Unlock()
	pr.publishDown()
	err = <-failed
	require.Equal(t, sqlerr.ServerLost, code(err))
	require.ErrorContains(t, err, "does not answer any more")
	require.Zero(t, s.pool.Stats().Idle, "its connection is not used again")
}

func TestFleetFollowsAPromotion(t *testing.T) {
	ctx := context.Background()
	t.Run("what is open on the old primary is not written to any more", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.publish(pr.p.Addr)
		conns, err := pr.f.Acquire(ctx, Want{Cluster: "c0"})
		require.NoError(t, err)
		_, err = conns[0].Exec(ctx, "BEGIN")
		require.NoError(t, err)
		pr.publish("")
		_, err = conns[0].Exec(ctx, "UPDATE t SET a = 1")
		require.NoError(t, err, "there is no other primary yet")
		pr.publish(pr.r.Addr)
		_, err = conns[0].Exec(ctx, "COMMIT")
		require.ErrorContains(t, err, "no longer the primary")
		require.True(t, sqlerr.SafeToRetry(err), "nothing was sent")
		require.NotContains(t, pr.p.Log(), "query COMMIT")
		conns[0].Release(err)
		require.Zero(t, (*pr.f.pools.Load())[pr.p.Addr].pool.Stats().Idle)
	})
	t.Run("one refusal to write puts every connection in doubt", func(t *testing.T) {
		pr := newPair(t, func(cfg *FleetConfig) { cfg.HoldTimeout = 10 * time.Millisecond })
		pr.publish(pr.p.Addr)
		conns, err := pr.f.Acquire(ctx, Want{Cluster: "c0", N: 3})
		require.NoError(t, err)
		pr.p.SetReadOnly(true)
		_ = conns[0].serverError(wire.AppendErr(nil, sqlerr.New(sqlerr.OptionPreventsWrite, "running with the --read-only option")))
		for _, c := range conns {
			c.outstanding = 0 // no command was sent for that answer
			c.Release(nil)
		}
		_, err = pr.f.Acquire(ctx, Want{Cluster: "c0"})
		require.Equal(t, sqlerr.OptionPreventsWrite, code(err), "any of them would have been refused again")
	})
	t.Run("who may not wait is told at once", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.publish("")
		_, err := pr.f.Acquire(ctx, Want{Cluster: "c0", NoHold: true})
		require.ErrorContains(t, err, "a test says so")
		require.Zero(t, pr.f.Holding())
	})
	t.Run("what a replica was seen to have is forgotten with the next view", func(t *testing.T) {
		pr := newPair(t, nil)
		pr.publish(pr.p.Addr)
		want := Want{Target: topology.TargetReplica, GTID: gtidUUID + ":40"}
		require.Equal(t, pr.r.Addr, pr.goes(t, want))
		pr.publishDown() // its last seconds may be lost
		pr.gtidWait = "1"
		pr.publish(pr.p.Addr)
		require.Equal(t, pr.p.Addr, pr.goes(t, want))
	})
}
