package session

import (
	"context"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
)

// selectLimit is the variable by which drivers and tools bound all answers
// (JDBC's setMaxRows). A server cuts what it answers itself, which of a query over
// several shards is a part: so there the LIMIT it stands for is written out.
const selectLimit = "sql_select_limit"

// textLimited is text in a session that has set it. The servers are not to cut
// anything then, whatever the statement is sent as.
func (s *Session) textLimited(ctx context.Context, text []byte) (handled bool, err error) {
	limit := s.settings.limit
	put, ok, err := limitedText(string(text), limit, s.settings.mode)
	if !ok || err != nil {
		return false, err
	}
	var fp parser.Fingerprint
	if err := s.lexer.Fingerprint([]byte(put), s.settings.mode, &fp); err != nil {
		return true, err
	}
	s.settings.unset(selectLimit)
	defer s.settings.set(selectLimit, limit)
	return true, s.text(ctx, []byte(put), &fp)
}

// limitedText is a query with the LIMIT that it has not; ok is false for any
// other statement, and for a query that names no table.
func limitedText(text, limit string, mode parser.Mode) (out string, ok bool, err error) {
	q := outermost(scan(text, mode))
	switch {
	case !q.query:
		return "", false, nil
	case q.hidden:
		return "", false, sqlerr.Refuse("this query while sql_select_limit is set", "whether it has a LIMIT of its own is not seen", "SET sql_select_limit = DEFAULT, and use LIMIT")
	case q.limited:
		return text, true, nil
	}
	return text[:q.end] + " LIMIT " + limit + " " + text[q.end:], true, nil
}

// outermostQuery is what a statement's text shows outside of all parentheses.
type outermostQuery struct {
	query   bool // it is one, and names a table
	limited bool // by itself, or it has one row to take (INTO)
	hidden  bool // in parentheses, or too long
	end     int  // where a LIMIT goes
}

func outermost(tokens []token) outermostQuery {
	var q outermostQuery
	if len(tokens) == 0 {
		return q
	}
	depth, verb, from, united, locks := 0, "", false, false, false
	for i, t := range tokens {
		switch {
		case t.op("("):
			depth++
		case t.op(")"):
			depth--
		case depth > 0 || t.Kind != tokenWord:
		case verb == "" && (t.is("SELECT") || t.is("VALUES") || t.is("TABLE")):
			verb = "query"
			from = from || t.is("TABLE")
		case verb == "" && !t.is("WITH") && i == 0, t.is("UPDATE") && !locks, t.is("DELETE"):
			return q
		case t.is("FROM"):
			from = true
		case t.is("UNION"), t.is("EXCEPT"), t.is("INTERSECT"), t.is("MINUS"):
			united = true
		case t.is("LIMIT"), t.is("INTO"), t.is("FETCH"):
			q.limited = true
		case !locks && i+1 < len(tokens) && (t.is("FOR") && (tokens[i+1].is("UPDATE") || tokens[i+1].is("SHARE")) || t.is("LOCK") && tokens[i+1].is("IN")):
			locks, q.end = true, t.Start
		}
		if !locks && !t.op(";") {
			q.end = t.End
		}
	}
	inParentheses := tokens[0].op("(")
	q.query = from || united || inParentheses
	q.hidden = !q.limited && (inParentheses && !united || len(tokens) >= maxTokens)
	return q
}

// executeLimited is textLimited for a prepared query that several shards may answer:
// its parameters are put in, too.
func (s *Session) executeLimited(ctx context.Context, p *prepared) (handled bool, err error) {
	limit := s.settings.limit
	if limit == "" || p.plan.plan == nil || !p.plan.plan.Spreads || p.plan.kind != parser.KindSelect {
		return false, nil
	}
	put, ok, err := limitedText(string(s.withLiterals(p)), limit, s.settings.mode)
	if !ok || err != nil {
		return false, err
	}
	s.settings.unset(selectLimit)
	defer s.settings.set(selectLimit, limit)
	return true, s.executeText(ctx, &prepared{text: []byte(put)})
}
