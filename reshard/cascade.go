package reshard

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlval"
)

// What ON DELETE CASCADE, ON UPDATE CASCADE and SET NULL do to rows is in no binlog where
// InnoDB does it: on MariaDB, and on MySQL before 9.6. The change of the row that they
// refer to is. So wherever such a row changes, those that refer to it by its primary key
// are looked for, in the old tables and in the new ones, which may still have them as
// they were, and settled.

// cascade is a foreign key that changes rows by itself.
type cascade struct {
	child, parent *moving
	// refs are the child's columns, in the order of the parent's primary key.
	refs []int
}

// cascadeDepth is how far a change goes from table to table, as InnoDB bounds it.
const cascadeDepth = 15

// keepsItself: the foreign key changes no rows by itself.
func (f *reference) keepsItself() bool {
	rules := f.onDelete + f.onUpdate
	return !strings.Contains(rules, "CASCADE") && !strings.Contains(rules, "SET")
}

// toKey are the table's columns in the order of the primary key that they refer to; nil
// where they refer to other columns.
func (f *reference) toKey(primary []string) (columns []string) {
	for _, key := range primary {
		i := slices.IndexFunc(f.columns, func(c [2]string) bool { return strings.EqualFold(c[1], key) })
		if i < 0 || len(f.columns) != len(primary) {
			return nil
		}
		columns = append(columns, f.columns[i][0])
	}
	return columns
}

// findCascades reads the foreign keys that change rows of tables that are moved.
func (m *Mover) findCascades(ctx context.Context) error {
	for _, child := range m.tables {
		if len(child.sources) == 0 {
			continue
		}
		src := child.sources[0]
		if told, err := m.toldAll(ctx, child); told || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		all, err := references(ctx, m.ask, src.shard)
		if err != nil {
			return err
		}
		for _, f := range all {
			i := slices.IndexFunc(m.tables, func(p *moving) bool { return p.Table == m.cfg.Layout.tableAt(src.shard, f.toDatabase, f.to) })
			if f.keepsItself() || i < 0 || f.database != src.shard.Database || f.table != src.shard.Table {
				continue
			}
			c := &cascade{child: child, parent: m.tables[i]}
			for _, column := range f.toKey(c.parent.Definition.PrimaryKey) {
				c.refs = append(c.refs, indexOf(child.columns, column))
			}
			if len(c.refs) > 0 && !slices.Contains(c.refs, -1) { // else the plan saw to it that binlogs tell
				m.cascades = append(m.cascades, c)
			}
		}
	}
	return nil
}

// toldAll: the binlogs of all its sources have what foreign keys do.
func (m *Mover) toldAll(ctx context.Context, mv *moving) (bool, error) {
	for _, src := range mv.sources {
		if told, err := tellsCascades(ctx, m.ask, src.shard.Cluster); !told || err != nil {
			return false, err
		}
	}
	return true, nil
}

// ask runs a query on a cluster's primary.
func (m *Mover) ask(ctx context.Context, cluster, sql string) (rows [][][]byte, err error) {
	err = m.with(ctx, cluster, func(c *backend.Conn) error {
		rows = nil
		return query(c, sql, func(row [][]byte) error {
			rows = append(rows, row)
			return nil
		})
	})
	return rows, err
}

// settleCascades settles what a round's rows may have changed by foreign keys.
func (m *Mover) settleCascades(ctx context.Context, round []taken) (left []dirtyKey, err error) {
	for _, c := range m.cascades {
		keys := map[*source][]string{}
		for _, src := range c.child.sources {
			keys[src] = keysBeside(src, c.parent.Table, round)
		}
		more, err := m.cascadeFrom(ctx, c, keys, 1)
		if err != nil {
			return nil, err
		}
		left = append(left, more...)
	}
	return left, nil
}

// keysBeside are a round's keys of another table's source on the same shard.
func keysBeside(src *source, other *Table, round []taken) (keys []string) {
	for _, t := range round {
		for k := range t.keys {
			if k.source.mv.Table == other && k.source.shard.Index == src.shard.Index {
				keys = append(keys, k.key)
			}
		}
	}
	return keys
}

// cascadeFrom settles the rows that refer to any of the keys, now or as the new tables
// have them, and those that refer to them; keys are the parent's, by the child's source
// on their shard. What is left is that source's, so that the position of the parent's
// stream, which is the same, waits for it.
func (m *Mover) cascadeFrom(ctx context.Context, c *cascade, keys map[*source][]string, depth int) (left []dirtyKey, err error) {
	var all []look
	for src, parents := range keys {
		for part := range slices.Chunk(parents, settleAtOnce) {
			l := look{src: src, cluster: src.shard.Cluster, table: src.name, where: c.refersTo(part)}
			all = append(all, l)
			for _, t := range c.child.targets {
				l.cluster, l.table = t.Shard.Cluster, t.name
				all = append(all, l)
			}
		}
	}
	err = m.eachFound(ctx, c.child, all, func(found map[*source][]string) error {
		more, err := m.settleAll(ctx, found)
		left = append(left, more...)
		for _, next := range m.cascades {
			if err != nil || next.parent != c.child || depth == cascadeDepth {
				continue
			}
			below := map[*source][]string{}
			for _, src := range next.child.sources {
				for at, keys := range found {
					if at.shard.Index == src.shard.Index {
						below[src] = keys
					}
				}
			}
			more, err = m.cascadeFrom(ctx, next, below, depth+1)
			left = append(left, more...)
		}
		return err
	})
	return left, err
}

// refersTo is the condition for rows that refer to any of the parent's keys.
func (c *cascade) refersTo(keys []string) string {
	if len(c.refs) == 1 {
		return sqlval.QuoteName(c.child.columns[c.refs[0]].name) + " IN (" + strings.Join(keys, ", ") + ")"
	}
	parts := make([]string, len(keys))
	for i, k := range keys {
		var and []string
		for n, v := range strings.Split(k, ",") {
			and = append(and, sqlval.QuoteName(c.child.columns[c.refs[n]].name)+" = "+v)
		}
		parts[i] = "(" + strings.Join(and, " AND ") + ")"
	}
	return strings.Join(parts, " OR ")
}

// look is a search for keys of a moving table's rows in one physical table, on behalf of
// a source.
type look struct {
	src                   *source
	cluster, table, where string
	// last is the key behind which it goes on.
	last string
}

// eachFound gives the keys of rows for which the looks' conditions hold, each key once at
// a time, and a bounded number of them.
func (m *Mover) eachFound(ctx context.Context, mv *moving, all []look, f func(found map[*source][]string) error) error {
	const atOnce = 64
	for len(all) > 0 {
		some := all[:min(atOnce, len(all))]
		all = all[len(some):]
		pages := make([][]string, len(some))
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(settleParallel)
		for i, l := range some {
			g.Go(func() (err error) {
				pages[i], err = m.lookFor(gctx, mv, l)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		found, once := map[*source][]string{}, map[string]bool{}
		for i, l := range some {
			for _, k := range pages[i] {
				if !once[k] {
					once[k] = true
					found[l.src] = append(found[l.src], k)
				}
			}
			if n := len(pages[i]); n == lookAtOnce {
				l.last = pages[i][n-1]
				all = append(all, l)
			}
		}
		if len(found) == 0 {
			continue
		}
		if err := f(found); err != nil {
			return err
		}
	}
	return nil
}

// lookAtOnce bounds the keys that one look gives at a time.
const lookAtOnce = 1000

// lookFor is a page of keys. A chunk that was read before is written first, so that
// nothing of it comes behind.
func (m *Mover) lookFor(ctx context.Context, mv *moving, l look) ([]string, error) {
	names := make([]string, len(mv.key))
	for n, i := range mv.key {
		names[n] = mv.columns[i].readExpr()
	}
	for _, src := range mv.sources {
		src.turn.RLock()
		defer src.turn.RUnlock()
	}
	rows, err := m.ask(ctx, l.cluster, "SELECT "+strings.Join(names, ", ")+" FROM "+l.table+" WHERE ("+l.where+") AND ("+mv.behind(l.last, true)+") ORDER BY "+mv.keyNames()+fmt.Sprintf(" LIMIT %d", lookAtOnce))
	keys := make([]string, len(rows))
	for i, values := range rows {
		keys[i] = mv.keyOfOnly(values)
	}
	return keys, err
}
