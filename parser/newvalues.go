package parser

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// NewValue is a place behind ON DUPLICATE KEY UPDATE where the value is taken
// that was to be inserted in a column: VALUES(column), or a column of the row's
// alias.
type NewValue struct {
	Span
	Column string
}

// NewValues finds the assignments of ON DUPLICATE KEY UPDATE and the new values
// in them. columns are those of the row. Not ok where it is not certain that
// all have been found.
func (s *Statement) NewValues(on Span, columns []string) (set Span, values []NewValue, ok bool) {
	n, isInsert := s.Node.(*ast.InsertStmt)
	o, err := newOutline(s.read(), s.Mode)
	if !isInsert || err != nil {
		return set, nil, false
	}
	lo, hi := o.tokenRange(on)
	if lo+4 >= hi {
		return set, nil, false
	}
	lo += 4 // the four words
	for i := lo; i < hi; i++ {
		name, end := s.newValueAt(o, i, columns)
		if name != "" {
			values = append(values, NewValue{Span{o.tokens[i].start, o.tokens[end-1].end}, strings.ToLower(name)})
			i = end - 1
		}
	}
	v := &newValueVisitor{s: s, columns: columns}
	for _, a := range n.OnDuplicate {
		a.Expr.Accept(v)
	}
	return Span{o.tokens[lo].start, o.tokens[hi-1].end}, values, v.found == len(values)
}

// newValueAt is the column whose new value is taken by the tokens from i to
// before end; empty where none is.
func (s *Statement) newValueAt(o *outline, i int, columns []string) (column string, end int) {
	if o.kw(i) == kwValues && o.isPunct(i+1, '(') {
		at := i + 2
		for o.isName(at) && o.isPunct(at+1, '.') {
			at += 2
		}
		if o.isName(at) && o.isPunct(at+1, ')') {
			return o.nameText(at), at + 2
		}
		return "", i
	}
	a := s.rowAlias
	if a == nil || !o.isName(i) || o.isPunct(i-1, '.') || !o.isPunct(i+1, '.') || !o.isName(i+2) || !strings.EqualFold(o.nameText(i), a.Name) {
		return "", i
	}
	name := o.nameText(i + 2)
	if a.Columns == nil {
		return name, i + 3
	}
	for j, c := range a.Columns {
		if strings.EqualFold(c, name) && j < len(columns) {
			return columns[j], i + 3
		}
	}
	return "", i
}

type newValueVisitor struct {
	s       *Statement
	columns []string
	found   int
}

// Enter implements ast.Visitor.
func (v *newValueVisitor) Enter(n ast.Node) (ast.Node, bool) {
	switch e := n.(type) {
	case *ast.ValuesExpr:
		v.found++
		return n, true
	case *ast.ColumnNameExpr:
		if v.s.TakesNew(e, v.columns) != "" {
			v.found++
		}
	}
	return n, false
}

// Leave implements ast.Visitor.
func (v *newValueVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }
