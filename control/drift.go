package control

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Repair is what would make one shard's table as the others are.
type Repair struct {
	Finding
	Cluster string
	// SQL is to be run on the cluster's primary, in order; empty where nobody can
	// say what.
	SQL []string
	// Loses: it drops or narrows something, so it is a human's to run.
	Loses bool
}

// CheckDrift compares the definitions of all shards with the first that has the
// table (of periods with the newest), and says what would make them the same.
// Tables with a definition under way are left out.
func CheckDrift(ctx context.Context, cfg *config.Config, servers Servers, now time.Time) []Repair {
	r, cat, facts, err := readAll(ctx, cfg, servers, now)
	if err != nil {
		return nil // CheckLive says it
	}
	var out []Repair
	for _, schema := range cat.Schemas {
		for _, t := range schema.Tables {
			name := TableName{schema.Name, t.Name}
			if facts.Tables[name] == nil || len(t.Placement.Shards) == 0 {
				continue
			}
			d := drift{r: r, name: name, home: cat.HomeOf(schema.Name), keys: t.Placement.Keys(), line: ruleOf(r.cfg, &facts, name).Line}
			out = append(out, d.table(ctx, t.Placement)...)
		}
	}
	slices.SortStableFunc(out, func(a, b Repair) int {
		if c := strings.Compare(a.Schema+"."+a.Table, b.Schema+"."+b.Table); c != 0 {
			return c
		}
		return a.Shard - b.Shard
	})
	return out
}

// Run runs a repair; the error says at which statement it stopped.
func (r *Repair) Run(ctx context.Context, servers Servers) error {
	for _, sql := range r.SQL {
		if err := servers.Exec(ctx, r.Cluster, sql); err != nil {
			return fmt.Errorf("cluster %s: %s: %w", r.Cluster, sql, err)
		}
	}
	return nil
}

// drift is one table being compared.
type drift struct {
	r    *factReader
	name TableName
	home string
	keys []string
	line int
}

func (d *drift) table(ctx context.Context, p *shardrule.Placement) []Repair {
	rows, err := d.r.servers.Select(ctx, d.home, "SELECT id FROM serval_meta.ddl_jobs WHERE state = 'running' AND schema_name = "+quote(d.name.Schema)+" AND table_name = "+quote(d.name.Table))
	if err == nil && len(rows) > 0 {
		return []Repair{{Finding: d.finding(-1, "its definition is being changed (job "+string(rows[0][0])+" in serval_meta.ddl_jobs on cluster "+d.home+")",
			"check again when that has ended")}}
	}
	order := slices.Clone(p.Shards)
	if shardrule.Periodic(p.Algorithm) {
		slices.Reverse(order)
	}
	var model *tableText
	var from topology.Shard
	var out []Repair
	missing := []topology.Shard{}
	for _, s := range order {
		have, known := d.read(ctx, s)
		switch {
		case !known:
		case have == nil:
			missing = append(missing, s)
		case model == nil:
			model, from = have, s
		default:
			for _, c := range compareTables(model, have, d.keys) {
				rep := Repair{Finding: d.finding(s.Index, placeText(s)+" on cluster "+s.Cluster+" "+c.what+", other than "+placeText(from)+" on "+from.Cluster, ""), Cluster: s.Cluster, Loses: c.loses}
				if c.clause != "" {
					rep.SQL = []string{"ALTER TABLE " + sqlval.QuoteName(s.Database) + "." + sqlval.QuoteName(s.Table) + " " + shardrule.ShardClause(c.clause, d.name.Table, s.Table)}
				}
				out = append(out, rep)
			}
		}
	}
	for _, s := range missing {
		if model != nil {
			out = append(out, Repair{Finding: d.finding(s.Index, placeText(s)+" is missing on cluster "+s.Cluster, ""), Cluster: s.Cluster,
				SQL: []string{"CREATE DATABASE IF NOT EXISTS " + sqlval.QuoteName(s.Database), "CREATE TABLE IF NOT EXISTS " + sqlval.QuoteName(s.Database) + "." + sqlval.QuoteName(s.Table) + " " + shardrule.ShardDefinition(model.body, d.name.Table, s.Table)}})
		}
	}
	return out
}

func (d *drift) finding(shard int, what, do string) Finding {
	return Finding{Schema: d.name.Schema, Table: d.name.Table, Shard: shard, Line: d.line, What: what, Do: do}
}

// read is a shard's definition, nil for no table.
func (d *drift) read(ctx context.Context, s topology.Shard) (t *tableText, known bool) {
	f, ok := d.r.definition(ctx, place{s.Cluster, s.Database, s.Table})
	if !ok || f == nil {
		return nil, ok
	}
	rows, err := d.r.servers.Select(ctx, s.Cluster, "SHOW CREATE TABLE "+sqlval.QuoteName(s.Database)+"."+sqlval.QuoteName(s.Table))
	if err != nil || len(rows) != 1 || len(rows[0]) < 2 {
		return nil, false
	}
	t = parseTable(string(rows[0][1]), s.Table, d.name.Table)
	return t, t != nil
}

// tableText is SHOW CREATE TABLE's text in parts.
type tableText struct {
	body    string // from the first parenthesis on
	columns []definedPart
	others  []definedPart // keys and constraints
	options string
}

// definedPart is a column, key or constraint: its quoted name and its line.
type definedPart struct{ name, line string }

var (
	tableCounter = regexp.MustCompile(` AUTO_INCREMENT=\d+`)
	partName     = regexp.MustCompile("^(?:(?:UNIQUE |FULLTEXT |SPATIAL )?KEY |CONSTRAINT )?(`(?:[^`]|``)*`)")
)

// parseTable reads SHOW CREATE TABLE, whose lines are one part each on both
// engines. Names made of the physical name are put under the logical one.
func parseTable(text, physical, logical string) *tableText {
	text = shardrule.LogicalDefinition(tableCounter.ReplaceAllString(text, ""), logical, physical)
	_, rest, ok := strings.Cut(text, "` (\n")
	end := strings.LastIndex(rest, "\n)")
	if !ok || end < 0 {
		return nil
	}
	t := &tableText{body: "(\n" + rest, options: strings.TrimSpace(rest[end+2:])}
	for line := range strings.SplitSeq(rest[:end], "\n") {
		line = strings.TrimSuffix(strings.TrimSpace(line), ",")
		m := partName.FindStringSubmatch(line)
		switch {
		case m == nil:
			t.others = append(t.others, definedPart{"PRIMARY KEY", line})
		case strings.HasPrefix(line, "`"):
			t.columns = append(t.columns, definedPart{m[1], line})
		default:
			t.others = append(t.others, definedPart{m[1], line})
		}
	}
	return t
}

// tableChange is one difference: ALTER TABLE's clause against it.
type tableChange struct {
	what, clause string
	loses        bool
}

// compareTables are the differences of have from want; keys are the sharding
// columns, which are never changed by themselves.
func compareTables(want, have *tableText, keys []string) []tableChange {
	var out []tableChange
	isKey := func(name string) bool {
		return slices.ContainsFunc(keys, func(key string) bool { return strings.EqualFold(name, sqlval.QuoteName(key)) })
	}
	add := func(loses bool, clause, what string, args ...any) {
		out = append(out, tableChange{what: fmt.Sprintf(what, args...), clause: clause, loses: loses})
	}
	at := "FIRST"
	var common []string
	for _, c := range want.columns {
		h := find(have.columns, c.name)
		switch {
		case h == nil:
			add(isKey(c.name), "ADD COLUMN "+c.line+" "+at, "lacks column %s", c.name)
		case h.line != c.line:
			add(isKey(c.name) || !widens(h.line, c.line), "MODIFY COLUMN "+c.line, "has column %s", h.line)
		}
		if h != nil {
			common = append(common, c.name)
		}
		at = "AFTER " + c.name
	}
	var order []string
	for _, c := range have.columns {
		if find(want.columns, c.name) == nil {
			add(true, "DROP COLUMN "+c.name, "has column %s", c.name)
			continue
		}
		order = append(order, c.name)
	}
	if !slices.Equal(common, order) {
		add(true, "", "has its columns in another order (%s)", strings.Join(order, ", "))
	}
	for _, k := range want.others {
		h := find(have.others, k.name)
		switch {
		case h == nil:
			add(false, "ADD "+k.line, "lacks %s", k.line)
		case h.line != k.line:
			add(true, dropPart(*h)+", ADD "+k.line, "has %s", h.line)
		}
	}
	for _, k := range have.others {
		if find(want.others, k.name) == nil {
			add(true, dropPart(k), "has %s", k.line)
		}
	}
	if want.options != have.options {
		clause := want.options
		if strings.Contains(clause+have.options, "PARTITION") {
			clause = ""
		}
		add(clause == "" || engineOf(want.options) != engineOf(have.options), clause, "has the options %s", have.options)
	}
	return out
}

func find(list []definedPart, name string) *definedPart {
	for i := range list {
		if strings.EqualFold(list[i].name, name) {
			return &list[i]
		}
	}
	return nil
}

func dropPart(p definedPart) string {
	switch {
	case p.name == "PRIMARY KEY":
		return "DROP PRIMARY KEY"
	case strings.HasPrefix(p.line, "CONSTRAINT") && strings.Contains(p.line, " FOREIGN KEY "):
		return "DROP FOREIGN KEY " + p.name
	case strings.HasPrefix(p.line, "CONSTRAINT"):
		return "DROP CONSTRAINT " + p.name
	}
	return "DROP INDEX " + p.name
}

func engineOf(options string) string {
	engine, _, _ := strings.Cut(options, " ")
	return engine
}

// columnLine is a column's name, type with what is in parentheses, and the rest.
var columnLine = regexp.MustCompile("^`(?:[^`]|``)*` ([a-z]+)(?:\\(([0-9]+)\\))?(.*)$")

// integers from narrow to wide.
var integers = []string{"tinyint", "smallint", "mediumint", "int", "bigint"}

// widens: every value of a column as it is fits what it is to become.
func widens(have, want string) bool {
	h, w := columnLine.FindStringSubmatch(have), columnLine.FindStringSubmatch(want)
	if h == nil || w == nil {
		return false
	}
	hn, _ := strconv.Atoi(h[2])
	wn, _ := strconv.Atoi(w[2])
	switch hi, wi := slices.Index(integers, h[1]), slices.Index(integers, w[1]); {
	case hi >= 0 && wi >= 0:
		if hi > wi || strings.HasPrefix(h[3], " unsigned") != strings.HasPrefix(w[3], " unsigned") {
			return false
		}
	case h[1] != w[1] || wn < hn:
		return false
	}
	return bare(h[3]) == bare(w[3]) && (strings.Contains(h[3], " NOT NULL") || !strings.Contains(w[3], " NOT NULL"))
}

var unimportant = regexp.MustCompile(` NOT NULL| NULL| DEFAULT (?:'(?:[^']|'')*'|[^ ]+)| COMMENT '(?:[^']|'')*'`)

// bare is the rest of a column's line without what changes no stored value.
func bare(rest string) string { return unimportant.ReplaceAllString(rest, "") }
