package reshard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// MoverConfig is what a Mover does. Zero fields mean the defaults said at each.
type MoverConfig struct {
	Layout  *Layout
	Servers Servers
	Journal Journal
	Resume  Resume
	// Follow: the rows are all in the targets already (the way back), but for those of
	// sources that Resume.Parts has as not done; only the changes since
	// Resume.Positions are taken over, which must name every cluster that has another
	// source.
	Follow bool
	// Parallel is how many source tables are copied at once. Default 4.
	Parallel int
	// RowsPerSecond bounds the copy, over all tables; 0 does not.
	RowsPerSecond int
	// Pause is asked before each chunk: while it gives a reason, no chunk is read
	// (a replica is too far behind). nil never does.
	Pause func() string
	// MaxDirty bounds the keys that are kept while they wait to be settled.
	// Default 200,000; a key takes some 200 bytes.
	MaxDirty int
	Log      *slog.Logger
}

// Mover takes the rows of a layout from its sources to its targets and keeps them
// the same while applications write, as DESIGN.md says. It may be made with sources
// and targets the other way round just as well. Safe for concurrent use.
type Mover struct {
	cfg    MoverConfig
	log    *slog.Logger
	tables []*moving
	// cascades are the foreign keys by which rows change that are in no binlog.
	cascades []*cascade
	streams  map[string]*stream // by cluster
	// settling is held by whoever settles: one batch at a time, over all tables.
	settling sync.Mutex
	// wake has a signal when there is something to settle.
	wake chan struct{}
	// started is closed when the streams have their positions; copied when no
	// table has rows to copy any more.
	started, copied chan struct{}
	failed          chan struct{} // closed when Run ends
	running         atomic.Bool
	err             error // why Run ended; read after failed
	pace            *pace
	settled         atomic.Int64 // keys
}

// ErrStopped is CatchUp's and Verify's when Run has ended.
var ErrStopped = errors.New("the rows are not being moved any more")

// NewMover reads the tables' definitions on the servers and says what cannot be
// moved. It changes nothing.
func NewMover(ctx context.Context, cfg MoverConfig) (*Mover, error) {
	if cfg.Parallel <= 0 {
		cfg.Parallel = 4
	}
	if cfg.MaxDirty <= 0 {
		cfg.MaxDirty = 200_000
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &Mover{
		cfg: cfg, log: cfg.Log, streams: map[string]*stream{}, wake: make(chan struct{}, 1),
		started: make(chan struct{}), copied: make(chan struct{}), failed: make(chan struct{}),
		pace: &pace{perSecond: cfg.RowsPerSecond},
	}
	for _, t := range cfg.Layout.Tables {
		mv, err := m.open(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("table %s.%s: %w", t.Schema, t.Name, err)
		}
		m.tables = append(m.tables, mv)
	}
	if err := m.findCascades(ctx); err != nil {
		return nil, err
	}
	for _, mv := range m.tables {
		for _, src := range mv.sources {
			m.streamOf(src.shard.Cluster).add(src)
		}
	}
	if cfg.Follow {
		for _, src := range m.byTurns() {
			p := src.part()
			p.Done = true
			src.restore(p)
		}
	}
	for _, p := range cfg.Resume.Parts {
		if src := m.source(p); src != nil {
			src.restore(p)
		}
	}
	for cluster, s := range m.streams {
		s.resume = cfg.Resume.Positions[cluster]
		if s.resume == "" && cfg.Follow && slices.ContainsFunc(m.byTurns(), func(src *source) bool { return src.shard.Cluster == cluster && src.part().Done }) {
			return nil, fmt.Errorf("the position in the binlog of cluster %s is not known, from which its changes are to be followed", cluster)
		}
	}
	return m, nil
}

// source is the source table that a part is of, nil for one of another layout.
func (m *Mover) source(p Part) *source {
	for _, mv := range m.tables {
		for _, src := range mv.sources {
			if mv.Schema == p.Schema && mv.Name == p.Table && src.shard == p.Source {
				return src
			}
		}
	}
	return nil
}

// Run copies and follows until ctx ends or it cannot go on; the error says why and
// is never nil. Only one Run at a time, and only once.
func (m *Mover) Run(ctx context.Context) error {
	if !m.running.CompareAndSwap(false, true) {
		return errors.New("the mover has been started already")
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, cluster := range m.clusters() {
		s := m.streams[cluster]
		if err := s.begin(ctx); err != nil {
			m.err = err
			close(m.failed)
			return err
		}
	}
	close(m.started)
	for _, s := range m.streams {
		g.Go(func() error { return s.run(ctx) })
	}
	g.Go(func() error { return m.settleLoop(ctx) })
	g.Go(func() error { return m.copyAll(ctx) })
	m.err = g.Wait()
	close(m.failed)
	return m.err
}

// clusters are the names of those with sources, in order.
func (m *Mover) clusters() []string {
	names := make([]string, 0, len(m.streams))
	for name := range m.streams {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Copied is closed when every row that was there at the start is copied; changes
// are followed all the time.
func (m *Mover) Copied() <-chan struct{} { return m.copied }

// Progress is how far a Mover is.
type Progress struct {
	Parts   []Part
	Streams []StreamProgress
	// Waiting is why no chunk is read, empty while chunks are.
	Waiting string
	// Settled are the keys settled since the start.
	Settled int64
}

// StreamProgress is how far one cluster's changes are taken over.
type StreamProgress struct {
	Cluster string
	// Settled is the GTID set up to which all is taken over.
	Settled string
	// Dirty keys wait to be settled, Parked are prepared XA transactions that are
	// waited for.
	Dirty, Parked int
	// Behind is the age of the last event read when it was read.
	Behind time.Duration
	// Why the binlog is not being read, empty while it is.
	Why string
}

// Progress is the state at this moment.
func (m *Mover) Progress() Progress {
	p := Progress{Waiting: m.pace.why(), Settled: m.settled.Load()}
	for _, mv := range m.tables {
		for _, src := range mv.sources {
			p.Parts = append(p.Parts, src.part())
		}
	}
	for _, cluster := range m.clusters() {
		p.Streams = append(p.Streams, m.streams[cluster].progress())
	}
	return p
}

// CatchUp returns when everything that the sources' primaries have committed at
// its call is in the targets. It does not return while a transaction is prepared
// (XA) that changed one of the tables. With the writes held, what is in the targets
// then is all there is.
func (m *Mover) CatchUp(ctx context.Context) error {
	select {
	case <-m.started:
	case <-m.failed:
		return m.stopped()
	case <-ctx.Done():
		return ctx.Err()
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range m.streams {
		g.Go(func() error {
			wanted, err := m.primaryGTIDs(ctx, s.cluster)
			if err != nil {
				return err
			}
			return m.await(ctx, s, wanted)
		})
	}
	return g.Wait()
}

// await returns when the stream has settled all of wanted.
func (m *Mover) await(ctx context.Context, s *stream, wanted string) error {
	for {
		news, ok := s.has(wanted)
		if ok {
			return nil
		}
		select {
		case <-news:
		case <-m.failed:
			return m.stopped()
		case <-ctx.Done():
			return fmt.Errorf("cluster %s: %w while its changes were taken over%s", s.cluster, ctx.Err(), s.waitingFor())
		}
	}
}

func (m *Mover) stopped() error { return fmt.Errorf("%w: %w", ErrStopped, m.err) }

// signal wakes the settler.
func (m *Mover) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
