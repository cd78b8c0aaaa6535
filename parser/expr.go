package parser

import (
	"sort"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// ItemSpan is one item of a select list.
type ItemSpan struct {
	// Span is the item with its alias. Expr is without it; it is right in
	// the blocks of Arms and of an INSERT's SELECT, in others it is the same as
	// Span.
	Span
	Expr Span
	bare Span // what Expr is if the item has an alias
}

// fillItems adds the parts of each clause: select items and keys.
func (o *outline) fillItems(sp *Spans) {
	for i := range sp.Blocks {
		b := &sp.Blocks[i]
		for _, s := range o.split(b.List) {
			b.Items = append(b.Items, ItemSpan{Span: s, Expr: s, bare: o.withoutAlias(s)})
		}
		b.GroupKeys = o.keys(b.GroupBy, 2)
		b.OrderKeys = o.keys(b.OrderBy, 2)
	}
	sp.Tail.OrderKeys = o.keys(sp.Tail.OrderBy, 2)
}

// tokenRange are the tokens of a span: from lo up to hi.
func (o *outline) tokenRange(s Span) (lo, hi int) {
	lo = sort.Search(len(o.tokens), func(i int) bool { return o.tokens[i].start >= s.Start })
	hi = sort.Search(len(o.tokens), func(i int) bool { return o.tokens[i].start >= s.End })
	return lo, hi
}

// split cuts a span at the commas outside of parentheses.
func (o *outline) split(s Span) []Span {
	lo, hi := o.tokenRange(s)
	return o.splitTokens(lo, hi)
}

func (o *outline) splitTokens(lo, hi int) (out []Span) {
	depth, from := 0, lo
	for i := lo; i <= hi && lo < hi; i++ {
		if i == hi || depth == 0 && o.isPunct(i, ',') {
			if from < i {
				out = append(out, Span{o.tokens[from].start, o.tokens[i-1].end})
			}
			from = i + 1
			continue
		}
		switch {
		case o.isPunct(i, '('):
			depth++
		case o.isPunct(i, ')'):
			depth--
		}
	}
	return out
}

// keys are the expressions of ORDER BY or GROUP BY without ASC, DESC and WITH
// ROLLUP; skip is the number of words before them.
func (o *outline) keys(s Span, skip int) []Span {
	lo, hi := o.tokenRange(s)
	lo += skip
	if lo >= hi {
		return nil
	}
	if o.kw(hi-2) == kwWith {
		hi -= 2 // WITH ROLLUP
	}
	keys := o.splitTokens(lo, hi)
	for i, k := range keys {
		_, end := o.tokenRange(k)
		last := o.tokens[end-1]
		if word := strings.ToUpper(o.text[last.start:last.end]); last.kind == tokenWord && end-2 >= 0 &&
			(word == "ASC" || word == "DESC") && o.tokens[end-2].end > k.Start {
			keys[i].End = o.tokens[end-2].end
		}
	}
	return keys
}

// withoutAlias leaves out the alias of an item that has one, and its AS.
func (o *outline) withoutAlias(s Span) Span {
	lo, hi := o.tokenRange(s)
	hi--
	if o.kw(hi-1) == kwAs {
		hi--
	}
	if hi <= lo {
		return s
	}
	return Span{s.Start, o.tokens[hi-1].end}
}

// ExprSpan is where an expression of the tree stands in Text, found by its
// beginning, which the tree knows, and by trying which end gives the same
// expression again. Errors wrap ErrCannotSplice.
func (s *Statement) ExprSpan(e ast.ExprNode) (Span, error) {
	want, err := restore(e)
	if err != nil {
		return Span{}, cannot("an expression cannot be written: %v", err)
	}
	o, err := newOutline(s.read(), s.Mode)
	if err != nil {
		return Span{}, err
	}
	start := e.OriginTextPosition()
	lo, _ := o.tokenRange(Span{Start: start})
	const tries = 64
	depth := 0
	for i, tried := lo, 0; i < len(o.tokens) && tried < tries && depth >= 0; i++ {
		switch {
		case o.isPunct(i, '('):
			depth++
		case o.isPunct(i, ')'):
			depth--
		}
		if depth != 0 || !o.mayEndExpr(i+1) {
			continue
		}
		tried++
		span := Span{o.tokens[lo].start, o.tokens[i].end}
		if s.sameExpr(s.Text[span.Start:span.End], want) {
			return span, nil
		}
	}
	return Span{}, cannot("the expression %s was not found in the text", want)
}

func (o *outline) mayEndExpr(next int) bool {
	return next >= len(o.tokens) || o.isPunct(next, ',') || o.isPunct(next, ')') ||
		o.tokens[next].kind != tokenPunct
}

func (s *Statement) sameExpr(text, want string) bool {
	p := parsers.Get().(*tidbParser)
	node, err := parseWith(p, "SELECT "+text, Options{Mode: s.Mode, Charset: s.charset, Collation: s.collation})
	parsers.Put(p)
	if err != nil {
		return false
	}
	sel, ok := node.(*ast.SelectStmt)
	if !ok || sel.From != nil || sel.Where != nil || sel.Limit != nil || sel.OrderBy != nil ||
		len(sel.Fields.Fields) != 1 {
		return false
	}
	field := sel.Fields.Fields[0]
	if field.Expr == nil || field.AsName.O != "" {
		return false
	}
	got, err := restore(field.Expr)
	return err == nil && got == want
}

// ExprText is the source of an expression, or where it cannot be found the
// expression as the tree writes it. Its ? are those of the text.
func (s *Statement) ExprText(e ast.ExprNode) string {
	if span, err := s.ExprSpan(e); err == nil {
		return s.Text[span.Start:span.End]
	}
	text, err := restore(e)
	if err != nil {
		return ""
	}
	return text
}

// Slice is the text of a span.
func (s *Statement) Slice(span Span) string { return s.Text[span.Start:span.End] }
