package router

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"

	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// keyCondition is what the statement's conditions say about r's key, nil if
// nothing. Conditions of an outer group only count for a table an outer join
// may replace by NULLs where NULL does not satisfy them.
func (s *scopes) keyCondition(r *ref) plan.Cond {
	return s.conditionOf(r, func(g *group) bool { return r.group.within(g) })
}

// conditionOf is keyCondition by the conditions of some groups.
func (s *scopes) conditionOf(r *ref, counts func(*group) bool) plan.Cond {
	if r.placement().Follows() != nil {
		return nil // no value is a shard
	}
	if r.placement().Composite() {
		return s.partsCondition(r, counts)
	}
	return s.columnCondition(r, r.placement().Column.Name, r.isKey, counts)
}

// columnCondition is conditionOf by one column.
func (s *scopes) columnCondition(r *ref, column string, named func(string) bool, counts func(*group) bool) plan.Cond {
	var all plan.And
	for _, c := range s.conjuncts {
		if !counts(c.group) {
			continue
		}
		k := keyConds{st: s.st, block: c.block, ref: r, column: column, named: named}
		cond := k.of(c.expr)
		if cond == nil || r.group != c.group && !rejectsNull(cond) {
			continue
		}
		all = append(all, cond)
	}
	return oneOf(all)
}

func oneOf(all plan.And) plan.Cond {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

func rejectsNull(c plan.Cond) bool {
	switch c := c.(type) {
	case plan.Equal:
		return !c.NullSafe
	case plan.In:
		return !c.NullSafe
	case plan.Range, plan.Part, plan.None:
		return true
	case plan.PartOf:
		return rejectsNull(c.Cond)
	case plan.And:
		for _, x := range c {
			if rejectsNull(x) {
				return true
			}
		}
	case plan.Or:
		for _, x := range c {
			if !rejectsNull(x) {
				return false
			}
		}
		return true
	}
	return false
}

// atMostOne: whatever the values, no two shards can be left.
func atMostOne(c plan.Cond) bool {
	switch c := c.(type) {
	case plan.Equal:
		return !c.Value.Unknown
	case plan.IsNull, plan.None, plan.Shard:
		return true
	case plan.In:
		return len(c.Values) == 1 && !c.Values[0].Unknown
	case plan.Of:
		return atMostOne(c.Cond)
	case plan.And:
		for _, x := range c {
			if atMostOne(x) {
				return true
			}
		}
		return partsAtMostOne(c)
	case plan.PartOf:
		return partsAtMostOne(plan.And{c})
	}
	return false
}

// keyConds turns expressions into conditions on one table's key. Nil means
// that nothing is known: all shards.
type keyConds struct {
	st     *parser.Statement
	block  *block
	ref    *ref
	column string
	// named: a column of ref is the key.
	named func(column string) bool
}

func (k *keyConds) of(e ast.ExprNode) plan.Cond {
	switch e := strip(e).(type) {
	case *ast.BinaryOperationExpr:
		return k.binary(e)
	case *ast.PatternInExpr:
		if !e.Not && e.Sel == nil {
			return k.in(e)
		}
	case *ast.BetweenExpr:
		lo, hi := k.operand(e.Left), k.operand(e.Right)
		if e.Not || lo.Unknown && hi.Unknown {
			return nil
		}
		r := plan.Range{Column: k.column, Lo: orAbsent(lo), Hi: orAbsent(hi)}
		if k.isKey(e.Expr) {
			return r
		}
		if f := k.part(e.Expr); f != "" {
			r.Column = strings.ToUpper(f) + "(" + k.column + ")"
			return plan.Part{Func: f, Range: r}
		}
	case *ast.IsNullExpr:
		if !e.Not && k.isKey(e.Expr) {
			return plan.IsNull{Column: k.column}
		}
	}
	return nil
}

// orAbsent opens a range's side whose value is not known.
func orAbsent(o plan.Operand) plan.Operand {
	if o.Unknown {
		return absent
	}
	return o
}

func (k *keyConds) isKey(e ast.ExprNode) bool {
	c, ok := strip(e).(*ast.ColumnNameExpr)
	return ok && k.named(c.Name.Name.L) && k.block.resolve(c.Name) == k.ref
}

func (k *keyConds) binary(e *ast.BinaryOperationExpr) plan.Cond {
	switch e.Op {
	case opcode.LogicAnd:
		l, r := k.of(e.L), k.of(e.R)
		switch {
		case l == nil:
			return r
		case r == nil:
			return l
		}
		return plan.And{l, r}
	case opcode.LogicOr:
		l, r := k.of(e.L), k.of(e.R)
		if l == nil || r == nil {
			return nil
		}
		return either(l, r)
	}
	if l, ok := strip(e.L).(*ast.RowExpr); ok {
		return k.rows(e.Op, l, e.R)
	}
	if k.isKey(e.L) {
		return k.compare(e.Op, k.operand(e.R))
	}
	if k.isKey(e.R) {
		return k.compare(mirrored(e.Op), k.operand(e.L))
	}
	if f := k.part(e.L); f != "" {
		return k.compareParts(f, e.Op, k.operand(e.R))
	}
	if f := k.part(e.R); f != "" {
		return k.compareParts(f, mirrored(e.Op), k.operand(e.L))
	}
	return nil
}

// part is YEAR or DATE of the key, empty for anything else.
func (k *keyConds) part(e ast.ExprNode) string {
	f, ok := strip(e).(*ast.FuncCallExpr)
	if ok && len(f.Args) == 1 && (f.FnName.L == "year" || f.FnName.L == "date") && k.isKey(f.Args[0]) {
		return f.FnName.L
	}
	return ""
}

// compareParts is a comparison of a part of the key.
func (k *keyConds) compareParts(f string, op opcode.Op, v plan.Operand) plan.Cond {
	r, ok := k.compare(op, v).(plan.Range)
	if op == opcode.EQ && !v.Unknown {
		r, ok = plan.Range{Lo: v, Hi: v}, true
	}
	if !ok {
		return nil
	}
	r.Column = strings.ToUpper(f) + "(" + k.column + ")"
	return plan.Part{Func: f, Range: r}
}

// either is "l OR r". A chain of equalities is one list, and any chain is one
// OR, however long it is.
func either(l, r plan.Cond) plan.Cond {
	x, isList := asList(l)
	if y, ok := asList(r); ok && isList {
		x.Values = append(x.Values, y.Values...)
		return x
	}
	if more, ok := l.(plan.Or); ok {
		if y, ok := asList(r); ok {
			if last, ok := asList(more[len(more)-1]); ok {
				last.Values = append(last.Values, y.Values...)
				more[len(more)-1] = last
				return more
			}
		}
		return append(more, r)
	}
	return plan.Or{l, r}
}

// asList is an equality or a list as a list.
func asList(c plan.Cond) (plan.In, bool) {
	switch c := c.(type) {
	case plan.Equal:
		if !c.NullSafe {
			return plan.In{Column: c.Column, Values: []plan.Operand{c.Value}}, true
		}
	case plan.In:
		return c, !c.NullSafe
	}
	return plan.In{}, false
}

// mirrored is the operator with its sides changed.
func mirrored(op opcode.Op) opcode.Op {
	switch op {
	case opcode.LT:
		return opcode.GT
	case opcode.LE:
		return opcode.GE
	case opcode.GT:
		return opcode.LT
	case opcode.GE:
		return opcode.LE
	}
	return op
}

func (k *keyConds) compare(op opcode.Op, v plan.Operand) plan.Cond {
	if v.Unknown {
		return nil
	}
	switch op {
	case opcode.EQ:
		return plan.Equal{Column: k.column, Value: v}
	case opcode.NullEQ:
		return plan.Equal{Column: k.column, Value: v, NullSafe: true}
	case opcode.LT, opcode.LE:
		return plan.Range{Column: k.column, Lo: absent, Hi: v, HiExclusive: op == opcode.LT}
	case opcode.GT, opcode.GE:
		return plan.Range{Column: k.column, Lo: v, Hi: absent, LoExclusive: op == opcode.GT}
	}
	return nil
}

// rows is (a, key) = (1, 2): each pair must be equal.
func (k *keyConds) rows(op opcode.Op, l *ast.RowExpr, right ast.ExprNode) plan.Cond {
	r, ok := strip(right).(*ast.RowExpr)
	if !ok || op != opcode.EQ || len(l.Values) != len(r.Values) {
		return nil
	}
	for i := range l.Values {
		if k.isKey(l.Values[i]) {
			return k.compare(opcode.EQ, k.operand(r.Values[i]))
		}
	}
	return nil
}

func (k *keyConds) in(e *ast.PatternInExpr) plan.Cond {
	at := -1 // the key's place in a row constructor
	if row, ok := strip(e.Expr).(*ast.RowExpr); ok {
		for i, x := range row.Values {
			if k.isKey(x) {
				at = i
			}
		}
		if at < 0 {
			return nil
		}
	} else if !k.isKey(e.Expr) {
		return nil
	}
	in := plan.In{Column: k.column}
	for _, item := range e.List {
		if at >= 0 {
			row, ok := strip(item).(*ast.RowExpr)
			if !ok || at >= len(row.Values) {
				return nil
			}
			item = row.Values[at]
		}
		v := k.operand(item)
		if v.Unknown {
			return nil
		}
		in.Values = append(in.Values, v)
	}
	return in
}

func (k *keyConds) operand(e ast.ExprNode) plan.Operand { return operand(k.st, e) }

// operand is the value an expression is, Unknown if it must be computed.
func operand(st *parser.Statement, e ast.ExprNode) plan.Operand {
	op, ok := st.Operand(e)
	if !ok {
		return plan.Operand{Value: -1, Unknown: true}
	}
	return plan.Operand{Value: op.Value, Negate: op.Negate, Const: op.Const}
}

var absent = plan.Operand{Value: -1, Absent: true}
