package control

import (
	"bytes"
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// CheckPlacement has the servers compute the shard of every row of the sharded
// tables and finds those on another one, and compares the copies of global
// tables: what a changed rule or a write past Serval leaves. It reads whole tables.
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
			if isCopied(t) {
				out = append(out, r.drifted(ctx, name, t, ruleOf(r.cfg, &facts, name).Line)...)
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
	for _, c := range p.Columns() {
		if c.Type == shardrule.TypeOther {
			add(-1, "its sharding column "+c.Name+" is not as the rule needs it, so its rows were not checked", "")
			return out
		}
	}
	for _, s := range p.Shards {
		n, first, err := r.foreign(ctx, p, s)
		switch {
		case err != nil:
			add(s.Index, "its rows could not be read: "+err.Error(), "")
		case n != "0":
			add(s.Index, fmt.Sprintf("%s rows of %s on cluster %s belong to other shards, the first with %s = %s",
				n, placeText(s), s.Cluster, p.KeyNames(), strings.ToValidUTF8(first, "?")),
				"move them, or give the table the rule they were placed by")
		}
	}
	switch what, err := r.spellings(ctx, p); {
	case err != nil:
		add(-1, "the spellings of its values could not be read: "+err.Error(), "")
	case what != "":
		add(-1, what, "write them alike, or take spelling: exact out")
	}
	return out
}

// foreign is how many rows of a shard belong to another one, or to none, and the
// keys of one of them. Servers count where they can compute the rule.
func (r *factReader) foreign(ctx context.Context, p *shardrule.Placement, s topology.Shard) (n, first string, err error) {
	if f := p.Follows(); f != nil {
		return r.orphans(ctx, p, f, s)
	}
	here, ok := hereExpr(p, s.Index)
	if !ok {
		return r.foreignKeys(ctx, p, s)
	}
	key := sqlval.QuoteName(p.Columns()[0].Name)
	if p.Composite() {
		key = "CONCAT_WS(', ', " + joinKeys(p, func(c shardrule.Column) string {
			return "IFNULL(CAST(" + sqlval.QuoteName(c.Name) + " AS CHAR), 'NULL')"
		}) + ")"
	}
	rows, err := r.servers.Select(ctx, s.Cluster, fmt.Sprintf("SELECT COUNT(*), MIN(%s) FROM %s.%s WHERE NOT (%s)",
		key, sqlval.QuoteName(s.Database), sqlval.QuoteName(s.Table), here))
	if err != nil || len(rows) != 1 {
		return "0", "", err
	}
	return string(rows[0][0]), string(rows[0][1]), nil
}

func joinKeys(p *shardrule.Placement, expr func(shardrule.Column) string) string {
	var list []string
	for _, c := range p.Columns() {
		list = append(list, expr(c))
	}
	return strings.Join(list, ", ")
}

// hereExpr is the SQL that holds for the rows of a shard and never is NULL; false
// where servers cannot compute it.
func hereExpr(p *shardrule.Placement, shard int) (string, bool) {
	one := func(a shardrule.Algorithm, c shardrule.Column, place int) string {
		twin, ok := a.(shardrule.SQLTwin)
		if !ok {
			return ""
		}
		expr := twin.ShardExpr(sqlval.QuoteName(c.Name), c)
		if expr == "" {
			return ""
		}
		return fmt.Sprintf("%s <=> %d", expr, place)
	}
	if !p.Composite() {
		expr := one(p.Algorithm, p.Column, shard)
		return expr, expr != ""
	}
	var all []string
	for i, part := range p.Parts {
		expr := one(part.Algorithm, part.Column, p.PlaceOf(i, shard))
		if expr == "" {
			return "", false
		}
		all = append(all, expr)
	}
	return strings.Join(all, " AND "), true
}

// foreignKeys is foreign for a rule that servers cannot compute: all keys are
// read.
func (r *factReader) foreignKeys(ctx context.Context, p *shardrule.Placement, s topology.Shard) (string, string, error) {
	count, first := 0, ""
	columns := p.Columns()
	read := joinKeys(p, func(c shardrule.Column) string { return c.KeyExpr(sqlval.QuoteName(c.Name)) }) + ", " +
		joinKeys(p, func(c shardrule.Column) string { return sqlval.QuoteName(c.Name) })
	err := r.servers.Each(ctx, s.Cluster, fmt.Sprintf("SELECT %s FROM %s.%s", read, sqlval.QuoteName(s.Database), sqlval.QuoteName(s.Table)), func(row [][]byte) error {
		shard, err := shardOfRow(p, columns, row)
		if err == nil && shard == s.Index {
			return nil
		}
		if count++; count == 1 {
			first = string(bytes.Join(row[len(columns):], []byte(", ")))
		}
		return nil
	})
	return strconv.Itoa(count), first, err
}

// shardOfRow is the shard of a row whose keys begin it.
func shardOfRow(p *shardrule.Placement, columns []shardrule.Column, row [][]byte) (int, error) {
	keys := make([]shardrule.Key, len(columns))
	for i := range columns {
		keys[i] = columns[i].KeyRead(row[i])
	}
	if p.Composite() {
		return p.ShardOfKeys(keys)
	}
	return p.Algorithm.ShardOf(keys[0])
}
