package parser

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"

	"github.com/servaldb/serval/internal/sqlval"
)

// placeholder is the name that stands for table or qualifier i while the
// outline is verified.
const placeholder = "serval-place-"

// verifier compares a statement with itself after every name was replaced.
type verifier struct {
	s *Statement
	o *outline
}

func cannot(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCannotSplice, fmt.Sprintf(format, args...))
}

// edit replaces a span of the text.
type edit struct {
	Span
	text string
}

// applyEdits makes the text with all edits, which must not overlap.
func applyEdits(text string, edits []edit) string {
	sort.SliceStable(edits, func(i, j int) bool { return edits[i].Start < edits[j].Start })
	var b strings.Builder
	at := 0
	for _, e := range edits {
		b.WriteString(text[at:e.Start])
		b.WriteString(e.text)
		at = e.End
	}
	b.WriteString(text[at:])
	return b.String()
}

// replaced is the text with a placeholder for every name.
func (v *verifier) replaced(aliased []bool) string {
	var edits []edit
	for i, c := range v.o.tables {
		edits = append(edits, edit{c.span, sqlval.QuoteName(placeholder + strconv.Itoa(i))})
		if aliased[i] {
			edits = append(edits, edit{Span{c.aliasAt, c.aliasAt}, " AS " + sqlval.QuoteName(c.name.Table)})
		}
	}
	for j := range v.o.chains {
		edits = append(edits, edit{v.o.chains[j].qualifier, sqlval.QuoteName(placeholder + "q" + strconv.Itoa(j))})
	}
	return applyEdits(v.s.read(), edits)
}

// nameNodes are all the nodes of a tree that hold a table's name.
type nameNodes struct {
	tables  []*ast.TableName
	sources map[*ast.TableName]*ast.TableSource
	columns []*ast.ColumnName
	wild    []*ast.WildCardField
	selects []*ast.SelectStmt
}

func namesOf(node ast.Node) *nameNodes {
	n := &nameNodes{sources: map[*ast.TableName]*ast.TableSource{}}
	node.Accept(n)
	if !visitsAll(node) {
		seen := make(map[*ast.TableName]bool, len(n.tables))
		for _, t := range n.tables {
			seen[t] = true
		}
		for _, t := range hiddenTables(node) {
			if !seen[t] {
				n.tables = append(n.tables, t)
			}
		}
	}
	return n
}

// Enter implements ast.Visitor.
func (n *nameNodes) Enter(node ast.Node) (ast.Node, bool) {
	switch x := node.(type) {
	case *ast.TableSource:
		if t, ok := x.Source.(*ast.TableName); ok {
			n.sources[t] = x
		}
	case *ast.TableName:
		n.tables = append(n.tables, x)
	case *ast.ColumnName:
		n.columns = append(n.columns, x)
	case *ast.SelectField:
		if x.WildCard != nil {
			n.wild = append(n.wild, x.WildCard)
		}
	case *ast.SelectStmt:
		n.selects = append(n.selects, x)
	}
	return node, false
}

// Leave implements ast.Visitor.
func (n *nameNodes) Leave(node ast.Node) (ast.Node, bool) { return node, true }

func restore(node ast.Node) (string, error) {
	var b strings.Builder
	flags := format.RestoreStringSingleQuotes | format.RestoreNameBackQuotes | format.RestoreKeyWordUppercase |
		format.RestoreStringEscapeBackslash
	err := node.Restore(format.NewRestoreCtx(flags, &b))
	return b.String(), err
}

// verify returns for each candidate its node in the statement's own tree.
func (v *verifier) verify(opt Options) ([]*ast.TableName, error) {
	before := namesOf(v.s.Node)
	want, err := restore(v.s.Node)
	if err != nil {
		return nil, cannot("the tree cannot be written: %v", err)
	}
	aliased := v.whichNeedAlias()
	text := v.replaced(aliased)
	p := parsers.Get().(*tidbParser)
	node, err := parseWith(p, text, opt)
	parsers.Put(p)
	if err != nil {
		return nil, cannot("a name was found in the wrong place (%v)", err)
	}
	after := namesOf(node)
	if len(after.tables) != len(before.tables) {
		return nil, cannot("%d tables were found, not %d", len(after.tables), len(before.tables))
	}
	nodes, err := v.rename(after, before, aliased)
	if err != nil {
		return nil, err
	}
	got, err := restore(node)
	if err != nil || got != want {
		return nil, cannot("another statement came out")
	}
	return nodes, nil
}

// whichNeedAlias: candidates the grammar allows an alias for and that seem to
// have none.
func (v *verifier) whichNeedAlias() []bool {
	out := make([]bool, len(v.o.tables))
	for i, c := range v.o.tables {
		out[i] = c.aliasable && !v.o.hasAlias(c.aliasAt)
	}
	return out
}

// rename gives the placeholders their names back, each exactly once.
func (v *verifier) rename(after, before *nameNodes, aliased []bool) ([]*ast.TableName, error) {
	nodes := make([]*ast.TableName, len(v.o.tables))
	seen := make([]bool, len(v.o.chains))
	for k, t := range after.tables {
		kind, i := placeholderIndex(t.Name.O)
		switch {
		case kind == 't' && i < len(nodes) && nodes[i] == nil:
			nodes[i] = before.tables[k]
			setName(t, v.o.tables[i].name)
			if src := after.sources[t]; aliased[i] {
				if src == nil {
					return nil, cannot("an alias went astray")
				}
				src.AsName = ast.NewCIStr("")
			}
		case kind == 'q' && i < len(seen) && !seen[i]:
			seen[i] = true
			setName(t, v.o.chains[i].name)
		case kind != 0:
			return nil, cannot("a table was found twice")
		}
	}
	for _, c := range after.columns {
		if c.Schema.O != "" {
			return nil, cannot("the column %s.%s.%s was not found in the text", c.Schema.O, c.Table.O, c.Name.O)
		}
		if kind, i := placeholderIndex(c.Table.O); kind == 'q' && i < len(seen) {
			seen[i] = true
			c.Schema, c.Table = ast.NewCIStr(v.o.chains[i].name.Schema), ast.NewCIStr(v.o.chains[i].name.Table)
		}
	}
	for _, w := range after.wild {
		if kind, i := placeholderIndex(w.Table.O); kind == 'q' && i < len(seen) {
			seen[i] = true
			w.Schema, w.Table = ast.NewCIStr(v.o.chains[i].name.Schema), ast.NewCIStr(v.o.chains[i].name.Table)
		}
	}
	for i := range nodes {
		if nodes[i] == nil {
			return nil, cannot("what looked like the table %q is none", v.o.tables[i].name.Table)
		}
	}
	for i := range seen {
		if !seen[i] {
			return nil, cannot("what looked like the column of %q is none", v.o.chains[i].name.Table)
		}
	}
	return nodes, nil
}

func setName(t *ast.TableName, n TableName) {
	t.Schema, t.Name = ast.NewCIStr(n.Schema), ast.NewCIStr(n.Table)
}

// placeholderIndex tells a table's placeholder ('t') or a qualifier's ('q')
// and its number; 0 for another name.
func placeholderIndex(name string) (kind byte, i int) {
	rest, ok := strings.CutPrefix(name, placeholder)
	if !ok {
		return 0, 0
	}
	kind = 't'
	if r, ok := strings.CutPrefix(rest, "q"); ok {
		kind, rest = 'q', r
	}
	i, err := strconv.Atoi(rest)
	if err != nil || i < 0 {
		return 0, 0
	}
	return kind, i
}

// hasAlias: an alias follows the table that ends at the offset.
func (o *outline) hasAlias(at int) bool {
	i := sort.Search(len(o.tokens), func(i int) bool { return o.tokens[i].start >= at })
	if o.kw(i) == kwAs {
		return true
	}
	if i >= len(o.tokens) {
		return false
	}
	t := o.tokens[i]
	return t.kind == tokenName || t.kind == tokenString || t.kind == tokenWord && aliasWord(t.kw)
}

// aliasWord: a word behind a table is its alias and not the next clause.
func aliasWord(kw keyword) bool {
	switch kw {
	case kwNone, kwBegin, kwTemporary, kwDuplicate, kwTables, kwTruncate, kwValue, kwView, kwQuick,
		kwOnly, kwFractional, kwDo, kwSelectOption:
		return true
	}
	return false
}
