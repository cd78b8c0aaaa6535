package control

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/shardrule"
)

// CheckPlacement has the servers compute the shard of every row of the sharded
// tables and finds those on another one: what a changed rule or a write past
// Serval leaves. It reads whole tables.
func CheckPlacement(ctx context.Context, cfg *config.Config, servers Servers, now time.Time) []Finding {
	r, cat, facts, err := readAll(ctx, cfg, servers, now)
	if err != nil {
		return []Finding{{Shard: -1, What: err.Error()}}
	}
	var out []Finding
	for _, schema := range cat.Schemas {
		for _, t := range schema.Tables {
			name := TableName{schema.Name, t.Name}
			if t.Placement.Kind == shardrule.Sharded && facts.Tables[name] != nil {
				out = append(out, r.misplaced(ctx, name, t.Placement, &facts)...)
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i], out[j]
		return a.Schema+"."+a.Table < b.Schema+"."+b.Table
	})
	return out
}

// misplaced counts the rows of each shard that belong to another one.
func (r *factReader) misplaced(ctx context.Context, name TableName, p *shardrule.Placement, facts *Facts) []Finding {
	var out []Finding
	add := func(shard int, what, do string) {
		out = append(out, Finding{Schema: name.Schema, Table: name.Table, Shard: shard, Line: ruleOf(r.cfg, facts, name).Line, What: what, Do: do})
	}
	twin, ok := p.Algorithm.(shardrule.SQLTwin)
	if !ok || p.Column.Type == shardrule.TypeOther {
		add(-1, "the servers cannot compute "+p.Algorithm.Name()+"("+p.Column.Name+"), so its rows were not checked", "")
		return out
	}
	key := quoteName(p.Column.Name)
	expr := twin.ShardExpr(key, p.Column)
	for _, s := range p.Shards {
		rows, err := r.servers.Select(ctx, s.Cluster, fmt.Sprintf("SELECT COUNT(*), MIN(%s) FROM %s.%s WHERE NOT (%s <=> %d)",
			key, quoteName(s.Database), quoteName(s.Table), expr, s.Index))
		switch {
		case err != nil:
			add(s.Index, "its rows could not be read: "+err.Error(), "")
		case len(rows) == 1 && string(rows[0][0]) != "0":
			add(s.Index, fmt.Sprintf("%s rows of %s on cluster %s belong to other shards, the first with %s = %s",
				rows[0][0], placeText(s), s.Cluster, p.Column.Name, strings.ToValidUTF8(string(rows[0][1]), "?")),
				"move them, or give the table the rule they were placed by")
		}
	}
	return out
}
