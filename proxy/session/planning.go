package session

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router"
	"github.com/servaldb/serval/router/plan"
)

// planned is a statement as the pipeline needs it: its plan and what of the
// text the session itself decides by. Immutable; sessions share it.
type planned struct {
	plan   *plan.Plan
	kind   parser.Kind
	verb   string
	tables []parser.TableName
	hints  parser.Hints
	// session: the text asks for values of the session (LAST_INSERT_ID()),
	// which must be put in before it is planned; there is no plan.
	session bool
	// beyond is what it does that no table's name shows; see access.go.
	beyond reach
	// called is the procedure of a CALL.
	called plan.TableName
	// defines are the tables that a definition changes.
	defines []parser.TableName
	// views are the logical views it reads, nil for none; tables then has
	// theirs behind the named ones.
	views *viewsRead
	named int
	// own: it has the rows of Serval's own tables in it, as they were when it
	// was planned.
	own bool
	// cacheable: it stands for every text with the same key.
	cacheable bool
	// ignores: an INSERT or UPDATE with IGNORE.
	ignores bool
}

// Planner plans statements and remembers the plans; *Plans is one.
type Planner interface {
	lookup(key []byte) *planned
	store(key []byte, p *planned)
	mayLearn(table string, now time.Time) bool
}

// Plans is the plan cache, shared by all sessions. Safe for concurrent use. It
// is cut into parts so that sessions seldom wait for each other; each part
// keeps two generations and drops the older one whole when the younger is full.
type Plans struct {
	seed  maphash.Seed
	parts [planParts]planPart
	max   int // of one generation of one part

	learned struct {
		sync.Mutex
		at map[string]time.Time // when a table's definition was asked for last
	}
}

// learnEvery is how often a table that nobody knows is asked for, by all
// sessions together: each answer may make a new catalog.
const learnEvery = time.Second

// mayLearn reports whether a table may be asked for now, and notes that it is.
func (p *Plans) mayLearn(table string, now time.Time) bool {
	p.learned.Lock()
	defer p.learned.Unlock()
	if now.Sub(p.learned.at[table]) < learnEvery {
		return false
	}
	if p.learned.at == nil || len(p.learned.at) >= maxLearned {
		p.learned.at = map[string]time.Time{}
	}
	p.learned.at[table] = now
	return true
}

const maxLearned = 10_000

const planParts = 16

type planPart struct {
	mu         sync.RWMutex
	young, old map[string]*planned // guarded by mu
}

// maxKey bounds the texts that are kept: a longer one is planned each time.
const maxKey = 16 << 10

// NewPlans makes a cache of about n plans.
func NewPlans(n int) *Plans {
	p := &Plans{seed: maphash.MakeSeed(), max: max(n/(2*planParts), 1)}
	for i := range p.parts {
		p.parts[i].young = map[string]*planned{}
	}
	return p
}

func (p *Plans) part(key []byte) *planPart {
	return &p.parts[maphash.Bytes(p.seed, key)%planParts]
}

func (p *Plans) lookup(key []byte) *planned {
	part := p.part(key)
	part.mu.RLock()
	e := part.young[string(key)]
	old := part.old[string(key)]
	part.mu.RUnlock()
	if e == nil && old != nil {
		p.store(key, old)
		e = old
	}
	return e
}

func (p *Plans) store(key []byte, e *planned) {
	if len(key) > maxKey {
		return
	}
	part := p.part(key)
	part.mu.Lock()
	defer part.mu.Unlock()
	if len(part.young) >= p.max {
		part.old, part.young = part.young, make(map[string]*planned, p.max)
	}
	part.young[string(key)] = e
}

// Len is how many plans are kept.
func (p *Plans) Len() int {
	n := 0
	for i := range p.parts {
		part := &p.parts[i]
		part.mu.RLock()
		n += len(part.young) + len(part.old)
		part.mu.RUnlock()
	}
	return n
}

// planKey is what a plan depends on besides its catalog's tables: the text
// with its literals out, how it reads, and where names without schema lead.
func (s *Session) planKey(dst []byte, cat *catalog.Catalog, key []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, cat.Version)
	dst = append(dst, byte(s.settings.mode))
	if s.part() {
		dst = append(dst, 1)
	}
	// What SHOW tells depends on what the user may see; all users of the same
	// schemas share their plans.
	for _, schema := range s.c.User.Schemas {
		dst = append(append(dst, schema...), 0)
	}
	dst = append(append(dst, 0), s.settings.charset...)
	dst = append(dst, 0)
	dst = append(dst, s.settings.db...)
	dst = append(dst, 0)
	return append(dst, key...)
}

// plan finds the plan of a statement, whose fingerprint is in fp, or makes it.
func (s *Session) plan(text []byte, fp *parser.Fingerprint) (e *planned, hit bool, err error) {
	cat := s.deps.Catalog.Load()
	s.keyBuf = s.planKey(s.keyBuf[:0], cat, fp.Key)
	if e := s.deps.Plans.lookup(s.keyBuf); e != nil {
		return e, true, nil
	}
	if takesValues(fp.Verb) && mayNameSession(text) {
		if tokens := scan(string(text), s.settings.mode); len(s.findSession(tokens)) > 0 {
			e = &planned{session: true}
			s.deps.Plans.store(s.keyBuf, e)
			return e, false, nil
		}
	}
	if fp.Verb == "CREATE" {
		if err := s.giveRule(cat, text); err != nil {
			return nil, false, err
		}
		cat = s.deps.Catalog.Load()
	}
	e, err = s.planNew(cat, text)
	if s.learnTables(cat, text, e, err) {
		cat = s.deps.Catalog.Load()
		s.keyBuf = s.planKey(s.keyBuf[:0], cat, fp.Key)
		e, err = s.planNew(cat, text)
	}
	if err == nil && e.cacheable {
		s.deps.Plans.store(s.keyBuf, e)
	}
	return e, false, err
}

// learnTime bounds the question for a table's definition.
const learnTime = 5 * time.Second

// learnTables asks for the definitions of the statement's tables that have a
// rule and are not known to exist: another Serval, or somebody on the servers,
// may have made them since they were looked at last. It reports whether one is
// known now.
func (s *Session) learnTables(cat *catalog.Catalog, text []byte, e *planned, err error) (learned bool) {
	if s.deps.Refresher == nil {
		return false
	}
	var tables []parser.TableName
	var kind parser.Kind
	switch {
	case e != nil:
		tables, kind = e.tables, e.kind
	case sqlerr.From(err).Code == sqlerr.NotSupported:
		kind, tables = parser.Classify(text, s.settings.mode)
	}
	if kind == parser.KindDDL {
		return s.learnKept(cat, tables)
	}
	if !runsInTransaction(kind) {
		return false
	}
	for _, t := range tables {
		schema := s.schemaOr(t.Schema)
		if known := cat.Table(schema, t.Table); known == nil && !mayHaveRule(cat, schema, t.Table) || known != nil && len(known.Columns) > 0 || !s.deps.Plans.mayLearn(schema+"."+t.Table, time.Now()) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), learnTime)
		refreshed := s.deps.Refresher.Refresh(ctx, schema, t.Table)
		cancel()
		if now := s.deps.Catalog.Load().Table(schema, t.Table); refreshed == nil && now != nil && len(now.Columns) > 0 {
			learned = true
		}
	}
	return learned
}

// takesValues reports verbs in whose text a session's value may be put. In a
// definition (CREATE VIEW, FUNCTION, DEFAULT) the function itself is meant.
func takesValues(verb string) bool {
	switch verb {
	case "SELECT", "WITH", "(", "INSERT", "REPLACE", "UPDATE", "DELETE", "DO", "CALL":
		return true
	}
	return false
}

func (s *Session) planNew(cat *catalog.Catalog, text []byte) (*planned, error) {
	st := parser.Parse(text, parser.Options{Mode: s.settings.mode})
	cat, own, err := s.withOwn(cat, st)
	if err != nil {
		return nil, err
	}
	planFor := func(st *parser.Statement) (*plan.Plan, error) {
		if s.part() {
			return router.PlanPart(cat, s.settings.db, st)
		}
		return router.PlanFor(cat, s.settings.db, s.c.User.Schemas, st)
	}
	p, err := planFor(st)
	if err != nil && (errors.Is(err, router.ErrLabel) && st.Params || st.Folded && sqlerr.From(err).Code == sqlerr.NotSupported) {
		// A label has to be as it was written; rows of an INSERT that are not
		// alike when they are looked at one by one.
		st = parser.ParseLiterally(text, parser.Options{Mode: s.settings.mode})
		p, err = planFor(st)
	}
	if err != nil {
		return nil, err
	}
	e := &planned{
		plan: p, kind: st.Kind, verb: strings.ToUpper(st.Verb), tables: tablesOf(st), hints: st.Hints, cacheable: st.Params && !own && st.Kind != parser.KindDDL, own: own,
		named: len(st.Tables), ignores: st.Ignores(), defines: st.Defines(),
	}
	e.throughViews(cat, s.settings.db, st)
	if mayReachBeyond(e.kind) { // whoever plans it: plans are shared by users
		tokens := scan(string(text), s.settings.mode)
		if e.beyond = beyondTables(e, tokens); e.kind == parser.KindCall {
			e.called = calledName(tokens)
		}
	}
	return e, nil
}

// tablesOf are the tables of a statement. Of a query without a tree they are the
// names where a table may be, without which every column's qualifier would pass
// for a schema.
func tablesOf(st *parser.Statement) []parser.TableName {
	if st.Node != nil || st.Kind != parser.KindSelect {
		return st.Tables
	}
	sketch, err := st.Sketch()
	if err != nil {
		return st.Tables
	}
	names := make([]parser.TableName, 0, len(sketch.References))
	for _, r := range sketch.References {
		names = append(names, r.Name)
	}
	return names
}
