package admin

import "github.com/servaldb/serval/catalog"

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
	for _, t := range tables(c) {
		for slot, n := range c.Table(t.Schema, t.Table).Placement.Traffic.Slots() {
			if n > 0 {
				out = append(out, SlotStat{t.Schema, t.Table, slot, n})
			}
		}
	}
	return out
}
