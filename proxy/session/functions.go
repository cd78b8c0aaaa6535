package session

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
)

// Functions and variables whose value is the session's, not that of the
// connection a statement happens to run on: LAST_INSERT_ID(), CONNECTION_ID(),
// @@autocommit and so on. They are replaced by their values in the text before
// it is planned, and a column label that would change is put back by an alias.
// Where nothing else is asked for, Serval answers by itself.

// sessionValue is one occurrence.
type sessionValue struct {
	start, end int
	sql        string
	text       []byte // the value as a result shows it, nil for NULL
	number     bool
	name       string // of a function, in upper case
	exact      *wire.Column
}

// mayNameSession is a cheap test for whether findSession could find anything:
// most statements have neither a call nor a variable.
func mayNameSession(text []byte) bool {
	for i, c := range text {
		switch {
		case c == '(' && i > 1 && sessionFunctionEnd(text[:i]):
			return true
		case c == '@' && i+1 < len(text) && text[i+1] == '@':
			return true
		case c == '_' && i >= 7 && strings.EqualFold(string(text[i-7:i]), "current"):
			return true
		}
	}
	return false
}

// sessionFunctionEnd reports whether text ends with the last letters of one of
// the functions: ID, COUNT, ROWS, USER, DATABASE, SCHEMA, white space ignored.
func sessionFunctionEnd(text []byte) bool {
	n := len(text)
	for n > 0 && text[n-1] <= ' ' {
		n--
	}
	if n < 2 {
		return false
	}
	switch [2]byte{text[n-2] | 0x20, text[n-1] | 0x20} {
	case [2]byte{'i', 'd'}, [2]byte{'n', 't'}, [2]byte{'w', 's'}, [2]byte{'e', 'r'}, [2]byte{'s', 'e'}, [2]byte{'m', 'a'}:
		return true
	}
	return false
}

// findSession finds all occurrences in a statement.
func (s *Session) findSession(tokens []token) []sessionValue {
	var out []sessionValue
	for i := 0; i < len(tokens); i++ {
		if v, n := s.sessionVariable(tokens[i:]); n > 0 {
			out = append(out, v)
			i += n - 1
			continue
		}
		if i > 0 && (tokens[i-1].op(".") || tokens[i-1].op("@") || tokens[i-1].op("@@")) {
			continue
		}
		if v, n := s.sessionFunction(tokens[i:]); n > 0 {
			out = append(out, v)
			i += n - 1
		}
	}
	return out
}

// sessionVariable reads @@[session.|local.]name.
func (s *Session) sessionVariable(tokens []token) (v sessionValue, n int) {
	if len(tokens) < 2 || !tokens[0].op("@@") {
		return v, 0
	}
	name := 1
	if len(tokens) > 3 && tokens[2].op(".") && (tokens[1].is("SESSION") || tokens[1].is("LOCAL")) {
		name = 3
	}
	v = sessionValue{start: tokens[0].Start, end: tokens[name].End, number: true}
	switch lower := strings.ToLower(tokens[name].name()); lower {
	case "autocommit":
		v.text = digits(bit(s.autocommit))
	case "last_insert_id", "identity":
		v.text = strconv.AppendUint(nil, s.lastInsertID, 10)
	case "warning_count":
		v.text, v.exact = digits(int64(s.diag.count)), &countColumn
	case "error_count":
		v.text, v.exact = digits(int64(s.diag.errors())), &countColumn
	case "in_transaction":
		v.text = digits(bit(s.status()&1 != 0))
	case "pseudo_thread_id":
		v.text = digits(int64(s.c.ID))
	default:
		value, ok := s.options.value(lower)
		if !ok {
			return v, 0
		}
		v.text, v.number = []byte(value), isNumber(value) && !strings.Contains(value, ".")
	}
	v.sql = string(v.text)
	if !v.number {
		v.sql = quoteText(v.sql)
	}
	return v, name + 1
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// sessionFunction reads NAME() and CURRENT_USER.
func (s *Session) sessionFunction(tokens []token) (v sessionValue, n int) {
	if tokens[0].Kind != tokenWord {
		return v, 0
	}
	call := len(tokens) > 2 && tokens[1].op("(") && tokens[2].op(")")
	name := strings.ToUpper(tokens[0].Text)
	if !call && name != "CURRENT_USER" {
		return v, 0
	}
	v = sessionValue{start: tokens[0].Start, end: tokens[0].End, number: true, name: name}
	n = 1
	if call {
		v.end, n = tokens[2].End, 3
	}
	switch name {
	case "LAST_INSERT_ID":
		v.text, v.exact = strconv.AppendUint(nil, s.lastInsertID, 10), &lastIDColumn
	case "CONNECTION_ID":
		v.text = digits(int64(s.c.ID))
	case "ROW_COUNT":
		v.text, v.exact = digits(s.rowCount), &rowsColumn
	case "FOUND_ROWS":
		if s.foundRows < 0 {
			return v, 0 // the rows were not counted; the router refuses the function
		}
		v.text, v.exact = digits(s.foundRows), &rowsColumn
	case "DATABASE", "SCHEMA":
		v.number = false
		if s.settings.db != "" {
			v.text = []byte(s.settings.db)
		}
	case "USER", "SESSION_USER", "SYSTEM_USER":
		v.text, v.number = []byte(s.c.User.Name+"@"+host(s.c.Remote)), false
	case "CURRENT_USER":
		v.text, v.number = []byte(s.c.User.Name+"@%"), false
	default:
		return v, 0
	}
	v.sql = string(v.text)
	switch {
	case v.exact == &rowsColumn:
		v.sql = "CAST(" + v.sql + " AS SIGNED)" // BIGINT, where a small number is INT
	case v.text == nil:
		v.sql = "NULL"
	case !v.number:
		v.sql = quoteText(v.sql)
	}
	return v, n
}

func host(remote string) string {
	if i := strings.LastIndexByte(remote, ':'); i > 0 {
		return strings.Trim(remote[:i], "[]")
	}
	return remote
}

// selectItem is one item of a statement's select list.
type selectItem struct {
	tokens []token
	alias  string // as the statement gives it, or empty
}

// selectList cuts the outermost select list. whole: nothing but the list is in
// the statement.
func selectList(tokens []token) (items []selectItem, whole bool) {
	if len(tokens) == 0 || !tokens[0].is("SELECT") {
		return nil, false
	}
	rest := tokens[1:]
	depth, end := 0, len(rest)
	for i, t := range rest {
		switch {
		case t.op("("):
			depth++
		case t.op(")"):
			depth--
		case depth == 0 && endsSelectList(t):
			end = i
		}
		if end < len(rest) {
			break
		}
	}
	whole = end == len(rest) || end+1 == len(rest) && rest[end].op(";") || isLimitOne(rest[end:])
	for list := rest[:end]; len(list) > 0; {
		var part []token
		part, list = cutAtComma(list)
		if len(part) > 0 {
			items = append(items, aliasOf(part))
		}
	}
	return items, whole
}

func endsSelectList(t token) bool {
	for _, word := range [...]string{"FROM", "INTO", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "FOR", "PROCEDURE"} {
		if t.is(word) {
			return true
		}
	}
	return t.op(";")
}

// isLimitOne: the mysql client asks "select @@version_comment limit 1".
func isLimitOne(tokens []token) bool {
	tokens = trimSemicolon(tokens)
	return len(tokens) == 2 && tokens[0].is("LIMIT") && tokens[1].Text != "0"
}

func aliasOf(part []token) selectItem {
	n := len(part)
	if n > 2 && part[n-2].is("AS") {
		return selectItem{part[:n-2], part[n-1].name()}
	}
	if n > 1 && part[n-1].Kind != tokenOther && part[n-2].op(")") {
		return selectItem{part[:n-1], part[n-1].name()}
	}
	return selectItem{tokens: part}
}

// answerSession answers a SELECT that asks for nothing but session values.
func (s *Session) answerSession(text string, tokens []token, values []sessionValue) bool {
	items, whole := selectList(tokens)
	if !whole || len(items) != len(values) {
		return false
	}
	columns := make([]column, len(items))
	row := make([][]byte, len(items))
	for i, it := range items {
		first, last := it.tokens[0], it.tokens[len(it.tokens)-1]
		if values[i].start != first.Start || values[i].end != last.End {
			return false
		}
		label := it.alias
		if label == "" {
			label = text[first.Start:last.End]
		}
		columns[i], row[i] = column{label, values[i].number, values[i].exact}, values[i].text
	}
	s.tableWarned(columns, [][][]byte{row}, s.askedAlone(values))
	return true
}

// askedAlone is what a SELECT without tables does to the diagnostics: MariaDB
// leaves them as they are, MySQL begins anew and has a word on FOUND_ROWS().
func (s *Session) askedAlone(values []sessionValue) (warnings int) {
	if s.onMariaDB() {
		return 0
	}
	s.diag.reset()
	for _, v := range values {
		if v.name == "FOUND_ROWS" && !s.binary { // of a prepared one it was said at its preparation
			s.diag.rows = append(s.diag.rows, diagnostic{level: "Warning", code: errDeprecated, message: foundRowsDeprecated})
			s.diag.count++
		}
	}
	return s.diag.count
}

// onMariaDB: the servers are MariaDB's, by the version they all go by.
func (s *Session) onMariaDB() bool { return strings.Contains(s.deps.Version, "MariaDB") }

const (
	errDeprecated       = 1287 // ER_WARN_DEPRECATED_SYNTAX
	foundRowsDeprecated = "FOUND_ROWS() is deprecated and will be removed in a future release. Consider using COUNT(*) instead."
)

// splice puts the values into the text.
func splice(text string, tokens []token, values []sessionValue) string {
	items, _ := selectList(tokens)
	type edit struct {
		start, end int
		sql        string
	}
	var edits []edit
	for _, v := range values {
		edits = append(edits, edit{v.start, v.end, v.sql})
	}
	var b strings.Builder
	at := 0
	for i, e := range edits {
		b.WriteString(text[at:e.start])
		b.WriteString(e.sql)
		at = e.end
		if it, ok := itemEnding(items, e.start); ok {
			last := it.tokens[len(it.tokens)-1].End
			if i+1 < len(edits) && edits[i+1].start < last {
				continue // the item's last value gives the alias
			}
			b.WriteString(text[at:last])
			at = last
			fmt.Fprintf(&b, " AS %s", sqlval.QuoteName(text[it.tokens[0].Start:last]))
		}
	}
	b.WriteString(text[at:])
	return b.String()
}

// itemEnding finds the select item without alias that holds an offset.
func itemEnding(items []selectItem, at int) (selectItem, bool) {
	for _, it := range items {
		if it.tokens[0].Start <= at && at < it.tokens[len(it.tokens)-1].End {
			return it, it.alias == ""
		}
	}
	return selectItem{}, false
}

// spliceAssignment is one part of SET with session values put in.
func (s *Session) spliceAssignment(a assignment) string {
	before := a.SQL[:len(a.SQL)-len(a.Value)]
	if a.Kind == assignNames || a.Kind == assignTransaction {
		return a.SQL
	}
	return before + s.spliceValue(a)
}

// spliceValue is the value's expression with session values put in.
func (s *Session) spliceValue(a assignment) string {
	tokens := scan(a.Value, s.settings.mode)
	return splice(a.Value, tokens, s.findSession(tokens))
}
