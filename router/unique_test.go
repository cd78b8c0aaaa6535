package router

import (
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// shopWithUniques is shop whose users have email and (country, age) unique over
// all shards; the second's lookup table is still being built.
func shopWithUniques(t testing.TB) *catalog.Catalog {
	cat := shop(t)
	tables := cat.Schemas["shop"].Tables
	users := tables["users"]
	hash, err := shardrule.NewHash(8)
	require.NoError(t, err)
	for _, key := range [][]string{{"email"}, {"country", "age"}} {
		lookup := &catalog.Table{Name: "serval_unique_users_" + key[0], LookupOf: "users", LookupKey: key, PrimaryKey: key}
		for _, c := range users.Columns {
			if hasName(key, c.Name) || c.Name == "id" {
				lookup.Columns = append(lookup.Columns, c)
			}
		}
		lookup.Placement = &shardrule.Placement{Schema: "shop", Table: lookup.Name, Kind: shardrule.Sharded, Algorithm: hash, Column: keyColumn(t, users, key[0])}
		for i := range 8 {
			lookup.Placement.Shards = append(lookup.Placement.Shards, topology.Shard{Index: i, Cluster: "c" + strconv.Itoa(i/4), Database: fmt.Sprintf("shop_%d", i), Table: lookup.Name})
		}
		tables[lookup.Name] = lookup
		users.WantsUnique = append(users.WantsUnique, key)
		users.UniqueKeys = append(users.UniqueKeys, key)
		users.Uniques = append(users.Uniques, catalog.Unique{Key: key[0], Columns: key, Lookup: lookup, Ready: key[0] == "email"})
	}
	comments := tables["comments"]
	comments.Columns, comments.WantsUnique = nil, [][]string{{"likes"}} // not created yet
	lookup := *tables["serval_unique_users_email"]
	lookup.Name, lookup.LookupOf, lookup.LookupKey, lookup.Columns = "serval_unique_comments_likes", "comments", []string{"likes"}, nil
	tables[lookup.Name] = &lookup
	return cat
}

// A lookup table of a rule of several columns tells all of them, and so one shard.
func TestOneShardIsLookedUpByAllColumnsOfARule(t *testing.T) {
	cat := shop(t)
	payments := cat.Schemas["shop"].Tables["payments"]
	lookup := &catalog.Table{Name: "serval_unique_payments_note", LookupOf: "payments", LookupKey: []string{"note"}}
	hash, err := shardrule.NewHash(1)
	require.NoError(t, err)
	lookup.Placement = &shardrule.Placement{Schema: "shop", Table: lookup.Name, Kind: shardrule.Sharded, Algorithm: hash, Column: keyColumn(t, payments, "note"),
		Shards: []topology.Shard{{Cluster: "c0", Database: "shop_0", Table: lookup.Name}}}
	payments.Uniques = []catalog.Unique{{Key: "note", Columns: []string{"note"}, Lookup: lookup, Ready: true}}
	sql := "SELECT id FROM payments WHERE note = 'x'"
	p, err := Plan(cat, "shop", parser.Parse([]byte(sql), parser.Options{}))
	require.NoError(t, err)
	args := argsOf(t, sql)
	found := plan.Lookups{}
	_, err = p.Bind(args, plan.Options{Found: found, Weigher: plainWeights{}})
	var need *plan.ErrNeedLookup
	require.ErrorAs(t, err, &need)
	asked, err := need.Looked.Read.Bind(args, plan.Options{Weigher: plainWeights{}})
	require.NoError(t, err)
	require.Equal(t, "SELECT `paid_at`, `user_id` FROM `shop_0`.`serval_unique_payments_note` WHERE `note` = 'x'", string(asked.Tasks[0].Tasks[0].SQL))

	found[need.Looked] = []plan.LookedRow{{sqlval.StringValue("2026-10-31 23:59:59"), {Kind: sqlval.Int, Text: []byte("3")}}}
	b, err := p.Bind(args, plan.Options{Found: found, Weigher: plainWeights{}})
	require.NoError(t, err)
	require.Len(t, b.Tasks[0].Tasks, 1)
	require.Equal(t, 6, b.Tasks[0].Tasks[0].Shard)
	require.Equal(t, 1, b.Looked)
}

// TestUniquePlans runs testdata/unique: `plan` as the client's statement, `part`
// as what Serval runs of one.
func TestUniquePlans(t *testing.T) {
	cat := shopWithUniques(t)
	datadriven.Walk(t, "testdata/unique", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			st := parser.Parse([]byte(d.Input), parser.Options{})
			planned := Plan
			if d.Cmd == "part" {
				planned = PlanPart
			}
			p, err := planned(cat, "shop", st)
			if err != nil && st.Folded {
				p, err = planned(cat, "shop", parser.ParseLiterally([]byte(d.Input), parser.Options{}))
			}
			if err != nil {
				return err.Error() + "\n"
			}
			args := argsOf(t, d.Input)
			b, err := p.Bind(args, plan.Options{FirstNumber: 1000, Weigher: plainWeights{}})
			if err != nil {
				return err.Error() + "\n"
			}
			out := plan.Format(p, b) + notes(p)
			if p.Looks {
				out += asked(t, p, args)
			}
			return out
		})
	})
}

// asked is the question to the lookup table, whose answer a test cannot have, and
// what is done where it tells of ids 1 and up.
func asked(t *testing.T, p *plan.Plan, args plan.Args) string {
	_, err := p.Bind(args, plan.Options{Found: plan.Lookups{}, Weigher: plainWeights{}})
	var need *plan.ErrNeedLookup
	if !errors.As(err, &need) {
		require.NoError(t, err)
		return "asks nothing\n"
	}
	b, err := need.Looked.Read.Bind(args, plan.Options{Weigher: plainWeights{}})
	if err != nil {
		return "asks: " + err.Error() + "\n"
	}
	out := "asks: " + string(b.Tasks[0].Tasks[0].SQL) + "\n"
	if p.Met == nil && need.Looked.Rows == 1 {
		return out
	}
	var told []plan.LookedRow
	for i := range need.Looked.Rows {
		told = append(told, plan.LookedRow{{Kind: sqlval.Int, Text: strconv.AppendInt(nil, int64(i+1), 10)}})
	}
	b, err = p.Bind(args, plan.Options{Found: plan.Lookups{need.Looked: told}, Weigher: plainWeights{}})
	require.NoError(t, err)
	return out + fmt.Sprintf("if it says %d ids, and unless fewer than %d rows come back:\n", len(told), b.Looked) + plan.Format(p, b)
}

// plainWeights takes a text's bytes for its weights.
type plainWeights struct{}

func (plainWeights) Weight(_ string, text []byte) ([]byte, bool) { return text, true }
