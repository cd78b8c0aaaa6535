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

// batch are keys and what their rows are; nil is no row.
type batch struct {
	mv   *moving
	keys []string
	rows []*row
	// elsewhere: the rows may be in other targets than they belong to now, and are
	// deleted there.
	elsewhere bool
}

// twins are the keys of two rows that belong to one target and are equal in a unique
// key, as their literals show it; nil for none.
func (b *batch) twins() []string {
	seen := map[string]string{}
	for i, r := range b.rows {
		if r == nil {
			continue
		}
		for n, u := range b.mv.uniques {
			same := b.mv.sameUnique(r, u)
			if same == "" {
				continue
			}
			for _, shard := range r.shards {
				id := fmt.Sprintf("%d %d %s", shard, n, same)
				if other, ok := seen[id]; ok {
					return []string{other, b.keys[i]}
				}
				seen[id] = b.keys[i]
			}
		}
	}
	return nil
}

// without takes keys out.
func (b *batch) without(keys []string) {
	if len(keys) == 0 {
		return
	}
	n := 0
	for i, k := range b.keys {
		if !slices.Contains(keys, k) {
			b.keys[n], b.rows[n] = k, b.rows[i]
			n++
		}
	}
	b.keys, b.rows = b.keys[:n], b.rows[:n]
}

// conflictError: a row's unique value is another row's in the target.
type conflictError struct{ err error }

func (e *conflictError) Error() string { return e.err.Error() }
func (e *conflictError) Unwrap() error { return e.err }

// statementBytes is how long a statement that writes rows is at most, unless one
// row is longer.
const statementBytes = 1 << 20

// write brings all targets to what the batch says, in one transaction a cluster. An
// error may leave some of them done: writing it again is right.
func (m *Mover) write(ctx context.Context, b *batch) error {
	if err := b.placed(); err != nil {
		return err
	}
	byCluster := map[string][]string{}
	for _, t := range b.mv.targets {
		if sql := b.statements(t); len(sql) > 0 {
			byCluster[t.Shard.Cluster] = append(byCluster[t.Shard.Cluster], sql...)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	for cluster, sql := range byCluster {
		g.Go(func() error { return m.transact(ctx, cluster, sql, b.mv.careful) })
	}
	return g.Wait()
}

// placed: each row belongs to a target. A row whose shard stays as it is was not
// where the old rule says.
func (b *batch) placed() error {
	for i, r := range b.rows {
		if r == nil {
			continue
		}
		for _, shard := range r.shards {
			if slices.Contains(b.mv.Stays, shard) {
				return fmt.Errorf("the row with the primary key (%s) belongs to shard %d, whose rows stay where they are, but stands in another one; "+
					"serval check --placement shows such rows", b.keys[i], shard)
			}
			if !slices.ContainsFunc(b.mv.targets, func(t *target) bool { return t.Index == shard }) {
				return fmt.Errorf("the row with the primary key (%s) belongs to shard %d, of which there is no new table", b.keys[i], shard)
			}
		}
	}
	return nil
}

// statements are what brings one target to what the batch says.
func (b *batch) statements(t *target) []string {
	var own []*row
	var gone []string
	for i, r := range b.rows {
		switch {
		case r != nil && slices.Contains(r.shards, t.Index):
			own = append(own, r)
			if b.mv.careful {
				gone = append(gone, b.keys[i])
			}
		case b.elsewhere:
			gone = append(gone, b.keys[i])
		}
	}
	var out []string
	for part := range slices.Chunk(gone, settleAtOnce) {
		out = append(out, "DELETE FROM "+t.name+" WHERE "+b.mv.areKeys(part))
	}
	return b.mv.appendInserts(out, t, own)
}

// appendInserts writes rows in statements of a bounded length. REPLACE deletes rows
// that are equal in any unique key, which would be lost: it is for tables that have
// only the primary one.
func (mv *moving) appendInserts(out []string, t *target, rows []*row) []string {
	if len(rows) == 0 {
		return out
	}
	verb := "REPLACE INTO "
	if mv.careful {
		verb = "INSERT INTO "
	}
	names := make([]string, len(mv.columns))
	for i := range mv.columns {
		names[i] = sqlval.QuoteName(mv.columns[i].name)
	}
	head := verb + t.name + " (" + strings.Join(names, ", ") + ") VALUES "
	var sql strings.Builder
	for i, r := range rows {
		size := 0
		for _, v := range r.values {
			size += len(v) + 1
		}
		if sql.Len() > 0 && sql.Len()+size > statementBytes {
			out = append(out, sql.String())
			sql.Reset()
		}
		if sql.Len() == 0 {
			sql.Grow(min(statementBytes, size*(len(rows)-i)) + len(head) + size)
			sql.WriteString(head)
		} else {
			sql.WriteByte(',')
		}
		for n, v := range r.values {
			sql.WriteByte("(,"[min(n, 1)])
			sql.Write(v)
		}
		sql.WriteByte(')')
	}
	return append(out, sql.String())
}

// transact runs statements in one transaction of a cluster, all of them sent at
// once: behind one that failed others may be done, and the whole is done again. Where
// a unique key may be in the way the end waits for the others' answers.
func (m *Mover) transact(ctx context.Context, cluster string, statements []string, careful bool) error {
	all := append([]string{"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN"}, statements...)
	if !careful {
		all = append(all, "COMMIT")
	}
	return m.with(ctx, cluster, func(c *backend.Conn) error {
		for _, sql := range all {
			c.Query([]byte(sql)) // their answers are a few bytes each: nobody waits for them to be read
		}
		if err := c.Flush(); err != nil {
			return err
		}
		var failed error
		for range all {
			if err := answer(c, func([][]byte) error { return nil }); err != nil && failed == nil {
				failed = err
			}
		}
		if failed == nil && careful {
			failed = exec(c, "COMMIT")
		}
		if isCode(failed, errDupEntry) {
			return &conflictError{failed}
		}
		return failed // Release rolls back
	})
}

// colliding are the keys of rows in the targets that have a unique value of the
// batch's rows.
func (m *Mover) colliding(ctx context.Context, b *batch) ([]string, error) {
	var out []string
	for _, t := range b.mv.targets {
		var where []string
		for i, r := range b.rows {
			if r == nil || !slices.Contains(r.shards, t.Index) {
				continue
			}
			for _, u := range b.mv.uniques {
				if u == nil {
					return nil, fmt.Errorf("the row with the primary key (%s) has a unique value that another row has in the new table, "+
						"in a key with an expression, a generated column or a prefix, of which Serval cannot say which rows are equal", b.keys[i])
				}
				if sql := b.mv.sameUnique(r, u); sql != "" {
					where = append(where, sql)
				}
			}
		}
		for part := range slices.Chunk(where, settleAtOnce) {
			var names []string
			for _, i := range b.mv.key {
				names = append(names, b.mv.columns[i].readExpr())
			}
			sql := "SELECT " + strings.Join(names, ", ") + " FROM " + t.name + " WHERE " + strings.Join(part, " OR ")
			err := m.with(ctx, t.Shard.Cluster, func(c *backend.Conn) error {
				return query(c, sql, func(values [][]byte) error {
					if k := b.mv.keyOfOnly(values); !slices.Contains(out, k) {
						out = append(out, k)
					}
					return nil
				})
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// sameUnique is the condition for rows that are equal to r in a unique key, empty
// where r has a NULL in it.
func (mv *moving) sameUnique(r *row, key []int) string {
	parts := make([]string, len(key))
	for n, i := range key {
		if string(r.values[i]) == "NULL" {
			return ""
		}
		parts[n] = sqlval.QuoteName(mv.columns[i].name) + " = " + string(r.values[i])
	}
	return "(" + strings.Join(parts, " AND ") + ")"
}

// keyOfOnly is a key as SQL of just its columns' values.
func (mv *moving) keyOfOnly(values [][]byte) string {
	var b []byte
	for n, i := range mv.key {
		if n > 0 {
			b = append(b, ',')
		}
		b = mv.columns[i].appendKey(b, values[n])
	}
	return string(b)
}
