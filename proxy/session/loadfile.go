package session

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// fileTimeout is how long a client may take for the next packet of a file.
const fileTimeout = time.Minute

// errNetRead is ER_NET_READ_ERROR.
const errNetRead = 1158

// clientFile is a file the client sends: packets up to an empty one. What is
// not read of it must be drained before the client can be answered.
type clientFile struct {
	s     *Session
	rest  []byte
	ended bool
	err   error // the client is lost
}

// askFile has the client send a file.
func (s *Session) askFile(name string) (*clientFile, error) {
	s.buf = append(append(s.buf[:0], wire.HeaderLocalFile), name...)
	_ = s.out.Packet(s.buf)
	if err := s.out.Flush(); err != nil {
		return nil, err
	}
	s.in.SetSeq(s.out.Seq())
	s.file = &clientFile{s: s}
	return s.file, nil
}

// reader reads the file until ctx ends.
func (f *clientFile) reader(ctx context.Context) io.Reader { return &fileReader{f, ctx} }

type fileReader struct {
	file *clientFile
	ctx  context.Context // for the reader's lifetime, which is the statement's
}

// Read implements io.Reader.
func (r *fileReader) Read(p []byte) (int, error) {
	for len(r.file.rest) == 0 {
		if r.file.ended {
			return 0, io.EOF
		}
		if err := r.file.next(r.ctx); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.file.rest)
	r.file.rest = r.file.rest[n:]
	return n, nil
}

// next waits for a packet. Where ctx ends it can be called again.
func (f *clientFile) next(ctx context.Context) error {
	if f.err != nil {
		return f.err
	}
	s := f.s
	stop := context.AfterFunc(ctx, func() { _ = s.c.Conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for until := time.Now().Add(fileTimeout); ; {
		err := s.readUntil(until)
		if ctx.Err() != nil {
			return ctx.Err() // looked at after the deadline is set, so no end is missed
		}
		var packet []byte
		if err == nil {
			packet, err = s.in.Packet()
		}
		switch {
		case err == nil:
			f.rest, f.ended = packet, len(packet) == 0
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded) && s.draining() && time.Now().Before(until) && !s.isKilled():
			continue // woken by the drain: a statement may go on to its end
		}
		f.err = sqlerr.New(errNetRead, "Got an error reading communication packets").WithCause(err)
		s.doomed = true
		return f.err
	}
}

// readUntil sets the deadline of reads, unless the session is killed.
func (s *Session) readUntil(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.killed {
		return os.ErrDeadlineExceeded
	}
	return s.c.Conn.SetReadDeadline(t)
}

func (s *Session) isKilled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.killed
}

// endFile reads what is left of the client's file, so that its answer is taken
// for one.
func (s *Session) endFile() {
	f := s.file
	if f == nil {
		return
	}
	s.file = nil
	for !f.ended && f.err == nil {
		_ = f.next(context.Background()) // each packet has its deadline
	}
	s.out.SetSeq(s.in.Seq())
	_ = s.readUntil(time.Now().Add(s.deps.Limits.IdleTimeout))
}
