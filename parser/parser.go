// Package parser turns a statement's text into what the router decides by. It
// alone calls TiDB's parser. Three layers, cheapest first:
//
//   - Lexer.Fingerprint: the statement with its literals taken out, the key of
//     the plan cache. No allocation.
//   - Parse: the Statement, for the planner. Only on a plan-cache miss.
//   - Classify: what kind of statement a text is that TiDB's parser rejects.
//
// The tree is for deciding only. What servers get is the client's text with
// names, values and clauses spliced in at the places Statement.Spans gives, so
// that labels, spelling and everything TiDB does not know stay.
//
// # Where TiDB reads otherwise than servers do
//
// Accepting what a server rejects is harmless: the server answers with its
// error. Reading another meaning is not; these differences are known:
//
//   - /*! and /*M! comments are code to some servers and versions, /*T! to TiDB
//     alone. /*T! is dropped; a query with one of the others has no tree unless
//     it holds harmless words only.
//   - A CTE's name hides a table from its declaration on; the scopes here are
//     MySQL's, found in the tree, and not TiDB's resolution.
//   - INTERSECT binds tighter than UNION on servers; TiDB's tree is a flat list.
//   - TRUE, FALSE and literals with an introducer are constants Operand refuses
//     to read, since their type is not plain.
//   - In latin1 the byte A0 is white space to a server's lexer and part of a
//     name here: such a name is no sharded table's, and the home server answers.
//   - FOR UPDATE OF, LATERAL, WITH before UPDATE: read here, unknown to MariaDB
//     10.11, which says so.
package parser

import (
	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/internal/sqlval"
)

// Mode is the part of sql_mode that changes how text is read.
type Mode uint8

const (
	// AnsiQuotes: "x" is a name, not a string.
	AnsiQuotes Mode = 1 << iota
	// NoBackslashEscapes: a backslash is an ordinary character.
	NoBackslashEscapes
	// PipesAsConcat: || concatenates.
	PipesAsConcat
	// IgnoreSpace: names of built-in functions are reserved.
	IgnoreSpace
	// HighNotPrecedence: NOT binds tighter.
	HighNotPrecedence
)

// Literal is one value in a statement's text.
type Literal struct {
	// Start and End are the token's bytes, quotes included.
	Start, End int
	Kind       sqlval.Kind
	// Marker: it is a ?, not a literal.
	Marker bool
	// Escaped: a string with escapes or doubled quotes, which must be undone.
	Escaped bool
}

// Flags are cheap facts about a statement, seen while fingerprinting.
type Flags uint16

const (
	// HasUserVar: it names a user variable (@x).
	HasUserVar Flags = 1 << iota
	// HasHint: it has a hint comment Serval may have to obey (/*+, /*!mycat:,
	// /*#mycat:, /*master*/).
	HasHint
	// HasVersioned: it has a /*! comment that servers execute.
	HasVersioned
	// HasMarker: it has a ?.
	HasMarker
)

// Fingerprint is what Lexer.Fingerprint found. Reused between statements; its
// slices are valid until the next call.
type Fingerprint struct {
	// Key is the statement with its parametrizable literals replaced by ?,
	// white space folded and ordinary comments dropped. Literals that the
	// plan depends on (ORDER BY and GROUP BY ordinals, type lengths,
	// INTERVAL, hints, and so on) stay in. Tuples of a VALUES list of the
	// same shape are folded into one followed by "+".
	Key []byte
	// Literals are the replaced ones and the ?, in the order of the text.
	Literals []Literal
	// Rows, when not 0, is how many VALUES tuples were folded into one,
	// FirstRow the number of the first tuple's first literal, RowWidth the
	// literals of a tuple.
	Rows, FirstRow, RowWidth int
	// Verb is the first keyword in upper case ("SELECT", "INSERT", "(" and so on).
	Verb  string
	Flags Flags
	// End is the offset behind this statement: of the text, or behind the
	// semicolon that ends it.
	End int
}

// Kind is what a statement is, as far as routing and the session care.
type Kind uint8

const (
	// KindOther: only passed to the home cluster's primary.
	KindOther Kind = iota
	KindSelect
	KindInsert // INSERT, REPLACE
	KindUpdate
	KindDelete
	KindDDL // changes a schema; commits implicitly
	KindBegin
	KindCommit
	KindRollback
	KindSavepoint // SAVEPOINT, ROLLBACK TO, RELEASE
	KindSet
	KindUse
	KindShow
	KindExplain // EXPLAIN, DESCRIBE
	KindKill
	KindLock // LOCK TABLES, UNLOCK TABLES
	KindCall
	KindDo
	KindPrepare // SQL PREPARE, EXECUTE, DEALLOCATE
	KindLoad
	KindXA
	KindAdmin // ANALYZE, CHECK, OPTIMIZE, REPAIR TABLE, FLUSH, grants
)

// Statement is a parsed statement. Nothing in it changes once it is parsed, but
// TiDB's visitors write while they read: who walks Node, or calls Spans, Facts
// or ExprSpan, must be alone.
type Statement struct {
	Kind Kind
	// Verb and Flags as in Fingerprint.
	Verb  string
	Flags Flags
	// Mode is the mode it was read in.
	Mode Mode
	// Node is TiDB's tree, nil where its parser rejects the text; then Why is
	// its error.
	Node ast.StmtNode
	Why  error
	// Text is what was parsed and what is to be sent to servers, with names
	// and values spliced in: the fingerprint's key, or where Params is false
	// the full text; without ordinary comments and Serval's own hints.
	Text string
	// Params: literals are ? in Text, and the statement stands for every text
	// with the same key. If not, it stands for this text only.
	Params bool
	// Markers are the ? of Text in order of offset. A ? within a string,
	// comment or name is not among them.
	Markers []Marker
	// Folded: Text has one VALUES tuple for as many as the execution has
	// values for. Its values are FirstRow up to FirstRow+RowWidth; values
	// behind it are numbered as if there were one tuple.
	Folded             bool
	FirstRow, RowWidth int
	// Hints asked for in comments; HintErr is why one of them is refused, an
	// *sqlerr.Error for the client.
	Hints   Hints
	HintErr error
	// Tables are the tables the statement names, in order of appearance,
	// without names of CTEs. Where Node is nil there may be more names than
	// tables.
	Tables []TableName

	charset, collation string // as in Options

	// hidden is Text with spaces in the place of what TiDB's parser does not
	// read: INTO @x, @y with these variables, the row's name of an INSERT,
	// RETURNING, types (hideTypes); empty where there is none.
	hidden    string
	into      []string
	rowAlias  *RowAlias
	returning *returning
}

// TableName is a table as written; Schema is empty where the statement leaves
// it to the current database.
type TableName struct{ Schema, Table string }
