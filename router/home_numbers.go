package router

import (
	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/router/plan"
)

// numbersOfHome tells what an INSERT into a table of one server does to
// LAST_INSERT_ID(). The OK of one whose rows bring their own numbers tells the last of
// them, while LAST_INSERT_ID() stays what it was (MySQL 9.7 manual, 14.15 Information
// Functions). So it is with the number of a row that ON DUPLICATE KEY UPDATE meets: by
// the count of one row it is known whether it was met, of several only the server can say.
func (p *planning) numbersOfHome() (e plan.Effects) {
	n, ok := p.st.Node.(*ast.InsertStmt)
	if !ok {
		return e
	}
	meets := len(n.OnDuplicate) > 0
	if e.SetsID = p.facts.SetsLastInsertID; e.SetsID && !meets {
		return e
	}
	into := p.block0().refs
	if len(into) == 0 {
		return e
	}
	t := into[0].entry
	if t == nil || len(t.Columns) == 0 {
		t = p.cat.PlainTable(into[0].schema, into[0].table)
	}
	if t == nil || t.AutoIncrement == "" {
		return e
	}
	columns := insertColumns(n, &ref{entry: t})
	at := -1
	for i, c := range columns {
		if foldEqual(c, t.AutoIncrement) {
			at = i
		}
	}
	e.Meets = meets && n.Select == nil && !p.st.Folded && len(n.Lists) == 1
	switch {
	case at < 0: // the server numbers every row
		e.Numbers = meets && !e.Meets
		return e
	case n.Select != nil || meets && !e.Meets || p.st.Folded:
		e.Numbers = true
		return e
	}
	for _, row := range n.Lists {
		switch {
		case len(row) == 0 || at < len(row) && bareDefault(strip(row[at])):
			e.Brings = nil // numbered by the server, whose OK then says so
			return e
		case len(row) != len(columns):
			e.Numbers = true
			return e
		}
		op := operand(p.st, strip(row[at]))
		if op.Unknown {
			e.Numbers = true
			return e
		}
		e.Brings = append(e.Brings, op)
	}
	return e
}
