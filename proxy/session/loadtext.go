package session

import (
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/infile"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
)

// loadText is LOAD DATA LOCAL INFILE as it is written.
type loadText struct {
	source        string // the statement
	file          string
	replace       bool
	schema, table string // schema may be empty
	charset       string // empty where not said
	format        infile.Format
	skip          uint64 // IGNORE n LINES
	targets       []loadTarget
	listed        bool // there is a list of columns
	sets          []loadSet
}

// loadTarget takes one field of each line.
type loadTarget struct {
	name     string
	variable bool // a user variable
}

// loadSet is one assignment of SET, with its expression's tokens.
type loadSet struct {
	column string
	tokens []token
}

// isLoadLocal reports LOAD DATA LOCAL; other LOAD statements are a server's.
func isLoadLocal(tokens []token) bool {
	if len(tokens) < 2 || !tokens[1].is("DATA") {
		return false
	}
	for _, t := range tokens[2:min(len(tokens), 6)] {
		if t.is("LOCAL") {
			return true
		}
		if t.is("INFILE") {
			return false
		}
	}
	return false
}

// loadReader reads the statement clause by clause. The first error stays.
type loadReader struct {
	text   string
	tokens []token
	i      int
	mode   parser.Mode
	out    *loadText
	err    error
}

// readLoad reads a statement that isLoadLocal.
func readLoad(text string, tokens []token, mode parser.Mode) (*loadText, error) {
	r := &loadReader{text: text, tokens: tokens, mode: mode, out: &loadText{source: text}}
	escaped := "\\"
	if mode&parser.NoBackslashEscapes != 0 {
		escaped = ""
	}
	r.out.format = infile.Format{Fields: []byte{'\t'}, Lines: []byte{'\n'}, Enclosed: infile.None}
	if len(tokens) == maxTokens {
		return nil, sqlerr.Refuse("this LOAD DATA LOCAL", "it is longer than Serval reads", "shorten SET")
	}
	r.head()
	fields, enclosed, escaped := r.fields(escaped)
	if r.take("LINES") {
		r.lines()
	}
	r.tail()
	if r.err != nil {
		return nil, r.err
	}
	return r.out, r.out.setFormat(fields, enclosed, escaped)
}

// fields reads FIELDS and what follows it.
func (r *loadReader) fields(escapedBy string) (terminated, enclosed, escaped string) {
	terminated, escaped = "\t", escapedBy
	if !r.take("FIELDS") && !r.take("COLUMNS") {
		return terminated, "", escaped
	}
	for {
		switch {
		case r.take("TERMINATED", "BY"):
			terminated = r.string()
		case r.take("OPTIONALLY", "ENCLOSED", "BY"), r.take("ENCLOSED", "BY"):
			enclosed = r.string()
		case r.take("ESCAPED", "BY"):
			escaped = r.string()
		default:
			return terminated, enclosed, escaped
		}
	}
}

func (r *loadReader) lines() {
	for {
		switch {
		case r.take("STARTING", "BY"):
			r.out.format.Start = []byte(r.string())
		case r.take("TERMINATED", "BY"):
			r.out.format.Lines = []byte(r.string())
		default:
			return
		}
	}
}

// setFormat checks the bytes between fields.
func (l *loadText) setFormat(fields, enclosed, escaped string) error {
	const wrongTerminators = 1083
	if len(enclosed) > 1 || len(escaped) > 1 {
		e := sqlerr.New(wrongTerminators, "Field separator argument is not what is expected; check the manual")
		e.State = "42000"
		return e
	}
	l.format.Fields = []byte(fields)
	l.format.Enclosed, l.format.Escaped = oneByte(enclosed), oneByte(escaped)
	switch {
	case fields == "" && enclosed == "":
		return sqlerr.Refuse("LOAD DATA LOCAL of fields with fixed lengths", "it would need each column's width as the server shows it",
			"give FIELDS TERMINATED BY")
	case max(len(fields), len(l.format.Lines), len(l.format.Start)) > infile.MaxTerminator:
		return sqlerr.Refuse("LOAD DATA LOCAL with such a terminator", "it is longer than "+strconv.Itoa(infile.MaxTerminator)+" bytes", "use a shorter one")
	}
	return nil
}

func oneByte(s string) int {
	if s == "" {
		return infile.None
	}
	return int(s[0])
}

// head reads up to the table's name and the character set.
func (r *loadReader) head() {
	r.i = 2 // LOAD DATA
	for r.take("LOW_PRIORITY") || r.take("CONCURRENT") || r.take("FROM") || r.take("LOCAL") {
	}
	r.want("INFILE")
	r.out.file = r.string()
	switch {
	case r.take("REPLACE"):
		r.out.replace = true
	case r.take("IGNORE"): // which LOCAL does anyway
	}
	r.want("INTO", "TABLE")
	r.out.table = r.name()
	if r.takeOp(".") {
		r.out.schema, r.out.table = r.out.table, r.name()
	}
	if r.at().is("PARTITION") {
		r.fail(sqlerr.Refuse("LOAD DATA LOCAL with PARTITION", "the lines become INSERTs, some of which may go elsewhere", "leave it out: each row finds its partition"))
	}
	if r.take("CHARACTER", "SET") || r.take("CHARSET") {
		r.out.charset = strings.ToLower(r.name())
	}
}

// tail reads IGNORE n LINES, the columns and SET.
func (r *loadReader) tail() {
	if r.take("IGNORE") {
		n, err := strconv.ParseUint(r.at().Text, 10, 64)
		if err != nil {
			r.fail(syntaxError(r.rest()))
		}
		r.out.skip = n
		r.i++
		if !r.take("LINES") && !r.take("ROWS") {
			r.fail(syntaxError(r.rest()))
		}
	}
	if r.takeOp("(") {
		r.out.listed = true
		r.columns()
	}
	if r.take("SET") {
		r.assignments()
	}
	if r.i < len(r.tokens) {
		r.fail(syntaxError(r.rest()))
	}
}

func (r *loadReader) columns() {
	if r.takeOp(")") {
		r.out.listed = false
		return
	}
	for r.err == nil {
		t := loadTarget{variable: r.takeOp("@")}
		t.name = r.name()
		for !t.variable && r.takeOp(".") { // the table's own name may stand before it
			t.name = r.name()
		}
		if t.variable {
			t.name = strings.ToLower(t.name)
		}
		r.out.targets = append(r.out.targets, t)
		if r.takeOp(")") {
			return
		}
		if !r.takeOp(",") {
			r.fail(syntaxError(r.rest()))
		}
	}
}

// assignments reads SET column = expression, ….
func (r *loadReader) assignments() {
	for r.err == nil {
		set := loadSet{column: r.name()}
		for r.takeOp(".") {
			set.column = r.name()
		}
		if !r.takeOp("=") && !r.takeOp(":=") {
			r.fail(syntaxError(r.rest()))
			return
		}
		from, depth := r.i, 0
		for ; r.i < len(r.tokens); r.i++ {
			t := r.tokens[r.i]
			switch {
			case t.op("("):
				depth++
			case t.op(")"):
				depth--
			case t.op(":="):
				r.fail(sqlerr.Refuse("LOAD DATA LOCAL with SET "+set.column+" = … :=", "a user variable would be assigned once for each row, on several servers", "assign it in a statement of its own"))
			}
			if depth == 0 && t.op(",") {
				break
			}
		}
		if set.tokens = r.tokens[from:r.i]; len(set.tokens) == 0 {
			r.fail(syntaxError(r.rest()))
		}
		r.out.sets = append(r.out.sets, set)
		if r.i == len(r.tokens) {
			return
		}
		r.i++
	}
}

func (r *loadReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *loadReader) at() token {
	if r.i < len(r.tokens) {
		return r.tokens[r.i]
	}
	return token{Kind: tokenEnd, Start: len(r.text), End: len(r.text)}
}

// rest is the text from here on, for messages.
func (r *loadReader) rest() string { return r.text[min(r.at().Start, len(r.text)):] }

// take goes over the words if they are next.
func (r *loadReader) take(words ...string) bool {
	for k, w := range words {
		if r.i+k >= len(r.tokens) || !r.tokens[r.i+k].is(w) {
			return false
		}
	}
	r.i += len(words)
	return true
}

func (r *loadReader) takeOp(op string) bool {
	if !r.at().op(op) {
		return false
	}
	r.i++
	return true
}

func (r *loadReader) want(words ...string) {
	if !r.take(words...) {
		r.fail(syntaxError(r.rest()))
	}
}

func (r *loadReader) name() string {
	t := r.at()
	if t.Kind != tokenWord && t.Kind != tokenName && t.Kind != tokenString {
		r.fail(syntaxError(r.rest()))
		return ""
	}
	r.i++
	return t.name()
}

// string is a quoted string, or bytes in hexadecimal or bits.
func (r *loadReader) string() string {
	t := r.at()
	lit := parser.Literal{End: len(t.Text), Kind: sqlval.String, Escaped: true}
	switch quoted := r.i+1 < len(r.tokens) && r.tokens[r.i+1].Start == t.End && r.tokens[r.i+1].Kind == tokenString; {
	case t.Kind == tokenString && len(t.Text) > 1:
	case (t.is("X") || t.is("B")) && quoted:
		r.i++
		t.Text += r.at().Text
		lit.End, lit.Kind = len(t.Text), sqlval.Binary
	case t.Kind == tokenWord && len(t.Text) > 2 && t.Text[0] == '0' && (t.Text[1] == 'x' || t.Text[1] == 'b'):
		lit.Kind = sqlval.Binary
	default:
		r.fail(syntaxError(r.rest()))
		return ""
	}
	r.i++
	return string(lit.Value([]byte(t.Text), r.mode).Text)
}
