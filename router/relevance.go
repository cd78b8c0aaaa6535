package router

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"
)

// relevance: the statement asks for more of MATCH … AGAINST than whether a row
// matches. How well it does depends on all rows of the table's index, of which a
// shard has its own only: so do its value, the rows that QUERY EXPANSION adds,
// and which are the first that a natural-language search finds.
func (p *planning) relevance() bool {
	v := relevanceVisitor{asked: map[*ast.MatchAgainst]bool{}}
	p.st.Node.Accept(&v)
	return v.found
}

// relevanceVisitor goes from outside in, so conditions are seen before what
// they are made of. asked are those that are only asked whether a row matches.
type relevanceVisitor struct {
	asked map[*ast.MatchAgainst]bool
	found bool
}

// Enter implements ast.Visitor.
func (v *relevanceVisitor) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.SelectStmt:
		v.condition(n.Where, n.Limit != nil && n.OrderBy == nil)
	case *ast.OnCondition:
		v.condition(n.Expr, false)
	case *ast.MatchAgainst:
		v.found = v.found || !v.asked[n] || n.Modifier.WithQueryExpansion()
	}
	return n, v.found
}

// Leave implements ast.Visitor.
func (v *relevanceVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// condition notes what of a condition is only true or false. first: the first
// rows that are found are wanted.
func (v *relevanceVisitor) condition(e ast.ExprNode, first bool) {
	switch e := e.(type) {
	case *ast.ParenthesesExpr:
		v.condition(e.Expr, first)
	case *ast.UnaryOperationExpr:
		if e.Op == opcode.Not || e.Op == opcode.Not2 {
			v.condition(e.V, first)
		}
	case *ast.BinaryOperationExpr:
		if e.Op == opcode.LogicAnd || e.Op == opcode.LogicOr || e.Op == opcode.LogicXor {
			v.condition(e.L, first)
			v.condition(e.R, first)
		}
	case *ast.MatchAgainst:
		v.asked[e] = e.Modifier.IsBooleanMode() || !first
	}
}
