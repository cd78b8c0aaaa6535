package control

import (
	"cmp"
	"slices"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/topology"
)

// beside keeps what homes read of a reshard's tables; while a cluster does not
// answer it stays as it was.
func (r *factReader) beside(plain *catalog.Catalog, facts *Facts) {
	if facts.Beside = r.old.Beside; len(r.down) > 0 {
		return
	}
	facts.Beside = catalog.Beside{}
	others := map[string]bool{} // databases with other tables
	for cluster, tables := range r.homed {
		for name := range tables {
			if !catalog.IsBeside(name.Table) {
				others[name.Schema] = others[name.Schema] || cluster == plain.Home
				continue
			}
			if facts.Beside.Tables == nil {
				facts.Beside.Tables = map[string][]topology.Shard{}
			}
			facts.Beside.Tables[cluster] = append(facts.Beside.Tables[cluster], topology.Shard{Cluster: cluster, Database: name.Schema, Table: name.Table})
		}
	}
	for cluster, tables := range facts.Beside.Tables {
		slices.SortFunc(tables, func(a, b topology.Shard) int {
			return cmp.Or(cmp.Compare(a.Database, b.Database), cmp.Compare(a.Table, b.Table))
		})
		for _, t := range tables {
			if cluster == plain.Home && plain.Schema(t.Database) == nil && !others[t.Database] && !slices.Contains(facts.Beside.Databases, t.Database) {
				facts.Beside.Databases = append(facts.Beside.Databases, t.Database)
			}
		}
	}
}
