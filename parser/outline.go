package parser

import "strings"

// outline goes over the tokens of a statement TiDB's parser has accepted and
// notes where tables, qualified columns and clauses stand. It knows only the
// reserved words that begin a clause; what it finds is verified against the
// tree afterwards (verify.go), so here a doubt may be resolved either way.
type outline struct {
	text   string
	tokens []outlineToken
	i      int
	frames []outlineFrame
	blocks []*Block
	arms   []int
	tail   Tail
	insert *InsertSpans

	tables []tableCandidate
	chains []chain
	// shadows are aliases of derived tables and names of CTEs in FROM.
	shadows []shadow

	verb    keyword
	targets bool // within the table list of a multi-table DELETE
	// lastRow: the tuple being read.
	rows bool
}

type outlineToken struct {
	token
	kw keyword
}

// tableCandidate is a name where a table is expected.
type tableCandidate struct {
	span      Span
	name      TableName
	aliasable bool
	aliasAt   int
	block     int
}

// chain is a dotted name where a column is expected, or a DELETE's target.
type chain struct {
	// qualifier is all but the column; schema its first part with the dot.
	qualifier, schema Span
	name              TableName
	block             int
}

type shadow struct {
	name  string
	block int
}

// outlineFrame is the statement or an open parenthesis.
type outlineFrame struct {
	own      int  // the frame's current SELECT, -1 for none
	around   int  // the block around the frame
	from     bool // in a list of tables
	expect   bool // a table is expected
	derived  bool // the parenthesis holds a derived table
	arm      bool // its SELECTs are the statement's own
	armNext  bool // a SELECT or its parenthesis is expected
	setOp    bool // it has had a UNION or the like
	row      bool // a VALUES tuple
	source   bool // the SELECT of INSERT … SELECT, in parentheses
	columns  bool // an INSERT's column list
	open     *Span
	elem     int // start of the tuple's current element
	afterPar bool
}

func newOutline(text string, mode Mode) (*outline, error) {
	o := &outline{text: text}
	sc := scanner{sql: []byte(text), mode: mode, open: true}
	for {
		t, err := sc.next()
		if err != nil {
			return nil, err
		}
		if t.kind == tokenEnd {
			break
		}
		ot := outlineToken{token: t}
		if n := len(o.tokens); t.kind == tokenWord && !(n > 0 && o.isPunct(n-1, '.')) {
			ot.kw = keywordOf(sc.sql[t.start:t.end])
		}
		o.tokens = append(o.tokens, ot)
	}
	o.frames = []outlineFrame{{own: -1, around: -1, armNext: true}}
	return o, nil
}

func (o *outline) isPunct(i int, c byte) bool {
	return i >= 0 && i < len(o.tokens) && o.tokens[i].kind == tokenPunct && o.text[o.tokens[i].start] == c
}

func (o *outline) kw(i int) keyword {
	if i < 0 || i >= len(o.tokens) {
		return kwNone
	}
	return o.tokens[i].kw
}

func (o *outline) frame() *outlineFrame { return &o.frames[len(o.frames)-1] }

// block is the innermost SELECT at this place, -1 for none.
func (f *outlineFrame) block() int {
	if f.own >= 0 {
		return f.own
	}
	return f.around
}

func (o *outline) prevEnd() int {
	if o.i == 0 {
		return 0
	}
	return o.tokens[o.i-1].end
}

// run goes over a query or a statement that changes rows.
func (o *outline) run() {
	o.skipExplain()
	o.statementHead()
	for o.i < len(o.tokens) {
		t := o.tokens[o.i]
		switch {
		case t.kind == tokenPunct:
			o.punct(t)
		case t.kind == tokenWord && t.kw != kwNone && o.keyword(t.kw):
			o.i++
		case t.kind == tokenWord || t.kind == tokenName:
			o.name()
		default:
			o.i++
		}
	}
	for len(o.frames) > 0 {
		o.finish(o.frame())
		o.frames = o.frames[:len(o.frames)-1]
	}
}

// skipExplain moves to the statement behind EXPLAIN.
func (o *outline) skipExplain() {
	switch o.kw(0) {
	case kwExplain, kwDesc, kwDescribe, kwAnalyze:
	default:
		return
	}
	for o.i < len(o.tokens) {
		switch o.kw(o.i) {
		case kwSelect, kwWith, kwInsert, kwReplace, kwUpdate, kwDelete:
			return
		}
		if o.isPunct(o.i, '(') {
			return
		}
		o.i++
	}
}

// statementHead reads up to the first table of INSERT, UPDATE and DELETE.
func (o *outline) statementHead() {
	f := o.frame()
	o.verb = o.kw(o.i)
	switch o.verb {
	case kwInsert, kwReplace:
		f.armNext = false
		o.insertHead()
	case kwUpdate:
		o.i++
		o.skipModifiers()
		f.from, f.expect, f.armNext = true, true, false
	case kwDelete:
		f.armNext = false
		o.deleteHead()
	case kwWith:
		f.arm = true
	case kwSelect:
		f.arm = true
	default:
		f.arm = o.isPunct(o.i, '(')
	}
}

func (o *outline) skipModifiers() {
	for o.i < len(o.tokens) {
		switch o.kw(o.i) {
		case kwLowPriority, kwHighPriority, kwDelayed, kwQuick, kwIgnore:
			o.i++
			continue
		}
		if o.tokens[o.i].kind != tokenHint {
			return
		}
		o.i++
	}
}

func (o *outline) insertHead() {
	o.insert = &InsertSpans{Select: -1}
	o.i++
	o.skipModifiers()
	if o.kw(o.i) == kwInto {
		o.i++
	}
	if !o.isName(o.i) {
		return
	}
	o.table(false)
	o.insert.ColumnsAt = o.tables[0].aliasAt
	for o.i < len(o.tokens) && o.tokens[o.i].start < o.insert.ColumnsAt {
		o.i++
	}
	if !o.isPunct(o.i, '(') {
		return
	}
	switch o.kw(o.i + 1) {
	case kwSelect, kwWith, kwValues, kwTable:
		return
	}
	if o.isPunct(o.i+1, '(') {
		return
	}
	o.insert.Columns.Start = o.tokens[o.i].start
	o.i++
	o.frames = append(o.frames, outlineFrame{own: -1, around: -1, columns: true})
}

// deleteHead reads DELETE up to its first table. In the multi-table forms the
// names before FROM, or between FROM and USING, are targets.
func (o *outline) deleteHead() {
	f := o.frame()
	o.i++
	o.skipModifiers()
	if o.kw(o.i) != kwFrom {
		o.targets = true // DELETE a, b FROM …
		return
	}
	o.i++
	for j := o.i; j < len(o.tokens); j++ {
		switch o.kw(j) {
		case kwUsing:
			o.targets = true // DELETE FROM a, b USING …
			return
		case kwWhere, kwOrder, kwLimit, kwSelect:
			j = len(o.tokens)
		}
	}
	if o.isName(o.i) {
		o.table(false)
	}
	f.from = true // an alias may follow, no further table
}

func (o *outline) isName(i int) bool {
	return i < len(o.tokens) && (o.tokens[i].kind == tokenName || o.tokens[i].kind == tokenWord)
}

// nameText is the name a token spells.
func (o *outline) nameText(i int) string {
	t := o.tokens[i]
	text := o.text[t.start:t.end]
	if t.kind != tokenName {
		return text
	}
	q := text[:1]
	return strings.ReplaceAll(text[1:len(text)-1], q+q, q)
}

// table reads [schema.]table where one is expected.
func (o *outline) table(aliasable bool) {
	f := o.frame()
	first := o.i
	c := tableCandidate{aliasable: aliasable, block: f.block()}
	c.name.Table = o.nameText(o.i)
	o.i++
	if o.isPunct(o.i, '.') && o.isName(o.i+1) {
		c.name = TableName{Schema: c.name.Table, Table: o.nameText(o.i + 1)}
		o.i += 2
	}
	c.span = Span{o.tokens[first].start, o.prevEnd()}
	c.aliasAt = c.span.End
	if o.kw(o.i) == kwPartition && o.isPunct(o.i+1, '(') {
		for j := o.i + 2; j < len(o.tokens); j++ {
			if o.isPunct(j, ')') {
				c.aliasAt = o.tokens[j].end
				break
			}
		}
	}
	o.tables = append(o.tables, c)
	f.expect = false
}

// name reads a name that is no keyword: a table where one is expected, else
// the beginning of a column.
func (o *outline) name() {
	f := o.frame()
	switch {
	case o.targets && len(o.frames) == 1:
		o.target()
	case f.from && f.expect && !o.isPunct(o.i+1, '('):
		o.table(true)
	case f.from && f.afterPar:
		o.shadow(f.block())
		f.afterPar = false
		o.i++
	default:
		o.column()
	}
}

// shadow notes the alias of a derived table.
func (o *outline) shadow(block int) {
	o.shadows = append(o.shadows, shadow{name: o.nameText(o.i), block: block})
}

// target reads [schema.]table[.*] in a DELETE's list.
func (o *outline) target() {
	first := o.i
	c := chain{block: -1}
	c.name.Table = o.nameText(o.i)
	o.i++
	if o.isPunct(o.i, '.') && o.isName(o.i+1) {
		c.name = TableName{Schema: c.name.Table, Table: o.nameText(o.i + 1)}
		o.i += 2
		c.schema = Span{o.tokens[first].start, o.tokens[o.i-1].start}
	}
	c.qualifier = Span{o.tokens[first].start, o.prevEnd()}
	o.chains = append(o.chains, c)
	if o.isPunct(o.i, '.') {
		o.i += 2 // .*
	}
}

// column reads a dotted name.
func (o *outline) column() {
	first := o.i
	parts := 1
	o.i++
	for o.isPunct(o.i, '.') && (o.isName(o.i+1) || o.isPunct(o.i+1, '*')) {
		o.i += 2
		parts++
	}
	if parts < 2 || parts > 3 || o.isPunct(o.i, '(') {
		return
	}
	c := chain{block: o.frame().block()}
	last := first + 2*(parts-2) // the table's token
	c.qualifier = Span{o.tokens[first].start, o.tokens[last].end}
	c.name.Table = o.nameText(last)
	if parts == 3 {
		c.name.Schema = o.nameText(first)
		c.schema = Span{o.tokens[first].start, o.tokens[last].start}
	}
	o.chains = append(o.chains, c)
}

// punct reads punctuation.
func (o *outline) punct(t outlineToken) {
	f := o.frame()
	switch o.text[t.start] {
	case '(':
		o.openParen(f)
	case ')':
		o.closeParen()
	case ',':
		if f.from {
			f.expect, f.afterPar = true, false
		}
		if f.row {
			o.endElem(f)
			f.elem = -1
		}
	}
	o.i++
	if f := o.frame(); f.row && f.elem < 0 && o.i < len(o.tokens) {
		f.elem = o.tokens[o.i].start
	}
}

func (o *outline) openParen(f *outlineFrame) {
	child := outlineFrame{own: -1, around: f.block()}
	switch {
	case f.from && f.expect:
		child.from, child.expect, child.derived = true, true, true
		f.expect = false
	case f.armNext:
		child.arm, child.armNext = f.arm, true
		f.armNext = false
	case o.rows && len(o.frames) == 1:
		child.row, child.elem = true, -1
		o.insert.Rows = append(o.insert.Rows, RowSpan{Span: Span{Start: o.tokens[o.i].start}})
	case o.insert != nil && len(o.frames) == 1 && o.insert.Select < 0 && o.kw(o.i-1) != kwAs:
		child.source, child.armNext = true, true
	}
	o.frames = append(o.frames, child)
}

func (o *outline) endElem(f *outlineFrame) {
	row := &o.insert.Rows[len(o.insert.Rows)-1]
	if f.elem >= 0 {
		row.Elems = append(row.Elems, Span{f.elem, o.prevEnd()})
	}
}

func (o *outline) closeParen() {
	if len(o.frames) == 1 {
		return
	}
	f := o.frame()
	end := o.tokens[o.i].end
	switch {
	case f.row:
		if o.prevEnd() > o.insert.Rows[len(o.insert.Rows)-1].Start+1 {
			o.endElem(f)
		}
		o.insert.Rows[len(o.insert.Rows)-1].End = end
		o.insert.Values = Span{o.insert.Rows[0].Start, end}
	case f.columns:
		o.insert.Columns.End = end
		o.frames = o.frames[:len(o.frames)-1]
		return
	}
	o.finish(f)
	derived := f.derived && (f.own >= 0 || f.setOp)
	o.frames = o.frames[:len(o.frames)-1]
	o.frame().afterPar = derived
}

// finish closes what is open in a frame.
func (o *outline) finish(f *outlineFrame) {
	o.closeClause(f)
	o.endBlock(f)
	if len(o.frames) == 1 {
		o.tail.End = o.prevEnd()
	}
}

// endBlock ends the frame's SELECT before the token at hand, unless what is
// behind it has ended it already.
func (o *outline) endBlock(f *outlineFrame) {
	if f.own >= 0 && o.blocks[f.own].End == 0 {
		o.blocks[f.own].End = o.prevEnd()
	}
}

func (o *outline) closeClause(f *outlineFrame) {
	if f.open != nil {
		f.open.End = o.prevEnd()
		f.open = nil
	}
}
