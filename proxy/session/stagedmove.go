package session

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// movableFor is how long a session takes a table for one without triggers: as
// long as definitions made past it take to be known at most.
const movableFor = 10 * time.Second

// mayMove refuses to move rows of a table where that would show: a move is a
// DELETE and an INSERT, for which other triggers run than for an UPDATE, and
// which foreign keys follow by deleting the rows that refer to it.
func (w *stagedWrites) mayMove(ctx context.Context) error {
	s := w.session
	name := plan.TableName{Schema: s.schemaOr(w.now.Table.Schema), Table: w.now.Table.Table}
	t := s.deps.Catalog.Load().Table(name.Schema, name.Table)
	var shards []topology.Shard
	switch {
	case t != nil && t.Placement != nil:
		shards = t.Placement.Shards
	case w.now.Row != "": // a table at home, whose rows are told apart by their values
		shards = []topology.Shard{{Cluster: s.deps.Catalog.Load().HomeOf(name.Schema), Database: name.Schema, Table: name.Table}}
	default:
		return nil
	}
	if at, asked := s.movable[name]; asked && time.Since(at) < movableFor {
		return nil
	}
	databases, tables := map[string][]string{}, map[string][]string{} // by cluster
	for _, shard := range shards {
		c := shard.Cluster
		databases[c], tables[c] = append(databases[c], quoteText(shard.Database)), append(tables[c], quoteText(shard.Table))
	}
	for cluster := range databases {
		in := " IN (" + strings.Join(databases[cluster], ", ") + ")"
		named := " IN (" + strings.Join(tables[cluster], ", ") + ")"
		if !slices.ContainsFunc(tables[cluster], func(other string) bool { return other != tables[cluster][0] }) {
			named = " = " + tables[cluster][0] // by which MariaDB opens no other tables
		}
		conns, err := s.deps.Fleet.Acquire(ctx, s.wantPrimary(cluster, 1))
		if err != nil {
			return err
		}
		conns[0].Want(&backend.State{})
		_, rows, err := conns[0].Select(ctx, "SELECT CONCAT('the trigger ', TRIGGER_NAME, ' of a shard would run for a DELETE and an INSERT') FROM information_schema.TRIGGERS"+
			" WHERE EVENT_OBJECT_SCHEMA"+in+" AND EVENT_OBJECT_TABLE"+named+
			" UNION ALL SELECT CONCAT('the foreign key ', CONSTRAINT_NAME, ' of a shard would change the rows that refer to it') FROM information_schema.REFERENTIAL_CONSTRAINTS"+
			" WHERE CONSTRAINT_SCHEMA"+in+" AND REFERENCED_TABLE_NAME"+named+" AND DELETE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT')"+otherThan(t)+" LIMIT 1")
		conns[0].Release(err)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			return sqlerr.Refuse("an UPDATE that moves rows of "+w.now.Table.Table, "they would be deleted and inserted anew, and "+string(rows[0][0]),
				"delete the row and insert it with its new values, if that is what you want")
		}
	}
	if s.movable == nil || len(s.movable) > 100 {
		s.movable = map[plan.TableName]time.Time{}
	}
	s.movable[name] = time.Now()
	return nil
}
