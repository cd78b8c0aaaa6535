package router

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// foundRows is what the statement does to FOUND_ROWS(), as seen on MySQL 9.7 and
// MariaDB 10.11. Where LIMIT stands over or in a UNION, and after UPDATE and
// DELETE, the two differ.
func (p *planning) foundRows() plan.Found {
	switch {
	case p.facts.CalcFoundRows:
		return plan.Found{Kind: plan.FoundAsked}
	case p.st.Kind == parser.KindUpdate, p.st.Kind == parser.KindDelete, p.st.Kind == parser.KindCall, p.st.Kind == parser.KindOther:
		return plan.Found{Kind: plan.FoundUnknown}
	case p.st.Kind == parser.KindShow:
		return showFound(p.st.Node)
	case p.st.Kind != parser.KindSelect:
		return plan.Found{}
	}
	switch n := p.st.Node.(type) {
	case *ast.SelectStmt:
		return plan.Found{Kind: plan.FoundSent, Offset: p.offsetOf(n.Limit)}
	case *ast.SetOprStmt:
		if !limits(n) {
			return plan.Found{Kind: plan.FoundSent, Offset: absent}
		}
		return plan.Found{Kind: plan.FoundUnknown}
	}
	if upper := strings.ToUpper(p.st.Text); strings.Contains(upper, "LIMIT") || strings.Contains(upper, "OFFSET") {
		return plan.Found{Kind: plan.FoundUnknown}
	}
	return plan.Found{Kind: plan.FoundSent, Offset: absent}
}

func (p *planning) offsetOf(l *ast.Limit) plan.Operand {
	if l == nil || l.Offset == nil {
		return absent
	}
	return operand(p.st, l.Offset)
}

// showFound: what servers read from their own tables counts, the rest leaves the
// number as it was.
func showFound(n ast.Node) plan.Found {
	s, ok := n.(*ast.ShowStmt)
	if !ok {
		return plan.Found{Kind: plan.FoundUnknown}
	}
	switch s.Tp {
	case ast.ShowCreateTable, ast.ShowCreateDatabase, ast.ShowCreateView, ast.ShowCreateUser:
		return plan.Found{}
	case ast.ShowTables, ast.ShowDatabases, ast.ShowColumns, ast.ShowIndex, ast.ShowTableStatus, ast.ShowVariables, ast.ShowStatus,
		ast.ShowCollation, ast.ShowCharset:
		return plan.Found{Kind: plan.FoundSent, Offset: absent}
	}
	return plan.Found{Kind: plan.FoundUnknown}
}

// limits: the set operation or one of its arms has a LIMIT.
func limits(n *ast.SetOprStmt) bool {
	var f limitFinder
	n.Accept(&f)
	return f.found
}

type limitFinder struct{ found bool }

// Enter implements ast.Visitor.
func (f *limitFinder) Enter(n ast.Node) (ast.Node, bool) {
	_, is := n.(*ast.Limit)
	f.found = f.found || is
	return n, f.found
}

// Leave implements ast.Visitor.
func (f *limitFinder) Leave(n ast.Node) (ast.Node, bool) { return n, true }
