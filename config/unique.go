package config

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/servaldb/serval/shardrule"
)

// maxTableName is the longest name of a table whose shards add to it.
const maxTableName = 56

// uniqueKeys reads unique: [email] and unique: [email, [country, phone]]: each
// item is a column, or the columns of one key.
func (r *reader) uniqueKeys(n *yaml.Node, t *rawTable) {
	if n.Kind != yaml.SequenceNode {
		r.add(n.Line, "write unique: [email], or unique: [email, [country, phone]]", "unique of table %s is no list of keys", t.Name)
		return
	}
	for _, item := range n.Content {
		key := r.texts(item, "unique")
		for i, c := range key {
			if c == "" || slices.ContainsFunc(key[:i], func(x string) bool { return strings.EqualFold(x, c) }) {
				r.add(item.Line, "name each column once", "a key under unique: of table %s has column %q twice, or none", t.Name, c)
				return
			}
		}
		if len(key) > 0 {
			t.Unique = append(t.Unique, key)
		}
	}
}

// lookups gives each key under unique: its lookup table, with a rule of its own:
// it is sharded by the key's first column over the table's clusters.
func (r *reader) lookups(s *rawSchema) {
	for _, t := range s.tables {
		if len(t.Unique) == 0 {
			continue
		}
		if t.Kind == Whole || t.Kind == Global {
			r.add(t.given["unique"], "remove it: each of its servers has all rows", "table %s has unique, which is for sharded tables", t.Name)
			continue
		}
		if t.Rule.Name == "" {
			continue // a finding says why
		}
		for _, key := range t.Unique {
			if t.Rule.Together(func(name string) bool {
				return slices.ContainsFunc(key, func(c string) bool { return strings.EqualFold(c, name) })
			}) {
				r.add(t.given["unique"], "remove that key: equal values are on one shard, whose own unique key is enough",
					"the unique key %s of table %s has the sharding column", strings.Join(key, ", "), t.Name)
				continue
			}
			s.Tables = append(s.Tables, lookupRule(&t.Table, key))
		}
	}
}

// lookupShards is the number of a lookup table's shards where the table itself
// is not sharded into a number of them, for each cluster.
const lookupShards = 4

func lookupRule(t *Table, key []string) Table {
	out := Table{Name: LookupName(t.Name, key), Kind: Sharded, Rule: shardrule.Rule{Name: "hash", Columns: key[:1], Args: shardrule.Args{}}, On: t.On, Shards: t.Shards,
		Layout: t.Layout, Line: t.Line, LookupOf: t.Name, LookupKey: key}
	if out.Shards == 0 {
		out.Shards = lookupShards * max(1, len(t.On))
	}
	return out
}

// LookupName is the name of the table that keeps a key of another one unique.
func LookupName(table string, key []string) string {
	name := "serval_unique_" + table + "_" + strings.Join(key, "_")
	if len(name) <= maxTableName {
		return name
	}
	sum := fmt.Sprintf("_%08x", crc32.ChecksumIEEE([]byte(name)))
	cut := strings.ToValidUTF8(name[:maxTableName-len(sum)], "")
	return cut + sum
}
