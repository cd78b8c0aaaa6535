package executor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

func TestCareful(t *testing.T) {
	own := []backend.Var{{Name: "optimizer_switch", SQL: "'semijoin=on'"}, {Name: "sql_mode", SQL: "'NO_BACKSLASH_ESCAPES'"}}
	for name, c := range map[string]struct {
		vars   []backend.Var
		plan   plan.Finish
		flavor topology.Flavor
		want   string
	}{
		"nothing it gets wrong":                           {flavor: topology.FlavorMySQL},
		"semijoins beside outer joins":                    {plan: plan.Finish{Semijoins: true}, flavor: topology.FlavorMySQL, want: "'semijoin=off'"},
		"MariaDB is right":                                {plan: plan.Finish{Semijoins: true, Copies: true}, flavor: topology.FlavorMariaDB, vars: own[1:]},
		"a CTE of its own where backslashes escape":       {plan: plan.Finish{Copies: true}, flavor: topology.FlavorMySQL},
		"a CTE of its own where they do not":              {plan: plan.Finish{Copies: true}, flavor: topology.FlavorMySQL, vars: own[1:], want: "'derived_condition_pushdown=off'"},
		"both":                                            {plan: plan.Finish{Semijoins: true, Copies: true}, flavor: topology.FlavorMySQL, vars: own[1:], want: "'semijoin=off,derived_condition_pushdown=off'"},
		"what the client has switched stays as it has it": {plan: plan.Finish{Semijoins: true, Copies: true}, flavor: topology.FlavorMySQL, vars: own, want: "'semijoin=on'"},
	} {
		state := &backend.State{DB: "shop", Vars: c.vars}
		got := careful(state, &c.plan, c.flavor)
		require.Equal(t, c.want, got.Var("optimizer_switch"), name)
		require.Equal(t, "shop", got.DB, name)
		require.Equal(t, state.Var("sql_mode"), got.Var("sql_mode"), name)
		require.Empty(t, got.Var("optimizer_search_depth"), name)
		require.Len(t, state.Vars, len(c.vars), name)
	}
}

func TestManyTablesAreNotJoinedInEveryOrder(t *testing.T) {
	many := plan.Finish{Fragments: make([]*plan.Fragment, manyTables)}
	for _, flavor := range []topology.Flavor{topology.FlavorMySQL, topology.FlavorMariaDB} {
		require.Equal(t, "0", careful(&backend.State{}, &many, flavor).Var("optimizer_search_depth"))
		own := &backend.State{Vars: []backend.Var{{Name: "optimizer_search_depth", SQL: "62"}}}
		require.Equal(t, "62", careful(own, &many, flavor).Var("optimizer_search_depth"), "the client has set it")
	}
}
