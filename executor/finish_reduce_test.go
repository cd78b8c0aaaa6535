package executor

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// reducedRequest is a query over users, and orders that are reduced by them:
// an order's server answers with the condition it was sent.
func reducedRequest(conns *scriptedConns, a *scriptedApart, out *bytes.Buffer, users string) *Request {
	req := finishRequest(conns, a, out, users)
	n := req.Bound.Plan.Root.(*plan.Finish)
	orders := &plan.Route{Columns: 1, SQL: plan.Template{{Text: "rows c text"}, {Kind: plan.ChunkReduce, Text: " / "}}}
	n.Fragments = append(n.Fragments, &plan.Fragment{
		Route: orders, Table: plan.TableName{Schema: "shop", Table: "orders"}, Columns: []plan.FragmentColumn{{Name: "c", Definition: "text NULL"}},
		Reduce: &plan.Reduce{SQL: "c"},
	})
	req.Bound.Tasks.Add(orders, []plan.Task{oneTask("c0", "rows c text / all"), oneTask("c1", "rows c text / all")})
	return req
}

func TestAFragmentIsReducedByTheValuesOfAnother(t *testing.T) {
	many := "rows id text"
	for i := range plan.MaxReduceValues + 1 {
		many += " / " + strconv.Itoa(i)
	}
	for name, tc := range map[string]struct{ users, orders string }{
		"each value once, without NULL":        {"rows id text / 7 / 5 / NULL / 7", "VALUES (_binary'c IN (5, 7)'),(_binary'c IN (5, 7)')"},
		"too many values are not sent":         {many, "VALUES (_binary'all'),(_binary'all')"},
		"nor what is none":                     {"rows id text / x", "VALUES (_binary'all'),(_binary'all')"},
		"without a value nothing is asked for": {"rows id text / NULL", ""},
	} {
		t.Run(name, func(t *testing.T) {
			conns := newScriptedConns(t, "c0", "c1")
			a := newApart(t, conns)
			var out bytes.Buffer
			req := reducedRequest(conns, a, &out, tc.users)
			req.Measured = map[plan.Node]plan.Measure{}
			_, err := Run(t.Context(), req)
			require.NoError(t, err)
			a.answered()
			log := strings.Join(a.server.Log(), "\n")
			if tc.orders == "" {
				require.NotContains(t, log, "INSERT INTO `shop_0`.`serval_f2`")
			} else {
				require.Contains(t, log, "INSERT INTO `shop_0`.`serval_f2` (`c`) "+tc.orders)
			}
			n := req.Bound.Plan.Root.(*plan.Finish)
			require.Equal(t, map[bool]int{true: 2, false: 0}[tc.orders != ""], req.Measured[n.Fragments[1].Route].Tasks)
			require.Equal(t, int64(strings.Count(tc.users, "/")), req.Measured[n.Fragments[0].Route].Rows)
			require.Contains(t, req.Measured, plan.Node(n))
		})
	}
}

func TestWhatOneRouteMovesIsMeasured(t *testing.T) {
	conns := newScriptedConns(t, "c0", "c1")
	r := &plan.Route{}
	var out bytes.Buffer
	req := &Request{Conns: conns, Out: wire.NewWriter(&out), Measured: map[plan.Node]plan.Measure{}, Bound: &plan.Bound{
		Plan: &plan.Plan{Root: r, ReadOnly: true}, Tasks: plan.Tasks{{Leaf: r, Tasks: []plan.Task{oneTask("c0", "rows id int / 1 / 22")}}}}}
	_, err := Run(t.Context(), req)
	require.NoError(t, err)
	m := req.Measured[r]
	require.Equal(t, plan.Measure{Rows: 2, Bytes: 5, Tasks: 1, Took: m.Took}, m)
	require.Positive(t, m.Took)
	conns.done()
}
