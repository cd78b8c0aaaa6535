package session

import (
	"context"
	"strings"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
)

// mayMove refuses to move rows of a table where that would show: a move is a
// DELETE and an INSERT, for which other triggers run than for an UPDATE, and
// which foreign keys follow by deleting the rows that refer to it.
func (w *stagedWrites) mayMove(ctx context.Context) error {
	s := w.session
	t := s.deps.Catalog.Load().Table(s.schemaOr(w.now.Table.Schema), w.now.Table.Table)
	if t == nil || t.Placement == nil {
		return nil
	}
	questions := map[string][]string{} // by cluster
	for _, shard := range t.Placement.Shards {
		database, table := quoteText(shard.Database), quoteText(shard.Table)
		// One SELECT a table: by constants a server need not open all others.
		questions[shard.Cluster] = append(questions[shard.Cluster],
			"(SELECT CONCAT('the trigger ', TRIGGER_NAME, ' of a shard would run for a DELETE and an INSERT') FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = "+
				database+" AND EVENT_OBJECT_TABLE = "+table+")",
			"(SELECT CONCAT('the foreign key ', CONSTRAINT_NAME, ' of a shard would change the rows that refer to it') FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = "+
				database+" AND REFERENCED_TABLE_NAME = "+table+" AND DELETE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT'))")
	}
	for cluster, list := range questions {
		conns, err := s.deps.Fleet.Acquire(ctx, s.wantPrimary(cluster, 1))
		if err != nil {
			return err
		}
		conns[0].Want(&backend.State{})
		_, rows, err := conns[0].Select(ctx, strings.Join(list, " UNION ALL ")+" LIMIT 1")
		conns[0].Release(err)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			return sqlerr.Refuse("an UPDATE of the sharding column of "+w.now.Table.Table, "the row would move to another shard, and "+string(rows[0][0]),
				"delete the row and insert it with its new key, if that is what you want")
		}
	}
	return nil
}
