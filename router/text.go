package router

import (
	"sort"
	"strings"
	"unicode"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// edit replaces a range of the statement's text.
type edit struct {
	span parser.Span
	with plan.Template
}

func text(s string) plan.Template { return plan.Template{{Kind: plan.ChunkText, Text: s}} }

func insertAt(at int, t plan.Template) edit { return edit{parser.Span{Start: at, End: at}, t} }

// splice is the part of the statement's text within the range with the edits
// made and its values left open.
func splice(st *parser.Statement, within parser.Span, edits []edit) plan.Template {
	sort.SliceStable(edits, func(i, j int) bool { return edits[i].span.Start < edits[j].span.Start })
	var out plan.Template
	at := within.Start
	for _, e := range edits {
		if e.span.Start < at || e.span.End > within.End {
			continue
		}
		out = appendPieces(out, st.Pieces(at, e.span.Start))
		out = append(out, e.with...)
		at = e.span.End
	}
	return trimRight(compact(appendPieces(out, st.Pieces(at, within.End))))
}

// trimRight drops the space a removed last clause leaves.
func trimRight(t plan.Template) plan.Template {
	if n := len(t); n > 0 && t[n-1].Kind == plan.ChunkText {
		t[n-1].Text = strings.TrimRight(t[n-1].Text, " ")
	}
	return t
}

func appendPieces(out plan.Template, pieces []parser.Piece) plan.Template {
	for _, p := range pieces {
		if p.Value >= 0 {
			out = append(out, plan.Chunk{Kind: plan.ChunkValue, Index: p.Value})
		} else {
			out = append(out, plan.Chunk{Kind: plan.ChunkText, Text: p.Text})
		}
	}
	return out
}

// compact joins neighbouring texts.
func compact(t plan.Template) plan.Template {
	var out plan.Template
	for _, c := range t {
		if n := len(out); n > 0 && c.Kind == plan.ChunkText && out[n-1].Kind == plan.ChunkText {
			out[n-1].Text += c.Text
			continue
		}
		out = append(out, c)
	}
	return out
}

// tableEdits gives the tables of the text their physical names, and the refs
// of the names in the same order as plan.ChunkTable counts them.
func (p *planning) tableEdits(within parser.Span) ([]edit, []plan.TableRef, error) {
	sp, err := p.spans()
	if err != nil {
		return nil, nil, err
	}
	var edits []edit
	var refs []plan.TableRef
	index := map[int]int{}
	for i, t := range sp.Tables {
		entry := p.lookup(t.Name)
		if t.Start < within.Start || t.End > within.End || entry == nil || entry.Placement == nil {
			continue
		}
		ref := plan.TableRef{Placement: entry.Placement, Label: p.labelled(sp, t.Span)}
		switch {
		case t.Alias != "" || !t.Aliasable:
		case t.AliasAt != t.End:
			edits = append(edits, insertAt(t.AliasAt, text(" AS "+sqlval.QuoteName(t.Name.Table))))
		default:
			ref.Alias = t.Name.Table
		}
		index[i] = len(refs)
		edits = append(edits, edit{t.Span, plan.Template{{Kind: plan.ChunkTable, Index: len(refs)}}})
		refs = append(refs, ref)
	}
	for _, q := range sp.Qualifiers {
		at, ok := index[q.Table]
		if !ok || q.Start < within.Start || q.End > within.End {
			continue
		}
		switch t := sp.Tables[q.Table]; {
		case t.Aliasable && t.Alias == "":
			if !q.Schema.Empty() {
				edits = append(edits, edit{q.Schema, nil})
			}
		case !t.Aliasable:
			edits = append(edits, edit{q.Span, plan.Template{{Kind: plan.ChunkTable, Index: at}}})
		}
	}
	if _, wordy := p.st.Returning(); wordy && len(refs) > 0 {
		return nil, nil, sqlerr.Refuse("this RETURNING", "a column's name would have the shard's table in it", "give the expression a name with AS, or write its columns without their table")
	}
	return append(edits, p.labelEdits(sp)...), refs, nil
}

// labelled is what is written there, if it is part of an item of the select list
// whose label is its text.
func (p *planning) labelled(sp *parser.Spans, at parser.Span) string {
	if len(sp.Arms) == 0 {
		return ""
	}
	for _, item := range sp.Blocks[sp.Arms[0]].Items {
		if at.Start >= item.Start && at.End <= item.End && item.Span == item.Expr {
			return p.st.Slice(at)
		}
	}
	return ""
}

// labelEdits name the items whose label is their text, of which a schema's name
// is taken out, as they were written.
func (p *planning) labelEdits(sp *parser.Spans) []edit {
	var edits []edit
	for _, q := range sp.Qualifiers {
		if q.Schema.Empty() || sp.Tables[q.Table].Alias != "" || len(sp.Arms) == 0 {
			continue
		}
		for _, item := range sp.Blocks[sp.Arms[0]].Items {
			label := p.st.Slice(item.Span)
			if q.Start < item.Start || q.End > item.End || item.Span != item.Expr || loneColumn(label) ||
				strings.ContainsAny(label, "?\n") || len(label) > longestLabel || tablesIn(sp, item.Span) > 0 {
				continue
			}
			if n := len(edits); n == 0 || edits[n-1].span.Start != item.End {
				edits = append(edits, insertAt(item.End, text(" AS "+sqlval.QuoteName(label))))
			}
		}
	}
	return edits
}

// loneColumn: the item is a column's name and nothing else; its label is that.
func loneColumn(item string) bool {
	for _, c := range item {
		if c != '.' && c != '_' && c != '$' && c != '`' && c != '"' && !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsSpace(c) {
			return false
		}
	}
	return true
}

// route makes a Route of the statement's text within the range, its tables
// named physically and the edits made.
func (p *planning) route(c plan.Choice, edits []edit) (*plan.Route, error) {
	tables, refs, err := p.tableEdits(p.within)
	if err != nil {
		return nil, err
	}
	return &plan.Route{
		Choice: c, Target: p.target(), Tables: refs,
		SQL: splice(p.st, p.within, append(tables, edits...)),
	}, nil
}

func quoteText(s string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), "'", "''") + "'"
}

// restorer collects an expression's text as TiDB prints it, with a hole for
// each parameter.
type restorer struct {
	st      *parser.Statement
	markers []int
	out     plan.Template
	bad     bool
}

// Write implements format.RestoreWriter.
func (r *restorer) Write(b []byte) (int, error) { return r.WriteString(string(b)) }

// WriteString implements format.RestoreWriter: a parameter is written as a ?
// of its own.
func (r *restorer) WriteString(s string) (int, error) {
	switch {
	case s != "?":
		r.out = append(r.out, plan.Chunk{Kind: plan.ChunkText, Text: s})
	case len(r.markers) == 0:
		r.bad = true
	default:
		r.out = append(r.out, plan.Chunk{Kind: plan.ChunkValue, Index: r.markers[0]})
		r.markers = r.markers[1:]
	}
	return len(s), nil
}

// Enter implements ast.Visitor, collecting the parameters.
func (r *restorer) Enter(n ast.Node) (ast.Node, bool) {
	if e, ok := n.(ast.ParamMarkerExpr); ok {
		if op, ok := r.st.Operand(e); ok && op.Value >= 0 {
			r.markers = append(r.markers, op.Value)
		} else {
			r.bad = true
		}
	}
	return n, false
}

// Leave implements ast.Visitor.
func (r *restorer) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// restoreFlags: names quoted, without their schema, which the tables' aliases
// do not have.
const restoreFlags = format.RestoreStringSingleQuotes | format.RestoreKeyWordUppercase |
	format.RestoreNameBackQuotes | format.RestoreSpacesAroundBinaryOperation |
	format.RestoreStringWithoutDefaultCharset | format.RestoreWithoutSchemaName |
	format.RestoreStringEscapeBackslash

// exprSQL is the expression as SQL of its own; false where it cannot be had.
// A subquery cannot: its tables would keep their logical names.
func exprSQL(st *parser.Statement, e ast.ExprNode) (plan.Template, bool) {
	if len(findSubqueries(e)) > 0 {
		return nil, false
	}
	r := &restorer{st: st}
	e.Accept(r)
	if err := e.Restore(format.NewRestoreCtx(restoreFlags, r)); err != nil || r.bad || len(r.markers) > 0 {
		return nil, false
	}
	return compact(r.out), true
}
