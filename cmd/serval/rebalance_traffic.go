package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/servaldb/serval/admin"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/rebalance"
)

// weighTraffic makes what a group's slots weigh the keys that the Serval at the file's
// admin address has counted for them.
func weighTraffic(ctx context.Context, cfg *config.Config, g *slotGroup, m *rebalance.Measure) error {
	if cfg.Admin == "" {
		return errors.New("the configuration has no admin: address to ask for the traffic of slots")
	}
	var stats []admin.SlotStat
	if err := getJSON(ctx, cfg.Admin, "/api/slots", &stats); err != nil {
		return err
	}
	m.Weight = [len(m.Weight)]float64{}
	total := 0.0
	for _, s := range stats {
		for _, name := range g.Names {
			if name == s.Schema+"."+s.Table && s.Slot >= 0 && s.Slot < len(m.Weight) {
				m.Weight[s.Slot] += float64(s.Keys)
				total += float64(s.Keys)
			}
		}
	}
	if total == 0 {
		return fmt.Errorf("the Serval at %s has counted no key of %v yet", cfg.Admin, g.Names)
	}
	return nil
}
