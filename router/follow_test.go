package router

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// bills are by their owner; items, and notes whose bill may be NULL, follow them;
// strays would, had they a foreign key.
func bills(t testing.TB) *catalog.Catalog {
	cat := shop(t)
	hash, err := shardrule.NewHash(8)
	require.NoError(t, err)
	tables := cat.Schemas["shop"].Tables
	add := func(name string, key int, columns ...string) *catalog.Table {
		table := &catalog.Table{Name: name}
		for _, column := range columns {
			c := catalog.Column{DataType: "bigint"}
			c.Name, c.Type, c.Bits, c.SQLType = strings.TrimSuffix(column, "?"), shardrule.TypeInt, 64, "bigint"
			c.Nullable = strings.HasSuffix(column, "?")
			table.Columns = append(table.Columns, c)
		}
		table.Placement = &shardrule.Placement{Schema: "shop", Table: name, Kind: shardrule.Sharded, Algorithm: hash, Column: table.Columns[key].Column}
		for i := range 8 {
			table.Placement.Shards = append(table.Placement.Shards, topology.Shard{Index: i, Cluster: "c" + strconv.Itoa(i/4), Database: fmt.Sprintf("shop_%d", i), Table: name})
		}
		tables[name] = table
		return table
	}
	parent := add("bills", 1, "id", "owner", "total?")
	parent.PrimaryKey, parent.WantsUnique = []string{"id"}, [][]string{{"id"}}
	lookup := add("serval_unique_bills_id", 0, "id", "owner")
	lookup.PrimaryKey, lookup.LookupOf, lookup.LookupKey = []string{"id"}, "bills", []string{"id"}
	parent.Uniques = []catalog.Unique{{Key: "PRIMARY", Columns: []string{"id"}, Lookup: lookup, Ready: true}}
	child := func(name, unready string, columns ...string) {
		c := add(name, 1, columns...)
		c.PrimaryKey = []string{"id", "bill_id"}
		c.Placement.Algorithm = &shardrule.Follow{Parent: parent.Placement, To: "id", Lookup: lookup.Placement, Unready: unready}
		parent.Followers = append(parent.Followers, c)
	}
	child("items", "", "id", "bill_id", "qty?")
	child("notes", "", "id", "bill_id?", "text?")
	child("strays", "shop_0.strays on cluster c0 has no FOREIGN KEY (bill_id) REFERENCES bills (id)", "id", "bill_id", "qty?")
	return cat
}

// TestFollowPlans runs testdata/follow. A parent that is looked up is found on the
// shard of its number; `unknown`: none is found.
func TestFollowPlans(t *testing.T) {
	cat := bills(t)
	datadriven.Walk(t, "testdata/follow", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			st := parser.Parse([]byte(d.Input), parser.Options{})
			p, err := Plan(cat, "shop", st)
			if err != nil && st.Folded {
				p, err = Plan(cat, "shop", parser.ParseLiterally([]byte(d.Input), parser.Options{}))
			}
			if err != nil {
				return err.Error() + "\n"
			}
			return bindFollowing(t, p, argsOf(t, d.Input), d.HasArg("unknown"))
		})
	})
}

func bindFollowing(t *testing.T, p *plan.Plan, args plan.Args, unknown bool) string {
	out := ""
	opt := plan.Options{FirstNumber: 1000, Weigher: plainWeights{}, Found: plan.Lookups{}, Places: plan.Places{}}
	for range 5 {
		b, err := p.Bind(args, opt)
		var need *plan.ErrNeedPlaces
		var look *plan.ErrNeedLookup
		switch {
		case errors.As(err, &need):
			for _, w := range need.Wanted {
				out += fmt.Sprintf("looks up %s.%s = %s in shop_%d.%s\n", need.Follow.Parent.Table, need.Follow.To, w.Value.AppendSQL(nil, false), w.At, need.Follow.Lookup.Table)
				n, err := strconv.Atoi(w.Key.Value)
				require.NoError(t, err)
				if opt.Places[w.Key] = n % 8; unknown {
					opt.Places[w.Key] = plan.NoParent
				}
			}
		case errors.As(err, &look):
			out += "asks " + look.Looked.Table + "\n"
			opt.Found[look.Looked] = nil
		case err != nil:
			return out + err.Error() + "\n"
		default:
			if b.Looked > 0 {
				out += "runs on all shards where it meets no row\n"
			}
			if p.Watched {
				out += "not with foreign_key_checks off\n"
			}
			return out + plan.Format(p, b)
		}
	}
	t.Fatal("Bind asks again and again")
	return ""
}
