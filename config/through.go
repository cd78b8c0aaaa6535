package config

import (
	"slices"
	"strings"

	"github.com/servaldb/serval/shardrule"
)

// through completes a table that follows another one: {like: orders, through:
// order_id}. A row is where the row of orders is that its order_id refers to, by
// a column that is unique over the shards of orders.
func (r *reader) through(t *rawTable, byName map[string]*rawTable) {
	other := r.likened(t, byName)
	if other == nil {
		return
	}
	for _, k := range []string{"shard", "unique"} {
		if t.has(k) {
			r.add(t.given[k], "remove it, or remove through:", "table %s has %s and follows table %s", t.Name, k, t.Like)
		}
	}
	o, line := other.Table, t.given["through"]
	switch {
	case len(o.On) == 0 && len(o.Places) == 0:
		return // a finding says why
	case other.has("through"):
		root := "{like: " + other.Like + ", through: …}"
		r.add(line, "give it a column that refers to "+other.Like+" as "+t.Like+" has and write "+root+", or the sharding column of "+other.Like,
			"table %s cannot follow table %s, which follows table %s itself", t.Name, t.Like, other.Like)
		return
	case o.Kind != Sharded:
		r.add(line, "name a table with shard:", "table %s cannot follow table %s, which has no sharding column of its own", t.Name, t.Like)
		return
	case o.Rule.Composite():
		r.add(line, "give it a rule of one column, or its own columns of the rule", "table %s cannot follow table %s, which is sharded by several columns", t.Name, t.Like)
		return
	case o.Rule.Function().Periodic != nil:
		r.add(line, "give it shard: with a time of its own", "table %s cannot follow table %s, whose periods come and go", t.Name, t.Like)
		return
	}
	var singles []string
	for _, key := range o.Unique {
		if len(key) == 1 {
			singles = append(singles, key[0])
		}
	}
	to := t.References
	switch {
	case to == "" && len(singles) == 1:
		to = singles[0]
	case to == "" && len(singles) > 1:
		r.add(line, "add references: with one of "+strings.Join(singles, ", "), "table %s does not say to which column of %s its %s refers", t.Name, t.Like, t.Through)
		return
	case to != "" && slices.ContainsFunc(o.Rule.Columns, func(c string) bool { return strings.EqualFold(c, to) }):
		r.add(line, "write shard: "+o.Rule.Name+"("+t.Through+") instead of through:", "table %s refers to the sharding column of %s", t.Name, t.Like)
		return
	case !slices.ContainsFunc(singles, func(c string) bool { return strings.EqualFold(c, to) }):
		r.add(line, "add unique: ["+orWord(to, "id")+"] to the rule of "+t.Like, "table %s cannot follow table %s, of which no such column is unique over all shards", t.Name, t.Like)
		return
	}
	t.References, t.Kind = to, Sharded
	t.Rule = shardrule.Rule{Name: shardrule.FollowName, Columns: []string{t.Through}, Args: shardrule.Args{}}
	t.On, t.Shards, t.Layout, t.Places = o.On, o.Shards, o.Layout, o.Places
}

func orWord(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
