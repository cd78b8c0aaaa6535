// Package health measures the servers: who answers, who takes writes, who
// replicates from whom and how far behind. One goroutine per server probes it;
// package failover decides; the result is published as a topology.View.
package health

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/servaldb/serval/topology"
	"github.com/servaldb/serval/topology/failover"
)

// Measurement is what one probe of a server found. Observation.Addr and
// Signaled are the loop's to set.
type Measurement struct {
	failover.Observation
	Flavor   topology.Flavor
	Version  string
	Lag      time.Duration
	LagKnown bool
	// SourceLost: replication runs, but can't reach its source.
	SourceLost bool
	// Why says what is wrong though the server answers: why its lag is not
	// known, for one.
	Why string
}

// Prober measures one server; used by one goroutine.
type Prober interface {
	Probe(ctx context.Context) (Measurement, error)
	Close()
}

// Config is what to watch. Zero fields mean the defaults said at each.
type Config struct {
	Clusters []topology.Cluster
	// Interval between probes of a server, Timeout of one. Default 1 s each.
	Interval, Timeout time.Duration
	// Failures in a row make a server down. Default 2.
	Failures int
	// Prober makes the prober of a server.
	Prober func(cluster string, in topology.Instance) Prober
	// Publish receives each new view, never two at once. It must not call back.
	Publish func(*topology.View)
	Log     *slog.Logger
	// After is time.After; tests replace it.
	After func(time.Duration) <-chan time.Time
}

// Checker runs the probes from New to Close.
type Checker struct {
	cfg    Config
	cancel context.CancelFunc
	wg     sync.WaitGroup

	loops map[string][]*loop // by address; read only after New

	mu struct {
		sync.Mutex
		states   map[string]failover.State
		measured map[key]Measurement
		// lags are the last lags that were known.
		lags    map[key]time.Duration
		changes uint64
	}
}

// key is one server in one cluster.
type key struct{ cluster, addr string }

// loop is one server's probing.
type loop struct {
	cluster topology.Cluster
	in      topology.Instance
	signal  chan struct{} // cap 1: a signal that waits is enough
}

// New starts probing at once.
func New(cfg Config) *Checker {
	if cfg.Interval <= 0 {
		cfg.Interval = time.Second
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = time.Second
	}
	if cfg.After == nil {
		cfg.After = time.After
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Checker{cfg: cfg, cancel: cancel, loops: map[string][]*loop{}}
	c.mu.states = map[string]failover.State{}
	c.mu.measured = map[key]Measurement{}
	c.mu.lags = map[key]time.Duration{}
	for _, cluster := range cfg.Clusters {
		for _, in := range cluster.Instances {
			l := &loop{cluster: cluster, in: in, signal: make(chan struct{}, 1)}
			c.loops[in.Addr] = append(c.loops[in.Addr], l)
		}
	}
	for _, loops := range c.loops {
		for _, l := range loops {
			c.wg.Add(1)
			go c.run(ctx, l)
		}
	}
	return c
}

// Close ends all probes and waits for them.
func (c *Checker) Close() {
	c.cancel()
	c.wg.Wait()
}

// Signal says that addr has just failed a statement or a connection: it is
// probed at once. Never blocks; an address that is not watched is ignored.
func (c *Checker) Signal(addr string) {
	for _, l := range c.loops[addr] {
		select {
		case l.signal <- struct{}{}:
		default:
		}
	}
}

func (c *Checker) run(ctx context.Context, l *loop) {
	defer c.wg.Done()
	prober := c.cfg.Prober(l.cluster.Name, l.in)
	defer prober.Close()
	signaled := false
	for {
		m := c.probe(ctx, prober)
		if ctx.Err() != nil {
			return
		}
		m.Observation.Addr, m.Signaled = l.in.Addr, signaled
		wait := c.cfg.Interval
		if !c.take(l, m) {
			wait /= 4 // statements are held; whoever is promoted should be seen soon
		}
		if signaled {
			// Statements fail by the thousand when a server dies; probes of it
			// keep a distance.
			select {
			case <-ctx.Done():
				return
			case <-c.cfg.After(c.cfg.Interval / 10):
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-l.signal:
			signaled = true
		case <-c.cfg.After(wait):
			signaled = false
		}
	}
}

func (c *Checker) probe(ctx context.Context, p Prober) Measurement {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	m, err := p.Probe(ctx)
	m.Reachable = err == nil
	if err != nil {
		m.Observation.Why = err.Error()
	}
	return m
}

// take puts a measurement through the machine and publishes the outcome. It
// reports whether the cluster has a primary.
func (c *Checker) take(l *loop, m Measurement) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := key{l.cluster.Name, l.in.Addr}
	if m.Reachable {
		c.mu.measured[k] = m
		if m.LagKnown {
			c.mu.lags[k] = m.Lag
		}
	}
	cfg := failover.Config{Cluster: l.cluster, Failures: c.cfg.Failures}
	had := c.mu.states[l.cluster.Name].Primary != ""
	state, actions := failover.Step(cfg, c.mu.states[l.cluster.Name], m.Observation)
	c.mu.states[l.cluster.Name] = state
	for _, a := range actions {
		c.log(l.cluster.Name, a, had)
		if a.Kind == failover.SetPrimary || a.Kind == failover.NoPrimary {
			c.mu.changes++
		}
	}
	c.cfg.Publish(c.viewLocked())
	return state.Primary != ""
}

// Changes counts changes of any cluster's primary, for metrics.
func (c *Checker) Changes() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.changes
}

// log tells of a change; a cluster that never had a primary, as at the start,
// has lost none.
func (c *Checker) log(cluster string, a failover.Action, had bool) {
	level := slog.LevelInfo
	if a.Kind == failover.NoPrimary && had || a.Kind == failover.MarkDown {
		level = slog.LevelWarn
	}
	c.cfg.Log.Log(context.Background(), level, "cluster "+a.Kind.String(), "cluster", cluster, "addr", a.Addr, "why", a.Why)
}

func (c *Checker) viewLocked() *topology.View {
	v := &topology.View{Clusters: make(map[string]*topology.ClusterView, len(c.cfg.Clusters))}
	for _, cluster := range c.cfg.Clusters {
		s := c.mu.states[cluster.Name]
		cv := &topology.ClusterView{Name: cluster.Name, Primary: s.Primary, Why: s.Why}
		for _, in := range cluster.Instances {
			cv.Instances = append(cv.Instances, c.instanceLocked(cluster.Name, in, s))
		}
		v.Clusters[cluster.Name] = cv
	}
	return v
}

func (c *Checker) instanceLocked(cluster string, in topology.Instance, s failover.State) topology.InstanceView {
	m, known := c.mu.measured[key{cluster, in.Addr}], s.Instances[in.Addr]
	iv := topology.InstanceView{
		Instance: in, Role: s.Role(in.Addr), Flavor: m.Flavor, Up: known.Up, Version: m.Version,
		Lag: m.Lag, LagKnown: m.LagKnown, Executed: m.Executed, Why: m.Why,
	}
	if known.Failures > 0 {
		iv.Why = known.Why
	}
	if lag, ok := c.mu.lags[key{cluster, in.Addr}]; ok && !m.LagKnown && m.SourceLost && s.Primary == "" {
		// With the primary gone nothing newer is written anywhere: what was
		// near enough then still is, and reads go on through a failover.
		iv.Lag, iv.LagKnown = lag, true
	}
	if iv.Role == topology.RolePrimary {
		iv.Lag, iv.LagKnown = 0, true
	}
	return iv
}
