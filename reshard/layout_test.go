package reshard_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/control"
	"github.com/servaldb/serval/reshard"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// TestLayout: the tables of schema shop under the running rules, --- and under the
// new ones (with schemas: or clusters: whole files), --- and the tables as the
// servers have them; out comes what moves, and what stands in the way.
func TestLayout(t *testing.T) {
	datadriven.RunTest(t, "testdata/layout.txt", func(t *testing.T, d *datadriven.TestData) string {
		parts := strings.Split(d.Input, "---\n")
		if strings.HasSuffix(d.Input, "---") { // no tables
			parts = strings.Split(d.Input+"\n", "---\n")
		}
		require.Len(t, parts, 3, "the rules now, the rules then, the tables")
		from, to := rulesOf(t, "now.yaml", parts[0]), rulesOf(t, "new.yaml", parts[1])
		both, err := control.BuildBoth(from, to, factsOf(t, from, parts[2]), nil)
		if err != nil {
			return err.Error() + "\n"
		}
		layout, obstacles := reshard.Between(both.Old, both.Next)
		return layoutText(layout, obstacles)
	})
}

func rulesOf(t *testing.T, name, text string) *config.Config {
	t.Helper()
	if !strings.Contains(text, "schemas:") {
		text = "schemas:\n  shop:\n    tables:\n      " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      ") + "\n"
		text = strings.ReplaceAll(text, "tables:\n      \n", "tables: {}\n")
	}
	if !strings.Contains(text, "clusters:") {
		text = "clusters: {c0: {primary: 'h0:1'}, c1: {primary: 'h1:1'}, c2: {primary: 'h2:1'}}\n" + text
	}
	if !strings.Contains(text, "\nhome:") {
		text = "home: c0\n" + text
	}
	cfg, err := config.Parse(name, []byte(text+"\nusers: [{name: app, password: x}]\nbackend: {user: serval, password: x}\n"))
	require.NoError(t, err)
	return cfg
}

// factsOf reads lines like: users: id bigint, email varchar; primary id; unique email; months 2026-10 2026-11.
func factsOf(t *testing.T, rules *config.Config, text string) control.Facts {
	t.Helper()
	facts := control.Facts{Now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Tables: map[control.TableName]*control.TableFact{},
		Plain: map[control.TableName]*control.TableFact{}, Collations: map[string]catalog.Collation{"utf8mb4_0900_bin": {Name: "utf8mb4_0900_bin"}}}
	ruled := map[string]bool{}
	for i := range rules.Schemas {
		for j := range rules.Schemas[i].Tables {
			ruled[rules.Schemas[i].Tables[j].Name] = true
		}
	}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), ": ")
		require.True(t, ok, line)
		columns, clauses, _ := strings.Cut(rest, "; ")
		fact := &control.TableFact{}
		for c := range strings.SplitSeq(columns, ", ") {
			column, kind, _ := strings.Cut(c, " ")
			info := shardrule.ColumnInfo{Name: column, DataType: kind, ColumnType: kind, Nullable: "NO"}
			if kind == "varchar" {
				info.Collation, info.CharLength = "utf8mb4_0900_bin", "100"
			}
			fact.Columns = append(fact.Columns, catalog.Column{Column: shardrule.ColumnFrom(info), DataType: kind})
		}
		for clause := range strings.SplitSeq(clauses, "; ") {
			words := strings.Fields(clause)
			switch {
			case len(words) == 0:
			case words[0] == "primary":
				fact.PrimaryKey = words[1:]
			case words[0] == "unique":
				fact.UniqueKeys, fact.UniqueNames = append(fact.UniqueKeys, words[1:]), append(fact.UniqueNames, words[1])
				var index catalog.Index
				for _, w := range words[1:] {
					index = append(index, catalog.IndexColumn{Name: w})
				}
				fact.Indexes = append(fact.Indexes, index)
			case words[0] == "follows":
				facts.Follows = map[control.TableName]string{{Schema: "shop", Table: name}: ""}
			case words[0] == "months":
				for _, w := range words[1:] {
					p, ok := shardrule.Calendar{Unit: shardrule.Month}.Named(w)
					require.True(t, ok, w)
					fact.Periods = append(fact.Periods, p)
				}
			}
		}
		if ruled[name] {
			facts.Tables[control.TableName{Schema: "shop", Table: name}] = fact
		} else {
			facts.Plain[control.TableName{Schema: "shop", Table: name}] = fact
		}
	}
	return facts
}

func layoutText(layout *reshard.Layout, obstacles []reshard.Obstacle) string {
	var out strings.Builder
	at := func(s topology.Shard) string { return s.Cluster + " " + s.Database + "." + s.Table }
	for _, t := range layout.Tables {
		fmt.Fprintf(&out, "%s.%s\n", t.Schema, t.Name)
		for _, s := range t.Sources {
			fmt.Fprintf(&out, "  from  %s\n", at(s))
		}
		for _, x := range t.Targets {
			fmt.Fprintf(&out, "  to %d  %s as %s\n", x.Index, at(x.Shard), x.New)
		}
		if len(t.Stays) > 0 {
			fmt.Fprintf(&out, "  stays %d\n", t.Stays)
		}
		for _, x := range t.Aside {
			fmt.Fprintf(&out, "  aside %s as %s\n", at(x.Shard), x.Old)
		}
	}
	for _, o := range obstacles {
		word := "no"
		if o.Remark {
			word = "remark"
		}
		fmt.Fprintf(&out, "%s: %s\n", word, o)
	}
	if out.Len() == 0 {
		return "nothing moves\n"
	}
	return out.String()
}
