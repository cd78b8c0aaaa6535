package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Place is where one shard, copy or whole table stands when a rule names its
// places itself, as taken over from another proxy.
type Place struct {
	Cluster, Database string
	// Table is its name there; a star is the logical table's name.
	Table string
}

// mostPlaces bounds what one line can ask for.
const mostPlaces = 4096

var (
	// numberRange is [0-15] in a place: each number in turn, with as many
	// digits as the first is written with.
	numberRange = regexp.MustCompile(`\[(\d{1,9})-(\d{1,9})\]`)
	onePlace    = regexp.MustCompile("^([^/`]+)/([^/`.*]{1,64})(?:\\.([^/`.]{1,64}))?$")
)

// places reads cluster/database and cluster/database.table.
func (r *reader) places(n *yaml.Node, t *rawTable) {
	const form = "write cluster/database, or cluster/database.table; [0-15] stands for each number and * for the table's name"
	items := r.items(n)
	for _, item := range items {
		text := r.text(item, "places")
		all, ok := expandRange(text)
		if !ok || len(t.Places)+len(all) > mostPlaces {
			r.add(item.Line, "write [0-15]; a table has at most "+strconv.Itoa(mostPlaces)+" places", "places cannot have %s", text)
			continue
		}
		for _, p := range all {
			m := onePlace.FindStringSubmatch(p)
			if m == nil {
				r.add(item.Line, form, "places cannot have %s", text)
				break
			}
			place := Place{Cluster: m[1], Database: m[2], Table: m[3]}
			if place.Table == "" {
				place.Table = "*"
			}
			if slices.Contains(t.Places, place) {
				r.add(item.Line, "name each once", "table %s has the place %s twice", t.Name, p)
			}
			t.Places = append(t.Places, place)
		}
	}
	if len(items) == 0 {
		r.add(n.Line, form, "places names none")
	}
}

// expandRange replaces the first range of numbers; there may be one.
func expandRange(text string) ([]string, bool) {
	m := numberRange.FindStringSubmatchIndex(text)
	if m == nil {
		return []string{text}, true
	}
	low, high := text[m[2]:m[3]], text[m[4]:m[5]]
	from, _ := strconv.Atoi(low) // at most nine digits
	to, _ := strconv.Atoi(high)
	if to < from || to-from >= mostPlaces || numberRange.MatchString(text[m[1]:]) {
		return nil, false
	}
	var out []string
	for i := from; i <= to; i++ {
		digits := strconv.Itoa(i)
		digits = strings.Repeat("0", max(len(low)-len(digits), 0)) + digits
		out = append(out, text[:m[0]]+digits+text[m[1]:])
	}
	return out, true
}

// placed checks a table that names its places, and says what follows of them.
func (r *reader) placed(t *rawTable) {
	line := t.given["places"]
	for _, key := range []string{"on", "shards", "layout"} {
		if t.has(key) {
			r.add(t.given[key], "remove it", "table %s has %s, and places: says it", t.Name, key)
		}
	}
	for _, p := range t.Places {
		if !slices.Contains(t.On, p.Cluster) {
			r.knownCluster(line, "table "+t.Name, p.Cluster)
			t.On = append(t.On, p.Cluster)
		}
	}
	switch {
	case t.Rule.Periodic():
		r.add(line, "use on:, or a function of periods that are listed, as kingshard_month", "table %s has places:, and the shards of %s are made as time goes on", t.Name, t.Rule.Name)
	case t.global && len(t.On) < len(t.Places):
		r.add(line, "name one place a cluster", "table %s is global and has several places on a cluster", t.Name)
	case !t.global && !t.has("shard") && len(t.Places) > 1:
		r.add(line, "name one, or add shard: or global: true", "table %s is whole and has %d places", t.Name, len(t.Places))
	}
	t.Shards = len(t.Places)
}
