package config

import (
	"errors"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/servaldb/serval/shardrule"
)

// rawSchema is a schema as written, before homes and like: are filled in.
type rawSchema struct {
	Schema
	homeLine int
	tables   []*rawTable
	// newTables is new_tables: as written, nil for none.
	newTables *rawTable
}

// rawTable is a rule as written.
type rawTable struct {
	Table
	// given are the lines of the keys that are there.
	given  map[string]int
	global bool
	// args are the function's parameters given as keys.
	args shardrule.Args
	// resolved: like: is filled in; resolving: it is at it.
	resolved, resolving bool
}

func (t *rawTable) has(key string) bool { return t.given[key] != 0 }

func (r *reader) readSchemas(n *yaml.Node) {
	for _, e := range r.entries(n, "schemas") {
		s := &rawSchema{Schema: Schema{Name: e.key, Line: e.line}}
		r.name(e.line, "schema", e.key)
		where := "schema " + e.key
		r.keys(e.node, where, map[string]func(*yaml.Node){
			"home": func(n *yaml.Node) { s.Home, s.homeLine = r.text(n, where+".home"), n.Line },
			"tables": func(n *yaml.Node) {
				for _, e := range r.entries(n, where+".tables") {
					s.tables = append(s.tables, r.table(e))
				}
			},
			"new_tables": func(n *yaml.Node) { r.newTables(n, s) },
		})
		r.schemas = append(r.schemas, s)
	}
}

// name checks a schema's or table's name; shards add to it, and a server
// takes 64 characters.
func (r *reader) name(line int, what, name string) {
	switch strings.ToLower(name) {
	case "mysql", "information_schema", "performance_schema", "sys", "serval", "serval_meta":
		if what == "schema" {
			r.add(line, "remove it; it is always there", "schema %s is not for rules", name)
		}
	}
	if name == "" || len(name) > 56 || strings.ContainsAny(name, "`/\\.\x00") || strings.TrimSpace(name) != name {
		r.add(line, "a name has 1 to 56 characters, and none of ` / \\ . in it", "%s %q cannot be a name", what, name)
	}
}

func (r *reader) table(e entry) *rawTable {
	t := &rawTable{Table: Table{Name: e.key, Line: e.line}, given: map[string]int{}, args: shardrule.Args{}}
	r.name(e.line, "table", e.key)
	where := "table " + e.key
	keys := map[string]func(*yaml.Node){
		"shard":          func(n *yaml.Node) { r.shard(n, t) },
		"shards":         func(n *yaml.Node) { t.Shards = r.number(n, "shards", 1, 1024) },
		"like":           func(n *yaml.Node) { t.Like = r.text(n, "like") },
		"on":             func(n *yaml.Node) { t.On = r.texts(n, "on") },
		"places":         func(n *yaml.Node) { r.places(n, t) },
		"global":         func(n *yaml.Node) { t.global = r.yes(n, "global") },
		"auto_increment": func(n *yaml.Node) { r.autoIncrement(n, t) },
		"keep":           func(n *yaml.Node) { t.Keep = r.number(n, "keep", 1, 10_000) },
		"ahead":          func(n *yaml.Node) { t.Ahead = r.number(n, "ahead", 0, 1000) },
		"from":           func(n *yaml.Node) { t.From = r.text(n, "from") },
		"time_zone":      func(n *yaml.Node) { t.Zone = r.zone(n) },
		"drop_old":       func(n *yaml.Node) { t.DropOld = r.yes(n, "drop_old") },
		"unique":         func(n *yaml.Node) { r.uniqueKeys(n, t) },
		"through":        func(n *yaml.Node) { t.Through = r.text(n, "through") },
		"references":     func(n *yaml.Node) { t.References = r.text(n, "references") },
		"layout": func(n *yaml.Node) {
			t.Layout = LayoutDatabases
			if r.oneOf(n, "layout", "databases", "tables") == "tables" {
				t.Layout = LayoutTables
			}
		},
	}
	params, _ := shardrule.Params()
	for name, p := range params {
		keys[name] = func(n *yaml.Node) { t.args[name] = r.arg(n, p) }
	}
	r.keys(e.node, where, r.noting(t, keys))
	return t
}

// noting notes the line of each key that is read.
func (r *reader) noting(t *rawTable, keys map[string]func(*yaml.Node)) map[string]func(*yaml.Node) {
	for k, read := range keys {
		keys[k] = func(n *yaml.Node) {
			t.given[k] = max(n.Line, 1)
			read(n)
		}
	}
	return keys
}

// functionCall is snowflake(column).
var functionCall = regexp.MustCompile(`^\s*([A-Za-z_]+)\s*\(([^()]*)\)\s*$`)

// autoIncrement reads column and snowflake(column).
func (r *reader) autoIncrement(n *yaml.Node, t *rawTable) {
	t.AutoIncrement = r.text(n, "auto_increment")
	m := functionCall.FindStringSubmatch(t.AutoIncrement)
	switch {
	case m == nil:
	case strings.EqualFold(m[1], "snowflake") && strings.TrimSpace(m[2]) != "":
		t.AutoIncrement, t.Snowflake = strings.TrimSpace(m[2]), true
	default:
		r.add(n.Line, "write auto_increment: column or auto_increment: snowflake(column)", "auto_increment: %s is not known", t.AutoIncrement)
	}
}

// shard reads function(column).
func (r *reader) shard(n *yaml.Node, t *rawTable) {
	text := r.text(n, "shard")
	if text == "" {
		return
	}
	rule, err := shardrule.ParseRule(text, didYouMean)
	if err != nil {
		r.ruleError(t, err)
		return
	}
	t.Kind, t.Rule = Sharded, rule
}

// ruleError adds what is wrong with a rule at the line of what it is about.
func (r *reader) ruleError(t *rawTable, err error) {
	var wrong *shardrule.RuleError
	if !errors.As(err, &wrong) {
		r.add(t.given["shard"], "", "table %s: %s", t.Name, err)
		return
	}
	line := t.given[wrong.Param]
	if line == 0 {
		line = t.given["shard"]
	}
	r.add(line, wrong.Do, "%s", wrong.What)
}

// arg is a parameter of a function that is a key beside shard:.
func (r *reader) arg(n *yaml.Node, p shardrule.Param) shardrule.Arg {
	if !p.Map && !p.List {
		return shardrule.Arg{Text: r.text(n, p.Name)}
	}
	a := shardrule.Arg{Pairs: []shardrule.Pair{}}
	if p.List && followAlias(n).Kind != yaml.MappingNode {
		for i, v := range r.texts(n, p.Name) {
			a.Pairs = append(a.Pairs, shardrule.Pair{Key: strconv.Itoa(i), Value: v})
		}
		return a
	}
	for _, e := range r.entries(n, p.Name) {
		a.Pairs = append(a.Pairs, shardrule.Pair{Key: r.expand(e.key, e.line), Value: r.text(e.node, p.Name+"."+e.key)})
	}
	return a
}

// zone reads a time zone's name.
func (r *reader) zone(n *yaml.Node) *time.Location {
	name := r.text(n, "time_zone")
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		r.add(n.Line, "write a name like UTC or Europe/Berlin", "time_zone cannot be %q", name)
		return nil
	}
	return zone
}

// rules fills in what tables take from each other and from the whole file.
func (r *reader) rules() {
	for _, s := range r.schemas {
		byName := map[string]*rawTable{}
		for _, t := range s.tables {
			byName[t.Name] = t
		}
		for _, t := range s.tables {
			r.resolve(t, byName)
			s.Tables = append(s.Tables, t.Table)
		}
		r.lookups(s)
		r.newTablesRule(s)
		r.cfg.Schemas = append(r.cfg.Schemas, s.Schema)
	}
}

// resolve completes one rule, the one it is like first.
func (r *reader) resolve(t *rawTable, byName map[string]*rawTable) {
	if t.resolved {
		return
	}
	if t.resolving {
		r.add(t.given["like"], "let one of them say its shards", "table %s is like itself, round about", t.Name)
		t.resolved = true
		return
	}
	t.resolving = true
	defer func() { t.resolved = true }()
	switch {
	case t.has("through"):
		r.through(t, byName)
		return
	case t.has("references"):
		r.add(t.given["references"], "remove it, or add through: with a column", "table %s has references and no through", t.Name)
	}
	if t.has("like") {
		r.like(t, byName)
		return
	}
	r.counted(t)
	if t.has("places") {
		r.placed(t)
	}
	r.kind(t)
	r.keysOfKind(t)
	r.on(t)
}

// likened is the table another one is like, nil after a finding.
func (r *reader) likened(t *rawTable, byName map[string]*rawTable) *rawTable {
	line := t.given["like"]
	if !t.has("like") {
		r.add(t.given["through"], "add like: with the table it follows", "table %s has through and no like", t.Name)
		return nil
	}
	taken := append([]string{"shards", "on", "places", "global", "keep", "ahead", "from", "time_zone", "drop_old", "layout"}, slices.Sorted(maps.Keys(t.args))...)
	for _, k := range taken {
		if t.has(k) {
			r.add(t.given[k], "remove it, or remove like:", "table %s takes %s from table %s", t.Name, k, t.Like)
		}
	}
	if !t.has("shard") && !t.has("through") {
		r.add(line, "add shard: hash(column), or what function the other table has", "table %s has like: and no shard:", t.Name)
		return nil
	}
	other := byName[t.Like]
	if other == nil {
		names := make([]string, 0, len(byName))
		for n := range byName {
			names = append(names, n)
		}
		slices.Sort(names)
		r.add(line, didYouMean(t.Like, names), "table %s is like %s, which has no rule in this schema", t.Name, t.Like)
		return nil
	}
	if !other.resolved {
		r.resolve(other, byName)
	}
	return other
}

// like takes over the other table's shards.
func (r *reader) like(t *rawTable, byName map[string]*rawTable) {
	other, line := r.likened(t, byName), t.given["like"]
	if other == nil {
		return
	}
	if t.Rule.Name == "" || len(other.On) == 0 {
		return // a finding says why
	}
	if other.Rule.Name != t.Rule.Name {
		r.add(line, "use the same function, or give it shards of its own", "table %s cannot be like %s: they are sharded differently", t.Name, t.Like)
		return
	}
	o := other.Table
	if len(t.Rule.Args) > 0 && !reflect.DeepEqual(t.Rule.Args, o.Rule.Args) {
		r.add(t.given["shard"], "name only the column, or remove like:", "table %s takes the parameters of %s from table %s", t.Name, t.Rule.Name, t.Like)
	}
	t.Rule.Args = o.Rule.Args
	r.likeTerms(t, o.Rule)
	t.Places = o.Places
	t.On, t.Shards, t.Layout, t.Keep, t.Ahead, t.From, t.Zone, t.DropOld = o.On, o.Shards, o.Layout, o.Keep, o.Ahead, o.From, o.Zone, o.DropOld
}

// kind decides between whole, global and sharded.
func (r *reader) kind(t *rawTable) {
	switch {
	case t.has("shard") && t.global:
		r.add(t.given["global"], "keep one of them", "table %s is both global and sharded", t.Name)
	case t.global:
		t.Kind = Global
	case !t.has("shard") && !t.has("on") && !t.has("places"):
		r.add(t.Line, "give it shard:, global: true or on:, or remove it: then it lives in the schema's home", "table %s has no rule", t.Name)
	}
}

// keysOfKind: each key belongs to some kinds only.
func (r *reader) keysOfKind(t *rawTable) {
	only := func(key, whose string, is bool) {
		if t.has(key) && !is {
			r.add(t.given[key], "remove it", "table %s has %s, which is for %s", t.Name, key, whose)
		}
	}
	f := t.Rule.Function()
	counted, periodic, composite := f.Counted != nil, t.Rule.Periodic(), t.Rule.Composite()
	if t.has("shard") && f.Name == "" {
		return // what it is nobody knows
	}
	only("shards", "functions that take a number of shards", counted || composite)
	for _, key := range []string{"keep", "ahead", "from", "time_zone", "drop_old"} {
		only(key, "functions of time", periodic)
	}
	if t.DropOld && t.Keep == 0 && periodic {
		r.add(t.given["drop_old"], "add keep: with a number of periods", "table %s has drop_old: and does not say how many periods to keep", t.Name)
	}
	only("layout", "sharded tables", f.Name != "")
	only("auto_increment", "sharded tables", f.Name != "")
	if counted && !t.has("shards") && !t.has("places") {
		r.add(t.given["shard"], "add shards: 8, or like: another table", "table %s does not say how many shards", t.Name)
	}
	if periodic && !t.has("ahead") {
		t.Ahead = 1
	}
	if periodic && !composite && !t.has("layout") {
		t.Layout = LayoutTables
	}
	if composite {
		r.composite(t)
		return
	}
	r.parameters(t, f)
}

// parameters puts the function's parameters together and tries them.
func (r *reader) parameters(t *rawTable, f shardrule.Function) {
	_, takers := shardrule.Params()
	found := len(r.findings)
	for _, key := range slices.Sorted(maps.Keys(t.args)) {
		switch {
		case !slices.Contains(takers[key], f.Name):
			r.add(t.given[key], "remove it", "table %s has %s, which is for %s", t.Name, key, strings.Join(takers[key], ", "))
		case t.Rule.Args.Has(key):
			r.add(t.given[key], "keep one of them", "table %s has %s, and shard: says it too", t.Name, key)
		default:
			t.Rule.Args[key] = t.args[key]
		}
	}
	if f.Name == "" || len(r.findings) > found || f.Counted != nil && t.Shards == 0 {
		return
	}
	n, err := t.Rule.Try(t.Shards)
	switch {
	case err != nil:
		r.ruleError(t, err)
		return
	case f.Listed != nil && t.has("places") && n != len(t.Places):
		r.add(t.given["places"], "name one for each shard", "table %s has %d places, and %s makes %d shards", t.Name, len(t.Places), f.Name, n)
	case f.Listed != nil:
		t.Shards = n
	}
	if f.Periodic != nil {
		r.from(t)
	}
}

// from checks the first period, of a rule of time that is right.
func (r *reader) from(t *rawTable) {
	if c, _ := t.Rule.Calendar(); t.From != "" { // Try has said what is wrong with it
		if _, ok := c.Period(t.From); !ok {
			r.add(t.given["from"], "write it like "+c.Example(), "from cannot be %s", t.From)
		}
	}
}

// on checks the clusters; with one cluster in the file it need not be said.
func (r *reader) on(t *rawTable) {
	if t.has("places") {
		return
	}
	if !t.has("on") && len(r.cfg.Clusters) == 1 && (t.has("shard") || t.global) {
		t.On = []string{r.cfg.Clusters[0].Name}
	}
	if len(t.On) == 0 {
		if t.has("on") || t.has("shard") || t.global {
			r.add(t.Line, "add on: [cluster, …]", "table %s is on no cluster", t.Name)
		}
		return
	}
	for i, name := range t.On {
		r.knownCluster(t.given["on"], "table "+t.Name, name)
		if slices.Contains(t.On[:i], name) {
			r.add(t.given["on"], "name it once", "table %s is on cluster %s twice", t.Name, name)
		}
	}
	switch {
	case t.Kind == Whole && !t.has("shard") && len(t.On) > 1:
		r.add(t.given["on"], "name one cluster, or add global: true or shard:", "table %s is whole and on %d clusters", t.Name, len(t.On))
	case t.Kind == Sharded && t.Shards > 0 && t.Shards < len(t.On):
		r.add(t.given["on"], "give it more shards or fewer clusters", "table %s has %d shards for %d clusters", t.Name, t.Shards, len(t.On))
	}
}

func (r *reader) knownCluster(line int, who, name string) {
	if r.cfg.Cluster(name) != nil {
		return
	}
	names := make([]string, len(r.cfg.Clusters))
	for i := range names {
		names[i] = r.cfg.Clusters[i].Name
	}
	r.add(line, didYouMean(name, names), "%s names cluster %s, which does not exist", who, name)
}
