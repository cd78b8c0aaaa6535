package advise

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Options of one Advise.
type Options struct {
	// Rows are the tables' sizes, as far as they are known.
	Rows map[TableName]int64
	// MinRows is from how many rows on a table that has no rule is thought of as
	// one to be sharded.
	MinRows int64
	// Progress, if not nil, is told how much of the search is done.
	Progress func(done, of int)
}

// Shares are how many of the statements run which way, each from 0 to 1; what
// asks no server is not counted.
type Shares struct {
	Single, Scatter, Moved, ReadFirst, Refused float64
	// Transactions is the share of transactions that touch more than one shard.
	Transactions float64
}

// Candidate is one key a table could have.
type Candidate struct {
	// Rule is like hash(user_id), global, or whole.
	Rule   string
	Column string
	Shares Shares
	// Traffic is how much more than its part the busiest shard gets of the
	// statements that go to one shard: 1 is even, 0 not known.
	Traffic float64
	// RowSkew is the same of rows, and TopValue the share of the most frequent
	// value; 0 where they were not asked for (Skews).
	RowSkew, TopValue float64
	// Loose are the unique keys without the column: they are unique within each
	// shard only, unless the rule's unique: names them.
	Loose []string
	cost  float64
}

// TableAdvice is what a table's rule could be, the best candidate first.
type TableAdvice struct {
	Table      TableName
	Rows       int64
	Statements uint64
	Now        string
	Candidates []Candidate
}

// Advised is the best candidate's rule.
func (t *TableAdvice) Advised() string { return t.Candidates[0].Rule }

// StatementAdvice is a digest that is not as cheap or as sure as on one server.
type StatementAdvice struct {
	DB, Digest       string
	Count            uint64
	Seconds, Slowest float64
	Way              Way
	Why, Do          string
}

// Report is what Advise found.
type Report struct {
	Statements, Dropped, Unread uint64
	Digests, Transactions       int
	// Now is under the rules as they are, Then under the advised ones.
	Now, Then Shares
	Tables    []TableAdvice
	// Remarks are about the advised rules: refused first, then what is dear,
	// each kind by how often it is asked.
	Remarks []StatementAdvice
}

// Advise judges the workload under the catalog's rules, looks for better ones,
// and reports. It plans each statement many times over: some seconds for
// thousands of digests.
func Advise(cat *catalog.Catalog, w *Workload, opt Options) *Report {
	a := &advisor{cat: cat, work: w, digests: w.Digests(), opt: opt, chosen: map[TableName]string{}, byTable: map[TableName][]*Digest{}}
	a.index()
	r := &Report{Dropped: w.Dropped, Unread: w.Unread, Digests: len(a.digests), Transactions: w.ended}
	for _, d := range a.digests {
		r.Statements += d.Count
	}
	r.Now = a.shares(a.cat, a.digests, w.transactions)
	a.search()
	r.Tables = a.tables()
	best := a.with(a.chosen)
	r.Then = a.shares(best, a.digests, w.transactions)
	r.Remarks = a.remarks(best)
	return r
}

// advisor is one Advise at work.
type advisor struct {
	cat     *catalog.Catalog
	work    *Workload
	digests []*Digest
	opt     Options
	// byTable are the digests that name a table, named its tables in order.
	byTable map[TableName][]*Digest
	named   []TableName
	// chosen are the columns tables are sharded by; globally is for a copy
	// everywhere.
	chosen map[TableName]string
}

// globally and wholly stand for a column where a table is not sharded, asItIs
// where it is by several columns, which are not weighed one by one, or follows
// another table.
const (
	globally = "*"
	wholly   = ""
	asItIs   = "="
)

// tried bounds the samples that are judged of a digest, in a search and in a
// report.
const (
	triedInSearch = 4
	triedInReport = 16
)

func (d *Digest) tried(most int) []string {
	if len(d.samples) == 0 {
		return []string{d.Text}
	}
	return d.samples[:min(most, len(d.samples))]
}

// index notes which digests name which tables, as far as tables are known.
func (a *advisor) index() {
	for _, d := range a.digests {
		for _, t := range judge(a.cat, d.DB, d.tried(1)[0]).tables {
			if a.known(t) == nil || slices.Contains(a.byTable[t], d) {
				continue
			}
			if a.byTable[t] == nil {
				a.named = append(a.named, t)
			}
			a.byTable[t] = append(a.byTable[t], d)
		}
	}
	slices.SortFunc(a.named, func(x, y TableName) int { return cmp.Compare(a.count(y), a.count(x)) })
}

func (a *advisor) count(t TableName) (n uint64) {
	for _, d := range a.byTable[t] {
		n += d.Count
	}
	return n
}

// known is a table whose columns are known, nil if they are not.
func (a *advisor) known(t TableName) *catalog.Table {
	found := a.cat.Table(t.Schema, t.Table)
	if found == nil {
		found = a.cat.PlainTable(t.Schema, t.Table)
	}
	if found == nil || len(found.Columns) == 0 {
		return nil
	}
	return found
}

func (a *advisor) sharded(t TableName) bool { return isSharded(a.cat, t) }

// keyless: no column of the sharded table is its key by itself.
func (a *advisor) keyless(t TableName) bool {
	p := a.cat.Table(t.Schema, t.Table).Placement
	return p.Composite() || p.Follows() != nil
}

// candidates are the keys a table could have: of one that is big or sharded
// already its indexed columns that a hash takes, of another being whole or
// everywhere.
func (a *advisor) candidates(t TableName) []string {
	table := a.known(t)
	if !a.sharded(t) && a.opt.Rows[t] < a.opt.MinRows {
		return []string{wholly, globally}
	}
	var out []string
	add := func(name string) {
		i := slices.IndexFunc(table.Columns, func(c catalog.Column) bool { return strings.EqualFold(c.Name, name) })
		if i >= 0 && !slices.Contains(out, table.Columns[i].Name) && new(shardrule.Hash).Takes(table.Columns[i].Column) == nil && !table.Columns[i].Generated {
			out = append(out, table.Columns[i].Name)
		}
	}
	switch {
	case a.sharded(t) && a.keyless(t):
		out = append(out, asItIs)
	case a.sharded(t):
		add(a.cat.Table(t.Schema, t.Table).Placement.Column.Name)
	}
	for _, name := range table.PrimaryKey {
		add(name)
	}
	for _, index := range table.Indexes {
		add(index[0].Name)
	}
	return out
}

// search chooses a key for each table: at first the one that is best for the
// statements that name no other, then, going round, the best beside the others'.
func (a *advisor) search() {
	total := len(a.named) * (1 + rounds)
	done := 0
	step := func() {
		if done++; a.opt.Progress != nil {
			a.opt.Progress(done, total)
		}
	}
	for _, t := range a.named {
		a.choose(t, alone(a, a.byTable[t]))
		step()
	}
	for range rounds {
		before := maps.Clone(a.chosen)
		for _, t := range a.named {
			a.choose(t, a.byTable[t])
			step()
		}
		if maps.Equal(before, a.chosen) {
			return
		}
	}
}

// rounds bounds how often the tables are gone through.
const rounds = 3

// alone are the digests that name one table.
func alone(a *advisor, digests []*Digest) []*Digest {
	return slices.DeleteFunc(slices.Clone(digests), func(d *Digest) bool {
		return len(judge(a.cat, d.DB, d.tried(1)[0]).tables) != 1
	})
}

// choose takes the table's candidate that costs the digests least; of equal
// ones the first.
func (a *advisor) choose(t TableName, digests []*Digest) {
	best, bestCost := "", 0.0
	for i, column := range a.candidates(t) {
		if cost := a.cost(a.trying(t, column), digests); i == 0 || cost < bestCost {
			best, bestCost = column, cost
		}
	}
	a.chosen[t] = best
}

func (a *advisor) trying(t TableName, column string) *catalog.Catalog {
	chosen := maps.Clone(a.chosen)
	chosen[t] = column
	return a.with(chosen)
}

func (a *advisor) cost(cat *catalog.Catalog, digests []*Digest) (sum float64) {
	for _, d := range digests {
		tried := d.tried(triedInSearch)
		for _, sql := range tried {
			v := judge(cat, d.DB, sql)
			sum += float64(d.Count) / float64(len(tried)) * v.way.cost(len(v.places))
		}
	}
	return sum
}

// with is the catalog with tables placed by these columns.
func (a *advisor) with(chosen map[TableName]string) *catalog.Catalog {
	out := *a.cat
	out.Schemas = maps.Clone(a.cat.Schemas)
	copied := map[string]bool{}
	for t, column := range chosen {
		if column == wholly || column == asItIs || a.sharded(t) && !a.keyless(t) && strings.EqualFold(a.cat.Table(t.Schema, t.Table).Placement.Column.Name, column) {
			continue
		}
		schema := out.Schemas[t.Schema]
		if schema == nil {
			schema = &catalog.Schema{Name: t.Schema, Home: a.cat.HomeOf(t.Schema)}
		}
		if !copied[t.Schema] {
			copied[t.Schema] = true
			own := *schema
			own.Tables = maps.Clone(schema.Tables)
			if own.Tables == nil {
				own.Tables = map[string]*catalog.Table{}
			}
			schema = &own
			out.Schemas[t.Schema] = schema
		}
		table := *a.known(t)
		table.Placement = a.placement(t, &table, column)
		schema.Tables[table.Name] = &table
	}
	for name := range copied {
		followOn(out.Schemas[name].Tables)
	}
	return &out
}

// followOn puts what follows a table beside where that is placed now; the tables
// are a copy.
func followOn(tables map[string]*catalog.Table) {
	for name, t := range tables {
		f := t.Placement.Follows()
		if f == nil || tables[f.Parent.Table] == nil || tables[f.Parent.Table].Placement == f.Parent {
			continue
		}
		parent := tables[f.Parent.Table]
		own, follow, at := *t, *f, *t.Placement
		follow.Parent, at.Algorithm, at.Shards = parent.Placement, &follow, slices.Clone(parent.Placement.Shards)
		for i := range at.Shards {
			at.Shards[i].Table = t.Name
		}
		own.Placement = &at
		tables[name] = &own
	}
}

// defaultShards is how many shards a table is thought to get where no other
// table says.
const defaultShards = 8

// placement is a table hashed by a column, beside the tables that are hashed
// already, or copied everywhere.
func (a *advisor) placement(t TableName, table *catalog.Table, column string) *shardrule.Placement {
	p := &shardrule.Placement{Schema: t.Schema, Table: table.Name}
	clusters := slices.Sorted(maps.Keys(a.cat.Clusters))
	if column == globally {
		p.Kind = shardrule.Global
		for i, c := range clusters {
			p.Shards = append(p.Shards, topology.Shard{Index: i, Cluster: c, Database: t.Schema, Table: table.Name})
		}
		return p
	}
	on := a.hashed()
	if on == nil {
		for i := range defaultShards {
			on = append(on, clusters[i*len(clusters)/defaultShards])
		}
	}
	hash, err := shardrule.NewHash(len(on))
	if err != nil {
		return p // it has as many shards as a rule that was taken
	}
	p.Kind, p.Algorithm = shardrule.Sharded, hash
	for _, c := range table.Columns {
		if c.Name == column {
			p.Column = c.Column
		}
	}
	for i, c := range on {
		p.Shards = append(p.Shards, topology.Shard{Index: i, Cluster: c, Database: t.Schema + "_" + strconv.Itoa(i), Table: table.Name})
	}
	return p
}

// hashed are the clusters of the shards of the first table that is hashed, nil
// if none is.
func (a *advisor) hashed() (on []string) {
	first := ""
	for _, s := range a.cat.Schemas {
		for name, t := range s.Tables {
			if t.Placement.Kind != shardrule.Sharded || t.Placement.Algorithm.Name() != "hash" || first != "" && s.Name+"."+name > first {
				continue
			}
			first, on = s.Name+"."+name, nil
			for _, at := range t.Placement.Shards {
				on = append(on, at.Cluster)
			}
		}
	}
	return on
}
