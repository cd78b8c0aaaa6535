package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

func parseDay(layout, text string) (time.Time, error) { return time.Parse(layout, text) }

// gaeaNamespace is a namespace of Gaea as its JSON has it.
type gaeaNamespace struct {
	IsEncrypt     bool              `json:"is_encrypt"`
	Name          string            `json:"name"`
	ReadOnly      bool              `json:"read_only"`
	AllowedDBs    map[string]bool   `json:"allowed_dbs"`
	DefaultPhyDBs map[string]string `json:"default_phy_dbs"`
	BlackSQL      []string          `json:"black_sql"`
	AllowedIP     []string          `json:"allowed_ip"`
	Slices        []gaeaSlice       `json:"slices"`
	ShardRules    []gaeaShard       `json:"shard_rules"`
	Users         []struct {
		Name     string `json:"user_name"`
		Password string `json:"password"`
		RWFlag   int    `json:"rw_flag"`
	} `json:"users"`
	DefaultSlice    string            `json:"default_slice"`
	GlobalSequences []json.RawMessage `json:"global_sequences"`
	MaxResult       int               `json:"max_sql_result_size"`
}

type gaeaSlice struct {
	Name     string   `json:"name"`
	User     string   `json:"user_name"`
	Password string   `json:"password"`
	Master   string   `json:"master"`
	Slaves   []string `json:"slaves"`
	Other    []string `json:"statistic_slaves"`
}

type gaeaShard struct {
	DB              string   `json:"db"`
	Table           string   `json:"table"`
	ParentTable     string   `json:"parent_table"`
	Type            string   `json:"type"`
	Key             string   `json:"key"`
	Locations       []int    `json:"locations"`
	Slices          []string `json:"slices"`
	DateRange       []string `json:"date_range"`
	TableRowLimit   int      `json:"table_row_limit"`
	Databases       []string `json:"databases"`
	PartitionCount  string   `json:"partition_count"`
	PartitionLength string   `json:"partition_length"`
	HashSlice       string   `json:"hash_slice"`
	Seed            string   `json:"seed"`
	VirtualBuckets  string   `json:"virtual_bucket_times"`
	PadFrom         string   `json:"pad_from"`
	PadLength       string   `json:"pad_length"`
	ModBegin        string   `json:"mod_begin"`
	ModEnd          string   `json:"mod_end"`
}

// gaea is one import.
type gaea struct {
	draft
	zone string
}

// Gaea reads the namespaces of Gaea (JSON files) in a folder and gives one
// configuration of ours as text. zone is the time zone it ran in, empty where
// not known.
func Gaea(dir fs.FS, zone string) (string, error) {
	files, err := jsonFiles(dir)
	if err != nil {
		return "", err
	}
	g := &gaea{zone: zone}
	g.title = "Imported from Gaea by `serval import gaea`. Lines that begin with # say what was not carried over."
	g.listen = "0.0.0.0:13306"
	for _, name := range files {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return "", err
		}
		var ns gaeaNamespace
		if err := json.Unmarshal(text, &ns); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		if len(ns.Slices) > 0 { // else it is another file
			g.readNamespace(&ns)
		}
	}
	if len(g.clusters) == 0 {
		return "", errors.New("no JSON file there is a namespace with slices")
	}
	if len(files) > 1 {
		g.note("Several namespaces are one configuration here: their slices, users and tables must not have the same names.")
	}
	return g.String(), nil
}

func jsonFiles(dir fs.FS) ([]string, error) {
	var files []string
	err := fs.WalkDir(dir, ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.EqualFold(path.Ext(name), ".json") {
			files = append(files, name)
		}
		return err
	})
	return files, err
}

func (g *gaea) readNamespace(ns *gaeaNamespace) {
	for _, s := range ns.Slices {
		c := cluster{name: s.Name, user: s.User, password: s.Password, primary: gaeaServer(s.Master)}
		c.primary.weight = 0
		if ns.IsEncrypt {
			c.user, c.password = "serval", "${SERVAL_PASSWORD_"+envName(s.Name)+"}"
			c.note("The account is encrypted in Gaea: write its user, and set this variable to its password.")
		}
		for _, a := range s.Slaves {
			c.replicas = append(c.replicas, gaeaServer(a))
		}
		if len(s.Other) > 0 {
			c.note("statistic_slaves are not carried over: %s", strings.Join(s.Other, ", "))
		}
		g.clusters = append(g.clusters, c)
	}
	var dbs []string
	for db := range ns.AllowedDBs {
		dbs = append(dbs, db)
	}
	slices.Sort(dbs)
	for _, u := range ns.Users {
		add := user{name: u.Name, password: u.Password, schemas: dbs, readOnly: ns.ReadOnly || u.RWFlag == 1}
		if ns.IsEncrypt {
			add.name, add.password = "user"+strconv.Itoa(len(g.users)), "${SERVAL_PASSWORD_USER"+strconv.Itoa(len(g.users))+"}"
			add.notes = append(add.notes, "The account is encrypted in Gaea: write its name, and set this variable to its password.")
		}
		g.users = append(g.users, add)
	}
	home := ns.DefaultSlice
	if home == "" {
		home = ns.Slices[0].Name
	}
	if g.home == "" {
		g.home = home
	}
	for _, db := range dbs {
		s := g.schema(db)
		s.home = home
		if phy := ns.DefaultPhyDBs[db]; phy != "" && phy != db {
			s.note("Gaea keeps its tables without a rule in database %s of %s; Serval looks for them in %s: name each as\n`table: {places: [%s/%s]}`.", phy, home, db, home, phy)
		}
	}
	g.notCarried(ns)
	for _, r := range ns.ShardRules {
		if r.Type != "linked" {
			g.readShard(r, home)
		}
	}
	for _, r := range ns.ShardRules {
		if r.Type == "linked" {
			g.readLinked(r)
		}
	}
}

func (g *gaea) notCarried(ns *gaeaNamespace) {
	if len(ns.BlackSQL) > 0 {
		g.note("black_sql of namespace %s is not carried over.", ns.Name)
	}
	if ips := slices.DeleteFunc(slices.Clone(ns.AllowedIP), func(s string) bool { return s == "" }); len(ips) > 0 {
		g.note("allowed_ip of namespace %s is not carried over: %s", ns.Name, strings.Join(ips, ", "))
	}
	if len(ns.GlobalSequences) > 0 {
		g.note("global_sequences of namespace %s are not carried over: use auto_increment:.", ns.Name)
	}
	if ns.MaxResult > 0 {
		g.note("max_sql_result_size of namespace %s is not carried over: Serval cuts no result.", ns.Name)
	}
}

// gaeaServer is addr@weight#idc.
func gaeaServer(text string) server {
	text, zone, _ := strings.Cut(text, "#")
	addr, weight := weighted(text)
	return server{addr: addr, weight: weight, zone: zone}
}

func (g *gaea) readShard(r gaeaShard, home string) {
	s := g.schema(r.DB)
	if s.home == "" {
		s.home = home
	}
	t := &table{name: r.Table}
	s.tables = append(s.tables, t)
	switch r.Type {
	case "hash", "range", "mod", "date_year", "date_month", "date_day":
		kingshardShard{Table: r.Table, Key: r.Key, Nodes: r.Slices, Type: r.Type, Locations: r.Locations,
			TableRowLimit: r.TableRowLimit, DateRange: r.DateRange}.rule(s, t, g.zone)
		return
	}
	places, ok := r.databases(t)
	if !ok {
		return
	}
	if r.Type == "global" {
		t.set("global", "true")
		kept := onePerCluster(places)
		t.set("places", placeList(kept))
		if len(kept) < len(places) {
			t.note("Gaea writes %d copies, one in each database; Serval one in each cluster. The other copies get old: do not read them.", len(places))
		}
		return
	}
	functions := map[string]string{"mycat_mod": "gaea_mod", "mycat_long": "mycat_long", "mycat_string": "gaea_string", "mycat_murmur": "mycat_murmur", "mycat_padding_mod": "gaea_padding_mod"}
	name := functions[r.Type]
	if name == "" {
		t.at = places
		t.refuse("type %s is not known.", r.Type)
		return
	}
	t.set("shard", quoteCall(name, r.Key))
	r.parameters(s, t, name)
	t.set("places", placeList(places))
}

func (r gaeaShard) parameters(s *schema, t *table, name string) {
	set := func(key, text string) {
		if text != "" {
			t.set(key, value(text))
		}
	}
	switch name {
	case "mycat_long", "gaea_string":
		set("partition_count", strings.ReplaceAll(r.PartitionCount, " ", ""))
		set("partition_length", strings.ReplaceAll(r.PartitionLength, " ", ""))
		if name == "mycat_long" {
			t.set("fold", "false")
			return
		}
		set("hash_slice", r.HashSlice)
	case "mycat_murmur":
		set("seed", r.Seed)
		set("virtual_buckets", r.VirtualBuckets)
	case "gaea_padding_mod":
		set("pad_from", r.PadFrom)
		set("pad_length", r.PadLength)
		set("mod_begin", r.ModBegin)
		set("mod_end", r.ModEnd)
		return
	default:
		return
	}
	s.say(t, sayTextRule)
}

// databases are the places of a table that keeps its name in databases.
func (r gaeaShard) databases(t *table) ([]place, bool) {
	var names []string
	for _, db := range r.Databases {
		names = append(names, bracketRange(db)...)
	}
	total := 0
	for _, n := range r.Locations {
		total += n
	}
	if r.Type == "global" && len(names) == 0 {
		for range total {
			names = append(names, r.DB)
		}
	}
	if len(r.Locations) != len(r.Slices) || total != len(names) || total == 0 {
		for _, slice := range r.Slices {
			for _, name := range names {
				t.at = append(t.at, place{cluster: slice, database: name})
			}
		}
		t.refuse("it has %d databases for locations %v on %d slices.", len(names), r.Locations, len(r.Slices))
		return nil, false
	}
	var places []place
	for i, n := range r.Locations {
		for range n {
			places = append(places, place{cluster: r.Slices[i], database: names[len(places)]})
		}
	}
	return places, true
}

// bracketRange is db[0-3] as db0 to db3.
func bracketRange(text string) []string {
	prefix, rest, ok := strings.Cut(text, "[")
	rest, closed := strings.CutSuffix(rest, "]")
	if ok && closed {
		return expand(prefix + "$" + rest)
	}
	return []string{text}
}

// readLinked is a table with the shards of another one.
func (g *gaea) readLinked(r gaeaShard) {
	s := g.schema(r.DB)
	t := &table{name: r.Table}
	s.tables = append(s.tables, t)
	i := slices.IndexFunc(s.tables, func(t *table) bool { return t.name == r.ParentTable })
	if i < 0 || s.tables[i].skipped || s.tables[i].function() == "" {
		t.refuse("it is linked to %s, which is not carried over.", r.ParentTable)
		return
	}
	parent := s.tables[i]
	t.set("shard", quoteCall(parent.function(), r.Key))
	numbered := "." + parent.name + "_"
	if !slices.ContainsFunc(parent.lines, func(l line) bool { return l.key == "places" && strings.Contains(l.value, numbered) }) {
		t.set("like", quote(parent.name))
		return
	}
	for _, l := range parent.lines { // its tables have names of their own
		switch l.key {
		case "shard":
		case "places":
			t.set("places", strings.ReplaceAll(l.value, numbered, "."+t.name+"_"))
		default:
			t.set(l.key, l.value)
		}
	}
}
