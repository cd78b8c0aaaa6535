package parser

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// RowAlias is the name an INSERT gives the row to be inserted (VALUES … AS new,
// of MySQL), for ON DUPLICATE KEY UPDATE.
type RowAlias struct {
	// Span is from AS to the end.
	Span
	Name string
	// Columns are the names it gives the row's columns, nil where they are the
	// table's.
	Columns []string
}

// RowAlias is that of an INSERT, nil where it has none.
func (s *Statement) RowAlias() *RowAlias { return s.rowAlias }

// returning is MariaDB's RETURNING of an INSERT, REPLACE or DELETE.
type returning struct {
	Span
	list   ast.StmtNode
	chains []chain // columns written with their table
	// labelled: an item with such a column is more than that, so its label is
	// the text.
	labelled bool
}

// Returning is where the clause stands, with its keyword; empty where there is
// none. wordy: a table's name is part of a column's label.
func (s *Statement) Returning() (at Span, wordy bool) {
	if s.returning == nil {
		return Span{}, false
	}
	return s.returning.Span, s.returning.labelled
}

// hideEnd finds the row's name of an INSERT, or RETURNING. A query within the
// latter is not hidden: its tables would be overlooked.
func (s *Statement) hideEnd(opt Options) bool {
	o, err := newOutline(s.Text, s.Mode)
	if err != nil {
		return false
	}
	w := &writeOutline{outline: o}
	if at := w.find(0, kwReturning); at < len(o.tokens) {
		return s.hideReturning(o, at, opt)
	}
	if s.Verb != "INSERT" || w.find(0, kwSelect) < len(o.tokens) {
		return false
	}
	for i := w.find(0, kwAs); i < len(o.tokens); i = w.find(i+1, kwAs) {
		if a := o.rowAlias(i); a != nil {
			s.rowAlias = a
			s.blank(a.Span)
			return true
		}
	}
	return false
}

// rowAlias reads AS name (columns) at token i, which ends the statement or has
// ON DUPLICATE behind it; nil where it is something else.
func (o *outline) rowAlias(i int) *RowAlias {
	if !o.isName(i + 1) {
		return nil
	}
	a := &RowAlias{Name: o.nameText(i + 1)}
	end := i + 2
	if o.isPunct(end, '(') {
		for end++; o.isName(end); end += 2 {
			a.Columns = append(a.Columns, o.nameText(end))
			if !o.isPunct(end+1, ',') {
				break
			}
		}
		if end++; !o.isPunct(end, ')') {
			return nil
		}
		end++
	}
	if end < len(o.tokens) && (o.kw(end) != kwOn || o.kw(end+1) != kwDuplicate) {
		return nil
	}
	a.Span = Span{o.tokens[i].start, o.tokens[end-1].end}
	return a
}

// hideReturning takes RETURNING at token at for a select list.
func (s *Statement) hideReturning(o *outline, at int, opt Options) bool {
	r := &returning{Span: Span{o.tokens[at].start, o.tokens[len(o.tokens)-1].end}}
	p := parsers.Get().(*tidbParser)
	defer parsers.Put(p)
	const head = "SELECT "
	list, err := parseWith(p, head+s.Text[o.tokens[at].end:], opt)
	sel, ok := list.(*ast.SelectStmt)
	if err != nil || !ok || sel.From != nil || len(namesOf(sel).selects) > 1 || sel.OrderBy != nil || sel.Limit != nil || sel.Where != nil || sel.Having != nil {
		return false
	}
	r.list = sel
	own := &outline{text: o.text, tokens: o.tokens, i: at + 1, frames: []outlineFrame{{own: -1, around: -1}}}
	for own.i < len(own.tokens) {
		if own.tokens[own.i].kind == tokenName || own.tokens[own.i].kind == tokenWord {
			own.column()
		} else {
			own.i++
		}
	}
	r.chains = own.chains
	for _, f := range sel.Fields.Fields {
		if _, column := f.Expr.(*ast.ColumnNameExpr); f.WildCard == nil && !column && f.AsName.O == "" {
			v := &nameNodes{}
			f.Expr.Accept(v)
			for _, c := range v.columns {
				r.labelled = r.labelled || c.Table.O != ""
			}
		}
	}
	s.returning = r
	s.blank(r.Span)
	return true
}

// TakesNew: the expression of ON DUPLICATE KEY UPDATE is the value that was to
// be inserted in a column, whose name it is then; empty for any other.
// columns are those of the row.
func (s *Statement) TakesNew(e ast.ExprNode, columns []string) string {
	switch e := e.(type) {
	case *ast.ParenthesesExpr:
		return s.TakesNew(e.Expr, columns)
	case *ast.ValuesExpr:
		return e.Column.Name.Name.L
	case *ast.ColumnNameExpr:
		a, c := s.rowAlias, e.Name
		if a == nil || c.Schema.L != "" || c.Table.L != "" && !strings.EqualFold(c.Table.O, a.Name) {
			return ""
		}
		if a.Columns == nil && c.Table.L != "" {
			return c.Name.L
		}
		for i, name := range a.Columns {
			if strings.EqualFold(name, c.Name.O) && i < len(columns) {
				return strings.ToLower(columns[i])
			}
		}
	}
	return ""
}
