package router

import (
	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/router/plan"
)

// numbersOfHome tells what an INSERT into a table of one server does to
// LAST_INSERT_ID(). The OK of one whose rows bring their own numbers tells the last of
// them, while LAST_INSERT_ID() stays what it was (MySQL 9.7 manual, 14.15 Information
// Functions). brings are those numbers, one a row; ask: only the server can say.
func (p *planning) numbersOfHome() (brings []plan.Operand, ask bool) {
	n, ok := p.st.Node.(*ast.InsertStmt)
	if !ok || p.facts.SetsLastInsertID || len(p.st.Tables) == 0 {
		return nil, false
	}
	t := p.lookup(p.st.Tables[0])
	if t == nil || len(t.Columns) == 0 {
		t = p.cat.PlainTable(p.names(p.st.Tables[0]))
	}
	if t == nil || t.AutoIncrement == "" {
		return nil, false
	}
	columns := insertColumns(n, &ref{entry: t})
	at := -1
	for i, c := range columns {
		if foldEqual(c, t.AutoIncrement) {
			at = i
		}
	}
	if at < 0 {
		return nil, false // the server numbers every row
	}
	if n.Select != nil || len(n.OnDuplicate) > 0 || p.st.Folded {
		return nil, true
	}
	for _, row := range n.Lists {
		switch {
		case len(row) == 0 || at < len(row) && bareDefault(strip(row[at])):
			return nil, false // numbered by the server, whose OK then says so
		case len(row) != len(columns):
			return nil, true
		}
		op := operand(p.st, strip(row[at]))
		if op.Unknown {
			return nil, true
		}
		brings = append(brings, op)
	}
	return brings, false
}
