package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/servaldb/serval/shardrule"
)

// mostShards is how many shards a table of several functions may have, those of
// all periods of time counted once.
const mostShards = 1024

// counted takes the number of shards out of the rule, where it stands behind x,
// or puts it in.
func (r *reader) counted(t *rawTable) {
	if !t.Rule.Composite() {
		if t.Rule.Name == "hash" && t.Rule.Count == 0 && !t.has("shards") && !t.has("places") && t.has("slots") {
			t.Shards, t.given["shards"] = len(t.args["slots"].Pairs), t.given["slots"]
		}
		if t.Rule.Count == 0 {
			return
		}
		if t.has("shards") {
			r.add(t.given["shards"], "keep one of them", "table %s has shards, and shard: says it too", t.Name)
		}
		t.Shards, t.Rule.Count = t.Rule.Count, 0
		t.given["shards"] = t.given["shard"]
		return
	}
	if !t.has("shards") {
		return
	}
	rule, ok := t.Rule.WithCount(t.Shards)
	if !ok {
		r.add(t.given["shards"], "write it behind each function: "+t.Rule.Terms[len(t.Rule.Terms)-1].Name+"(…) x 4",
			"table %s has shards, and it is not one function of %s that takes it", t.Name, t.Rule.Name)
		return
	}
	t.Rule = rule
}

// composite is keysOfKind's part for a rule of several functions: parameters go
// to the one that takes them, and the rule says how many shards there are.
func (r *reader) composite(t *rawTable) {
	_, takers := shardrule.Params()
	found := len(r.findings)
	for _, key := range slices.Sorted(maps.Keys(t.args)) {
		var to []int
		for i, term := range t.Rule.Terms {
			if slices.Contains(takers[key], term.Name) {
				to = append(to, i)
			}
		}
		switch {
		case len(to) == 0:
			r.add(t.given[key], "remove it", "table %s has %s, which is for %s", t.Name, key, strings.Join(takers[key], ", "))
		case len(to) > 1:
			r.add(t.given[key], "write it in the parentheses of the function it is for", "table %s has %s, and several of its functions take it", t.Name, key)
		case t.Rule.Terms[to[0]].Args.Has(key):
			r.add(t.given[key], "keep one of them", "table %s has %s, and shard: says it too", t.Name, key)
		default:
			t.Rule.Terms[to[0]].Args[key] = t.args[key]
		}
	}
	if len(r.findings) > found {
		return
	}
	n, err := t.Rule.Try(0)
	switch {
	case err != nil:
		r.ruleError(t, err)
	case n > mostShards:
		r.add(t.given["shard"], "write smaller numbers", "table %s would have %d shards, and may have %d", t.Name, n, mostShards)
	case t.Rule.Periodic():
		r.from(t)
	case t.has("places") && n != len(t.Places):
		r.add(t.given["places"], "name one for each shard", "table %s has %d places, and its rule makes %d shards", t.Name, len(t.Places), n)
	default:
		t.Shards = n
	}
	if inner := t.Rule.Inner(); err == nil && t.Rule.Periodic() && inner < len(t.On) {
		r.add(t.given["on"], "give it more shards or fewer clusters", "table %s has %d shards a period for %d clusters", t.Name, inner, len(t.On))
	}
}

// likeTerms takes over the parameters of the other table's functions.
func (r *reader) likeTerms(t *rawTable, other shardrule.Rule) {
	if t.Rule.Count > 0 {
		r.add(t.given["shard"], "leave x out, or remove like:", "table %s takes shards from table %s", t.Name, t.Like)
	}
	for i := range t.Rule.Terms { // the names, and so the numbers, are the same
		term, o := &t.Rule.Terms[i], other.Terms[i]
		if len(term.Args) > 0 && !reflect.DeepEqual(term.Args, o.Args) || term.Count > 0 && term.Count != o.Count {
			r.add(t.given["shard"], "name only the columns, or remove like:", "table %s takes the parameters of %s from table %s", t.Name, term.Name, t.Like)
		}
		term.Args, term.Count = o.Args, o.Count
	}
}
