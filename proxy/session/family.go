package session

import (
	"context"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
)

// A row that moves takes the rows along that follow it (shardrule.Follow). They
// are deleted before it is, for their foreign keys keep it where it is, and
// inserted behind it. It is locked meanwhile, so no other row can come to follow
// it.

// family are the rows that follow some which move, taken away from their shards.
type family struct {
	tables []*stagedWrites
}

// takeFollowers takes away the rows that follow those that had these values.
func (w *stagedWrites) takeFollowers(ctx context.Context, old []map[string]string) (*family, error) {
	out := &family{}
	for _, child := range w.session.followers(ctx, w.now.Table) {
		for at := 0; at < len(old); at += stagedRows {
			taken, err := w.take(ctx, child, old[at:min(at+stagedRows, len(old))])
			if err != nil {
				return nil, err
			}
			if taken != nil {
				out.tables = append(out.tables, taken)
			}
		}
	}
	return out, nil
}

// followers are the tables that follow one, those that are there. One that is not
// known is looked at first: another Serval may have made it.
func (s *Session) followers(ctx context.Context, name plan.TableName) []*catalog.Table {
	schema := s.schemaOr(name.Schema)
	known := func() (there []*catalog.Table, all bool) {
		all = true
		if t := s.deps.Catalog.Load().Table(schema, name.Table); t != nil {
			for _, child := range t.Followers {
				if len(child.Columns) > 0 {
					there = append(there, child)
				}
			}
			all = len(there) == len(t.Followers)
		}
		return there, all
	}
	there, all := known()
	if all || s.deps.Refresher == nil {
		return there
	}
	for _, child := range s.deps.Catalog.Load().Table(schema, name.Table).Followers {
		if len(child.Columns) == 0 {
			if err := s.deps.Refresher.Refresh(ctx, schema, child.Name); err != nil {
				s.log.Warn("a table that follows another one could not be read", "schema", schema, "table", child.Name, "err", err)
			}
		}
	}
	there, _ = known()
	return there
}

// take takes the rows of one table; nil for none.
func (w *stagedWrites) take(ctx context.Context, child *catalog.Table, old []map[string]string) (*stagedWrites, error) {
	s, key := w.session, sqlval.QuoteName(child.Placement.Column.Name)
	values := make([]string, len(old))
	for i := range old {
		values[i] = old[i][strings.ToLower(child.Placement.Follows().To)]
	}
	_, bound, err := s.bindInner(ctx, []byte("UPDATE "+sqlval.QuoteName(child.Placement.Schema)+"."+sqlval.QuoteName(child.Name)+" SET "+key+" = "+key+" WHERE "+key+" IN ("+strings.Join(values, ", ")+")"))
	if err != nil {
		return nil, err
	}
	n := bound.Staged
	if n == nil || len(n.Writes) != 1 || n.Writes[0].Kind != plan.StagedMove {
		return nil, sqlerr.Refuse("an UPDATE of the sharding column of "+w.now.Table.Table, "the rows of "+child.Name+" that follow it cannot be moved", "")
	}
	c := &stagedWrites{session: s, n: n, rows: &stagedRowset{left: w.rows.left, noBackslash: w.rows.noBackslash}, now: &n.Writes[0]}
	for _, sql := range n.SQL {
		if err := s.readStaged(ctx, n, sql, c.rows); err != nil {
			return nil, err
		}
	}
	w.rows.left = c.rows.left
	if len(c.rows.rows) == 0 {
		return nil, nil //nolint:nilnil // nothing is there, and nothing is wrong
	}
	if err := c.mayMove(ctx); err != nil {
		return nil, err
	}
	earlier := s.diag
	defer func() { s.diag = earlier }()
	if c.rows.rows, err = c.remove(ctx, c.rows.rows); err != nil {
		return nil, err
	}
	c.rows.rows, _, err = c.moved(c.rows.rows)
	return c, err
}

// put inserts them where their parents are now.
func (f *family) put(ctx context.Context) error {
	for _, c := range f.tables {
		earlier := c.session.diag
		err := c.insert(ctx, c.rows.rows)
		c.session.diag = earlier
		if err != nil {
			return err
		}
	}
	return nil
}

// otherThan is the condition that a foreign key is none of a follower's: the rows
// that follow are gone before those are deleted that move.
func otherThan(t *catalog.Table) string {
	if t == nil { // a table at home
		return ""
	}
	seen := map[string]bool{}
	var names []string
	for _, child := range t.Followers {
		if len(child.Columns) == 0 {
			continue // not known, so not taken away
		}
		for _, s := range child.Placement.Shards {
			if !seen[s.Table] {
				seen[s.Table] = true
				names = append(names, quoteText(s.Table))
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " AND TABLE_NAME NOT IN (" + strings.Join(names, ", ") + ")"
}
