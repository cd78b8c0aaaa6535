package executor

import (
	"strings"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

const (
	switches    = "optimizer_switch"
	searchDepth = "optimizer_search_depth"
)

// manyTables is from how many temporary tables on a server is told to choose
// their order step by step. It counts every order else, and of tables of a few
// rows without statistics none is so much dearer that it could leave it out: with
// 26 of them MySQL 9.7 takes minutes before it reads a row.
const manyTables = 12

// careful is the session's state with what the server's optimizer gets wrong
// switched off, unless the client has switched anything itself.
//
//   - MySQL 9.7 loses the condition of b.x IN (SELECT …), and of EXISTS, in the ON
//     of an outer join for some tables, so that b has rows it must not have.
//   - MySQL pushes a condition down into a definition by writing it as text and
//     reading it again, which fails for a quote within a string where
//     backslashes do not escape. It does so only to a CTE that is named once.
func careful(state *backend.State, n *plan.Finish, flavor topology.Flavor) *backend.State {
	if len(n.Fragments) >= manyTables && state.Var(searchDepth) == "" {
		state = state.With(backend.Var{Name: searchDepth, SQL: "0"}) // as many steps as it finds reasonable
	}
	if flavor == topology.FlavorMariaDB {
		return state
	}
	var off []string
	if n.Semijoins {
		off = append(off, "semijoin=off")
	}
	if n.Copies && strings.Contains(state.Var("sql_mode"), "NO_BACKSLASH_ESCAPES") {
		off = append(off, "derived_condition_pushdown=off")
	}
	if len(off) == 0 || state.Var(switches) != "" {
		return state
	}
	return state.With(backend.Var{Name: switches, SQL: "'" + strings.Join(off, ",") + "'"})
}
