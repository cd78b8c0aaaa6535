package session

import (
	"context"
	"io"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// explainRoute answers EXPLAIN [ANALYZE] FORMAT='route' <statement>; other
// EXPLAINs are the servers'.
func (s *Session) explainRoute(ctx context.Context, text []byte, tokens []token) (bool, error) {
	analyze := len(tokens) > 1 && tokens[1].is("ANALYZE")
	if analyze {
		tokens = tokens[1:]
	}
	if len(tokens) < 4 || !tokens[1].is("FORMAT") || !tokens[2].op("=") || !strings.EqualFold(tokens[3].name(), "route") {
		return false, nil
	}
	if len(tokens) == 4 {
		return true, syntaxError(string(text))
	}
	inner := text[tokens[4].Start:]
	var fp parser.Fingerprint
	if err := s.lexer.Fingerprint(inner, s.settings.mode, &fp); err != nil {
		return true, err
	}
	lines, err := s.route(ctx, inner[:fp.End], &fp, analyze)
	if err != nil {
		return true, err
	}
	rows := make([][][]byte, len(lines))
	for i, l := range lines {
		rows[i] = [][]byte{[]byte(l)}
	}
	s.table([]column{{name: "plan"}}, rows)
	return true, nil
}

// route plans and binds a statement and prints it; without running it, or with
// what running it has moved.
func (s *Session) route(ctx context.Context, text []byte, fp *parser.Fingerprint, analyze bool) ([]string, error) {
	if ownVerb(fp.Verb) && fp.Verb != "SHOW" {
		return nil, sqlerr.Refuse("EXPLAIN FORMAT='route' of "+fp.Verb, "Serval answers it without a route", "")
	}
	e, _, err := s.plan(text, fp)
	if err != nil {
		return nil, err
	}
	if e.session {
		put := string(text)
		tokens := scan(put, s.settings.mode)
		text = []byte(splice(put, tokens, s.findSession(tokens)))
		fp = &parser.Fingerprint{}
		if err := s.lexer.Fingerprint(text, s.settings.mode, fp); err != nil {
			return nil, err
		}
		if e, err = s.planSpliced(text, fp); err != nil {
			return nil, err
		}
	}
	if err := s.access(e); err != nil {
		return nil, err
	}
	args := &textArgs{text: text, literals: fp.Literals, mode: s.settings.mode}
	if analyze {
		return s.measure(ctx, e, args)
	}
	bound, err := s.bind(ctx, e.plan, args, nil)
	if err != nil {
		return nil, err
	}
	return planLines(plan.Format(e.plan, bound)), nil
}

func planLines(text string) []string { return strings.Split(strings.TrimRight(text, "\n"), "\n") }

// analysis is a statement that is run for what it moves.
type analysis struct {
	measured map[plan.Node]plan.Measure
	bound    *plan.Bound
}

// measure runs a query as any other, but for its answer, which nobody sees.
func (s *Session) measure(ctx context.Context, e *planned, args *textArgs) ([]string, error) {
	if !e.plan.ReadOnly {
		return nil, sqlerr.Refuse("EXPLAIN ANALYZE FORMAT='route' of this statement", "it would be run, and it does more than read",
			"use EXPLAIN FORMAT='route'")
	}
	a := &analysis{}
	out := s.out
	s.out, s.analysis = wire.NewWriter(io.Discard), a
	err := s.dispatch(ctx, e, args, nil)
	s.out, s.analysis = out, nil
	if err != nil {
		return nil, err
	}
	return planLines(plan.FormatMeasured(e.plan, a.bound, a.measured)), nil
}
