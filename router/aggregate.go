package router

import (
	"strconv"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"

	"github.com/servaldb/serval/router/plan"
)

// aggregates: an aggregate function stands in the select list, HAVING or
// ORDER BY of this very block.
func (s *scatter) aggregates() bool {
	for _, n := range s.outputNodes() {
		if len(aggregatesIn(n)) > 0 {
			return true
		}
	}
	return false
}

func (s *scatter) outputNodes() []ast.Node {
	out := []ast.Node{s.sel.Fields}
	if s.sel.Having != nil {
		out = append(out, s.sel.Having)
	}
	if s.sel.OrderBy != nil {
		out = append(out, s.sel.OrderBy)
	}
	return out
}

// aggregateFinder finds aggregates and windows, not those of subqueries.
type aggregateFinder struct {
	found   []*ast.AggregateFuncExpr
	windows []*ast.WindowFuncExpr
}

func (f *aggregateFinder) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.SubqueryExpr:
		return n, true
	case *ast.AggregateFuncExpr:
		f.found = append(f.found, n)
		return n, true
	case *ast.WindowFuncExpr:
		f.windows = append(f.windows, n)
	}
	return n, false
}

func (f *aggregateFinder) Leave(n ast.Node) (ast.Node, bool) { return n, true }

func aggregatesIn(n ast.Node) []*ast.AggregateFuncExpr {
	var f aggregateFinder
	n.Accept(&f)
	return f.found
}

// windows reports that there are window functions, all of which stay within a
// shard because they are partitioned by the sharding key; others are refused.
func (s *scatter) windows() (bool, error) {
	var f aggregateFinder
	for _, n := range s.outputNodes() {
		n.Accept(&f)
	}
	for _, w := range f.windows {
		if by := partition(s.sel, &w.Spec); by == nil || !s.keyAmong(by.Items) {
			return false, refuseScatter("the window function "+strings.ToUpper(w.Name), "its window is over rows of all shards")
		}
	}
	return len(f.windows) > 0, nil
}

// groupsAreLocal: the sharding key is a group key, so no group has rows on two
// shards, and all of the grouping is the shards' business.
func (s *scatter) groupsAreLocal() bool {
	return s.sel.GroupBy != nil && !s.sel.GroupBy.Rollup && s.keyAmong(s.sel.GroupBy.Items)
}

// keyAmong: one of the items is the sharding column.
func (s *scatter) keyAmong(items []*ast.ByItem) bool {
	for _, item := range items {
		t, err := s.groupTerm(item.Expr)
		if err == nil && t.ref != nil && contains(s.loc.roots, t.ref) && t.ref.groupsByKey(t.column) {
			return true
		}
	}
	return false
}

// groupTerm resolves a GROUP BY item as MySQL does: a position, a column of
// the tables, an alias, an expression.
func (s *scatter) groupTerm(e ast.ExprNode) (sortTerm, error) {
	e = strip(e)
	if c, ok := e.(*ast.ColumnNameExpr); ok {
		if r := s.block.resolve(c.Name); r != nil {
			return s.columnTerm(c)
		}
	}
	return s.orderTerm(e)
}

// aggregation is a grouped SELECT whose groups are spread over the shards.
type aggregation struct {
	*scatter
	groups []sortTerm
	keys   []plan.SortKey // of the groups, by input column
	out    []plan.Output
}

// aggregate combines the shards' partial groups.
func (s *scatter) aggregate() (plan.Node, error) {
	switch {
	case s.sel.Having != nil:
		return nil, refuseScatter("HAVING", "the shards' groups are only parts of the groups")
	case s.sel.Distinct:
		return nil, refuseScatter("DISTINCT with aggregates", "the shards' groups are only parts of the groups")
	case s.shown < 0:
		return nil, refuseScatter("* with GROUP BY", "the number of columns is not known")
	}
	a := &aggregation{scatter: s}
	if err := a.groupKeys(); err != nil {
		return nil, err
	}
	for i := range s.fields {
		o, err := a.output(i)
		if err != nil {
			return nil, err
		}
		a.out = append(a.out, o)
	}
	return a.build()
}

func (a *aggregation) groupKeys() error {
	if a.sel.GroupBy == nil {
		return nil
	}
	for _, item := range a.sel.GroupBy.Items {
		t, err := a.groupTerm(item.Expr)
		if err != nil {
			return err
		}
		if t.expr != nil && len(aggregatesIn(t.expr)) > 0 {
			return refuseScatter("grouping by an aggregate", "servers refuse it too")
		}
		k, err := a.keyOf(t, false)
		if err != nil {
			return err
		}
		if k.Column < 0 {
			continue
		}
		a.groups = append(a.groups, t)
		a.keys = append(a.keys, k)
	}
	return nil
}

// groupOf is the group key the term is, -1 if none.
func (a *aggregation) groupOf(t sortTerm) int {
	for i, g := range a.groups {
		switch {
		case t.shown >= 0 && g.shown == t.shown:
			return i
		case t.ref != nil && g.ref == t.ref && g.column == t.column:
			return i
		case t.ref == nil && g.ref == nil && t.expr != nil && g.expr != nil && a.textOf(t.expr) == a.textOf(g.expr) && a.textOf(t.expr) != "":
			return i
		}
	}
	return -1
}

func (a *aggregation) textOf(e ast.ExprNode) string {
	sql, ok := exprSQL(a.st, e)
	if !ok {
		return ""
	}
	return sql.String()
}

// output is how shown column i is combined.
func (a *aggregation) output(i int) (plan.Output, error) {
	t := a.term(i)
	if a.groupOf(t) >= 0 {
		return plan.Output{Func: plan.FuncKeep, Column: i, Weight: -1}, nil
	}
	e := strip(a.fields[i].expr)
	switch x := e.(type) {
	case *ast.AggregateFuncExpr:
		return a.combine(x, i)
	case *ast.FuncCallExpr:
		if x.FnName.L == "any_value" && len(aggregatesIn(x)) == 0 {
			return plan.Output{Func: plan.FuncKeep, Column: i, Weight: -1}, nil
		}
	case ast.ValueExpr:
		return plan.Output{Func: plan.FuncKeep, Column: i, Weight: -1}, nil
	case nil:
	}
	what := t.label
	if e != nil && len(aggregatesIn(e)) > 0 {
		return plan.Output{}, refuseScatter("the expression "+what+" over aggregates", "Serval combines plain COUNT, SUM, MIN, MAX and AVG only")
	}
	return plan.Output{}, refuseScatter("the column "+what+" beside aggregates", "it is not a group key, so its value would be any row's")
}

// combine is how an aggregate is put together from the shards' parts; shown is
// the column it is shown in, -1 for one that only orders.
func (a *aggregation) combine(f *ast.AggregateFuncExpr, shown int) (plan.Output, error) {
	name, label := lower(f.F), labelOf(a.textOf(f))
	o := plan.Output{Column: shown, Weight: -1}
	distinct := f.Distinct && name != "min" && name != "max"
	if distinct && !a.holdsKey(f.Args) {
		return o, refuseScatter(strings.ToUpper(name)+"(DISTINCT …)", "the same value may be on several shards")
	}
	if len(aggregatesIn2(f)) > 0 || len(f.Args) != 1 && !(distinct && name == "count") {
		return o, refuseScatter("the aggregate "+strings.ToUpper(name), "Serval combines plain COUNT, SUM, MIN, MAX and AVG only")
	}
	if a.facts.Random && len(columnsIn(f)) == 0 && name != "count" {
		return o, refuseScatter("the aggregate "+label, "RAND() and the like give another value each time they are computed")
	}
	for _, c := range columnsIn(f.Args[0]) {
		if name != "count" && a.block.resolve(c).isComputed(c.Name.L) {
			return o, refuseScatter("the aggregate "+label, "the digits of what a derived table computes are not known")
		}
	}
	if name == "avg" && len(columnsIn(f)) == 0 {
		// Of a parameter alone a server makes a DOUBLE here and a DECIMAL in SUM.
		return o, refuseScatter("the aggregate "+label, "its type is not that of its sum")
	}
	arg, ok := exprSQL(a.st, f.Args[0])
	if !ok {
		return o, refuseScatter("the aggregate "+label, "it cannot be repeated in the select list")
	}
	wrap := func(fn string) plan.Template {
		return join(text(fn+pick(distinct, "(DISTINCT ", "(")), arg, text(")"))
	}
	if shown < 0 && name != "avg" {
		sql, ok := exprSQL(a.st, f)
		if !ok {
			return o, refuseScatter("the aggregate "+label, "it cannot be repeated in the select list")
		}
		o.Column = a.hide(sql)
	}
	switch name {
	case "count":
		o.Func, o.Text = plan.FuncCount, label+"=sum"
	case "sum":
		o.Func, o.Text = plan.FuncSum, label+"=sum"
		o.Digits = a.digits(f.Args[0], arg)
	case "min", "max":
		o.Func, o.Text = plan.FuncMin, label+"=min"
		if name == "max" {
			o.Func, o.Text = plan.FuncMax, label+"=max"
		}
		if !a.plainArg(f.Args[0]) {
			weight, pad := a.weight(wrap(strings.ToUpper(name)), f.Args[0], nil, "")
			o.Weight, o.Pad = a.hide(weight), pad
		}
	case "avg":
		o.Func, o.Text = plan.FuncAvg, label+"=sum/count"
		o.Column, o.Column2 = a.hide(wrap("SUM")), a.hide(wrap("COUNT"))
		o.Digits = a.digits(f.Args[0], arg)
	default:
		fn, ok := bitFuncs[name]
		if !ok || !a.isInteger(f.Args[0]) {
			return o, refuseScatter("the aggregate "+strings.ToUpper(name), "Serval combines COUNT, SUM, MIN, MAX, AVG and BIT_… of integers only")
		}
		o.Func, o.Text = fn, label+"="+strings.TrimPrefix(name, "bit_")
	}
	return o, nil
}

var bitFuncs = map[string]plan.Func{"bit_and": plan.FuncBitAnd, "bit_or": plan.FuncBitOr, "bit_xor": plan.FuncBitXor}

// isInteger: a column whose bits are those of a whole number. Of binary strings
// MySQL gives the bits of strings.
func (a *aggregation) isInteger(e ast.ExprNode) bool {
	c, ok := strip(e).(*ast.ColumnNameExpr)
	if !ok {
		return false
	}
	r := a.block.resolve(c.Name)
	if r == nil || r.column(c.Name.Name.L) == nil {
		return false
	}
	switch r.column(c.Name.Name.L).DataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year":
		return true
	}
	return false
}

// holdsKey: the sharding key is among the expressions, so that equal values of
// them are on one shard.
func (a *aggregation) holdsKey(args []ast.ExprNode) bool {
	for _, e := range args {
		c, ok := strip(e).(*ast.ColumnNameExpr)
		if !ok {
			continue
		}
		if r := a.block.resolve(c.Name); r != nil && contains(a.loc.roots, r) && r.groupsByKey(c.Name.Name.L) {
			return true
		}
	}
	return false
}

// digits hides the sum with all its digits where the argument is a quotient: a
// server adds up more of them (nine and nine) than it shows.
func (a *aggregation) digits(e ast.ExprNode, arg plan.Template) int {
	var f divisionFinder
	if e.Accept(&f); !f.found {
		return 0
	}
	return a.hide(join(text("SUM(CAST("), arg, text(" AS DECIMAL(65,30)))")))
}

type divisionFinder struct{ found bool }

// Enter implements ast.Visitor.
func (f *divisionFinder) Enter(n ast.Node) (ast.Node, bool) {
	if b, ok := n.(*ast.BinaryOperationExpr); ok && b.Op == opcode.Div {
		f.found = true
	}
	return n, f.found
}

// Leave implements ast.Visitor.
func (f *divisionFinder) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// aggregatesIn2 are the aggregates within an aggregate's arguments.
func aggregatesIn2(f *ast.AggregateFuncExpr) []*ast.AggregateFuncExpr {
	var out []*ast.AggregateFuncExpr
	for _, arg := range f.Args {
		out = append(out, aggregatesIn(arg)...)
	}
	return out
}

// plainArg: the argument's values compare without a weight.
func (a *aggregation) plainArg(e ast.ExprNode) bool {
	c, ok := strip(e).(*ast.ColumnNameExpr)
	if !ok {
		return false
	}
	t, err := a.columnTerm(c)
	return err == nil && a.class(t) == classPlain
}

// build puts the steps together. The shards sort by the group keys, in the
// order of the client's ORDER BY as far as that is over group keys; only what
// remains needs a Sort.
func (a *aggregation) build() (plan.Node, error) {
	keys, sorted, err := a.groupOrder()
	if err != nil {
		return nil, err
	}
	var sorts []plan.SortKey
	if !sorted {
		if sorts, err = a.sortKeys(); err != nil {
			return nil, err
		}
	}
	var by []string
	for _, k := range keys {
		by = append(by, strconv.Itoa(k.Column+1)+pick(k.Desc, " DESC", ""))
	}
	a.setOrder(strings.Join(by, ", "))
	if a.sel.Limit != nil {
		a.edits = append(a.edits, edit{a.spans.Limit.Span, nil})
	}
	r, err := a.route(true)
	if err != nil {
		return nil, err
	}
	r.Together = len(keys) > 0
	var n plan.Node = r
	if len(keys) > 0 {
		n = &plan.MergeSort{Input: n, Keys: keys}
	}
	n = &plan.Aggregate{Input: n, Group: keys, Outputs: a.out, Shown: a.shown}
	if len(sorts) > 0 {
		n = &plan.Sort{Input: n, Keys: sorts}
	}
	if len(a.out) > a.shown {
		n = &plan.Project{Input: n, Keep: a.shown}
	}
	return a.limited(n), nil
}

// groupOrder is the group keys in the order the shards sort by; sorted tells
// that this is the client's order too.
func (a *aggregation) groupOrder() (keys []plan.SortKey, sorted bool, err error) {
	used := make([]bool, len(a.keys))
	sorted = true
	if a.sel.OrderBy != nil {
		for _, item := range a.sel.OrderBy.Items {
			t, err := a.orderTerm(item.Expr)
			if err != nil {
				return nil, false, err
			}
			i := a.groupOf(t)
			if i < 0 {
				sorted = a.class(t) == classConst
				break
			}
			if !used[i] {
				used[i] = true
				k := a.keys[i]
				k.Desc = item.Desc
				keys = append(keys, k)
			}
		}
	}
	for i, k := range a.keys {
		if !used[i] {
			keys = append(keys, k)
		}
	}
	return keys, sorted, nil
}

// sortKeys are the client's ORDER BY over the Aggregate's columns.
func (a *aggregation) sortKeys() ([]plan.SortKey, error) {
	var out []plan.SortKey
	for _, item := range a.sel.OrderBy.Items {
		t, err := a.orderTerm(item.Expr)
		if err != nil {
			return nil, err
		}
		k := plan.SortKey{Desc: item.Desc, Weight: -1, Label: t.label}
		switch i := a.groupOf(t); {
		case i >= 0:
			k.Column, k.Weight = a.keep(a.keys[i].Column), -1
			if a.keys[i].Weight >= 0 {
				k.Weight, k.Pad = a.keep(a.keys[i].Weight), a.keys[i].Pad
			}
		case a.class(t) == classConst:
			continue
		default:
			if err := a.aggregateKey(t, &k); err != nil {
				return nil, err
			}
		}
		out = append(out, k)
	}
	return out, nil
}

// aggregateKey orders by an aggregate, shown or not.
func (a *aggregation) aggregateKey(t sortTerm, k *plan.SortKey) error {
	f, ok := strip(orExpr(t.expr)).(*ast.AggregateFuncExpr)
	if !ok {
		return refuseScatter("ordering groups by "+t.label, "it is neither a group key nor an aggregate")
	}
	if a.class(t) == classNone {
		return refuseScatter("ordering by "+t.label, "its type is ordered by no rule Serval knows")
	}
	var o plan.Output
	if t.shown >= 0 {
		k.Column, o = t.shown, a.out[t.shown]
	} else {
		var err error
		if o, err = a.combine(f, -1); err != nil {
			return err
		}
		k.Column = len(a.out)
		a.out = append(a.out, o)
	}
	if o.Weight >= 0 {
		k.Weight, k.Pad = len(a.out), o.Pad
		a.out = append(a.out, plan.Output{Func: o.Func, Column: o.Weight, Weight: o.Weight, Pad: o.Pad, Text: o.Text})
	}
	return nil
}

func orExpr(e ast.ExprNode) ast.ExprNode {
	if e == nil {
		return &ast.DefaultExpr{}
	}
	return e
}

// keep carries input column c through the Aggregate and gives its new number.
func (a *aggregation) keep(c int) int {
	if c < a.shown {
		return c
	}
	for i := a.shown; i < len(a.out); i++ {
		if a.out[i].Func == plan.FuncKeep && a.out[i].Column == c {
			return i
		}
	}
	a.out = append(a.out, plan.Output{Func: plan.FuncKeep, Column: c, Weight: -1})
	return len(a.out) - 1
}

// distinct sorts the shards' rows by all shown columns and drops equal ones.
func (s *scatter) distinct() (plan.Node, error) {
	if s.shown < 0 {
		return nil, refuseScatter("DISTINCT *", "the columns are not known")
	}
	var keys []plan.SortKey
	var by []string
	used := make([]bool, s.shown)
	exact := true // the shards' DISTINCT drops all that is equal
	add := func(t sortTerm, desc, asked bool) error {
		if used[t.shown] {
			return nil
		}
		used[t.shown] = true
		k, err := s.keyOf(t, desc)
		if err != nil || k.Column < 0 {
			return err
		}
		keys = append(keys, k)
		at := t.shown
		if !asked { // MariaDB shows a BIT that it orders by as a number
			at = k.Column
		}
		by = append(by, strconv.Itoa(at+1)+pick(desc, " DESC", ""))
		if k.Weight >= 0 {
			pad := s.pad(t.expr, t.ref, t.column)
			exact = exact && pad.Known && len(pad.Space) == 0
		}
		return nil
	}
	if s.sel.OrderBy != nil {
		for _, item := range s.sel.OrderBy.Items {
			t, err := s.orderTerm(item.Expr)
			if err != nil {
				return nil, err
			}
			if t.shown < 0 {
				return nil, refuseScatter("DISTINCT ordered by "+t.label, "it is not in the select list")
			}
			if err := add(t, item.Desc, true); err != nil {
				return nil, err
			}
		}
	}
	for i := range s.fields {
		if err := add(s.term(i), false, false); err != nil {
			return nil, err
		}
	}
	if len(keys) == 0 {
		return nil, refuseScatter("DISTINCT over constants", "there is nothing to sort by")
	}
	s.setOrder(strings.Join(by, ", "))
	switch {
	case exact:
		s.pushLimit()
	case s.sel.Limit != nil:
		// 'a' and 'a ' have unequal weights where they are equal themselves, and
		// the weights are beside them.
		s.edits = append(s.edits, edit{s.spans.Limit.Span, nil})
	}
	r, err := s.route(true)
	if err != nil {
		return nil, err
	}
	n := &plan.Distinct{Input: &plan.MergeSort{Input: r, Keys: keys}, Keys: keys}
	return s.limited(s.project(n)), nil
}
