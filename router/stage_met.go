package router

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
)

// ON DUPLICATE KEY UPDATE that no shard can do by itself, because it moves the
// row or reads other tables: a row that is met is changed by an UPDATE of its
// own, which is planned as any other.

// changesElsewhere: a row that is met is not changed by its shard alone.
func (s *staging) changesElsewhere(n *ast.InsertStmt, t *ref) bool {
	return len(n.OnDuplicate) > 0 && (updatesByQuery(n) || t.sharded() && s.assignsKey(n, t) || n.Select != nil && !s.ownColumns(n, t, insertColumns(n, t)) || s.changesKept(n, t))
}

// changesKept: of a table with lookup tables, a row that is met would not be
// found again to keep them, or not by what it was met.
func (s *staging) changesKept(n *ast.InsertStmt, t *ref) bool {
	uniques := s.uniques(t)
	if len(uniques) == 0 {
		return false
	}
	by := keysOf(t)
	for _, a := range n.OnDuplicate {
		if hasName(by, a.Column.Name.L) && !keepsOwn(a, t.alias) {
			return true
		}
	}
	return n.IgnoreErr || assignsKept(uniques, n.OnDuplicate) && len(t.entry.UniqueKeys) > 1
}

// updatesMet makes the INSERT change the rows it meets by UPDATEs; false where that
// cannot be.
func (s *staging) updatesMet(n *ast.InsertStmt, t *ref, w *plan.StagedWrite) bool {
	columns := insertColumns(n, t)
	if ofFamily(t) || !s.ownColumns(n, t, columns) {
		return false
	}
	set, values, ok := s.st.NewValues(s.spans.OnDuplicate, columns)
	if !ok {
		return false
	}
	m := &plan.Met{}
	if auto := t.entry.AutoIncrement; auto != "" {
		m.Number = sqlval.QuoteName(auto)
	}
	at := set.Start
	for _, v := range values {
		c := t.column(v.Column)
		if c == nil {
			return false
		}
		if s.st.RowAlias() == nil {
			m.Values++
		}
		read := sqlval.QuoteName(c.Name)
		if c.DataType == "float" {
			read += allDigits
		}
		m.Set = append(m.Set, plan.MetPiece{SQL: appendPieces(nil, s.st.Pieces(at, v.Start))}, plan.MetPiece{New: read})
		at = v.End
	}
	m.Set = append(m.Set, plan.MetPiece{SQL: appendPieces(nil, s.st.Pieces(at, set.End))})
	for _, key := range append([][]string{t.entry.PrimaryKey}, t.entry.UniqueKeys...) {
		if len(key) > 0 {
			m.Keys = append(m.Keys, keptKey(t, w, key))
		}
	}
	w.Met = m
	return true
}

// ownColumns: what the assignments read outside of subqueries are columns of the
// row that is met, or of the new one.
func (s *staging) ownColumns(n *ast.InsertStmt, t *ref, columns []string) bool {
	v := &ownVisitor{staging: s, t: t, columns: columns, own: true}
	for _, a := range n.OnDuplicate {
		a.Expr.Accept(v)
	}
	return v.own
}

type ownVisitor struct {
	*staging
	t       *ref
	columns []string
	own     bool
}

// Enter implements ast.Visitor.
func (v *ownVisitor) Enter(n ast.Node) (ast.Node, bool) {
	switch e := n.(type) {
	case *ast.SubqueryExpr:
		in := &valuesVisitor{}
		e.Accept(in)
		v.own = v.own && !in.found // MySQL takes it for NULL there
		return n, true
	case *ast.ValuesExpr:
		return n, true
	case *ast.ColumnNameExpr:
		c := e.Name
		own := (c.Table.L == "" || strings.EqualFold(c.Table.O, v.t.table)) && v.t.column(c.Name.O) != nil
		v.own = v.own && (own || v.st.TakesNew(e, v.columns) != "")
	}
	return n, false
}

// Leave implements ast.Visitor.
func (v *ownVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }

type valuesVisitor struct{ found bool }

// Enter implements ast.Visitor.
func (v *valuesVisitor) Enter(n ast.Node) (ast.Node, bool) {
	_, is := n.(*ast.ValuesExpr)
	v.found = v.found || is
	return n, v.found
}

// Leave implements ast.Visitor.
func (v *valuesVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }
