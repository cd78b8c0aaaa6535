package merge

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// TestMerge runs the cases of testdata: the columns, each shard's rows, then
// the plan from the inside out. Each runs with text rows and with binary ones,
// which must give the same.
func TestMerge(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			require.Equal(t, "run", d.Cmd)
			text := runCase(t, d, false)
			require.Equal(t, text, runCase(t, d, true), "%s: binary rows give something else", d.Pos)
			return text
		})
	})
}

// testCase is one case being read.
type testCase struct {
	t      *testing.T
	binary bool
	cols   []wire.Column
	leaves []Rows
	plan   plan.Node
	opt    *Options
	arms   map[plan.Node][]Rows
}

func runCase(t *testing.T, d *datadriven.TestData, bin bool) string {
	c := &testCase{t: t, binary: bin, arms: map[plan.Node][]Rows{}}
	c.opt = &Options{Binary: bin, Limits: map[*plan.Limit]plan.ResolvedLimit{}, Budget: &Budget{Limit: 1 << 20},
		Leaf: func(n plan.Node) ([]Rows, error) { return c.arms[n], nil }}
	if d.HasArg("pad") {
		c.opt.PadWeight = testPad
	}
	if d.HasArg("budget") {
		d.ScanArgs(t, "budget", &c.opt.Budget.Limit)
	}
	var part *fakeRows
	for _, line := range strings.Split(d.Input, "\n") {
		switch word, rest, _ := strings.Cut(line, " "); {
		case word == "columns":
			c.endRoute()
			c.cols, part = testColumns(t, rest), nil
		case word == "shard":
			cols := c.cols
			if rest != "" {
				cols = testColumns(t, rest)
			}
			part = &fakeRows{cols: cols}
			c.leaves = append(c.leaves, part)
		case word == ">":
			c.node(rest)
		default:
			part.rows = append(part.rows, testRow(t, part.cols, line, bin))
		}
	}
	c.endRoute()
	return c.run()
}

func (c *testCase) endRoute() {
	if c.leaves == nil {
		return
	}
	route := &plan.Route{}
	c.arms[route] = c.leaves
	c.leaves = nil
	if c.plan == nil {
		c.plan = route
		return
	}
	c.plan = &plan.Union{Inputs: []plan.Node{c.plan, route}}
}

func (c *testCase) run() string {
	rows, err := Build(c.plan, c.opt)
	require.NoError(c.t, err)
	cols, lines, err := collect(c.t, rows, c.binary)
	var out strings.Builder
	for i := range cols {
		fmt.Fprintf(&out, "%s %s", cols[i].Name, typeName(&cols[i]))
		if cols[i].Type == wire.TypeNewDecimal {
			fmt.Fprintf(&out, "(%d)", cols[i].Decimals)
		}
		out.WriteString(map[bool]string{true: "\n", false: ", "}[i == len(cols)-1])
	}
	for _, l := range lines {
		fmt.Fprintln(&out, l)
	}
	if err != nil {
		fmt.Fprintln(&out, sqlerr.From(err).Error())
	}
	return out.String()
}

func (c *testCase) node(line string) {
	c.endRoute()
	words := strings.Fields(line)
	switch in := c.plan; words[0] {
	case "hidden":
		in.(*plan.Route).Hidden = c.number(words[1])
	case "mergesort":
		c.plan = &plan.MergeSort{Input: in, Keys: c.sortKeys(words[1:])}
	case "sort":
		c.plan = &plan.Sort{Input: in, Keys: c.sortKeys(words[1:])}
	case "distinct":
		c.plan = &plan.Distinct{Input: in, Keys: c.sortKeys(words[1:])}
	case "limit":
		n := &plan.Limit{Input: in}
		c.opt.Limits[n] = plan.ResolvedLimit{Count: uint64(c.number(words[1])), Offset: uint64(c.number(words[2]))}
		c.plan = n
	case "order": // a sort by an output of the aggregate below
		for i, out := range in.(*plan.Aggregate).Outputs {
			if "-"+out.Label == words[1] {
				c.plan = &plan.Sort{Input: in, Keys: []plan.SortKey{{Column: i, Desc: true, Weight: -1}}}
			}
		}
	case "project":
		c.plan = &plan.Project{Input: in, Keep: c.number(words[1])}
	case "aggregate":
		c.plan = c.aggregate(in, words[1:])
	default:
		c.t.Fatalf("no such node: %s", line)
	}
}

func (c *testCase) number(s string) int {
	n, err := strconv.Atoi(s)
	require.NoError(c.t, err)
	return n
}

func (c *testCase) column(name string) int {
	for i := range c.cols {
		if string(c.cols[i].Name) == name {
			return i
		}
	}
	c.t.Fatalf("no column %q", name)
	return -1
}

// sortKeys reads "name", "-name" (descending), "name:weight".
func (c *testCase) sortKeys(words []string) []plan.SortKey {
	var by []plan.SortKey
	for _, w := range words {
		name, weight, _ := strings.Cut(strings.TrimPrefix(w, "-"), ":")
		key := plan.SortKey{Column: c.column(name), Desc: w[0] == '-', Weight: -1}
		if weight != "" {
			key.Weight = c.column(weight)
		}
		by = append(by, key)
	}
	return by
}

var testFuncs = map[string]plan.Func{"keep": plan.FuncKeep, "count": plan.FuncCount, "sum": plan.FuncSum,
	"min": plan.FuncMin, "max": plan.FuncMax, "avg": plan.FuncAvg}

// aggregate reads "group=a,b:w" and outputs "sum(x)", "min(x:w)", "avg(s:n)", each with "=label".
func (c *testCase) aggregate(in plan.Node, words []string) plan.Node {
	a := &plan.Aggregate{Input: in}
	for _, w := range words {
		if shown, ok := strings.CutPrefix(w, "shown="); ok {
			a.Shown = c.number(shown)
			continue
		}
		if keys, ok := strings.CutPrefix(w, "group="); ok {
			a.Group = c.sortKeys(strings.Split(keys, ","))
			continue
		}
		call, label, _ := strings.Cut(w, "=")
		name, arg, _ := strings.Cut(strings.TrimSuffix(call, ")"), "(")
		fn, ok := testFuncs[name]
		require.True(c.t, ok, "function %q", name)
		arg, second, two := strings.Cut(arg, ":")
		out := plan.Output{Func: fn, Column: c.column(arg), Weight: -1, Label: label}
		if two && fn == plan.FuncAvg {
			out.Column2 = c.column(second)
		} else if two {
			out.Weight = c.column(second)
		}
		a.Outputs = append(a.Outputs, out)
	}
	return a
}
