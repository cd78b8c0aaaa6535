package executor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// TestRun runs the cases of testdata: one line a task (its cluster, and what
// the server there does), then what the client was sent, and how the
// connections ended. Arguments: prepared, one (a connection a cluster), keep,
// write, insert, upsert, copies, eof, budget=N, fails=C,
// statements=N (what a connection keeps prepared), number, several, order.
func TestRun(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			require.Equal(t, "run", d.Cmd)
			return newRunCase(t, d).run()
		})
	})
}

type runCase struct {
	t     *testing.T
	d     *datadriven.TestData
	conns *scriptedConns
	req   Request
	out   bytes.Buffer
}

func newRunCase(t *testing.T, d *datadriven.TestData) *runCase {
	c := &runCase{t: t, d: d, conns: newScriptedConns(t, "c0", "c1")}
	bound := &plan.Bound{Tasks: plan.Tasks{}, Limits: map[*plan.Limit]plan.ResolvedLimit{}}
	leaf := c.leaf()
	root, shard := leaf, 0
	for _, line := range strings.Split(d.Input, "\n") {
		word, rest, _ := strings.Cut(line, " ")
		target := topology.TargetReplica
		if strings.HasSuffix(word, "!") {
			word, target = strings.TrimSuffix(word, "!"), topology.TargetPrimary
		}
		switch word {
		case ">":
			root = c.node(bound, root, rest)
		case "--": // the next leaf
			leaf = c.leaf()
			root = &plan.Union{Inputs: []plan.Node{root, leaf}}
		default:
			task := oneTask(word, rest)
			task.Shard, task.Target = shard, target
			for i := range strings.Count(rest, "?") {
				task.Markers = append(task.Markers, i)
			}
			task.Rename = &plan.Rename{Database: fmt.Sprintf("shop_%d", shard), LogicalDatabase: "shop"}
			bound.Tasks.Add(leaf, []plan.Task{task})
			shard++
		}
	}
	bound.Plan = &plan.Plan{Root: root, ReadOnly: !d.HasArg("write") && !d.HasArg("insert") && !d.HasArg("copies")}
	c.req = Request{Bound: bound, Conns: c.conns, Out: wire.NewWriter(&c.out), drainTime: 500 * time.Millisecond, DeprecateEOF: !d.HasArg("eof"), KeepConns: d.HasArg("keep")}
	c.arguments()
	return c
}

func (c *runCase) arguments() {
	if c.d.HasArg("prepared") {
		c.req.Params = scriptedParams{}
	}
	if c.d.HasArg("one") {
		c.conns.most = 1
	}
	if c.d.HasArg("fails") {
		c.d.ScanArgs(c.t, "fails", &c.conns.fails)
	}
	if c.d.HasArg("statements") {
		c.d.ScanArgs(c.t, "statements", &c.conns.statements)
	}
	if c.d.HasArg("budget") {
		c.d.ScanArgs(c.t, "budget", &c.req.MemoryBudget)
	}
	if c.d.HasArg("number") {
		c.d.ScanArgs(c.t, "number", &c.req.Bound.FirstNumber)
	}
	if c.d.HasArg("several") {
		c.req.EndOfResult = func(ok wire.OK, columns int) error {
			return c.req.Out.Packet(fmt.Appendf(nil, "EndOfRes: columns=%d more=%t", columns, ok.Status&wire.StatusMoreResults != 0))
		}
	}
}

func (c *runCase) leaf() plan.Node {
	switch {
	case c.d.HasArg("insert"):
		return &plan.Insert{Upsert: c.d.HasArg("upsert")}
	case c.d.HasArg("copies"):
		return &plan.Route{Choice: plan.Choice{Kind: plan.ChooseCopies}}
	}
	return &plan.Route{}
}

func (c *runCase) node(b *plan.Bound, in plan.Node, line string) plan.Node {
	words := strings.Fields(line)
	switch words[0] {
	case "mergesort":
		return &plan.MergeSort{Input: in, Keys: []plan.SortKey{{Column: 0, Weight: -1}}}
	case "limit":
		n := &plan.Limit{Input: in}
		var count uint64
		_, err := fmt.Sscan(words[1], &count)
		require.NoError(c.t, err)
		b.Limits[n] = plan.ResolvedLimit{Count: count}
		return n
	case "count":
		return &plan.Aggregate{Input: in, Outputs: []plan.Output{{Func: plan.FuncCount, Weight: -1}}}
	case "columns":
		_, err := fmt.Sscan(words[1], &in.(*plan.Route).Columns)
		require.NoError(c.t, err)
		return in
	case "then":
		next := &plan.Route{}
		b.Tasks.Add(next, []plan.Task{oneTask(words[1], strings.Join(words[2:], " "))})
		return &plan.Sequence{Steps: []plan.Node{in, next}}
	}
	c.t.Fatalf("no such node: %s", line)
	return nil
}

func (c *runCase) run() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := Run(ctx, &c.req)
	require.NoError(c.t, c.req.Out.Flush())
	var b strings.Builder
	b.WriteString(clientView(c.t, c.out.Bytes(), c.req.Params != nil, !c.req.DeprecateEOF))
	if err != nil {
		fmt.Fprintf(&b, "%s retry=%t\n", c.plain(sqlerr.From(err).Error()), sqlerr.SafeToRetry(err))
	} else {
		fmt.Fprintf(&b, "columns=%d rows=%d shards=%d affected=%d id=%d warnings=%d info=%q", out.Columns, out.Rows, out.Shards,
			out.OK.AffectedRows, out.OK.LastInsertID, out.OK.Warnings, out.OK.Info)
		var gtids []string
		for cluster, g := range out.GTIDs {
			gtids = append(gtids, " "+cluster+"="+g)
		}
		sort.Strings(gtids)
		b.WriteString(strings.Join(gtids, "") + "\n")
	}
	fmt.Fprintf(&b, "released: %s\n", c.conns.done())
	if c.d.HasArg("order") {
		fmt.Fprintf(&b, "acquired: %s\n", strings.Join(c.conns.order, ", "))
	}
	return b.String()
}

// plain takes servers' addresses out of a message.
func (c *runCase) plain(msg string) string {
	for name, s := range c.conns.servers {
		msg = strings.ReplaceAll(msg, s.server.Addr, name)
	}
	return msg
}

func TestCancellingEndsAWaitAndReleasesEverything(t *testing.T) {
	conns := newScriptedConns(t, "c0", "c1")
	root := &plan.Route{}
	req := Request{Conns: conns, Out: wire.NewWriter(io.Discard), Bound: &plan.Bound{
		Plan:  &plan.Plan{Root: root, ReadOnly: true},
		Tasks: plan.Tasks{{Leaf: root, Tasks: []plan.Task{oneTask("c0", "stall"), oneTask("c1", "rows a int / 1")}}}}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := Run(ctx, &req)
		done <- err
	}()
	require.Eventually(t, func() bool { return strings.Contains(fmt.Sprint(conns.servers["c0"].server.Log()), "stall") },
		5*time.Second, time.Millisecond)
	cancel()
	select {
	case err := <-done:
		require.Equal(t, uint16(sqlerr.QueryInterrupted), sqlerr.From(err).Code)
	case <-time.After(8 * time.Second):
		t.Fatal("Run did not return")
	}
	conns.done()
}

func TestAClientThatHasGoneEndsTheStatement(t *testing.T) {
	conns := newScriptedConns(t, "c0", "c1")
	root := &plan.Route{}
	out := wire.NewWriter(failingWriter{})
	req := Request{Conns: conns, Out: out, Bound: &plan.Bound{
		Plan:  &plan.Plan{Root: root, ReadOnly: true},
		Tasks: plan.Tasks{{Leaf: root, Tasks: []plan.Task{oneTask("c0", "rows a int / flood"), oneTask("c1", "rows a int / flood")}}}}}
	_, err := Run(context.Background(), &req)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.Equal(t, "c0 given up, c1 given up", conns.done())
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestAConstIsAnsweredWithoutAServer(t *testing.T) {
	for _, bin := range []bool{false, true} {
		var buf bytes.Buffer
		root := &plan.Const{Columns: []string{"Route", "Why"}, Rows: [][]string{{"single", "id = 1"}, {"", "x"}}}
		req := Request{Out: wire.NewWriter(&buf), Bound: &plan.Bound{Plan: &plan.Plan{Root: root}}}
		if bin {
			req.Params = scriptedParams{}
		}
		out, err := Run(context.Background(), &req)
		require.NoError(t, err)
		require.Equal(t, Outcome{Columns: 2, Rows: 2}, out)
		require.NoError(t, req.Out.Flush())
		require.Equal(t, "..Route, ..Why\nsingle|id = 1\n|x\n", clientView(t, buf.Bytes(), bin, true))
	}
}
