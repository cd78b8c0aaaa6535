package session

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
)

// Explain is where a statement of a client with that current database would
// go, as lines to print, without running it. Values only a server can compute
// are asked for through deps.Fleet.
func Explain(ctx context.Context, deps Deps, schema, sql string) ([]string, error) {
	s := New(deps, &Client{
		User: &catalog.User{}, Reader: wire.NewReader(strings.NewReader(""), 1), Writer: wire.NewWriter(io.Discard),
	})
	s.settings.use(schema)
	var fp parser.Fingerprint
	if err := s.lexer.Fingerprint([]byte(sql), s.settings.mode, &fp); err != nil {
		return nil, err
	}
	if more, err := s.follows([]byte(sql)[fp.End:]); more || err != nil {
		return nil, errors.New("there is more than one statement; give one")
	}
	return s.route(ctx, []byte(sql)[:fp.End], &fp, false)
}
