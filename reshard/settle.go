package reshard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
)

const (
	// settleAtOnce keys of one source are read and written together; fewer where a
	// unique key may be in the way, because what collides is done again with all of them.
	settleAtOnce, settleCareful = 250, 50
	// settleParallel such batches are under way at once.
	settleParallel = 8
)

// row is one row as it is in its source: each column as SQL, and where it belongs.
type row struct {
	values [][]byte
	shards []int
}

// settleLoop settles what the streams collect, one round after the other: a round
// has all keys that were dirty at its beginning, and its position is written down
// when all of them are settled. A key that changes meanwhile is in a later round, so
// whatever a round has read too early is put right.
func (m *Mover) settleLoop(ctx context.Context) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-m.wake:
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := m.settleRound(ctx); err != nil {
			return err
		}
	}
}

// tableKey is one row of a logical table.
type tableKey struct {
	table *moving
	key   string
}

func (m *Mover) settleRound(ctx context.Context) error {
	m.settling.Lock()
	defer m.settling.Unlock()
	var round []taken
	bySource := map[*source][]string{}
	once := map[tableKey]bool{}
	for _, cluster := range m.clusters() {
		t := m.streams[cluster].take()
		round = append(round, t)
		for k := range t.keys {
			// A row that moved between sources is dirty in each. It is settled once:
			// two at the same time could write what they have read in either order.
			id := tableKey{k.source.mv, k.key}
			if !once[id] {
				once[id] = true
				bySource[k.source] = append(bySource[k.source], k.key)
			}
		}
	}
	left, err := m.settleAll(ctx, bySource)
	if err != nil {
		return err
	}
	more, err := m.settleFollowers(ctx, round)
	if err != nil {
		return err
	}
	left = append(left, more...)
	if more, err = m.settleCascades(ctx, round); err != nil {
		return err
	}
	left = append(left, more...)
	for _, t := range round {
		var mine []dirtyKey
		for _, k := range left {
			if k.source.shard.Cluster == t.stream.cluster {
				mine = append(mine, k)
			}
		}
		if err := t.stream.done(ctx, t, mine); err != nil {
			return err
		}
		m.settled.Add(int64(max(0, len(t.keys)-len(mine)))) // followers are none of its keys
	}
	if len(left) > 0 {
		m.signal()
	}
	return nil
}

// settleAll settles keys by source; left are those whose rows others hold.
func (m *Mover) settleAll(ctx context.Context, bySource map[*source][]string) (left []dirtyKey, err error) {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(settleParallel)
	for src, keys := range bySource {
		at := settleAtOnce
		if src.mv.careful {
			at = settleCareful
		}
		for part := range slices.Chunk(keys, at) {
			g.Go(func() error {
				src.turn.RLock()
				defer src.turn.RUnlock()
				held, err := m.settle(ctx, src, part)
				if err != nil {
					return fmt.Errorf("table %s.%s: %w", src.mv.Schema, src.mv.Name, err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, k := range held {
					left = append(left, dirtyKey{src, k})
				}
				return nil
			})
		}
	}
	return left, g.Wait()
}

// settleNow settles keys between two rounds, and returns when all of them are.
func (m *Mover) settleNow(ctx context.Context, src *source, keys []string) error {
	m.settling.Lock()
	defer m.settling.Unlock()
	for len(keys) > 0 {
		var again []string
		for part := range slices.Chunk(keys, settleAtOnce) {
			held, err := m.settle(ctx, src, part)
			if err != nil {
				return err
			}
			for _, k := range held {
				if slices.Contains(part, k) {
					again = append(again, k)
				}
			}
		}
		keys = again
	}
	return ctx.Err()
}

// settle brings the targets to what the sources have of the keys of one source.
// held are those whose rows others hold for long.
func (m *Mover) settle(ctx context.Context, src *source, keys []string) (held []string, err error) {
	b := &batch{mv: src.mv, keys: keys, elsewhere: true}
	if held, err = m.current(ctx, src, b); err != nil || len(b.keys) == 0 {
		return held, err
	}
	err = m.write(ctx, b)
	var conflict *conflictError
	if !errors.As(err, &conflict) {
		return held, err
	}
	if len(keys) > 1 {
		if late, done, err := m.settleBeside(ctx, src, b); err != nil || done {
			return append(held, late...), err
		}
		for _, half := range [][]string{keys[:len(keys)/2], keys[len(keys)/2:]} {
			more, err := m.settle(ctx, src, half)
			if err != nil {
				return nil, err
			}
			held = append(held, more...)
		}
		return held, nil
	}
	return m.settleTogether(ctx, src, keys[0])
}

// settleBeside settles a batch together with the rows that are in its way in the
// targets; done is false where that was not enough.
func (m *Mover) settleBeside(ctx context.Context, src *source, b *batch) (held []string, done bool, err error) {
	const looks, most = 3, 2 * settleAtOnce
	keys := b.keys
	for range looks {
		more, err := m.colliding(ctx, b)
		if err != nil {
			return nil, false, err
		}
		before := len(keys)
		for _, k := range more {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
		if len(keys) == before || len(keys) > most {
			return nil, false, nil // they have changed since, or there are too many
		}
		b = &batch{mv: src.mv, keys: slices.Clone(keys), elsewhere: true}
		if held, err = m.current(ctx, src, b); err != nil {
			return nil, false, err
		}
		err = m.write(ctx, b)
		var conflict *conflictError
		if !errors.As(err, &conflict) {
			return held, err == nil, err
		}
	}
	return nil, false, nil
}

// settleTogether settles a key whose row has a unique value that other rows have in
// the targets: together with those rows, as the sources have them now.
func (m *Mover) settleTogether(ctx context.Context, src *source, key string) (held []string, err error) {
	const looks = 10
	keys := []string{key}
	for range looks {
		b := &batch{mv: src.mv, keys: keys, elsewhere: true}
		held, err := m.current(ctx, src, b)
		if err != nil {
			return nil, err
		}
		if len(held) > 0 {
			break
		}
		err = m.write(ctx, b)
		var conflict *conflictError
		if !errors.As(err, &conflict) {
			return nil, err
		}
		more, err := m.colliding(ctx, b)
		if err != nil {
			return nil, err
		}
		before := len(keys)
		for _, k := range more {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
		if len(keys) > before {
			continue
		}
		if err := m.alike(ctx, src, keys); err != nil {
			return nil, fmt.Errorf("%w: %w", err, conflict.err)
		}
		if src.mv.stuck(key) {
			return nil, fmt.Errorf("the row with the primary key (%s) cannot be written beside those with the primary keys (%s): %w",
				key, strings.Join(keys[1:], "), ("), conflict.err)
		}
	}
	return []string{key}, nil // they change all the time: later
}

// stuck counts how often a key could not be settled though nothing changed that can
// be seen; it reports that this has gone on for too long.
func (mv *moving) stuck(key string) bool {
	const most = 200
	mv.tries.Lock()
	defer mv.tries.Unlock()
	if mv.tries.of == nil {
		mv.tries.of = map[string]int{}
	}
	mv.tries.of[key]++
	return mv.tries.of[key] > most
}

// alike is the error of rows that have the same unique value in the sources, and
// keep it: they may only have been read before and after it went from one to another.
func (m *Mover) alike(ctx context.Context, src *source, keys []string) error {
	const looks = 3
	var same []string
	for range looks {
		b := &batch{mv: src.mv, keys: keys}
		if held, err := m.current(ctx, src, b); err != nil || len(held) > 0 {
			return err
		}
		if same = b.twins(); same == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("the rows with the primary keys (%s) are in different shards and have the same value of a unique key; they cannot be in one table. "+
		"Give one of them another value, cancel the job and start it again", strings.Join(same, ") and ("))
}

// current reads the batch's rows from the sources; keys whose rows are held by
// others are taken out of the batch.
func (m *Mover) current(ctx context.Context, src *source, b *batch) (held []string, err error) {
	rows, held, err := m.readHeld(ctx, src, b.keys)
	if err != nil {
		return nil, err
	}
	keys, found := make([]string, 0, len(rows)), make([]*row, 0, len(rows))
	var around []string
	for i, k := range b.keys {
		if slices.Contains(held, k) {
			continue
		}
		keys, found = append(keys, k), append(found, rows[i])
		if rows[i] == nil || src.mv.lookAround {
			around = append(around, k)
		}
	}
	b.keys, b.rows = keys, found
	if len(around) == 0 || len(src.mv.sources) == 1 {
		return held, nil
	}
	return m.around(ctx, src, b, around, held)
}

// around looks for keys in the other sources of the table.
func (m *Mover) around(ctx context.Context, src *source, b *batch, keys, held []string) ([]string, error) {
	others := make([][]*row, len(src.mv.sources))
	late := make([][]string, len(src.mv.sources))
	g, gctx := errgroup.WithContext(ctx)
	for i, other := range src.mv.sources {
		if other != src {
			g.Go(func() (err error) {
				others[i], late[i], err = m.readHeld(gctx, other, keys)
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, l := range late {
		held = append(held, l...)
	}
	for n, k := range keys {
		for i := range others {
			if others[i] == nil || others[i][n] == nil {
				continue
			}
			at := slices.Index(b.keys, k)
			if b.rows[at] != nil {
				if err := m.twice(ctx, src.mv, k); err != nil {
					return nil, err
				}
				held = append(held, k) // it was moving: read it once more
				continue
			}
			b.rows[at] = others[i][n]
		}
	}
	b.without(held)
	return held, nil
}

// twice makes sure that a key seen in two sources is in two: a row that moves may
// be seen before it left one and after it came to the other.
func (m *Mover) twice(ctx context.Context, mv *moving, key string) error {
	const looks = 3
	var in []string
	for range looks {
		in = in[:0]
		for _, src := range mv.sources {
			rows, held, err := m.readHeld(ctx, src, []string{key})
			if err != nil {
				return err
			}
			if len(held) > 0 || rows[0] != nil {
				in = append(in, src.String())
			}
		}
		if len(in) < 2 {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("rows with the same primary key (%s) are in more than one of its shards (%s); they cannot be in one table. "+
		"Give one of them another key, cancel the job and start it again", key, strings.Join(in, ", "))
}

// readHeld reads the rows of keys from one source, each with a locking read of its
// own, and places them; nil is no row. held are the keys whose rows others have
// locked for long.
func (m *Mover) readHeld(ctx context.Context, src *source, keys []string) (rows []*row, held []string, err error) {
	mv := src.mv
	list := src.selects
	if mv.place.follow != nil {
		list = mv.reads
	}
	sql := make([]string, len(keys))
	for i, k := range keys {
		sql[i] = "SELECT " + list + " FROM " + src.name + " WHERE " + mv.isKey(k) + " LOCK IN SHARE MODE"
	}
	values, late, err := m.lockEach(ctx, src.shard.Cluster, sql)
	if err == nil && mv.place.follow != nil {
		held, err = m.lockParents(ctx, src, keys, values)
	}
	if err != nil {
		return nil, nil, err
	}
	rows = make([]*row, len(keys))
	for i, v := range values {
		if late[i] {
			held = append(held, keys[i])
		}
		if v == nil {
			continue
		}
		if rows[i], err = mv.row(v); err != nil {
			return nil, nil, err
		}
	}
	return rows, held, nil
}

// lockEach runs locking reads of one row, each for itself; nil is no row. held are those
// whose rows others have locked for long.
func (m *Mover) lockEach(ctx context.Context, cluster string, sql []string) (rows [][][]byte, held []bool, err error) {
	rows, held = make([][][]byte, len(sql)), make([]bool, len(sql))
	if len(sql) == 0 {
		return rows, held, nil
	}
	err = m.with(ctx, cluster, func(c *backend.Conn) error {
		clear(rows)
		clear(held)
		const most = 16 << 10 // bytes of statements under way, so that neither side waits for the other to read
		for from := 0; from < len(sql); {
			size, to := 0, from
			for to < len(sql) && (to == from || size < most) {
				c.Query([]byte(sql[to]))
				size += len(sql[to])
				to++
			}
			if err := c.Flush(); err != nil {
				return err
			}
			for i := from; i < to; i++ {
				err := answer(c, func(values [][]byte) error {
					rows[i] = values
					return nil
				})
				held[i] = isCode(err, sqlerr.LockWaitTimeout) || isCode(err, sqlerr.Deadlock)
				if err != nil && !held[i] {
					return err
				}
			}
			from = to
		}
		return nil
	})
	return rows, held, err
}

func isCode(err error, code uint16) bool {
	var e *sqlerr.Error
	return errors.As(err, &e) && e.Code == code
}

// row makes SQL of what was read, and places it.
func (mv *moving) row(values [][]byte) (*row, error) {
	n := len(mv.columns)
	shards, err := mv.place.of(values[n:])
	r := &row{values: make([][]byte, n), shards: shards}
	size := 0
	for i := range n {
		size += 2*len(values[i]) + 16
	}
	buf := make([]byte, 0, size)
	for i := range n {
		from := len(buf)
		if mv.columns[i].dataType == "json" && values[i] != nil {
			var bad error
			if buf, bad = appendJSON(buf, values[i]); bad != nil {
				return nil, fmt.Errorf("the row with the primary key (%s), column %s: %w", mv.keyOf(values), mv.columns[i].name, bad)
			}
		} else {
			buf = mv.columns[i].appendLiteral(buf, values[i])
		}
		r.values[i] = buf[from:len(buf):len(buf)]
	}
	if err != nil {
		return nil, fmt.Errorf("the row with the primary key (%s) has no shard by the new rule: %w", mv.keyOf(values), err)
	}
	return r, nil
}

// keyOf is a row's key as SQL.
func (mv *moving) keyOf(values [][]byte) string {
	var b []byte
	for n, i := range mv.key {
		if n > 0 {
			b = append(b, ',')
		}
		b = mv.columns[i].appendKey(b, values[i])
	}
	return string(b)
}

// isKey is the condition for one key.
func (mv *moving) isKey(key string) string {
	if len(mv.key) == 1 {
		return sqlval.QuoteName(mv.columns[mv.key[0]].name) + " = " + key
	}
	var b strings.Builder
	b.WriteByte('(')
	for n, v := range strings.Split(key, ",") {
		if n > 0 {
			b.WriteString(" AND ")
		}
		b.WriteString(sqlval.QuoteName(mv.columns[mv.key[n]].name) + " = " + v)
	}
	b.WriteByte(')')
	return b.String()
}

// areKeys is the condition for any of several keys.
func (mv *moving) areKeys(keys []string) string {
	if len(mv.key) == 1 {
		return sqlval.QuoteName(mv.columns[mv.key[0]].name) + " IN (" + strings.Join(keys, ", ") + ")"
	}
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = mv.isKey(k)
	}
	return strings.Join(parts, " OR ")
}
