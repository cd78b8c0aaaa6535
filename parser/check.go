package parser

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
)

// checkBlocks compares the blocks with the tree: as many, and with the same
// clauses.
func (sp *Spans) checkBlocks(node ast.StmtNode) error {
	if e, ok := node.(*ast.ExplainStmt); ok {
		node = e.Stmt
	}
	var selects []*ast.SelectStmt
	for _, n := range namesOf(node).selects {
		if n.Kind == ast.SelectStmtKindSelect {
			selects = append(selects, n)
		}
	}
	if len(selects) != len(sp.Blocks) {
		return cannot("%d SELECTs were found, not %d", len(sp.Blocks), len(selects))
	}
	have, want := map[shape]int{}, map[shape]int{}
	for i, s := range selects {
		want[shapeOf(s)]++
		have[sp.Blocks[i].shape()]++
	}
	for k, n := range want {
		if have[k] != n {
			return cannot("the clauses of a SELECT were not found")
		}
	}
	return sp.checkStatement(node)
}

// shape is which clauses a SELECT has.
type shape struct{ from, where, group, having, order, limit bool }

func shapeOf(s *ast.SelectStmt) shape {
	return shape{
		s.From != nil, s.Where != nil, s.GroupBy != nil, s.Having != nil,
		s.OrderBy != nil, s.Limit != nil,
	}
}

func (b *Block) shape() shape {
	return shape{
		!b.From.Empty() && !b.dual, !b.Where.Empty(), !b.GroupBy.Empty(), !b.Having.Empty(),
		!b.OrderBy.Empty(), !b.Limit.Empty(),
	}
}

// checkStatement compares what belongs to the whole statement.
func (sp *Spans) checkStatement(node ast.StmtNode) error {
	switch n := node.(type) {
	case *ast.SelectStmt:
		if n.Kind != ast.SelectStmtKindSelect {
			return nil
		}
		return sp.checkArms([]*ast.SelectStmt{n})
	case *ast.SetOprStmt:
		if (n.OrderBy != nil) == sp.Tail.OrderBy.Empty() || (n.Limit != nil) == sp.Tail.Limit.Empty() {
			return cannot("the clauses behind the UNION were not found")
		}
		if n.OrderBy != nil && len(n.OrderBy.Items) != len(sp.Tail.OrderKeys) {
			return cannot("the keys behind the UNION were not found")
		}
		return sp.checkArms(armsOf(n.SelectList, nil))
	case *ast.UpdateStmt:
		return sp.checkTail(n.Order, n.Limit)
	case *ast.DeleteStmt:
		return sp.checkTail(n.Order, n.Limit)
	case *ast.InsertStmt:
		return sp.checkInsert(n)
	}
	return nil
}

func (sp *Spans) checkTail(order *ast.OrderByClause, limit *ast.Limit) error {
	if (order != nil) == sp.Tail.OrderBy.Empty() || (limit != nil) == sp.Tail.Limit.Empty() {
		return cannot("ORDER BY or LIMIT was not found")
	}
	return nil
}

// armsOf lists the SELECTs a UNION is made of, in order.
func armsOf(list *ast.SetOprSelectList, out []*ast.SelectStmt) []*ast.SelectStmt {
	for _, n := range list.Selects {
		switch n := n.(type) {
		case *ast.SelectStmt:
			if n.Kind == ast.SelectStmtKindSelect {
				out = append(out, n)
			}
		case *ast.SetOprSelectList:
			out = armsOf(n, out)
		}
	}
	return out
}

// checkArms compares the arms one by one.
func (sp *Spans) checkArms(arms []*ast.SelectStmt) error {
	if len(arms) != len(sp.Arms) {
		return cannot("%d arms were found, not %d", len(sp.Arms), len(arms))
	}
	for i, a := range arms {
		b := &sp.Blocks[sp.Arms[i]]
		if b.shape() != shapeOf(a) {
			return cannot("the clauses of a SELECT were not found")
		}
		if len(b.Items) != len(a.Fields.Fields) || a.GroupBy != nil && len(b.GroupKeys) != len(a.GroupBy.Items) ||
			a.OrderBy != nil && len(b.OrderKeys) != len(a.OrderBy.Items) {
			return cannot("the items of a SELECT were not found")
		}
		if b.List.Start != a.Fields.Fields[0].Offset {
			return cannot("the select list was not found")
		}
		b.unalias(a)
	}
	return nil
}

// unalias leaves the aliases out of the items' expressions.
func (b *Block) unalias(sel *ast.SelectStmt) {
	for j, f := range sel.Fields.Fields {
		if f.AsName.O != "" && len(b.Items) == len(sel.Fields.Fields) {
			b.Items[j].Expr = b.Items[j].bare
		}
	}
}

// checkInsert compares the numbers of rows, values and columns.
func (sp *Spans) checkInsert(n *ast.InsertStmt) error {
	in := sp.Insert
	switch {
	case in == nil:
		return cannot("the INSERT was not found")
	case (len(n.OnDuplicate) > 0) == in.OnDuplicate.Empty():
		return cannot("ON DUPLICATE KEY UPDATE was not found")
	case n.Setlist:
		if in.Set.Empty() {
			return cannot("the SET list was not found")
		}
		return nil
	case (n.Select != nil) != (in.Select >= 0):
		return cannot("the SELECT of the INSERT was not found")
	case (len(n.Columns) > 0) == in.Columns.Empty() && in.Columns.End-in.Columns.Start > 2:
		return cannot("the column list was not found")
	case in.Select >= 0:
		if sel, ok := n.Select.(*ast.SelectStmt); ok && sel.Kind == ast.SelectStmtKindSelect {
			sp.Blocks[in.Select].unalias(sel)
		}
	case len(n.Lists) != len(in.Rows):
		return cannot("%d rows were found, not %d", len(in.Rows), len(n.Lists))
	}
	for i, row := range in.Rows {
		if len(row.Elems) != len(n.Lists[i]) {
			return cannot("%d values were found, not %d", len(row.Elems), len(n.Lists[i]))
		}
	}
	return nil
}
