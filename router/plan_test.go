package router

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/router/plan"
)

// TestPlans runs testdata/plan. Each case is SQL and the plan, with a reason
// above it. The oracle (package integration) runs the same SQL on real servers
// and compares with a plain one; args of the command tell it what to leave out:
// unordered (rows may come in any order), random (values differ by run), skip
// (says nothing about rows).
func TestPlans(t *testing.T) {
	cat := shop(t)
	datadriven.Walk(t, "testdata/plan", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "plan" {
				t.Fatalf("unknown command %q", d.Cmd)
			}
			db := "shop"
			d.MaybeScanArgs(t, "db", &db)
			var visible []string
			if d.HasArg("visible") {
				visible = make([]string, 1)
				d.ScanArgs(t, "visible", &visible[0])
			}
			cat := cat
			if d.HasArg("off") {
				cat = shop(t)
				cat.Off = off(t, d)
			}
			p, b, err := planTextFor(t, cat, strings.TrimPrefix(db, "none"), visible, d.Input)
			if err != nil {
				return err.Error() + "\n"
			}
			return plan.Format(p, b) + notes(p)
		})
	})
}

// off is the part that a case's off= turns off.
func off(t *testing.T, d *datadriven.TestData) (o catalog.Off) {
	var part string
	d.ScanArgs(t, "off", &part)
	parts := map[string]*bool{"scatter": &o.Scatter, "finisher": &o.Finisher, "staged_writes": &o.StagedWrites, "ddl": &o.DDL}
	require.Contains(t, parts, part)
	*parts[part] = true
	return o
}

// notes are what a plan does to its session.
func notes(p *plan.Plan) string {
	var s string
	if p.Effects.Pins != "" {
		s += "pins: " + p.Effects.Pins + "\n"
	}
	if len(p.Effects.UserVars) > 0 {
		s += "assigns: " + strings.Join(p.Effects.UserVars, " ") + "\n"
	}
	for _, t := range p.Effects.Schema {
		s += "changes: " + t.Schema + "." + t.Table + "\n"
	}
	return s
}
