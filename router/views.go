package router

import (
	"errors"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/topology"
)

// Logical views: their definitions are in the catalog, and a statement that
// reads one is planned with "(definition) AS name" in its place.

const (
	// mostNested bounds views over views, mostExpanded the text that becomes of
	// a statement, in bytes.
	mostNested   = 32
	mostExpanded = 1 << 20
)

// Errors of views.
const (
	errTableExists      = 1050 // ER_TABLE_EXISTS_ERROR
	errWrongObject      = 1347 // ER_WRONG_OBJECT
	errViewInvalid      = 1356 // ER_VIEW_INVALID
	errViewRecursive    = 1462 // ER_VIEW_RECURSIVE
	errForbidSchema     = 1450 // ER_FORBID_SCHEMA_CHANGE
	errViewSelectClause = 1350 // ER_VIEW_SELECT_CLAUSE
)

func viewError(code uint16, state, format string, args ...any) *sqlerr.Error {
	e := sqlerr.New(code, format, args...)
	e.State = state
	return e
}

func invalidView(v *catalog.View) error {
	return viewError(errViewInvalid, "HY000",
		"View '%s.%s' references invalid table(s) or column(s) or function(s) or definer/invoker of view lack rights to use them", v.Schema, v.Name)
}

// viewNames finds the logical views among names as a statement has them.
type viewNames struct {
	cat *catalog.Catalog
	db  string
}

func (n viewNames) find(t parser.TableName) *catalog.View {
	return n.cat.View(orName(t.Schema, n.db), t.Table)
}

func (n viewNames) first(tables []parser.TableName) *catalog.View {
	for _, t := range tables {
		if v := n.find(t); v != nil {
			return v
		}
	}
	return nil
}

// Through are the logical views a statement reads, views in views included,
// and the tables and views that these name.
func Through(cat *catalog.Catalog, db string, st *parser.Statement) (views []*catalog.View, tables []parser.TableName) {
	if len(cat.Views) == 0 {
		return nil, nil
	}
	seen := map[*catalog.View]bool{}
	var walk func(viewNames, []parser.TableName)
	walk = func(n viewNames, names []parser.TableName) {
		for _, t := range names {
			v := n.find(t)
			if v == nil || seen[v] {
				continue
			}
			seen[v] = true
			views = append(views, v)
			if def, err := parser.ParseText(v.Definition, parser.Options{}); err == nil {
				tables = append(tables, def.Tables...)
				walk(viewNames{cat: cat}, def.Tables)
			}
		}
	}
	walk(viewNames{cat, db}, st.Tables)
	return views, tables
}

// readsTables: a statement of the kind reads tables where it names them.
func readsTables(st *parser.Statement) bool {
	switch st.Kind {
	case parser.KindSelect, parser.KindInsert, parser.KindUpdate, parser.KindDelete, parser.KindDo, parser.KindSet, parser.KindCall:
		return true
	case parser.KindExplain:
		e, ok := st.Node.(*ast.ExplainStmt)
		if !ok {
			return true
		}
		_, describes := e.Stmt.(*ast.ShowStmt)
		return !describes
	}
	return false
}

// expandViews puts the definitions of logical views in the place of their
// names, until none is left.
func expandViews(cat *catalog.Catalog, db string, st *parser.Statement) (*parser.Statement, error) {
	n := viewNames{cat, db}
	if len(cat.Views) == 0 || !readsTables(st) {
		return st, nil
	}
	for range mostNested {
		v := n.first(st.Tables)
		if v == nil {
			return st, nil
		}
		var err error
		if st, err = n.expand(st, v); err != nil {
			return nil, err
		}
		if len(st.Text) > mostExpanded {
			return nil, sqlerr.Refuse("this statement", "with the definitions of its views it would be longer than 1 MiB", "use fewer views in one statement")
		}
	}
	v := n.first(st.Tables)
	return nil, viewError(errViewRecursive, "HY000", "`%s`.`%s` contains view recursion", v.Schema, v.Name)
}

// expand puts one level of definitions in; first is a view of the statement.
func (n viewNames) expand(st *parser.Statement, first *catalog.View) (*parser.Statement, error) {
	switch {
	case st.Node == nil || st.Facts().Doubt != "":
		return nil, sqlerr.Refuse("this statement", "it names the view "+first.Name+" over sharded tables and Serval's parser does not know this syntax",
			"write it in plainer SQL")
	case st.Facts().Locking:
		return nil, sqlerr.Refuse("a locking read of the view "+first.Name, "it is over sharded tables, and the rows to lock are theirs", "lock the rows of the tables")
	}
	sp, err := st.Spans()
	if err != nil {
		return nil, sqlerr.Refuse("this statement", "the view "+first.Name+" is over sharded tables and its definition cannot be put in with certainty",
			"write it more simply").WithCause(err)
	}
	var edits []parser.Edit
	expanded, unaliased := map[int]bool{}, map[int]bool{}
	for i, t := range sp.Tables {
		v := n.find(t.Name)
		if v == nil {
			continue
		}
		expanded[i] = true
		if err := n.mayExpand(st, v, t); err != nil {
			return nil, err
		}
		with := "(" + v.Definition + ")"
		if unordered(st, sp, i) {
			with = "(" + withoutOrder(v.Definition) + ")"
		}
		if t.Alias == "" {
			with += " AS " + sqlval.QuoteName(t.Name.Table)
			unaliased[i] = true
		}
		edits = append(edits, parser.Edit{Span: t.Span, With: with})
	}
	for _, q := range sp.Qualifiers {
		if unaliased[q.Table] && !q.Schema.Empty() {
			edits = append(edits, parser.Edit{Span: q.Schema})
		}
	}
	labels, err := labelEdits(st, sp, expanded)
	if err != nil {
		return nil, err
	}
	out, err := st.Rewritten(append(edits, labels...))
	if err != nil {
		return nil, sqlerr.Refuse("this statement", "with the definition of the view "+first.Name+" in it Serval cannot read it", "").WithCause(err)
	}
	return out, nil
}

// unordered: the order of a table's rows does not show in its SELECT: they are
// joined, grouped or sorted anew. Servers take an ORDER BY of a view no further
// then.
func unordered(st *parser.Statement, sp *parser.Spans, table int) bool {
	block := sp.Tables[table].Block
	if block < 0 {
		return false
	}
	b := sp.Blocks[block]
	if !b.OrderBy.Empty() || !b.GroupBy.Empty() || len(sp.Blocks) == 1 && st.Facts().Aggregates {
		return true
	}
	for i, t := range sp.Tables {
		if i != table && t.Block == block {
			return true
		}
	}
	return false
}

// withoutOrder is a definition without the ORDER BY that has the LIMIT of
// NewViewText behind it.
func withoutOrder(definition string) string {
	if !strings.HasSuffix(definition, allRows) {
		return definition
	}
	def, err := parser.ParseText(definition, parser.Options{})
	if err != nil {
		return definition
	}
	sp, err := def.Spans()
	if err != nil {
		return definition
	}
	return strings.TrimRight(definition[:tailOf(sp).OrderBy.Start], " ")
}

// tailOf are the clauses behind a whole query.
func tailOf(sp *parser.Spans) parser.Tail {
	if len(sp.Arms) == 1 {
		return sp.Blocks[sp.Arms[0]].Tail
	}
	return sp.Tail
}

// labelEdits keeps the names of shown columns that a server makes of an item's
// text, where a definition is put into the item.
func labelEdits(st *parser.Statement, sp *parser.Spans, expanded map[int]bool) ([]parser.Edit, error) {
	var edits []parser.Edit
	for _, arm := range sp.Arms {
		for _, item := range sp.Blocks[arm].Items {
			inside := false
			for i, t := range sp.Tables {
				inside = inside || expanded[i] && t.Start >= item.Start && t.End <= item.End
			}
			if !inside || item.Expr.End < item.End {
				continue
			}
			label := st.Slice(item.Span)
			if st.Params && len(st.Pieces(item.Start, item.End)) > 1 || len(label) > longestLabel {
				return nil, sqlerr.Refuse("a column without an alias", "a view over sharded tables is in it, and its name would change", "give it an alias").
					WithCause(ErrLabel)
			}
			edits = append(edits, parser.Edit{Span: parser.Span{Start: item.End, End: item.End}, With: " AS " + sqlval.QuoteName(label)})
		}
	}
	return edits, nil
}

// mayExpand: the reference only reads the view, and the view is right.
func (n viewNames) mayExpand(st *parser.Statement, v *catalog.View, t parser.TableSpan) error {
	switch st.Kind {
	case parser.KindInsert, parser.KindUpdate, parser.KindDelete:
		if t.Block < 0 {
			return sqlerr.Refuse("a change through the view "+v.Name, "it is over sharded tables", "change the tables themselves")
		}
	}
	if !t.Aliasable || t.AliasAt != t.End || bound(t.Node) {
		return sqlerr.Refuse("an index hint or PARTITION on the view "+v.Name, "it is over sharded tables", "leave it out")
	}
	const doubtful = parser.NoBackslashEscapes | parser.HighNotPrecedence
	if st.Mode&doubtful != 0 {
		return sqlerr.Refuse("the view "+v.Name+" in this sql_mode", "under NO_BACKSLASH_ESCAPES and HIGH_NOT_PRECEDENCE its definition would read otherwise",
			"set another sql_mode")
	}
	return n.valid(v)
}

// valid: the tables and columns of the definition are still there, as far as
// the catalog knows.
func (n viewNames) valid(v *catalog.View) error {
	def, err := parser.ParseText(v.Definition, parser.Options{})
	if err != nil {
		return invalidView(v)
	}
	p := newPlanning(n.cat, "", def, false)
	byAlias := map[string][]*ref{}
	for _, r := range p.sc.refs {
		gone := r.placement() != nil && !r.columnsKnown() ||
			r.placement() == nil && len(n.cat.Plain[r.schema]) > 0 && n.cat.PlainTable(r.schema, r.table) == nil && n.cat.View(r.schema, r.table) == nil
		if gone {
			return invalidView(v)
		}
		byAlias[lower(r.alias)] = append(byAlias[lower(r.alias)], r)
	}
	for _, b := range p.sc.blocks {
		for _, d := range b.derived {
			delete(byAlias, d)
		}
	}
	var f columnNames
	def.Node.Accept(&f)
	for _, c := range f.found {
		refs := byAlias[c.Table.L]
		found := len(refs) == 0
		for _, r := range refs {
			found = found || !r.columnsKnown() || r.column(c.Name.O) != nil
		}
		if !found {
			return invalidView(v)
		}
	}
	return nil
}

// columnNames collects the columns of a tree.
type columnNames struct{ found []*ast.ColumnName }

func (f *columnNames) Enter(n ast.Node) (ast.Node, bool) {
	if c, ok := n.(*ast.ColumnName); ok {
		f.found = append(f.found, c)
	}
	return n, false
}

func (f *columnNames) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// tableNames replaces the names of a text's tables.
func replaceTables(st *parser.Statement, to func(parser.TableName) (schema, table string)) ([]parser.Edit, error) {
	sp, err := st.Spans()
	if err != nil {
		return nil, err
	}
	var edits []parser.Edit
	for _, t := range sp.Tables {
		schema, table := to(t.Name)
		with := sqlval.QuoteName(schema) + "." + sqlval.QuoteName(table)
		edits = append(edits, parser.Edit{Span: t.Span, With: with})
		if t.Alias == "" && t.Aliasable && table != t.Name.Table {
			edits = append(edits, parser.Edit{Span: parser.Span{Start: t.AliasAt, End: t.AliasAt}, With: " AS " + sqlval.QuoteName(t.Name.Table)})
		}
	}
	for _, q := range sp.Qualifiers {
		if t := sp.Tables[q.Table]; t.Alias == "" && !q.Schema.Empty() {
			schema, table := to(t.Name)
			with := sqlval.QuoteName(schema) + "."
			if table != t.Name.Table {
				with = ""
			}
			edits = append(edits, parser.Edit{Span: q.Schema, With: with})
		}
	}
	return edits, nil
}

// atHome is a place of a table without a rule.
func atHome(cluster string, t parser.TableName) topology.Shard {
	return topology.Shard{Index: -1, Cluster: cluster, Database: t.Schema, Table: t.Table}
}

// ErrLabel is why a statement is refused that may be planned if it is read with
// its literals in place: they are in the name of a column.
var ErrLabel = errors.New("router: a column's name depends on a value")

var errNotView = errors.New("router: the SELECT has other columns than the view")
