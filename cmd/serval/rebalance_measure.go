package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/rebalance"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// measureSlots counts the rows of a group's slots on the primaries, one table after
// the other.
func measureSlots(ctx context.Context, servers fleetServers, g *slotGroup, o *rebalanceOptions) (*rebalance.Measure, error) {
	var m rebalance.Measure
	for _, t := range g.tables {
		for _, s := range t.Placement.Shards {
			if err := measureShard(ctx, servers, g, t, s, o, &m); err != nil {
				return nil, fmt.Errorf("table %s.%s on %s: %w", s.Database, s.Table, s.Cluster, err)
			}
		}
	}
	return &m, nil
}

// measureShard adds one physical table. Its bytes are dealt to slots by their rows.
func measureShard(ctx context.Context, servers fleetServers, g *slotGroup, t *catalog.Table, s topology.Shard, o *rebalanceOptions, m *rebalance.Measure) error {
	named := sqlText(s.Database) + " AND TABLE_NAME = " + sqlText(s.Table)
	sizes, err := servers.Select(ctx, s.Cluster, "SELECT DATA_LENGTH + INDEX_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA = "+named)
	if err != nil || len(sizes) == 0 {
		return err // it is not there: no rows
	}
	size, _ := strconv.ParseFloat(string(sizes[0][0]), 64) // NULL of a view
	expr, ok := slotExprOf(t.Placement)
	if !ok {
		return fmt.Errorf("servers cannot compute its rule")
	}
	sql := "SELECT " + expr + " AS slot, COUNT(*) FROM " + sqlval.QuoteName(s.Database) + "." + sqlval.QuoteName(s.Table)
	if o.sample < 1 {
		sql += fmt.Sprintf(" WHERE RAND() < %g", o.sample)
	}
	rows, err := servers.Select(ctx, s.Cluster, sql+" GROUP BY slot")
	if err != nil {
		return err
	}
	counted, all := [shardrule.Slots]float64{}, 0.0
	for _, r := range rows {
		slot, err1 := strconv.Atoi(string(r[0]))
		n, err2 := strconv.ParseFloat(string(r[1]), 64)
		if err1 != nil || err2 != nil || slot < 0 || slot >= shardrule.Slots {
			return fmt.Errorf("the server answered %q for a slot", r)
		}
		counted[slot] = n / o.sample
		all += n / o.sample
	}
	g.Bytes += int64(size)
	for slot, n := range counted {
		m.Cost[slot] += n
		if o.by == "bytes" && all > 0 {
			n *= size / all
		}
		m.Weight[slot] += n
	}
	return nil
}

// slotExprOf is the SQL of a row's slot: that of a hash over as many shards as there
// are slots.
func slotExprOf(p *shardrule.Placement) (string, bool) {
	a, ok := shardrule.BySlot(p.Algorithm)
	if !ok {
		return "", false
	}
	expr := a.ShardExpr(sqlval.QuoteName(p.Column.Name), p.Column)
	return expr, expr != ""
}

func sqlText(text string) string {
	return fmt.Sprintf("CONVERT(X'%X' USING utf8mb4)", text)
}
