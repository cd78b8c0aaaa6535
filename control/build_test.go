package control

import (
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/shardrule"
)

var november = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// head is what every configuration of the cases begins with.
const head = `users: [{name: app, password: x}]
backend: {user: serval, password: x}
clusters: {c0: {primary: "h0:1"}, c1: {primary: "h1:1"}, c2: {primary: "h2:1"}}
home: c0
`

// build: the schemas: of a configuration in, placements out. Arguments:
// fold, months=(t:202601,…) for tables that exist.
func TestBuild(t *testing.T) {
	datadriven.RunTest(t, "testdata/build.txt", func(t *testing.T, d *datadriven.TestData) string {
		t.Helper()
		cfg, err := config.Parse("serval.yaml", []byte(head+d.Input))
		if err != nil {
			return err.Error() + "\n"
		}
		facts := Facts{Now: november, FoldNames: d.HasArg("fold"), Tables: map[TableName]*TableFact{}}
		for _, arg := range d.CmdArgs {
			if arg.Key == "months" {
				fact := &TableFact{}
				for _, v := range arg.Vals[1:] {
					p, ok := shardrule.Calendar{Unit: shardrule.Month}.Named(v)
					require.True(t, ok, v)
					fact.Periods = append(fact.Periods, p)
				}
				facts.Tables[TableName{"shop", arg.Vals[0]}] = fact
			}
		}
		cat, err := Build(cfg, facts)
		if err != nil {
			return err.Error() + "\n"
		}
		return render(cat)
	})
}

// render prints placements as a table; runs of shards on one cluster are one
// line.
func render(c *catalog.Catalog) string {
	var b strings.Builder
	w := table.NewWriter()
	w.SetOutputMirror(&b)
	w.SetStyle(table.StyleLight)
	w.Style().Options = table.OptionsNoBordersAndSeparators
	w.AppendHeader(table.Row{"table", "rule", "shard", "cluster", "place"})
	for _, schema := range sortedKeys(c.Schemas) {
		for _, name := range sortedKeys(c.Schemas[schema].Tables) {
			p := c.Schemas[schema].Tables[name].Placement
			rule := map[shardrule.Kind]string{shardrule.Whole: "whole", shardrule.Global: "global"}[p.Kind]
			if p.Kind == shardrule.Sharded {
				rule = p.Algorithm.Spec()
			}
			for _, s := range p.Shards {
				w.AppendRow(table.Row{schema + "." + name, rule, s.Index, s.Cluster, s.Database + "." + s.Table})
			}
		}
	}
	w.Render()
	var out strings.Builder
	for line := range strings.Lines(b.String()) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return out.String()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func TestBuildTakesUsersClustersAndHomes(t *testing.T) {
	cfg, err := config.Load("../config/testdata/contract.good.yml")
	require.NoError(t, err)
	c, err := Build(cfg, Facts{Now: november})
	require.NoError(t, err)
	require.Equal(t, "c0", c.Home)
	require.Equal(t, "c0", c.HomeOf("shop"))
	require.Equal(t, "c0", c.HomeOf("other"))
	require.True(t, c.Users["report"].ReadOnly)
	require.Equal(t, "127.0.0.1:4000", c.Clusters["c0"].Primary)
	require.Equal(t, 2, c.Clusters["c0"].Instances[2].Weight)
	require.Equal(t, "id", c.Table("shop", "comments").AutoIncrement)
	require.Equal(t, 24, c.Table("shop", "payment_logs").KeepPeriods)

	users, orders := c.Table("shop", "users").Placement, c.Table("shop", "orders").Placement
	require.False(t, users.Colocated(orders), "while their columns are not known")
	for i := range users.Shards {
		require.Equal(t, users.Shards[i].Cluster, orders.Shards[i].Cluster)
	}
	require.Equal(t, shardrule.TypeOther, users.Column.Type, "no server said what it is")
}

func TestBuildTakesTheColumnFromTheServer(t *testing.T) {
	cfg, err := config.Load("../config/testdata/contract.good.yml")
	require.NoError(t, err)
	column := func(sqlType, dataType, collation string) shardrule.Column {
		fact := &TableFact{Columns: []catalog.Column{{Column: shardrule.ColumnFrom(shardrule.ColumnInfo{
			Name: "ID", DataType: dataType, ColumnType: sqlType, Collation: collation,
		})}}, AutoIncrement: "ID"}
		c, err := Build(cfg, Facts{
			Now: november, Tables: map[TableName]*TableFact{{"shop", "users"}: fact},
			Collations: map[string]catalog.Collation{"utf8mb4_bin": {Name: "utf8mb4_bin"}},
		})
		require.NoError(t, err)
		require.Equal(t, "ID", c.Table("shop", "users").AutoIncrement)
		return c.Table("shop", "users").Placement.Column
	}
	require.Equal(t, shardrule.TypeInt, column("bigint", "bigint", "").Type, "names of columns have no case")
	require.Equal(t, shardrule.TypeText, column("varchar(9)", "varchar", "utf8mb4_bin").Type)
	require.Equal(t, shardrule.TypeOther, column("varchar(9)", "varchar", "utf8mb4_new_ci").Type, "how it pads is not known")
	require.Equal(t, shardrule.TypeOther, column("timestamp", "timestamp", "").Type, "hash does not take it")
}

// Any UPDATE of a row would change such a key on its server, and not move the row.
func TestAColumnThatServersUpdateIsNoShardingColumn(t *testing.T) {
	cfg, err := config.Load("../config/testdata/contract.good.yml")
	require.NoError(t, err)
	at := catalog.Column{Column: shardrule.ColumnFrom(shardrule.ColumnInfo{Name: "paid_at", DataType: "datetime", ColumnType: "datetime"})}
	for _, onUpdate := range []bool{false, true} {
		at.OnUpdate = onUpdate
		facts := Facts{Now: november, Tables: map[TableName]*TableFact{{"shop", "payment_logs"}: {Columns: []catalog.Column{at}}}}
		c, err := Build(cfg, facts)
		require.NoError(t, err)
		p := c.Table("shop", "payment_logs").Placement
		require.Equal(t, onUpdate, p.Column.Type == shardrule.TypeOther)
		require.Equal(t, onUpdate, len(columnFindings(p, &facts, facts.Tables[TableName{"shop", "payment_logs"}])) > 0)
	}
}

// namesOf are the names of a rule's periods.
func namesOf(rule *config.Table, periods []shardrule.Period) string {
	var names []string
	for _, p := range periods {
		names = append(names, calendarOf(rule).Name(p))
	}
	return strings.Join(names, " ")
}

func TestWantedPeriodsFollowFromKeepAndAhead(t *testing.T) {
	for _, c := range []struct {
		why, shard string
		rule       config.Table
		want       string
	}{
		{"nothing said: this month and those ahead", "month(at)", config.Table{Ahead: 1}, "202611 202612"},
		{"keep counts this month", "month(at)", config.Table{Keep: 2}, "202610 202611"},
		{"from goes before keep", "month(at)", config.Table{Keep: 2, From: "2026-09"}, "202609 202610 202611"},
		{"a first month to come", "month(at)", config.Table{From: "2027-01"}, "202701"},
		{"over the year's end", "month(at)", config.Table{Ahead: 2}, "202611 202612 202701"},
		{"years", "year(at)", config.Table{From: "2024", Ahead: 1}, "2024 2025 2026 2027"},
		{"weeks, from a day in the first", "week(at)", config.Table{From: "2026-11-12", Ahead: 1}, "2026w46 2026w47 2026w48 2026w49"},
		{"days", "day(at)", config.Table{Keep: 2, Ahead: 1}, "20261122 20261123 20261124"},
		{"hours over midnight", "hour(at)", config.Table{Keep: 2, From: "2026-11-22 22"}, "2026112222 2026112223 2026112300 2026112301 2026112302 2026112303 2026112304 2026112305 2026112306 2026112307 2026112308 2026112309 2026112310"},
		{"windows of days", "days(at, 10, 2026-11-01)", config.Table{Keep: 2, Ahead: 1}, "20261111 20261121 20261201"},
	} {
		c.rule.Kind, c.rule.Rule = config.Sharded, ruleFor(t, c.shard)
		require.Equal(t, c.want, namesOf(&c.rule, wantedPeriods(&c.rule, november)), c.why)
	}
}

func ruleFor(t *testing.T, text string) shardrule.Rule {
	r, err := shardrule.ParseRule(text, nil)
	require.NoError(t, err)
	return r
}

// A month begins when it does where the application writes, whatever the
// process's own zone, also where clocks were changed in that month.
func TestAMonthBeginsInTheRulesTimeZone(t *testing.T) {
	at := func(text string) time.Time {
		when, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return when
	}
	for _, c := range []struct {
		zone, now, want string
	}{
		{"", "2026-10-31T23:59:59Z", "202610"},
		{"", "2026-11-01T00:00:00Z", "202611"},
		{"Europe/Berlin", "2026-10-31T22:59:59Z", "202610"}, // winter time since the 25th
		{"Europe/Berlin", "2026-10-31T23:00:00Z", "202611"},
		{"Europe/Berlin", "2026-03-31T21:59:59Z", "202603"}, // summer time since the 29th
		{"Europe/Berlin", "2026-03-31T22:00:00Z", "202604"},
		{"America/New_York", "2026-11-01T03:59:59Z", "202610"}, // the clock goes back on that very day
		{"America/New_York", "2026-11-01T04:00:00Z", "202611"},
		{"Asia/Tokyo", "2026-12-31T14:59:59Z", "202612"},
		{"Asia/Tokyo", "2026-12-31T15:00:00Z", "202701"},
	} {
		rule := &config.Table{Kind: config.Sharded, Rule: ruleFor(t, "month(at)")}
		if c.zone != "" {
			zone, err := time.LoadLocation(c.zone)
			require.NoError(t, err)
			rule.Zone = zone
		}
		require.Equal(t, c.want, namesOf(rule, []shardrule.Period{periodAt(rule, at(c.now))}), c.zone+" "+c.now)
		require.Equal(t, c.want, namesOf(rule, wantedPeriods(rule, at(c.now).In(time.FixedZone("elsewhere", 11*3600)))), "the process's own zone does not count")
	}
}
