package router

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
)

// aggregatesOutside: an aggregate in a subquery is over columns of queries around
// it only. Then it is the aggregate of one of those, whose rows it so makes one of.
func (p *planning) aggregatesOutside() bool {
	if len(p.sc.blocks) < 2 {
		return false
	}
	f := outsideFinder{sc: p.sc}
	p.st.Node.Accept(&f)
	return f.found
}

type outsideFinder struct {
	sc    *scopes
	stack []*block // of the SELECTs around; nil for one that is no block
	found bool
}

// Enter implements ast.Visitor.
func (f *outsideFinder) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.SelectStmt:
		f.stack = append(f.stack, f.sc.blockBy(n))
	case *ast.AggregateFuncExpr:
		if len(f.stack) == 0 {
			break
		}
		if b := f.stack[len(f.stack)-1]; b != nil && b.outer != nil {
			own, all := 0, 0
			for _, arg := range n.Args {
				for _, c := range columnsIn(arg) {
					if all++; b.has(c) {
						own++
					}
				}
			}
			f.found = f.found || all > 0 && own == 0
		}
	}
	return n, f.found
}

// Leave implements ast.Visitor.
func (f *outsideFinder) Leave(n ast.Node) (ast.Node, bool) {
	if _, ok := n.(*ast.SelectStmt); ok {
		f.stack = f.stack[:len(f.stack)-1]
	}
	return n, true
}

// has: the column is of the block itself.
func (b *block) has(c *ast.ColumnName) (here bool) {
	if c.Table.L != "" {
		_, here = b.qualified(c)
	} else {
		_, here = b.unqualified(c.Name.L)
	}
	return here
}

// blockBy is the block of a SELECT.
func (s *scopes) blockBy(sel *ast.SelectStmt) *block {
	for _, b := range s.blocks {
		if b.sel == sel {
			return b
		}
	}
	return nil
}
