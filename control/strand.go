package control

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Stranding is a table of which a change of the rules would leave rows where
// nobody looks any more, or would look where its rows are not.
type Stranding struct {
	Schema, Table string
	// Why is how it is placed now and then.
	Why string
	// Rows are the places now: where they are all empty, nothing is stranded.
	Rows []topology.Shard
	// Line is the table's rule in the new configuration, or its schema; 0: none.
	Line int
}

// Strandings are the tables that one configuration places otherwise than the
// other. Facts are those of the first. It is pure; whether there are rows is
// for the caller to ask. Clusters are the same where they share a server.
// The error is Findings, of a configuration that contradicts itself.
func Strandings(from, to *config.Config, facts Facts) ([]Stranding, error) {
	old, err := Build(from, facts)
	if err != nil {
		return nil, err
	}
	next, err := Build(to, facts)
	if err != nil {
		return nil, err
	}
	s := stranding{from: from, to: to, facts: &facts, old: old, next: next}
	s.tables()
	s.homes()
	slices.SortStableFunc(s.out, func(a, b Stranding) int { return strings.Compare(a.Schema+"."+a.Table, b.Schema+"."+b.Table) })
	return s.out, nil
}

// stranding is one comparison at work.
type stranding struct {
	from, to  *config.Config
	facts     *Facts
	old, next *catalog.Catalog
	out       []Stranding
}

// tables compares those that have a rule in one of the two.
func (s *stranding) tables() {
	names := map[TableName]bool{}
	for _, cat := range []*catalog.Catalog{s.old, s.next} {
		for _, schema := range cat.Schemas {
			for _, t := range schema.Tables {
				names[TableName{schema.Name, t.Name}] = true
			}
		}
	}
	for name := range names {
		p, q := placed(s.old, name), placed(s.next, name)
		if p == nil || q == nil {
			if p != nil {
				s.add(name, p.Shards, "its schema would have no home")
			}
			continue
		}
		if rows := s.left(name, p, q); len(rows) > 0 {
			why := p.Text() + " would become " + q.Text()
			if p.Text() == q.Text() {
				why = p.Text() + " would be on other servers, or in other tables"
			}
			s.add(name, rows, why)
		}
	}
}

// placed is where a table lives by its rule, or whole in its schema's home; nil
// where there is no such cluster.
func placed(cat *catalog.Catalog, name TableName) *shardrule.Placement {
	if t := cat.Table(name.Schema, name.Table); t != nil {
		return t.Placement
	}
	home := cat.HomeOf(name.Schema)
	if home == "" {
		return nil
	}
	return &shardrule.Placement{Schema: name.Schema, Table: name.Table, Kind: shardrule.Whole, Shards: copies(name.Schema, name.Table, []string{home})}
}

// left are the shards of p whose rows q does not find, all of them where q
// looks for them otherwise.
func (s *stranding) left(name TableName, p, q *shardrule.Placement) []topology.Shard {
	if p.Kind != shardrule.Sharded && q.Kind != shardrule.Sharded {
		// Every copy that is read must be there already.
		for _, at := range q.Shards {
			if !s.holds(p.Shards, at) {
				return p.Shards[:1]
			}
		}
		return nil
	}
	if p.Kind != q.Kind || !slices.EqualFunc(p.Keys(), q.Keys(), strings.EqualFold) || p.Algorithm.Name() != q.Algorithm.Name() {
		return p.Shards
	}
	before, after := ruleOf(s.from, s.facts, name), ruleOf(s.to, s.facts, name)
	if periodic(before) && periodic(after) {
		if !samePeriodRule(before, after, p.Columns()[0].Type) {
			return p.Shards
		}
		var out []topology.Shard
		for _, at := range p.Shards {
			if !s.found(at, q.Shards) {
				out = append(out, at)
			}
		}
		return out
	}
	if p.Algorithm.Spec() != q.Algorithm.Spec() || len(p.Shards) != len(q.Shards) {
		return p.Shards
	}
	for i := range p.Shards {
		if !s.same(p.Shards[i], q.Shards[i]) {
			return p.Shards
		}
	}
	return nil
}

// samePeriodRule: both rules have a row in the same period. The zone does not
// matter to what is written as a date.
func samePeriodRule(a, b *config.Table, column shardrule.ColumnType) bool {
	if !reflect.DeepEqual(a.Rule, b.Rule) {
		return false
	}
	switch column {
	case shardrule.TypeDate, shardrule.TypeDatetime, shardrule.TypeText:
		return true
	case shardrule.TypeOther, shardrule.TypeInt, shardrule.TypeDecimal, shardrule.TypeBinary, shardrule.TypeTimestamp:
	}
	return zoneOf(a).String() == zoneOf(b).String()
}

// holds: one of the old shards is the new one; found the other way round.
func (s *stranding) holds(old []topology.Shard, next topology.Shard) bool {
	return slices.ContainsFunc(old, func(o topology.Shard) bool { return s.same(o, next) })
}

func (s *stranding) found(old topology.Shard, next []topology.Shard) bool {
	return slices.ContainsFunc(next, func(n topology.Shard) bool { return s.same(old, n) })
}

// same: the old shard is the new one, a physical table on the same servers.
func (s *stranding) same(old, next topology.Shard) bool {
	return old.Database == next.Database && old.Table == next.Table && s.sameServers(old.Cluster, next.Cluster)
}

// sameServers: the clusters share a server, which then has the rows.
func (s *stranding) sameServers(old, next string) bool {
	a, b := s.from.Cluster(old), s.to.Cluster(next)
	if a == nil || b == nil {
		return false
	}
	return slices.ContainsFunc(a.Instances, func(x config.Instance) bool {
		return slices.ContainsFunc(b.Instances, func(y config.Instance) bool { return x.Addr == y.Addr })
	})
}

// homes compares where tables without a rule are, and what Serval keeps beside
// them: the numbers of auto_increment.
func (s *stranding) homes() {
	for name := range s.facts.Plain {
		p, q := placed(s.old, name), placed(s.next, name)
		if p != nil && s.next.Table(name.Schema, name.Table) == nil && (q == nil || !s.same(p.Shards[0], q.Shards[0])) {
			s.add(name, p.Shards, "its home would be another cluster")
		}
	}
	for _, schema := range s.old.Schemas {
		if a, b := s.old.HomeOf(schema.Name), s.next.HomeOf(schema.Name); !s.sameServers(a, b) {
			at := []topology.Shard{{Cluster: a, Database: metaSchema, Table: "sequences"}}
			s.add(TableName{schema.Name, "(auto_increment)"}, at, "the numbers given so far are kept in the schema's home, which would be another cluster")
		}
	}
}

func (s *stranding) add(name TableName, rows []topology.Shard, why string) {
	line := 0
	if rule := ruleOf(s.to, s.facts, name); rule != nil {
		line = rule.Line
	}
	s.out = append(s.out, Stranding{Schema: name.Schema, Table: name.Table, Why: why, Rows: rows, Line: line})
}

// Stranded asks the servers of the running configuration, and finds what would
// be stranded by the new one: tables placed otherwise that have rows. A cluster
// that does not answer is a Finding too, since what it has is not known.
func Stranded(ctx context.Context, from, to *config.Config, servers Servers, now time.Time) ([]Finding, error) {
	r, _, facts, err := readAll(ctx, from, servers, now)
	if err != nil {
		return nil, err
	}
	from, to = r.cfg, to.With(r.cfg.Given())
	strandings, err := Strandings(from, to, facts)
	if err != nil {
		return nil, err
	}
	out := []Finding{}
	for name, err := range r.down {
		if replaces(from, to) {
			out = append(out, Finding{Shard: -1, Do: "try again when it does",
				What: "cluster " + name + " does not answer, so nobody knows which rows the change would strand: " + err.Error()})
		}
	}
	for _, st := range strandings {
		at, err := firstWithRows(ctx, servers, st.Rows)
		f := Finding{Schema: st.Schema, Table: st.Table, Shard: -1, Line: st.Line}
		switch {
		case err != nil:
			f.What, f.Do = "whether it has rows could not be asked: "+err.Error(), "try again when its servers answer"
		case at == nil:
			continue
		default:
			f.What = fmt.Sprintf("%s, and there are rows in %s on cluster %s: they would be stranded", st.Why, placeText(*at), at.Cluster)
			f.Do = "a reshard moves rows: serval reshard plan -c NOW --to NEW"
		}
		out = append(out, f)
	}
	return out, nil
}

// replaces: the change places something otherwise. Other servers for a cluster
// are seen without asking.
func replaces(from, to *config.Config) bool {
	return slices.ContainsFunc(config.Changes(from, to), func(c config.Change) bool {
		kind, _, _ := strings.Cut(c.Name, " ")
		return kind == "table" || kind == "schema" || kind == "home"
	})
}

// firstWithRows is the first of the places that has a row, nil if none has. A
// table that does not exist has none.
func firstWithRows(ctx context.Context, servers Servers, places []topology.Shard) (*topology.Shard, error) {
	for i, at := range places {
		rows, err := servers.Select(ctx, at.Cluster, "SELECT 1 FROM "+sqlval.QuoteName(at.Database)+"."+sqlval.QuoteName(at.Table)+" LIMIT 1")
		if err != nil && !noTable(err) {
			return nil, err
		}
		if len(rows) > 0 {
			return &places[i], nil
		}
	}
	return nil, nil //nolint:nilnil // nothing has rows, and nothing is wrong
}
