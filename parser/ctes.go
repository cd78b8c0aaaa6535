package parser

import (
	"slices"
	"sort"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// CTESpan is one definition of a WITH clause: name [(columns)] AS (query).
type CTESpan struct {
	Span
	// Name is where its name stands, Body what is within its query's
	// parentheses, with these.
	Name, Body Span
	Node       *ast.CommonTableExpression
}

// CTERef is a reference to a CTE in a FROM clause.
type CTERef struct {
	TableSpan
	// CTE is the index in CTEs of what it means.
	CTE int
}

// ctes fills in where CTEs are defined and read; nodes are the candidates'
// places in the tree. A table stands within a definition in the text where it
// does in the tree: so the spans are known to be right.
func (o *outline) ctes(sp *Spans, node ast.StmtNode, nodes []*ast.TableName) error {
	if !slices.ContainsFunc(o.tokens, func(t outlineToken) bool { return t.kw == kwWith }) {
		return nil
	}
	v := cteVisitor{sources: map[*ast.TableName]*ast.TableSource{}, means: map[*ast.TableName]*ast.CommonTableExpression{},
		within: map[*ast.TableName][]*ast.CommonTableExpression{}}
	node.Accept(&v)
	for i := range o.tokens {
		if o.kw(i) == kwWith {
			o.withList(sp, i+1)
		}
	}
	slices.SortFunc(sp.CTEs, func(a, b CTESpan) int { return a.Start - b.Start })
	if len(sp.CTEs) != len(v.all) {
		return cannot("%d CTEs were found, not %d", len(sp.CTEs), len(v.all))
	}
	index := map[*ast.CommonTableExpression]int{}
	for i, c := range v.all {
		first := slices.IndexFunc(o.tokens, func(t outlineToken) bool { return t.start == sp.CTEs[i].Start })
		if !strings.EqualFold(o.nameText(first), c.Name.O) {
			return cannot("the CTE %s was not found", c.Name.O)
		}
		sp.CTEs[i].Node, index[c] = c, i
	}
	for i, t := range o.tables {
		if v.sources[nodes[i]] == nil {
			continue
		}
		for j, c := range sp.CTEs {
			if inside := t.span.Start >= c.Body.Start && t.span.End <= c.Body.End; inside != slices.Contains(v.within[nodes[i]], v.all[j]) {
				return cannot("the CTE %s ends in doubt", c.Node.Name.O)
			}
		}
		if c := v.means[nodes[i]]; c != nil {
			sp.CTERefs = append(sp.CTERefs, CTERef{TableSpan{Span: t.span, Name: t.name, Alias: v.sources[nodes[i]].AsName.O,
				Aliasable: t.aliasable, AliasAt: t.aliasAt, Block: t.block, Node: nodes[i]}, index[c]})
		}
	}
	return nil
}

// withList reads the definitions behind WITH; other clauses of that name are
// none.
func (o *outline) withList(sp *Spans, i int) {
	if o.kw(i) == kwRecursive {
		i++
	}
	for o.isName(i) {
		c := CTESpan{Name: Span{o.tokens[i].start, o.tokens[i].end}}
		i++
		if o.isPunct(i, '(') {
			i = o.behindParen(i)
		}
		if o.kw(i) != kwAs || !o.isPunct(i+1, '(') {
			return
		}
		end := o.behindParen(i + 1)
		c.Body = Span{o.tokens[i+1].start, o.tokens[end-1].end}
		c.Span = Span{c.Name.Start, c.Body.End}
		sp.CTEs = append(sp.CTEs, c)
		if !o.isPunct(end, ',') {
			return
		}
		i = end + 1
	}
}

// behindParen is the token behind the parenthesis that closes the one at i.
func (o *outline) behindParen(i int) int {
	for depth := 0; i < len(o.tokens); i++ {
		switch {
		case o.isPunct(i, '('):
			depth++
		case o.isPunct(i, ')'):
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return i
}

// indexHints are the n hints behind the table that ends at the offset, and its
// alias; empty where they are not found.
func (o *outline) indexHints(at, n int) Span {
	i := sort.Search(len(o.tokens), func(i int) bool { return o.tokens[i].start >= at })
	if o.kw(i) == kwAs {
		i += 2
	} else if o.isName(i) && !o.isHint(i) {
		i++
	}
	var all Span
	for ; o.isHint(i); n-- {
		if all.Empty() {
			all.Start = o.tokens[i].start
		}
		for i += 2; i < len(o.tokens) && !o.isPunct(i, '('); i++ { // FOR JOIN, FOR ORDER BY, FOR GROUP BY
		}
		i = o.behindParen(i)
		all.End = o.tokens[i-1].end
		if o.isPunct(i, ',') && o.isHint(i+1) {
			i++
		}
	}
	if n != 0 {
		return Span{}
	}
	return all
}

func (o *outline) isHint(i int) bool {
	word := func(i int) string {
		if i >= len(o.tokens) || o.tokens[i].kind != tokenWord {
			return ""
		}
		return strings.ToUpper(o.text[o.tokens[i].start:o.tokens[i].end])
	}
	switch word(i) {
	case "USE", "FORCE", "IGNORE":
		return word(i+1) == "INDEX" || word(i+1) == "KEY"
	}
	return false
}

// cteVisitor finds the CTEs of a tree in the order of the text, and what names
// in FROM mean.
type cteVisitor struct {
	all     []*ast.CommonTableExpression
	sources map[*ast.TableName]*ast.TableSource
	means   map[*ast.TableName]*ast.CommonTableExpression
	// within are the definitions a name stands in.
	within map[*ast.TableName][]*ast.CommonTableExpression

	open   []*ast.CommonTableExpression
	scopes []cteNames
}

// cteNames are the CTEs one statement declares, by name in lower case.
type cteNames struct {
	owner ast.Node
	names map[string]*ast.CommonTableExpression
}

// Enter implements ast.Visitor.
func (v *cteVisitor) Enter(n ast.Node) (ast.Node, bool) {
	if withOf(n) != nil {
		v.scopes = append(v.scopes, cteNames{n, map[string]*ast.CommonTableExpression{}})
	}
	switch n := n.(type) {
	case *ast.CommonTableExpression:
		v.all, v.open = append(v.all, n), append(v.open, n)
		if n.IsRecursive {
			v.scopes[len(v.scopes)-1].names[n.Name.L] = n
		}
	case *ast.TableSource:
		if t, ok := n.Source.(*ast.TableName); ok {
			v.sources[t] = n
		}
	case *ast.TableName:
		v.within[n] = slices.Clone(v.open)
		for i := len(v.scopes) - 1; i >= 0 && n.Schema.L == "" && v.means[n] == nil; i-- {
			v.means[n] = v.scopes[i].names[n.Name.L]
		}
	}
	return n, false
}

// Leave implements ast.Visitor.
func (v *cteVisitor) Leave(n ast.Node) (ast.Node, bool) {
	if c, ok := n.(*ast.CommonTableExpression); ok {
		v.open = v.open[:len(v.open)-1]
		v.scopes[len(v.scopes)-1].names[c.Name.L] = c
	}
	if k := len(v.scopes) - 1; k >= 0 && v.scopes[k].owner == n {
		v.scopes = v.scopes[:k]
	}
	return n, true
}
