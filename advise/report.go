package advise

import (
	"cmp"
	"slices"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/shardrule"
)

// shares are the ways of digests and transactions under a catalog.
func (a *advisor) shares(cat *catalog.Catalog, digests []*Digest, transactions [][]statement) (s Shares) {
	var all float64
	for _, d := range digests {
		tried := d.tried(triedInReport)
		for _, sql := range tried {
			weight := float64(d.Count) / float64(len(tried))
			switch judge(cat, d.DB, sql).way {
			case Nowhere:
				continue
			case Single, Everywhere:
				s.Single += weight
			case Scatter:
				s.Scatter += weight
			case Moved:
				s.Moved += weight
			case ReadFirst:
				s.ReadFirst += weight
			case Refused:
				s.Refused += weight
			}
			all += weight
		}
	}
	if all > 0 {
		for _, share := range []*float64{&s.Single, &s.Scatter, &s.Moved, &s.ReadFirst, &s.Refused} {
			*share /= all
		}
	}
	wide := 0
	for _, t := range transactions {
		if severalShards(cat, t) {
			wide++
		}
	}
	if len(transactions) > 0 {
		s.Transactions = float64(wide) / float64(len(transactions))
	}
	return s
}

// severalShards: the transaction touches more than one shard.
func severalShards(cat *catalog.Catalog, t []statement) bool {
	seen := map[place]bool{}
	for _, s := range t {
		v := judge(cat, s.db, s.sql)
		if v.way == ReadFirst {
			return true // which shards, its rows say
		}
		for _, at := range v.places {
			seen[at] = true
		}
	}
	return len(seen) > 1
}

// reported bounds the candidates of a table that are shown.
const reported = 5

// tables reports the candidates of each table that could be sharded or copied,
// each beside what is chosen for the others.
func (a *advisor) tables() []TableAdvice {
	var out []TableAdvice
	for _, t := range a.named {
		adv := TableAdvice{Table: t, Rows: a.opt.Rows[t], Statements: a.count(t), Now: a.ruleNow(t)}
		transactions := slices.DeleteFunc(slices.Clone(a.work.transactions), func(own []statement) bool {
			return !slices.ContainsFunc(own, func(s statement) bool {
				return slices.Contains(judge(a.cat, s.db, s.sql).tables, t)
			})
		})
		for _, column := range a.candidates(t) {
			cat := a.trying(t, column)
			c := Candidate{Rule: a.ruleOf(t, column), Column: column, Shares: a.shares(cat, a.byTable[t], transactions), cost: a.cost(cat, a.byTable[t])}
			c.Traffic, c.Loose = a.traffic(cat, t), loose(a.known(t), column)
			adv.Candidates = append(adv.Candidates, c)
		}
		slices.SortStableFunc(adv.Candidates, func(x, y Candidate) int { return cmp.Compare(x.cost, y.cost) })
		if len(adv.Candidates) == 0 || adv.Candidates[0].Rule == "whole" && adv.Now == "whole" {
			continue
		}
		adv.Candidates = adv.Candidates[:min(reported, len(adv.Candidates))]
		out = append(out, adv)
	}
	return out
}

// loose are the unique keys that a sharding column is not in.
func loose(t *catalog.Table, column string) (out []string) {
	if column == globally || column == wholly || column == asItIs {
		return nil
	}
	for _, key := range append([][]string{t.PrimaryKey}, t.UniqueKeys...) {
		if len(key) > 0 && !slices.ContainsFunc(key, func(c string) bool { return strings.EqualFold(c, column) }) {
			out = append(out, "("+strings.Join(key, ", ")+")")
		}
	}
	return out
}

func (a *advisor) ruleOf(t TableName, column string) string {
	switch column {
	case asItIs:
		return a.ruleNow(t)
	case globally:
		return "global"
	case wholly:
		return "whole"
	}
	if a.sharded(t) && !a.keyless(t) && strings.EqualFold(a.cat.Table(t.Schema, t.Table).Placement.Column.Name, column) {
		return a.ruleNow(t)
	}
	return "hash(" + column + ")"
}

func (a *advisor) ruleNow(t TableName) string {
	found := a.cat.Table(t.Schema, t.Table)
	if found == nil {
		return "whole"
	}
	switch p := found.Placement; p.Kind {
	case shardrule.Sharded:
		if p.Composite() {
			return p.RuleText()
		}
		if f := p.Follows(); f != nil {
			return "as " + f.Parent.Table + ", through " + p.Column.Name
		}
		return p.Algorithm.Name() + "(" + p.Column.Name + ")"
	case shardrule.Global:
		return "global"
	case shardrule.Whole:
	}
	return "whole"
}

// traffic is the busiest shard's part of the table's statements that go to one
// shard, in units of an even part.
func (a *advisor) traffic(cat *catalog.Catalog, t TableName) float64 {
	table := cat.Table(t.Schema, t.Table)
	if table == nil || table.Placement.Kind != shardrule.Sharded {
		return 0
	}
	at := map[place]float64{}
	var all float64
	for _, d := range a.byTable[t] {
		for _, sql := range d.samples {
			if v := judge(cat, d.DB, sql); v.way == Single && len(v.places) == 1 {
				weight := float64(d.Count) / float64(len(d.samples))
				at[v.places[0]] += weight
				all += weight
			}
		}
	}
	busiest := 0.0
	for _, n := range at {
		busiest = max(busiest, n)
	}
	if all == 0 {
		return 0
	}
	return busiest / all * float64(len(table.Placement.Shards))
}

// remarks are the digests that are not as on one server.
func (a *advisor) remarks(cat *catalog.Catalog) []StatementAdvice {
	var out []StatementAdvice
	for _, d := range a.digests {
		var worst verdict
		for _, sql := range d.tried(triedInReport) {
			if v := judge(cat, d.DB, sql); v.way >= worst.way {
				worst = v
			}
		}
		why, do := remark(cat, &worst)
		if why == "" {
			continue
		}
		out = append(out, StatementAdvice{DB: d.DB, Digest: d.Text, Count: d.Count, Seconds: d.Seconds, Slowest: d.Slowest, Way: worst.way, Why: why, Do: do})
	}
	slices.SortStableFunc(out, func(x, y StatementAdvice) int {
		return cmp.Or(cmp.Compare(y.Way, x.Way), cmp.Compare(y.Count, x.Count))
	})
	return out
}

// remark says why a statement is not as on one server, and what to do; nothing
// where it is.
func remark(cat *catalog.Catalog, v *verdict) (why, do string) {
	keys := keysOf(cat, v.tables)
	switch v.way {
	case Refused:
		return v.why, ""
	case Moved:
		return "slow: rows of several shards are brought together on one server",
			"join on " + keys + " and name them in WHERE, or make the small table global"
	case ReadFirst:
		return "slow: its rows are read before they are written", "name " + keys + " in WHERE, and leave LIMIT and other tables out"
	case Scatter:
		if v.keeps {
			return "slower: its unique keys are kept in lookup tables (unique:), mostly on other shards", "take out of unique: what nothing relies on or reads by"
		}
		if v.unordered {
			return "different: LIMIT without ORDER BY over several shards gives other rows than one server would", "add ORDER BY"
		}
		return "slower: every shard is asked", "name " + keys + " in WHERE"
	case Nowhere, Single, Everywhere:
	}
	return "", ""
}

func keysOf(cat *catalog.Catalog, tables []TableName) string {
	var keys []string
	for _, t := range tables {
		if found := cat.Table(t.Schema, t.Table); found != nil && found.Placement.Kind == shardrule.Sharded {
			for _, name := range found.Placement.Keys() {
				if key := t.Table + "." + name; !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
	}
	if len(keys) == 0 {
		return "the sharding keys"
	}
	return strings.Join(keys, ", ")
}
