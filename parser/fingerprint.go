package parser

import (
	"bytes"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
)

// Lexer fingerprints statements, one after the other. It keeps its memory, so
// that after warm-up it does not allocate. Not safe for concurrent use; each
// session has one. The zero value is ready.
//
// The text is read byte by byte, so the client's character set must be one in
// which no byte of a longer character is an ASCII one: utf8, utf8mb4, latin1,
// ascii, binary and the like. In gbk, big5, sjis, cp932 and gb18030 a
// character's second byte may be a backslash, which would end a string in the
// wrong place: the session refuses them as a client's character set.
type Lexer struct {
	scanner
	fp     *Fingerprint
	frames []frame
	// marks are the offsets in fp.Key of the ? of each literal.
	marks []int
	// verbatim leaves every literal in place, and tuples unfolded.
	verbatim bool
	// stripHints leaves out the comments only Serval obeys.
	stripHints bool
	noFold     bool
	// stripped: a hint was left out before the token at hand.
	stripped bool

	param    bool // literals of this kind of statement are taken out
	verb     keyword
	prev     prevToken
	prevKey  keyword
	values   valuesState
	tuple    int // offset in Key of the current tuple
	firstAt  int // offset in Key of the first tuple
	firstEnd int // offset in Key behind the first tuple
	routine  routineState
	hints    []token
}

const (
	// deepest nesting of parentheses; servers give up earlier.
	deepest = 5000
	// smallText is the length of a text for which no more memory is kept.
	smallText = 64 << 10
)

// frame is what is open: the statement, a parenthesis or a brace.
type frame struct {
	// keep: literals stay, because of what is around the parenthesis.
	keep bool
	// clause: literals stay until the next clause begins.
	clause bool
	// label: white space stays, as it is part of a column's label.
	label bool
	// list: this frame's own select list is open.
	list bool
	// query: the frame has had its SELECT.
	query bool
	// convert: it holds the arguments of CONVERT.
	convert bool
}

// prevToken is what the last token was, as far as a literal behind it cares.
type prevToken uint8

const (
	prevStart prevToken = iota
	prevKeyword
	prevOperand
	prevOpen  // (
	prevComma // ,
	prevOperator
	prevArrow
)

// valuesState follows the VALUES list of an INSERT.
type valuesState uint8

const (
	valuesNone  valuesState = iota
	valuesTuple             // a tuple or the end is expected
	valuesIn                // within a tuple
	valuesAfter             // behind a tuple
	valuesDone
)

// Fingerprint reads the first statement of sql into fp. The text behind
// fp.End is not looked at; an empty statement has an empty Verb. Time and
// memory grow with the text's length. Errors are *sqlerr.Error: a string,
// name or comment that never ends (1064), or a /*! comment that servers read
// differently.
func (l *Lexer) Fingerprint(sql []byte, mode Mode, fp *Fingerprint) error {
	l.verbatim, l.stripHints, l.noFold = false, false, false
	return l.run(sql, mode, fp)
}

func (l *Lexer) run(sql []byte, mode Mode, fp *Fingerprint) error {
	for {
		again, err := l.pass(sql, mode, fp)
		if !again || err != nil {
			l.sql, l.fp = nil, nil
			return err
		}
		l.noFold = true
	}
}

// pass goes through the statement once. It asks for another pass, without
// folding, when tuples turn out to differ in shape.
func (l *Lexer) pass(sql []byte, mode Mode, fp *Fingerprint) (again bool, err error) {
	l.scanner = scanner{sql: sql, mode: mode}
	if len(sql) < smallText && cap(fp.Key)+cap(fp.Literals) > smallText {
		*fp, l.frames = Fingerprint{}, nil // give back what a huge statement needed
	}
	*fp = Fingerprint{Key: fp.Key[:0], Literals: fp.Literals[:0]}
	l.fp = fp
	l.frames = append(l.frames[:0], frame{})
	l.marks = l.marks[:0]
	l.hints = l.hints[:0]
	l.param, l.verb, l.prev, l.prevKey, l.values = false, kwNone, prevStart, kwNone, valuesNone
	l.stripped, l.routine = false, routineState{}
	for {
		t, err := l.next()
		if err != nil {
			return false, err
		}
		if t.kind == tokenEnd {
			break
		}
		if !l.accept(t) {
			return true, nil
		}
		if len(l.frames) > deepest {
			return false, sqlerr.New(sqlerr.Parse, "You have an error in your SQL syntax: parentheses are nested too deep")
		}
	}
	l.splitDashes()
	fp.End = l.pos
	if fp.Rows < 2 {
		fp.Rows, fp.FirstRow, fp.RowWidth = 0, 0, 0
	}
	return false, nil
}

func (l *Lexer) top() *frame { return &l.frames[len(l.frames)-1] }

// accept takes one token. It returns false if the tuples cannot be folded
// after all.
func (l *Lexer) accept(t token) bool {
	switch t.kind {
	case tokenWord:
		l.word(t)
	case tokenInt, tokenDecimal, tokenFloat, tokenString, tokenBinary, tokenMarker:
		l.literal(t)
	case tokenPunct:
		return l.punct(t)
	case tokenArrow:
		l.copyToken(t)
		l.prev = prevArrow
	case tokenHint:
		l.fp.Flags |= HasHint
		l.hints = append(l.hints, t)
		l.hint(t)
	case tokenVersioned:
		l.versioned(t)
	case tokenVar:
		if t.end-t.start > 1 && l.sql[t.start+1] != '@' {
			l.fp.Flags |= HasUserVar
		}
		l.copyToken(t)
		l.prev = prevOperand
	default: // tokenName, tokenNational
		l.copyToken(t)
		l.prev = prevOperand
	}
	return true
}

// gap writes what is to stand before a token: a space, or in a select list
// the white space and comments as they are, since they are part of an unnamed
// column's label (tried on MySQL 9.7 and MariaDB 10.11).
func (l *Lexer) gap(t token, kw keyword) {
	key := l.fp.Key
	stripped := l.stripped
	l.stripped = false
	if len(key) == 0 || t.start == l.gapStart && !stripped {
		return
	}
	f := l.top()
	c := l.sql[t.start]
	switch {
	case l.values == valuesIn || l.values == valuesTuple:
		if c == ',' || c == ')' || c == '(' || l.prev == prevComma || l.prev == prevOpen {
			return
		}
	case (f.label || f.list) && !stripped && !l.foreignComment(t):
		edge := f.list && !f.label && (l.prev == prevComma || l.prevKey == kwSelect || c == ',' ||
			kw == kwFrom || kw == kwAs)
		if !edge {
			l.fp.Key = append(key, l.sql[l.gapStart:t.start]...)
			return
		}
	}
	l.splitDashes()
	l.fp.Key = append(l.fp.Key, ' ')
}

// foreignComment: the gap before t holds a comment that is code to TiDB's
// parser.
func (l *Lexer) foreignComment(t token) bool {
	return l.gapComment && bytes.Contains(l.sql[l.gapStart:t.start], []byte("/*T!"))
}

// splitDashes parts the minuses at the end of the key: with white space behind
// them, where a comment was, two would begin a comment.
func (l *Lexer) splitDashes() {
	key := bytes.TrimRight(l.fp.Key, "-")
	n := len(l.fp.Key) - len(key)
	if n < 2 {
		return
	}
	for range n - 1 {
		key = append(key, "- "...)
	}
	l.fp.Key = append(key, '-')
}

func (l *Lexer) copyToken(t token) {
	l.gap(t, kwNone)
	l.fp.Key = append(l.fp.Key, l.sql[t.start:t.end]...)
	l.prevKey = kwNone
}

// word takes a name or keyword.
func (l *Lexer) word(t token) {
	text := l.sql[t.start:t.end]
	kw := kwNone
	if !l.isDotted() {
		kw = keywordOf(text)
	}
	if l.fp.Verb == "" {
		l.begin(text, kw)
	} else if l.verb == kwNone || l.verb == kwExplain {
		l.within(kw)
	}
	if l.verb == kwAlter {
		l.routineWord(t, kw)
	}
	if l.values == valuesAfter {
		l.values = valuesDone
	}
	l.clause(kw)
	l.gap(t, kw)
	l.fp.Key = append(l.fp.Key, text...)
	l.prevKey = kw
	l.prev = prevOperand
	if kw != kwNone {
		l.prev = prevKeyword
	}
}

// isDotted: the last byte written is a dot, so a word is a name.
func (l *Lexer) isDotted() bool {
	key := l.fp.Key
	return len(key) > 0 && key[len(key)-1] == '.' && l.prev == prevOperator
}

// begin takes the first word.
func (l *Lexer) begin(text []byte, kw keyword) {
	l.fp.Verb = verbOf(text)
	switch kw {
	case kwSelect, kwInsert, kwReplace, kwUpdate, kwDelete, kwWith, kwDo, kwCall:
		l.param, l.verb = true, kw
	case kwExplain, kwDescribe, kwDesc, kwAnalyze:
		l.verb = kwExplain
	default:
		l.verb = kwAlter // any other: its literals stay
	}
}

// within looks for the statement behind EXPLAIN or an opening parenthesis.
func (l *Lexer) within(kw keyword) {
	switch kw {
	case kwSelect, kwWith, kwInsert, kwReplace, kwUpdate, kwDelete:
		l.param = true
		if l.verb == kwNone {
			l.verb = kw
		}
	}
}

// clause follows which part of the statement a keyword begins.
func (l *Lexer) clause(kw keyword) {
	f := l.top()
	switch kw {
	case kwSelect:
		*f = frame{keep: f.keep, label: f.label, list: true, query: true}
	case kwFrom:
		if f.query {
			f.list, f.clause = false, false
		}
	case kwInto:
		if f.query {
			f.list, f.clause = false, true
		}
	case kwWhere, kwHaving, kwLimit, kwUnion, kwExcept, kwIntersect, kwOn, kwSet, kwWindow, kwLock:
		f.list, f.clause = false, false
	case kwFor:
		if f.query {
			f.clause = false
		}
	case kwBy:
		f.list, f.clause = false, true
	case kwRows, kwRange:
		f.clause = len(l.frames) > 1
	case kwReturning:
		f.clause, f.list = len(l.frames) > 1, true
	case kwAs:
		if len(l.frames) > 1 && !f.query {
			f.clause = true
		}
	case kwValues, kwValue:
		f.clause = false
		if l.values == valuesNone && len(l.frames) == 1 && (l.verb == kwInsert || l.verb == kwReplace) {
			l.values = valuesTuple
		}
	}
	if kw == kwOn && l.values != valuesNone {
		l.values = valuesDone
	}
}

// literal takes a literal or a ?.
func (l *Lexer) literal(t token) {
	marker := t.kind == tokenMarker
	if marker {
		l.fp.Flags |= HasMarker
	}
	if !marker && !l.takesOut(t) {
		l.copyToken(t)
		l.prev = prevOperand
		return
	}
	l.fp.Literals = append(l.fp.Literals, Literal{
		Start: t.start, End: t.end, Kind: kindOfToken(t.kind), Marker: marker, Escaped: t.escaped,
	})
	l.gap(t, kwNone)
	if l.stripHints { // Parse asks where they are
		l.marks = append(l.marks, len(l.fp.Key))
	}
	if l.verbatim && !marker {
		l.fp.Key = append(l.fp.Key, l.sql[t.start:t.end]...)
	} else {
		l.fp.Key = append(l.fp.Key, '?')
	}
	l.prev, l.prevKey = prevOperand, kwNone
}

// takesOut decides whether a literal becomes a ?. It says no wherever it is
// not sure: a literal left in place costs a cache entry, one taken out wrongly
// costs a wrong plan.
func (l *Lexer) takesOut(t token) bool {
	f := l.top()
	if !l.param || f.keep || f.clause {
		return false
	}
	switch l.prev {
	case prevKeyword:
		if !beforeValue[l.prevKey] {
			return false
		}
	case prevStart, prevOperand, prevArrow:
		return false
	}
	return t.kind != tokenString || !l.stringFollows()
}

// stringFollows: the next token is a string, which MySQL joins to this one.
func (l *Lexer) stringFollows() bool {
	saved := l.scanner
	err := l.skipGap()
	c := l.peek(0)
	l.scanner = saved
	return err == nil && (c == '\'' || c == '"' && l.mode&AnsiQuotes == 0)
}

func kindOfToken(k tokenKind) sqlval.Kind {
	switch k {
	case tokenInt:
		return sqlval.Int
	case tokenDecimal:
		return sqlval.Decimal
	case tokenFloat:
		return sqlval.Float
	case tokenString:
		return sqlval.String
	case tokenBinary:
		return sqlval.Binary
	}
	return sqlval.Null
}

// punct takes one byte of punctuation.
func (l *Lexer) punct(t token) bool {
	c := l.sql[t.start]
	switch c {
	case '(', '{':
		l.open(t, c)
		return true
	case ')', '}':
		return l.closeFrame(t)
	}
	if c == '+' && l.values == valuesAfter && t.start == l.gapStart {
		l.fp.Key = append(l.fp.Key, ' ') // a + behind a tuple is what folding writes
	}
	l.copyToken(t)
	l.prev = prevOperator
	if c == ',' {
		l.prev = prevComma
		if f := l.top(); f.convert {
			f.clause = true
		}
		if l.values == valuesAfter && len(l.frames) == 1 {
			l.values = valuesTuple
		}
	}
	return true
}

func (l *Lexer) open(t token, c byte) {
	if l.fp.Verb == "" && c == '(' {
		l.fp.Verb = "("
	}
	f := l.top()
	child := frame{
		keep:    f.keep || f.clause || c == '{' || l.prevKey == kwFractional,
		label:   f.label || f.list,
		convert: l.prevKey == kwConvert,
	}
	if l.values == valuesTuple && len(l.frames) == 1 {
		if l.prevKey == kwValues || l.prevKey == kwValue || l.prev == prevComma {
			l.values = valuesIn
			l.gap(t, kwNone)
			l.tuple = len(l.fp.Key)
			l.startTuple()
		} else {
			l.values = valuesDone
		}
	}
	l.copyToken(t)
	l.prev = prevOpen
	l.frames = append(l.frames, child)
}

// startTuple notes the first literal of the first tuple.
func (l *Lexer) startTuple() {
	if l.fp.Rows == 0 && l.fp.RowWidth == 0 {
		l.fp.FirstRow = len(l.fp.Literals)
	}
}

func (l *Lexer) closeFrame(t token) bool {
	l.copyToken(t)
	l.prev = prevOperand
	if len(l.frames) > 1 {
		l.frames = l.frames[:len(l.frames)-1]
	}
	if len(l.frames) == 1 && l.values == valuesIn {
		l.values = valuesAfter
		return l.endTuple()
	}
	return true
}

// endTuple folds a tuple into the first one where their shapes are the same.
func (l *Lexer) endTuple() bool {
	if l.noFold || l.verbatim {
		return true
	}
	fp := l.fp
	tuple := fp.Key[l.tuple:]
	if fp.Rows == 0 {
		fp.Rows = 1
		fp.RowWidth = len(fp.Literals) - fp.FirstRow
		l.firstAt, l.firstEnd = l.tuple, len(fp.Key)
		return true
	}
	if fp.RowWidth == 0 || !bytes.Equal(fp.Key[l.firstAt:l.firstEnd], tuple) {
		return false
	}
	fp.Rows++
	fp.Key = append(fp.Key[:l.firstEnd], '+')
	return true
}

// hint copies a hint comment, or leaves it out of what servers get.
func (l *Lexer) hint(t token) {
	if l.stripHints && l.sql[t.start+2] != '+' {
		l.stripped = true
		return
	}
	prev, prevKey := l.prev, l.prevKey
	text := l.sql[t.start:t.end]
	if l.stripHints {
		text = stripServal(text)
		if text == nil {
			l.stripped = true
			return
		}
	}
	l.gap(t, kwNone)
	l.fp.Key = append(l.fp.Key, text...)
	l.prev, l.prevKey = prev, prevKey
}

// versioned copies a /*! comment. What it holds is code to some servers, so a
// literal behind it stays.
func (l *Lexer) versioned(t token) {
	l.fp.Flags |= HasVersioned
	if l.fp.Verb == "" {
		l.beginVersioned(t)
	}
	l.copyToken(t)
	l.prev = prevOperand
}

// beginVersioned takes the verb from within a comment that begins the
// statement, as mysqldump writes them.
func (l *Lexer) beginVersioned(t token) {
	i := t.start + 2
	for i < t.end && (l.sql[i] == 'M' || l.sql[i] == '!' || charClass[l.sql[i]]&(charDigit|charSpace) != 0) {
		i++
	}
	if end := l.wordEnd(i); end > i && end <= t.end {
		l.fp.Verb = verbOf(l.sql[i:end])
		l.verb = kwAlter
	}
}
