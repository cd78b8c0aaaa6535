package parser

import (
	"bytes"

	"github.com/servaldb/serval/internal/sqlval"
)

// Value is the literal's value: strings without quotes and escapes,
// hexadecimal and bit literals as their bytes. sql is the text the literal was
// found in. The value borrows from sql where nothing had to be undone. A
// marker has no value of its own and gives NULL.
func (lit Literal) Value(sql []byte, mode Mode) sqlval.Value {
	if lit.Marker {
		return sqlval.NullValue
	}
	text := sql[lit.Start:lit.End]
	switch lit.Kind {
	case sqlval.String:
		return sqlval.Value{Kind: sqlval.String, Text: unquote(text, lit.Escaped, mode)}
	case sqlval.Binary:
		return sqlval.Value{Kind: sqlval.Binary, Text: binaryBytes(text)}
	}
	return sqlval.Value{Kind: lit.Kind, Text: text}
}

// unquote undoes a quoted string as MySQL's lexer does.
func unquote(text []byte, escaped bool, mode Mode) []byte {
	quote, body := text[0], text[1:len(text)-1]
	if !escaped {
		return body
	}
	out := make([]byte, 0, len(body))
	for i := 0; i < len(body); i++ {
		c := body[i]
		if c == quote && i+1 < len(body) {
			i++ // doubled
		} else if c == '\\' && mode&NoBackslashEscapes == 0 && i+1 < len(body) {
			i++
			out = appendEscaped(out, body[i])
			continue
		}
		out = append(out, c)
	}
	return out
}

// appendEscaped appends what backslash and c stand for. \% and \_ keep their
// backslash, so that LIKE sees it.
func appendEscaped(out []byte, c byte) []byte {
	switch c {
	case '0':
		return append(out, 0)
	case 'b':
		return append(out, '\b')
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	case 'Z':
		return append(out, 0x1a)
	case '%', '_':
		return append(out, '\\', c)
	}
	return append(out, c)
}

// binaryBytes are the bytes of x'4142', 0x4142, b'01' and 0b01. An odd number
// of hexadecimal digits and an incomplete byte of bits are filled up on the
// left.
func binaryBytes(text []byte) []byte {
	digits := text[2:]
	if text[1] == '\'' {
		digits = bytes.TrimSuffix(digits, []byte("'"))
	}
	width := 4
	if text[0]|0x20 == 'b' || text[0] == '0' && text[1] == 'b' {
		width = 1
	}
	n := (len(digits)*width + 7) / 8
	out := make([]byte, n)
	bit := 0
	for i := len(digits) - 1; i >= 0; i-- {
		out[n-1-bit/8] |= digitValue(digits[i]) << (bit % 8)
		bit += width
	}
	return out
}

func digitValue(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0
}
