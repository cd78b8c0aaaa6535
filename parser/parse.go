package parser

import (
	"sync"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver" // the parser's value types

	"github.com/servaldb/serval/internal/sqlerr"
)

// Options are what, beside the text, decides how a statement reads.
type Options struct {
	Mode Mode
	// Charset and Collation of the connection; empty means TiDB's default.
	Charset, Collation string
}

// Marker is a ? in Statement.Text that stands for value number Value.
type Marker struct{ Offset, Value int }

// tidbParser is TiDB's parser; it serves one statement at a time.
type tidbParser = parser.Parser

// parsers keeps TiDB's parsers for the next statement: one has 40 kB of stack.
// It is a cache without meaning of its own, hence a package variable.
var parsers = sync.Pool{New: func() any { knowCollations(); return parser.New() }}

// Parse parses the first statement of sql. It never returns nil.
//
// First the statement's fingerprint is tried, with a ? for each literal and
// one tuple for folded ones (Params is true, the result serves every statement
// with the same key); then the text with its literals in place (Params is
// false: it serves only this very text, so its plan must not be cached under
// the key). If TiDB's parser rejects both, Node is nil, Why its error, and
// Kind and Tables come from Classify.
//
// The text behind the statement, ordinary comments and the hints only Serval
// obeys are not in Statement.Text. HintErr is the error of a bad hint.
//
// Where TiDB reads a text that MySQL rejects nothing is lost, for the server
// parses the same text again. Where TiDB would read a query otherwise than some
// server (a /*! comment with more than harmless words), Node is nil too, and
// Facts.Doubt says why.
func Parse(sql []byte, opt Options) *Statement {
	lx := &Lexer{stripHints: true}
	fp := &Fingerprint{}
	if err := lx.run(sql, opt.Mode, fp); err != nil {
		return &Statement{Why: err, Text: string(sql), Mode: opt.Mode}
	}
	s := lx.statement(sql, fp, opt)
	read := s.parse(opt)
	if !read && len(fp.Literals) > 0 {
		if full := lx.literally(sql, fp, opt); full != nil {
			s, read = full, true
		}
	}
	if read {
		d := s.doubt()
		if d == "" {
			return s
		}
		s.Node, s.Why = nil, cannot("%s", d)
	}
	s.Kind, s.Tables = Classify([]byte(s.Text), opt.Mode)
	s.viewTables()
	return s
}

// literally parses the text with its literals in place; nil if that fails too.
func (l *Lexer) literally(sql []byte, fp *Fingerprint, opt Options) *Statement {
	l.verbatim = true
	if err := l.run(sql, opt.Mode, fp); err != nil {
		return nil
	}
	s := l.statement(sql, fp, opt)
	s.Params = false
	if !s.parse(opt) {
		return nil
	}
	return s
}

// statement takes what the last run found.
func (l *Lexer) statement(sql []byte, fp *Fingerprint, opt Options) *Statement {
	s := &Statement{
		charset: opt.Charset, collation: opt.Collation,
		Params: true, Mode: opt.Mode, Verb: fp.Verb, Flags: fp.Flags,
		Folded: fp.Rows > 0, FirstRow: fp.FirstRow, RowWidth: fp.RowWidth,
	}
	drop := len(fp.Key)
	if s.Folded {
		drop = l.firstEnd // the + behind the tuple
	}
	s.Text = string(fp.Key[:drop])
	if drop < len(fp.Key) {
		s.Text += string(fp.Key[drop+1:])
	}
	s.markers(l, fp, drop)
	for _, t := range l.hints {
		if err := s.Hints.parseHint(string(sql[t.start:t.end])); err != nil && s.HintErr == nil {
			s.HintErr = err
		}
	}
	return s
}

// markers numbers the ? of the text. Of folded tuples only the first one's
// values are there; the values behind the tuples are numbered on from it.
func (s *Statement) markers(l *Lexer, fp *Fingerprint, plus int) {
	value, skipFrom, skip := 0, -1, 0
	if s.Folded {
		skipFrom = s.FirstRow + s.RowWidth
		skip = (fp.Rows - 1) * s.RowWidth
	}
	for i, lit := range fp.Literals {
		if skipFrom >= 0 && i >= skipFrom && i < skipFrom+skip {
			continue
		}
		at := l.marks[i]
		if at > plus {
			at--
		}
		if !l.verbatim || lit.Marker {
			s.Markers = append(s.Markers, Marker{Offset: at, Value: value})
		}
		value++
	}
}

// parse gives the text to TiDB's parser.
func (s *Statement) parse(opt Options) bool {
	p := parsers.Get().(*tidbParser)
	defer parsers.Put(p)
	node, err := parseWith(p, s.Text, opt)
	if err != nil && s.hide(opt) {
		node, err = parseWith(p, s.hidden, opt)
	}
	if err != nil {
		s.Why = err
		return false
	}
	s.Node, s.Why = node, nil
	if s.Kind = kindOf(node); s.Kind == KindOther {
		s.Kind, _ = Classify([]byte(s.Text), opt.Mode)
	}
	s.Tables = tablesOf(node)
	return true
}

// parseWith parses one statement. A panic in the parser, which reads what
// anybody sends, is an error.
func parseWith(p *tidbParser, text string, opt Options) (node ast.StmtNode, err error) {
	defer func() {
		if r := recover(); r != nil {
			p.Reset()
			node, err = nil, sqlerr.New(sqlerr.Parse, "You have an error in your SQL syntax: the parser failed: %v", r)
		}
	}()
	p.SetSQLMode(sqlMode(opt.Mode))
	p.SetStrictDoubleTypeCheck(false)
	return p.ParseOneStmt(text, opt.Charset, opt.Collation)
}

// sqlMode in TiDB's terms.
func sqlMode(m Mode) mysql.SQLMode {
	var out mysql.SQLMode
	for _, pair := range [...]struct {
		ours   Mode
		theirs mysql.SQLMode
	}{
		{AnsiQuotes, mysql.ModeANSIQuotes},
		{NoBackslashEscapes, mysql.ModeNoBackslashEscapes},
		{PipesAsConcat, mysql.ModePipesAsConcat},
		{IgnoreSpace, mysql.ModeIgnoreSpace},
		{HighNotPrecedence, mysql.ModeHighNotPrecedence},
	} {
		if m&pair.ours != 0 {
			out |= pair.theirs
		}
	}
	return out
}

// Piece is a part of a text: Text, or where Value is not -1 the value with
// that number.
type Piece struct {
	Text  string
	Value int
}

// Pieces cuts Text[from:to] at its markers.
func (s *Statement) Pieces(from, to int) []Piece {
	var out []Piece
	for _, m := range s.Markers {
		if m.Offset < from || m.Offset >= to {
			continue
		}
		if m.Offset > from {
			out = append(out, Piece{Text: s.Text[from:m.Offset], Value: -1})
		}
		out = append(out, Piece{Value: m.Value})
		from = m.Offset + 1
	}
	if from < to {
		out = append(out, Piece{Text: s.Text[from:to], Value: -1})
	}
	return out
}

// ValueAt is the number of the value whose ? is at the offset of Text, or -1.
func (s *Statement) ValueAt(offset int) int {
	lo, hi := 0, len(s.Markers)
	for lo < hi {
		mid := (lo + hi) / 2
		if s.Markers[mid].Offset < offset {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(s.Markers) && s.Markers[lo].Offset == offset {
		return s.Markers[lo].Value
	}
	return -1
}

var _ = driver.ValueExpr{} // the import registers the parser's values
