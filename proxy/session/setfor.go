package session

import (
	"context"
	"slices"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
)

// setFor reads MariaDB's SET STATEMENT variable = value, … FOR statement.
func (s *Session) setFor(text string) (variables, statement string, ok bool) {
	if !s.onMariaDB() {
		return "", "", false
	}
	tokens := trimSemicolon(scan(text, s.settings.mode))
	if len(tokens) < 2 || !tokens[1].is("STATEMENT") {
		return "", "", false
	}
	depth := 0
	for i, t := range tokens {
		switch {
		case t.op("("):
			depth++
		case t.op(")"):
			depth--
		case depth == 0 && i > 2 && i+1 < len(tokens) && t.is("FOR"):
			return "SET " + text[tokens[2].Start:t.Start], text[tokens[i+1].Start:tokens[len(tokens)-1].End], true
		}
	}
	return "", "", false
}

// runWith runs a statement while the variables have other values. They are set
// as by SET, for the session, and taken back.
func (s *Session) runWith(ctx context.Context, variables, statement string) error {
	all, err := parseSet(variables, s.settings.mode)
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.Kind != assignSystem || ownVariable(a.Name) || slices.Contains(charsetVariables, a.Name) {
			return sqlerr.Refuse("SET STATEMENT of "+a.Name, "it is more than a variable of the servers", "set it for the session")
		}
	}
	before, mode := s.settings.plain.Vars, s.settings.mode
	if _, err := s.setOnServer(ctx, all); err != nil {
		return err
	}
	defer s.restore(before)
	if s.settings.mode != mode {
		return sqlerr.Refuse("SET STATEMENT of this sql_mode", "the statement would read otherwise in it", "set it for the session")
	}
	return s.within(ctx, statement)
}

// restore gives the system variables the values they had.
func (s *Session) restore(before []backend.Var) {
	for _, v := range s.settings.plain.Vars {
		if _, was := search(before, v.Name); !was {
			s.settings.unset(v.Name)
		}
	}
	for _, v := range before {
		s.settings.set(v.Name, v.SQL)
	}
}
