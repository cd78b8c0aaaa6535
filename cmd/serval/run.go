package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/servaldb/serval/admin"
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/control"
	"github.com/servaldb/serval/ddl"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/proxy"
	"github.com/servaldb/serval/proxy/session"
	"github.com/servaldb/serval/topology"
)

// startTimeout bounds the wait for the servers' first answers at start; Serval
// starts without those that do not answer.
const startTimeout = 10 * time.Second

// serve runs the proxy with a source's rules until ctx ends, then drains. It
// logs to w. ready is called once clients are accepted.
func serve(ctx context.Context, source ruleSource, w io.Writer, ready func()) error {
	cfg, err := source.start(ctx, newLogger(w, config.Defaults().Log))
	if err != nil {
		return err
	}
	log := newLogger(w, cfg.Log)
	defer source.leave(ctx, log)
	srv, err := newServers(cfg, log)
	if err != nil {
		return err
	}
	defer srv.close()
	srv.fleet.SetFloors(source.floors())
	p := &process{cfg: cfg, log: log, servers: srv, metrics: admin.NewMetrics(), digests: admin.NewDigests(), registry: session.NewRegistry(),
		store: catalog.NewStore(&catalog.Catalog{}), started: time.Now()}
	first, cancel := context.WithTimeout(ctx, startTimeout)
	p.awaitPrimaries(first)
	cancel()
	p.control, err = control.New(cfg, fleetServers{srv.fleet}, p.store, log)
	if err == nil {
		err = p.load(ctx)
	}
	if err != nil {
		return err
	}
	p.recovery = txn.NewRecovery(fleetServers{srv.fleet}, log, p.metrics)
	p.jobs = ddl.New(fleetServers{srv.fleet}, log)
	p.jobs.Moves, p.jobs.Changed = p.mayDefine, p.control.Refresh
	p.control.Moves = p.mayDefine
	p.current.Store(cfg)
	front, err := p.front()
	if err != nil {
		return err
	}
	if err := front.Listen(ctx); err != nil {
		return err
	}
	// What serves the sessions outlives ctx: it ends when the last one has.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, background := errgroup.WithContext(background)
	group.Go(func() error { return p.control.Run(background) })
	group.Go(func() error { p.recovery.Run(background); return nil })
	group.Go(func() error { p.jobs.Run(background); return nil })
	group.Go(func() error { p.registry.Watch(background); return nil })
	deadlocks := txn.Deadlocks{Servers: fleetServers{srv.fleet}, Holders: p.holders, Log: log, Break: func(session uint32) {
		p.metrics.DeadlockBroken()
		p.registry.BreakDeadlock(session)
	}}
	group.Go(func() error { deadlocks.Run(background); return nil })
	if cfg.Admin != "" {
		group.Go(func() error {
			return admin.Serve(background, cfg.Admin, admin.Handler(p.sources(front), p.metrics), log)
		})
	}
	p.rules.Store(&admin.RulesStat{})
	group.Go(func() error { source.follow(background, p); return nil })
	group.Go(func() error {
		defer stop()
		serving, end := context.WithCancel(ctx)
		defer end()
		context.AfterFunc(background, end) // the admin port is taken, say
		return front.Run(serving)
	})
	for _, a := range front.Addrs() {
		log.Info("serval listens", "addr", a.String(), "version", versionText())
	}
	group.Go(func() error { p.hurry(background, front); return nil })
	ready()
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// process is one running Serval: what its parts are wired through.
type process struct {
	cfg       *config.Config
	log       *slog.Logger
	servers   *servers
	control   *control.Controller
	store     *catalog.Store
	metrics   *admin.Metrics
	registry  *session.Registry
	recovery  *txn.Recovery
	digests   *admin.Digests
	jobs      *ddl.Jobs
	sequences *session.ServerSequences // see numbers
	started   time.Time
	// rules is what is known of the version that is served, current its
	// configuration.
	rules   atomic.Pointer[admin.RulesStat]
	current atomic.Pointer[config.Config]
}

// holders are the transactions in which deadlocks are looked for.
func (p *process) holders() []txn.Holder {
	if p.current.Load().Off.DeadlockDetection {
		return nil
	}
	return p.registry.Holders()
}

// awaitPrimaries waits until every cluster has a primary, or ctx ends.
func (p *process) awaitPrimaries(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(p.withoutPrimary()) > 0 {
		select {
		case <-ctx.Done():
			p.log.Warn("starting without all primaries", "missing", strings.Join(p.withoutPrimary(), ", "))
			return
		case <-tick.C:
		}
	}
}

// load reads the tables' definitions for the first time. Servers that do not
// answer in time are no reason not to start: they are asked again later.
func (p *process) load(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := p.control.Load(within)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		p.log.Warn("starting without the definitions of all tables", "err", err)
		return nil
	}
	return err
}

func (p *process) withoutPrimary() []string {
	var missing []string
	view := p.servers.fleet.View()
	for _, c := range p.cfg.Clusters {
		if cv := view.Cluster(c.Name); cv == nil || cv.Primary == "" {
			missing = append(missing, c.Name)
		}
	}
	return missing
}

// apply takes over a new configuration: servers first, since the catalog is
// read from them, then rules and users. Ports, TLS and limits need a restart.
func (p *process) apply(ctx context.Context, cfg *config.Config) error {
	if err := p.servers.update(cfg); err != nil {
		return err
	}
	if err := p.control.Reload(ctx, cfg); err != nil {
		return err
	}
	p.current.Store(cfg)
	return nil
}

// strands is why a file that was edited is not served: rows are where its rules do not
// look. A version has been asked the same by serval rules apply.
func (p *process) strands(ctx context.Context, to *config.Config) error {
	if err := control.Check(to, time.Now()).OrNil(); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, strandsWithin)
	defer cancel()
	found, err := control.Stranded(within, p.current.Load(), to, fleetServers{p.servers.fleet}, time.Now())
	if err != nil {
		return fmt.Errorf("whether rows would be where nobody looks: %w", err)
	}
	var all []error
	for _, f := range found {
		f.Do = strings.NewReplacer("NOW", to.Path, "NEW", "FILE").Replace(f.Do)
		all = append(all, errors.New(f.String()))
	}
	if len(all) > 0 {
		all = append(all, errors.New("put back what "+to.Path+" said, and the new rules into another FILE"))
	}
	return errors.Join(all...)
}

// strandsWithin bounds the questions to servers at SIGHUP.
const strandsWithin = 30 * time.Second

// numbers are the sequences of a process that serves; one that only explains
// takes none.
func (p *process) numbers() *session.ServerSequences {
	if p.sequences == nil {
		p.sequences = session.NewSequences(p.store, p.servers.fleet)
	}
	return p.sequences
}

func (p *process) deps() session.Deps {
	return session.Deps{
		Catalog: p.store, Plans: session.NewPlans(p.cfg.Limits.PlanCache), Fleet: p.servers.fleet,
		Refresher: p.control, Sequences: p.numbers(), Coordinator: p.recovery, Jobs: p.jobs, Own: p.own(), Weights: session.NewWeights(), Places: session.NewPlaces(), Registry: p.registry,
		Hooks: session.Hooks{Statement: p.finished}, Log: p.log, Version: p.serverVersion(),
		Zone: p.cfg.Replicas.Zone, Consistency: p.cfg.Replicas.Consistency, Started: p.started,
		LocalInfile: p.cfg.LocalInfile,
		Limits: session.Limits{
			MaxPacket: p.cfg.Limits.MaxPacket, StatementTimeout: p.cfg.Limits.StatementTimeout,
			IdleTimeout: p.cfg.Limits.IdleTimeout, MemoryBudget: p.cfg.Limits.MemoryPerStatement,
			MaxStatements: p.cfg.Limits.PreparedStatements,
			Finisher:      p.cfg.Finisher.Cluster, FinishRows: p.cfg.Finisher.MaxRows, FinishBytes: p.cfg.Finisher.MaxBytes,
		},
	}
}

func (p *process) front() (*proxy.Server, error) {
	tlsConfig, err := frontTLS(p.cfg.TLS)
	if err != nil {
		return nil, err
	}
	deps := p.deps()
	return proxy.New(proxy.Config{
		Listen: p.cfg.Listen, TLS: tlsConfig, RequireTLS: p.cfg.TLS != nil && p.cfg.TLS.Required, MaxConnections: p.cfg.Limits.MaxConnections,
		LoginTimeout: p.cfg.Limits.LoginTimeout, DrainTimeout: p.cfg.Limits.DrainTimeout, MaxPacket: p.cfg.Limits.MaxPacket, LocalFiles: p.cfg.LocalInfile,
		Users: func(name string) *catalog.User { return deps.Catalog.Load().Users[name] },
		CheckSchema: func(ctx context.Context, user *catalog.User, schema string) error {
			return session.CheckSchema(ctx, deps, user, schema)
		},
		Version: p.serverVersion,
		Serve: func(ctx context.Context, c *session.Client) {
			if err := session.New(deps, c).Serve(ctx); err != nil {
				p.log.Debug("session ended", "session", c.ID, "why", err)
			}
		},
		Logger: p.log,
		Hooks: proxy.Hooks{
			Accepted: p.metrics.Accepted, Refused: p.metrics.Refused, AuthFailed: p.metrics.AuthFailed, Open: p.metrics.Open,
			Panicked: p.metrics.Panicked,
		},
	})
}

// serverVersion is the home primary's: drivers decide by it what they may ask.
func (p *process) serverVersion() string {
	c := p.servers.fleet.View().Cluster(p.cfg.Home)
	if c == nil {
		return ""
	}
	for _, in := range c.Instances {
		if in.Version != "" && (in.Addr == c.Primary || c.Primary == "") {
			if in.Flavor == topology.FlavorMariaDB && !strings.HasPrefix(in.Version, "5.5.5-") {
				return "5.5.5-" + in.Version // as MariaDB greets, for replication clients' sake
			}
			return in.Version
		}
	}
	return ""
}

// own are the tables of schema serval.
func (p *process) own() *admin.OwnTables {
	return &admin.OwnTables{Sources: p.knows(), Digests: p.digests, Transactions: p.transactions, Reshards: p.reshards}
}

// transactions are those of this Serval's sessions, and the prepared branches
// of any Serval.
func (p *process) transactions() (out []admin.TransactionStat) {
	for _, s := range p.registry.List() {
		if s.InTransaction {
			out = append(out, admin.TransactionStat{Session: s.ID, State: "open", Clusters: strings.Join(s.TransactionClusters, ", "),
				Seconds: time.Since(s.Since).Seconds()})
		}
	}
	for _, b := range p.recovery.Branches() {
		out = append(out, admin.TransactionStat{State: "prepared", Clusters: b.Cluster, GTRID: b.GTRID, Seconds: time.Since(b.Seen).Seconds(), Trouble: b.Trouble})
	}
	return out
}

// prepared is how many branches wait for their end, by cluster.
func (p *process) prepared() map[string]int {
	out := map[string]int{}
	for _, name := range (fleetServers{p.servers.fleet}).Clusters() {
		out[name] = 0
	}
	for _, b := range p.recovery.Branches() {
		out[b.Cluster]++
	}
	return out
}

// knows is what the admin side reads, but for whether clients are welcome.
func (p *process) knows() admin.Sources {
	return admin.Sources{
		View: p.servers.fleet.View, Catalog: p.store.Load,
		Pools: func() []admin.PoolStat {
			var out []admin.PoolStat
			for _, s := range p.servers.fleet.Stats() {
				out = append(out, admin.PoolStat{Addr: s.Addr, Busy: s.Busy, Idle: s.Idle, Waits: s.Waited})
			}
			return out
		},
		Sessions: p.sessions, Prepared: p.prepared,
	}
}

func (p *process) sources(front *proxy.Server) admin.Sources {
	src := p.knows()
	src.Digests = func() []admin.Digest { return p.digests.Top(math.MaxInt) }
	src.Rules = func() admin.RulesStat { return *p.rules.Load() }
	src.Ready = func() error {
		select {
		case <-front.Draining():
			return errors.New("draining")
		default:
		}
		if missing := p.withoutPrimary(); len(missing) > 0 {
			return fmt.Errorf("no primary in %s", strings.Join(missing, ", "))
		}
		return nil
	}
	return src
}

func (p *process) sessions() []admin.SessionStat {
	out := []admin.SessionStat{}
	for _, s := range p.registry.List() {
		var pins []string
		for cluster, why := range s.Pins {
			pins = append(pins, cluster+": "+strings.Join(why, ", "))
		}
		state := ""
		if s.InTransaction {
			state = "in transaction on " + strings.Join(s.TransactionClusters, ", ")
		}
		out = append(out, admin.SessionStat{
			ID: s.ID, User: s.User, Host: s.Remote, DB: s.DB, Command: s.Command,
			Seconds: time.Since(s.Since).Seconds(), State: state, Pinned: strings.Join(pins, "; "),
		})
	}
	return out
}
