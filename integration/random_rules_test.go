package integration

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// ruleSet is an algorithm for the random tables: the rule of each kind of key, as
// it stands in the braces. A table whose kind has none keeps its hash.
type ruleSet struct {
	name string
	// rules by kind: int, unsigned, decimal, text, bytes, date, datetime; binary
	// for text that is compared by its bytes.
	rules map[string]string
	logs  string // of the table by time
}

// ruleSets have every function. Tables whose keys are of one kind share their
// shards.
var ruleSets = []ruleSet{
	{"mod and jump", map[string]string{
		"int": "shard: mod(%s), shards: 4", "unsigned": "shard: mod(%s), shards: 4", "decimal": "shard: mod(%s), shards: 4",
		"text": "shard: jump(%s), shards: 4", "bytes": "shard: jump(%s), shards: 4", "date": "shard: jump(%s), shards: 4", "datetime": "shard: jump(%s), shards: 4",
	}, "shard: week(at), from: 2026-08-31, ahead: 6"},
	{"murmur", map[string]string{
		"int": "shard: murmur(%s), shards: 4", "unsigned": "shard: murmur(%s), shards: 4, seed: 3", "decimal": "shard: murmur(%s), shards: 4",
		"text": "shard: murmur(%s), shards: 4", "bytes": "shard: murmur(%s), shards: 4", "date": "shard: murmur(%s), shards: 4", "datetime": "shard: murmur(%s), shards: 4",
	}, "shard: year(at), from: 2026, layout: databases"},
	{"range", map[string]string{
		"int":      "shard: range(%s), ranges: {..3: 0, 4-8: 1, 9-16: 2, 17..: 3}, nulls: 0",
		"unsigned": "shard: range(%s), ranges: {..3: 0, 4-9223372036854775807: 1, 9223372036854775808..: 2}, default: 3",
		"decimal":  "shard: range(%s), ranges: {..-1: 0, 0-3: 1, 4-: 2}, default: 3",
		"date":     "shard: range(%s), ranges: {..2025-12: 0, 2026-01..2026-10: 1, 2026-11-01..: 2}, default: 3",
		"datetime": "shard: range(%s), ranges: {..2025-12: 0, 2026-01..2026-10: 1, 2026-11-01..: 2}, default: 3",
	}, "shard: 'days(at, 30, 2026-01-01)', from: 2026-09-01, ahead: 6"},
	{"list", map[string]string{
		"int": "shard: list(%s), values: {1: 0, 2: 1, 3: 2, 4: 3, 5: 0, 6: 1}, default: 2", "unsigned": "shard: list(%s), values: {1: 0, 2: 1, 3: 2, 18446744073709551615: 3}, default: 2",
		"decimal": "shard: list(%s), values: {0: 0, 1.5: 1, 0.25: 2}, default: 3", "text": "shard: list(%s), values: {a: 0, b: 1, '': 2}, default: 3", "bytes": "shard: list(%s), values: {a: 0, b: 1}, default: 2",
		"date": "shard: list(%s), values: {2026-11-23: 0, 2026-11-01: 1}, default: 2",
	}, "shard: month(at), from: 2026-09, ahead: 1"},
	{"expressions", map[string]string{
		"int": "shard: mod(%s div 3), shards: 4", "decimal": "shard: mod(%s), shards: 3", "unsigned": "shard: hash(%s), shards: 4", "binary": "shard: 'hash(prefix(%s, 1))', shards: 4",
		"date": "shard: mod(day(%s)), shards: 4", "datetime": "shard: list(month(%s)), values: {11: 0, 10: 1, 12: 2}, default: 3",
	}, "shard: 'days(at, 20)', from: 2026-09-01, ahead: 3"},
}

// Random statements over tables of every algorithm: fewer of each than TestRandom
// has, which has hash's.
func TestRandomRules(t *testing.T) {
	seed, count := randomSeed(t, 60)
	eachEngine(t, func(t *testing.T, s *serverSet) {
		for i, set := range ruleSets {
			t.Run(set.name, func(t *testing.T) {
				tables := randomTables(s.engine, 4)
				for _, table := range tables {
					set.apply(table)
				}
				r := newRandomRunOf(t, s, "rndrules", tables, rand.NewPCG(seed, uint64(100+i)))
				r.run(t, count)
				t.Logf("seed %d: %d statements compared (%d with an error on both sides), %d refused, %d differ", seed, r.compared, r.errors, r.refused, r.failed)
				r.logRefused(t)
			})
		}
	})
}

// apply gives the table the set's rule of its key.
func (s ruleSet) apply(t *randomTable) {
	if t.name == "logs" {
		t.rule = "{" + s.logs + ", on: [c0, c1]}"
		return
	}
	if t.key == "" {
		return
	}
	c := t.column(t.key)
	rule := s.rules[c.kind]
	if strings.Contains(c.ddl, "utf8mb4_bin") && s.rules["binary"] != "" {
		rule = s.rules["binary"]
	}
	if rule != "" {
		t.rule = "{" + fmt.Sprintf(rule, t.key) + ", on: [c0, c1]}"
	}
}
