package backend

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/topology"
)

// ClusterConfig is a cluster and how to log in to its servers.
type ClusterConfig struct {
	topology.Cluster
	Config Config
}

// FleetConfig is what a Fleet decides by. Zero fields mean the defaults said
// at each.
type FleetConfig struct {
	Clusters []ClusterConfig
	// HoldTimeout is how long a statement waits while its cluster has no
	// primary, HoldMax how many wait at once. Default 10 s and 1000.
	HoldTimeout time.Duration
	HoldMax     int
	// MaxLag leaves out replicas that are further behind or whose lag is
	// unknown; 0 leaves out none.
	MaxLag time.Duration
	// WaitForGTID is how long a read waits for a replica to have what its
	// session wrote, before the primary answers. Default 30 ms.
	WaitForGTID time.Duration
	// Lost is told the address of a server that failed a statement, so that
	// health looks at once. Must not block; nil is nobody.
	Lost func(addr string)
	// Random picks among replicas; nil is math/rand.
	Random func() uint64
}

// Want is what a statement asks of a cluster.
type Want struct {
	Cluster string
	Target  topology.Target
	// GTID is what a replica must have executed: the session's own writes.
	GTID string
	// Proof is asked of a replica that has GTID; nil asks nothing.
	Proof *Proof
	// Zone is preferred among replicas.
	Zone string
	// N connections to one server, at least one.
	N int
	// FoundRows: affected rows are the rows matched.
	FoundRows bool
	// Apart: it is one of the connections on which queries are finished, which are
	// bounded by themselves (see apartShare): whoever waits for one of them
	// holds nothing that others need to come to an end. Over: it does hold
	// such things (a transaction), so it does not wait, however many there are.
	Apart, Over bool
	// NoHold: where there is no primary say so at once; for Serval's own needs,
	// which are tried again anyway.
	NoHold bool
}

// Fleet is the pools of all servers, and the way from a cluster's name to the
// server that may answer. Safe for concurrent use.
type Fleet struct {
	cfg   FleetConfig
	view  atomic.Pointer[topology.View]
	pools atomic.Pointer[map[string]*server] // by address; replaced, never changed
	// floors are what replicas must have executed for any read, by cluster; nil
	// for nothing.
	floors atomic.Pointer[map[string]string]
	holds  atomic.Int64

	mu struct {
		sync.Mutex
		// changed is closed, and replaced, with each new view.
		changed chan struct{}
		// primaries are the last primaries there were, by cluster.
		primaries map[string]string
	}
	// epoch counts changes of any cluster's primary; a connection shown to be
	// writable in an older one is asked again.
	epoch atomic.Uint64
}

// server is one server of the fleet.
type server struct {
	pool *Pool
	// apart has the connections of Want.Apart.
	apart *Pool
	// executed is a GTID set newer than the view's, seen by a wait.
	executed atomic.Pointer[string]
	// out is until when (Unix nanoseconds) it is left out after a failure.
	out atomic.Int64
	// down is since when no probe has reached it, zero while they do; guarded
	// by Fleet.mu.
	down time.Time
}

// stallTime is how long a server may be down before the statements that still
// wait for it are given up: long enough for probes that were late, not it.
const stallTime = 3 * time.Second

// outTime is how long a replica that failed is left out without asking; the
// next probe knows better by then.
const outTime = time.Second

// NewFleet makes the pools of all clusters. Until the first Publish nobody
// knows a primary, and statements wait.
func NewFleet(cfg FleetConfig) *Fleet {
	if cfg.HoldTimeout <= 0 {
		cfg.HoldTimeout = 10 * time.Second
	}
	if cfg.HoldMax <= 0 {
		cfg.HoldMax = 1000
	}
	if cfg.WaitForGTID <= 0 {
		cfg.WaitForGTID = 30 * time.Millisecond
	}
	if cfg.Random == nil {
		cfg.Random = rand.Uint64
	}
	if cfg.Lost == nil {
		cfg.Lost = func(string) {}
	}
	f := &Fleet{cfg: cfg}
	f.mu.changed = make(chan struct{})
	f.mu.primaries = map[string]string{}
	f.epoch.Store(1)
	f.view.Store(&topology.View{})
	f.pools.Store(&map[string]*server{})
	f.Update(cfg.Clusters)
	return f
}

// Update replaces the clusters: pools of servers that are gone, or whose login
// changed, are closed; the others stay with the limits they have.
func (f *Fleet) Update(clusters []ClusterConfig) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old, next := *f.pools.Load(), map[string]*server{}
	for _, cluster := range clusters {
		for _, in := range cluster.Instances {
			if next[in.Addr] != nil {
				continue
			}
			if s := old[in.Addr]; s != nil && s.pool.sameLogin(cluster.Config) {
				next[in.Addr] = s
				continue
			}
			cfg := cluster.Config
			cfg.OnLost = f.cfg.Lost
			few := cfg
			few.MaxConns = max(minApart, cfg.withDefaults().MaxConns/apartShare)
			next[in.Addr] = &server{pool: NewPool(in.Addr, cfg), apart: NewPool(in.Addr, few)}
		}
	}
	f.pools.Store(&next)
	for addr, s := range old {
		if next[addr] != s {
			s.close()
		}
	}
}

const (
	// apartShare: of so many connections that a server may have, one more is for
	// finishing queries, and at least minApart.
	apartShare = 4
	minApart   = 2
)

// acquire takes connections from the pool they are to come from.
func (s *server) acquire(ctx context.Context, want *Want) ([]*Conn, error) {
	switch {
	case !want.Apart:
		return s.pool.Acquire(ctx, want.N, want.FoundRows)
	case want.Over:
		return s.apart.acquireOver(ctx, want.FoundRows)
	}
	return s.apart.Acquire(ctx, want.N, want.FoundRows)
}

func (s *server) close() {
	s.pool.Close()
	s.apart.Close()
}

// Publish is how health tells the fleet what it sees.
func (f *Fleet) Publish(v *topology.View) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if primariesDiffer(f.view.Load(), v) {
		f.epoch.Add(1)
	}
	old := f.view.Load()
	f.view.Store(v)
	f.followLocked(old, v)
	f.raiseLocked(f.floors.Load(), v)
	close(f.mu.changed)
	f.mu.changed = make(chan struct{})
}

// SetFloors says what replicas must have executed before they answer anything,
// by cluster, in place of what was said before: tables were renamed, and a
// replica that has not done it yet has other rows under their names.
func (f *Fleet) SetFloors(floors map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.raiseLocked(&floors, f.view.Load())
}

// raiseLocked leaves the floors out that all of a cluster's servers are above.
func (f *Fleet) raiseLocked(floors *map[string]string, v *topology.View) {
	if floors == nil {
		return
	}
	left := map[string]string{}
	for name, gtids := range *floors {
		c := v.Cluster(name)
		if c == nil || slices.ContainsFunc(c.Instances, func(in topology.InstanceView) bool {
			return in.Addr != c.Primary && !topology.HasGTIDs(in.Executed, gtids)
		}) {
			left[name] = gtids
		}
	}
	if len(left) == 0 {
		f.floors.Store(nil)
		return
	}
	f.floors.Store(&left)
}

// followLocked has the pools follow what the view says of their servers.
func (f *Fleet) followLocked(old, v *topology.View) {
	pools, now := *f.pools.Load(), time.Now()
	for name, c := range v.Clusters {
		if c.Primary != "" {
			last := f.mu.primaries[name]
			if s := pools[last]; s != nil && last != c.Primary {
				s.pool.retire()
				s.apart.retire()
			}
			f.mu.primaries[name] = c.Primary
		}
		was := old.Cluster(name)
		for i := range c.Instances {
			in := &c.Instances[i]
			s := pools[in.Addr]
			if s == nil {
				continue
			}
			if was == nil || i >= len(was.Instances) || was.Instances[i].Executed != in.Executed {
				// The view is newer; and a server that came back from a crash
				// or a backup may have less than it had.
				s.executed.Store(nil)
			}
			switch {
			case in.Up:
				s.down = time.Time{}
			case s.down.IsZero():
				s.down = now
			case now.Sub(s.down) >= stallTime:
				s.pool.stall()
				s.apart.stall()
			}
		}
	}
}

func primariesDiffer(a, b *topology.View) bool {
	for name, c := range b.Clusters {
		if was := a.Cluster(name); was == nil || was.Primary != c.Primary {
			return true
		}
	}
	return false
}

// View is what is known of the clusters now.
func (f *Fleet) View() *topology.View { return f.view.Load() }

// snapshot gives the view and the channel that closes when it is outdated.
func (f *Fleet) snapshot() (*topology.View, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.view.Load(), f.mu.changed
}

// Stats gives the numbers of all pools.
func (f *Fleet) Stats() []Stats {
	pools := *f.pools.Load()
	out := make([]Stats, 0, len(pools))
	for _, s := range pools {
		out = append(out, s.pool.Stats().plus(s.apart.Stats()))
	}
	return out
}

// Holding is how many statements wait for a primary now.
func (f *Fleet) Holding() int { return int(f.holds.Load()) }

// Close closes all pools; busy connections close as they are released.
func (f *Fleet) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range *f.pools.Load() {
		s.close()
	}
}

// Select runs one query on the cluster's primary, for Serval's own needs.
func (f *Fleet) Select(ctx context.Context, cluster, sql string) (rows [][][]byte, err error) {
	conns, err := f.Acquire(ctx, Want{Cluster: cluster, N: 1})
	if err != nil {
		return nil, err
	}
	defer func() { conns[0].Release(err) }()
	_, rows, err = conns[0].Select(ctx, sql)
	return rows, err
}

// Acquire gives want.N connections to one server of the cluster that may
// answer. For a primary that is missing or has just gone it waits, bounded by
// HoldTimeout and ctx. All errors are SafeToRetry except those of the login.
func (f *Fleet) Acquire(ctx context.Context, want Want) ([]*Conn, error) {
	want.N = max(want.N, 1)
	if want.Target == topology.TargetReplica {
		if conns := f.replica(ctx, want); conns != nil {
			return conns, nil
		}
	}
	var last error
	if c := f.View().Cluster(want.Cluster); c != nil && c.Primary != "" {
		conns, err := f.primary(ctx, c.Primary, want)
		if err == nil || !worthHolding(ctx, err) {
			return conns, err
		}
		last = err
	}
	if want.NoHold {
		return nil, f.noPrimary(want.Cluster, "", last)
	}
	return f.hold(ctx, want)
}

// retryEvery: a held statement tries the primary again this often, though no
// news came: it may only have been restarted.
const retryEvery = 200 * time.Millisecond

// hold waits for a primary, or for a replica where one will do.
func (f *Fleet) hold(ctx context.Context, want Want) ([]*Conn, error) {
	if f.holds.Add(1) > int64(f.cfg.HoldMax) {
		f.holds.Add(-1)
		return nil, f.noPrimary(want.Cluster, "; too many statements wait for one already", nil).WithCause(ErrWaited)
	}
	defer f.holds.Add(-1)
	deadline := time.NewTimer(f.cfg.HoldTimeout)
	defer deadline.Stop()
	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	var last error
	for {
		view, changed := f.snapshot()
		if want.Target == topology.TargetReplica {
			if conns := f.replica(ctx, want); conns != nil {
				return conns, nil
			}
		}
		if c := view.Cluster(want.Cluster); c != nil && c.Primary != "" {
			conns, err := f.primary(ctx, c.Primary, want)
			if err == nil || !worthHolding(ctx, err) {
				return conns, err
			}
			last = err
		}
		select {
		case <-changed:
		case <-retry.C:
		case <-ctx.Done():
			return nil, sqlerr.From(ctx.Err()).Retryable()
		case <-deadline.C:
			if last != nil && sqlerr.From(last).Code == sqlerr.TooManyConnections {
				return nil, sqlerr.From(last).WithCause(ErrWaited)
			}
			return nil, f.noPrimary(want.Cluster, "; the statement waited "+f.cfg.HoldTimeout.String(), last).WithCause(ErrWaited)
		}
	}
}

// ErrWaited is the cause of an error that came after a bounded wait, or for too
// many that wait: SafeToRetry, but trying at once would only wait again.
var ErrWaited = errors.New("backend: it has waited already")

// worthHolding: the primary can't be reached or does not take writes. Waiting
// does not help against a wrong password or a full pool.
func worthHolding(ctx context.Context, err error) bool {
	if ctx.Err() != nil || !sqlerr.SafeToRetry(err) {
		return false
	}
	switch sqlerr.From(err).Code {
	case sqlerr.CannotConnect, sqlerr.ServerLost, sqlerr.ServerShutdown, sqlerr.OptionPreventsWrite:
		return true
	case sqlerr.TooManyConnections: // the server's max_connections: one of ours may become free
		return !errors.Is(err, ErrWaited)
	}
	return false
}

// noPrimary is ER_OPTION_PREVENTS_STATEMENT, the code drivers know as a
// failover under way.
func (f *Fleet) noPrimary(cluster, more string, last error) *sqlerr.Error {
	why := "it is not one of the clusters"
	if c := f.View().Cluster(cluster); c != nil {
		why = c.Why
	}
	if last != nil {
		why = sqlerr.From(last).Message
	}
	if why == "" {
		why = "its servers have not been asked yet"
	}
	return sqlerr.New(sqlerr.OptionPreventsWrite, "Cluster %s has no primary (read-only): %s%s. "+
		"Bring it back, or promote a replica: end its replication and SET GLOBAL read_only=OFF", cluster, why, more).Retryable()
}

// primary acquires on the primary, and makes sure that it takes writes.
func (f *Fleet) primary(ctx context.Context, addr string, want Want) ([]*Conn, error) {
	s := (*f.pools.Load())[addr]
	if s == nil {
		return nil, sqlerr.New(sqlerr.CannotConnect, "Server %s is no longer part of the configuration", addr).Retryable()
	}
	epoch := f.epoch.Load() + s.pool.doubts.Load() // both only grow
	conns, err := s.acquire(ctx, &want)
	if err != nil {
		return nil, err
	}
	for _, c := range conns {
		if c.verified == epoch {
			continue
		}
		if err := c.verifyWritable(ctx, epoch); err != nil {
			f.cfg.Lost(addr)
			for _, c := range conns {
				c.Release(nil)
			}
			return nil, err
		}
	}
	return conns, nil
}

// verifyWritable asks once in each epoch whether the server takes writes: an
// account that may ignore read_only would else write to a demoted primary.
func (c *Conn) verifyWritable(ctx context.Context, epoch uint64) error {
	fresh := c.verified == 0 && c.cfg.Now().Sub(c.created) < time.Second // dial has just asked
	if !fresh || c.readOnly {
		_, rows, err := c.Select(ctx, "SELECT @@global.read_only")
		if err != nil {
			return sqlerr.From(err).Retryable()
		}
		c.readOnly = len(rows) != 1 || len(rows[0]) != 1 || !isOff(rows[0][0])
	}
	if c.readOnly {
		return sqlerr.New(sqlerr.OptionPreventsWrite, "Server %s is read-only", c.addr).Retryable()
	}
	c.verified = epoch
	return nil
}

// replica acquires on a replica that may answer, nil where none may: then the
// primary does. A replica that fails is left out and the next one asked.
func (f *Fleet) replica(ctx context.Context, want Want) []*Conn {
	pools := *f.pools.Load()
	cluster := f.view.Load().Cluster(want.Cluster)
	if cluster == nil || want.Proof.primaryOnly() {
		return nil
	}
	now := time.Now().UnixNano()
	if floors := f.floors.Load(); floors != nil {
		want.GTID = topology.JoinGTIDs(want.GTID, (*floors)[want.Cluster])
	}
	need := topology.Need{
		GTID: want.GTID, Zone: want.Zone, MaxLag: f.cfg.MaxLag,
		Skip: func(addr string) bool {
			s := pools[addr]
			return s == nil || max(s.out.Load(), s.pool.lost.Load()+int64(outTime)) > now
		},
	}
	if want.GTID != "" {
		need.Executed = func(addr string) string {
			if s := pools[addr]; s != nil {
				if set := s.executed.Load(); set != nil {
					return *set
				}
			}
			return ""
		}
	}
	for range cluster.Instances {
		addr, current := topology.ChooseReplica(cluster, need, f.cfg.Random())
		if addr == "" {
			return nil
		}
		s := pools[addr]
		conns, err := s.acquire(ctx, &want)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if sqlerr.From(err).Code == sqlerr.TooManyConnections {
				return nil
			}
			s.out.Store(now + int64(outTime))
			continue
		}
		if (current || s.wait(ctx, conns[0], want.GTID, f.cfg.WaitForGTID)) && want.Proof.by(ctx, conns[0]) {
			return conns
		}
		for _, c := range conns {
			c.Release(nil)
		}
		return nil // it had its time; the primary need not wait
	}
	return nil
}

// wait has the server wait for the GTIDs, and remembers what it has executed
// by then, so that later reads do not wait.
func (s *server) wait(ctx context.Context, c *Conn, gtid string, limit time.Duration) bool {
	if strings.ContainsAny(gtid, "'\\") {
		return false // not a GTID; it must not become SQL
	}
	seconds := strconv.FormatFloat(limit.Seconds(), 'f', 3, 64)
	sql := "SELECT WAIT_FOR_EXECUTED_GTID_SET('" + gtid + "', " + seconds + "), @@global.gtid_executed"
	if c.flavor == topology.FlavorMariaDB {
		sql = "SELECT MASTER_GTID_WAIT('" + gtid + "', " + seconds + "), @@global.gtid_slave_pos"
	}
	_, rows, err := c.Select(ctx, sql)
	if err != nil || len(rows) != 1 || len(rows[0]) != 2 || string(rows[0][0]) != "0" {
		return false
	}
	set := string(rows[0][1])
	s.executed.Store(&set)
	return true
}
