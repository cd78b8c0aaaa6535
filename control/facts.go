package control

import (
	"slices"
	"strings"
	"time"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/shardrule"
)

// TableName is a logical table.
type TableName struct{ Schema, Table string }

// Facts is what the servers said. The zero Facts is valid: nothing is known.
// Immutable once made.
type Facts struct {
	// Now decides which periods a table has to have.
	Now time.Time
	// FoldNames: the servers compare table names in lower case.
	FoldNames  bool
	Collations map[string]catalog.Collation
	// Information is as in catalog.Catalog.
	Information *catalog.Information
	// Tables are the definitions, of those tables that exist; names are in
	// lower case where FoldNames.
	Tables map[TableName]*TableFact
	// Zone is as in catalog.Catalog.
	Zone string
	// Weights are the weight strings of texts that rules name.
	Weights map[Text][]byte
	// Plain are the tables and views without a rule.
	Plain map[TableName]*TableFact
	// Beside is as in catalog.Catalog.
	Beside catalog.Beside
	// Building are the lookup tables that do not have all rows yet, or of which
	// that is not known.
	Building map[TableName]bool
	// Follows are the tables that follow another one and have been looked at, with
	// the reason why they cannot be relied on to; empty where they can.
	Follows map[TableName]string
	// Views are the logical views by the cluster they were found on.
	Views map[string][]*catalog.View
	// Programs are the stored programs and views of the homes by cluster.
	Programs map[string][]catalog.Program
}

// Text is a text in a collation.
type Text struct{ Collation, Text string }

// TableFact is one table as a server defines it. Immutable.
type TableFact struct {
	Columns       []catalog.Column
	PrimaryKey    []string
	PrimaryPrefix bool // of a column of the primary key only the beginning counts
	UniqueKeys    [][]string
	UniqueNames   []string // of UniqueKeys
	Indexes       []catalog.Index
	AutoIncrement string
	// Periods are those that have a table, ascending, for rules of time.
	Periods []shardrule.Period
}

func (f *Facts) fold(name string) string {
	if f.FoldNames {
		return strings.ToLower(name)
	}
	return name
}

// column is the sharding column, and the algorithm for it. While it is not
// known, or of a type the algorithm does not take, it is a TypeOther: reads go
// everywhere, and storing into it is refused.
func (f *Facts) column(name string, fact *TableFact, a shardrule.Algorithm) (shardrule.Column, shardrule.Algorithm) {
	unknown := shardrule.Column{Name: name}
	if fact == nil {
		return unknown, a
	}
	for _, c := range fact.Columns {
		if !strings.EqualFold(c.Name, name) {
			continue
		}
		col := c.Column
		if c.OnUpdate {
			col.Type, col.SQLType = shardrule.TypeOther, col.SQLType+" "+onUpdate
			return col, a
		}
		if k, ok := a.(shardrule.TextKeyer); ok {
			col.TextKey = k.TextKey()
		}
		_, known := f.Collations[col.Collation]
		bound, err := a, a.Takes(col)
		if b, ok := a.(shardrule.Binder); ok && err == nil {
			bound, err = b.Bind(col, f)
		}
		if err != nil || col.Type == shardrule.TypeText && !known {
			col.Type = shardrule.TypeOther
			return col, a
		}
		return col, bound
	}
	return unknown, a
}

// onUpdate makes a column none to shard by: any UPDATE of the row changes it, on
// the server, and the row would have to move.
const onUpdate = "ON UPDATE CURRENT_TIMESTAMP"

// Weight implements shardrule.Weigher for the texts that rules name.
func (f *Facts) Weight(collation string, text []byte) ([]byte, bool) {
	w, ok := f.Weights[Text{collation, string(text)}]
	return w, ok
}

// Charset implements shardrule.Charsetter: a configuration is UTF-8.
func (f *Facts) Charset() string { return "utf8mb4" }

// periodic: the rule has one shard a period of time.
func periodic(rule *config.Table) bool {
	return rule.Kind == config.Sharded && rule.Rule.Periodic()
}

// calendarOf is the calendar of a function of time; config has tried it.
func calendarOf(rule *config.Table) shardrule.Calendar {
	c, _ := rule.Rule.Calendar()
	return c
}

// periodsOf are the periods a table has: those that exist, or, while it has no
// table at all, those it is to have.
func periodsOf(rule *config.Table, fact *TableFact, now time.Time) []shardrule.Period {
	if fact != nil && len(fact.Periods) > 0 {
		return slices.Clone(fact.Periods)
	}
	return wantedPeriods(rule, now)
}

// periodAt is the period in the rule's time zone. Values are compared as they are
// written, so it is the zone the applications write in that counts, and no hour
// of a changed clock is in two periods.
func periodAt(rule *config.Table, now time.Time) shardrule.Period {
	return calendarOf(rule).At(now.In(zoneOf(rule)))
}

func zoneOf(rule *config.Table) *time.Location {
	if rule.Zone == nil {
		return time.UTC
	}
	return rule.Zone
}

// samePeriods: both times are in the same period for every rule.
func samePeriods(cfg *config.Config, a, b time.Time) bool {
	for i := range cfg.Schemas {
		for j := range cfg.Schemas[i].Tables {
			if t := &cfg.Schemas[i].Tables[j]; periodic(t) && periodAt(t, a) != periodAt(t, b) {
				return false
			}
		}
	}
	return true
}

// wantedPeriods are those from the rule's from:, or as many as keep: says, to
// ahead: periods after now.
func wantedPeriods(rule *config.Table, now time.Time) []shardrule.Period {
	current := periodAt(rule, now)
	first := current
	if rule.Keep > 0 {
		first = current - shardrule.Period(rule.Keep-1)
	}
	if from, ok := calendarOf(rule).Period(rule.From); ok {
		first = from
	}
	last := max(current+shardrule.Period(rule.Ahead), first)
	var out []shardrule.Period
	for p := first; p <= last; p++ {
		out = append(out, p)
	}
	return out
}
