package reshard

import (
	"cmp"
	"slices"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Obstacle is why a job cannot be, or a remark about one that can. Table is empty
// where it is about more than one.
type Obstacle struct {
	Schema string `json:"schema,omitempty"`
	Table  string `json:"table,omitempty"`
	What   string `json:"what"`
	Do     string `json:"do,omitempty"`
	// Remark: it is for the reader to know, and stops nothing.
	Remark bool `json:"remark,omitempty"`
}

// String is the obstacle in one line.
func (o Obstacle) String() string {
	s := o.What
	if o.Table != "" {
		s = o.Schema + "." + o.Table + ": " + s
	} else if o.Schema != "" {
		s = o.Schema + ": " + s
	}
	if o.Do != "" {
		s += "; " + o.Do
	}
	return s
}

// Between is what moves from the placements of old to those of next, two catalogs
// of the same tables, and what speaks against it that no server need be asked
// for. Where there are obstacles the layout is what it would be. It is pure.
func Between(old, next *catalog.Catalog) (*Layout, []Obstacle) {
	b := &between{old: old, next: next, layout: &Layout{FoldNames: old.FoldNames}}
	b.clusters()
	for _, name := range b.names() {
		b.table(name)
	}
	b.families()
	b.homes()
	b.overlaps()
	return b.layout, b.obstacles
}

// tableName is a logical table.
type tableName struct{ schema, table string }

// between is one comparison at work.
type between struct {
	old, next *catalog.Catalog
	layout    *Layout
	obstacles []Obstacle
}

func (b *between) remark(name tableName, what, do string) {
	b.obstacles = append(b.obstacles, Obstacle{Schema: name.schema, Table: name.table, What: what, Do: do, Remark: true})
}

func (b *between) refuse(name tableName, what, do string) {
	if o := (Obstacle{Schema: name.schema, Table: name.table, What: what, Do: do}); !slices.Contains(b.obstacles, o) {
		b.obstacles = append(b.obstacles, o)
	}
}

// clusters: a name that means other servers would mislead.
func (b *between) clusters() {
	for _, name := range sortedKeys(b.old.Clusters) {
		if b.next.Clusters[name] != nil && !b.sameServers(name, name) {
			b.refuse(tableName{}, "cluster "+name+" has other servers in the new file", "give the new servers a cluster name of their own")
		}
	}
}

// names are the tables that have a rule in one of the two.
func (b *between) names() []tableName {
	var out []tableName
	for _, c := range []*catalog.Catalog{b.old, b.next} {
		for schema, s := range c.Schemas {
			for table := range s.Tables {
				out = append(out, tableName{schema, table})
			}
		}
	}
	slices.SortFunc(out, func(x, y tableName) int {
		return cmp.Or(cmp.Compare(x.schema, y.schema), cmp.Compare(x.table, y.table))
	})
	return slices.Compact(out)
}

// placed is where a table lives by its rule, or whole in its schema's home; nil
// where there is no such cluster.
func placed(c *catalog.Catalog, name tableName) *shardrule.Placement {
	if t := c.Table(name.schema, name.table); t != nil {
		return t.Placement
	}
	home := c.HomeOf(name.schema)
	if home == "" {
		return nil
	}
	return &shardrule.Placement{Schema: name.schema, Table: name.table, Kind: shardrule.Whole,
		Shards: []topology.Shard{{Cluster: home, Database: name.schema, Table: name.table}}}
}

// definition is the table's, nil where no server has it.
func (b *between) definition(name tableName) *catalog.Table {
	for _, t := range []*catalog.Table{b.old.Table(name.schema, name.table), b.old.PlainTable(name.schema, name.table)} {
		if t != nil && len(t.Columns) > 0 {
			return t
		}
	}
	return nil
}

func (b *between) table(name tableName) {
	definition := b.definition(name)
	before, after := b.old.Table(name.schema, name.table), b.next.Table(name.schema, name.table)
	switch {
	case definition == nil:
		if (before == nil || before.LookupOf == "") && (after == nil || after.LookupOf == "") {
			b.remark(name, "no server has such a table, so nothing of it moves", "")
		}
		return
	case before != nil && before.LookupOf != "" && after == nil:
		return // its key is not kept any more
	}
	p, q := placed(b.old, name), placed(b.next, name)
	if q == nil {
		b.refuse(name, "it has no rule any more, and its schema no home", "give the schema home:, or the table on:")
		return
	}
	if p == nil {
		return
	}
	t := &Table{Schema: name.schema, Name: name.table, From: p, To: q, Definition: definition}
	b.shards(t)
	switch {
	case len(t.Targets) == 0 && (q.Kind != shardrule.Sharded || len(t.Sources) == 0):
		return // all is in place; a copy less needs no job
	case len(t.Targets) == 0:
		b.refuse(name, "rows of "+physical(t.Sources[0])+" would have no shard", "give the new rule a shard for them")
	}
	b.layout.Tables = append(b.layout.Tables, t)
	b.keys(t, before, after)
}

// shards are what stays, what is read, what is made and what is put aside.
func (b *between) shards(t *Table) {
	p, q := t.From, t.To
	kept := map[int]bool{} // of p
	for j, at := range q.Shards {
		i := slices.IndexFunc(p.Shards, func(s topology.Shard) bool { return b.sameTable(s, at) })
		if i >= 0 && b.sameRows(p, i, q, j) {
			kept[i] = true
			t.Stays = append(t.Stays, j)
			continue
		}
		t.Targets = append(t.Targets, Target{Index: j, Shard: at, New: NewName(at.Table), Replaces: i >= 0})
	}
	for i, at := range p.Shards {
		if !kept[i] {
			t.Aside = append(t.Aside, Aside{Shard: at, Old: OldName(at.Table)})
		}
		if !kept[i] && p.Kind == shardrule.Sharded || p.Kind != shardrule.Sharded && i == 0 {
			t.Sources = append(t.Sources, at)
		}
	}
}

// sameRows: what is on shard i of p is what q has on its shard j.
func (b *between) sameRows(p *shardrule.Placement, i int, q *shardrule.Placement, j int) bool {
	if p.Kind != shardrule.Sharded && q.Kind != shardrule.Sharded {
		return true
	}
	return shardrule.SameRows(p, i, q, j)
}

// sameTable: the old shard is the new one, a physical table on the same servers.
func (b *between) sameTable(old, next topology.Shard) bool {
	return old.Database == next.Database && old.Table == next.Table && b.sameServers(old.Cluster, next.Cluster)
}

// sameServers: the clusters share a server, which then has the rows.
func (b *between) sameServers(old, next string) bool {
	x, y := b.old.Clusters[old], b.next.Clusters[next]
	if x == nil || y == nil {
		return false
	}
	return slices.ContainsFunc(x.Instances, func(in topology.Instance) bool {
		return slices.ContainsFunc(y.Instances, func(at topology.Instance) bool { return in.Addr == at.Addr })
	})
}

// homes: tables without a rule do not move with their home, nor does what Serval
// keeps there.
func (b *between) homes() {
	for _, schema := range sortedKeys(b.old.Schemas) {
		was, is := b.old.HomeOf(schema), b.next.HomeOf(schema)
		if b.next.Schemas[schema] == nil && is == "" {
			continue // its tables were refused one by one
		}
		if was != is && !b.sameServers(was, is) {
			b.refuse(tableName{schema: schema}, "its home would be "+orNone(is)+" instead of "+orNone(was)+", where its sequences and definitions under way are kept",
				"leave home: as it is, and give the tables that are to move on: "+orNone(is))
		}
	}
	if b.old.Home != b.next.Home && !b.sameServers(b.old.Home, b.next.Home) {
		b.refuse(tableName{}, "home would be "+orNone(b.next.Home)+" instead of "+orNone(b.old.Home), "leave it as it is: databases that no schema names are not moved")
	}
}

func orNone(cluster string) string {
	if cluster == "" {
		return "none"
	}
	return cluster
}

// overlaps: a place that a table is to have is another one's today, or has a
// table without a rule.
func (b *between) overlaps() {
	type place struct{ cluster, database, table string }
	taken := map[place]tableName{}
	for _, name := range b.names() {
		if t := b.old.Table(name.schema, name.table); t != nil {
			for _, s := range t.Placement.Shards {
				taken[place{s.Cluster, s.Database, s.Table}] = name
			}
		}
	}
	for schema, tables := range b.old.Plain {
		for table := range tables {
			taken[place{b.old.HomeOf(schema), schema, table}] = tableName{schema, table}
		}
	}
	for _, t := range b.layout.Tables {
		for _, target := range t.Targets {
			for at, other := range taken {
				if at.database == target.Shard.Database && at.table == target.Shard.Table && b.sameServers(at.cluster, target.Shard.Cluster) &&
					other != (tableName{t.Schema, t.Name}) {
					b.refuse(tableName{t.Schema, t.Name}, physical(target.Shard)+" is a table of "+other.schema+"."+other.table+" today",
						"give it other places, or move the other table away first, in a job of its own")
				}
			}
		}
	}
}

func physical(s topology.Shard) string { return s.Database + "." + s.Table + " on " + s.Cluster }

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, strings.Compare)
	return out
}
