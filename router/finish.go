package router

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// mayFinish: the rules that follow may still take a query that err refuses.
func (p *planning) mayFinish(err error) bool {
	var e *sqlerr.Error
	return p.st.Kind == parser.KindSelect && errors.As(err, &e) && e.Code == sqlerr.NotSupported
}

// finishRest finishes on one server what an earlier rule refused; where that
// cannot be either, the refusal stands.
func finishRest(p *planning) (*plan.Plan, error) {
	if p.refused == nil {
		return nil, nil
	}
	q := newPlanning(p.cat, p.db, p.st, false)
	if n := q.finisher(); n != nil {
		return p.finishPlan(n, "finished on one server"), nil
	}
	if n := p.verbatim(); n != nil {
		return p.finishPlan(n, "finished at home under the tables' own names"), nil
	}
	if q.cannot != nil {
		return nil, q.cannot
	}
	return nil, p.refused
}

// finishSpread: a query that is only right within one shard, and is refused
// where its values turn out to be on several, is finished then.
func (p *planning) finishSpread(pl *plan.Plan) {
	r, ok := pl.Root.(*plan.Route)
	if !ok || pl.Spread != nil || !p.mayFinish(r.Choice.Single) {
		return
	}
	n := newPlanning(p.cat, p.db, p.st, false).finisher()
	if n == nil {
		n = p.verbatim()
	}
	if n != nil {
		pl.Spread = p.finishPlan(n, pl.Why)
		r.Choice.Single = plan.ErrSpread
	}
}

// finishAs is finisher for one way with CTEs that are named several times; once:
// those that MySQL computes once are.
func (p *planning) finishAs(once bool) *plan.Finish {
	h, f := p.st.Hints, p.facts
	switch p.st.Node.(type) {
	case *ast.SelectStmt, *ast.SetOprStmt:
	default:
		return nil
	}
	if !p.copiable() || h.HasShard || h.Cluster != "" || h.NoScatter || f.LastInsertID || f.FoundRows || f.RowCount ||
		p.st.Folded || p.needsTable() {
		return nil
	}
	at, ok := p.finishAt()
	if !ok {
		return nil
	}
	sp, err := p.spans()
	if err != nil || len(sp.Tables) == 0 || len(sp.Tables) != len(p.sc.refs) {
		return nil
	}
	refs := make(map[*ast.TableName]*ref, len(p.sc.refs))
	for _, r := range p.sc.refs {
		refs[r.name] = r
	}
	n := &plan.Finish{Target: p.finishTarget(), At: at}
	locks, ok := p.lockClauses(sp)
	if !ok {
		return nil
	}
	n.Locks = len(locks) > 0
	w := &finishing{sharing: p.sharing(n, sp, refs), sp: sp, byName: refs, once: once}
	told := slices.ContainsFunc(p.sc.refs, func(r *ref) bool { return isInformation(r.schema) })
	if told {
		w.labels = p.keepLabels(sp)
	}
	w.locks = locks
	n.SQL = w.emit(p.within)
	n.Once = w.onces()
	p.cannot = w.cannot
	if w.failed || !told && !p.labelsStay(sp, n) {
		return nil
	}
	if n.At.Cluster == "" {
		w.reduce()
	}
	sketch, err := p.st.Sketch()
	if err != nil {
		return nil
	}
	n.Semijoins, n.Copies = sketch.OuterJoin && sketch.Semijoin, w.copies
	return n
}

// longestLabel is the longest label that a server certainly does not cut off.
const longestLabel = 250

// longerBy is what a table's name in a label grows by at most: the temporary
// table's, and the table's own as its alias.
func longerBy(n *plan.Finish) int {
	most := len(n.At.Database)
	for _, f := range n.Fragments {
		if f.Route == nil {
			continue
		}
		for _, s := range f.Route.Tables[0].Placement.Shards {
			most = max(most, len(s.Database))
		}
	}
	return most + len("``.`serval_fc99_99` AS ")
}

// labelsStay: what an item's label has of a table's name can be undone. A label
// shows of an item without an alias; of an inner SELECT through a * only.
func (p *planning) labelsStay(sp *parser.Spans, n *plan.Finish) bool {
	var stars starVisitor
	p.st.Node.Accept(&stars)
	for i, b := range sp.Blocks {
		shown := slices.Contains(sp.Arms, i)
		for _, item := range b.Items {
			named := tablesIn(sp, item.Span)
			if named == 0 || shown && item.Expr != item.Span || !shown && !stars.found {
				continue
			}
			if item.End-item.Start+named*longerBy(n) > longestLabel {
				return false
			}
			for _, q := range sp.Qualifiers {
				if q.Start >= item.Start && q.End <= item.End && !q.Schema.Empty() {
					return false
				}
			}
		}
	}
	return true
}

// tablesIn is how many tables and CTEs are named there.
func tablesIn(sp *parser.Spans, in parser.Span) int {
	n := 0
	for _, r := range sp.CTERefs {
		if r.Start >= in.Start && r.End <= in.End {
			n++
		}
	}
	for _, t := range sp.Tables {
		if t.Start >= in.Start && t.End <= in.End {
			n++
		}
	}
	return n
}

// bound: the reference asks for something only the real table has.
func bound(t *ast.TableName) bool {
	return len(t.PartitionNames) > 0 || t.TableSample != nil || t.AsOf != nil
}

// needsTable: the query reads its tables' indexes.
func (p *planning) needsTable() bool {
	var v finishVisitor
	p.st.Node.Accept(&v)
	return v.found
}

// finishVisitor looks for what copies of tables cannot answer.
type finishVisitor struct{ found bool }

// Enter implements ast.Visitor.
func (v *finishVisitor) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.MatchAgainst, *ast.ValuesExpr:
		v.found = true
	case *ast.SelectStmt:
		v.found = v.found || n.Kind != ast.SelectStmtKindSelect
	}
	return n, false
}

// Leave implements ast.Visitor.
func (v *finishVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }

func containsName(list []string, name string) bool {
	for _, x := range list {
		if x == name {
			return true
		}
	}
	return false
}

// allRows is for sessions that have set sql_select_limit: it cuts the answer of
// the query, not what it is made of.
const allRows = " LIMIT 18446744073709551615"

// neededColumns are the columns whose name is anywhere in the text, or all
// where a * or NATURAL may mean any. The primary key is among them: rows are
// then read in its order as from the table itself, which what depends on an
// order nobody asked for (sums of floats, GROUP_CONCAT) shows.
func (p *planning) neededColumns(t *catalog.Table) []*catalog.Column {
	text := strings.ToLower(p.st.Text)
	v := starVisitor{}
	p.st.Node.Accept(&v)
	all := v.found || strings.Contains(text, "natural")
	var out []*catalog.Column
	for i := range t.Columns {
		name := strings.ToLower(t.Columns[i].Name)
		if all || !plainName(name) || strings.Contains(text, name) || containsFold(t.PrimaryKey, name) {
			out = append(out, &t.Columns[i])
		}
	}
	if len(out) > 0 {
		return out
	}
	return []*catalog.Column{&t.Columns[0]}
}

// starVisitor finds a * that stands for columns. That of EXISTS (SELECT * …)
// does not.
type starVisitor struct {
	found bool
	free  *ast.SelectStmt
}

// Enter implements ast.Visitor.
func (v *starVisitor) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.ExistsSubqueryExpr:
		if q, ok := n.Sel.(*ast.SubqueryExpr); ok {
			v.free, _ = q.Query.(*ast.SelectStmt)
		}
	case *ast.SelectStmt:
		if n.Fields == nil || n == v.free && n.GroupBy == nil && n.Having == nil && !n.Distinct {
			break
		}
		for _, f := range n.Fields.Fields {
			v.found = v.found || f.WildCard != nil
		}
	}
	return n, v.found
}

// Leave implements ast.Visitor.
func (v *starVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// plainName: the name can be written in one way only.
func plainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || c == '`' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func containsFold(list []string, name string) bool {
	for _, x := range list {
		if strings.EqualFold(x, name) {
			return true
		}
	}
	return false
}

// keyOf is the primary key where all of its columns are copied and it is one
// over all shards. Keys on TEXT need lengths that the catalog does not have.
func keyOf(r *ref, columns []plan.FragmentColumn) []string {
	t := r.entry
	if r.sharded() && !r.placement().Together(func(c string) bool { return containsFold(t.PrimaryKey, c) }) && !containsFold(t.PrimaryKey, t.AutoIncrement) {
		return nil
	}
	for _, k := range t.PrimaryKey {
		found := false
		for i := range t.Columns {
			c := &t.Columns[i]
			if strings.EqualFold(c.Name, k) && !isLong(c) {
				found = hasColumn(columns, c.Name)
			}
		}
		if !found {
			return nil
		}
	}
	return t.PrimaryKey
}

func hasColumn(columns []plan.FragmentColumn, name string) bool {
	for _, c := range columns {
		if c.Name == name {
			return true
		}
	}
	return false
}
