package session

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
)

// query answers COM_QUERY: one statement, or several where the client may send
// them. The first that fails ends the packet.
func (s *Session) query(ctx context.Context, text []byte) {
	ctx = s.begin(ctx, "Query", text)
	defer s.end()
	defer s.letGo()
	for {
		rest, err := s.one(ctx, text)
		if err != nil {
			s.more = false
			s.fail(err)
			return
		}
		if !s.more || s.doomed {
			s.more = false
			return
		}
		text = rest
	}
}

// keptBytes is what a session's buffers may keep between statements, each.
const keptBytes = 256 << 10

// letGo gives back what one big statement made grow, and the packet it was in.
func (s *Session) letGo() {
	s.args = textArgs{}
	if cap(s.fp.Key) > keptBytes || cap(s.fp.Literals) > keptBytes/64 {
		s.fp, s.lexer = parser.Fingerprint{}, parser.Lexer{}
	}
	if cap(s.buf) > keptBytes {
		s.buf = nil
	}
	if cap(s.keyBuf) > keptBytes {
		s.keyBuf = nil
	}
}

// one runs the first statement of text.
func (s *Session) one(ctx context.Context, text []byte) (rest []byte, err error) {
	fp := &s.fp
	start := time.Now()
	s.finished = Finished{}
	s.more = false
	if err := s.lexer.Fingerprint(text, s.settings.mode, fp); err != nil {
		return nil, err
	}
	if fp.End < len(text) {
		rest = text[fp.End:]
		if s.more, err = s.follows(rest); err != nil {
			return nil, err
		}
		if fp.Verb == "LOAD" {
			rest = bytes.Clone(rest) // the client's file takes the place of the packet
		}
	}
	statement := text[:fp.End]
	err = s.text(ctx, statement, fp)
	err = because(ctx, err)
	s.report(start, fp, err)
	if err != nil {
		s.noteError(fp, err)
	}
	return rest, err
}

// follows reports whether another statement follows; a client that may not
// send several gets the error a server gives.
func (s *Session) follows(rest []byte) (bool, error) {
	if len(scan(string(rest[:min(len(rest), 256)]), s.settings.mode)) == 0 && len(rest) <= 256 {
		return false, nil
	}
	if !s.multi {
		return false, sqlerr.New(sqlerr.Parse, "You have an error in your SQL syntax: more than one statement, and the client did not ask for multi-statements")
	}
	return true, nil
}

// because gives the reason a context ended: KILL QUERY, or the time that the
// statement had.
func because(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	if c, ok := ctx.(*statementContext); ok && c.victim.Load() {
		return txn.DeadlockError()
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return sqlerr.From(context.DeadlineExceeded)
	}
	return sqlerr.From(context.Canceled)
}

// noteError keeps a failed statement's error for SHOW ERRORS, and logs it
// without its literals.
func (s *Session) noteError(fp *parser.Fingerprint, err error) {
	s.rowCount = -1
	s.diag.failed(sqlerr.From(err))
	s.log.Debug("statement failed", "verb", fp.Verb, "key", string(fp.Key[:min(len(fp.Key), maxLoggedKey)]), "err", err)
}

const maxLoggedKey = 1024
