package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/servaldb/serval/shardrule"
)

// primaryKey stands for a table's primary key in new_tables:.
const primaryKey = "primary key"

// Given is a rule that a table got from new_tables: when it was created. It stays
// as it was then, whatever new_tables: becomes.
type Given struct {
	Schema, Table string
	// Rule is what GivenRule wrote.
	Rule string
}

// givenRule is a Given's Rule.
type givenRule struct {
	Function string   `json:"function"`
	Column   string   `json:"column"`
	Shards   int      `json:"shards"`
	On       []string `json:"on"`
	Layout   string   `json:"layout"`
}

// GivenRule is the rule that new_tables: gives a table sharded by the column.
func (t *Table) GivenRule(column string) string {
	text, err := json.Marshal(givenRule{t.Rule.Name, column, t.Shards, t.On, t.Layout.String()})
	if err != nil {
		return "" // it has only names and numbers
	}
	return string(text)
}

// ByPrimaryKey: the rule is by the one column of each table's primary key.
func (t *Table) ByPrimaryKey() bool { return slices.Equal(t.Rule.Columns, []string{primaryKey}) }

var (
	// inPrimaryKey is hash(primary key).
	inPrimaryKey = regexp.MustCompile(`(?i)^\s*(\w+)\s*\(\s*primary\s+key\s*\)\s*$`)
	givenNames   = []string{"hash", "mod", "jump"}
)

// newTables reads new_tables: {shard: hash(primary key), shards: 4, on: [c0, c1]}.
func (r *reader) newTables(n *yaml.Node, s *rawSchema) {
	t := &rawTable{Table: Table{Name: "new_tables", Kind: Sharded, Line: n.Line}, given: map[string]int{}, args: shardrule.Args{}}
	r.keys(n, "new_tables of schema "+s.Name, r.noting(t, map[string]func(*yaml.Node){
		"shard": func(n *yaml.Node) {
			text := r.text(n, "shard")
			m := inPrimaryKey.FindStringSubmatch(text)
			if m == nil {
				r.shard(n, t)
				return
			}
			t.Rule = shardrule.Rule{Name: strings.ToLower(m[1]), Columns: []string{primaryKey}, Args: shardrule.Args{}}
		},
		"shards": func(n *yaml.Node) { t.Shards = r.number(n, "shards", 1, 1024) },
		"on":     func(n *yaml.Node) { t.On = r.texts(n, "on") },
		"layout": func(n *yaml.Node) {
			if r.oneOf(n, "layout", "databases", "tables") == "tables" {
				t.Layout = LayoutTables
			}
		},
	}))
	s.newTables = t
}

// newTablesRule checks new_tables: when the clusters are known.
func (r *reader) newTablesRule(s *rawSchema) {
	t := s.newTables
	if t == nil {
		return
	}
	switch {
	case !t.has("shard"):
		r.add(t.Line, "add shard: hash(primary key)", "new_tables of schema %s does not say by what tables are sharded", s.Name)
	case t.Rule.Name != "" && (!slices.Contains(givenNames, t.Rule.Name) || len(t.Rule.Columns) != 1 || t.Rule.Key != "" || len(t.Rule.Args) > 0):
		r.add(t.given["shard"], "write hash(primary key), or hash, mod or jump of a column", "new_tables of schema %s cannot be sharded so", s.Name)
	case t.Shards == 0:
		r.add(t.Line, "add shards: 4", "new_tables of schema %s does not say how many shards", s.Name)
	default:
		r.on(t)
		s.NewTables = &t.Table
	}
}

// With is the configuration with the rules that tables got when they were created,
// where the file has none for them. It is c itself where these are its own.
func (c *Config) With(given []Given) *Config {
	base := c
	if c.base != nil {
		base = c.base
	}
	if slices.Equal(c.given, given) {
		return c
	}
	if len(given) == 0 {
		return base
	}
	out := *base
	out.base, out.given, out.lost = base, slices.Clone(given), nil
	out.Schemas = slices.Clone(base.Schemas)
	for i := range out.Schemas {
		s := &out.Schemas[i]
		s.Tables = slices.Clone(s.Tables)
		for _, g := range given {
			if g.Schema != s.Name || slices.ContainsFunc(s.Tables, func(t Table) bool { return strings.EqualFold(t.Name, g.Table) }) {
				continue
			}
			t, err := g.table(base)
			if err != nil {
				out.lost = append(out.lost, Lost{g, s.Line, err})
				continue
			}
			t.Line = s.Line
			s.Tables = append(s.Tables, t)
		}
	}
	return &out
}

// Given are the rules of With, nil for none.
func (c *Config) Given() []Given { return c.given }

// Lost is a table's own rule that the configuration cannot carry: a cluster of it
// is not there any more. The table is not served.
type Lost struct {
	Given
	// Line is its schema's.
	Line int
	Why  error
}

// Told is what is lost, and what to do.
func (l *Lost) Told() (what, do string) {
	return fmt.Sprintf("the table is not served: it got its rule when it was created (new_tables:), which was %s, and %s", l.Rule, l.Why),
		"bring the cluster back under clusters:, or give the table a rule under tables:"
}

// Lost are the rules of With that the configuration cannot carry.
func (c *Config) Lost() []Lost { return c.lost }

// table is the rule; an error where a cluster of it is not there any more.
func (g *Given) table(c *Config) (Table, error) {
	var rule givenRule
	if err := json.Unmarshal([]byte(g.Rule), &rule); err != nil {
		return Table{}, err
	}
	t := Table{Name: g.Table, Kind: Sharded, Shards: rule.Shards, On: rule.On,
		Rule: shardrule.Rule{Name: rule.Function, Columns: []string{rule.Column}, Args: shardrule.Args{}}}
	if rule.Layout == LayoutTables.String() {
		t.Layout = LayoutTables
	}
	if _, err := t.Rule.Try(t.Shards); err != nil || len(t.On) == 0 || t.Shards < len(t.On) {
		return t, fmt.Errorf("the rule of %s.%s cannot be read: %s", g.Schema, g.Table, g.Rule)
	}
	for _, name := range t.On {
		if c.Cluster(name) == nil {
			return t, fmt.Errorf("there is no cluster %s", name)
		}
	}
	return t, nil
}
