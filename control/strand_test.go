package control

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// TestStrandings: two configurations with --- between them in, what the change
// would strand if there are rows out.
func TestStrandings(t *testing.T) {
	const account = "backend: {user: serval, password: x}\n"
	datadriven.RunTest(t, "testdata/strand.txt", func(t *testing.T, d *datadriven.TestData) string {
		a, b, ok := strings.Cut(d.Input, "---\n")
		require.True(t, ok)
		parse := func(name, text string) *config.Config {
			if !strings.Contains(text, "users:") {
				text += "\nusers: [{name: app, password: x}]\n"
			}
			cfg, err := config.Parse(name, []byte(text+"\n"+account))
			require.NoError(t, err)
			return cfg
		}
		facts := Facts{Now: november, Tables: map[TableName]*TableFact{}, Plain: map[TableName]*TableFact{}}
		for _, arg := range d.CmdArgs {
			switch arg.Key {
			case "months":
				fact := &TableFact{}
				for _, v := range arg.Vals {
					p, ok := shardrule.Calendar{Unit: shardrule.Month}.Named(strings.TrimSpace(v[strings.Index(v, ":")+1:]))
					require.True(t, ok, v)
					fact.Periods = append(fact.Periods, p)
				}
				name, _, _ := strings.Cut(arg.Vals[0], ":")
				facts.Tables[TableName{"shop", name}] = fact
			case "plain":
				facts.Plain[TableName{"shop", arg.Vals[0]}] = &TableFact{Columns: []catalog.Column{{}}}
			}
		}
		found, err := Strandings(parse("now.yaml", a), parse("new.yaml", b), facts)
		if err != nil {
			return err.Error() + "\n"
		}
		var out strings.Builder
		for _, s := range found {
			fmt.Fprintf(&out, "%s.%s line %d: %s\n", s.Schema, s.Table, s.Line, s.Why)
			for _, at := range s.Rows {
				fmt.Fprintf(&out, "  %s %s\n", at.Cluster, placeText(at))
			}
		}
		if out.Len() == 0 {
			return "nothing is stranded\n"
		}
		return out.String()
	})
}

// oneRow has a row in one place, and no other table.
type oneRow struct {
	Servers
	place
}

func (o oneRow) Select(_ context.Context, cluster, sql string) ([][][]byte, error) {
	if cluster == o.cluster && sql == "SELECT 1 FROM `"+o.database+"`.`"+o.table+"` LIMIT 1" {
		return [][][]byte{row("1")}, nil
	}
	return nil, sqlerr.New(sqlerr.NoSuchTable, "no such table")
}

func TestOnlyPlacesWithRowsStrandSomething(t *testing.T) {
	places := []topology.Shard{{Cluster: "c0", Database: "shop_0", Table: "t"}, {Cluster: "c1", Database: "shop_1", Table: "t"}}
	at, err := firstWithRows(t.Context(), oneRow{nil, place{"c1", "shop_1", "t"}}, places)
	require.NoError(t, err)
	require.Equal(t, places[1], *at)
	at, err = firstWithRows(t.Context(), oneRow{nil, place{"c1", "shop_2", "t"}}, places)
	require.NoError(t, err)
	require.Nil(t, at)
}
