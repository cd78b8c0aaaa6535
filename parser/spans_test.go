package parser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// modeOf reads "ansi nobackslash" and so on from a case's arguments.
func modeOf(d *datadriven.TestData) Mode {
	var m Mode
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "ansi":
			m |= AnsiQuotes
		case "nobackslash":
			m |= NoBackslashEscapes
		case "pipes":
			m |= PipesAsConcat
		}
	}
	return m
}

// TestSplice gives every table another database and name, as the router does.
func TestSplice(t *testing.T) {
	datadriven.RunTest(t, "testdata/splice.txt", func(t *testing.T, d *datadriven.TestData) string {
		s := Parse([]byte(d.Input), Options{Mode: modeOf(d)})
		sp, err := s.Spans()
		if err != nil {
			return fmt.Sprintf("error: %v\n", err)
		}
		return splice(s, sp) + "\n"
	})
}

// splice renames every table t to p.t_1.
func splice(s *Statement, sp *Spans) string {
	var edits []edit
	for _, t := range sp.Tables {
		edits = append(edits, edit{t.Span, "p." + t.Name.Table + "_1"})
		if t.Aliasable && t.Alias == "" {
			edits = append(edits, edit{Span{t.AliasAt, t.AliasAt}, " AS " + t.Name.Table})
		}
	}
	for _, q := range sp.Qualifiers {
		if t := sp.Tables[q.Table]; t.Aliasable {
			edits = append(edits, edit{q.Schema, ""})
		} else {
			edits = append(edits, edit{q.Span, t.Name.Table + "_1"})
		}
	}
	return applyEdits(s.Text, edits)
}

func TestBytesThatAreNoUTF8StayInStrings(t *testing.T) {
	s := Parse([]byte("SELECT 'x\xe9' 'y' FROM t WHERE b = '\xff'"), Options{Charset: "latin1", Collation: "latin1_swedish_ci"})
	sp, err := s.Spans()
	require.NoError(t, err)
	require.Equal(t, "SELECT 'x\xe9' 'y' FROM p.t_1 AS t WHERE b = ?", splice(s, sp))
}

func TestNamesThatAreNoUTF8AreNotSpliced(t *testing.T) {
	s := Parse([]byte("SELECT a FROM t\xe9"), Options{Charset: "latin1", Collation: "latin1_swedish_ci"})
	_, err := s.Spans()
	require.ErrorIs(t, err, ErrCannotSplice)
}

// TestSpans prints what the router edits by.
func TestSpans(t *testing.T) {
	datadriven.RunTest(t, "testdata/spans.txt", func(t *testing.T, d *datadriven.TestData) string {
		s := Parse([]byte(d.Input), Options{Mode: modeOf(d)})
		sp, err := s.Spans()
		if err != nil {
			return fmt.Sprintf("error: %v\n", err)
		}
		return describe(s, sp)
	})
}

// describe prints each span as the text it covers.
func describe(s *Statement, sp *Spans) string {
	var b strings.Builder
	show := func(indent, name string, span Span) {
		if !span.Empty() {
			fmt.Fprintf(&b, "%s%s: %s\n", indent, name, s.Text[span.Start:span.End])
		}
	}
	tail := func(indent string, t Tail) {
		show(indent, "order", t.OrderBy)
		for _, k := range t.OrderKeys {
			show(indent+"  ", "key", k)
		}
		show(indent, "limit", t.Limit.Span)
		show(indent, "  count", t.Limit.Count)
		show(indent, "  offset", t.Limit.Offset)
		show(indent, "into", t.Into)
		show(indent, "lock", t.Lock)
	}
	fmt.Fprintf(&b, "text: %s\n", s.Text)
	for _, t := range sp.Tables {
		fmt.Fprintf(&b, "table %s block=%d alias=%q aliasable=%v\n", s.Text[t.Start:t.End], t.Block, t.Alias, t.Aliasable)
		show("  ", "index hints", t.IndexHints)
	}
	for _, q := range sp.Qualifiers {
		fmt.Fprintf(&b, "qualifier %s schema=%q table=%d\n", s.Text[q.Start:q.End], s.Text[q.Schema.Start:q.Schema.End], q.Table)
	}
	for _, c := range sp.CTEs {
		fmt.Fprintf(&b, "cte %s: %s %s\n", c.Node.Name.O, s.Text[c.Name.Start:c.Name.End], s.Text[c.Body.Start:c.Body.End])
	}
	for _, r := range sp.CTERefs {
		fmt.Fprintf(&b, "cte reference %s block=%d alias=%q to=%d\n", s.Text[r.Start:r.End], r.Block, r.Alias, r.CTE)
	}
	for i, k := range sp.Blocks {
		fmt.Fprintf(&b, "block %d parent=%d: %s\n", i, k.Parent, s.Text[k.Start:k.End])
		show("  ", "list", k.List)
		for _, it := range k.Items {
			show("    ", "item", it.Expr)
		}
		show("  ", "from", k.From)
		show("  ", "where", k.Where)
		show("  ", "group", k.GroupBy)
		for _, g := range k.GroupKeys {
			show("    ", "key", g)
		}
		show("  ", "having", k.Having)
		show("  ", "window", k.Window)
		tail("  ", k.Tail)
	}
	if len(sp.Arms) > 1 {
		fmt.Fprintf(&b, "arms %v\n", sp.Arms)
	}
	tail("tail ", sp.Tail)
	if in := sp.Insert; in != nil {
		show("", "columns", in.Columns)
		show("", "values", in.Values)
		for _, r := range in.Rows {
			show("  ", "row", r.Span)
			for _, e := range r.Elems {
				show("    ", "elem", e)
			}
		}
		show("", "set", in.Set)
		if in.Select >= 0 {
			fmt.Fprintf(&b, "select: block %d\n", in.Select)
		}
		show("", "duplicate", in.OnDuplicate)
	}
	return b.String()
}
