package admin

import (
	"sort"

	"github.com/servaldb/serval/catalog"
)

// SlotStat is how often one slot of a table was asked for or written to by its key
// since this Serval began, or since the rule has its slots by this key.
type SlotStat struct {
	Schema string `json:"schema"`
	Table  string `json:"table"`
	Slot   int    `json:"slot"`
	Keys   uint64 `json:"keys"`
}

// slots are those that anything went to.
func slots(c *catalog.Catalog) []SlotStat {
	out := []SlotStat{}
	for _, s := range c.Schemas {
		for _, t := range s.Tables {
			for slot, n := range t.Placement.Traffic.Slots() {
				if n > 0 {
					out = append(out, SlotStat{s.Name, t.Name, slot, n})
				}
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].Schema != out[j].Schema {
			return out[i].Schema < out[j].Schema
		}
		return out[i].Table < out[j].Table
	})
	return out
}
