package parser

import "github.com/pingcap/tidb/pkg/parser/ast"

// WriteSpans are the clauses of an UPDATE, DELETE or INSERT … SELECT itself,
// each with its keyword unless said otherwise; empty where there is none.
type WriteSpans struct {
	// With is WITH … ahead of UPDATE or DELETE.
	With Span
	// Tables are the table references of UPDATE and DELETE, without a keyword.
	Tables Span
	// Values are what the assignments of UPDATE and INSERT … SET assign, in order.
	Values                                        []Span
	Where, OrderBy, Limit, Returning, OnDuplicate Span
	// Query is the SELECT of an INSERT, from its WITH or parenthesis on.
	Query Span
	// Rows are the values of each ROW of an INSERT … VALUES ROW(…).
	Rows [][]Span
}

// WriteSpans finds the places. Reserved words outside of parentheses begin the
// clauses, so there is no doubt. Errors wrap ErrCannotSplice.
func (s *Statement) WriteSpans() (*WriteSpans, error) {
	o, err := newOutline(s.read(), s.Mode)
	if err != nil {
		return nil, err
	}
	w := &writeOutline{outline: o, WriteSpans: &WriteSpans{}}
	w.Returning, _ = s.Returning()
	switch n := s.Node.(type) {
	case *ast.UpdateStmt:
		w.update(len(n.List))
	case *ast.DeleteStmt:
		w.delete(n)
	case *ast.InsertStmt:
		w.insert()
	}
	if w.bad {
		return nil, cannot("its clauses cannot be told apart")
	}
	return w.WriteSpans, nil
}

type writeOutline struct {
	*outline
	*WriteSpans
	bad bool
}

// find is the first token outside of parentheses that is one of the keywords,
// from token i on; the number of tokens if there is none.
func (w *writeOutline) find(i int, kws ...keyword) int {
	depth := 0
	for ; i < len(w.tokens); i++ {
		switch {
		case w.isPunct(i, '('):
			depth++
		case w.isPunct(i, ')'):
			depth--
		case depth == 0:
			for _, k := range kws {
				if w.kw(i) == k && w.kw(i-1) != kwFor { // USE INDEX FOR ORDER BY
					return i
				}
			}
		}
	}
	return i
}

// span is the text of the tokens from i to before j.
func (w *writeOutline) span(i, j int) Span {
	if i >= j || i >= len(w.tokens) {
		return Span{}
	}
	return Span{w.tokens[i].start, w.tokens[j-1].end}
}

// head skips the WITH and the verb with its modifiers, and is the token behind.
func (w *writeOutline) head(verb keyword) int {
	at := w.find(0, verb)
	w.With = w.span(0, at)
	w.i = at + 1
	w.skipModifiers()
	return w.i
}

// tails are the clauses from token i on.
func (w *writeOutline) tails(i int) {
	for i < len(w.tokens) {
		next := w.find(i+1, kwWhere, kwOrder, kwLimit)
		s := w.span(i, next)
		switch w.kw(i) {
		case kwWhere:
			w.Where = s
		case kwOrder:
			w.OrderBy = s
		case kwLimit:
			w.Limit = s
		default:
			w.bad = true
		}
		i = next
	}
}

func (w *writeOutline) update(assignments int) {
	at := w.head(kwUpdate)
	set := w.find(at, kwSet)
	w.Tables = w.span(at, set)
	end := w.find(set+1, kwWhere, kwOrder, kwLimit)
	w.assigned(set+1, end)
	w.bad = set >= len(w.tokens) || len(w.Values) != assignments
	w.tails(end)
}

// assigned are the values of the assignments from token i to before end.
func (w *writeOutline) assigned(i, end int) {
	for i < end {
		next := w.comma(i, end)
		value := i
		for value < next && !w.isPunct(value, '=') {
			value++
		}
		w.Values = append(w.Values, w.span(value+1, next))
		i = next + 1
	}
}

// rows are the values of ROW(…), ROW(…) from token i to before end.
func (w *writeOutline) rows(i, end int) {
	for i < end {
		next := w.comma(i, end)
		var row []Span
		for v := i + 2; v < next-1; {
			last := w.comma(v, next-1)
			row, v = append(row, w.span(v, last)), last+1
		}
		w.Rows = append(w.Rows, row)
		i = next + 1
	}
}

// comma is the next comma outside of parentheses, or end.
func (w *writeOutline) comma(i, end int) int {
	depth := 0
	for ; i < end; i++ {
		switch {
		case w.isPunct(i, '('):
			depth++
		case w.isPunct(i, ')'):
			depth--
		case depth == 0 && w.isPunct(i, ','):
			return i
		}
	}
	return end
}

func (w *writeOutline) delete(n *ast.DeleteStmt) {
	at := w.head(kwDelete)
	from := w.find(at, kwFrom)
	if n.IsMultiTable && !n.BeforeFrom {
		from = w.find(from, kwUsing)
	}
	end := w.find(from+1, kwWhere, kwOrder, kwLimit)
	w.Tables = w.span(from+1, end)
	w.bad = w.Tables.Empty()
	w.tails(end)
}

func (w *writeOutline) insert() {
	w.statementHead()
	for w.i < len(w.tokens) && len(w.frames) > 1 { // the column list
		if w.isPunct(w.i, ')') {
			w.frames = w.frames[:1]
		}
		w.i++
	}
	at := w.i
	end := len(w.tokens)
	for i := w.find(at, kwOn); i < end; i = w.find(i+1, kwOn) {
		if w.kw(i+1) == kwDuplicate {
			w.OnDuplicate, end = w.span(i, end), i
		}
	}
	if w.kw(at) == kwSet {
		w.assigned(at+1, end)
	}
	if w.kw(at) == kwValues && w.kw(at+1) == kwRow {
		w.rows(at+1, end)
	}
	w.Query = w.span(at, end)
	w.bad = w.Query.Empty()
}

// Ignores reports INSERT, UPDATE or DELETE with IGNORE.
func (s *Statement) Ignores() bool {
	switch n := s.Node.(type) {
	case *ast.InsertStmt:
		return n.IgnoreErr
	case *ast.UpdateStmt:
		return n.IgnoreErr
	case *ast.DeleteStmt:
		return n.IgnoreErr
	}
	return false
}
