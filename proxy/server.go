package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

const (
	// forcedGrace is how long a session may take to end once its connection
	// is closed.
	forcedGrace = 5 * time.Second
	// refuseTimeout bounds telling a client that there is no room.
	refuseTimeout = time.Second
	// acceptPause is the wait after an accept that failed (no file
	// descriptors left), so that it is not tried in a tight loop.
	acceptPause = 50 * time.Millisecond
)

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// Server accepts and logs in clients. Listen and Run are called once; Shutdown
// and Addrs from anywhere.
type Server struct {
	cfg   Config
	decoy string // password of accounts that do not exist
	key   func() (*rsaKey, error)

	// forceFull makes caching_sha2_password ask for the password itself
	// although the scramble would do, for tests of that path.
	forceFull atomic.Bool

	draining chan struct{} // closed when a drain begins
	ended    chan struct{} // closed when Run has no goroutine left
	wg       sync.WaitGroup

	mu struct {
		sync.Mutex
		nextID    uint32
		drain     bool
		running   bool
		listeners []net.Listener
		conns     map[uint32]*conn
		force     context.CancelFunc // ends the context of all sessions
	}
}

// conn is one accepted connection.
type conn struct {
	raw net.Conn
	id  uint32
	// serving: the login is over. Protected by Server.mu.
	serving bool
}

// New makes a server; it listens to nothing yet.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, decoy: rand.Text(), key: sync.OnceValues(newRSAKey),
		draining: make(chan struct{}), ended: make(chan struct{}),
	}
	s.mu.conns = make(map[uint32]*conn)
	return s, nil
}

// Listen opens all addresses, or none. Run does it if it was not called.
func (s *Server) Listen(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.listeners != nil || s.mu.drain {
		return nil
	}
	var open []net.Listener
	for _, addr := range s.cfg.Listen {
		ln, err := listen(ctx, addr)
		if err != nil {
			for _, o := range open {
				_ = o.Close()
			}
			return err
		}
		open = append(open, ln)
	}
	s.mu.listeners = open
	return nil
}

// Addrs are the addresses it listens on, in the order of Config.Listen.
func (s *Server) Addrs() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make([]net.Addr, len(s.mu.listeners))
	for i, ln := range s.mu.listeners {
		addrs[i] = ln.Addr()
	}
	return addrs
}

// Draining is closed when the server stops taking clients.
func (s *Server) Draining() <-chan struct{} { return s.draining }

// Run accepts clients until ctx ends or Shutdown is called, and returns when
// every session has ended. After ctx ended they have DrainTimeout for that,
// then their connections are closed. The error is that of listening, or says
// how many sessions did not end.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	sessions, force := context.WithCancel(context.WithoutCancel(ctx))
	defer force()
	if !s.start(sessions, force) {
		return errors.New("proxy: Run called twice")
	}
	select {
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainTimeout)
		defer cancel()
		return s.Shutdown(drain)
	case <-s.draining:
		<-s.ended
		return nil
	}
}

func (s *Server) start(sessions context.Context, force context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.running {
		return false
	}
	s.mu.running, s.mu.force = true, force
	for _, ln := range s.mu.listeners {
		s.wg.Go(func() { s.accept(sessions, ln) })
		s.cfg.Logger.Info("listening", "address", ln.Addr().String())
	}
	go func() {
		s.wg.Wait()
		close(s.ended)
	}()
	return true
}

// Shutdown drains: no new clients; idle sessions end, others as soon as they
// may. When ctx ends, the connections left are closed. It returns when all
// sessions have ended, or with an error when some did not although their
// connections were closed.
func (s *Server) Shutdown(ctx context.Context) error {
	if !s.beginDrain() {
		return nil // never ran
	}
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
	}
	if n := s.closeAll(); n > 0 {
		s.cfg.Logger.Warn("drain: closing connections that did not end in time", "connections", n)
	}
	grace := time.NewTimer(forcedGrace)
	defer grace.Stop()
	select {
	case <-s.ended:
		return nil
	case <-grace.C:
		return fmt.Errorf("proxy: %d sessions did not end after their connections were closed", s.closeAll())
	}
}

// beginDrain stops the listeners and wakes every connection. It reports
// whether there is anything to wait for.
func (s *Server) beginDrain() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.drain {
		return s.mu.running
	}
	s.mu.drain = true
	close(s.draining)
	for _, ln := range s.mu.listeners {
		_ = ln.Close()
	}
	for _, c := range s.mu.conns {
		if c.serving {
			_ = c.raw.SetReadDeadline(past)
		} else {
			_ = c.raw.SetDeadline(past)
		}
	}
	return s.mu.running
}

func (s *Server) closeAll() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.force()
	for _, c := range s.mu.conns {
		_ = c.raw.Close()
	}
	return len(s.mu.conns)
}

func (s *Server) accept(ctx context.Context, ln net.Listener) {
	for {
		raw, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.cfg.Logger.Warn("accept failed", "address", ln.Addr().String(), "error", err)
			pause := time.NewTimer(acceptPause)
			select {
			case <-pause.C:
			case <-s.draining:
			}
			pause.Stop()
			continue
		}
		s.admit(ctx, raw)
	}
}

// admit starts the goroutine of an accepted connection, or refuses it.
func (s *Server) admit(ctx context.Context, raw net.Conn) {
	c := &conn{raw: raw}
	if refusal := s.track(c); refusal != nil {
		s.cfg.Hooks.Refused()
		_ = raw.SetDeadline(time.Now().Add(refuseTimeout))
		// Before the greeting a client does not know of SQLSTATE yet: the
		// mysql client shows it as part of the message.
		w := wire.NewWriter(raw)
		_ = w.Packet(wire.AppendErr(nil, &sqlerr.Error{Code: refusal.Code, Message: refusal.Message}))
		_ = w.Flush()
		_ = raw.Close()
		return
	}
	s.cfg.Hooks.Accepted()
	s.cfg.Hooks.Open(1)
	s.wg.Go(func() { s.handle(ctx, c) })
}

// track gives the connection its id and its login deadline and counts it, or
// says why there is no room for it.
func (s *Server) track(c *conn) *sqlerr.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.drain {
		return errShutdown()
	}
	if len(s.mu.conns) >= s.cfg.MaxConnections {
		return sqlerr.New(sqlerr.TooManyConnections, "Too many connections")
	}
	for s.mu.conns[s.mu.nextID] != nil || s.mu.nextID == 0 {
		s.mu.nextID++ // ids go round after 2^32 connections
	}
	c.id = s.mu.nextID
	s.mu.nextID++
	s.mu.conns[c.id] = c
	_ = c.raw.SetDeadline(time.Now().Add(s.cfg.LoginTimeout))
	return nil
}

func (s *Server) untrack(c *conn) {
	_ = c.raw.Close()
	s.mu.Lock()
	delete(s.mu.conns, c.id)
	s.mu.Unlock()
	s.cfg.Hooks.Open(-1)
}

// becomeServing ends the login of a connection: from here its session sets
// the read deadlines. It fails if a drain began meanwhile.
func (s *Server) becomeServing(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.drain {
		return errShutdown()
	}
	c.serving = true
	return c.raw.SetReadDeadline(time.Time{})
}

// handle is the life of one connection. A panic in it ends only it.
func (s *Server) handle(ctx context.Context, c *conn) {
	log := s.cfg.Logger.With("connection", c.id, "remote", c.raw.RemoteAddr().String())
	defer s.untrack(c)
	defer func() {
		if p := recover(); p != nil {
			s.cfg.Hooks.Panicked()
			log.Error("panic in a session, its connection is closed", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	client, err := newLogin(s, c).run(ctx)
	if err != nil {
		logFailure(log, err)
		return
	}
	log.Debug("logged in", "user", client.User.Name, "schema", client.Schema)
	// A session over TLS says good-bye; untrack closes what is under it.
	defer func() { _ = client.Conn.Close() }()
	s.cfg.Serve(ctx, client)
	log.Debug("session ended")
}

// logFailure: a failed login is worth a line, a port scan is not.
func logFailure(log *slog.Logger, err error) {
	var refused *sqlerr.Error
	if errors.As(err, &refused) {
		log.Warn("login refused", "error", refused.Error(), "cause", refused.Unwrap())
		return
	}
	if errors.Is(err, errTLS) {
		log.Warn("login failed", "error", err)
		return
	}
	log.Debug("connection ended before its login", "error", err)
}

func errShutdown() *sqlerr.Error {
	return sqlerr.New(sqlerr.ServerShutdown, "Server shutdown in progress")
}
