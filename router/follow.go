package router

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/router/plan"
)

// Tables that follow another one through a foreign key (shardrule.Follow). No
// value of such a table's key is a shard; but in "child.key = parent.column" both
// rows are on one, which is a bond: an edge that says nothing of keys.

// bonded: x's rows are where the rows of y are that its key refers to.
func bonded(x *ref, key string, y *ref, column string) bool {
	return x != nil && y != nil && x.isKey(key) && y.name != nil && x.placement().FollowsTo(y.placement(), column)
}

// bondColumns notes that two columns are equal by a condition of group g.
func (s *scopes) bondColumns(b *block, l, r ast.ExprNode, g *group) {
	x, isColumn := strip(l).(*ast.ColumnNameExpr)
	y, isToo := strip(r).(*ast.ColumnNameExpr)
	if isColumn && isToo {
		one, other := b.resolve(x.Name), b.resolve(y.Name)
		s.bond(one, x.Name.Name.L, other, y.Name.Name.L, g)
		s.equalParts(one, x.Name.Name.L, other, y.Name.Name.L, g)
	}
}

func (s *scopes) bond(x *ref, a string, y *ref, c string, g *group) {
	if !bonded(x, a, y, c) && !bonded(y, c, x, a) {
		return
	}
	if y.group.within(g) {
		s.bonds = append(s.bonds, edge{from: x, to: y})
	}
	if x.group.within(g) {
		s.bonds = append(s.bonds, edge{from: y, to: x})
	}
}

// bondSubquery is inSubquery where one of the columns follows the other.
func (s *scopes) bondSubquery(b *block, e ast.ExprNode, inner *block, columns []viewColumn, i int) {
	name, ok := strip(e).(*ast.ColumnNameExpr)
	to := columns[i]
	if !ok || to.ref == nil || to.ref.group != inner.group {
		return
	}
	x, column := b.resolve(name.Name), name.Name.Name.L
	if !bonded(x, column, to.ref, to.column) && !bonded(to.ref, to.column, x, column) {
		return
	}
	if inner.keepsShards(columns, func(r *ref, column string) bool { return r == to.ref && r.groupsByKey(column) }) {
		s.bonds = append(s.bonds, edge{from: x, to: to.ref})
	}
}

// beside is every table whose rows are on the shard of r's wherever those matter,
// r first.
func (s *scopes) beside(r *ref) []*ref {
	if len(s.bonds)+len(s.partEdges) == 0 {
		return s.reach(r)
	}
	edges := append(s.edges[:len(s.edges):len(s.edges)], s.bonds...)
	seen := along([]*ref{r}, edges)
	for i := 0; i < len(s.partEdges); i++ {
		if e := s.partEdges[i]; contains(seen, e.to) && !contains(seen, e.from) && s.together(e.from, seen) {
			seen = along(append(seen, e.from), edges)
			i = -1 // others may be beside this one
		}
	}
	return seen
}

// followed is the condition that the key of a table that follows another one
// equals a known value, nil where it does not say so.
func (p *planning) followed(root *ref) plan.Cond {
	if f := root.placement().Follows(); f.Unready != "" || root.arms != nil {
		return nil
	}
	for _, c := range p.sc.conjuncts {
		if c.group != root.group {
			continue
		}
		e := equalTo(c, root, root.placement().Column.Name)
		if e == nil {
			continue
		}
		if op := operand(p.st, strip(e)); !op.Unknown {
			return plan.Followed{Placement: root.placement(), Value: op}
		}
	}
	return nil
}

// watched: nothing but the servers' foreign keys keeps the rows it changes on the
// shards where they are looked for.
func (p *planning) watched() bool {
	for i, t := range p.st.Tables {
		e := p.lookup(t)
		if e == nil {
			continue
		}
		follows, followed := e.Placement.Follows() != nil, len(e.Followers) > 0
		switch n := p.st.Node.(type) {
		case *ast.InsertStmt: // its first table is what it writes
			if i == 0 && (follows || followed && (n.IsReplace || len(n.OnDuplicate) > 0)) {
				return true
			}
		case *ast.UpdateStmt, *ast.LoadDataStmt:
			if follows || followed {
				return true
			}
		case *ast.DeleteStmt, *ast.DropTableStmt, *ast.TruncateTableStmt:
			if followed {
				return true
			}
		}
	}
	return false
}

// ignores refuses an INSERT IGNORE into a table that follows another one: that a
// row has no parent would be a warning, so where its parent is must be sure. It is
// staged.
func (p *planning) ignores(n *ast.InsertStmt, t *ref) error {
	if p.part || !n.IgnoreErr || t.placement().Follows() == nil {
		return nil
	}
	return sqlerr.Refuse("INSERT IGNORE into "+t.table, "its rows follow those of another table, and one that is looked for on the wrong shard would be left out", "leave IGNORE out")
}

// watch is the last look at a plan for a statement that is watched.
func (p *planning) watch(pl *plan.Plan) error {
	if !p.watched() {
		return nil
	}
	if strings.Contains(strings.ToLower(p.st.Text), "foreign_key_checks") {
		return sqlerr.Refuse("foreign_key_checks in a statement over "+p.st.Tables[0].Table, plan.WhyWatched, "leave it out")
	}
	pl.Watched = true
	return nil
}

// checkFollower is about the definition of a table that follows another one.
func checkFollower(n *ast.CreateTableStmt, t *catalog.Table) error {
	f := t.Placement.Follows()
	if f == nil {
		return nil
	}
	for _, c := range n.Constraints {
		if c.Tp == ast.ConstraintForeignKey && followsBy(c, t) {
			return nil
		}
	}
	return refuseDDL("the definition of", t, "its rows follow those of "+f.Parent.Table+", and nothing but a foreign key keeps them there",
		"add FOREIGN KEY ("+t.Placement.Column.Name+") REFERENCES "+f.Parent.Table+" ("+f.To+")")
}

// followsBy: it is the foreign key by which t follows another table.
func followsBy(c *ast.Constraint, t *catalog.Table) bool {
	f := t.Placement.Follows()
	if f == nil || c.Refer == nil || c.Refer.Table == nil || !foldEqual(c.Refer.Table.Name.O, f.Parent.Table) {
		return false
	}
	own, theirs := partNames(c.Keys), partNames(c.Refer.IndexPartSpecifications)
	return len(own) == 1 && len(theirs) == 1 && foldEqual(own[0], t.Placement.Column.Name) && foldEqual(theirs[0], f.To)
}

// checkUnfollow refuses to drop the foreign key of a table that follows another
// one. Which of its foreign keys that is only its servers know.
func checkUnfollow(s *ast.AlterTableSpec, t *catalog.Table) error {
	name := s.Name
	switch {
	case t.Placement.Follows() == nil:
		return nil
	case s.Tp == ast.AlterTableDropCheck && s.Constraint != nil:
		name = s.Constraint.Name
	case s.Tp != ast.AlterTableDropForeignKey && s.Tp != ast.AlterTableDropCheck:
		return nil
	}
	return refuseDDL("dropping the constraint "+name+" of", t, "its rows follow those of "+t.Placement.Follows().Parent.Table+", and nothing but a foreign key keeps them there",
		"give the table another rule first")
}

// movesAlone refuses to move a row and change in the same statement what others
// follow it by.
func movesAlone(t *ref, values map[string]plan.Template, moves bool) error {
	if !moves || t.entry == nil {
		return nil
	}
	for _, child := range t.entry.Followers {
		if to := child.Placement.Follows().To; values[lower(to)] != nil {
			return sqlerr.Refuse("an UPDATE of the sharding column of "+t.table+" and of "+to, child.Name+" follows it by that column, and its rows would move with it", "update one after the other")
		}
	}
	return nil
}

// replacesFollowed refuses REPLACE of rows that others follow: MySQL changes such a
// row where it can, and MariaDB deletes it, which its foreign keys are told.
func replacesFollowed(p *planning) (*plan.Plan, error) {
	n, ok := p.st.Node.(*ast.InsertStmt)
	if !ok || !n.IsReplace || len(p.st.Tables) == 0 {
		return nil, nil
	}
	if e := p.lookup(p.st.Tables[0]); e != nil && len(e.Followers) > 0 {
		return nil, sqlerr.Refuse("REPLACE of "+e.Name, "rows of "+e.Followers[0].Name+" follow its rows, and servers differ in whether one that is replaced was deleted", "use INSERT … ON DUPLICATE KEY UPDATE")
	}
	return nil, nil
}
