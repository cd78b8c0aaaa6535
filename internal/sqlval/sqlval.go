// Package sqlval is one literal or bound parameter of a statement: what kind
// it is and its text, the form in which text queries and prepared statements
// meet. It does no conversion to column types; shardrule does.
package sqlval

import (
	"strconv"
	"strings"
)

// Kind is the kind of a Value.
type Kind uint8

const (
	// Null is SQL NULL.
	Null Kind = iota
	// Int is an integer in decimal digits with an optional minus sign; it may
	// exceed 64 bits, as a MySQL literal may.
	Int
	// Decimal is an exact number with a decimal point, as written.
	Decimal
	// Float is an approximate number (1e3, FLOAT and DOUBLE parameters).
	Float
	// String is text in the connection's character set, unquoted and
	// unescaped.
	String
	// Binary is a hexadecimal or bit literal, or a BLOB parameter: raw bytes.
	Binary
	// Temporal is a DATE, DATETIME, TIMESTAMP or TIME parameter in MySQL's
	// text form ('2026-11-23 10:00:00').
	Temporal
)

// Value is one literal or parameter. Text is the value's text without quotes,
// nil for Null. A Value borrows Text from the packet it was read from: whoever
// keeps it longer than the statement copies it.
type Value struct {
	Kind Kind
	Text []byte
}

// NullValue is SQL NULL.
var NullValue = Value{Kind: Null}

// IntValue makes an Int.
func IntValue(n int64) Value { return Value{Kind: Int, Text: strconv.AppendInt(nil, n, 10)} }

// StringValue makes a String.
func StringValue(s string) Value { return Value{Kind: String, Text: []byte(s)} }

// AppendSQL appends the value as a MySQL literal. Strings are quoted with
// backslash escapes unless noBackslash (sql_mode NO_BACKSLASH_ESCAPES), where
// only quotes are doubled.
func (v Value) AppendSQL(dst []byte, noBackslash bool) []byte {
	switch v.Kind {
	case Null:
		return append(dst, "NULL"...)
	case Int, Decimal, Float:
		return append(dst, v.Text...)
	case Binary:
		dst = append(dst, 'x', '\'')
		const hex = "0123456789abcdef"
		for _, c := range v.Text {
			dst = append(dst, hex[c>>4], hex[c&15])
		}
		return append(dst, '\'')
	case String, Temporal:
		return appendQuoted(dst, v.Text, noBackslash)
	}
	return append(dst, "NULL"...)
}

func appendQuoted(dst, text []byte, noBackslash bool) []byte {
	dst = append(dst, '\'')
	for _, c := range text {
		switch {
		case c == '\'':
			dst = append(dst, '\'', '\'')
		case noBackslash:
			dst = append(dst, c)
		case c == '\\':
			dst = append(dst, '\\', '\\')
		case c == 0:
			dst = append(dst, '\\', '0')
		case c == '\x1a':
			dst = append(dst, '\\', 'Z')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '\'')
}

// QuoteName is an identifier in backquotes, as a statement has it.
func QuoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
