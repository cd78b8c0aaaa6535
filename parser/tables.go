package parser

import (
	"reflect"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// tableRef is a table name in the tree that is a real table: neither a CTE's
// name nor an alias behind DELETE or FOR UPDATE OF.
type tableRef struct {
	node *ast.TableName
	// source is what gives it its alias, nil where the grammar has none.
	source *ast.TableSource
	// query is the innermost SELECT around it, nil for none.
	query ast.Node
}

// tableWalk collects table references in the order of the tree.
type tableWalk struct {
	refs []tableRef
	// aliases are the names that are not tables but refer to an alias.
	aliases map[*ast.TableName]bool
	seen    map[*ast.TableName]bool
	scopes  []cteScope
	queries []ast.Node
	source  *ast.TableSource
}

// cteScope are the CTEs one statement declares.
type cteScope struct {
	owner ast.Node
	names map[string]bool
}

// tableRefsOf lists the real tables of a tree.
func tableRefsOf(node ast.Node) []tableRef {
	w := &tableWalk{aliases: map[*ast.TableName]bool{}, seen: map[*ast.TableName]bool{}}
	node.Accept(w)
	if !visitsAll(node) {
		for _, t := range hiddenTables(node) {
			if !w.seen[t] {
				w.refs = append(w.refs, tableRef{node: t})
			}
		}
	}
	return w.refs
}

// refs are the real tables of the statement.
func (s *Statement) refs() []tableRef { return tableRefsOf(s.Node) }

// visitsAll: a visitor sees every table of the statement. Of many others,
// OPTIMIZE and LOCK TABLES among them, it does not.
func visitsAll(node ast.Node) bool {
	switch node.(type) {
	case *ast.SelectStmt, *ast.SetOprStmt, *ast.InsertStmt, *ast.UpdateStmt, *ast.DeleteStmt, *ast.DoStmt,
		*ast.CallStmt, *ast.SetStmt, *ast.ExplainStmt:
		return true
	}
	return false
}

// hiddenTables finds every table name in a tree by looking into all fields.
func hiddenTables(node ast.Node) []*ast.TableName {
	h := &hiddenWalk{seen: map[any]bool{}}
	h.walk(reflect.ValueOf(node), 0)
	return h.tables
}

type hiddenWalk struct {
	seen   map[any]bool
	tables []*ast.TableName
}

func (h *hiddenWalk) walk(v reflect.Value, depth int) {
	if depth > 200 {
		return
	}
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			h.walk(v.Elem(), depth+1)
		}
	case reflect.Pointer:
		if v.IsNil() || !v.CanInterface() || h.seen[v.Interface()] {
			return
		}
		h.seen[v.Interface()] = true
		if t, ok := v.Interface().(*ast.TableName); ok {
			h.tables = append(h.tables, t)
			return
		}
		h.walk(v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				h.walk(v.Field(i), depth+1)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			h.walk(v.Index(i), depth+1)
		}
	}
}

// tablesOf names the real tables of a tree.
func tablesOf(node ast.Node) []TableName {
	var out []TableName
	for _, r := range tableRefsOf(node) {
		out = append(out, TableName{Schema: r.node.Schema.O, Table: r.node.Name.O})
	}
	return out
}

// withOf is the WITH clause of a statement, or nil.
func withOf(n ast.Node) *ast.WithClause {
	switch n := n.(type) {
	case *ast.SelectStmt:
		return n.With
	case *ast.SetOprStmt:
		return n.With
	case *ast.SetOprSelectList:
		return n.With
	case *ast.UpdateStmt:
		return n.With
	case *ast.DeleteStmt:
		return n.With
	}
	return nil
}

// Enter implements ast.Visitor.
func (w *tableWalk) Enter(n ast.Node) (ast.Node, bool) {
	if withOf(n) != nil {
		w.scopes = append(w.scopes, cteScope{owner: n, names: map[string]bool{}})
	}
	switch n := n.(type) {
	case *ast.SelectStmt:
		w.queries = append(w.queries, n)
		if n.LockInfo != nil {
			for _, t := range n.LockInfo.Tables {
				w.aliases[t] = true
			}
		}
	case *ast.CommonTableExpression:
		if n.IsRecursive {
			w.scopes[len(w.scopes)-1].names[n.Name.L] = true
		}
	case *ast.DeleteTableList:
		return n, true
	case *ast.TableSource:
		w.source = n
	case *ast.TableName:
		w.table(n)
	}
	return n, false
}

func (w *tableWalk) table(n *ast.TableName) {
	w.seen[n] = true
	if w.aliases[n] || n.Schema.L == "" && w.isCTE(n.Name.L) {
		return
	}
	r := tableRef{node: n}
	if w.source != nil && w.source.Source == ast.ResultSetNode(n) {
		r.source = w.source
	}
	if len(w.queries) > 0 {
		r.query = w.queries[len(w.queries)-1]
	}
	w.refs = append(w.refs, r)
}

func (w *tableWalk) isCTE(name string) bool {
	for i := range w.scopes {
		if w.scopes[i].names[name] {
			return true
		}
	}
	return false
}

// Leave implements ast.Visitor.
func (w *tableWalk) Leave(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.SelectStmt:
		w.queries = w.queries[:len(w.queries)-1]
	case *ast.CommonTableExpression:
		w.scopes[len(w.scopes)-1].names[n.Name.L] = true
	}
	if k := len(w.scopes) - 1; k >= 0 && w.scopes[k].owner == n {
		w.scopes = w.scopes[:k]
	}
	return n, true
}
