package control

import (
	"context"
	"fmt"
	"strings"

	"github.com/servaldb/serval/topology"
)

// forgottenAtOnce is how many rows of a lookup table one statement takes out.
const forgottenAtOnce = 5000

// forgetKept takes the rows of shards that are about to be dropped out of the lookup
// tables of their table: their values are free then. Before the drop, for who is killed
// between finds the period still there, and begins anew.
func (c *Controller) forgetKept(ctx context.Context, name TableName, dropped []topology.Shard) error {
	t := c.store.Load().Table(name.Schema, name.Table)
	if t == nil || len(t.Uniques) == 0 {
		return nil
	}
	var here []string
	for i, s := range t.Placement.Shards {
		for _, d := range dropped {
			if s.Cluster != d.Cluster || s.Database != d.Database || s.Table != d.Table {
				continue
			}
			expr, ok := hereExpr(t.Placement, i)
			if !ok {
				c.log.Warn("a period is dropped, and servers cannot tell which values of its unique keys are free then: serval check --live --repair", "table", name.Table)
				return nil
			}
			here = append(here, "("+expr+")")
		}
	}
	if len(here) == 0 {
		return nil
	}
	where := " WHERE " + strings.Join(here, " OR ")
	for _, u := range t.Uniques {
		for _, s := range u.Lookup.Placement.Shards {
			if err := c.forgetFrom(ctx, s, where); err != nil {
				return fmt.Errorf("lookup table %s: %w", u.Lookup.Name, err)
			}
		}
	}
	return nil
}

func (c *Controller) forgetFrom(ctx context.Context, s topology.Shard, where string) error {
	for {
		rows, err := c.servers.Select(ctx, s.Cluster, "SELECT 1 FROM "+physicalTable(s)+where+" LIMIT 1")
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := c.servers.Exec(ctx, s.Cluster, fmt.Sprintf("DELETE FROM %s%s LIMIT %d", physicalTable(s), where, forgottenAtOnce)); err != nil {
			return err
		}
	}
}
