// Package control is the single writer of the Catalog: it builds one of a
// configuration and of what the servers say about their tables, validates it,
// publishes it, and keeps it up to date.
package control

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Build makes the Catalog. It is pure. The error is config.Findings, of a
// configuration whose rules contradict each other; what is wrong on a server
// is no error but a Finding of CheckLive.
//
// Where shards stand: numbered shards are dealt to their clusters in equal runs,
// the first shards to the first cluster; a period is on cluster number
// period mod clusters, where a month's number is year*12+month, and a day's the
// days since 1970. Where a rule has more functions than one of time, the shards
// of each period are numbered and dealt in equal runs.
func Build(cfg *config.Config, facts Facts) (*catalog.Catalog, error) {
	b := &builder{cfg: cfg, facts: facts, taken: map[topology.Shard]string{}}
	c := &catalog.Catalog{
		Clusters: map[string]*topology.Cluster{}, Schemas: map[string]*catalog.Schema{}, Users: map[string]*catalog.User{},
		Home: cfg.Home, FoldNames: facts.FoldNames, Collations: facts.Collations, Information: facts.Information,
		Plain: facts.plainTables(), Zone: facts.Zone, Beside: facts.Beside,
		Off: catalog.Off{Scatter: cfg.Off.Scatter, Finisher: cfg.Off.Finisher, StagedWrites: cfg.Off.StagedWrites, DDL: cfg.Off.DDL, ReplicaReads: cfg.Off.ReplicaReads},
	}
	for i := range cfg.Clusters {
		cl := &cfg.Clusters[i]
		t := &topology.Cluster{Name: cl.Name, Primary: cl.Primary}
		for _, in := range cl.Instances {
			t.Instances = append(t.Instances, topology.Instance{Addr: in.Addr, Weight: in.Weight, Zone: in.Zone})
		}
		c.Clusters[cl.Name] = t
	}
	for _, u := range cfg.Users {
		c.Users[u.Name] = &catalog.User{Name: u.Name, Password: u.Password, Schemas: u.Schemas, ReadOnly: u.ReadOnly}
	}
	for i := range cfg.Schemas {
		s := &cfg.Schemas[i]
		name := facts.fold(s.Name)
		if c.Schemas[name] != nil {
			b.add(s.Line, "rename one; the servers do not tell upper from lower case", "schema %s is given twice", s.Name)
			continue
		}
		c.Schemas[name] = b.schema(s)
	}
	b.databasesOfOthers()
	c.Views = facts.viewsIn(c)
	c.Strays = facts.strays(c)
	if len(b.findings) > 0 {
		return nil, b.findings
	}
	return c, nil
}

// builder is one Build at work.
type builder struct {
	cfg      *config.Config
	facts    Facts
	findings config.Findings
	// taken says which table a physical table (a Shard with Index 0) is of.
	taken map[topology.Shard]string
}

func (b *builder) add(line int, do, what string, args ...any) {
	b.findings = append(b.findings, config.Finding{File: b.cfg.Path, Line: line, What: fmt.Sprintf(what, args...), Do: do})
}

func (b *builder) schema(s *config.Schema) *catalog.Schema {
	out := &catalog.Schema{Name: b.facts.fold(s.Name), Home: s.Home, Tables: map[string]*catalog.Table{}}
	if n := s.NewTables; n != nil {
		out.NewTables = &catalog.NewTables{}
		if !n.ByPrimaryKey() {
			out.NewTables.Column = n.Rule.Columns[0]
		}
	}
	for i := range s.Tables {
		rule := &s.Tables[i]
		t := b.table(out.Name, rule)
		if t == nil {
			continue
		}
		if out.Tables[t.Name] != nil {
			b.add(rule.Line, "rename one; the servers do not tell upper from lower case", "table %s is given twice", rule.Name)
			continue
		}
		t.WantsUnique, t.LookupOf, t.LookupKey = rule.Unique, b.facts.fold(rule.LookupOf), rule.LookupKey
		out.Tables[t.Name] = t
	}
	b.uniques(out, s)
	b.follows(out, s)
	return out
}

// table is one rule with what is known of the table.
func (b *builder) table(schema string, rule *config.Table) *catalog.Table {
	name := b.facts.fold(rule.Name)
	fact := b.facts.Tables[TableName{schema, name}]
	p := b.placement(schema, name, rule, fact)
	if p == nil {
		return nil
	}
	t := &catalog.Table{Name: name, Placement: p, AutoIncrement: rule.AutoIncrement, Snowflake: rule.Snowflake, KeepPeriods: rule.Keep, NewShardsAhead: rule.Ahead}
	if fact != nil {
		t.Columns, t.PrimaryKey, t.UniqueKeys, t.Indexes = fact.Columns, fact.PrimaryKey, fact.UniqueKeys, fact.Indexes
		if t.AutoIncrement == "" {
			t.AutoIncrement = fact.AutoIncrement
		}
	}
	for _, s := range p.Shards {
		at := topology.Shard{Cluster: s.Cluster, Database: s.Database, Table: s.Table}
		if other := b.taken[at]; other != "" {
			b.add(rule.Line, "rename one, or give it another layout", "tables %s and %s.%s would both be %s.%s on cluster %s",
				other, schema, name, s.Database, s.Table, s.Cluster)
			break
		}
		b.taken[at] = schema + "." + name
	}
	return t
}

// placement is where the table's rows live, nil after a finding.
func (b *builder) placement(schema, name string, rule *config.Table, fact *TableFact) *shardrule.Placement {
	p := &shardrule.Placement{Schema: schema, Table: name}
	switch rule.Kind {
	case config.Whole:
		p.Kind = shardrule.Whole
		p.Shards = copies(schema, name, rule.On)
	case config.Global:
		p.Kind = shardrule.Global
		p.Shards = copies(schema, name, rule.On)
	case config.Sharded:
		if rule.Through != "" {
			p.Kind, p.Shards = shardrule.Sharded, numberedShards(schema, name, rule)
			p.Column, p.Algorithm = b.facts.column(rule.Through, fact, &shardrule.Follow{To: rule.References})
			break
		}
		over := shardrule.Periods{Table: name, Zone: rule.Zone}
		if periodic(rule) {
			over.List = periodsOf(rule, fact, b.facts.Now)
		}
		p.Kind = shardrule.Sharded
		if err := b.algorithm(p, rule, fact, over); err != nil {
			b.add(rule.Line, "", "table %s: %s", name, err)
			return nil
		}
		if p.Shards = numberedShards(schema, name, rule); periodic(rule) {
			p.Shards = periodShards(schema, name, rule, over.List)
		}
	}
	if len(rule.Places) > 0 {
		p.Shards = b.placed(name, rule)
	}
	return p
}

// algorithm gives a placement the rule's function and column, or several.
func (b *builder) algorithm(p *shardrule.Placement, rule *config.Table, fact *TableFact, over shardrule.Periods) error {
	if !rule.Rule.Composite() {
		a, err := rule.Rule.Algorithm(rule.Shards, over)
		if err == nil {
			p.Column, p.Algorithm = b.facts.column(rule.Rule.Columns[0], fact, a)
		}
		return err
	}
	parts, err := rule.Rule.Parts(over)
	if err != nil {
		return err
	}
	for i := range parts {
		parts[i].Column, parts[i].Algorithm = b.facts.column(parts[i].Column.Name, fact, parts[i].Algorithm)
	}
	p.Parts, p.Algorithm = parts, shardrule.NewComposite(parts)
	return nil
}

// placed are the places that the rule names itself.
func (b *builder) placed(table string, rule *config.Table) []topology.Shard {
	shards := make([]topology.Shard, len(rule.Places))
	for i, p := range rule.Places {
		at := topology.Shard{Index: i, Cluster: p.Cluster, Database: b.facts.fold(p.Database), Table: strings.ReplaceAll(p.Table, "*", table)}
		at.Table = b.facts.fold(at.Table)
		shards[i] = at
	}
	return shards
}

func copies(schema, table string, on []string) []topology.Shard {
	shards := make([]topology.Shard, len(on))
	for i, c := range on {
		shards[i] = topology.Shard{Index: i, Cluster: c, Database: schema, Table: table}
	}
	return shards
}

// numberedShards are dealt to the clusters in equal runs.
func numberedShards(schema, table string, rule *config.Table) []topology.Shard {
	width := len(strconv.Itoa(max(rule.Shards-1, 0)))
	shards := make([]topology.Shard, rule.Shards)
	for i := range shards {
		shards[i] = physical(schema, table, rule.Layout, fmt.Sprintf("%0*d", width, i))
		shards[i].Index, shards[i].Cluster = i, rule.On[i*len(rule.On)/rule.Shards]
	}
	return shards
}

// periodShards are those of each period in turn. A rule of time and more has
// several a period, which are dealt to the clusters as numbered shards are.
func periodShards(schema, table string, rule *config.Table, periods []shardrule.Period) []topology.Shard {
	calendar := calendarOf(rule)
	if rule.Rule.Composite() {
		var shards []topology.Shard
		for _, p := range periods {
			for i := range rule.Rule.Inner() {
				at := periodPart(schema, table, rule, calendar.Name(p), i)
				at.Index = len(shards)
				shards = append(shards, at)
			}
		}
		return shards
	}
	shards := make([]topology.Shard, len(periods))
	for i, p := range periods {
		shards[i] = physical(schema, table, rule.Layout, calendar.Name(p))
		shards[i].Index, shards[i].Cluster = i, periodCluster(rule.On, p)
	}
	return shards
}

// periodPart is shard i of a period: the period is in the table's name, the
// number in the database's or behind the period.
func periodPart(schema, table string, rule *config.Table, period string, i int) topology.Shard {
	n := rule.Rule.Inner()
	number := fmt.Sprintf("%0*d", len(strconv.Itoa(n-1)), i)
	at := topology.Shard{Cluster: rule.On[i*len(rule.On)/n], Database: schema, Table: table + "_" + period}
	if rule.Layout == config.LayoutTables {
		at.Table += "_" + number
	} else {
		at.Database += "_" + number
	}
	return at
}

// periodCluster deals periods round.
func periodCluster(on []string, p shardrule.Period) string {
	n := len(on)
	return on[(int(p)%n+n)%n]
}

func physical(schema, table string, layout config.Layout, suffix string) topology.Shard {
	if layout == config.LayoutTables {
		return topology.Shard{Database: schema, Table: table + "_" + suffix}
	}
	return topology.Shard{Database: schema + "_" + suffix, Table: table}
}

// databasesOfOthers: a schema of its own must not have the name of a database
// that another schema's shards stand in.
func (b *builder) databasesOfOthers() {
	lines := map[string]int{}
	for _, s := range b.cfg.Schemas {
		lines[b.facts.fold(s.Name)] = s.Line
	}
	said := map[string]bool{}
	for at, table := range b.taken {
		schema, _, _ := strings.Cut(table, ".")
		if line := lines[at.Database]; line != 0 && at.Database != schema && !said[at.Database] {
			said[at.Database] = true
			b.add(line, "rename the schema, or give the table layout: tables",
				"schema %s has the name of a database with shards of schema %s", at.Database, schema)
		}
	}
}
