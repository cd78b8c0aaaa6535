package parser

import "strings"

// Sketch is what the tokens of a query alone tell of its tables, for texts that
// are sent as they are, over tables of the same names.
type Sketch struct {
	// References are the names where a table may be expected: every table is
	// among them, and perhaps a CTE or something else.
	References []Reference
	// CTEs are the names that may be those of CTEs, in lower case.
	CTEs []string
	// Definitions are all the CTEs, in their order, where there is one WITH and
	// the text begins with it; empty where they are not known. Recursive: they
	// may name themselves.
	Definitions []Definition
	Recursive   bool
	// Lists are the names, in lower case, that have a list of columns behind
	// them, which is no call.
	Lists []string
	// Needs is what of the tables themselves the query asks for besides their
	// rows (an index), empty for nothing.
	Needs string
	// OuterJoin: it has one. Semijoin: it may have a predicate of a subquery that
	// a server could make a join of (IN, EXISTS, = ANY).
	OuterJoin, Semijoin bool
}

// Reference is a name where a table may be expected.
type Reference struct {
	// Span is [schema.]table.
	Span
	Name TableName
	// Certain: nothing but a table or a CTE can stand here.
	Certain bool
	// Aliased: an alias follows.
	Aliased bool
	// Keyword is the TABLE of a TABLE statement, behind whose name no alias may
	// stand; empty for others.
	Keyword Span
}

// Definition is a CTE: name [(columns)] AS (query).
type Definition struct {
	Span
	// Name is where its name stands, Body what is within its query's
	// parentheses, with these.
	Name, Body Span
	// Chooses: its rows may depend on their order (LIMIT, some windows) and are of
	// several tables.
	Chooses bool
	// Whole: its rows are no more than a join's (they are grouped, distinct, cut
	// off, of several queries or have windows), so MySQL does not merge it into the
	// query that names it.
	Whole bool
}

// Sketch goes over the tokens of a query.
func (s *Statement) Sketch() (*Sketch, error) {
	tokens, err := collectTokens([]byte(s.Text), s.Mode, nil)
	if err != nil {
		return nil, err
	}
	k := &sketcher{c: classifier{sql: []byte(s.Text), tokens: tokens}, out: &Sketch{}, sure: s.Flags&HasVersioned == 0}
	k.frames = []sketchFrame{{}}
	for k.i < len(tokens) {
		k.token()
		k.i++
	}
	k.definitions()
	return k.out, nil
}

type sketcher struct {
	c      classifier
	i      int
	frames []sketchFrame
	out    *Sketch
	sure   bool // no token is in a comment that only some servers read
}

// sketchFrame is the statement or an open parenthesis.
type sketchFrame struct {
	// sel: its SELECT has had no FROM yet.
	sel bool
	// from: in a FROM clause, certain if it is a SELECT's and not that of
	// EXTRACT (… FROM …).
	from, certain bool
	// expect: a table may be next.
	expect bool
}

func (k *sketcher) frame() *sketchFrame { return &k.frames[len(k.frames)-1] }

func (k *sketcher) token() {
	t := k.c.tokens[k.i]
	switch t.kind {
	case tokenPunct:
		k.punct(k.c.sql[t.start])
	case tokenWord, tokenName:
		if k.i > 0 && k.c.dot(k.i-1) {
			return
		}
		k.needs()
		k.joins()
		k.lists()
		if k.isCTE() {
			name, _ := k.c.name(k.i)
			k.out.CTEs = append(k.out.CTEs, strings.ToLower(name))
		}
		if !k.keyword(t.kw) {
			k.name()
		}
	default:
		k.frame().expect = false
	}
}

func (k *sketcher) punct(c byte) {
	f := k.frame()
	switch c {
	case '(':
		child := sketchFrame{expect: f.expect, from: f.expect}
		f.expect = false
		k.frames = append(k.frames, child)
	case ')':
		if len(k.frames) > 1 {
			k.frames = k.frames[:len(k.frames)-1]
		}
	case ',':
		f.expect = f.from
	case '{': // { OJ a LEFT JOIN b … }
	default:
		f.expect = false
	}
}

// keyword follows the words that begin a clause; false for those that may be a
// name.
func (k *sketcher) keyword(kw keyword) bool {
	f := k.frame()
	if before := k.c.wordBefore(k.i); before == "FOR" ||
		kw == kwFor && (before == "INDEX" || before == "KEY" || k.c.word(k.i+1) == "SYSTEM_TIME") {
		return true // FOR JOIN, FOR ORDER BY of an index hint, and a moment of a table
	}
	switch kw {
	case kwSelect:
		*f = sketchFrame{sel: true}
	case kwFrom:
		*f = sketchFrame{from: true, certain: f.sel, expect: true}
	case kwJoin, kwStraightJoin:
		f.expect = f.from || kw == kwJoin
	case kwTable:
		*f = sketchFrame{expect: true, certain: !f.sel && !f.from || k.i > 0 && k.opens(k.i-1)}
	case kwWhere, kwGroup, kwHaving, kwOrder, kwLimit, kwUnion, kwExcept, kwIntersect, kwFor, kwProcedure, kwLock, kwWindow:
		if !reservedHere(kw) && k.c.dot(k.i+1) {
			return false
		}
		*f = sketchFrame{}
	case kwInto: // @x, and perhaps FROM
		f.from, f.expect = false, false
	case kwLateral:
	case kwNone:
		return k.c.word(k.i) == "OJ" && k.i > 0 && k.c.sql[k.c.tokens[k.i-1].start] == '{'
	default:
		if !reservedHere(kw) {
			return false
		}
		f.expect = false
	}
	return true
}

// name takes a name, a table's if one may be next.
func (k *sketcher) name() {
	f := k.frame()
	if !f.expect {
		return
	}
	f.expect = false
	first, ok := k.c.name(k.i)
	if !ok || k.opens(k.i+1) { // JSON_TABLE (…)
		return
	}
	at := k.i
	r := Reference{Span: Span{k.c.tokens[k.i].start, k.c.tokens[k.i].end}, Name: TableName{Table: first}, Certain: f.certain && k.sure}
	if second, ok := k.c.name(k.i + 2); ok && k.c.dot(k.i+1) {
		r.Name, r.End = TableName{Schema: first, Table: second}, k.c.tokens[k.i+2].end
		k.i += 2
	}
	r.Aliased = k.aliased(k.i + 1)
	if at > 0 && k.c.tokens[at-1].kw == kwTable {
		r.Keyword = Span{k.c.tokens[at-1].start, k.c.tokens[at-1].end}
	}
	k.out.References = append(k.out.References, r)
}

// wordBefore is the word before token i.
func (c *classifier) wordBefore(i int) string {
	if i == 0 {
		return ""
	}
	return c.word(i - 1)
}

func (k *sketcher) opens(i int) bool {
	return i < len(k.c.tokens) && k.c.tokens[i].kind == tokenPunct && k.c.sql[k.c.tokens[i].start] == '('
}

func (k *sketcher) aliased(i int) bool {
	if i >= len(k.c.tokens) {
		return false
	}
	switch t := k.c.tokens[i]; t.kind {
	case tokenName, tokenString:
		return true
	case tokenWord:
		switch k.c.word(i) {
		case "FETCH", "QUALIFY", "TABLESAMPLE":
			return false
		}
		return t.kw == kwAs || aliasWord(t.kw)
	}
	return false
}

// isCTE: name AS ( or name (columns) AS (.
func (k *sketcher) isCTE() bool {
	i := k.i + 1
	if k.opens(i) {
		for i < len(k.c.tokens) && k.c.sql[k.c.tokens[i].start] != ')' {
			i++
		}
		i++
	}
	return k.c.word(i) == "AS" && k.opens(i+1)
}

// needs looks for what copies of tables cannot give.
func (k *sketcher) needs() {
	word, next := k.c.word(k.i), k.c.word(k.i+1)
	switch {
	case (word == "USE" || word == "FORCE" || word == "IGNORE") && (next == "INDEX" || next == "KEY"):
		k.out.Needs = "an index by its name"
	case word == "MATCH" && k.opens(k.i+1):
		k.out.Needs = "a full-text index"
	case word == "PARTITION" && k.opens(k.i+1):
		k.out.Needs = "a partition by its name"
	case word == "SYSTEM_TIME":
		k.out.Needs = "a table's history"
	}
	if name, ok := k.c.name(k.i); ok && k.c.dot(k.i+1) {
		switch name = strings.ToLower(name); name {
		case "information_schema", "performance_schema", "mysql", "sys":
			k.out.Needs = name
		}
	}
}

// lists notes a name behind AS or a parenthesis that has a list behind it.
func (k *sketcher) lists() {
	if k.i == 0 || !k.opens(k.i+1) || k.c.sql[k.c.tokens[k.i-1].start] != ')' && k.c.word(k.i-1) != "AS" {
		return
	}
	if name, ok := k.c.name(k.i); ok {
		k.out.Lists = append(k.out.Lists, strings.ToLower(name))
	}
}

// joins notes outer joins, and predicates of subqueries.
func (k *sketcher) joins() {
	next := k.c.word(k.i + 1)
	switch k.c.word(k.i) {
	case "LEFT", "RIGHT":
		k.out.OuterJoin = k.out.OuterJoin || next == "JOIN" || next == "OUTER"
	case "EXISTS", "IN", "ANY", "SOME":
		if !k.opens(k.i + 1) {
			return
		}
		switch k.c.word(k.i + 2) {
		case "SELECT", "WITH", "TABLE", "VALUES":
			k.out.Semijoin = true
		default:
			k.out.Semijoin = k.out.Semijoin || k.opens(k.i+2)
		}
	}
}
