package router

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/shardrule"
)

// ref is one reference to a table in a FROM clause, or the target of a write.
type ref struct {
	name *ast.TableName
	// alias is what the statement calls it.
	alias         string
	schema, table string
	// entry is nil for a table the catalog does not know: it is at its
	// schema's home, as one is whose Placement is nil.
	entry *catalog.Table
	block *block
	group *group
	// keys are the columns of a derived table that are its rows' sharding key,
	// and arms its blocks' roots; see view.
	keys map[string]bool
	arms []*ref
}

func (r *ref) placement() *shardrule.Placement {
	if r.entry == nil {
		return nil
	}
	return r.entry.Placement
}

func (r *ref) sharded() bool {
	p := r.placement()
	return p != nil && p.Kind == shardrule.Sharded
}

func (r *ref) global() bool {
	p := r.placement()
	return p != nil && p.Kind == shardrule.Global
}

// column finds a column the catalog knows.
func (r *ref) column(name string) *catalog.Column {
	if r.entry == nil {
		return nil
	}
	for i := range r.entry.Columns {
		if strings.EqualFold(r.entry.Columns[i].Name, name) {
			return &r.entry.Columns[i]
		}
	}
	return nil
}

// columnsKnown: what is not among them is no column of this table.
func (r *ref) columnsKnown() bool { return r.entry != nil && len(r.entry.Columns) > 0 }

// isKey: the column is the table's sharding column, by itself; see places.
func (r *ref) isKey(column string) bool {
	if r.arms != nil {
		return r.keys[lower(column)]
	}
	return r.sharded() && !r.placement().Composite() && strings.EqualFold(r.placement().Column.Name, column)
}

// groupsByKey: the column is the sharding column, and rows that are equal in it
// are on one shard.
func (r *ref) groupsByKey(column string) bool { return r.isKey(column) && r.equalTogether() }

func (r *ref) equalTogether() bool {
	for _, arm := range r.arms {
		if !arm.equalTogether() {
			return false
		}
	}
	return !r.sharded() || r.placement().GroupsWhole()
}

// group is a part of a FROM clause whose rows an outer join may replace by
// NULLs, or a query block. A condition stands in a group: it filters the
// tables of that group and of the groups within.
type group struct{ parent *group }

// within: g is outer or inside of it.
func (g *group) within(outer *group) bool {
	for ; g != nil; g = g.parent {
		if g == outer {
			return true
		}
	}
	return false
}

// block is one SELECT, UPDATE or DELETE with its FROM clause.
type block struct {
	sel   *ast.SelectStmt // nil for UPDATE and DELETE
	outer *block
	group *group
	refs  []*ref
	// derived are the aliases of derived tables and CTEs that are not made
	// shard by shard (see view), whose columns are not known here.
	derived []string
	// using are the columns of USING clauses, which are no longer ambiguous.
	using []string
	// natural: there is a NATURAL JOIN.
	natural bool
}

// conjunct is one of the conditions that must all hold.
type conjunct struct {
	expr  ast.ExprNode
	block *block
	group *group
	// linked: its key equalities are among the edges.
	linked bool
}

// scopes is a statement's query blocks with what is known of its tables.
type scopes struct {
	cat       *catalog.Catalog
	st        *parser.Statement
	db        string
	refs      []*ref
	blocks    []*block
	conjuncts []conjunct
	// edges: the key of to equals the key of from in every row of to that
	// matters.
	edges   []edge
	bridges []bridge
	// bonds: the rows of to are on the shard of from's, whatever their keys; see
	// follow.go.
	bonds []edge
	// partEdges are of columns of rules of several; see parts.go.
	partEdges []partEdge
	// viewless: no derived table is a view. One computes RAND() and the like
	// once; the finisher reads all tables anyway; and where a CTE is shadowed by
	// one of its name, MySQL and MariaDB find different things within.
	viewless, shadowed bool
	// recursive: WITH RECURSIVE.
	recursive bool
	ctes      []*cte
	// views are the derived tables and CTEs that are made shard by shard.
	views []*ref
	// again are the tables of CTEs beyond their first reference.
	again     []*ref
	repeating bool
}

// cte is a CTE in whose scope the statement is being read.
type cte struct {
	name string
	node *ast.CommonTableExpression
	// group is above its blocks: it is put where the CTE is first used.
	group *group
	used  bool
}

// edge: in, where to is the subquery's table of "from's key IN (SELECT …)".
type edge struct {
	from, to *ref
	in       bool
}

// fold is a table or schema name as the catalog keys it.
func (s *scopes) fold(name ast.CIStr) string {
	if s.cat.FoldNames {
		return name.L
	}
	return name.O
}

// add makes a ref of a table name.
func (s *scopes) add(b *block, g *group, name *ast.TableName, alias string) *ref {
	r := &ref{name: name, alias: alias, block: b, group: g, schema: s.fold(name.Schema), table: s.fold(name.Name)}
	if r.schema == "" {
		r.schema = s.db
	}
	if r.alias == "" {
		r.alias = name.Name.O
	}
	if r.entry = s.cat.Table(r.schema, r.table); r.entry == nil {
		r.entry = s.cat.PlainTable(r.schema, r.table)
	}
	if isInformation(r.schema) && s.cat.Information != nil {
		r.entry = s.cat.Information.Tables[strings.ToUpper(r.table)]
	}
	b.refs = append(b.refs, r)
	if s.repeating {
		s.again = append(s.again, r)
	} else {
		s.refs = append(s.refs, r)
	}
	return r
}

func (s *scopes) block(outer *block, parent *group) *block {
	b := &block{outer: outer, group: &group{parent: parent}}
	s.blocks = append(s.blocks, b)
	return b
}

// query enters a SELECT or a set operation; each arm is a block.
func (s *scopes) query(n ast.Node, outer *block, parent *group) {
	switch n := n.(type) {
	case *ast.SelectStmt:
		s.selectStmt(n, outer, parent)
	case *ast.SetOprStmt:
		defer s.with(n.With, outer, parent)()
		s.query(n.SelectList, outer, parent)
		if n.OrderBy != nil {
			s.subqueries(n.OrderBy, outer, parent)
		}
	case *ast.SetOprSelectList:
		defer s.with(n.With, outer, parent)()
		for _, arm := range n.Selects {
			s.query(arm, outer, parent)
		}
	case *ast.SubqueryExpr:
		s.query(n.Query, outer, parent)
	}
}

// with enters the CTEs; the returned func leaves their names' scope.
func (s *scopes) with(w *ast.WithClause, outer *block, parent *group) func() {
	had := len(s.ctes)
	if w == nil {
		return func() {}
	}
	s.recursive = s.recursive || w.IsRecursive
	if w.IsRecursive {
		for _, c := range w.CTEs {
			s.ctes = append(s.ctes, &cte{name: c.Name.L, node: c, group: &group{parent: parent}})
		}
	}
	for _, c := range w.CTEs {
		for _, outer := range s.ctes[:had] {
			s.shadowed = s.shadowed || outer.name == c.Name.L
		}
		x := &cte{name: c.Name.L, node: c, group: &group{parent: parent}}
		s.query(c.Query, outer, x.group)
		s.ctes = append(s.ctes, x)
	}
	return func() { s.ctes = s.ctes[:had] }
}

// cteOf is the CTE a name stands for, nil if it is a table's.
func (s *scopes) cteOf(n *ast.TableName) *cte {
	if n.Schema.L != "" {
		return nil
	}
	for i := len(s.ctes) - 1; i >= 0; i-- {
		if s.ctes[i].name == n.Name.L {
			return s.ctes[i]
		}
	}
	return nil
}

func (s *scopes) selectStmt(sel *ast.SelectStmt, outer *block, parent *group) *block {
	defer s.with(sel.With, outer, parent)()
	b := s.block(outer, parent)
	b.sel = sel
	if sel.From != nil {
		s.from(b, b.group, sel.From.TableRefs)
	}
	s.where(b, sel.Where)
	if sel.Fields != nil {
		s.subqueries(sel.Fields, b, b.group)
	}
	if sel.GroupBy != nil {
		s.subqueries(sel.GroupBy, b, b.group)
	}
	if sel.Having != nil {
		s.subqueries(sel.Having, b, b.group)
	}
	if sel.OrderBy != nil {
		s.subqueries(sel.OrderBy, b, b.group)
	}
	return b
}

func (s *scopes) where(b *block, where ast.ExprNode) {
	if where == nil {
		return
	}
	s.condition(b, b.group, where)
}

// condition records a WHERE or ON condition of the group.
func (s *scopes) condition(b *block, g *group, e ast.ExprNode) {
	for _, part := range splitAnd(e, nil) {
		s.conjuncts = append(s.conjuncts, conjunct{expr: part, block: b, group: g})
		if in, ok := part.(*ast.PatternInExpr); ok && in.Sel != nil && !in.Not {
			s.inSubquery(b, g, in)
			s.subqueries(in.Expr, b, g)
			continue
		}
		s.subqueries(part, b, g)
	}
}

func splitAnd(e ast.ExprNode, to []ast.ExprNode) []ast.ExprNode {
	switch x := strip(e).(type) {
	case *ast.BinaryOperationExpr:
		if x.Op == opcode.LogicAnd {
			return splitAnd(x.R, splitAnd(x.L, to))
		}
		return append(to, x)
	default:
		return append(to, x)
	}
}

// strip removes parentheses.
func strip(e ast.ExprNode) ast.ExprNode {
	for {
		p, ok := e.(*ast.ParenthesesExpr)
		if !ok {
			return e
		}
		e = p.Expr
	}
}

// inSubquery enters the subquery of "x IN (SELECT y …)", where y's rows matter
// only as far as they equal x. A subquery that cuts or combines rows is
// entered without that.
func (s *scopes) inSubquery(b *block, g *group, in *ast.PatternInExpr) {
	sub, ok := in.Sel.(*ast.SubqueryExpr)
	if !ok {
		s.subqueries(in.Sel, b, g)
		return
	}
	sel, ok := sub.Query.(*ast.SelectStmt)
	if !ok || sel.Limit != nil || sel.Fields == nil {
		s.query(sub.Query, b, g)
		return
	}
	inner := s.selectStmt(sel, b, g)
	left := []ast.ExprNode{in.Expr}
	if row, ok := strip(in.Expr).(*ast.RowExpr); ok {
		left = row.Values
	}
	columns, ok := inner.outputs()
	if !ok || len(columns) != len(left) {
		return
	}
	for i, e := range left {
		s.bondSubquery(b, e, inner, columns, i)
		s.partsOfSubquery(b, e, inner, columns[i])
		x, y := s.keyRef(b, e), columns[i].ref
		if x == nil || y == nil || y.group != inner.group || !y.isKey(columns[i].column) || !colocated(x, y) {
			continue
		}
		if inner.keepsShards(columns, func(r *ref, column string) bool { return r == y && r.isKey(column) }) {
			s.edges = append(s.edges, edge{x, y, true})
		}
	}
}

// subqueries enters the subqueries within n.
func (s *scopes) subqueries(n ast.Node, b *block, g *group) {
	for _, q := range findSubqueries(n) {
		s.query(q.Query, b, g)
	}
}

type subqueryFinder struct{ found []*ast.SubqueryExpr }

func (f *subqueryFinder) Enter(n ast.Node) (ast.Node, bool) {
	if q, ok := n.(*ast.SubqueryExpr); ok {
		f.found = append(f.found, q)
		return n, true
	}
	return n, false
}

func (f *subqueryFinder) Leave(n ast.Node) (ast.Node, bool) { return n, true }

func findSubqueries(n ast.Node) []*ast.SubqueryExpr {
	var f subqueryFinder
	n.Accept(&f)
	return f.found
}

// from enters a FROM clause's tree.
func (s *scopes) from(b *block, g *group, n ast.ResultSetNode) {
	switch n := n.(type) {
	case *ast.Join:
		s.join(b, g, n)
	case *ast.TableSource:
		s.source(b, g, n)
	case *ast.TableName:
		s.add(b, g, n, "")
	}
}

func (s *scopes) source(b *block, g *group, n *ast.TableSource) {
	if name, ok := n.Source.(*ast.TableName); ok {
		if c := s.cteOf(name); c != nil {
			s.useCTE(b, g, c, orName(n.AsName.L, name.Name.L))
			return
		}
		s.add(b, g, name, n.AsName.O)
		return
	}
	if join, ok := n.Source.(*ast.Join); ok {
		s.join(b, g, join)
		return
	}
	if n.Lateral {
		b.derived = append(b.derived, n.AsName.L)
		s.query(n.Source, b, g)
		return
	}
	within := &group{parent: g}
	s.query(n.Source, b.outer, within)
	s.derive(b, g, derivation{alias: n.AsName.L, names: n.ColumnNames, query: n.Source, within: within})
}

func orName(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (s *scopes) join(b *block, g *group, n *ast.Join) {
	left, right := g, g
	switch n.Tp {
	case ast.LeftJoin:
		right = &group{parent: g}
	case ast.RightJoin:
		left = &group{parent: g}
	case ast.CrossJoin:
	}
	start := len(b.refs)
	s.from(b, left, n.Left)
	middle := len(b.refs)
	if n.Right == nil {
		return
	}
	s.from(b, right, n.Right)
	on := g
	switch n.Tp {
	case ast.LeftJoin:
		on = right
	case ast.RightJoin:
		on = left
	case ast.CrossJoin:
	}
	if n.On != nil {
		s.condition(b, on, n.On.Expr)
	}
	b.natural = b.natural || n.NaturalJoin
	for _, c := range n.Using {
		b.using = append(b.using, c.Name.L)
		s.using(b.refs[start:middle], b.refs[middle:], c.Name.L, on)
	}
}

// using is the equality a USING column stands for.
func (s *scopes) using(left, right []*ref, column string, g *group) {
	for _, x := range left {
		for _, y := range right {
			if x.isKey(column) && y.isKey(column) {
				s.equal(x, y, g)
			}
			s.bond(x, column, y, column, g)
			s.equalParts(x, column, y, column, g)
		}
	}
}

// equal records that the keys of x and y are equal by a condition of group g.
func (s *scopes) equal(x, y *ref, g *group) {
	if x == y || !colocated(x, y) {
		return
	}
	if y.group.within(g) {
		s.edges = append(s.edges, edge{from: x, to: y})
	}
	if x.group.within(g) {
		s.edges = append(s.edges, edge{from: y, to: x})
	}
}

func colocated(x, y *ref) bool {
	return x.sharded() && y.sharded() && x.placement().Colocated(y.placement())
}

// keyRef is the table whose sharding column e is, or nil.
func (s *scopes) keyRef(b *block, e ast.ExprNode) *ref {
	c, ok := strip(e).(*ast.ColumnNameExpr)
	if !ok {
		return nil
	}
	if r := b.resolve(c.Name); r != nil && r.isKey(c.Name.Name.L) {
		return r
	}
	return nil
}

// resolve finds the table a column belongs to; nil where that is not certain.
func (b *block) resolve(c *ast.ColumnName) *ref {
	for ; b != nil; b = b.outer {
		var r *ref
		var here bool
		if c.Table.L != "" {
			r, here = b.qualified(c)
		} else {
			r, here = b.unqualified(c.Name.L)
		}
		if here {
			return r
		}
	}
	return nil
}

// qualified finds t.c; here is false where no source of the block is called t.
func (b *block) qualified(c *ast.ColumnName) (r *ref, here bool) {
	for _, x := range b.refs {
		if !strings.EqualFold(x.alias, c.Table.O) ||
			c.Schema.L != "" && !strings.EqualFold(c.Schema.O, x.schema) {
			continue
		}
		if here {
			return nil, true // two of that name
		}
		r, here = x, true
	}
	for _, d := range b.derived {
		if d == c.Table.L {
			return nil, true
		}
	}
	return r, here
}

func (b *block) unqualified(name string) (r *ref, here bool) {
	var found, unknown []*ref
	for _, x := range b.refs {
		switch {
		case x.column(name) != nil:
			found = append(found, x)
		case !x.columnsKnown():
			unknown = append(unknown, x)
		}
	}
	for _, u := range b.using {
		if u == name {
			return b.coalesced(append(found, unknown...)), true
		}
	}
	if b.natural || len(b.derived) > 0 {
		return nil, true
	}
	switch {
	case len(found) == 1 && len(unknown) == 0:
		return found[0], true
	case len(found) == 0 && len(unknown) == 1 && len(b.refs) == 1 && b.outer == nil:
		return unknown[0], true
	case len(found)+len(unknown) == 0:
		return nil, false
	}
	return nil, true
}

// coalesced is the table a USING column takes its value from: one that no
// outer join replaces by NULLs.
func (b *block) coalesced(found []*ref) *ref {
	for _, x := range found {
		if x.group == b.group {
			return x
		}
	}
	return nil
}

// link finds the key equalities among the conjuncts of a group and the groups
// within; all for nil.
func (s *scopes) link(within *group) {
	for i := range s.conjuncts {
		c := &s.conjuncts[i]
		op, ok := c.expr.(*ast.BinaryOperationExpr)
		if !ok || op.Op != opcode.EQ || c.linked || within != nil && !c.group.within(within) {
			continue
		}
		c.linked = true
		s.bondColumns(c.block, op.L, op.R, c.group)
		x, y := s.keyRef(c.block, op.L), s.keyRef(c.block, op.R)
		switch {
		case x != nil && y != nil:
			s.equal(x, y, c.group)
		case x != nil:
			s.through(x, c, op.R)
		case y != nil:
			s.through(y, c, op.L)
		}
	}
}

// bridge is a column that is no key and equals one by a condition of a group.
type bridge struct {
	over   *ref
	column string
	key    *ref
	group  *group
}

// through notes that the key of x equals a column e, and that two keys equal to
// the same column are equal, which only holds if the column compares as they
// do.
func (s *scopes) through(x *ref, c *conjunct, e ast.ExprNode) {
	name, ok := strip(e).(*ast.ColumnNameExpr)
	if !ok {
		return
	}
	over, column := c.block.resolve(name.Name), name.Name.Name.L
	if over == nil || over.column(column) == nil {
		return
	}
	key, col := &x.placement().Column, &over.column(column).Column
	if over.isComputed(column) || col.Type == shardrule.TypeOther || col.Type != key.Type || col.Scale != key.Scale || col.Collation != key.Collation {
		return
	}
	for _, y := range s.bridges {
		if y.over != over || y.column != column {
			continue
		}
		if c.group.within(y.group) {
			s.equal(x, y.key, c.group)
		} else if y.group.within(c.group) {
			s.equal(x, y.key, y.group)
		}
	}
	s.bridges = append(s.bridges, bridge{over, column, x, c.group})
}

// reach is every table whose key equals r's wherever r's rows matter, r first.
func (s *scopes) reach(r *ref) []*ref { return along([]*ref{r}, s.edges) }

// along adds to seen what edges lead to.
func along(seen []*ref, edges []edge) []*ref {
	for i := 0; i < len(seen); i++ {
		for _, e := range edges {
			if e.to == seen[i] && !contains(seen, e.from) {
				seen = append(seen, e.from)
			}
		}
	}
	return seen
}

func contains(refs []*ref, r *ref) bool {
	for _, x := range refs {
		if x == r {
			return true
		}
	}
	return false
}
