package importer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// kingshardFile is ks.yaml, of the releases with one schema and those with a
// list of them.
type kingshardFile struct {
	Addr     string `yaml:"addr"`
	User     string `yaml:"user"`
	Password string `yaml:"password"`
	UserList []struct {
		User     string `yaml:"user"`
		Password string `yaml:"password"`
	} `yaml:"user_list"`
	AllowIPs  string            `yaml:"allow_ips"`
	BlackSQL  string            `yaml:"blsFilePath"`
	BlackFile string            `yaml:"blacklist_sql_file"`
	Nodes     []kingshardNode   `yaml:"nodes"`
	Schema    kingshardSchema   `yaml:"schema"`
	Schemas   []kingshardSchema `yaml:"schemas"`
	List      []kingshardSchema `yaml:"schema_list"`
}

type kingshardNode struct {
	Name     string `yaml:"name"`
	User     string `yaml:"user"`
	Password string `yaml:"password"`
	Master   string `yaml:"master"`
	Slave    string `yaml:"slave"`
}

type kingshardSchema struct {
	User    string           `yaml:"user"`
	DB      string           `yaml:"db"`
	Nodes   []string         `yaml:"nodes"`
	Default string           `yaml:"default"`
	Shard   []kingshardShard `yaml:"shard"`
	Rules   struct {
		Default string           `yaml:"default"`
		Shard   []kingshardShard `yaml:"shard"`
	} `yaml:"rules"`
}

// kingshardShard is a table's rule; Gaea's of the same types are turned into
// one.
type kingshardShard struct {
	DB            string   `yaml:"db"`
	Table         string   `yaml:"table"`
	Key           string   `yaml:"key"`
	Nodes         []string `yaml:"nodes"`
	Type          string   `yaml:"type"`
	Locations     []int    `yaml:"locations"`
	TableRowLimit int      `yaml:"table_row_limit"`
	DateRange     []string `yaml:"date_range"`
}

// kingshard is one import.
type kingshard struct {
	draft
	zone string
}

// Kingshard reads kingshard's configuration in a folder and gives ours as text.
// zone is the time zone it ran in, empty where not known.
func Kingshard(dir fs.FS, zone string) (string, error) {
	text, err := oneFile(dir, "ks.yaml", ".yaml", ".yml")
	if err != nil {
		return "", err
	}
	var f kingshardFile
	if err := yaml.Unmarshal(text, &f); err != nil {
		return "", fmt.Errorf("ks.yaml: %w", err)
	}
	if len(f.Nodes) == 0 {
		return "", errors.New("the file has no nodes: it is not kingshard's")
	}
	k := &kingshard{zone: zone}
	k.title = "Imported from kingshard by `serval import kingshard`. Lines that begin with # say what was not carried over."
	k.listen = f.Addr
	if f.AllowIPs != "" {
		k.note("allow_ips is not carried over: %s", f.AllowIPs)
	}
	if f.BlackSQL != "" || f.BlackFile != "" {
		k.note("The blacklist of statements is not carried over.")
	}
	for _, n := range f.Nodes {
		k.clusters = append(k.clusters, n.cluster())
	}
	schemas := append(append(f.Schemas, f.List...), f.Schema)
	for _, s := range schemas {
		k.readSchema(s)
	}
	k.readUsers(&f, schemas)
	if k.home == "" {
		k.home = k.clusters[0].name
	}
	return k.String(), nil
}

// oneFile is the file of a name, or the only one with one of these ends.
func oneFile(dir fs.FS, name string, ends ...string) ([]byte, error) {
	if text, err := read(dir, name); err == nil {
		return text, nil
	}
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		for _, end := range ends {
			if strings.EqualFold(path.Ext(e.Name()), end) {
				found = append(found, e.Name())
			}
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("there is no %s, and %d files that could be it", name, len(found))
	}
	return fs.ReadFile(dir, found[0])
}

// cluster is a node: its slaves are addr@weight with commas.
func (n kingshardNode) cluster() cluster {
	c := cluster{name: n.Name, user: n.User, password: n.Password, primary: server{addr: n.Master}}
	for _, s := range split(n.Slave) {
		addr, weight := weighted(s)
		c.replicas = append(c.replicas, server{addr: addr, weight: weight})
	}
	return c
}

// weighted takes addr@weight apart.
func weighted(text string) (addr string, weight int) {
	addr, w, ok := strings.Cut(text, "@")
	if n, err := strconv.Atoi(w); ok && err == nil {
		return addr, min(n, 1000)
	}
	return addr, 1
}

func (k *kingshard) readUsers(f *kingshardFile, schemas []kingshardSchema) {
	if f.User != "" {
		k.users = append(k.users, user{name: f.User, password: f.Password})
	}
	for _, u := range f.UserList {
		k.users = append(k.users, user{name: u.User, password: u.Password})
	}
	byUser := map[string]bool{}
	for _, s := range schemas {
		byUser[s.User] = true
	}
	if len(byUser) > 2 {
		k.note("kingshard gives each user rules of its own; here all users have all of them.")
	}
}

func (k *kingshard) readSchema(s kingshardSchema) {
	node, shards := s.Default, s.Shard
	if s.Rules.Default != "" {
		node, shards = s.Rules.Default, append(shards, s.Rules.Shard...)
	}
	if node == "" && len(shards) == 0 {
		return
	}
	if k.home == "" {
		k.home = node
	}
	if s.DB != "" {
		k.schema(s.DB).home = node
	}
	for _, r := range shards {
		db := r.DB
		if db == "" {
			db = s.DB
		}
		to := k.schema(db)
		if to.home == "" {
			to.home = node
		}
		t := &table{name: r.Table}
		to.tables = append(to.tables, t)
		r.rule(to, t, k.zone)
	}
}

// rule writes the table's rule. Tables are named table_0000, or by their period.
func (r kingshardShard) rule(s *schema, t *table, zone string) {
	var numbers []string
	var nodes []string
	add := func(node string, number int) {
		nodes, numbers = append(nodes, node), append(numbers, fmt.Sprintf("%04d", number))
	}
	periods := map[string]int{"date_year": 4, "date_month": 6, "date_day": 8}
	digits := periods[r.Type]
	switch {
	case r.Type == "hash" || r.Type == "range" || r.Type == "mod":
		if len(r.Locations) != len(r.Nodes) {
			t.refuse("it has %d locations for %d nodes.", len(r.Locations), len(r.Nodes))
			return
		}
		for i, n := range r.Locations {
			for range n {
				add(r.Nodes[i], len(numbers))
			}
		}
	case digits > 0:
		if len(r.DateRange) != len(r.Nodes) {
			t.refuse("it has %d date_range for %d nodes.", len(r.DateRange), len(r.Nodes))
			return
		}
		for i, text := range r.DateRange {
			for _, p := range periodsOf(text, digits) {
				add(r.Nodes[i], p)
			}
		}
	default:
		t.refuse("type %s is not known.", r.Type)
		return
	}
	if len(numbers) == 0 {
		t.refuse("it has no tables.")
		return
	}
	r.write(s, t, zone, strings.Join(r.DateRange, ","))
	var places []place
	for i, number := range numbers {
		places = append(places, place{nodes[i], s.name, r.Table + "_" + number})
	}
	t.set("places", placeList(places))
}

func (r kingshardShard) write(s *schema, t *table, zone, periods string) {
	switch r.Type {
	case "hash":
		t.set("shard", quoteCall("kingshard_hash", r.Key))
		s.say(t, "If the column is text: early releases hash digits as text too (add digits: text); check --placement tells.")
		s.say(t, sayTextRule)
	case "mod":
		t.set("shard", quoteCall("gaea_mod", r.Key))
	case "range":
		t.set("shard", quoteCall("kingshard_range", r.Key))
		t.set("table_row_limit", strconv.Itoa(r.TableRowLimit))
	default:
		t.set("shard", quoteCall("kingshard_"+strings.TrimPrefix(r.Type, "date_"), r.Key))
		t.set("periods", quote(periods))
		if zone != "" {
			t.set("proxy_zone", quote(zone))
		} else {
			s.say(t, "If the column is a number of seconds: add proxy_zone: with the zone the old proxy ran in, or import with --time-zone.")
		}
	}
}

// periodsOf are the numbers of a range of periods: 201510-201602.
func periodsOf(text string, digits int) []int {
	low, high, both := strings.Cut(text, "-")
	if !both {
		high = low
	}
	if high < low {
		low, high = high, low
	}
	layout := "20060102"[:digits]
	from, err1 := parseDay(layout, low)
	to, err2 := parseDay(layout, high)
	if err1 != nil || err2 != nil {
		return nil
	}
	seen := map[int]bool{}
	var out []int
	for day := from; !day.After(to) && len(out) < 4096; day = day.AddDate(0, 0, 1) {
		n, err := strconv.Atoi(day.Format(layout))
		if err == nil && !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	sort.Ints(out)
	return out
}
