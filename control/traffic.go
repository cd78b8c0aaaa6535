package control

import (
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/shardrule"
)

// countTraffic has the slots of cat's tables counted, those of tables that were in
// before on from what was counted there.
func countTraffic(cat, before *catalog.Catalog) {
	for _, schema := range cat.Schemas {
		for _, t := range schema.Tables {
			counted := shardrule.NewTraffic(t.Placement)
			if counted == nil || t.LookupOf != "" {
				continue
			}
			t.Placement.Traffic = counted
			if before == nil {
				continue
			}
			if old := before.Table(schema.Name, t.Name); old != nil && old.Placement.Column.Name == t.Placement.Column.Name && old.Placement.Traffic.Takes(counted) {
				t.Placement.Traffic = old.Placement.Traffic
			}
		}
	}
}
