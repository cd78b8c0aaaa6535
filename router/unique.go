package router

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// Unique keys without the sharding column (unique: in the rule). Each has a
// lookup table, which every write of its columns keeps in the same transaction
// (plan.Kept) and which tells reads where the row is (plan.Looked).

// PlanPart plans a statement that is a part of a client's: it writes just what
// it names, lookup tables too, and nothing is kept beside it.
func PlanPart(cat *catalog.Catalog, db string, st *parser.Statement) (*plan.Plan, error) {
	return planAll(cat, db, nil, st, true)
}

// keptElsewhere refuses what would change a lookup table by itself.
func keptElsewhere(p *planning) (*plan.Plan, error) {
	if p.part || p.st.Kind == parser.KindSelect || p.st.Kind == parser.KindShow || p.st.Kind == parser.KindExplain || p.st.Kind == parser.KindAdmin {
		return nil, nil
	}
	for i, t := range p.st.Tables {
		e := p.lookup(t)
		if e == nil || e.LookupOf == "" {
			continue
		}
		if p.st.Kind == parser.KindInsert && i > 0 {
			continue // read
		}
		return nil, sqlerr.Refuse("a change of "+e.Name, "Serval keeps it for a unique key of "+e.LookupOf, "change "+e.LookupOf)
	}
	return nil, nil
}

// uniques are the keys of a written table that have lookup tables.
func (p *planning) uniques(t *ref) []catalog.Unique {
	if p.part || t.entry == nil {
		return nil
	}
	return t.entry.Uniques
}

// errKept is for a write of a table with lookup tables: it is staged, so that
// the values are known.
func errKept(t *ref) error {
	return sqlerr.Refuse("this write of "+t.table, "its unique keys are kept over its shards, which needs a statement whose values can be read first", "write it more simply")
}

// kept is errKept for an UPDATE that changes what is kept of a row, and for any
// DELETE.
func (p *planning) kept(targets []*ref) error {
	for _, t := range targets {
		n, updates := p.st.Node.(*ast.UpdateStmt)
		if uniques := p.uniques(t); len(uniques) > 0 && (!updates || assignsKept(uniques, n.List)) {
			return errKept(t)
		}
	}
	return nil
}

func assignsKept(uniques []catalog.Unique, assigned []*ast.Assignment) bool {
	for i := range uniques {
		for _, a := range assigned {
			if hasName(uniques[i].Columns, a.Column.Name.L) {
				return true
			}
		}
	}
	return false
}

// keptColumns are the columns that lookup tables have of t.
func keptColumns(uniques []catalog.Unique) []string {
	var out []string
	for i := range uniques {
		for _, c := range uniques[i].Columns {
			if !hasName(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// keep makes the write of t keep its lookup tables; the list is what is read for
// that.
func (s *staging) keep(t *ref, w *plan.StagedWrite) (list plan.Template) {
	uniques := s.uniques(t)
	if len(uniques) == 0 {
		return nil
	}
	k := &plan.Kept{Number: -1, Old: keptColumns(uniques), By: keysOf(t), Sharding: t.placement().Keys()}
	for i := range uniques {
		u := &uniques[i]
		columns := t.placement().LookupColumns(u.Columns)
		k.Uniques = append(k.Uniques, plan.KeptUnique{KeptKey: keptKey(t, w, columns), Own: len(u.Columns), Key: u.Key, Lookup: u.Lookup.Name})
	}
	k.Keys = append(k.Keys, keptKey(t, w, t.entry.PrimaryKey))
	for _, columns := range t.entry.UniqueKeys {
		k.Keys = append(k.Keys, keptKey(t, w, columns))
	}
	w.Kept = k
	for _, c := range k.Old {
		list = append(list, text(", "+sqlval.QuoteName(t.alias)+"."+sqlval.QuoteName(c))...)
	}
	return list
}

// keptKey finds the columns among those that are written.
func keptKey(t *ref, w *plan.StagedWrite, columns []string) plan.KeptKey {
	k := plan.KeptKey{Columns: columns}
	for _, name := range columns {
		at := slices.IndexFunc(w.Columns, func(c plan.StagedColumn) bool { return foldEqual(c.Name, name) })
		k.At = append(k.At, at)
		k.Default = append(k.Default, constantDefault(t.column(name)))
		k.Types = append(k.Types, keptType(t.column(name)))
	}
	return k
}

// keptType is what a value becomes in the column.
func keptType(c *catalog.Column) plan.KeptType {
	k := plan.KeptType{Cast: "CHAR", Zero: "''"}
	switch sql := strings.ToUpper(c.SQLType); c.DataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "year":
		k = plan.KeptType{Class: plan.KeptInt, Cast: "DECIMAL(65,0)", Zero: "0"}
	case "decimal":
		k = plan.KeptType{Class: plan.KeptDecimal, Cast: "DECIMAL" + sql[strings.IndexByte(sql, '('):strings.IndexByte(sql, ')')+1], Zero: "0"}
	case "date", "datetime", "time":
		k = plan.KeptType{Class: plan.KeptTime, Cast: sql, Zero: pick(c.DataType == "time", "'00:00:00'", "'0000-00-00'")}
	case "binary", "varbinary":
		k.Cast = "BINARY"
	}
	if c.Nullable {
		k.Zero = ""
	}
	return k
}

// constantDefault is a column's default as SQL: NULL, a constant, or DEFAULT.
func constantDefault(c *catalog.Column) string {
	switch d := strings.TrimSpace(c.Default); {
	case (d == "" || strings.EqualFold(d, "null")) && c.Nullable:
		return "NULL"
	case isNumber(d), len(d) >= 2 && d[0] == '\'' && d[len(d)-1] == '\'':
		return d
	}
	return "DEFAULT"
}

// keepAdded completes an INSERT into a table with lookup tables.
func (s *staging) keepAdded(n *ast.InsertStmt, t *ref, w *plan.StagedWrite) error {
	if len(s.uniques(t)) == 0 {
		return nil
	}
	if keysOf(t) == nil {
		return noKey(t)
	}
	s.keep(t, w)
	k := w.Kept
	if auto := t.entry.AutoIncrement; auto != "" {
		k.Number = slices.IndexFunc(w.Columns, func(c plan.StagedColumn) bool { return foldEqual(c.Name, auto) })
		if k.Number < 0 {
			k.Number = len(w.Columns) // the session adds it
			for i := range k.Uniques {
				k.Uniques[i].SetAt(auto, k.Number)
			}
			for i := range k.Keys {
				k.Keys[i].SetAt(auto, k.Number)
			}
		}
		k.NumberName = auto
	}
	for i := range k.Uniques {
		for j, at := range k.Uniques[i].At {
			if c := t.column(k.Uniques[i].Columns[j]); at < 0 && k.Uniques[i].Default[j] == "DEFAULT" && c.Default != "" {
				return sqlerr.Refuse("an INSERT that leaves "+c.Name+" to its default", "the default is an expression, and "+t.table+" keeps a unique key by it", "give the value")
			}
		}
	}
	k.Reassigns = w.Met == nil && assignsKept(t.entry.Uniques, n.OnDuplicate)
	return nil
}

// keepChanged completes an UPDATE that changes what is kept of its rows.
func (s *staging) keepChanged(n *ast.UpdateStmt, t *ref, w *plan.StagedWrite, moves bool) (list plan.Template, err error) {
	uniques := s.uniques(t)
	if !moves && !assignsKept(uniques, n.List) {
		return nil, nil
	}
	if moves && n.IgnoreErr && len(uniques) > 0 {
		return nil, sqlerr.Refuse("UPDATE IGNORE of the sharding column of "+t.table, "a row that moves is deleted and inserted anew, and its unique keys are kept over its shards", "leave IGNORE out")
	}
	if list = s.keep(t, w); w.Kept != nil {
		w.Kept.Ordered = n.Order != nil
	}
	return list, nil
}

// literalRows are the rows that are written into a table with lookup tables, or
// may be met, where all of their values are constants.
func (s *staging) literalRows(lists [][]ast.ExprNode, rows [][]parser.Span) [][]plan.Template {
	if s.n.Writes[0].Kept == nil && s.n.Writes[0].Met == nil && s.block0().refs[0].placement().Follows() == nil {
		return nil
	}
	var out [][]plan.Template
	for i, list := range lists {
		if len(list) != len(rows[i]) {
			return nil
		}
		var row []plan.Template
		for j, e := range list {
			if bareDefault(e) {
				row = append(row, text("DEFAULT"))
				continue
			}
			if operand(s.st, strip(e)).Unknown {
				return nil
			}
			row = append(row, s.piece(rows[i][j]))
		}
		out = append(out, row)
	}
	return out
}

// lookedUp is the condition that all columns of a unique key of the root equal
// known values, nil where it does not say so or where the answer would not show
// that no row was met.
func (p *planning) lookedUp(root *ref) plan.Cond {
	follows := root.placement().Follows() != nil
	if root.entry == nil || len(root.entry.Uniques) == 0 && !follows || !p.showsNoRow() {
		return nil
	}
	c := p.uniqueCond(root)
	if c == nil && !follows {
		c = p.listedCond(root)
	}
	p.looks = p.looks || c != nil
	return c
}

// uniqueCond is lookedUp whatever the answer shows.
func (p *planning) uniqueCond(root *ref) plan.Cond {
	if root.entry == nil {
		return nil
	}
	if root.placement().Follows() != nil {
		return p.followed(root)
	}
	for i := range root.entry.Uniques {
		if u := &root.entry.Uniques[i]; u.Ready {
			if c := p.lookedUpBy(root, u); c != nil {
				return c
			}
		}
	}
	return nil
}

// showsNoRow: that the statement met no row of its root is to be seen by its
// answer.
func (p *planning) showsNoRow() bool {
	switch n := p.st.Node.(type) {
	case *ast.SelectStmt:
		if n != p.sel || n.GroupBy != nil || n.Having != nil || n.SelectIntoOpt != nil {
			return false
		}
		var f aggregateFinder
		n.Fields.Accept(&f)
		own, within := p.outputAggregates()
		return own+within+len(f.windows) == 0
	case *ast.UpdateStmt, *ast.DeleteStmt:
		return len(p.block0().refs) == 1
	}
	return false
}

func (p *planning) lookedUpBy(root *ref, u *catalog.Unique) plan.Cond {
	lookup := u.Lookup.Placement
	values := map[string]plan.Template{}
	var keys []plan.LookedKey
	var cond plan.Cond
	for _, c := range p.sc.conjuncts {
		if c.group != root.group {
			continue
		}
		for _, name := range u.Columns {
			e := equalTo(c, root, name)
			if e == nil {
				continue
			}
			op := operand(p.st, strip(e))
			sql, ok := exprSQL(p.st, strip(e))
			if op.Unknown || !ok {
				continue
			}
			values[name] = sql
			keys = append(keys, plan.LookedKey{Column: root.column(name).Column, Value: op})
			if foldEqual(name, lookup.Column.Name) {
				cond = plan.Equal{Column: name, Value: op}
			}
		}
	}
	if len(values) < len(u.Columns) || cond == nil {
		return nil
	}
	var sql plan.Template
	for i, name := range u.Columns {
		word := pick(i == 0, "", " AND ")
		sql = append(append(sql, text(word+sqlval.QuoteName(name)+" = ")...), values[name]...)
	}
	return looked(root, u, cond, sql, keys)
}

// looked asks u's lookup table for the sharding keys of the rows that where is
// about; of cond the table's own shards are.
func looked(root *ref, u *catalog.Unique, cond plan.Cond, where plan.Template, keys []plan.LookedKey) *plan.Looked {
	lookup := u.Lookup.Placement
	var names []string
	for _, name := range root.placement().Keys() {
		names = append(names, sqlval.QuoteName(name))
	}
	sql := append(text("SELECT "+strings.Join(names, ", ")+" FROM "), plan.Chunk{Kind: plan.ChunkTable})
	sql = append(append(sql, text(" WHERE ")...), where...)
	read := &plan.Route{Choice: plan.Choice{Kind: plan.ChooseByKey, Placement: lookup, Cond: cond}, Target: topology.TargetReplica,
		SQL: compact(sql), Tables: []plan.TableRef{{Placement: lookup}}}
	return &plan.Looked{Read: &plan.Plan{Root: read, ReadOnly: true}, Keys: keys, Rows: 1, Columns: u.Columns, Table: u.Lookup.Name}
}

// listedCond is the condition that a unique column of the root is one of a few
// values, and nothing else is asked: then the number of rows shows whether all were
// met. More values than a quarter of the shards are as well asked of all.
func (p *planning) listedCond(root *ref) plan.Cond {
	if _, ok := p.st.Node.(*ast.SelectStmt); !ok || p.sel.Limit != nil || p.sel.Distinct || len(p.sc.conjuncts) != 1 || len(p.sc.refs) != 1 {
		return nil
	}
	in, ok := strip(p.sc.conjuncts[0].expr).(*ast.PatternInExpr)
	if !ok || in.Not || in.Sel != nil || len(in.List) > len(root.placement().Shards)/4 {
		return nil
	}
	col, ok := strip(in.Expr).(*ast.ColumnNameExpr)
	if !ok || p.sc.conjuncts[0].block.resolve(col.Name) != root {
		return nil
	}
	for i := range root.entry.Uniques {
		u := &root.entry.Uniques[i]
		if !u.Ready || len(u.Columns) != 1 || !foldEqual(u.Columns[0], col.Name.Name.L) {
			continue
		}
		values, keys := make([]plan.Operand, len(in.List)), make([]plan.LookedKey, len(in.List))
		var sql plan.Template
		for j, e := range in.List {
			item, ok := exprSQL(p.st, strip(e))
			if values[j] = operand(p.st, strip(e)); values[j].Unknown || !ok {
				return nil
			}
			keys[j] = plan.LookedKey{Column: root.column(u.Columns[0]).Column, Value: values[j]}
			sql = append(append(sql, text(pick(j == 0, sqlval.QuoteName(u.Columns[0])+" IN (", ", "))...), item...)
		}
		c := looked(root, u, plan.In{Column: u.Columns[0], Values: values}, append(sql, text(")")...), keys)
		c.Rows = len(values)
		return c
	}
	return nil
}

// equalTo is what the conjunct says the column of root equals, nil if nothing.
func equalTo(c conjunct, root *ref, name string) ast.ExprNode {
	e, ok := strip(c.expr).(*ast.BinaryOperationExpr)
	if !ok || e.Op != opcode.EQ {
		return nil
	}
	is := func(x ast.ExprNode) bool {
		col, ok := strip(x).(*ast.ColumnNameExpr)
		return ok && foldEqual(col.Name.Name.L, name) && c.block.resolve(col.Name) == root
	}
	switch {
	case is(e.L):
		return e.R
	case is(e.R):
		return e.L
	}
	return nil
}
