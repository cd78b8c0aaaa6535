package advise

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// column is "id int", "name text" or "at datetime".
func column(t *testing.T, text string) catalog.Column {
	t.Helper()
	name, kind, _ := strings.Cut(text, " ")
	c := catalog.Column{DataType: "int"}
	c.Name, c.SQLType = name, kind
	switch kind {
	case "int":
		c.Type, c.Bits = shardrule.TypeInt, 32
	case "text":
		c.Type, c.Collation, c.Length, c.DataType = shardrule.TypeText, "utf8mb4_0900_ai_ci", 50, "varchar"
	case "datetime":
		c.Type, c.DataType = shardrule.TypeDatetime, "datetime"
	default:
		t.Fatalf("unknown type %s", kind)
	}
	return c
}

// shop is an unsharded shop on two clusters: all at home, nothing has a rule.
// The first column is the primary key, the ones with ! are indexed.
func shop(t *testing.T) *catalog.Catalog {
	t.Helper()
	cat := &catalog.Catalog{
		Home: "c0", Clusters: map[string]*topology.Cluster{"c0": {Name: "c0"}, "c1": {Name: "c1"}},
		Schemas: map[string]*catalog.Schema{}, Plain: map[string]map[string]*catalog.Table{"shop": {}},
		Collations: map[string]catalog.Collation{"utf8mb4_0900_ai_ci": {Name: "utf8mb4_0900_ai_ci"}},
	}
	for _, line := range []string{
		"users: id int, name text!, country int!",
		"orders: id int, user_id int!, status int!, total int",
		"items: id int, order_id int!, user_id int!, product int!",
		"countries: id int, name text",
	} {
		name, columns, _ := strings.Cut(line, ": ")
		table := &catalog.Table{Name: name}
		for i, c := range strings.Split(columns, ", ") {
			col := column(t, strings.TrimSuffix(c, "!"))
			table.Columns = append(table.Columns, col)
			if i == 0 {
				table.PrimaryKey = []string{col.Name}
			} else if strings.HasSuffix(c, "!") {
				table.Indexes = append(table.Indexes, catalog.Index{{Name: col.Name}})
			}
		}
		cat.Plain["shop"][name] = table
	}
	return cat
}

// followed adds bills, hashed by their owner, with a number that is unique over the
// shards; lines follow their bill.
func followed(t *testing.T, cat *catalog.Catalog) {
	t.Helper()
	hash, err := shardrule.NewHash(4)
	require.NoError(t, err)
	schema := &catalog.Schema{Name: "shop", Home: "c0", Tables: map[string]*catalog.Table{}}
	cat.Schemas["shop"] = schema
	add := func(name, key string, primary []string, columns ...string) *catalog.Table {
		table := &catalog.Table{Name: name, PrimaryKey: primary}
		table.Placement = &shardrule.Placement{Schema: "shop", Table: name, Kind: shardrule.Sharded, Algorithm: hash}
		for _, c := range columns {
			table.Columns = append(table.Columns, column(t, c))
			if last := table.Columns[len(table.Columns)-1].Column; last.Name == key {
				table.Placement.Column = last
			}
		}
		for i := range 4 {
			table.Placement.Shards = append(table.Placement.Shards, topology.Shard{Index: i, Cluster: fmt.Sprintf("c%d", i/2), Database: fmt.Sprintf("shop_%d", i), Table: name})
		}
		schema.Tables[name] = table
		return table
	}
	bills := add("bills", "owner", []string{"id"}, "id int", "owner int", "seller int", "total int")
	bills.Indexes = []catalog.Index{{{Name: "seller"}}}
	lookup := add("serval_unique_bills_id", "id", []string{"id"}, "id int", "owner int")
	lookup.LookupOf, lookup.LookupKey = "bills", []string{"id"}
	bills.Uniques = []catalog.Unique{{Key: "PRIMARY", Columns: []string{"id"}, Lookup: lookup, Ready: true}}
	lines := add("lines", "bill_id", []string{"bill_id", "line"}, "bill_id int", "line int", "qty int")
	lines.Placement.Algorithm = &shardrule.Follow{Parent: bills.Placement, To: "id", Lookup: lookup.Placement}
	bills.Followers = []*catalog.Table{lines}
}

// TestAdvise: statements with how often they are asked in (a line each, "N:
// statement"; one with ? is a digest of which no more is known), the report out. big= are the tables of a million rows.
func TestAdvise(t *testing.T) {
	datadriven.RunTest(t, "testdata/advise.txt", func(t *testing.T, d *datadriven.TestData) string {
		w := NewWorkload()
		thread := uint64(0)
		for line := range strings.Lines(d.Input) {
			times, sql, ok := strings.Cut(strings.TrimSpace(line), ": ")
			require.True(t, ok, line)
			n := 0
			_, err := fmt.Sscan(times, &n)
			require.NoError(t, err)
			if strings.Contains(sql, "?") {
				w.AddDigest(Digest{DB: "shop", Text: sql, Count: uint64(n)})
				continue
			}
			for i := range n {
				thread++
				for s := range strings.SplitSeq(strings.ReplaceAll(sql, "$", fmt.Sprint(i)), "; ") {
					w.Add(Event{Thread: thread, DB: "shop", SQL: s})
				}
			}
		}
		opt := Options{Rows: map[TableName]int64{}, MinRows: 100_000}
		cat := shop(t)
		if d.HasArg("followed") {
			followed(t, cat)
		}
		for _, arg := range d.CmdArgs {
			for _, name := range arg.Vals {
				opt.Rows[TableName{"shop", name}] = 1_000_000
			}
		}
		r := Advise(cat, w, opt)
		var b strings.Builder
		fmt.Fprintf(&b, "%d statements, %d digests\nnow  %s\nthen %s\n", r.Statements, r.Digests, sharesText(r.Now), sharesText(r.Then))
		for _, table := range r.Tables {
			fmt.Fprintf(&b, "%s: %s\n", table.Table, table.Now)
			for _, c := range table.Candidates {
				fmt.Fprintf(&b, "  %-16s %s traffic %.1f loose %v\n", c.Rule, sharesText(c.Shares), c.Traffic, c.Loose)
			}
		}
		for _, s := range r.Remarks {
			fmt.Fprintf(&b, "%d × %s\n  %s: %s; %s\n", s.Count, s.Digest, s.Way, s.Why, s.Do)
		}
		return b.String()
	})
}

func sharesText(s Shares) string {
	return fmt.Sprintf("single %.0f%% scatter %.0f%% moved %.0f%% first %.0f%% refused %.0f%% transactions %.0f%%",
		100*s.Single, 100*s.Scatter, 100*s.Moved, 100*s.ReadFirst, 100*s.Refused, 100*s.Transactions)
}
