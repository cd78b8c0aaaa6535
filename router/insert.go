package router

import (
	"strconv"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// noDefault is ER_NO_DEFAULT_FOR_FIELD.
const noDefault = 1364

// inserting is an INSERT … VALUES or SET being split.
type inserting struct {
	*planning
	n     *ast.InsertStmt
	to    *ref
	spans *parser.InsertSpans
	// values are those of INSERT … SET.
	values  []parser.Span
	columns []string
	// keys are the sharding columns, none of a table that is not sharded.
	keys []insertedKey
	// number is the place of the auto-increment column among the columns; -1
	// where the statement leaves it out, and addNumber: it is to be added.
	number    int
	addNumber bool
	ins       *plan.Insert
}

// insertedKey is a sharding column of an INSERT.
type insertedKey struct {
	name string
	// at is its place among the columns; -1 where the statement leaves it out,
	// and add: it is to be added.
	at  int
	add bool
	// byDefault is the key of a row that leaves it to the column's default.
	byDefault plan.Operand
	// number: it is the auto-increment column.
	number bool
}

func (p *planning) insertValues(n *ast.InsertStmt, to *ref) (*plan.Plan, error) {
	sp, err := p.spans()
	if err != nil {
		return nil, err
	}
	in := &inserting{planning: p, n: n, to: to, spans: sp.Insert, columns: insertColumns(n, to), number: -1}
	if in.spans == nil {
		return nil, sqlerr.Refuse("this INSERT", "its rows cannot be told apart", "write it more simply")
	}
	if to.sharded() && p.assignsKey(n, to) {
		return nil, sqlerr.Refuse("ON DUPLICATE KEY UPDATE of the sharding column "+to.placement().KeyNames(),
			"the row would have to move to another shard", "")
	}
	if n.Setlist {
		w, err := p.st.WriteSpans()
		if err != nil || len(w.Values) != len(n.Lists[0]) {
			return nil, sqlerr.Refuse("this INSERT", "its values cannot be told apart", "write it with VALUES").WithCause(err)
		}
		in.values = w.Values
	}
	in.ins = &plan.Insert{Table: plan.TableRef{Placement: to.placement()}, SetsID: p.facts.SetsLastInsertID,
		Upsert: n.IsReplace || len(n.OnDuplicate) > 0,
		Meets:  n.IgnoreErr || len(n.OnDuplicate) > 0, Returns: p.returns()}
	if err := in.locateColumns(); err != nil {
		return nil, err
	}
	if err := in.rows(); err != nil {
		return nil, err
	}
	if err := in.statement(); err != nil {
		return nil, err
	}
	why := "rows by " + to.placement().KeyNames()
	if to.global() {
		why = "every copy of " + to.table
	}
	return &plan.Plan{Root: in.ins, Why: why}, nil
}

// locateColumns finds the key and the auto-increment column, and what the
// statement leaves out of them.
func (in *inserting) locateColumns() error {
	if len(in.columns) == 0 {
		return sqlerr.Refuse("an INSERT without a column list into "+in.to.table, "its columns are not known", "name the columns")
	}
	auto := in.to.entry.AutoIncrement
	bare := len(in.n.Columns) == 0 && len(in.n.Lists) > 0 && len(in.n.Lists[0]) == 0 // () VALUES ()
	if bare {
		in.columns = nil
	}
	for i, c := range in.columns {
		if foldEqual(c, auto) {
			in.number = i
		}
	}
	if auto != "" {
		in.ins.AutoIncrement = auto
		in.addNumber = in.number < 0
	}
	if !in.to.sharded() {
		return nil
	}
	for i, name := range in.to.placement().Keys() {
		k := insertedKey{name: name, at: -1, number: foldEqual(name, auto)}
		for j, c := range in.columns {
			if foldEqual(c, name) {
				k.at = j
			}
		}
		if k.number {
			in.ins.KeyIsNumber, in.ins.NumberKey = true, i
			k.byDefault = absent
		} else if k.at < 0 {
			if err := in.defaultKey(&k); err != nil {
				return err
			}
		}
		in.keys = append(in.keys, k)
	}
	return nil
}

// defaultKey is the key of rows that do not name it.
func (in *inserting) defaultKey(k *insertedKey) error {
	name := k.name
	c := in.to.column(name)
	if c == nil {
		return sqlerr.Refuse("an INSERT into "+in.to.table+" without its sharding column "+name, "the column's default is not known", "name the column")
	}
	op, err := in.columnDefault(c)
	if err != nil {
		err = in.unknownColumn(err)
	}
	k.byDefault, k.add = op, op.Unknown
	return err
}

// unknownColumn is the error for a column the table does not have, where the
// statement is in error anyway; else err.
func (in *inserting) unknownColumn(err error) error {
	for _, c := range in.columns {
		if in.to.column(c) == nil {
			return sqlerr.New(sqlerr.BadField, "Unknown column '%s' in 'field list'", c)
		}
	}
	return err
}

// columnDefault is the value DEFAULT stands for.
func (in *inserting) columnDefault(c *catalog.Column) (plan.Operand, error) {
	d := strings.TrimSpace(c.Default)
	switch {
	case d == "" || strings.EqualFold(d, "null"):
		if !c.Nullable {
			return plan.Operand{}, sqlerr.New(noDefault, "Field '%s' doesn't have a default value", c.Name)
		}
		return plan.Operand{Value: -1}, nil
	case len(d) >= 2 && d[0] == '\'' && d[len(d)-1] == '\'' && !strings.ContainsAny(d[1:len(d)-1], `'\`):
		return plan.Operand{Value: -1, Const: sqlval.StringValue(d[1 : len(d)-1])}, nil
	case isNumber(d):
		return plan.Operand{Value: -1, Const: sqlval.Value{Kind: sqlval.Int, Text: []byte(d)}}, nil
	case isNow(d):
		return in.expr(text(d)), nil
	}
	return plan.Operand{}, sqlerr.Refuse("an INSERT that leaves the sharding column "+c.Name+" to its default", "the default is an expression", "give the value")
}

func isNumber(s string) bool {
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (i > 0 || s[i] != '-' || len(s) == 1) {
			return false
		}
	}
	return s != ""
}

func isNow(d string) bool {
	d = strings.ToLower(d)
	return strings.HasPrefix(d, "current_timestamp") || strings.HasPrefix(d, "now(") || strings.HasPrefix(d, "curdate(") ||
		strings.HasPrefix(d, "current_date")
}

// expr adds an expression a server computes; the same text is computed once.
func (in *inserting) expr(t plan.Template) plan.Operand {
	for i, e := range in.ins.Exprs {
		if e.String() == t.String() {
			return plan.Operand{Value: i, Unknown: true}
		}
	}
	in.ins.Exprs = append(in.ins.Exprs, t)
	return plan.Operand{Value: len(in.ins.Exprs) - 1, Unknown: true}
}

func (in *inserting) rows() error {
	if in.st.Folded {
		in.ins.Repeat = in.repeat()
	}
	for i, list := range in.n.Lists {
		row, err := in.row(i, list)
		if err != nil {
			return err
		}
		in.ins.Rows = append(in.ins.Rows, row)
	}
	return nil
}

// row makes the template of tuple i, or of the SET list.
func (in *inserting) row(i int, list []ast.ExprNode) (plan.Row, error) {
	if len(list) != len(in.columns) {
		return plan.Row{}, sqlerr.New(sqlerr.ColumnCount, "Column count doesn't match value count at row %d", i+1)
	}
	row := plan.Row{Number: absent}
	var edits []edit
	for j := range in.keys {
		k := &in.keys[j]
		op := k.byDefault
		if k.at >= 0 {
			var e *plan.Template
			var err error
			if op, e, err = in.keyOperand(list[k.at], k); err != nil {
				return row, err
			}
			if e != nil && k.at != in.number {
				edits = append(edits, edit{in.element(i, k.at), *e})
			}
		}
		if j == 0 {
			row.Key = op
		} else {
			row.More = append(row.More, op)
		}
	}
	if in.number >= 0 {
		op, t := in.numberOf(i, list[in.number])
		row.Number = op
		edits = append(edits, edit{in.element(i, in.number), t})
	}
	span, end := in.rowSpan(i)
	edits = append(edits, insertAt(end, in.added(len(list) == 0)))
	row.SQL = splice(in.st, span, edits)
	return row, nil
}

// rowSpan is the row's text and where further values are added to it.
func (in *inserting) rowSpan(i int) (span parser.Span, end int) {
	if in.n.Setlist {
		return in.spans.Set, in.spans.Set.End
	}
	s := in.spans.Rows[i].Span
	return s, s.End - 1
}

func (in *inserting) element(row, column int) parser.Span {
	if in.n.Setlist {
		return in.values[column]
	}
	return in.spans.Rows[row].Elems[column]
}

// added are the values of the columns the statement leaves out.
func (in *inserting) added(first bool) plan.Template {
	var out plan.Template
	add := func(column string, c plan.Chunk) {
		if !first {
			out = append(out, plan.Chunk{Text: ", "})
		}
		first = false
		if in.n.Setlist {
			out = append(out, plan.Chunk{Text: sqlval.QuoteName(column) + " = "})
		}
		out = append(out, c)
	}
	if in.addNumber {
		add(in.ins.AutoIncrement, plan.Chunk{Kind: plan.ChunkNumber, Index: -1, Text: "NULL"})
	}
	for _, k := range in.keys {
		if k.add {
			add(k.name, plan.Chunk{Kind: plan.ChunkExpr, Index: k.byDefault.Value})
		}
	}
	return out
}

// keyOperand is where the row's key comes from, and the text to put in its
// place where a server computes it.
func (in *inserting) keyOperand(e ast.ExprNode, k *insertedKey) (plan.Operand, *plan.Template, error) {
	e = strip(e)
	if op := operand(in.st, e); !op.Unknown {
		return op, nil, nil
	}
	name := k.name
	if d, ok := e.(*ast.DefaultExpr); ok && (d.Name == nil || foldEqual(d.Name.Name.L, name)) {
		if k.number {
			return absent, nil, nil
		}
		c := in.to.column(name)
		if c == nil {
			return absent, nil, sqlerr.Refuse("DEFAULT for the sharding column "+name, "the column's default is not known", "give the value")
		}
		op, err := in.columnDefault(c)
		return op, in.exprChunk(op), err
	}
	if f, ok := e.(*ast.FuncCallExpr); ok && in.steady(f) {
		if sql, ok := exprSQL(in.st, f); ok {
			op := in.expr(sql)
			return op, in.exprChunk(op), nil
		}
	}
	return absent, nil, sqlerr.Refuse("an expression as the value of the sharding column "+name,
		"the row cannot be placed before its value is known", "give it as a literal or a parameter")
}

func (in *inserting) exprChunk(op plan.Operand) *plan.Template {
	if !op.Unknown {
		return nil
	}
	return &plan.Template{{Kind: plan.ChunkExpr, Index: op.Value}}
}

// steady: the function has one value for the whole statement, so that it can
// be computed once, ahead of it. Arguments would be those of the first of
// folded tuples.
func (in *inserting) steady(f *ast.FuncCallExpr) bool {
	if len(f.Args) > 0 && in.st.Folded {
		return false
	}
	switch f.FnName.L {
	case "now", "current_timestamp", "localtime", "localtimestamp", "curdate", "current_date",
		"utc_timestamp", "utc_date", "unix_timestamp":
		for _, a := range f.Args {
			if operand(in.st, a).Unknown {
				return false
			}
		}
		return true
	}
	return false
}

// bareDefault: the expression is the word DEFAULT, not DEFAULT(column).
func bareDefault(e ast.ExprNode) bool {
	d, ok := strip(e).(*ast.DefaultExpr)
	return ok && d.Name == nil
}

// numberOf is the row's own value of the auto-increment column, and the hole
// in its place.
func (in *inserting) numberOf(i int, e ast.ExprNode) (plan.Operand, plan.Template) {
	e = strip(e)
	if bareDefault(e) {
		return absent, plan.Template{{Kind: plan.ChunkNumber, Index: -1, Text: "NULL"}}
	}
	op := operand(in.st, e)
	if op.Value >= 0 && !op.Negate {
		return op, plan.Template{{Kind: plan.ChunkNumber, Index: op.Value}}
	}
	own := in.element(i, in.number)
	if op.Value >= 0 || op.Unknown { // -5, @x: no number of ours
		op = plan.Operand{Value: -1, Unknown: true}
		return op, appendPieces(nil, in.st.Pieces(own.Start, own.End))
	}
	return op, plan.Template{{Kind: plan.ChunkNumber, Index: -1, Text: in.st.Text[own.Start:own.End]}}
}

// statement is the text around the rows.
func (in *inserting) statement() error {
	edits, refs, err := in.tableEdits(in.within)
	if err != nil {
		return err
	}
	if len(refs) != 1 {
		return sqlerr.Refuse("this INSERT", "it names its table more than once", "")
	}
	edits = append(edits, in.columnEdits()...)
	rows := in.spans.Values
	if in.n.Setlist {
		rows = in.spans.Set
	}
	edits = append(edits, edit{rows, plan.Template{{Kind: plan.ChunkRows}}})
	in.ins.SQL = splice(in.st, in.within, edits)
	return nil
}

// columnEdits adds the columns the statement leaves out to its list. Where it has
// no list it gets one: rows are placed by the columns as they are known here, and
// another Serval may just have put them into another order.
func (in *inserting) columnEdits() []edit {
	var names []string
	if in.addNumber {
		names = append(names, sqlval.QuoteName(in.ins.AutoIncrement))
	}
	for _, k := range in.keys {
		if k.add {
			names = append(names, sqlval.QuoteName(k.name))
		}
	}
	edits := in.aliasEdits(names)
	if in.spans.Columns.Empty() {
		var all []string
		for _, c := range in.columns {
			all = append(all, sqlval.QuoteName(c))
		}
		names = append(all, names...)
	}
	list := strings.Join(names, ", ")
	switch {
	case len(names) == 0 || in.n.Setlist:
	case in.spans.Columns.Empty():
		edits = append(edits, insertAt(in.spans.ColumnsAt, text(" ("+list+")")))
	case len(in.columns) == 0:
		edits = append(edits, insertAt(in.spans.Columns.End-1, text(list)))
	default:
		edits = append(edits, insertAt(in.spans.Columns.End-1, text(", "+list)))
	}
	return edits
}

// aliasEdits give the added columns names in the row's alias that nothing else
// has: by their own they would be ambiguous behind ON DUPLICATE KEY UPDATE.
func (in *inserting) aliasEdits(added []string) []edit {
	a := in.st.RowAlias()
	if a == nil || len(added) == 0 {
		return nil
	}
	list := a.Columns
	if list == nil {
		list = in.columns
	}
	var names []string
	for _, c := range list {
		names = append(names, sqlval.QuoteName(c))
	}
	for i := range added {
		names = append(names, sqlval.QuoteName("serval:"+strconv.Itoa(i)))
	}
	return []edit{{a.Span, text("AS " + sqlval.QuoteName(a.Name) + "(" + strings.Join(names, ", ") + ")")}}
}
