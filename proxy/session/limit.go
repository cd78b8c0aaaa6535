package session

import (
	"context"
	"sync/atomic"
	"time"
)

// statementContext is the context of a session's statements. Making one with a
// timer for each statement would cost a point select a tenth of its time, so
// one serves them all until a statement is killed or runs too long.
type statementContext struct {
	context.Context
	cancel context.CancelFunc
	late   atomic.Bool // it ended because of the time limit
	victim atomic.Bool // it ended to break a deadlock
}

func newStatementContext(parent context.Context) *statementContext {
	ctx, cancel := context.WithCancel(parent)
	return &statementContext{Context: ctx, cancel: cancel}
}

// Err tells the time limit from a kill.
func (c *statementContext) Err() error {
	err := c.Context.Err()
	if err != nil && c.late.Load() {
		return context.DeadlineExceeded
	}
	return err
}

// timeLimit is the running statement's, guarded by Session.mu. The timer is
// not stopped when a statement ends: when it fires it looks whether the
// statement of that moment is over its time, and else waits on.
type timeLimit struct {
	running *statementContext
	at      time.Time // when the statement is over its time; zero: never
	timer   *time.Timer
	fires   time.Time // when timer does; zero: it is not set
}

// begin notes a command for the process list and gives the context it runs in,
// which ends after the statement's time limit.
func (s *Session) begin(ctx context.Context, command string, text []byte) context.Context {
	timeout := s.deps.Limits.StatementTimeout
	if s.options.timeout > 0 {
		timeout = s.options.timeout
	}
	if s.running == nil || s.running.Err() != nil {
		s.running = newStatementContext(ctx)
	}
	s.statements.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.command, s.mu.cancel = command, s.running.cancel
	s.mu.statement = append(s.mu.statement[:0], text[:min(len(text), maxShownStatement)]...)
	s.limitLocked(timeout)
	if s.mu.killed {
		s.running.cancel()
	}
	return s.running
}

// end is behind a command: a KILL QUERY from here on finds nothing to end.
func (s *Session) end() {
	s.reading.Store(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.participantsLocked()
	s.mu.cancel, s.mu.limit.at = nil, time.Time{}
}

// limitLocked sets the time limit of the statement that begins.
func (s *Session) limitLocked(timeout time.Duration) {
	l := &s.mu.limit
	l.running, l.at = s.running, time.Time{}
	if timeout <= 0 {
		return
	}
	l.at = time.Now().Add(timeout)
	switch {
	case l.timer == nil:
		l.timer = time.AfterFunc(timeout, s.overtime)
	case l.fires.IsZero() || l.fires.After(l.at):
		l.timer.Reset(timeout)
	default:
		return
	}
	l.fires = l.at
}

// overtime is the timer's: it ends the running statement if that is over its
// time.
func (s *Session) overtime() {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.mu.limit
	l.fires = time.Time{}
	if s.mu.cancel == nil || l.at.IsZero() {
		return
	}
	if left := time.Until(l.at); left > 0 {
		l.timer.Reset(left)
		l.fires = l.at
		return
	}
	l.running.late.Store(true)
	l.running.cancel()
}

// stopLimit lets go of the timer and the context when the session ends.
func (s *Session) stopLimit() {
	if s.running != nil {
		s.running.cancel()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.limit.timer != nil {
		s.mu.limit.timer.Stop()
	}
	s.mu.limit.at = time.Time{}
}
