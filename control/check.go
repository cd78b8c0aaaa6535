package control

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Finding is one way in which a server is not as the rules need it.
type Finding struct {
	Schema, Table string // empty: of the whole cluster
	// Shard is the shard's index, -1 where it is not about one.
	Shard int
	// Line is the rule's line in the configuration, 0 for none.
	Line int
	What string
	Do   string
}

// String is the finding in one line.
func (f Finding) String() string {
	where := ""
	if f.Table != "" {
		where = f.Schema + "." + f.Table
		if f.Shard >= 0 {
			where += fmt.Sprintf(" shard %d", f.Shard)
		}
		where += ": "
	}
	if f.Do == "" {
		return where + f.What
	}
	return where + f.What + "; " + f.Do
}

// Check is what can be found without servers in a configuration that loaded:
// rules that contradict each other.
func Check(cfg *config.Config, now time.Time) config.Findings {
	_, err := Build(cfg, Facts{Now: now})
	var findings config.Findings
	errors.As(err, &findings) // Build gives no other error
	return findings
}

// Findings compares the running configuration with the servers.
func (c *Controller) Findings(ctx context.Context) []Finding {
	c.mu.Lock()
	cfg := c.mu.cfg
	c.mu.Unlock()
	return CheckLive(ctx, cfg, c.servers, c.now())
}

// CheckLive compares a configuration with the servers: every shard's table
// must exist and be as the first one's, with a sharding column the rule can
// take.
func CheckLive(ctx context.Context, cfg *config.Config, servers Servers, now time.Time) []Finding {
	r, cat, facts, err := readAll(ctx, cfg, servers, now)
	if err != nil {
		return []Finding{{Shard: -1, What: err.Error()}}
	}
	var out []Finding
	out = append(out, r.clusterFindings(ctx, cat)...)
	out = append(out, lostFindings(r.cfg)...)
	for _, schema := range cat.Schemas {
		out = append(out, r.programFindings(ctx, cat, schema)...)
		for _, t := range schema.Tables {
			name := TableName{schema.Name, t.Name}
			out = append(out, r.tableFindings(ctx, name, t, &facts)...)
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.Schema+"."+a.Table != b.Schema+"."+b.Table {
			return a.Schema+"."+a.Table < b.Schema+"."+b.Table
		}
		return a.Shard < b.Shard
	})
	return out
}

// readAll reads what the servers have of a configuration's tables, and makes
// the catalog of it.
func readAll(ctx context.Context, cfg *config.Config, servers Servers, now time.Time) (*factReader, *catalog.Catalog, Facts, error) {
	c := &Controller{servers: servers, now: func() time.Time { return now }}
	c.mu.facts.Now = now
	r := c.reader(cfg)
	if _, err := Build(cfg, Facts{Now: now}); err != nil {
		return nil, nil, Facts{}, err
	}
	cfg = r.withGiven(ctx, nil)
	plain, err := Build(cfg, Facts{Now: now})
	if err != nil {
		return nil, nil, Facts{}, err
	}
	facts := r.all(ctx, plain)
	cat, err := Build(cfg, facts)
	return r, cat, facts, err
}

// clusterFindings: clusters that do not answer, those that do not let Serval do
// what it must, and those that differ in what must be the same.
func (r *factReader) clusterFindings(ctx context.Context, cat *catalog.Catalog) []Finding {
	var out []Finding
	first := ""
	for i := range r.cfg.Clusters {
		c := &r.cfg.Clusters[i]
		add := func(do, what string, args ...any) {
			out = append(out, Finding{Shard: -1, Line: c.Line, What: fmt.Sprintf(what, args...), Do: do})
		}
		s, ok := r.ask(ctx, c.Name)
		for _, f := range r.grantFindings(ctx, cat, c.Name, len(c.Instances) > 1) { // which may be why it does not answer
			f.Line = c.Line
			out = append(out, f)
		}
		if !ok {
			add("check the address and the backend account", "cluster %s does not answer: %s", c.Name, r.down[c.Name])
			continue
		}
		if first == "" {
			first = c.Name
			continue
		}
		if s.fold != r.known[first].fold {
			add("make them the same", "clusters %s and %s differ in lower_case_table_names", first, c.Name)
		}
		if f := r.known[first].flavor; s.flavor != f {
			add("use one kind for the clusters of a table with a text key: text may weigh differently",
				"cluster %s is %s and cluster %s is %s", first, f, c.Name, s.flavor)
		}
	}
	return out
}

func (r *factReader) tableFindings(ctx context.Context, name TableName, t *catalog.Table, facts *Facts) []Finding {
	rule := ruleOf(r.cfg, facts, name)
	var out []Finding
	add := func(shard int, do, what string, args ...any) {
		out = append(out, Finding{Schema: name.Schema, Table: name.Table, Shard: shard, Line: rule.Line, What: fmt.Sprintf(what, args...), Do: do})
	}
	model := facts.Tables[name]
	if model == nil && t.LookupOf != "" {
		return nil // CheckLookups says it
	}
	if model == nil {
		if r.answers(ctx, t.Placement) { // else that is said of its clusters
			add(-1, "create it through Serval: CREATE TABLE does so on all of them", "no shard has the table yet")
		}
		return out
	}
	if p := t.Placement; p.Kind == shardrule.Sharded {
		for _, why := range columnFindings(p, facts, model) {
			add(-1, "change the column or the rule", "%s", why)
		}
		if f := p.Follows(); f != nil && f.Unready != "" {
			add(-1, "mend that: until then no rows can be inserted", "its rows cannot follow those of %s: %s", f.Parent.Table, f.Unready)
		}
	}
	for _, s := range t.Placement.Shards {
		f, ok := r.definition(ctx, place{s.Cluster, s.Database, s.Table})
		switch {
		case !ok:
		case f == nil:
			add(s.Index, "create it as the other shards are: CREATE TABLE IF NOT EXISTS through Serval does", "%s is missing on cluster %s", placeText(s), s.Cluster)
		default:
			if d := difference(model, f); d != "" {
				add(s.Index, "alter it as the other shards are", "%s on cluster %s differs: %s", placeText(s), s.Cluster, d)
			}
		}
	}
	return out
}

// answers reports that all clusters of a placement were reached.
func (r *factReader) answers(ctx context.Context, p *shardrule.Placement) bool {
	for _, s := range p.Shards {
		if _, ok := r.ask(ctx, s.Cluster); !ok {
			return false
		}
	}
	return true
}

func placeText(s topology.Shard) string { return s.Database + "." + s.Table }

// columnFindings are why the rule's columns are not as it needs them.
func columnFindings(p *shardrule.Placement, facts *Facts, model *TableFact) (out []string) {
	parts := p.Parts
	if !p.Composite() {
		parts = []shardrule.Part{{Column: p.Column, Algorithm: p.Algorithm}}
	}
	for _, part := range parts {
		if why := columnFinding(part.Column.Name, part.Algorithm, facts, model); why != "" {
			out = append(out, why)
		}
	}
	return out
}

func columnFinding(name string, a shardrule.Algorithm, facts *Facts, model *TableFact) string {
	for _, c := range model.Columns {
		if !strings.EqualFold(c.Name, name) {
			continue
		}
		if c.OnUpdate {
			return "the sharding column " + name + " is " + onUpdate + ", so a row would have to move whenever it is changed"
		}
		err := a.Takes(c.Column)
		if b, ok := a.(shardrule.Binder); ok && err == nil {
			_, err = b.Bind(c.Column, facts)
		}
		if err != nil {
			return err.Error()
		}
		return ""
	}
	return "the table has no column " + name
}

// difference is what is not the same between two definitions, empty if
// nothing that matters is.
func difference(want, have *TableFact) string {
	if a, b := len(want.Columns), len(have.Columns); a != b {
		return fmt.Sprintf("%d columns instead of %d", b, a)
	}
	for i := range want.Columns {
		a, b := columnText(want.Columns[i]), columnText(have.Columns[i])
		if a != b {
			return fmt.Sprintf("column %d is %s instead of %s", i+1, b, a)
		}
	}
	if a, b := strings.Join(want.PrimaryKey, ","), strings.Join(have.PrimaryKey, ","); a != b {
		return fmt.Sprintf("primary key (%s) instead of (%s)", b, a)
	}
	if a, b := fmt.Sprint(want.UniqueKeys), fmt.Sprint(have.UniqueKeys); a != b {
		return fmt.Sprintf("unique keys %s instead of %s", b, a)
	}
	return ""
}

func columnText(c catalog.Column) string {
	s := c.Name + " " + c.SQLType
	if c.Collation != "" {
		s += " COLLATE " + c.Collation
	}
	if !c.Nullable {
		s += " NOT NULL"
	}
	if c.Default != "" {
		s += " DEFAULT " + c.Default
	}
	if c.AutoIncrement {
		s += " AUTO_INCREMENT"
	}
	if c.Generated {
		s += " GENERATED"
	}
	return s
}
