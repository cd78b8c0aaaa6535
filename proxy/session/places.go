package session

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// Rows that follow others (shardrule.Follow): where a parent is, its lookup table
// tells. That may be of another moment, so it is a hint: a read that meets no row
// there is run on all shards, and an INSERT whose foreign key finds no parent
// there is run again where the parent surely is.

// maxPlaces bounds the cache, in entries.
const maxPlaces = 100_000

// maxPlaceValue is the longest value that is kept, in bytes.
const maxPlaceValue = 256

// Places remembers where parents were found. Safe for concurrent use. A place may
// be wrong at any time; whoever relies on one sees that and has it forgotten.
type Places struct {
	mu         sync.Mutex
	young, old map[parentAt]int // guarded by mu
}

type parentAt struct {
	schema, table, column, value string
	shards                       int
}

// NewPlaces makes an empty cache.
func NewPlaces() *Places { return &Places{young: map[parentAt]int{}, old: map[parentAt]int{}} }

func parentOf(k plan.PlaceKey) parentAt {
	p := k.Follow.Parent
	return parentAt{p.Schema, p.Table, k.Follow.To, k.Value, len(p.Shards)}
}

func (p *Places) lookup(k plan.PlaceKey) (shard int, ok bool) {
	if p == nil {
		return 0, false
	}
	at := parentOf(k)
	p.mu.Lock()
	defer p.mu.Unlock()
	if shard, ok = p.young[at]; ok {
		return shard, true
	}
	shard, ok = p.old[at]
	return shard, ok
}

func (p *Places) store(k plan.PlaceKey, shard int) {
	if p == nil || len(k.Value) > maxPlaceValue {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.young) >= maxPlaces/2 {
		p.old, p.young = p.young, map[parentAt]int{}
	}
	p.young[parentOf(k)] = shard
}

func (p *Places) forget(places plan.Places) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for k := range places {
		at := parentOf(k)
		delete(p.young, at)
		delete(p.old, at)
	}
}

// find looks parents up for a statement that is being bound. Where a hint is not
// enough the lookup rows are read locked, in the transaction that is open.
func (s *Session) find(ctx context.Context, need *plan.ErrNeedPlaces, reads bool, places plan.Places) error {
	sure := s.sure || s.staging && !reads
	asked := map[int][]plan.Wanted{}
	for _, w := range need.Wanted {
		if shard, known := s.deps.Places.lookup(w.Key); known && !sure {
			places[w.Key] = shard
		} else if _, twice := places[w.Key]; !twice {
			places[w.Key] = plan.NoParent
			asked[w.At] = append(asked[w.At], w)
		}
	}
	for at := range need.Follow.Lookup.Shards { // in order, as all others lock
		if err := s.findAt(ctx, need, at, asked[at], findHow{sure: sure, reads: reads}, places); err != nil {
			return err
		}
	}
	return nil
}

type findHow struct{ sure, reads bool }

// findAt asks one shard of a lookup table.
func (s *Session) findAt(ctx context.Context, need *plan.ErrNeedPlaces, at int, list []plan.Wanted, how findHow, places plan.Places) error {
	f := need.Follow
	for len(list) > 0 {
		some := list[:min(len(list), stagedRows)]
		list = list[len(some):]
		var when, in strings.Builder
		for i, w := range some {
			v := string(w.Value.AppendSQL(nil, s.settings.mode&parser.NoBackslashEscapes != 0))
			when.WriteString(" WHEN " + v + " THEN " + strconv.Itoa(i))
			if i > 0 {
				in.WriteString(", ")
			}
			in.WriteString(v)
		}
		shard, key := f.Lookup.Shards[at], sqlval.QuoteName(f.To)
		sql := "SELECT CASE " + key + when.String() + " END, " + f.Parent.Column.KeyExpr(sqlval.QuoteName(f.Parent.Column.Name)) +
			" FROM " + sqlval.QuoteName(shard.Database) + "." + sqlval.QuoteName(shard.Table) + " WHERE " + key + " IN (" + in.String() + ")"
		rows, err := s.askPlaces(ctx, shard.Cluster, sql, how)
		if err != nil {
			return err
		}
		for _, row := range rows {
			i, err := strconv.Atoi(string(row[0]))
			if err != nil || i >= len(some) {
				continue // no hint
			}
			place, err := f.Parent.Algorithm.ShardOf(f.Parent.Column.KeyRead(row[1]))
			if err != nil {
				return sqlerr.From(err)
			}
			places[some[i].Key] = place
			s.deps.Places.store(some[i].Key, place)
		}
	}
	return nil
}

// askPlaces runs the question: in the transaction where it takes part on the
// cluster already, or where it is to hold what it reads.
func (s *Session) askPlaces(ctx context.Context, cluster, sql string, how findHow) ([][][]byte, error) {
	target := topology.TargetPrimary
	if how.reads {
		target = topology.TargetReplica
	}
	if how.sure {
		sql += " LOCK IN SHARE MODE"
	}
	var c *backend.Conn
	release := func(err error) { s.lease.Release(c, err) }
	if _, inside := s.tx.Conn(cluster); s.tx.State() == txn.Open && !inside && !how.sure {
		conns, err := s.deps.Fleet.Acquire(ctx, s.wantPrimary(cluster, 1))
		if err != nil {
			return nil, err
		}
		c = conns[0]
		c.Want(s.settings.state(false))
		release = c.Release
	} else {
		s.lease.prepare(false)
		s.lease.noGTID, s.lease.writes = true, how.sure
		conns, err := s.lease.Acquire(ctx, cluster, target, 1)
		if err != nil {
			return nil, err
		}
		c = conns[0]
	}
	_, rows, err := c.Select(ctx, sql)
	release(err)
	return rows, err
}

// errNoParent is ER_NO_REFERENCED_ROW_2: the row a foreign key refers to is not
// there.
const errNoParent = 1452

// misplaced: an INSERT met no parent where a hint had one, or none was hinted at.
func (s *Session) misplaced(bound *plan.Bound, err error) bool {
	return bound != nil && bound.Placed && !s.sure && sqlerr.From(err).Code == errNoParent
}

// checksKeys refuses what relies on foreign keys in a session that has them off.
func (s *Session) checksKeys(p *plan.Plan) error {
	if !p.Watched {
		return nil
	}
	switch v, set := s.settings.value("foreign_key_checks"); {
	case !set, v == "1", strings.EqualFold(strings.Trim(v, "'"), "on"), strings.EqualFold(v, "true"), strings.EqualFold(v, "default"):
		return nil
	}
	return sqlerr.Refuse("this statement with foreign_key_checks off", plan.WhyWatched, "SET foreign_key_checks = 1")
}
