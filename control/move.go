package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
)

// Both are the catalogs of two configurations over the same tables: as one places
// them and as the other would. It is pure.
type Both struct {
	Old, Next *catalog.Catalog
	// Unsure are the tables whose periods by the new rule are those that it wants,
	// since the rows were not asked.
	Unsure []TableName
}

// BuildBoth makes both of what is known under the first one's rules. Periods are
// those that a rule of time of the second has instead of what it has now, or
// wants.
func BuildBoth(from, to *config.Config, facts Facts, periods map[TableName][]shardrule.Period) (*Both, error) {
	old, err := Build(from, facts)
	if err != nil {
		return nil, err
	}
	next, err := Build(to, facts.under(from, to, periods))
	return &Both{Old: old, Next: next}, err
}

// under is what is known, for other rules: the same definitions, of tables that
// get a rule or lose theirs, too.
func (f *Facts) under(from, to *config.Config, periods map[TableName][]shardrule.Period) Facts {
	out := *f
	out.Tables, out.Plain = map[TableName]*TableFact{}, maps.Clone(f.Plain)
	if out.Plain == nil {
		out.Plain = map[TableName]*TableFact{}
	}
	for name, fact := range f.Tables {
		if ruleOf(to, f, name) == nil {
			lost := *fact
			lost.Periods = nil
			out.Plain[name] = &lost
		}
	}
	for i := range to.Schemas {
		for j := range to.Schemas[i].Tables {
			rule := &to.Schemas[i].Tables[j]
			name := TableName{f.fold(to.Schemas[i].Name), f.fold(rule.Name)}
			fact := f.Tables[name]
			if fact == nil {
				fact = f.Plain[name]
			}
			delete(out.Plain, name)
			if fact == nil {
				continue
			}
			placed := *fact
			if before := ruleOf(from, f, name); !periodic(rule) || before == nil || !keepsPeriods(before, rule) {
				placed.Periods = periods[name]
			}
			out.Tables[name] = &placed
		}
	}
	return out
}

// keepsPeriods: both rules have a row in the same period, for they ask the same
// function of the same column.
func keepsPeriods(a, b *config.Table) bool {
	if !periodic(a) || !periodic(b) {
		return false
	}
	x, y := timeOf(a), timeOf(b)
	return calendarOf(a) == calendarOf(b) && zoneOf(a).String() == zoneOf(b).String() &&
		strings.EqualFold(x.Columns[0], y.Columns[0]) && x.Key == y.Key && reflect.DeepEqual(x.Args, y.Args)
}

// timeOf is the function of time of a rule, which may be one of several.
func timeOf(rule *config.Table) shardrule.Rule {
	if rule.Rule.Composite() {
		return rule.Rule.Terms[0].Rule
	}
	return rule.Rule
}

// ReadBoth asks the servers of both configurations, which must reach the clusters
// of either. A cluster that does not answer is an error, since what it has is not
// known.
func ReadBoth(ctx context.Context, from, to *config.Config, servers Servers, now time.Time) (*Both, error) {
	r, _, facts, err := readAll(ctx, from, servers, now)
	if err != nil {
		return nil, err
	}
	from, to = r.cfg, to.With(r.cfg.Given())
	for i := range to.Clusters {
		r.ask(ctx, to.Clusters[i].Name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.down)) {
		return nil, fmt.Errorf("cluster %s does not answer, so nobody knows what would move: %w", name, r.down[name])
	}
	if err := r.unread(ctx, to, &facts); err != nil {
		return nil, err
	}
	both, err := BuildBoth(from, to, facts, nil)
	if err != nil {
		return nil, err
	}
	facts.Tables, facts.Weights = maps.Clone(facts.Tables), maps.Clone(facts.Weights)
	for _, t := range tablesOf(both.Next) {
		name := TableName{t.Placement.Schema, t.Name}
		known := facts
		known.Tables = facts.under(from, to, nil).Tables
		r.weights(ctx, name, t.Placement, &known)
		facts.Weights = known.Weights
	}
	if both, err = BuildBoth(from, to, facts, nil); err != nil { // now lists of texts are bound
		return nil, err
	}
	periods, unsure, err := r.spans(ctx, from, to, both, &facts)
	if err != nil {
		return nil, err
	}
	both, err = BuildBoth(from, to, facts, periods)
	if both != nil {
		both.Unsure = unsure
	}
	return both, err
}

func tablesOf(c *catalog.Catalog) (out []*catalog.Table) {
	for _, s := range c.Schemas {
		for _, t := range s.Tables {
			out = append(out, t)
		}
	}
	return out
}

// unread reads the tables that get a rule and were too many to be known.
func (r *factReader) unread(ctx context.Context, to *config.Config, facts *Facts) error {
	facts.Plain = maps.Clone(facts.Plain)
	for i := range to.Schemas {
		schema := facts.fold(to.Schemas[i].Name)
		home := homeOf(r.cfg, facts, schema)
		for j := range to.Schemas[i].Tables {
			name := TableName{schema, facts.fold(to.Schemas[i].Tables[j].Name)}
			if home == "" || facts.Tables[name] != nil || facts.Plain[name] != nil || ruleOf(r.cfg, facts, name) != nil {
				continue
			}
			fact, ok := r.definition(ctx, place{home, name.Schema, name.Table})
			if !ok {
				return errors.Join(r.errs...)
			}
			if fact != nil {
				facts.Plain[name] = fact
			}
		}
	}
	facts.withCollations()
	return nil
}

// homeOf is the cluster of a schema's tables without a rule, empty for none.
func homeOf(cfg *config.Config, facts *Facts, schema string) string {
	for i := range cfg.Schemas {
		if facts.fold(cfg.Schemas[i].Name) == schema && cfg.Schemas[i].Home != "" {
			return cfg.Schemas[i].Home
		}
	}
	return cfg.Home
}

// spans are the periods of tables that get a rule of time with another calendar:
// from the first row's, or what the rule wants, to the last one's.
func (r *factReader) spans(ctx context.Context, from, to *config.Config, both *Both, facts *Facts) (map[TableName][]shardrule.Period, []TableName, error) {
	out := map[TableName][]shardrule.Period{}
	var unsure []TableName
	for _, t := range tablesOf(both.Next) {
		name := TableName{t.Placement.Schema, t.Name}
		rule, before := ruleOf(to, facts, name), ruleOf(from, facts, name)
		old := placed(both.Old, name)
		if !periodic(rule) || len(t.Columns) == 0 || old == nil || before != nil && keepsPeriods(before, rule) {
			continue
		}
		wanted := wantedPeriods(rule, facts.Now)
		first, last := wanted[0], wanted[len(wanted)-1]
		at := t.Placement
		if at.Composite() {
			at = at.Part(0)
		}
		switch at.Column.Type {
		case shardrule.TypeDate, shardrule.TypeDatetime, shardrule.TypeTimestamp, shardrule.TypeInt:
		case shardrule.TypeText, shardrule.TypeDecimal, shardrule.TypeBinary, shardrule.TypeOther:
			unsure = append(unsure, name)
			continue
		}
		for _, end := range []string{"", " DESC"} {
			for _, s := range old.Shards {
				p, ok, err := r.endPeriod(ctx, at, place{s.Cluster, s.Database, s.Table}, end)
				if err != nil {
					return nil, nil, fmt.Errorf("the first and last %s of %s.%s: %w", at.Column.Name, name.Schema, name.Table, err)
				}
				if ok {
					first, last = min(first, p), max(last, p)
				}
			}
		}
		if last-first >= mostSpan {
			return nil, nil, fmt.Errorf("the rows of %s.%s are of %s to %s: more than %d periods; take a longer one", name.Schema, name.Table,
				calendarOf(rule).Name(first), calendarOf(rule).Name(last), mostSpan)
		}
		for p := first; p <= last; p++ {
			out[name] = append(out[name], p)
		}
	}
	return out, unsure, nil
}

// mostSpan is how many periods a table may be cut into.
const mostSpan = 10_000

// endPeriod is the period of the first row by the column, or the last.
func (r *factReader) endPeriod(ctx context.Context, p *shardrule.Placement, at place, desc string) (shardrule.Period, bool, error) {
	key := sqlval.QuoteName(p.Column.Name)
	rows, err := r.servers.Select(ctx, at.cluster, "SELECT "+p.Column.KeyExpr(key)+" FROM "+sqlval.QuoteName(at.database)+"."+sqlval.QuoteName(at.table)+
		" WHERE "+key+" IS NOT NULL ORDER BY "+key+desc+" LIMIT 1")
	if err != nil || len(rows) == 0 {
		if err != nil && noTable(err) {
			err = nil
		}
		return 0, false, err
	}
	period, ok := shardrule.PeriodOf(p.Algorithm, p.Column.KeyRead(rows[0][0]))
	return period, ok, nil
}
