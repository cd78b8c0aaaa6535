package importer

import (
	"io/fs"
	"sort"
	"strconv"
	"strings"
)

// mycatFunction is how a class of rule.xml becomes one of our functions.
type mycatFunction struct {
	name string
	// params are our parameter names by theirs, "our{}" for a map file.
	params map[string]string
	// dates: it depends on the zone of Mycat's JVM.
	dates bool
	// text: it takes text as it is written.
	text bool
}

// mycatFunctions are classes by the last part of their name. dble's short names
// are among them.
var mycatFunctions = map[string]mycatFunction{
	"PartitionByMod":                {name: "mycat_mod", params: map[string]string{"count": "count"}},
	"PartitionByLong":               {name: "mycat_long", params: map[string]string{"partitionCount": "partition_count", "partitionLength": "partition_length"}},
	"PartitionByString":             {name: "mycat_string", text: true, params: map[string]string{"partitionCount": "partition_count", "partitionLength": "partition_length", "hashSlice": "hash_slice", "hashLength": "hash_slice"}},
	"AutoPartitionByLong":           {name: "mycat_range", params: map[string]string{"mapFile": "ranges{}", "defaultNode": "default"}},
	"PartitionByFileMap":            {name: "mycat_enum", params: map[string]string{"mapFile": "values{}", "type": "type", "defaultNode": "default"}},
	"PartitionByMurmurHash":         {name: "mycat_murmur", text: true, params: map[string]string{"seed": "seed", "count": "count", "virtualBucketTimes": "virtual_buckets", "weightMapFile": "weights{}"}},
	"PartitionByCRC32PreSlot":       {name: "mycat_crc32slot", text: true, params: map[string]string{"count": "count"}},
	"PartitionByJumpConsistentHash": {name: "mycat_jump", text: true, params: map[string]string{"totalBuckets": "count"}},
	"PartitionByHashMod":            {name: "mycat_hash_mod", text: true, params: map[string]string{"count": "count"}},
	"PartitionByPattern":            {name: "mycat_pattern", params: map[string]string{"patternValue": "pattern_value", "mapFile": "ranges{}", "defaultNode": "default"}},
	"PartitionByPrefixPattern":      {name: "mycat_prefix_pattern", text: true, params: map[string]string{"patternValue": "pattern_value", "prefixLength": "prefix_length", "mapFile": "ranges{}"}},
	"PartitionDirectBySubString":    {name: "mycat_substring", text: true, params: map[string]string{"startIndex": "start", "size": "size", "partitionCount": "count", "defaultPartition": "default"}},
	"PartitionByRangeMod":           {name: "mycat_range_mod", params: map[string]string{"mapFile": "groups{}", "defaultNode": "default"}},
	"PartitionByDate":               {name: "mycat_date", dates: true, params: map[string]string{"dateFormat": "format", "sBeginDate": "begin", "sEndDate": "end", "sPartionDay": "days"}},
	"PartitionByMonth":              {name: "mycat_month", params: map[string]string{"dateFormat": "format", "sBeginDate": "begin", "sEndDate": "end"}},
	"PartitionByMonthAndHistory":    {name: "mycat_month", params: map[string]string{"dateFormat": "format", "sBeginDate": "begin", "sEndDate": "end"}},
	"PartitionByYear":               {name: "mycat_year", params: map[string]string{"dateFormat": "format", "sBeginDate": "begin", "sEndDate": "end"}},
	"PartitionByRangeDateHash":      {name: "mycat_range_date_hash", dates: true, params: map[string]string{"dateFormat": "format", "sBeginDate": "begin", "sPartionDay": "days", "groupPartionSize": "group"}},
	"LatestMonthPartion":            {name: "mycat_latest_month", params: map[string]string{"splitOneDay": "split"}},
	"PartitionByPostfix":            {name: "mycat_postfix"},

	"hash":           {name: "dble_hash", params: map[string]string{"partitionCount": "partition_count", "partitionLength": "partition_length"}},
	"stringhash":     {name: "dble_stringhash", text: true, params: map[string]string{"partitionCount": "partition_count", "partitionLength": "partition_length", "hashSlice": "hash_slice"}},
	"enum":           {name: "dble_enum", params: map[string]string{"mapFile": "values{}", "type": "type", "defaultNode": "default"}},
	"numberrange":    {name: "dble_numberrange", params: map[string]string{"mapFile": "ranges{}", "defaultNode": "default"}},
	"patternrange":   {name: "dble_patternrange", params: map[string]string{"patternValue": "pattern_value", "mapFile": "ranges{}", "defaultNode": "default"}},
	"date":           {name: "dble_date", dates: true, params: map[string]string{"dateFormat": "format", "sBeginDate": "begin", "sEndDate": "end", "sPartionDay": "days", "defaultNode": "default"}},
	"jumpstringhash": {name: "dble_jumpstringhash", text: true, params: map[string]string{"partitionCount": "count", "hashSlice": "hash_slice"}},
}

// functionOf finds a class by its last part, and dble's in any case.
func functionOf(class string) (mycatFunction, bool) {
	last := class[strings.LastIndexByte(class, '.')+1:]
	if f, ok := mycatFunctions[last]; ok {
		return f, true
	}
	f, ok := mycatFunctions[strings.ToLower(last)]
	return f, ok
}

// sharded writes the rule of a table: its function, parameters and places.
func (m *mycat) sharded(s *schema, t *table, rule mycatRule, places []place) {
	e := m.funcs[rule.function]
	if e == nil {
		t.refuse("rule.xml has no function %s.", rule.function)
		return
	}
	class := e.attr("class")
	f, ok := functionOf(class)
	if !ok {
		why := "class " + class + " is not one of Mycat's that are known."
		if strings.HasSuffix(class, "PartitionByHotDate") {
			why = "PartitionByHotDate places a row by its age, so rows would have to move every night; choose a rule, and move them."
		}
		t.set("places", placeList(places))
		t.refuse("%s", why)
		return
	}
	if strings.Contains(rule.column, ",") {
		t.refuse("its rule has several columns (%s).", rule.column)
		return
	}
	values, order := e.properties()
	name := f.name
	switch {
	case name == "mycat_date" && values["sNaturalDay"] == "1":
		name, order = "mycat_day", []string{"dateFormat"}
	case name == "mycat_month" && values["sBeginDate"] == "" && values["sEndDate"] == "":
		order = []string{"dateFormat"}
	}
	t.set("shard", quoteCall(name, rule.column))
	for _, property := range order {
		m.parameter(t, f, property, values[property])
	}
	m.afterParameters(s, t, f, name, values, rule)
	t.set("places", placeList(places))
	if text := values["count"] + values["totalBuckets"]; text != "" && strings.HasPrefix(name, "mycat_") {
		if n, err := strconv.Atoi(text); err == nil && n > len(places) {
			t.note("Its function has %d nodes and the table %d: Mycat refuses rows of the others, and so does Serval.", n, len(places))
		}
	}
}

func quoteCall(name, column string) string {
	if plain.MatchString(column) {
		return name + "(" + column + ")"
	}
	return "'" + name + "(`" + strings.ReplaceAll(column, "'", "''") + "`)'"
}

// parameter writes one property.
func (m *mycat) parameter(t *table, f mycatFunction, property, text string) {
	ours, known := f.params[property]
	switch {
	case !known && (property == "sNaturalDay" || property == "ruleName" || property == "bucketMapPath"):
	case !known:
		t.note("The function's property %s=%s is not known and left out.", property, text)
	case ours == "default" && strings.HasPrefix(text, "-"):
	case ours == "type":
		if text != "0" && text != "" {
			t.set("type", "text")
		}
	case strings.HasSuffix(ours, "{}"):
		m.mapFile(t, strings.TrimSuffix(ours, "{}"), text)
	case text == "":
	default:
		t.set(ours, value(text))
	}
}

// afterParameters writes and says what rule.xml does not.
func (m *mycat) afterParameters(s *schema, t *table, f mycatFunction, name string, values map[string]string, rule mycatRule) {
	enumOfText := strings.HasSuffix(name, "_enum") && values["type"] != "" && values["type"] != "0"
	switch {
	case name == "mycat_long":
		t.set("fold", "true")
		s.say(t, "fold: true is Mycat 1.6.7.5 (2020) and newer; write fold: false for an older one. They differ for negative\n"+
			"numbers and those of 2^32 and more: check --placement tells.")
	case name == "mycat_mod":
		s.say(t, "If the column is text with other than digits: add text: true for Mycat of December 2020 and newer.")
	case name == "mycat_crc32slot":
		m.slots(t, rule)
		s.say(t, "Mycat fills a column _slot; give it a DEFAULT, or drop it.")
	case name == "mycat_pattern" && values["defaultNode"] == "":
		t.set("default", "0")
	}
	switch {
	case !f.dates || name == "mycat_day":
	case m.zone != "":
		t.set("proxy_zone", quote(m.zone))
	default:
		s.say(t, "Windows are counted in UTC: add proxy_zone: with the zone of Mycat's JVM, or import with --time-zone.")
	}
	if f.text || enumOfText {
		s.say(t, sayTextRule)
	}
}

// mapFile puts the lines of a file into a mapping.
func (m *mycat) mapFile(t *table, ours, name string) {
	text, err := read(m.dir, name)
	if err != nil {
		t.refuse("its map file %s cannot be read.", name)
		return
	}
	var pairs []pair
	for l := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		l = strings.TrimSpace(l)
		key, value, ok := strings.Cut(l, "=")
		if l == "" || strings.HasPrefix(l, "#") || strings.HasPrefix(l, "//") {
			continue
		}
		if !ok {
			t.note("The line %q of %s is not key=value and left out, as Mycat does.", l, name)
			continue
		}
		pairs = append(pairs, pair{strings.TrimSpace(key), strings.TrimSpace(value)})
	}
	t.set(ours, mapping(lastOfEach(pairs)))
}

// lastOfEach drops a key that comes again: in a file of values the last counts,
// and a range that comes again is never reached.
func lastOfEach(pairs []pair) []pair {
	at := map[string]int{}
	var out []pair
	for _, p := range pairs {
		if i, ok := at[p.key]; ok {
			if !strings.Contains(p.key, "-") {
				out[i].value = p.value
			}
			continue
		}
		at[p.key] = len(out)
		out = append(out, p)
	}
	return out
}

// slots reads the slots that Mycat wrote down for a rule.
func (m *mycat) slots(t *table, rule mycatRule) {
	for name, r := range m.rules {
		if r != rule {
			continue
		}
		text, err := fs.ReadFile(m.dir, "ruledata/"+name+".properties")
		if err != nil {
			text, err = fs.ReadFile(m.dir, "conf/ruledata/"+name+".properties")
		}
		if err != nil {
			continue
		}
		var pairs []pair
		for l := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(strings.TrimSpace(l), "="); ok && !strings.HasPrefix(l, "#") {
				pairs = append(pairs, pair{strings.TrimSpace(key), strings.TrimSpace(value)})
			}
		}
		sort.Slice(pairs, func(i, j int) bool {
			a, _ := strconv.Atoi(pairs[i].key)
			b, _ := strconv.Atoi(pairs[j].key)
			return a < b
		})
		t.set("slots", mapping(pairs))
		return
	}
	t.note("There is no ruledata/*.properties of its rule: slots are taken as equal ranges.")
}
