package parser

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// Facts are what in a statement matters to routing and to the session beyond
// its tables.
type Facts struct {
	// LastInsertID, RowCount, FoundRows: it reads them.
	LastInsertID, RowCount, FoundRows bool
	// SetsLastInsertID: LAST_INSERT_ID(expr).
	SetsLastInsertID bool
	// NamedLock: GET_LOCK and its family.
	NamedLock bool
	// UserVarsRead and UserVarsSet are in lower case without @.
	UserVarsRead, UserVarsSet []string
	// SystemVars are read, in lower case without @@ and scope.
	SystemVars []string
	// Random: RAND, UUID and others whose value differs on each server or
	// call. NOW is not among them.
	Random bool
	// UnknownFuncs are functions that are not built in (stored, loadable), in
	// lower case, with their schema if written.
	UnknownFuncs []string
	// Locking: FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE.
	Locking bool
	// Sleep: SLEEP or BENCHMARK.
	Sleep bool
	// Aggregates, Windows, Subqueries: it has some. A derived table and a CTE
	// count as subqueries.
	Aggregates, Windows, Subqueries bool
	// IntoFile: SELECT … INTO OUTFILE or DUMPFILE.
	IntoFile bool
	// IntoVar: SELECT … INTO @x.
	IntoVar bool
	// Sequence: NEXTVAL, LASTVAL, SETVAL.
	Sequence bool
	// RoundedText: PI(), whose text in an answer has not all its digits.
	RoundedText bool
	// CalcFoundRows: SQL_CALC_FOUND_ROWS.
	CalcFoundRows bool
	// TemporaryTable: CREATE or DROP TEMPORARY TABLE.
	TemporaryTable bool
	// Doubt, if not empty, says why servers may read the statement otherwise
	// than Serval; it must not be routed by its tree.
	Doubt string
}

// Facts looks through the tree, or where there is none through the tokens:
// then every name before a parenthesis is taken for a function and every user
// variable for one that is read and set; aggregates, windows and subqueries
// are not told.
func (s *Statement) Facts() *Facts {
	f := &Facts{Doubt: s.doubt()}
	if s.Node == nil {
		f.fromTokens(s)
		return f
	}
	for _, name := range s.into {
		f.IntoVar = true
		f.sets(name)
	}
	v := &factVisitor{f: f}
	s.Node.Accept(v)
	if s.returning != nil {
		s.returning.list.Accept(v)
	}
	switch n := s.Node.(type) {
	case *ast.CreateTableStmt:
		f.TemporaryTable = n.TemporaryKeyword != ast.TemporaryNone
	case *ast.DropTableStmt:
		f.TemporaryTable = n.TemporaryKeyword != ast.TemporaryNone
	case *ast.SetStmt:
		for _, a := range n.Variables {
			if !a.IsSystem {
				f.sets(a.Name)
			}
		}
	}
	return f
}

// FactsOf are the facts of a part of a tree.
func FactsOf(n ast.Node) *Facts {
	f := &Facts{}
	n.Accept(&factVisitor{f: f})
	return f
}

func addOnce(list []string, name string) []string {
	if slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}

func (f *Facts) sets(name string) { f.UserVarsSet = addOnce(f.UserVarsSet, strings.ToLower(name)) }

func (f *Facts) reads(name string) { f.UserVarsRead = addOnce(f.UserVarsRead, strings.ToLower(name)) }

// call notes one function by its lower-case name.
func (f *Facts) call(schema, name string, args int) {
	if schema != "" {
		f.UnknownFuncs = addOnce(f.UnknownFuncs, schema+"."+name)
		return
	}
	switch name {
	case "last_insert_id":
		f.LastInsertID = f.LastInsertID || args == 0
		f.SetsLastInsertID = f.SetsLastInsertID || args > 0
	case "row_count":
		f.RowCount = true
	case "found_rows":
		f.FoundRows = true
	case "get_lock", "release_lock", "release_all_locks", "is_free_lock", "is_used_lock":
		f.NamedLock = true
	case "sleep", "benchmark", "master_pos_wait", "source_pos_wait", "wait_for_executed_gtid_set",
		"wait_until_sql_thread_after_gtids", "master_gtid_wait":
		f.Sleep = true
	case "rand", "uuid", "uuid_short", "sys_guid", "random_bytes", "connection_id", "sysdate", "random":
		f.Random = true
	case "nextval", "lastval", "setval":
		f.Sequence = true
	case "pi":
		f.RoundedText = true
	}
	if !builtinFuncs[name] && !strings.HasPrefix(name, "'tidb`") { // the parser's name for DATE '…' and the like
		f.UnknownFuncs = addOnce(f.UnknownFuncs, name)
	}
}

type factVisitor struct {
	f *Facts
}

// Enter implements ast.Visitor.
func (v *factVisitor) Enter(node ast.Node) (ast.Node, bool) {
	f := v.f
	switch n := node.(type) {
	case *ast.SelectStmt:
		v.selectStmt(n)
	case *ast.FuncCallExpr:
		f.call(n.Schema.L, n.FnName.L, len(n.Args))
	case *ast.AggregateFuncExpr:
		f.Aggregates = true
	case *ast.WindowFuncExpr:
		f.Windows = true
	case *ast.SubqueryExpr:
		f.Subqueries = true
	case *ast.CommonTableExpression:
		f.Subqueries = true
	case *ast.TableSource:
		if _, plain := n.Source.(*ast.TableName); !plain {
			f.Subqueries = true
		}
	case *ast.VariableExpr:
		switch {
		case n.IsSystem:
			f.SystemVars = addOnce(f.SystemVars, strings.ToLower(n.Name))
		case n.Value != nil:
			f.sets(n.Name)
		default:
			f.reads(n.Name)
		}
	}
	return node, false
}

func (v *factVisitor) selectStmt(n *ast.SelectStmt) {
	f := v.f
	if n.LockInfo != nil && n.LockInfo.LockType != ast.SelectLockNone {
		f.Locking = true
	}
	if n.SelectIntoOpt != nil {
		f.IntoFile = true
	}
	if n.SelectStmtOpts != nil && n.CalcFoundRows {
		f.CalcFoundRows = true
	}
}

// Leave implements ast.Visitor.
func (v *factVisitor) Leave(node ast.Node) (ast.Node, bool) { return node, true }

// fromTokens assumes the worst of what the tokens could mean.
func (f *Facts) fromTokens(s *Statement) {
	tokens, _ := collectTokens([]byte(s.Text), s.Mode, nil)
	c := &classifier{sql: []byte(s.Text), tokens: tokens}
	for i := range tokens {
		switch tokens[i].kind {
		case tokenVar:
			f.variable(s.Text[tokens[i].start:tokens[i].end], i > 0 && c.word(i-1) == "INTO")
		case tokenWord, tokenName:
			f.word(c, i)
		}
	}
}

func (f *Facts) variable(text string, into bool) {
	name := strings.ToLower(strings.Trim(text[1:], "'\"`"))
	if system, ok := strings.CutPrefix(name, "@"); ok {
		system = strings.TrimPrefix(strings.TrimPrefix(system, "global."), "session.")
		f.SystemVars = addOnce(f.SystemVars, system)
		return
	}
	if name == "" {
		return
	}
	f.reads(name)
	f.sets(name)
	f.IntoVar = f.IntoVar || into
}

func (f *Facts) word(c *classifier, i int) {
	next := c.word(i + 1)
	switch w := c.word(i); w {
	case "SQL_CALC_FOUND_ROWS":
		f.CalcFoundRows = true
	case "FOR":
		f.Locking = f.Locking || next == "UPDATE" || next == "SHARE"
	case "LOCK":
		f.Locking = f.Locking || next == "IN"
	case "OUTFILE", "DUMPFILE":
		f.IntoFile = true
	case "TEMPORARY":
		f.TemporaryTable = true
	}
	if i+1 >= len(c.tokens) || c.sql[c.tokens[i+1].start] != '(' || c.tokens[i].kw != kwNone {
		return
	}
	name, ok := c.name(i)
	if !ok {
		return
	}
	schema := ""
	if i >= 2 && c.dot(i-1) {
		schema, _ = c.name(i - 2)
	}
	args := 1
	if i+2 < len(c.tokens) && c.sql[c.tokens[i+2].start] == ')' {
		args = 0
	}
	f.call(strings.ToLower(schema), strings.ToLower(name), args)
}
