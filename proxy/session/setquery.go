package session

import (
	"context"
	"slices"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
)

// needsQuery: the value has a subquery over tables or a stored function, which
// are not just any server's to compute.
func (s *Session) needsQuery(a assignment) bool {
	if a.Kind != assignUser && a.Kind != assignSystem || !slices.ContainsFunc(a.tokens, func(t token) bool { return t.op("(") }) {
		return false
	}
	st := parser.Parse([]byte("SELECT "+a.Value), parser.Options{Mode: s.settings.mode})
	facts := st.Facts()
	asks := facts.Subqueries || slices.ContainsFunc(a.tokens, func(t token) bool { return t.is("SELECT") })
	return len(facts.UnknownFuncs) > 0 || asks && (st.Node == nil || len(st.Tables) > 0)
}

// setQueried sets what needsQuery: user variables one after the other, as a
// server does, or one system variable. handled is false where nothing does.
func (s *Session) setQueried(ctx context.Context, all []assignment) (handled bool, err error) {
	queried := slices.ContainsFunc(all, s.needsQuery)
	users := !slices.ContainsFunc(all, func(a assignment) bool { return a.Kind != assignUser })
	if !queried || len(all) > 1 && (!users || readsAssigned(all)) {
		return false, nil // setOnServer refuses it
	}
	saved := s.settings
	defer func() {
		if err != nil {
			s.settings = saved
		}
	}()
	if !users {
		return true, s.setSystemByQuery(ctx, all[0])
	}
	for _, a := range all[:len(all)-1] {
		if s.needsQuery(a) {
			if err := s.quietly(ctx, queryInto(a)); err != nil {
				return true, err
			}
		} else if _, err := s.setOnServer(ctx, []assignment{a}); err != nil {
			return true, err
		}
	}
	last := all[len(all)-1]
	if s.needsQuery(last) {
		return true, s.setByQuery(ctx, last)
	}
	tracked, err := s.setOnServer(ctx, []assignment{last})
	if err == nil {
		s.ok(wire.OK{Tracked: tracked})
	}
	return true, err
}

// readsAssigned: a value has a user variable that is set beside it. Servers have
// its old value or its new one there.
func readsAssigned(all []assignment) bool {
	for _, a := range all {
		for i, t := range a.tokens {
			if t.op("@") && i+1 < len(a.tokens) && slices.ContainsFunc(all, func(b assignment) bool { return strings.EqualFold(b.Name, a.tokens[i+1].name()) }) {
				return true
			}
		}
	}
	return false
}

// queryInto is the SELECT, planned as any, that sets a user variable.
func queryInto(a assignment) string {
	return "SELECT (" + a.Value + ") INTO @" + sqlval.QuoteName(a.Name)
}

// setByQuery sets a user variable by a SELECT.
func (s *Session) setByQuery(ctx context.Context, a assignment) error {
	s.assigning = true
	defer func() { s.assigning = false }()
	return s.within(ctx, queryInto(a))
}

// setSystemByQuery sets a system variable to what a SELECT gives a user variable.
func (s *Session) setSystemByQuery(ctx context.Context, a assignment) error {
	const user = "serval_set"
	if err := s.quietly(ctx, "SELECT ("+a.Value+") INTO @"+user); err != nil {
		return err
	}
	defer s.settings.setUser(user, "NULL")
	_, err := s.setStatement(ctx, "SET "+a.Name+" = @"+user)
	return err
}

// refuseQuery refuses what needsQuery where several things are set at once.
func (s *Session) refuseQuery(a assignment) error {
	if s.needsQuery(a) {
		return sqlerr.Refuse("a subquery or stored function in this SET", "it sets a system variable beside others, or a variable is set by another", "set each by a SET of its own")
	}
	return nil
}
