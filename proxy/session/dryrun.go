package session

import (
	"context"
	"log/slog"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/parser"
)

// Explain is where a statement of a client with that current database would
// go, as lines to print, without running it. Values only a server can compute
// are asked for through deps.Fleet.
func Explain(ctx context.Context, deps Deps, schema, sql string) ([]string, error) {
	s := &Session{
		deps: deps, c: &Client{User: &catalog.User{}}, log: slog.New(slog.DiscardHandler),
		settings: newSettings(), options: defaultOptions(), autocommit: true,
	}
	s.lease.s = s
	s.settings.use(schema)
	var fp parser.Fingerprint
	if err := s.lexer.Fingerprint([]byte(sql), s.settings.mode, &fp); err != nil {
		return nil, err
	}
	return s.route(ctx, []byte(sql)[:fp.End], &fp)
}
