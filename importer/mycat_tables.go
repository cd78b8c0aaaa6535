package importer

import (
	"slices"
	"strings"
)

func (m *mycat) readSchema(e *element) {
	s := m.schema(e.attr("name"))
	if limit := e.attr("sqlMaxLimit"); limit != "" && limit != "-1" {
		s.note("sqlMaxLimit=%s is not carried over: Mycat cut SELECTs without a LIMIT to so many rows, Serval gives all.", limit)
	}
	m.schemaHome(s, e.attr("dataNode"))
	for _, t := range e.direct("table") {
		for _, name := range split(t.attr("name")) {
			m.readTable(s, t, name)
		}
	}
	if s.home == "" {
		for _, p := range m.nodes {
			if s.home == "" || p.cluster < s.home {
				s.home = p.cluster
			}
		}
		s.note("Mycat has no dataNode for tables that schema.xml does not name; Serval keeps such tables in this home.")
	}
	for _, t := range s.tables {
		if strings.EqualFold(t.name, strings.ToUpper(t.name)) && t.name != strings.ToLower(t.name) {
			s.note("Names of tables are taken as schema.xml spells them; Mycat compares them in upper case, most servers as they are.")
			break
		}
	}
}

func (m *mycat) schemaHome(s *schema, node string) {
	if node == "" {
		return
	}
	p, ok := m.nodes[node]
	if !ok || m.cluster(p.cluster) == nil {
		s.note("Its dataNode %s is not carried over.", node)
		return
	}
	s.home = p.cluster
	if p.database != s.name {
		s.note("Mycat keeps the tables that are not named below in database %s of %s. Serval looks for them in database %s:\n"+
			"name each of them here as `table: {places: [%s]}`, or rename the schema to %s.", p.database, p.cluster, s.name, p, p.database)
	}
}

func (m *mycat) readTable(s *schema, e *element, name string) {
	t := &table{name: name}
	s.tables = append(s.tables, t)
	for _, node := range expand(strings.TrimSuffix(strings.TrimPrefix(e.attr("dataNode", "shardingNode"), "distribute("), ")")) {
		t.at = append(t.at, m.nodes[node])
	}
	if e.attr("nameSuffix") != "" {
		t.refuse("nameSuffix makes tables by name; name each of them.")
		return
	}
	if e.attr("needAddLimit") == "false" {
		t.note("needAddLimit is not needed: Serval adds no LIMIT.")
	}
	places, ok := m.places(t, e)
	if !ok {
		return
	}
	rule, ruled := m.rules[e.attr("rule")]
	switch {
	case strings.EqualFold(e.attr("type"), "global"):
		m.global(t, places)
	case e.attr("rule") == "" && len(places) == 1:
		t.set("places", placeList(places))
	case e.attr("rule") == "":
		t.refuse("it has %d dataNodes and no rule, so nothing says where a row is.", len(places))
	case !ruled:
		t.refuse("rule.xml has no tableRule %s.", e.attr("rule"))
	default:
		m.sharded(s, t, rule, places)
		if strings.EqualFold(e.attr("autoIncrement"), "true") {
			m.number(s, t, e.attr("primaryKey"))
		}
		m.children(s, t, rule, e)
	}
}

// places are where the dataNodes of a table stand, or its subTables.
func (m *mycat) places(t *table, e *element) ([]place, bool) {
	text, distribute := strings.CutPrefix(e.attr("dataNode", "shardingNode"), "distribute(")
	text = strings.TrimSuffix(text, ")")
	var places []place
	for _, name := range expand(text) {
		p, ok := m.nodes[name]
		if !ok || m.cluster(p.cluster) == nil {
			t.refuse("its dataNode %s is not there, or not on MySQL.", name)
			return nil, false
		}
		places = append(places, p)
	}
	if len(places) == 0 {
		t.refuse("it has no dataNode.")
		return nil, false
	}
	if distribute {
		places = distributed(places, len(m.clusters))
		t.note("distribute() deals the dataNodes in the order of a Java HashMap, recomputed here: run check --placement.")
	}
	if sub := expand(e.attr("subTables")); len(sub) > 0 {
		if len(places) > 1 {
			t.refuse("it has subTables on several dataNodes.")
			return nil, false
		}
		at := places[0]
		places = nil
		for _, name := range sub {
			places = append(places, place{at.cluster, at.database, name})
		}
	}
	return places, true
}

// distributed deals places round their hosts, in the order in which Java's
// HashMap of so many hosts gives their names.
func distributed(places []place, hosts int) []place {
	size := 1
	for size < hosts {
		size *= 2
	}
	of := map[string][]place{}
	var names []string
	for _, p := range places {
		if of[p.cluster] == nil {
			names = append(names, p.cluster)
		}
		of[p.cluster] = append(of[p.cluster], p)
	}
	for len(names)*4 > size*3 {
		size *= 2
	}
	bucket := func(name string) int {
		var h uint32
		for _, c := range name { // names are ASCII
			h = 31*h + uint32(c)
		}
		return int((h ^ h>>16) & uint32(size-1))
	}
	slices.SortStableFunc(names, func(a, b string) int { return bucket(a) - bucket(b) })
	var out []place
	for i := 0; len(out) < len(places); i++ {
		for _, name := range names {
			if i < len(of[name]) {
				out = append(out, of[name][i])
			}
		}
	}
	return out
}

// global is a copy in each cluster; Mycat has one in each database.
func (m *mycat) global(t *table, places []place) {
	t.set("global", "true")
	kept := onePerCluster(places)
	t.set("places", placeList(kept))
	if len(kept) < len(places) {
		t.note("Mycat writes %d copies, one in each database; Serval one in each cluster. The other copies get old: do not read them.", len(places))
	}
}

// number is a table that Mycat numbers by a sequence.
func (m *mycat) number(s *schema, t *table, key string) {
	if key == "" || strings.Contains(key, ",") {
		t.note("autoIncrement needs a primaryKey: write auto_increment: with the column.")
		return
	}
	t.set("auto_increment", quote(key))
	m.autos = append(m.autos, s.name+"."+t.name)
}

// sequences says what becomes of Mycat's.
func (m *mycat) sequences() {
	if len(m.autos) > 0 {
		m.note("Serval numbers %s by itself, from behind the largest number there is; Mycat's sequences are not read. NEXT VALUE FOR MYCATSEQ_… is not there.", strings.Join(m.autos, ", "))
	}
}

// children are ER tables: those whose parentKey is the parent's sharding column
// have its shards by their joinKey.
func (m *mycat) children(s *schema, parent *table, rule mycatRule, e *element) {
	for _, c := range e.direct("childTable") {
		t := &table{name: c.attr("name"), at: parent.at}
		s.tables = append(s.tables, t)
		key := c.attr("joinKey", "joinColumn")
		follows := strings.EqualFold(c.attr("parentKey", "parentColumn"), rule.column)
		if function := parent.function(); follows && !parent.skipped && function != "" {
			t.set("shard", function+"("+key+")")
			t.set("like", quote(parent.name))
		} else {
			t.set("joinKey", key)
			t.set("parentKey", c.attr("parentKey", "parentColumn"))
			t.refuse("its rows are where the row of %s is that %s refers to, and not by %s.", parent.name, key, rule.column)
		}
		if strings.EqualFold(c.attr("autoIncrement"), "true") && !t.skipped {
			m.number(s, t, c.attr("primaryKey"))
		}
		if t.skipped {
			m.children(s, t, mycatRule{}, c)
			continue
		}
		m.children(s, t, mycatRule{column: key}, c)
	}
}

// function is the name of the table's shard function.
func (t *table) function() string {
	for _, l := range t.lines {
		if l.key == "shard" {
			name, _, _ := strings.Cut(strings.Trim(l.value, "'"), "(")
			return name
		}
	}
	return ""
}
