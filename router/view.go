package router

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// derivation is a derived table or a reference to a CTE.
type derivation struct {
	alias string
	names []ast.CIStr
	query ast.Node
	// within is the group above its blocks.
	within *group
}

// viewColumn is one output column of a block.
type viewColumn struct {
	name string
	// ref and column are set for a plain column.
	ref    *ref
	column string
	expr   ast.ExprNode
}

// computed is the type of a column that is an expression: no merge can order
// it, for it could be anything.
const computed = "expression"

// useCTE makes a reference to a CTE a derived table. Each reference has tables
// of its own: what is joined to one says nothing of another's rows.
func (s *scopes) useCTE(b *block, g *group, c *cte, alias string) {
	if s.viewless || s.recursive || !s.reads() {
		b.derived = append(b.derived, alias)
		return
	}
	d := derivation{alias: alias, names: c.node.ColNameList, query: c.node.Query.Query, within: c.group}
	if !c.used {
		c.used, c.group.parent = true, g
	} else {
		d.within = &group{parent: g}
		was := s.repeating
		s.repeating = true
		s.query(c.node.Query, b.outer, d.within)
		s.repeating = was
	}
	s.derive(b, g, d)
}

func (s *scopes) reads() bool { return s.st.Kind == parser.KindSelect }

// derive adds a derived table to the block: as a table with columns where it
// is made shard by shard, or of global tables only; else by its name.
func (s *scopes) derive(b *block, g *group, d derivation) {
	r := s.view(d)
	if r == nil {
		b.derived = append(b.derived, d.alias)
		return
	}
	r.alias, r.block, r.group = d.alias, b, g
	b.refs = append(b.refs, r)
	s.views = append(s.views, r)
	for _, arm := range r.arms {
		s.edges = append(s.edges, edge{from: r, to: arm})
		if len(r.arms) == 1 {
			s.edges = append(s.edges, edge{from: arm, to: r})
		}
	}
}

// view is a derived table all of whose rows are made of rows of one shard each,
// so that the shards' derived tables together are the derived table. Its keys
// are the columns that hold their rows' sharding key: conditions on them are
// conditions on the tables within. A view of global tables has neither; nil is
// any other.
func (s *scopes) view(d derivation) *ref {
	if !s.reads() || s.viewless {
		return nil
	}
	arms, distinct := s.armsOf(d)
	if arms == nil {
		return nil
	}
	s.link(d.within)
	v := &ref{keys: map[string]bool{}, entry: &catalog.Table{Name: d.alias}}
	var first []viewColumn
	for i, b := range arms {
		columns, ok := b.outputs()
		if !ok || i > 0 && len(columns) != len(first) || len(d.names) > 0 && len(d.names) != len(columns) {
			return nil
		}
		root, ok := s.armRoot(b, columns)
		if !ok || i > 0 && (root == nil) != (v.arms == nil) {
			return nil
		}
		if root != nil {
			if i > 0 && !colocated(root, v.arms[0]) {
				return nil
			}
			v.arms = append(v.arms, root)
			v.entry.Placement = v.arms[0].placement()
		}
		if i == 0 {
			first = columns
		}
		s.addColumns(v, b, columns, d.names, i)
	}
	if v.arms == nil && (distinct || len(arms) > 1) || distinct && len(v.keys) == 0 {
		return nil // left to the finisher
	}
	return v
}

// armsOf are the blocks of a derived table: one SELECT, or those of a plain
// UNION; distinct if that is not UNION ALL everywhere.
func (s *scopes) armsOf(d derivation) (arms []*block, distinct bool) {
	var sels []*ast.SelectStmt
	switch n := d.query.(type) {
	case *ast.SelectStmt:
		sels = append(sels, n)
	case *ast.SetOprStmt:
		if n.With != nil || n.Limit != nil || n.SelectList.With != nil {
			return nil, false
		}
		for _, a := range n.SelectList.Selects {
			sel, after := armSelect(a)
			if sel == nil || after != nil && *after != ast.UnionAll && *after != ast.Union {
				return nil, false
			}
			distinct = distinct || after != nil && *after == ast.Union
			sels = append(sels, sel)
		}
	}
	for _, sel := range sels {
		b := s.blockOf(sel, d.within)
		if b == nil || sel.Kind != ast.SelectStmtKindSelect {
			return nil, false
		}
		arms = append(arms, b)
	}
	return arms, distinct
}

// blockOf is the block of a SELECT that stands right below a group.
func (s *scopes) blockOf(sel *ast.SelectStmt, within *group) *block {
	for _, b := range s.blocks {
		if b.sel == sel && b.group.parent == within {
			return b
		}
	}
	return nil
}

// armRoot is the table by whose key the block's rows lie on the shards, nil if
// it has no sharded table at all; not ok where its rows are not made shard by
// shard.
func (s *scopes) armRoot(b *block, columns []viewColumn) (root *ref, ok bool) {
	var sharded []*ref
	for _, list := range [][]*ref{s.refs, s.again, s.views} {
		for _, r := range list {
			switch {
			case !r.group.within(b.group):
			case r.sharded():
				sharded = append(sharded, r)
			case r.entry == nil || r.placement() == nil && r.name != nil:
				return nil, false
			}
		}
	}
	if b.sel.Limit != nil || b.sel.LockInfo != nil || b.sel.SelectIntoOpt != nil || len(b.derived) > 0 {
		return nil, false
	}
	if len(sharded) == 0 {
		return nil, true
	}
	if root = s.rootOf(b, sharded); root == nil {
		return nil, false
	}
	isKey := func(r *ref, column string) bool {
		return r != nil && r.block == b && r.group == b.group && r.groupsByKey(column) && contains(s.beside(r), root)
	}
	return root, b.keepsShards(columns, isKey)
}

// rootOf is a table of the block's own FROM clause that no outer join drops and
// that all sharded tables reach.
func (s *scopes) rootOf(b *block, sharded []*ref) *ref {
	for _, root := range sharded {
		if root.block != b || root.group != b.group {
			continue
		}
		all := true
		for _, r := range sharded {
			all = all && contains(s.beside(r), root)
		}
		if all {
			return root
		}
	}
	return nil
}

// keepsShards: what the block does to the rows of its FROM clause it does to
// each shard's rows by themselves: groups, windows and equal rows are within a
// shard.
func (b *block) keepsShards(columns []viewColumn, isKey func(*ref, string) bool) bool {
	sel := b.sel
	var f aggregateFinder
	sel.Fields.Accept(&f)
	if sel.OrderBy != nil {
		sel.OrderBy.Accept(&f)
	}
	if sel.Having != nil {
		sel.Having.Accept(&f)
	}
	if sel.GroupBy == nil && (len(f.found) > 0 || sel.Having != nil) {
		return false
	}
	key := func(items []*ast.ByItem) bool {
		for _, item := range items {
			if r, column := b.plain(item.Expr, columns); isKey(r, column) {
				return true
			}
		}
		return false
	}
	if sel.GroupBy != nil && (sel.GroupBy.Rollup || !key(sel.GroupBy.Items)) {
		return false
	}
	for _, w := range f.windows {
		if by := partition(sel, &w.Spec); by == nil || !key(by.Items) {
			return false
		}
	}
	if !sel.Distinct {
		return true
	}
	for _, c := range columns {
		if isKey(c.ref, c.column) {
			return true
		}
	}
	return false
}

// plain is the column an item of GROUP BY or PARTITION BY is: of the tables, or
// by alias or position one of the select list.
func (b *block) plain(e ast.ExprNode, columns []viewColumn) (*ref, string) {
	switch e := strip(e).(type) {
	case *ast.ColumnNameExpr:
		if r := b.resolve(e.Name); r != nil {
			return r, e.Name.Name.L
		}
		for _, c := range columns {
			if e.Name.Table.L == "" && c.name == e.Name.Name.L {
				return c.ref, c.column
			}
		}
	case *ast.PositionExpr:
		if e.P == nil && e.N >= 1 && e.N <= len(columns) {
			return columns[e.N-1].ref, columns[e.N-1].column
		}
	}
	return nil, ""
}

// partition is a window's PARTITION BY, which it may have from a named one; nil
// if there is none.
func partition(sel *ast.SelectStmt, w *ast.WindowSpec) *ast.PartitionByClause {
	for range len(sel.WindowSpecs) + 1 {
		name := w.Ref.L
		if w.OnlyAlias && name == "" {
			name = w.Name.L
		}
		if w.PartitionBy != nil || name == "" {
			return w.PartitionBy
		}
		next := (*ast.WindowSpec)(nil)
		for i := range sel.WindowSpecs {
			if sel.WindowSpecs[i].Name.L == name {
				next = &sel.WindowSpecs[i]
			}
		}
		if next == nil || next == w {
			return nil
		}
		w = next
	}
	return nil
}

// outputs are the block's shown columns; not ok where they are not known.
func (b *block) outputs() (out []viewColumn, ok bool) {
	for _, f := range b.sel.Fields.Fields {
		if f.WildCard != nil {
			star, ok := b.star(f.WildCard)
			if !ok {
				return nil, false
			}
			out = append(out, star...)
			continue
		}
		c := viewColumn{name: f.AsName.L, expr: strip(f.Expr)}
		if name, isColumn := c.expr.(*ast.ColumnNameExpr); isColumn {
			c.ref, c.column = b.resolve(name.Name), name.Name.Name.L
			c.name = orName(c.name, c.column)
			if c.ref == nil || c.ref.block != b {
				c.ref, c.column = nil, ""
			}
		}
		if c.name == "" {
			c.name = lower(strings.TrimSpace(f.Text()))
		}
		out = append(out, c)
	}
	return out, true
}

// star is what a * stands for.
func (b *block) star(w *ast.WildCardField) (out []viewColumn, ok bool) {
	if len(b.using) > 0 || b.natural || len(b.derived) > 0 || b.sel.From == nil || hasRightJoin(b.sel) {
		return nil, false
	}
	for _, r := range b.refs {
		if w.Table.L != "" && !foldEqual(r.alias, w.Table.O) {
			continue
		}
		if !r.columnsKnown() {
			return nil, false
		}
		for i := range r.entry.Columns {
			if c := &r.entry.Columns[i]; !c.Invisible {
				name := lower(c.Name)
				out = append(out, viewColumn{name: name, ref: r, column: name})
			}
		}
	}
	return out, true
}

// addColumns gives the view the columns of its arm number i. A column is a key,
// and has a type, only if it is and has that in every arm.
func (s *scopes) addColumns(v *ref, b *block, columns []viewColumn, names []ast.CIStr, i int) {
	for j, c := range columns {
		col := columnOfView(c)
		key := c.ref != nil && v.arms != nil && c.ref.block == b && c.ref.group == b.group && c.ref.isKey(c.column) &&
			contains(s.reach(c.ref), v.arms[i])
		if c.ref != nil && c.ref.group != b.group {
			col.Nullable = true
		}
		if i > 0 {
			old := &v.entry.Columns[j]
			if old.SQLType != col.SQLType || old.DataType != col.DataType || old.Collation != col.Collation {
				*old = catalog.Column{DataType: computed, Column: old.Column}
				old.Collation = ""
				delete(v.keys, lower(old.Name))
			}
			old.Nullable = old.Nullable || col.Nullable
			if !key {
				delete(v.keys, lower(old.Name))
			}
			continue
		}
		if col.Name = c.name; len(names) > 0 {
			col.Name = names[j].L
		}
		v.entry.Columns = append(v.entry.Columns, col)
		if key {
			v.keys[lower(col.Name)] = true
		}
	}
}

// columnOfView is what is known of an output column.
func columnOfView(c viewColumn) catalog.Column {
	if c.ref != nil {
		if known := c.ref.column(c.column); known != nil {
			col := *known
			col.Default, col.Generated, col.AutoIncrement, col.Invisible = "", false, false, false
			return col
		}
	}
	col := catalog.Column{DataType: computed}
	col.Nullable = true
	switch e := c.expr.(type) {
	case *ast.AggregateFuncExpr:
		if lower(e.F) == "count" {
			col.DataType = "bigint"
		} else if lower(e.F) == "sum" || lower(e.F) == "avg" {
			col.DataType = "decimal" // or DOUBLE, which is ordered by its value as well
		}
	case *ast.WindowFuncExpr:
		switch lower(e.Name) {
		case "row_number", "rank", "dense_rank", "ntile", "count":
			col.DataType = "bigint"
		}
	}
	return col
}

// isComputed: the column is a derived table's that is no plain column of a
// table, and no count.
func (r *ref) isComputed(column string) bool {
	if r == nil || r.name != nil {
		return false
	}
	c := r.column(column)
	return c == nil || c.SQLType == "" && c.DataType != "bigint"
}

// viewCondition is what the statement says of a view's key within it.
func (p *planning) viewCondition(v, of *ref) plan.Cond {
	var or plan.Or
	for _, arm := range v.arms {
		var all plan.And
		for _, x := range p.sc.reach(arm) {
			if x == v || !x.group.within(arm.block.group) || x.group != arm.block.group {
				continue
			}
			if c := p.condOf(x, of); c != nil {
				all = append(all, c)
			}
			if len(x.arms) > 0 {
				if c := p.viewCondition(x, of); c != nil {
					all = append(all, c)
				}
			}
		}
		c := oneOf(all)
		if c == nil {
			return nil
		}
		or = append(or, c)
	}
	switch len(or) {
	case 0:
		return nil
	case 1:
		return or[0]
	}
	return or
}
