package control

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Tables that follow another one through a foreign key (through: in the rule).
// That each row is where its parent is the servers see to themselves: the foreign
// key must be on every shard.

// follows tells followers what they follow, and whether they may be relied on to.
func (b *builder) follows(out *catalog.Schema, s *config.Schema) {
	for i := range s.Tables {
		rule := &s.Tables[i]
		t, parent := out.Tables[b.facts.fold(rule.Name)], out.Tables[b.facts.fold(rule.Like)]
		if rule.Through == "" || t == nil || parent == nil {
			continue
		}
		f := &shardrule.Follow{Parent: parent.Placement, To: rule.References}
		t.Placement.Algorithm = f
		parent.Followers = append(parent.Followers, t)
		if lookup := out.Tables[b.facts.fold(config.LookupName(rule.Like, []string{rule.References}))]; lookup != nil {
			f.Lookup = lookup.Placement
		}
		f.Unready = b.unready(out.Name, t, parent, f)
	}
}

// unready is why a follower's rows need not be where their parents are.
func (b *builder) unready(schema string, t, parent *catalog.Table, f *shardrule.Follow) string {
	why, known := b.facts.Follows[TableName{schema, t.Name}]
	switch ready := slices.ContainsFunc(parent.Uniques, func(u catalog.Unique) bool {
		return u.Ready && len(u.Columns) == 1 && strings.EqualFold(u.Columns[0], f.To)
	}); {
	case len(t.Columns) == 0:
		return "the table is not there"
	case !ready:
		return "that " + f.To + " of " + parent.Name + " is unique over the shards is not kept yet (serval check --live --repair)"
	case f.Lookup == nil || !known:
		return "whether its foreign key is on every shard is not known"
	}
	return why
}

// followers reads which tables of those that follow another one have the foreign
// key on every shard.
func (r *factReader) followers(ctx context.Context, plain *catalog.Catalog, facts *Facts) {
	for _, s := range plain.Schemas {
		for _, t := range s.Tables {
			r.follower(ctx, TableName{s.Name, t.Name}, t, facts)
		}
	}
}

func (r *factReader) follower(ctx context.Context, name TableName, t *catalog.Table, facts *Facts) {
	f := t.Placement.Follows()
	if f == nil || f.Parent == nil || facts.Tables[name] == nil {
		return
	}
	why, known := r.refers(ctx, t.Placement, f)
	if !known {
		if why, known = r.old.Follows[name]; !known {
			return
		}
	}
	if facts.Follows = maps.Clone(facts.Follows); facts.Follows == nil { // the old one may be published
		facts.Follows = map[TableName]string{}
	}
	facts.Follows[name] = why
}

// reference is a foreign key of one column, as one shard has it.
type reference struct{ database, table, column, toDatabase, toTable, toColumn string }

// refers says on which shard the foreign key is not; empty where all have it.
func (r *factReader) refers(ctx context.Context, p *shardrule.Placement, f *shardrule.Follow) (why string, known bool) {
	read := map[string]map[reference]bool{}
	for i, s := range p.Shards {
		if _, ok := r.ask(ctx, s.Cluster); !ok {
			return "", false
		}
		if read[s.Cluster] == nil {
			there, off, err := r.references(ctx, p, s.Cluster)
			if err != nil {
				r.fail(s.Cluster, err)
				return "", false
			}
			if off {
				return "the servers of cluster " + s.Cluster + " do not watch over foreign keys (foreign_key_checks is OFF)", true
			}
			read[s.Cluster] = there
		}
		to := f.Parent.Shards[i]
		want := reference{s.Database, s.Table, p.Column.Name, to.Database, to.Table, f.To}
		if !read[s.Cluster][want.folded()] {
			return placeText(s) + " on cluster " + s.Cluster + " has no FOREIGN KEY (" + p.Column.Name + ") REFERENCES " + f.Parent.Table + " (" + f.To + ")", true
		}
	}
	return "", true
}

func (r reference) folded() reference {
	r.column, r.toColumn = strings.ToLower(r.column), strings.ToLower(r.toColumn)
	return r
}

// references are the foreign keys of one column that a cluster's shards of p have;
// off: the cluster does not watch over foreign keys unless a session says so.
func (r *factReader) references(ctx context.Context, p *shardrule.Placement, cluster string) (there map[reference]bool, off bool, err error) {
	var databases, tables []string
	for _, s := range p.Shards {
		if s.Cluster == cluster {
			databases, tables = append(databases, s.Database), append(tables, s.Table)
		}
	}
	rows, err := r.servers.Select(ctx, cluster, "SELECT TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME, @@GLOBAL.foreign_key_checks"+
		" FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL AND TABLE_SCHEMA IN ("+quoteAll(databases)+") AND TABLE_NAME IN ("+quoteAll(tables)+")")
	if err != nil {
		return nil, false, err
	}
	there = map[reference]bool{}
	columns := map[[3]string]int{}
	for _, row := range rows {
		columns[[3]string{string(row[0]), string(row[1]), string(row[2])}]++
	}
	for _, row := range rows {
		off = off || string(row[7]) == "0"
		if columns[[3]string{string(row[0]), string(row[1]), string(row[2])}] == 1 {
			there[reference{string(row[0]), string(row[1]), string(row[3]), string(row[4]), string(row[5]), string(row[6])}.folded()] = true
		}
	}
	return there, off, nil
}

// refreshFollower is follower of one table that is read again; its parent may have
// been made as lately.
func (r *factReader) refreshFollower(ctx context.Context, name TableName, t *catalog.Table, facts *Facts) {
	f := t.Placement.Follows()
	if f == nil || f.Parent == nil {
		return
	}
	parent := TableName{name.Schema, f.Parent.Table}
	if above := ruleOf(r.cfg, facts, parent); above != nil && facts.Tables[parent] == nil {
		if fact, known := r.table(ctx, parent, above, f.Parent); known && fact != nil {
			facts.Tables[parent] = fact
			r.refreshLookups(ctx, parent, above, facts)
		}
	}
	r.follower(ctx, name, t, facts)
}

// orphans are the rows of a shard whose parents are not there, counted, and the
// key of one.
func (r *factReader) orphans(ctx context.Context, p *shardrule.Placement, f *shardrule.Follow, s topology.Shard) (n, first string, err error) {
	key, to := "c."+sqlval.QuoteName(p.Column.Name), "p."+sqlval.QuoteName(f.To)
	rows, err := r.servers.Select(ctx, s.Cluster, "SELECT COUNT(*), MIN("+key+") FROM "+physicalTable(s)+" c LEFT JOIN "+physicalTable(f.Parent.Shards[s.Index])+
		" p ON "+to+" = "+key+" WHERE "+key+" IS NOT NULL AND "+to+" IS NULL")
	if err != nil || len(rows) != 1 {
		return "0", "", err
	}
	return string(rows[0][0]), string(rows[0][1]), nil
}
