package session

import (
	"strings"

	"github.com/servaldb/serval/parser"
)

// tokenKind is the kind of a token of a session statement (SET, BEGIN, KILL…).
type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenWord             // an unquoted name, keyword or number
	tokenName             // a quoted name: `x`, or "x" with ANSI_QUOTES
	tokenString           // a quoted string
	tokenOther            // one character, or one of := @@
)

// token is one token of text; Text is its bytes, quotes included.
type token struct {
	Kind       tokenKind
	Start, End int
	Text       string
}

// is compares with a keyword, which is in upper case.
func (t token) is(keyword string) bool {
	return t.Kind == tokenWord && strings.EqualFold(t.Text, keyword)
}

func (t token) op(s string) bool { return t.Kind == tokenOther && t.Text == s }

// name is the token as an identifier or string, unquoted.
func (t token) name() string {
	switch t.Kind {
	case tokenName, tokenString:
		return unquote(t.Text)
	case tokenWord, tokenOther, tokenEnd:
	}
	return t.Text
}

// scanner cuts the few statements the session answers by itself into tokens.
// Everything else is the parser's. Comments are skipped; the inside of /*! … */
// is read as the servers read it.
type scanner struct {
	text string
	pos  int
	mode parser.Mode
	// versioned: inside a /*! comment, whose end is skipped.
	versioned bool
}

// maxTokens bounds what a session statement may be cut into.
const maxTokens = 10000

// scan cuts text into tokens, at most maxTokens of them.
func scan(text string, mode parser.Mode) []token {
	s := scanner{text: text, mode: mode}
	tokens := make([]token, 0, 16)
	for len(tokens) < maxTokens {
		t := s.next()
		if t.Kind == tokenEnd {
			break
		}
		tokens = append(tokens, t)
	}
	return tokens
}

func (s *scanner) next() token {
	s.skip()
	if s.pos >= len(s.text) {
		return token{Kind: tokenEnd, Start: s.pos, End: s.pos}
	}
	start := s.pos
	c := s.text[s.pos]
	kind := tokenOther
	switch {
	case c == '`' || c == '"' && s.mode&parser.AnsiQuotes != 0:
		kind = tokenName
		s.quoted(c, false)
	case c == '\'' || c == '"':
		kind = tokenString
		s.quoted(c, s.mode&parser.NoBackslashEscapes == 0)
	case wordByte(c):
		kind = tokenWord
		for s.pos < len(s.text) && wordByte(s.text[s.pos]) {
			s.pos++
		}
	case strings.HasPrefix(s.text[s.pos:], ":=") || strings.HasPrefix(s.text[s.pos:], "@@"):
		s.pos += 2
	default:
		s.pos++
	}
	return token{Kind: kind, Start: start, End: s.pos, Text: s.text[start:s.pos]}
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// quoted moves behind the closing quote; an unclosed one ends with the text.
func (s *scanner) quoted(quote byte, backslash bool) {
	for s.pos++; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '\\' && backslash:
			s.pos++
		case c == quote && s.pos+1 < len(s.text) && s.text[s.pos+1] == quote:
			s.pos++
		case c == quote:
			s.pos++
			return
		}
	}
	s.pos = min(s.pos, len(s.text))
}

// skip moves over white space and comments.
func (s *scanner) skip() {
	for s.pos < len(s.text) {
		rest := s.text[s.pos:]
		switch {
		case strings.IndexByte(" \t\r\n\v\f", rest[0]) >= 0:
			s.pos++
		case rest[0] == '#' || strings.HasPrefix(rest, "--") && (len(rest) == 2 || rest[2] <= ' '):
			s.pos += lineLength(rest)
		case s.versioned && strings.HasPrefix(rest, "*/"):
			s.versioned = false
			s.pos += 2
		case strings.HasPrefix(rest, "/*!") || strings.HasPrefix(rest, "/*M!"):
			s.versioned = true
			s.pos += strings.IndexByte(rest, '!') + 1
			for s.pos < len(s.text) && s.text[s.pos] >= '0' && s.text[s.pos] <= '9' {
				s.pos++
			}
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				s.pos = len(s.text)
				return
			}
			s.pos += end + 4
		default:
			return
		}
	}
}

func lineLength(s string) int {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return i + 1
	}
	return len(s)
}

// unquote removes the quotes and undoes doubled quotes and backslash escapes.
func unquote(s string) string {
	if len(s) < 2 {
		return s
	}
	quote := s[0]
	inner := s[1 : len(s)-1]
	if strings.IndexByte(inner, quote) < 0 && strings.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		c := inner[i]
		if i+1 < len(inner) && (c == quote && inner[i+1] == quote || c == '\\' && quote != '`') {
			i++
			c = inner[i]
		}
		b.WriteByte(c)
	}
	return b.String()
}

// quoteText writes text as an SQL string that reads the same with and without
// NO_BACKSLASH_ESCAPES: in hexadecimal where a backslash is in it.
func quoteText(s string) string {
	if strings.IndexByte(s, '\\') < 0 && strings.IndexByte(s, 0) < 0 {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	const hex = "0123456789abcdef"
	b := append(make([]byte, 0, 2*len(s)+3), "x'"...)
	for i := range len(s) {
		b = append(b, hex[s[i]>>4], hex[s[i]&15])
	}
	return string(append(b, '\''))
}
