package router

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// locking is how the references of a locking read lock: the fragments that
// read them do, on the primaries and in the session's transaction, all rows
// they read. One server would lock some of these.
type locking map[*ast.SelectStmt]plan.Template

// lockClauses are the locking clauses by their SELECT, not ok where it is not
// certain which SELECT has one.
func (p *planning) lockClauses(sp *parser.Spans) (locking, bool) {
	out := locking{}
	if !p.facts.Locking {
		return out, true
	}
	var selects []*ast.SelectStmt
	for _, b := range p.sc.blocks {
		if b.sel != nil && b.sel.LockInfo != nil && b.sel.LockInfo.LockType != ast.SelectLockNone {
			selects = append(selects, b.sel)
		}
	}
	spans := lockSpans(sp)
	if len(selects) != 1 || len(spans) != 1 {
		return nil, false
	}
	if _, union := p.st.Node.(*ast.SetOprStmt); union {
		return p.lockArms(selects[0])
	}
	switch l := selects[0].LockInfo; {
	case l.LockType == ast.SelectLockForUpdate:
		out[selects[0]] = text("FOR UPDATE")
	case l.LockType == ast.SelectLockForShare:
		out[selects[0]] = text("LOCK IN SHARE MODE") // MariaDB knows it too
	case len(l.Tables) > 0: // NOWAIT or SKIP LOCKED of some tables
		return nil, false
	default:
		out[selects[0]] = appendPieces(nil, p.st.Pieces(spans[0].Start, spans[0].End))
	}
	return out, true
}

// lockSpans are the locking clauses of the text, that behind a UNION too.
func lockSpans(sp *parser.Spans) []parser.Span {
	var spans []parser.Span
	for _, b := range sp.Blocks {
		if !b.Lock.Empty() {
			spans = append(spans, b.Lock)
		}
	}
	if !sp.Tail.Lock.Empty() {
		spans = append(spans, sp.Tail.Lock)
	}
	return spans
}

// lockArms locks what any arm of a UNION reads: which arms the clause behind
// the last one is for, servers do not agree. Not ok where it leaves rows out.
func (p *planning) lockArms(sel *ast.SelectStmt) (locking, bool) {
	clause := text("FOR UPDATE")
	switch sel.LockInfo.LockType {
	case ast.SelectLockForUpdate:
	case ast.SelectLockForShare:
		clause = text("LOCK IN SHARE MODE")
	default:
		return nil, false
	}
	out := locking{}
	for _, b := range p.sc.blocks {
		if b.sel != nil {
			out[b.sel] = clause
		}
	}
	return out, true
}

// of is the clause for the references of a table, not ok where they differ in
// which rows they leave out.
func (l locking) of(refs []*ref) (clause plan.Template, ok bool) {
	free := false
	for _, r := range refs {
		if c := l[r.block.sel]; c != nil {
			clause = c
		} else {
			free = true
		}
	}
	if free && strings.Contains(strings.ToUpper(clause.String()), "SKIP") {
		return nil, false
	}
	return clause, true
}
