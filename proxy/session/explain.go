package session

import (
	"context"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// explainRoute answers EXPLAIN FORMAT='route' <statement>; other EXPLAINs are
// the servers'.
func (s *Session) explainRoute(ctx context.Context, text []byte, tokens []token) (bool, error) {
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
	lines, err := s.route(ctx, inner[:fp.End], &fp)
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

// route plans and binds a statement and prints it, without running it.
func (s *Session) route(ctx context.Context, text []byte, fp *parser.Fingerprint) ([]string, error) {
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
	bound, err := s.bind(ctx, e.plan, &textArgs{text: text, literals: fp.Literals, mode: s.settings.mode}, nil)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimRight(plan.Format(e.plan, bound), "\n"), "\n"), nil
}
