package router

import (
	"slices"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// jsonFuncs give JSON on MySQL, passedOn one of their arguments.
var (
	jsonFuncs = map[string]bool{
		"json_array": true, "json_object": true, "json_extract": true, "json_set": true, "json_insert": true, "json_replace": true,
		"json_remove": true, "json_merge": true, "json_merge_patch": true, "json_merge_preserve": true, "json_array_append": true,
		"json_array_insert": true, "json_keys": true, "json_search": true, "json_arrayagg": true, "json_objectagg": true,
	}
	passedOn = map[string]bool{"coalesce": true, "ifnull": true, "nullif": true, "if": true, "any_value": true, "min": true, "max": true}
)

// mayBeJSON: the expression's value may be JSON, whose order no merge knows.
func (s *scatter) mayBeJSON(e ast.ExprNode) bool {
	switch e := strip(e).(type) {
	case *ast.ColumnNameExpr:
		t, err := s.columnTerm(e)
		if err != nil || t.ref == nil {
			return false
		}
		c := t.ref.column(t.column)
		return c != nil && c.DataType == "json"
	case *ast.FuncCallExpr:
		return jsonFuncs[e.FnName.L] || passedOn[e.FnName.L] && slices.ContainsFunc(e.Args, s.mayBeJSON)
	case *ast.AggregateFuncExpr:
		return jsonFuncs[lower(e.F)] || passedOn[lower(e.F)] && slices.ContainsFunc(e.Args, s.mayBeJSON)
	case *ast.FuncCastExpr:
		return e.Tp.GetType() == mysql.TypeJSON
	case *ast.CaseExpr:
		return e.ElseClause != nil && s.mayBeJSON(e.ElseClause) ||
			slices.ContainsFunc(e.WhenClauses, func(w *ast.WhenClause) bool { return s.mayBeJSON(w.Result) })
	}
	return false
}
