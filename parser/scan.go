package parser

import (
	"bytes"

	"github.com/servaldb/serval/internal/sqlerr"
)

// tokenKind is what a token is by its bytes alone.
type tokenKind uint8

const (
	tokenEnd       tokenKind = iota // end of text, or the semicolon that ends the statement
	tokenWord                       // unquoted name or keyword
	tokenName                       // quoted name
	tokenVar                        // @x, @@x, @'x'
	tokenInt                        // 12
	tokenDecimal                    // 1.5
	tokenFloat                      // 1e5
	tokenString                     // 'x'
	tokenBinary                     // x'41', 0x41, b'1', 0b1
	tokenNational                   // N'x'
	tokenMarker                     // ?
	tokenPunct                      // one byte of anything else
	tokenArrow                      // -> and ->>
	tokenHint                       // /*+ */ and Serval's own hint comments
	tokenVersioned                  // /*! */, /*M! */
)

// token is one token: its bytes are sql[start:end].
type token struct {
	kind       tokenKind
	escaped    bool // a string that must be unescaped
	start, end int
}

// scanner cuts a statement into tokens. Ordinary comments and white space are
// the gap before a token.
type scanner struct {
	sql  []byte
	pos  int
	mode Mode
	// open: /*! and */ are white space and what is between them are tokens,
	// which is how TiDB's parser reads them.
	open bool
	// body: a semicolon does not end the statement.
	body bool
	// dot: the token before was a dot, so a digit begins a name.
	dot bool
	// wordBefore: the token before ended in a name, so a dot belongs to it.
	wordBefore bool
	// opened: within a /*! that open made readable.
	opened bool

	// gap describes what stood before the token last returned.
	gapStart   int
	gapComment bool
}

const (
	charSpace = 1 << iota
	charWord
	charDigit
)

// charClass is a table of byte classes. Bytes above 0x7f are parts of names,
// as in MySQL's lexer for every character set Serval lets a client use.
var charClass = func() (t [256]uint8) {
	for _, c := range " \t\n\v\f\r" {
		t[c] = charSpace
	}
	for c := range 256 {
		switch {
		case c >= '0' && c <= '9':
			t[c] = charWord | charDigit
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '$', c >= 0x80:
			t[c] = charWord
		}
	}
	return t
}()

// errUnterminated is MySQL's answer to a quote or comment that never ends.
func errUnterminated(what string) error {
	return sqlerr.New(sqlerr.Parse, "You have an error in your SQL syntax: unterminated %s", what)
}

func (s *scanner) peek(ahead int) byte {
	if s.pos+ahead < len(s.sql) {
		return s.sql[s.pos+ahead]
	}
	return 0
}

// skipGap skips white space and ordinary comments. It stops at a comment that
// is a token.
func (s *scanner) skipGap() error {
	for s.pos < len(s.sql) {
		c := s.sql[s.pos]
		switch {
		case charClass[c]&charSpace != 0:
			s.pos++
		case c == '#':
			s.skipLine()
		case c == '-' && s.peek(1) == '-' && s.dashComment():
			s.skipLine()
		case c == '*' && s.opened && s.peek(1) == '/':
			s.opened = false
			s.pos += 2
		case c == '/' && s.peek(1) == '*':
			kind := commentKind(s.sql[s.pos:])
			if s.open && kind == tokenVersioned && s.peek(2) == '!' {
				s.openVersioned()
				continue
			}
			if kind != tokenEnd && !(s.open && kind == tokenVersioned) {
				return nil
			}
			end := bytes.Index(s.sql[s.pos+2:], []byte("*/"))
			if end < 0 {
				return errUnterminated("comment")
			}
			s.gapComment = true
			s.pos += 2 + end + 2
		default:
			return nil
		}
	}
	return nil
}

// dashComment: -- begins a comment only before white space, a control
// character or the end.
func (s *scanner) dashComment() bool {
	return s.pos+2 >= len(s.sql) || s.sql[s.pos+2] <= ' ' || s.sql[s.pos+2] == 0x7f
}

func (s *scanner) skipLine() {
	s.gapComment = true
	n := bytes.IndexByte(s.sql[s.pos:], '\n')
	if n < 0 {
		s.pos = len(s.sql)
		return
	}
	s.pos += n + 1
}

// openVersioned skips /*! and the five digits TiDB's parser skips.
func (s *scanner) openVersioned() {
	s.opened = true
	s.pos += 3
	digits := 0
	for digits < 5 && charClass[s.peek(digits)]&charDigit != 0 {
		digits++
	}
	if digits == 5 {
		s.pos += 5
	}
}

// commentKind tells the comments that are kept from ordinary ones (tokenEnd).
// text begins with /*.
func commentKind(text []byte) tokenKind {
	if len(text) < 5 {
		return tokenEnd
	}
	switch text[2] {
	case '!':
		if hasFold(text[3:], "mycat:") {
			return tokenHint
		}
		return tokenVersioned
	case '+':
		return tokenHint
	case '#':
		if hasFold(text[3:], "mycat:") {
			return tokenHint
		}
	case 'M':
		if text[3] == '!' {
			return tokenVersioned
		}
		if isRoleComment(text) {
			return tokenHint
		}
	default:
		if isRoleComment(text) {
			return tokenHint
		}
	}
	return tokenEnd
}

// isRoleComment: /*master*/, /*slave*/, /*mycat:…*/ with or without spaces.
func isRoleComment(text []byte) bool {
	body := bytes.TrimLeft(text[2:min(len(text), 40)], " ")
	for _, word := range [...]string{"master", "slave"} {
		if hasFold(body, word) && bytes.HasPrefix(bytes.TrimLeft(body[len(word):], " "), []byte("*/")) {
			return true
		}
	}
	return hasFold(body, "mycat:")
}

// hasFold reports whether text begins with the lower-case word, ASCII letters
// compared without case.
func hasFold(text []byte, word string) bool {
	if len(text) < len(word) {
		return false
	}
	for i := range len(word) {
		c := text[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// next returns the next token.
func (s *scanner) next() (token, error) {
	s.gapStart, s.gapComment = s.pos, false
	if err := s.skipGap(); err != nil {
		return token{}, err
	}
	t := token{start: s.pos}
	afterDot, afterWord := s.dot, s.wordBefore
	s.dot, s.wordBefore = false, false
	if s.pos >= len(s.sql) {
		t.end = s.pos
		return t, nil
	}
	c := s.sql[s.pos]
	class := charClass[c]
	var err error
	switch {
	case class&charDigit != 0 && !afterDot:
		t.kind = s.number()
		s.wordBefore = t.kind == tokenWord
	case class&charWord != 0:
		t.kind, t.escaped, err = s.word()
		s.wordBefore = t.kind == tokenWord
	case c == '\'' || c == '"' && s.mode&AnsiQuotes == 0:
		t.kind = tokenString
		t.escaped, err = s.quoted(c, s.mode&NoBackslashEscapes == 0)
	case c == '`' || c == '"':
		t.kind = tokenName
		t.escaped, err = s.quoted(c, false)
		s.wordBefore = true
	case c == '.' && charClass[s.peek(1)]&charDigit != 0 && !afterWord:
		t.kind = s.number()
	default:
		t.kind, err = s.symbol(c)
	}
	t.end = s.pos
	return t, err
}

// symbol reads what begins with neither letter, digit nor quote.
func (s *scanner) symbol(c byte) (tokenKind, error) {
	switch c {
	case ';':
		s.pos++
		if s.body {
			return tokenPunct, nil
		}
		return tokenEnd, nil
	case '?':
		s.pos++
		return tokenMarker, nil
	case '.':
		s.dot = true
	case '@':
		return tokenVar, s.variable()
	case '-':
		if s.peek(1) == '>' {
			s.pos += 2
			if s.peek(0) == '>' {
				s.pos++
			}
			return tokenArrow, nil
		}
	case '/':
		if s.peek(1) == '*' {
			return s.comment()
		}
	case '\\':
		if s.peek(1) == 'N' {
			s.pos += 2
			return tokenWord, nil
		}
	}
	s.pos++
	return tokenPunct, nil
}

// comment reads a comment that is kept as it is.
func (s *scanner) comment() (tokenKind, error) {
	kind := commentKind(s.sql[s.pos:])
	end := bytes.Index(s.sql[s.pos+2:], []byte("*/"))
	if end < 0 {
		return kind, errUnterminated("comment")
	}
	body := s.sql[s.pos+2 : s.pos+2+end]
	if kind == tokenVersioned && ambiguousComment(body, s.mode) {
		return kind, sqlerr.Refuse("a /*! comment with a comment or an end of comment in quotes inside",
			"servers of different versions read it differently", "")
	}
	s.pos += 2 + end + 2
	return kind, nil
}

// ambiguousComment: a quote is open at the end of the body, so the */ found is
// within a string for the servers that execute it; or another comment begins.
func ambiguousComment(body []byte, mode Mode) bool {
	var quote byte
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quote != 0 && quote != '`' && c == '\\' && mode&NoBackslashEscapes == 0:
			i++ // it's, as dumps write it
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"' || c == '`':
			quote = c
		case c == '/' && i+1 < len(body) && body[i+1] == '*',
			c == '#', c == '-' && i+1 < len(body) && body[i+1] == '-':
			return true
		}
	}
	return quote != 0
}

// word reads a name or keyword, or a string that begins with a letter.
func (s *scanner) word() (tokenKind, bool, error) {
	if s.peek(1) == '\'' {
		switch s.sql[s.pos] {
		case 'x', 'X', 'b', 'B':
			s.pos++
			_, err := s.quoted('\'', false)
			return tokenBinary, false, err
		case 'n', 'N':
			s.pos++
			escaped, err := s.quoted('\'', s.mode&NoBackslashEscapes == 0)
			return tokenNational, escaped, err
		}
	}
	s.pos = s.wordEnd(s.pos)
	return tokenWord, false, nil
}

func (s *scanner) wordEnd(i int) int {
	for i < len(s.sql) && charClass[s.sql[i]]&charWord != 0 {
		i++
	}
	return i
}

func (s *scanner) digitsEnd(i int) int {
	for i < len(s.sql) && charClass[s.sql[i]]&charDigit != 0 {
		i++
	}
	return i
}

// number reads a number, or a name that begins with a digit. At pos is a digit
// or a dot with a digit behind it.
func (s *scanner) number() tokenKind {
	start := s.pos
	if s.sql[start] == '0' && (s.peek(1) == 'x' || s.peek(1) == 'b') {
		end := s.wordEnd(start)
		s.pos = end
		if prefixedBinary(s.sql[start:end]) {
			return tokenBinary
		}
		return tokenWord
	}
	i := s.digitsEnd(start)
	if e := s.exponentEnd(i); e > i {
		s.pos = e
		return tokenFloat
	}
	if i < len(s.sql) && charClass[s.sql[i]]&charWord != 0 {
		s.pos = s.wordEnd(i)
		return tokenWord
	}
	if i >= len(s.sql) || s.sql[i] != '.' {
		s.pos = i
		return tokenInt
	}
	i = s.digitsEnd(i + 1)
	if e := s.exponentEnd(i); e > i {
		s.pos = e
		return tokenFloat
	}
	s.pos = i
	return tokenDecimal
}

// exponentEnd is the end of an exponent at i, i where there is none.
func (s *scanner) exponentEnd(i int) int {
	if i >= len(s.sql) || s.sql[i]|0x20 != 'e' {
		return i
	}
	j := i + 1
	if j < len(s.sql) && (s.sql[j] == '+' || s.sql[j] == '-') {
		j++
	}
	end := s.digitsEnd(j)
	if end == j {
		return i
	}
	return end
}

// prefixedBinary: 0x and hexadecimal digits, or 0b and bits.
func prefixedBinary(text []byte) bool {
	if len(text) < 3 {
		return false
	}
	for _, c := range text[2:] {
		hex := c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
		if text[1] == 'x' && !hex || text[1] == 'b' && c != '0' && c != '1' {
			return false
		}
	}
	return true
}

// quoted reads a string or quoted name. Escaped tells whether it has anything
// to undo.
func (s *scanner) quoted(quote byte, backslash bool) (escaped bool, err error) {
	i := s.pos + 1
	for i < len(s.sql) {
		c := s.sql[i]
		switch {
		case c == quote:
			if i+1 < len(s.sql) && s.sql[i+1] == quote {
				escaped = true
				i += 2
				continue
			}
			s.pos = i + 1
			return escaped, nil
		case c == '\\' && backslash:
			escaped = true
			i += 2
			continue
		}
		i++
	}
	s.pos = len(s.sql)
	if quote == '`' {
		return escaped, errUnterminated("name")
	}
	return escaped, errUnterminated("string")
}

// variable reads @x, @'x', @@x, @@global.x. A lone @ is allowed ('u'@'h').
func (s *scanner) variable() error {
	s.pos++
	if s.peek(0) == '@' {
		s.pos++
	}
	switch c := s.peek(0); c {
	case '\'', '"', '`':
		_, err := s.quoted(c, c != '`' && s.mode&NoBackslashEscapes == 0)
		return err
	}
	i := s.pos
	for i < len(s.sql) && (charClass[s.sql[i]]&charWord != 0 || s.sql[i] == '.') {
		i++
	}
	s.pos = i
	return nil
}
