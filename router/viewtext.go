package router

import (
	"regexp"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// ViewText is the definition of a view as a server wrote it down over scratch
// databases, made into what the catalog keeps.
type ViewText struct {
	// Definition, Shown and Literals are as in catalog.View.
	Definition, Shown string
	Literals          bool
}

// NewViewText reads a server's text. schemas are those the scratch databases
// stand for, columns the view's. An ORDER BY gets a LIMIT: without one it would
// be lost over several shards, and on MariaDB, which keeps that of a view though
// not that of a derived table. A text that could not be put into other statements
// is refused.
func NewViewText(name, server string, schemas, columns []string) (*ViewText, error) {
	refuse := func(err error) error {
		return sqlerr.Refuse("the view "+name, "Serval cannot read its definition as the server keeps it", "write it more simply").WithCause(err)
	}
	shown := outsideStrings(server, func(code string) string {
		for i, schema := range schemas {
			code = strings.ReplaceAll(code, sqlval.QuoteName(plan.ScratchDatabase(i))+".", sqlval.QuoteName(schema)+".")
		}
		return code
	})
	out := &ViewText{Shown: shown}
	st, err := parser.ParseText(unqualified(shown), parser.Options{})
	if err != nil {
		return nil, refuse(err)
	}
	out.Literals = freeText(st)
	def, err := named(st, columns)
	if err != nil {
		return nil, refuse(err)
	}
	if _, err := def.Spans(); err != nil {
		return nil, refuse(err)
	}
	out.Definition = def.Text
	return out, nil
}

// unqualified is the text without the schemas before tables of columns
// (`s`.`t`.`c`), where no two tables differ in their schema alone. MySQL writes
// them before the aliases of views too, where nothing else understands them.
func unqualified(shown string) string {
	st, err := parser.ParseText(shown, parser.Options{})
	if err != nil {
		return shown
	}
	schemas := map[string]string{}
	for _, t := range st.Tables {
		if other, seen := schemas[lower(t.Table)]; seen && other != t.Schema {
			return shown
		}
		schemas[lower(t.Table)] = t.Schema
	}
	return outsideStrings(shown, func(code string) string {
		for _, s := range schemas {
			column := regexp.MustCompile(regexp.QuoteMeta(sqlval.QuoteName(s)+".") + "(`(?:[^`]|``)+`\\.`)")
			code = column.ReplaceAllString(code, "$1")
		}
		return code
	})
}

// outsideStrings changes a server's text where it is no string.
func outsideStrings(text string, change func(code string) string) string {
	var b strings.Builder
	start := 0
	for i := 0; i < len(text); i++ {
		quote := text[i]
		if quote != '\'' && quote != '`' {
			continue
		}
		from := i
		for i++; i < len(text) && text[i] != quote; i++ {
			if text[i] == '\\' && quote == '\'' {
				i++
			}
		}
		if quote == '\'' {
			b.WriteString(change(text[start:from]))
			start = min(i+1, len(text))
			b.WriteString(text[from:start])
		}
	}
	b.WriteString(change(text[start:]))
	return b.String()
}

// named gives the items of the first SELECT the view's column names.
func named(st *parser.Statement, columns []string) (*parser.Statement, error) {
	sp, err := st.Spans()
	if err != nil {
		return nil, err
	}
	if len(sp.Arms) == 0 || len(sp.Blocks[sp.Arms[0]].Items) != len(columns) {
		return nil, errNotView
	}
	var edits []parser.Edit
	for i, item := range sp.Blocks[sp.Arms[0]].Items {
		edits = append(edits, parser.Edit{Span: parser.Span{Start: item.Expr.End, End: item.End}, With: " AS " + sqlval.QuoteName(columns[i])})
	}
	tail := tailOf(sp)
	if !tail.OrderBy.Empty() && tail.Limit.Empty() {
		edits = append(edits, parser.Edit{Span: parser.Span{Start: tail.OrderBy.End, End: tail.OrderBy.End}, With: allRows})
	}
	return st.Rewritten(edits)
}

// shownIn is the text as SHOW CREATE VIEW shows it in a database: servers leave
// the schema out where all tables are in the current one.
func shownIn(shown, db string) string {
	st, err := parser.ParseText(shown, parser.Options{})
	if err != nil {
		return shown
	}
	for _, t := range st.Tables {
		if t.Schema != db {
			return shown
		}
	}
	return outsideStrings(shown, func(code string) string { return strings.ReplaceAll(code, sqlval.QuoteName(db)+".", "") })
}

// freeText: it has text that is not just compared with a column, whose own
// collation would count then.
func freeText(st *parser.Statement) bool {
	v := textFinder{compared: map[ast.ExprNode]bool{}}
	st.Node.Accept(&v)
	return v.free
}

type textFinder struct {
	compared map[ast.ExprNode]bool
	free     bool
}

func isColumn(e ast.ExprNode) bool {
	_, ok := strip(e).(*ast.ColumnNameExpr)
	return ok
}

// against notes values that are compared with a column.
func (v *textFinder) against(column ast.ExprNode, values ...ast.ExprNode) {
	if !isColumn(column) {
		return
	}
	for _, e := range values {
		if e != nil {
			v.compared[strip(e)] = true
		}
	}
}

// Enter implements ast.Visitor.
func (v *textFinder) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.BinaryOperationExpr:
		switch n.Op {
		case opcode.EQ, opcode.NE, opcode.LT, opcode.LE, opcode.GT, opcode.GE, opcode.NullEQ:
			v.against(n.L, n.R)
			v.against(n.R, n.L)
		}
	case *ast.PatternInExpr:
		v.against(n.Expr, n.List...)
	case *ast.BetweenExpr:
		v.against(n.Expr, n.Left, n.Right)
	case *ast.PatternLikeOrIlikeExpr:
		v.against(n.Expr, n.Pattern)
	case *ast.FuncCallExpr:
		if strings.HasPrefix(n.FnName.L, "'tidb`") { // DATE '…' and the like
			return n, true
		}
	case ast.ValueExpr:
		if _, text := n.GetValue().(string); text && !v.compared[n] {
			v.free = true
		}
	}
	return n, false
}

// Leave implements ast.Visitor.
func (v *textFinder) Leave(n ast.Node) (ast.Node, bool) { return n, true }
