package parser

import (
	"errors"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// ErrCannotSplice is returned where names cannot be found in a text with
// certainty; the router refuses the statement by name.
var ErrCannotSplice = errors.New("parser: names cannot be replaced in this statement")

// Span is a range of bytes of Statement.Text. Empty when absent.
type Span struct{ Start, End int }

// Empty reports that there is nothing.
func (s Span) Empty() bool { return s.Start == s.End }

// Spans is where things stand in Statement.Text. All offsets refer to it.
type Spans struct {
	// Tables are the references to real tables in order of the text.
	Tables []TableSpan
	// Qualifiers are the tables named before a column (t.c, s.t.c, s.t.*) or
	// behind DELETE, where they mean a real table and not an alias; in order.
	Qualifiers []Qualifier
	// Blocks are the SELECTs in order of the text.
	Blocks []Block
	// Arms are the blocks of the statement itself: one for a SELECT, one for
	// each arm of a UNION; empty for other statements (an INSERT's SELECT is
	// at Insert.Select).
	Arms []int
	// Tail are the clauses behind all arms of a UNION, and those of an UPDATE
	// or DELETE.
	Tail Tail
	// Insert of an INSERT or REPLACE, else nil.
	Insert *InsertSpans
	// CTEs and the references to them, in order of the text.
	CTEs    []CTESpan
	CTERefs []CTERef
}

// TableSpan is one reference to a table.
type TableSpan struct {
	// Span is [schema.]table.
	Span
	Name TableName
	// Alias is the statement's own, empty if none.
	Alias string
	// Aliasable: an alias may be written at AliasAt (" AS x"), which is End
	// unless PARTITION (…) follows.
	Aliasable bool
	AliasAt   int
	// IndexHints are USE, FORCE and IGNORE INDEX (…), empty where there are
	// none.
	IndexHints Span
	// Block is the innermost SELECT around it, -1 for none.
	Block int
	// Node is its place in the tree.
	Node *ast.TableName
}

// Qualifier is a table named before a column.
type Qualifier struct {
	// Span is "schema.table" or "table", without the dot before the column.
	Span
	// Schema is "schema." with its dot; empty if there is none.
	Schema Span
	// Table is the index in Tables of what it means.
	Table int
}

// Tail are the clauses behind a query.
type Tail struct {
	// OrderBy is ORDER BY with its keys; OrderKeys are the keys without ASC
	// and DESC.
	OrderBy   Span
	OrderKeys []Span
	// Limit is LIMIT with its operands.
	Limit LimitSpan
	// Into is INTO …; Lock is FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE.
	Into, Lock Span
	// End is where the query ends, before its closing parenthesis if it has one.
	End int
}

// LimitSpan is a LIMIT clause.
type LimitSpan struct {
	Span
	// Count and Offset are the operands; Offset is empty where there is none.
	Count, Offset Span
}

// Block is one SELECT.
type Block struct {
	// Parent is the block around it, -1 for none.
	Parent int
	// Start is its SELECT keyword.
	Start int
	dual  bool // FROM DUAL, which the tree leaves out
	// List is the select list, behind DISTINCT and the like: a further column
	// is written at List.End. Items are its columns.
	List  Span
	Items []ItemSpan
	// GroupKeys are the keys of GroupBy.
	GroupKeys []Span
	// Each clause with its keyword.
	From, Where, GroupBy, Having, Window Span
	Tail
}

// InsertSpans are the parts of an INSERT or REPLACE.
type InsertSpans struct {
	// Columns is the column list with its parentheses; where it is empty one
	// could be written at ColumnsAt.
	Columns   Span
	ColumnsAt int
	// Values is from the first tuple to the last, without the keyword.
	Values Span
	// Rows are the tuples.
	Rows []RowSpan
	// Set is the list of INSERT … SET, without the keyword.
	Set Span
	// Select is the block INSERT … SELECT begins with, -1 for none.
	Select int
	// OnDuplicate is ON DUPLICATE KEY UPDATE with its assignments.
	OnDuplicate Span
}

// RowSpan is a VALUES tuple with its parentheses.
type RowSpan struct {
	Span
	Elems []Span
}

// Spans finds the places. Where it returns no error, replacing any of the
// tables and qualifiers by other names, and adding the aliases, changes
// nothing else in what the statement means: that was tried by parsing the
// result and comparing the trees. Errors wrap ErrCannotSplice.
// The result is computed anew by each call.
func (s *Statement) Spans() (*Spans, error) {
	if d := s.doubt(); d != "" {
		return nil, cannot("%s", d)
	}
	if s.Node == nil {
		return nil, cannot("it was not understood")
	}
	o, err := newOutline(s.read(), s.Mode)
	if err != nil {
		return nil, err
	}
	refs := s.refs()
	query := isQuery(s.Kind) || s.Kind == KindExplain && explains(s.Node)
	switch {
	case query:
		o.run()
	case len(namesOf(s.Node).selects) > 0:
		return nil, cannot("it has a query inside")
	default:
		o.runOther(refs)
	}
	v := &verifier{s: s, o: o}
	nodes, err := v.verify(Options{Mode: s.Mode, Charset: s.charset, Collation: s.collation})
	if err != nil {
		return nil, err
	}
	if s.rowAlias != nil {
		o.shadows = append(o.shadows, shadow{name: s.rowAlias.Name, block: -1})
	}
	if s.returning != nil {
		o.chains = append(o.chains, s.returning.chains...)
	}
	sp, err := o.spans(nodes, refs)
	if err != nil || !query {
		return sp, err
	}
	if err := o.ctes(sp, s.Node, nodes); err != nil {
		return nil, err
	}
	return sp, sp.checkBlocks(s.Node)
}

// isQuery: the statement is read by outline.run.
func isQuery(k Kind) bool {
	switch k {
	case KindSelect, KindInsert, KindUpdate, KindDelete, KindDo, KindCall, KindSet:
		return true
	}
	return false
}

// explains: an EXPLAIN of a statement and not of a table.
func explains(node ast.StmtNode) bool {
	e, ok := node.(*ast.ExplainStmt)
	if !ok {
		return false
	}
	_, show := e.Stmt.(*ast.ShowStmt)
	return !show
}

// spans puts together what was found; nodes are the candidates' places in the
// tree.
func (o *outline) spans(nodes []*ast.TableName, refs []tableRef) (*Spans, error) {
	byNode := make(map[*ast.TableName]tableRef, len(refs))
	for _, r := range refs {
		byNode[r.node] = r
	}
	sp := &Spans{Arms: o.arms, Tail: o.tail, Insert: o.insert}
	for i, c := range o.tables {
		r, real := byNode[nodes[i]]
		if !real {
			o.shadows = append(o.shadows, shadow{name: c.name.Table, block: c.block})
			continue
		}
		delete(byNode, nodes[i])
		t := TableSpan{
			Span: c.span, Name: c.name, Aliasable: c.aliasable, AliasAt: c.aliasAt, Block: c.block, Node: nodes[i],
		}
		if r.source != nil {
			t.Alias = r.source.AsName.O
		}
		if c.aliasable && t.Alias == "" && o.hasAlias(c.aliasAt) {
			return nil, cannot("an alias of %s is in doubt", c.name.Table)
		}
		if len(t.Node.IndexHints) > 0 {
			if t.IndexHints = o.indexHints(c.aliasAt, len(t.Node.IndexHints)); t.IndexHints.Empty() {
				return nil, cannot("the index hints of %s are in doubt", c.name.Table)
			}
		}
		sp.Tables = append(sp.Tables, t)
	}
	for n := range byNode {
		return nil, cannot("the table %s was not found in the text", n.Name.O)
	}
	for _, b := range o.blocks {
		sp.Blocks = append(sp.Blocks, *b)
	}
	o.fillItems(sp)
	return sp, o.qualifiers(sp)
}

// qualifiers resolves what each dotted name means.
func (o *outline) qualifiers(sp *Spans) error {
	for _, c := range o.chains {
		table, err := o.resolve(sp, c)
		if err != nil {
			return err
		}
		if table >= 0 {
			sp.Qualifiers = append(sp.Qualifiers, Qualifier{Span: c.qualifier, Schema: c.schema, Table: table})
		}
	}
	return nil
}

// resolve finds the table a qualifier means, from its block outwards; -1 where
// it is an alias or nothing that is known.
func (o *outline) resolve(sp *Spans, c chain) (int, error) {
	for block := c.block; ; block = sp.Blocks[block].Parent {
		found := -1
		for i, t := range sp.Tables {
			if t.Block != block || !t.meantBy(c.name) {
				continue
			}
			if found >= 0 && !strings.EqualFold(t.Name.Schema, sp.Tables[found].Name.Schema) {
				return -1, cannot("%s may be either of two tables", c.name.Table)
			}
			found = i
		}
		for _, s := range o.shadows {
			if c.name.Schema == "" && s.block == block && strings.EqualFold(s.name, c.name.Table) {
				return -1, nil
			}
		}
		if found >= 0 {
			if sp.Tables[found].Alias != "" {
				return -1, nil
			}
			return found, nil
		}
		if block < 0 {
			return -1, nil
		}
	}
}

// meantBy: a qualifier of this name means the table.
func (t TableSpan) meantBy(n TableName) bool {
	if t.Alias != "" {
		return n.Schema == "" && strings.EqualFold(t.Alias, n.Table)
	}
	if !strings.EqualFold(t.Name.Table, n.Table) {
		return false
	}
	return n.Schema == "" || t.Name.Schema == "" || strings.EqualFold(n.Schema, t.Name.Schema)
}
