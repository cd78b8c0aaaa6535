package control

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/shardrule"
)

const (
	// refreshEvery is how often the definitions are read again, refreshWithin
	// how long that may take.
	refreshEvery  = 10 * time.Second
	refreshWithin = 8 * time.Second
	// refreshSoon is instead of refreshEvery while a cluster does not answer.
	refreshSoon = time.Second
)

// Controller keeps the Catalog up to date: it alone publishes to its Store.
// Safe for concurrent use.
type Controller struct {
	store   *catalog.Store
	servers Servers
	log     *slog.Logger
	now     func() time.Time

	// Moves, if not nil, says why a table's periods are not to be dropped now: a job
	// moves it, and would leave behind what it keeps beside them. It is set before Run.
	Moves func(ctx context.Context, schema, table string) error

	// soon asks Run to look at once.
	soon chan struct{}
	// running ends what Run asks the servers at this moment.
	running atomic.Pointer[context.CancelFunc]

	// mu makes publications one at a time; it is held while servers are
	// asked, which the caller's ctx bounds.
	mu struct {
		sync.Mutex
		cfg   *config.Config
		facts Facts
		// down are the clusters that did not answer last time, for the log.
		down map[string]bool
		// missing are the periods that had no table at the last look; what is
		// missing twice is created.
		missing map[place]bool
	}
}

// New makes a Controller of a valid configuration. It asks no server yet and
// publishes the placements alone: tables whose columns are not known.
func New(cfg *config.Config, servers Servers, store *catalog.Store, log *slog.Logger) (*Controller, error) {
	c := &Controller{store: store, servers: servers, log: log, now: time.Now, soon: make(chan struct{}, 1)}
	c.mu.cfg, c.mu.facts = cfg, Facts{Now: c.now()}
	c.mu.down, c.mu.missing = map[string]bool{}, map[place]bool{}
	cat, err := Build(cfg, c.mu.facts)
	if err != nil {
		return nil, err
	}
	countTraffic(cat, nil)
	store.Publish(cat)
	return c, nil
}

// Load reads what the servers say and publishes it. A cluster that does not
// answer is no error: its tables stay as they were known, and are tried again
// by Run. The error is ctx's, or of a catalog that cannot be built.
func (c *Controller) Load(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refreshLocked(ctx, c.mu.cfg)
}

// errMoving: tables may be on their way to the places that other rules name.
var errMoving = errors.New("all statements are held, since tables change their places")

// movingLocked: what servers say now may be of neither the rules of before nor those
// of after. What was known is what the next rules begin with (Adopt).
func (c *Controller) movingLocked() bool {
	h := c.store.Held()
	return h != nil && !h.Writes && c.mu.facts.Tables != nil
}

// Reload makes cfg the configuration. On error the old one stays in effect.
func (c *Controller) Reload(ctx context.Context, cfg *config.Config) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refreshLocked(ctx, cfg)
}

// Adopt makes cfg the configuration without asking any server: with what is
// known of the tables, which Run then reads anew at once. On error the old one
// stays in effect.
func (c *Controller) Adopt(cfg *config.Config) error {
	if end := c.running.Load(); end != nil {
		(*end)() // it may be waiting for a server that does not answer
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cfg = cfg.With(c.mu.cfg.Given())
	periods := map[TableName][]shardrule.Period{}
	for name, fact := range c.mu.facts.Tables {
		periods[name] = fact.Periods
	}
	if err := c.publishLocked(cfg, c.mu.facts.under(c.mu.cfg, cfg, periods)); err != nil {
		return err
	}
	select {
	case c.soon <- struct{}{}:
	default: // Run has been asked already
	}
	return nil
}

// Run reads the definitions again and again until ctx ends. It returns nil.
func (c *Controller) Run(ctx context.Context) error {
	for {
		timer := time.NewTimer(c.pause())
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-c.soon:
		}
		timer.Stop()
		within, cancel := context.WithTimeout(ctx, refreshWithin)
		c.running.Store(&cancel)
		err := c.Load(within)
		if err == nil && !c.periodsOff() {
			if err = c.createPeriods(within); err == nil {
				err = c.dropPeriods(within)
			}
		}
		cancel()
		if err != nil && ctx.Err() == nil && !errors.Is(err, errMoving) {
			c.log.Warn("the tables' definitions could not be read again", "err", err)
		}
	}
}

func (c *Controller) periodsOff() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.cfg.Off.Periods
}

// pause is how long to wait until the next look.
func (c *Controller) pause() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.mu.down) > 0 {
		return refreshSoon
	}
	return refreshEvery
}

// Refresh reads one table's definition again and publishes it: what the
// session calls after DDL. Of serval_meta.views it is the logical views that are
// read.
func (c *Controller) Refresh(ctx context.Context, schema, table string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.movingLocked() {
		return errMoving
	}
	if schema == metaSchema && table == viewsTable {
		return c.refreshViewsLocked(ctx)
	}
	t := c.store.Load().Table(schema, table)
	if s := schemaOf(c.mu.cfg, &c.mu.facts, schema); s != nil && (t == nil && s.NewTables != nil || t != nil && c.isGivenLocked(schema, table)) {
		if err := c.learnGivenLocked(ctx); err != nil { // another Serval may have given it one
			return err
		}
		t = c.store.Load().Table(schema, table)
	}
	if t == nil {
		return c.refreshPlainLocked(ctx, schema, table)
	}
	name := TableName{t.Placement.Schema, t.Name}
	rule := ruleOf(c.mu.cfg, &c.mu.facts, name)
	if rule == nil {
		return nil
	}
	r := c.reader(c.mu.cfg)
	fact, known := r.table(ctx, name, rule, t.Placement)
	if !known {
		return errors.Join(r.errs...)
	}
	facts := c.mu.facts
	facts.Now = c.now()
	facts.Tables = maps.Clone(facts.Tables)
	if facts.Tables == nil {
		facts.Tables = map[TableName]*TableFact{}
	}
	delete(facts.Tables, name)
	if fact != nil {
		facts.Tables[name] = fact
	}
	r.refreshLookups(ctx, name, rule, &facts)
	r.refreshFollower(ctx, name, t, &facts)
	r.weights(ctx, name, t.Placement, &facts)
	facts.withCollations()
	if c.movingLocked() {
		return errMoving
	}
	return c.publishLocked(c.mu.cfg, facts)
}

// ruleOf is the rule of a table, nil if it has none.
func ruleOf(cfg *config.Config, facts *Facts, name TableName) *config.Table {
	for i := range cfg.Schemas {
		s := &cfg.Schemas[i]
		if facts.fold(s.Name) != name.Schema {
			continue
		}
		for j := range s.Tables {
			if facts.fold(s.Tables[j].Name) == name.Table {
				return &s.Tables[j]
			}
		}
	}
	return nil
}

// refreshLocked reads all facts anew for cfg, and publishes if anything changed.
func (c *Controller) refreshLocked(ctx context.Context, cfg *config.Config) error {
	// Build first: a configuration that cannot be built must not be asked about.
	if _, err := Build(cfg, Facts{Now: c.now(), FoldNames: c.mu.facts.FoldNames}); err != nil {
		return err
	}
	r := c.reader(cfg)
	cfg = r.withGiven(ctx, c.mu.cfg.Given())
	plain, err := Build(cfg, Facts{Now: c.now(), FoldNames: c.mu.facts.FoldNames})
	if err != nil {
		return err
	}
	facts := r.all(ctx, plain)
	c.logDownLocked(r.down)
	if err := ctx.Err(); err != nil {
		return errors.Join(err, errors.Join(r.errs...))
	}
	if cfg == c.mu.cfg && c.movingLocked() {
		return errMoving
	}
	old := c.mu.facts
	old.Now = facts.Now
	if cfg == c.mu.cfg && samePeriods(cfg, c.mu.facts.Now, facts.Now) && reflect.DeepEqual(old, facts) {
		return nil
	}
	return c.publishLocked(cfg, facts)
}

func (c *Controller) publishLocked(cfg *config.Config, facts Facts) error {
	cat, err := Build(cfg, facts)
	if err != nil {
		return err
	}
	if cfg != c.mu.cfg {
		c.tellLostLocked(cfg)
	}
	c.mu.cfg, c.mu.facts = cfg, facts
	countTraffic(cat, c.store.Load())
	c.store.Publish(cat)
	c.log.Info("catalog published", "version", cat.Version)
	return nil
}

// logDownLocked says once that a cluster went away or came back.
func (c *Controller) logDownLocked(down map[string]error) {
	for cluster, err := range down {
		if !c.mu.down[cluster] {
			c.log.Warn("cluster does not say what its tables are like", "cluster", cluster, "err", err)
		}
		c.mu.down[cluster] = true
	}
	for cluster := range c.mu.down {
		if down[cluster] == nil {
			c.log.Info("cluster answers again", "cluster", cluster)
			delete(c.mu.down, cluster)
		}
	}
}

// reader reads facts, keeping those of clusters that do not answer.
func (c *Controller) reader(cfg *config.Config) *factReader {
	return &factReader{
		servers: c.servers, cfg: cfg, old: c.mu.facts, now: c.now(),
		down: map[string]error{}, known: map[string]server{}, read: map[place]map[string]*TableFact{},
		homed: map[string]map[TableName]*TableFact{},
	}
}

// factReader is one reading of facts at work.
type factReader struct {
	servers Servers
	cfg     *config.Config
	old     Facts
	now     time.Time
	// known are the clusters that answered, down those that did not and are
	// not asked again.
	known map[string]server
	down  map[string]error
	errs  []error
	// read are databases read already, by cluster and database.
	read map[place]map[string]*TableFact
	// homed are the tables of the clusters' databases without shards.
	homed map[string]map[TableName]*TableFact
}

func (r *factReader) fail(cluster string, err error) {
	delete(r.known, cluster)
	if r.down[cluster] == nil {
		r.down[cluster] = err
		r.errs = append(r.errs, err)
	}
}

// ask is what the cluster says about itself; false: it does not answer.
func (r *factReader) ask(ctx context.Context, cluster string) (server, bool) {
	if s, ok := r.known[cluster]; ok {
		return s, true
	}
	if r.down[cluster] != nil {
		return server{}, false
	}
	s, err := readServer(ctx, r.servers, cluster)
	if err != nil {
		r.fail(cluster, err)
		return server{}, false
	}
	r.known[cluster] = s
	return s, true
}

// all reads everything about the tables of a catalog.
func (r *factReader) all(ctx context.Context, plain *catalog.Catalog) Facts {
	facts := Facts{Now: r.now, FoldNames: r.old.FoldNames, Collations: r.old.Collations, Information: r.old.Information,
		Weights: r.old.Weights,
		Tables:  map[TableName]*TableFact{}}
	for i := range r.cfg.Clusters {
		name := r.cfg.Clusters[i].Name
		s, ok := r.ask(ctx, name)
		if !ok {
			continue
		}
		facts.FoldNames = s.fold
		if facts.Collations == nil {
			all, err := readCollations(ctx, r.servers, name, s.flavor)
			if err != nil {
				r.fail(name, err)
				continue
			}
			facts.Collations = all
		}
		if facts.Information == nil {
			all, err := readInformation(ctx, r.servers, name, s.flavor)
			if err != nil {
				r.fail(name, err)
				continue
			}
			facts.Information = all
		}
		break
	}
	if facts.FoldNames != plain.FoldNames { // the first answer of all
		folded, err := Build(r.cfg, Facts{Now: r.now, FoldNames: facts.FoldNames})
		if err != nil {
			r.errs = append(r.errs, err) // publishing says it
			return facts
		}
		plain = folded
	}
	r.homes(ctx, plain)
	for _, s := range plain.Schemas {
		for _, t := range s.Tables {
			name := TableName{s.Name, t.Name}
			fact, known := r.table(ctx, name, ruleOf(r.cfg, &facts, name), t.Placement)
			if !known {
				fact = r.old.Tables[name]
			}
			if fact != nil {
				facts.Tables[name] = fact
			}
			r.weights(ctx, name, t.Placement, &facts)
		}
	}
	r.lookups(ctx, plain, &facts)
	r.followers(ctx, plain, &facts)
	r.plain(plain, &facts)
	facts.Views = r.views(ctx)
	facts.Programs = r.programs(ctx, plain)
	facts.Zone = r.zone(ctx)
	facts.withCollations()
	return facts
}

// zone is the time_zone that all clusters have for sessions that set none, empty
// where they differ, or one does not say.
func (r *factReader) zone(ctx context.Context) string {
	zone := ""
	for i := range r.cfg.Clusters {
		s, ok := r.ask(ctx, r.cfg.Clusters[i].Name)
		switch {
		case !ok && r.old.Zone != "": // as it was
			return r.old.Zone
		case !ok || i > 0 && s.zone != zone:
			return ""
		}
		zone = s.zone
	}
	return zone
}

// withCollations tells text columns how their collations pad.
func (f *Facts) withCollations() {
	f.pad(f.Tables)
	f.pad(f.Plain)
}

func (f *Facts) pad(tables map[TableName]*TableFact) {
	for name, t := range tables {
		var changed *TableFact
		for i := range t.Columns {
			coll, ok := f.Collations[t.Columns[i].Collation]
			if !ok || t.Columns[i].PadSpace == coll.PadSpace && t.Columns[i].PadWeight == string(coll.PadWeight) {
				continue
			}
			if changed == nil { // the fact may be published already
				copied := *t
				copied.Columns = append([]catalog.Column(nil), t.Columns...)
				changed = &copied
			}
			changed.Columns[i].PadSpace, changed.Columns[i].PadWeight = coll.PadSpace, string(coll.PadWeight)
		}
		if changed != nil {
			tables[name] = changed
		}
	}
}

// table reads one table's definition from the first of its clusters that
// answers. Not known: none did; nil: it does not exist.
func (r *factReader) table(ctx context.Context, name TableName, rule *config.Table, p *shardrule.Placement) (fact *TableFact, known bool) {
	if periodic(rule) {
		return r.periodTable(ctx, name, rule)
	}
	tried := map[string]bool{}
	for _, s := range p.Shards {
		if tried[s.Cluster] {
			continue
		}
		tried[s.Cluster] = true
		f, ok := r.definition(ctx, place{s.Cluster, s.Database, s.Table})
		if ok && f != nil {
			return f, true
		}
		known = known || ok
	}
	return nil, known
}

// definition reads one physical table.
func (r *factReader) definition(ctx context.Context, at place) (*TableFact, bool) {
	s, ok := r.ask(ctx, at.cluster)
	if !ok {
		return nil, false
	}
	db := place{cluster: at.cluster, database: at.database}
	tables := r.read[db]
	if tables == nil {
		var err error
		if tables, err = readTables(ctx, r.servers, db, s.flavor); err != nil {
			r.fail(at.cluster, err)
			return nil, false
		}
		r.read[db] = tables
	}
	if f := tables[at.table]; f != nil {
		return f, true
	}
	return nil, true
}
