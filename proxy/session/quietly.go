package session

import (
	"context"
	"io"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
)

// within runs a statement that is a part of the client's, and answers the client with it.
func (s *Session) within(ctx context.Context, text string) error {
	if s.binary {
		return s.executeText(ctx, &prepared{text: []byte(text)})
	}
	var lexer parser.Lexer
	var fp parser.Fingerprint
	if err := lexer.Fingerprint([]byte(text), s.settings.mode, &fp); err != nil {
		return err
	}
	return s.text(ctx, []byte(text), &fp)
}

// quietly is within, the answer being nobody's.
func (s *Session) quietly(ctx context.Context, text string) error {
	client := s.out
	s.out = wire.NewWriter(io.Discard)
	defer func() { s.out = client }()
	return s.within(ctx, text)
}

// doByQuery runs a DO that the router refuses as the SELECT of the same
// expressions, of which nobody sees the row.
func (s *Session) doByQuery(ctx context.Context, text string, refused error) error {
	tokens := trimSemicolon(scan(text, s.settings.mode))
	if sqlerr.From(refused).Code != sqlerr.NotSupported || len(tokens) < 2 || !tokens[0].is("DO") {
		return refused
	}
	err := s.quietly(ctx, "SELECT "+text[tokens[1].Start:tokens[len(tokens)-1].End])
	s.rowCount = 0
	ok := wire.OK{Warnings: uint16(min(s.diag.count, 65535))}
	const manyRows = 1242 // ER_SUBQUERY_NO_1_ROW: MariaDB's DO does not fail by it, SHOW WARNINGS tells
	if err != nil {
		if !s.onMariaDB() || sqlerr.From(err).Code != manyRows {
			return err
		}
		s.diag.failed(sqlerr.From(err))
		ok.Warnings = 1
	}
	s.ok(ok)
	return nil
}
