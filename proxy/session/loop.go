package session

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// errInteractionTimeout is ER_CLIENT_INTERACTION_TIMEOUT, what MySQL says when
// wait_timeout passes.
const errInteractionTimeout = 4031

// Serve runs the session until the client quits, its connection fails, it is
// killed or drained, or ctx ends. It closes the client's connection and gives
// back everything it held. The error is why it ended where that was not the
// client's wish; it is nil for COM_QUIT and a closed connection.
func (s *Session) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { _ = s.c.Conn.Close() }()
	s.deps.Registry.add(s)
	defer s.deps.Registry.remove(s.c.ID)
	stop := context.AfterFunc(ctx, s.killConnection)
	defer stop()
	defer s.stopLimit()
	defer s.giveBack()
	defer s.runLater()

	loginErr := s.login(ctx)
	for {
		payload, err := s.read()
		if err != nil {
			return s.readFailed(err)
		}
		s.out.SetSeq(s.in.Seq())
		if loginErr != nil {
			s.fail(loginErr)
			return s.out.Flush()
		}
		quit, err := s.command(ctx, payload)
		if err != nil {
			return s.protocolFailed(err)
		}
		if err := s.out.Flush(); err != nil || quit || s.doomed {
			return ignoreClosed(err)
		}
		s.runLater()
	}
}

// read waits for the next command.
func (s *Session) read() ([]byte, error) {
	s.in.SetSeq(0)
	if s.in.Buffered() > 0 {
		return s.in.Packet()
	}
	for {
		if err := s.rest(); err != nil {
			return nil, err
		}
		payload, err := s.in.Packet()
		if err != nil && s.wokenByDrain(err) {
			continue // the transaction may go on to its end
		}
		if err == nil && s.isKilled() {
			// A goroutine that the deadline wakes reads all the same what came
			// before it runs.
			return nil, os.ErrDeadlineExceeded
		}
		return payload, err
	}
}

func (s *Session) wokenByDrain(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Is(err, os.ErrDeadlineExceeded) && s.draining() && !s.mu.killed && s.tx.State() == txn.Open &&
		time.Since(s.mu.since) < s.deps.Limits.IdleTimeout
}

// rest shows the session idle and sets the idle deadline. Whoever kills or
// drains sets a deadline in the past after telling so; looking at what was
// told after setting ours leaves no gap between the two.
func (s *Session) rest() error {
	s.publish()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.mu.command, s.mu.since, s.mu.statement = "Sleep", now, s.mu.statement[:0]
	if err := s.c.Conn.SetReadDeadline(now.Add(s.deps.Limits.IdleTimeout)); err != nil {
		return err
	}
	if s.mu.killed || s.draining() && s.tx.State() == txn.Idle {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// draining reports that the server shuts down.
func (s *Session) draining() bool {
	select {
	case <-s.c.Draining:
		return true
	default:
		return false
	}
}

// readFailed answers what can be answered: the stream cannot go on.
func (s *Session) readFailed(err error) error {
	s.out.SetSeq(max(s.in.Seq(), 1)) // the answer to what began with 0
	killed := s.isKilled()
	switch {
	case errors.Is(err, wire.ErrTooLarge):
		s.fail(sqlerr.New(sqlerr.PacketTooLarge, "Got a packet bigger than 'max_allowed_packet' bytes"))
	case errors.Is(err, wire.ErrSequence):
		s.fail(sqlerr.New(sqlerr.PacketsOutOfOrder, "Got packets out of order"))
	case errors.Is(err, os.ErrDeadlineExceeded) && (killed || s.draining()):
		s.out.SetSeq(s.in.Seq()) // 0 where it answers nothing
		s.fail(errShutdown())
		err = nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.out.SetSeq(0)
		e := sqlerr.New(errInteractionTimeout, "The client was disconnected by the server because of inactivity.")
		s.fail(e)
	default:
		return ignoreClosed(err)
	}
	_ = s.out.Flush() // the connection ends either way
	return err
}

// protocolFailed tells the client that its packet made no sense.
func (s *Session) protocolFailed(err error) error {
	s.fail(sqlerr.New(sqlerr.MalformedPacket, "Malformed communication packet."))
	_ = s.out.Flush()
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// rollbackTime bounds what a session that ends may still ask of the servers.
const rollbackTime = 5 * time.Second

// giveBack rolls back and hands all connections back.
func (s *Session) giveBack() {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackTime)
	defer cancel()
	_ = s.tx.Rollback(ctx)
	s.unpinAll(func(c *backend.Conn) { c.Discard() })
}

// maxShownStatement bounds the text the process list shows.
const maxShownStatement = 16 << 10
