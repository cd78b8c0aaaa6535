package session

import (
	"context"
	"slices"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
)

// needsQuery: the value has a subquery or a stored function, which are not just
// any server's to compute.
func (s *Session) needsQuery(a assignment) bool {
	if a.Kind != assignUser && a.Kind != assignSystem || !slices.ContainsFunc(a.tokens, func(t token) bool { return t.op("(") }) {
		return false
	}
	facts := parser.Parse([]byte("SELECT "+a.Value), parser.Options{Mode: s.settings.mode}).Facts()
	return facts.Subqueries || len(facts.UnknownFuncs) > 0 || slices.ContainsFunc(a.tokens, func(t token) bool { return t.is("SELECT") })
}

// setByQuery has a user variable set by a SELECT that is planned as any.
func (s *Session) setByQuery(ctx context.Context, a assignment) error {
	text := []byte("SELECT (" + a.Value + ") INTO @" + sqlval.QuoteName(a.Name))
	var lexer parser.Lexer
	var fp parser.Fingerprint
	if err := lexer.Fingerprint(text, s.settings.mode, &fp); err != nil {
		return err
	}
	s.assigning = true
	defer func() { s.assigning = false }()
	return s.text(ctx, text, &fp)
}

// refuseQuery refuses what needsQuery where several things are set at once.
func (s *Session) refuseQuery(a assignment) error {
	if s.needsQuery(a) {
		return sqlerr.Refuse("a subquery or stored function in this SET", "it sets more than one user variable, or another kind of one", "set a user variable by it alone, with SET @x = …")
	}
	return nil
}
