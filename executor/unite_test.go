package executor

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// A plan's first run asks each of three shards by itself; what the second does
// is what its servers were sent.
func TestShardsOfOneServerAreAskedTogether(t *testing.T) {
	const arm = "rows id int,name text / 1|a / 5|e"
	for name, c := range map[string]struct {
		united string
		arm    string
		req    Request
		habit  func(*habit)
		rows   string
		conns  string // taken by the second run
		again  string // and by a third one
	}{
		"one statement, its rows sorted here, the columns those of a shard": {
			united: "rows id int,name text / 1|a / 5|e / 0|x / 9|y",
			rows:   "shop.users.id, shop.users.name\n0|x\n1|a\n1|a\n5|e\n5|e\n9|y\n", conns: "c0×1 c1×1", again: "c0×1 c1×1",
		},
		"prepared": {
			united: "rows id int,name text / 1|a / 9|y", req: Request{Params: scriptedParams{}},
			rows: "shop.users.id, shop.users.name\n1|a\n1|a\n5|e\n9|y\n", conns: "c0×1 c1×1", again: "c0×1 c1×1",
		},
		"another type than apart: asked one by one after all": {
			united: "rows id text,name text / 1|a", conns: "c0×1 c1×1 retract c0×2 c1×1", again: "c0×1 c1×1 retract c0×2 c1×1",
		},
		"with warnings, which are those of the temporary table: asked anew, and they are forgotten": {
			united: "rows id int,name text / 0|x / warn 1", conns: "c0×1 c1×1 retract c0×2 c1×1", again: "c0×1 c1×1 retract c0×2 c1×1",
		},
		"an error": {
			united: "err 1064 You have an error", conns: "c0×1 c1×1 retract c0×2 c1×1", again: "c0×1 c1×1 retract c0×2 c1×1",
		},
		"an error behind rows": {
			united: "rows id int,name text / 0|x / err 1690 BIGINT value is out of range", conns: "c0×1 c1×1 retract c0×2 c1×1", again: "c0×1 c1×1 retract c0×2 c1×1",
		},
		"a connection that is lost": {
			united: "rows id int,name text / 0|x / hangup", conns: "c0×1 c1×1 retract c0×2 c1×1", again: "c0×1 c1×1 retract c0×2 c1×1",
		},
		"more than was expected": {
			united: "rows id int,name text / 0|" + strings.Repeat("x", unitedBudget), conns: "c0×1 c1×1 retract c0×2 c1×1", again: "c0×1 c1×1 retract c0×2 c1×1",
		},
		"not tried again at once after a failure": {
			united: "err 1064 no", habit: func(h *habit) { h.rest = h.failed }, conns: "c0×1 c1×1 retract c0×2 c1×1", again: "c0×2 c1×1",
		},
		"shards that have much to do work side by side": {
			habit: func(h *habit) { h.level, h.ratio = float64(2*triedTime), 3 }, conns: "c0×2 c1×1", again: "c0×2 c1×1",
		},
		"where together took longer they do so again": {
			habit: func(h *habit) { h.level, h.ratio = float64(4*unitedTime), 2 }, conns: "c0×2 c1×1", again: "c0×2 c1×1",
		},
		"on a busy machine both ways are long": {
			united: "rows id int,name text / 1|a / 9|y", habit: func(h *habit) { h.level, h.ratio = float64(40*unitedTime), 1.2 },
			rows: "shop.users.id, shop.users.name\n1|a\n1|a\n5|e\n9|y\n", conns: "c0×1 c1×1", again: "c0×1 c1×1",
		},
		"large answers are not held": {
			habit: func(h *habit) { h.bytes = unitedBytes + 1 }, conns: "c0×2 c1×1", again: "c0×2 c1×1",
		},
		"a transaction, which an error may have ended": {
			req: Request{KeepConns: true}, conns: "c0×2 c1×1", again: "c0×2 c1×1",
		},
		"a hint is for one statement": {
			arm: arm + " / 6|/*+ x */", rows: "shop.users.id, shop.users.name\n1|a\n1|a\n1|a\n5|e\n5|e\n5|e\n6|/*+ x */\n6|/*+ x */\n6|/*+ x */\n",
			conns: "c0×2 c1×1", again: "c0×2 c1×1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.arm == "" {
				c.arm = arm
			}
			route := &plan.Route{Together: true}
			root := &plan.MergeSort{Input: route, Keys: []plan.SortKey{{Column: 0, Weight: -1}}}
			tasks := []plan.Task{oneTask("c0", c.arm), oneTask("c1", c.arm), oneTask("c0", c.arm)}
			for i := range tasks {
				tasks[i].Rename = &plan.Rename{Database: "shop_0", LogicalDatabase: "shop"}
			}
			one := "shop.users.id, shop.users.name\n1|a\n1|a\n1|a\n5|e\n5|e\n5|e\n"
			for run, want := range []string{"c0×2 c1×1", c.conns, c.again} {
				conns := newScriptedConns(t, "c0", "c1")
				conns.servers["c0"].united = c.united
				var taken []string
				var out bytes.Buffer
				req := c.req
				req.Conns, req.Out, req.DeprecateEOF = countedConns{conns, &taken}, wire.NewWriter(&out), true
				req.Bound = &plan.Bound{Plan: &plan.Plan{Root: root, ReadOnly: true}, Tasks: plan.Tasks{{Leaf: route, Tasks: tasks}}}
				got, err := Run(t.Context(), &req)
				require.NoError(t, err)
				require.NoError(t, req.Out.Flush())
				rows := one
				if c.rows != "" && (run > 0 || c.arm != arm) {
					rows = c.rows
				}
				require.Equal(t, rows, clientView(t, out.Bytes(), req.Params != nil, false), "run %d", run)
				require.Equal(t, want, strings.Join(taken, " "), "run %d", run)
				require.Equal(t, 3, got.Shards)
				conns.done()
				form := 0
				if req.Params != nil {
					form = 1
				}
				if h, ok := route.Learned[form].Load().(*habit); ok {
					h.apart, h.united, h.level, h.ratio, h.chosen, h.rest = tries, tries, 1, 1, false, 0 // however slow this machine is
					if c.habit != nil {
						c.habit(h)
					}
				}
			}
		})
	}
}

// countedConns notes how many connections were asked for.
type countedConns struct {
	*scriptedConns
	taken *[]string
}

func (c countedConns) Acquire(ctx context.Context, cluster string, target topology.Target, n int) ([]*backend.Conn, error) {
	*c.taken = append(*c.taken, cluster+"×"+strconv.Itoa(n))
	return c.scriptedConns.Acquire(ctx, cluster, target, n)
}

// Retract implements retractor.
func (c countedConns) Retract() { *c.taken = append(*c.taken, "retract") }
