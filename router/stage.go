package router

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// mayStage: the write that err refuses may be done by reading first.
func (p *planning) mayStage(err error) bool {
	var e *sqlerr.Error
	if !errors.As(err, &e) || e.Code != sqlerr.NotSupported || p.st.Folded || p.st.Hints.HasShard || p.st.Hints.NoScatter {
		return false
	}
	switch p.st.Kind {
	case parser.KindInsert, parser.KindUpdate, parser.KindDelete:
		return true
	}
	return false
}

// refusedBefore: an earlier rule refused the statement.
func (p *planning) refusedBefore() bool { return p.refused != nil }

// stageRest reads first what an earlier rule refused to write at once; where
// that cannot be either, the refusal stands.
func stageRest(p *planning) (*plan.Plan, error) {
	if p.refused == nil || p.st.Kind == parser.KindSelect {
		return nil, nil
	}
	switch n, err := p.viewless().staged(); {
	case err != nil:
		return nil, err
	case n != nil:
		return &plan.Plan{Root: n, Why: whyStaged}, nil
	}
	return nil, p.refused
}

const whyStaged = "read first, then written"

// stageSpread: a write that is only right within one shard, and is refused
// where its values turn out to be on several, is read first then.
func (p *planning) stageSpread(pl *plan.Plan) {
	r, ok := pl.Root.(*plan.Route)
	if !ok || pl.Spread != nil || !p.mayStage(r.Choice.Single) {
		return
	}
	if n, err := p.viewless().staged(); n != nil && err == nil {
		pl.Spread = &plan.Plan{Root: n, Why: whyStaged}
		r.Choice.Single = plan.ErrSpread
	}
}

// viewless is the same planning anew, without derived tables.
func (p *planning) viewless() *planning {
	out := newPlanning(p.cat, p.db, p.st, false)
	out.part = p.part
	return out
}

// staged makes the Staged of a write, nil where something in it could mean
// another thing in a query of its own.
func (p *planning) staged() (*plan.Staged, error) {
	w, err := p.st.WriteSpans()
	if err != nil || p.facts.RoundedText || p.facts.LastInsertID || p.facts.RowCount || p.facts.FoundRows || len(p.facts.UserVarsSet) > 0 {
		return nil, nil //nolint:nilerr // the refusal of the rule before says more
	}
	s := &staging{planning: p, spans: w, n: &plan.Staged{}}
	if p.returns() {
		s.n.Returning = s.piece(w.Returning)
		n, err := s.make()
		if n == nil || n.Writes[0].Met != nil || n.Writes[0].Kept != nil && len(n.Writes[0].Kept.Uniques) == 0 {
			return nil, err // what follows a row is not written with it
		}
		n.None = noRow(s.block0().refs[0])
		return n, nil
	}
	return s.make()
}

// make stages the statement by its kind.
func (s *staging) make() (*plan.Staged, error) {
	p := s.planning
	switch n := p.st.Node.(type) {
	case *ast.InsertStmt:
		return s.add(n)
	case *ast.UpdateStmt:
		targets, err := p.updated(n)
		if err != nil && !errors.Is(err, errKeyChanges) {
			return nil, err
		}
		return s.change(n, targets)
	case *ast.DeleteStmt:
		targets, err := p.deleted(n)
		if err != nil {
			return nil, err
		}
		return s.remove(n, targets)
	}
	return nil, nil
}

// staging is a write being turned into reads and writes by row.
type staging struct {
	*planning
	spans *parser.WriteSpans
	n     *plan.Staged
	order string // that rows are read in, where the client says none
}

// piece is a part of the client's text.
func (s *staging) piece(sp parser.Span) plan.Template {
	return appendPieces(nil, s.st.Pieces(sp.Start, sp.End))
}

// add stages INSERT … SELECT, and INSERT of rows that must be computed.
func (s *staging) add(n *ast.InsertStmt) (*plan.Staged, error) {
	to := s.block0().refs
	if len(to) == 0 || !to[0].columnsKnown() {
		return nil, nil
	}
	into := plan.StagedWrite{Table: tableName(to[0])}
	s.n.Ignore, s.n.Replace = n.IgnoreErr, n.IsReplace
	elsewhere := s.changesElsewhere(n, to[0])
	if !elsewhere {
		s.n.Tail = s.piece(s.spans.OnDuplicate)
		if a := s.st.RowAlias(); a != nil {
			s.n.Tail = append(append(s.piece(a.Span), text(" ")...), s.n.Tail...)
		}
	}
	s.n.Computes = true
	for _, c := range insertColumns(n, to[0]) {
		into.Columns = append(into.Columns, stagedColumn(to[0], c))
	}
	if elsewhere && !s.updatesMet(n, to[0], &into) {
		return nil, nil
	}
	if err := s.keepAdded(n, to[0], &into); err != nil {
		return nil, err
	}
	s.n.Writes = []plan.StagedWrite{into}
	switch lists, rows := s.given(n); {
	case lists != nil:
		return s.addRows(lists, rows, to[0])
	case n.Select != nil:
		s.n.Selected = true
		read, err := s.query(n.Select, to[0], into.Columns)
		s.n.Reads = []plan.Template{read}
		return s.n, err
	}
	return nil, nil
}

// given are the rows of VALUES (…), VALUES ROW(…) and SET with their places.
func (s *staging) given(n *ast.InsertStmt) (lists [][]ast.ExprNode, rows [][]parser.Span) {
	if v, ok := n.Select.(*ast.SelectStmt); ok && v.Kind == ast.SelectStmtKindValues {
		for _, r := range v.Lists {
			lists = append(lists, r.Values)
		}
		return lists, s.spans.Rows
	}
	if n.Setlist {
		return n.Lists, [][]parser.Span{s.spans.Values}
	}
	if sp, err := s.planning.spans(); err == nil && sp.Insert != nil {
		for _, r := range sp.Insert.Rows {
			rows = append(rows, r.Elems)
		}
	}
	return n.Lists, rows
}

// stagedColumn is a column of t that is written.
func stagedColumn(t *ref, name string) plan.StagedColumn {
	out := plan.StagedColumn{Name: name, Places: t.sharded() && t.places(name)}
	if c := t.column(name); c != nil {
		out.Type = lower(c.DataType)
	}
	return out
}

// addRows reads each row of VALUES by a SELECT of its own, so that no row's
// types change another's.
func (s *staging) addRows(lists [][]ast.ExprNode, rows [][]parser.Span, to *ref) (*plan.Staged, error) {
	columns := s.n.Writes[0].Columns
	if len(rows) != len(lists) {
		return nil, nil
	}
	if s.n.Literals = s.literalRows(lists, rows); s.n.Literals == nil && len(lists) > maxStagedRows {
		return nil, nil
	}
	for i, list := range lists {
		if len(list) != len(columns) || len(rows[i]) != len(list) {
			return nil, nil
		}
		read := text("SELECT ")
		for j, e := range list {
			value := s.piece(rows[i][j])
			if d, ok := strip(e).(*ast.DefaultExpr); ok {
				value = defaultText(to, d, columns[j].Name)
			} else if namesColumns(e) {
				value = nil
			} else {
				var err error
				if value, err = s.storable(to, columns[j].Name, e, value); err != nil {
					return nil, err
				}
			}
			if value == nil && s.n.Literals == nil {
				return nil, nil
			}
			if j > 0 {
				read = append(read, text(", ")...)
			}
			read = append(read, labelled(value, j)...)
		}
		s.n.Reads = append(s.n.Reads, compact(read))
	}
	return s.n, nil
}

// maxStagedRows bounds the rows of one INSERT that are each read by a query.
const maxStagedRows = 1000

// namesColumns: the expression names columns or defaults of the inserted row.
func namesColumns(e ast.ExprNode) bool {
	v := &columnVisitor{}
	e.Accept(v)
	return v.found
}

// columnVisitor finds columns outside of subqueries, and DEFAULT anywhere.
type columnVisitor struct{ found bool }

// Enter implements ast.Visitor.
func (v *columnVisitor) Enter(n ast.Node) (ast.Node, bool) {
	switch n.(type) {
	case *ast.ColumnNameExpr, *ast.DefaultExpr, *ast.ValuesExpr:
		v.found = true
	case *ast.SubqueryExpr:
		return n, true
	}
	return n, false
}

// Leave implements ast.Visitor.
func (v *columnVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// keysOf are the columns that tell a row of t from all others, on whatever
// shard; nil where there are none or their values cannot be compared as text.
func keysOf(t *ref) []string {
	if !t.columnsKnown() {
		return nil
	}
	for _, unique := range append([][]string{t.entry.PrimaryKey}, t.entry.UniqueKeys...) {
		if keys := tellingApart(t, unique); len(keys) > 0 {
			return keys
		}
	}
	return nil
}

// tellingApart are the columns of a unique key of t, and the sharding column; nil
// where one may be NULL in several rows or cannot be compared with a text.
func tellingApart(t *ref, unique []string) []string {
	if len(unique) == 0 {
		return nil
	}
	keys := slices.Clone(unique)
	for _, k := range keys {
		if c := t.column(k); c == nil || c.Nullable {
			return nil
		}
	}
	if t.sharded() {
		for _, name := range t.placement().Keys() {
			if !containsFold(keys, name) {
				keys = append(keys, name)
			}
		}
	}
	for _, k := range keys {
		if !comparesAsText(t.column(k)) {
			return nil
		}
	}
	return keys
}

// comparesAsText: a value of the column, read as text, finds the column's again.
func comparesAsText(c *catalog.Column) bool {
	if c == nil {
		return false
	}
	switch c.DataType {
	case "float", "double", "bit", "json", "timestamp":
		return false
	}
	return true
}

// read is the read of all writes' rows: more, and the clauses of the write. FOR
// UPDATE keeps them until they are written.
func (s *staging) read(more plan.Template) plan.Template {
	out := s.piece(s.spans.With)
	if len(out) > 0 {
		out = append(out, text(" ")...)
	}
	out = append(append(out, text("SELECT ")...), more...)
	out = append(append(out, text(" FROM ")...), s.piece(s.spans.Tables)...)
	for i, clause := range []parser.Span{s.spans.Where, s.spans.OrderBy, s.spans.Limit} {
		switch {
		case !clause.Empty():
			out = append(append(out, text(" ")...), s.piece(clause)...)
		case i == 1 && s.order != "":
			out = append(out, text(" ORDER BY "+s.order)...)
		}
	}
	return compact(append(out, text(" FOR UPDATE")...))
}

func tableName(t *ref) plan.TableName { return plan.TableName{Schema: t.schema, Table: t.table} }

// target begins a write of t's rows by their keys, and the values read for it.
func (s *staging) target(t *ref, kind plan.StagedKind) (plan.StagedWrite, plan.Template, error) {
	w := plan.StagedWrite{Kind: kind, Table: tableName(t), Keys: keysOf(t)}
	if len(w.Keys) == 0 {
		if list := s.tellRow(t, &w); list != nil {
			return w, list, nil
		}
		return w, nil, noKey(t)
	}
	return w, text(columnList(t.alias, w.Keys)), nil
}

// columnList are columns of a table as a query names them.
func columnList(alias string, columns []string) string {
	var list []string
	for _, c := range columns {
		list = append(list, sqlval.QuoteName(alias)+"."+sqlval.QuoteName(c))
	}
	return strings.Join(list, ", ")
}

// remove stages a DELETE, which reads once what is deleted from every table.
func (s *staging) remove(n *ast.DeleteStmt, targets []*ref) (*plan.Staged, error) {
	var all plan.Template
	for i, t := range targets {
		w, list, err := s.target(t, plan.StagedRemove)
		if err != nil {
			return nil, err
		}
		all = append(append(separated(all, i), list...), s.keep(t, &w)...)
		s.n.Writes = append(s.n.Writes, w)
	}
	s.n.Ignore = n.IgnoreErr
	s.n.Reads = []plan.Template{s.read(all)}
	return s.n, nil
}

// separated is the list with a comma behind what is in it.
func separated(list plan.Template, n int) plan.Template {
	if n == 0 {
		return list
	}
	return append(list, text(", ")...)
}

func noKey(t *ref) error {
	return sqlerr.Refuse("this write over several shards", "its rows would be read first and then written by their primary key or another unique key without NULLs, and "+
		t.table+" has none whose values can be compared", "give the table a primary key, or give the sharding key")
}

// change stages an UPDATE: of several tables one after the other, all of them
// by what was read once.
func (s *staging) change(n *ast.UpdateStmt, targets []*ref) (*plan.Staged, error) {
	s.n.Ignore = n.IgnoreErr
	for i, a := range n.List {
		if s.readsAny(a.Expr, s.earlier(n, i)) {
			if own, err := s.ownText(n, targets); own != nil || err != nil {
				return own, err
			}
			return nil, sqlerr.Refuse("this UPDATE over several shards", "it assigns "+a.Column.Name.L+" from a column that it assigns before, whose new value is not known when "+
				"the rows are read", "write the new value out")
		}
	}
	var all plan.Template
	for i, t := range targets {
		w, list, err := s.changeOne(n, t)
		if err != nil {
			if own, _ := s.ownText(n, targets); own != nil {
				return own, nil
			}
			return nil, err
		}
		if err := s.again(w, targets[:i]); err != nil {
			return nil, err
		}
		all = append(separated(all, i), list...)
		s.n.Writes = append(s.n.Writes, w)
	}
	s.inKeyOrder(targets)
	s.n.Reads = []plan.Template{s.read(all)}
	return s.n, nil
}

// inKeyOrder has rows of which one may take what another one wants, with IGNORE,
// read in the order of the primary key, in which one server comes to them.
func (s *staging) inKeyOrder(targets []*ref) {
	if w := s.n.Writes[0]; s.n.Ignore && len(s.block0().refs) == 1 && (w.Kind == plan.StagedMove || w.InOrder) {
		s.order = columnList(targets[0].alias, targets[0].entry.PrimaryKey)
	}
}

// again refuses a table that is changed under two names where the second could
// not find its rows any more.
func (s *staging) again(w plan.StagedWrite, before []*ref) error {
	for i, t := range before {
		if tableName(t) != w.Table {
			continue
		}
		for _, x := range []plan.StagedWrite{s.n.Writes[i], w} {
			for _, c := range x.Columns {
				if x.Kind == plan.StagedMove || containsFold(w.Keys, c.Name) {
					return sqlerr.Refuse("this UPDATE over several shards", "it changes "+t.table+" under two names, and its key "+strings.Join(w.Keys, ", "), "update one after the other")
				}
			}
		}
	}
	return nil
}

// changeOne is what an UPDATE does to one of its tables.
func (s *staging) changeOne(n *ast.UpdateStmt, t *ref) (plan.StagedWrite, plan.Template, error) {
	w, list, err := s.target(t, plan.StagedChange)
	if err != nil {
		return w, nil, err
	}
	moves := w.Row != "" // a row that is given the values of another one would be met again
	values := map[string]plan.Template{}
	for i, a := range n.List {
		if s.assigns(a) != t {
			continue
		}
		name := a.Column.Name.L
		moves = moves || t.places(name)
		s.n.Computes = s.n.Computes || computes(a.Expr)
		if values[name], err = s.storable(t, name, a.Expr, s.piece(s.spans.Values[i])); err != nil {
			return w, nil, err
		}
		c := stagedColumn(t, name)
		c.ByDefault = bareDefault(a.Expr)
		w.Columns = append(w.Columns, c)
		w.InOrder = w.InOrder || n.IgnoreErr && inUniqueKey(t, name)
	}
	if err := movesAlone(t, values, moves); err != nil {
		return w, nil, err
	}
	if !moves {
		old, err := s.keepChanged(n, t, &w, false)
		return w, append(append(list, old...), assigned(t, &w, values)...), err
	}
	same, told := s.stays(t, n), tells(t, values)
	move(t, &w, values, same)
	old, err := s.keepChanged(n, t, &w, true)
	if err != nil {
		return w, nil, err
	}
	mark := same
	if told != nil {
		mark = append(append(text("IF("), told...), text(", ")...)
		mark = append(append(mark, same...), text(", "+plan.MoveUntold+")")...)
	}
	list = append(append(append(list, old...), assigned(t, &w, values)...), text(", ")...)
	return w, append(list, labelled(mark, len(w.Columns))...), nil
}

// inUniqueKey: the column is part of one.
func inUniqueKey(t *ref, column string) bool {
	return slices.ContainsFunc(append([][]string{t.entry.PrimaryKey}, t.entry.UniqueKeys...), func(key []string) bool { return containsFold(key, column) })
}

// assigned are the values that are read for Columns.
func assigned(t *ref, w *plan.StagedWrite, values map[string]plan.Template) plan.Template {
	var more plan.Template
	for i, c := range w.Columns {
		if c.ByDefault {
			continue
		}
		v, ok := values[c.Name]
		if !ok {
			v = text(sqlval.QuoteName(t.alias) + "." + sqlval.QuoteName(c.Name))
		}
		more = append(append(more, text(", ")...), labelled(v, i)...)
	}
	return more
}

// labelled gives a long expression a name of its own: by its text a query could
// not be finished on one server, which would have another one.
func labelled(value plan.Template, i int) plan.Template {
	if len(value.String()) < 100 {
		return value
	}
	return append(value, text(" AS "+sqlval.QuoteName("serval:"+strconv.Itoa(i)))...)
}

// stays is, for the mark of a move, 1 where the row has all the new
// values already, as they are stored, so that it does not count as changed. It is
// written all the same: a number that looks like an ENUM's value is its place.
func (s *staging) stays(t *ref, n *ast.UpdateStmt) plan.Template {
	var out plan.Template
	for i, a := range n.List {
		if s.assigns(a) != t {
			continue
		}
		value := s.piece(s.spans.Values[i])
		if bareDefault(a.Expr) {
			c := t.column(a.Column.Name.L)
			if c == nil || constantDefault(c) == "DEFAULT" {
				return text("0")
			}
			value = text(constantDefault(c))
		}
		out = append(append(out, text(pick(len(out) == 0, "", " AND "))...), sameStored(t, a.Column.Name.O, value)...)
	}
	return out
}

// move makes the change one of whole rows.
func move(t *ref, w *plan.StagedWrite, values map[string]plan.Template, same plan.Template) {
	w.Kind = plan.StagedMove
	byDefault := w.Columns
	w.Columns = nil
	for i := range t.entry.Columns {
		c := &t.entry.Columns[i]
		if c.Generated {
			continue
		}
		name := lower(c.Name)
		col := stagedColumn(t, name)
		for _, d := range byDefault {
			col.ByDefault = col.ByDefault || d.ByDefault && d.Name == name
		}
		if _, assigned := values[name]; !assigned {
			values[name] = kept(t, c, same)
		}
		w.Columns = append(w.Columns, col)
	}
}

// computes: the value is no column, literal, parameter or DEFAULT.
func computes(e ast.ExprNode) bool {
	switch strip(e).(type) {
	case *ast.ColumnNameExpr, *ast.DefaultExpr, ast.ValueExpr:
		return false
	}
	return true
}

// assigns is the table whose column is assigned; updated has found it.
func (p *planning) assigns(a *ast.Assignment) *ref {
	b := p.block0()
	if r := b.resolve(a.Column); r != nil || len(b.refs) != 1 {
		return r
	}
	return b.refs[0]
}

// earlier are the assignments that a server may have done when it computes
// assignment i: those of the same table in front of it, and of tables that
// stand before its table, whichever way they are joined.
func (p *planning) earlier(n *ast.UpdateStmt, i int) []*ast.Assignment {
	refs, own := p.block0().refs, p.assigns(n.List[i])
	out := make([]*ast.Assignment, 0, len(n.List))
	for j, a := range n.List {
		if r := p.assigns(a); r == own && j < i || r != own && slices.Index(refs, r) < slices.Index(refs, own) {
			out = append(out, a)
		}
	}
	return out
}

// readsAny: the expression reads a column that is assigned before.
func (s *staging) readsAny(e ast.ExprNode, before []*ast.Assignment) bool {
	v := &readVisitor{staging: s, assigned: before}
	e.Accept(v)
	return v.found
}

type readVisitor struct {
	*staging
	assigned []*ast.Assignment
	found    bool
}

// Enter implements ast.Visitor.
func (v *readVisitor) Enter(n ast.Node) (ast.Node, bool) {
	c, ok := n.(*ast.ColumnNameExpr)
	if !ok {
		return n, false
	}
	r := v.block0().resolve(c.Name)
	if r == nil && c.Name.Table.L != "" {
		return n, false // of a subquery's own table
	}
	for _, a := range v.assigned {
		if a.Column.Name.L == c.Name.Name.L && (r == nil || r == v.assigns(a)) {
			v.found = true
		}
	}
	return n, false
}

// Leave implements ast.Visitor.
func (v *readVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }
