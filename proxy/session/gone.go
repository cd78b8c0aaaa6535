package session

import (
	"bytes"
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/servaldb/serval/internal/wire"
)

// goneAfter is how long a statement runs before its client is looked for, and
// how often that is done.
const goneAfter = time.Second

// Watch ends the statements whose client is gone, which a server would run to
// their end for nobody, until ctx ends.
func (r *Registry) Watch(ctx context.Context) {
	tick := time.NewTicker(goneAfter)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, s := range r.all() {
				if s.runsSince(now.Add(-goneAfter)) && hasGone(s.c.Conn) {
					s.log.Info("the client is gone; its statement is ended")
					s.killConnection()
				}
			}
		}
	}
}

// runsSince: a statement runs that began before then.
func (s *Session) runsSince(then time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.cancel != nil && s.mu.since.Before(then)
}

// hasGone: the other end has closed the connection, as far as can be told without
// taking what it has sent away from the session's reader: it has sent nothing
// but its farewell.
func hasGone(c net.Conn) bool {
	encrypted := false
	if over, ok := c.(interface{ NetConn() net.Conn }); ok {
		c, encrypted = over.NetConn(), true
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var buf [8]byte
	n, failed := 0, error(nil)
	err = raw.Control(func(fd uintptr) {
		n, _, failed = syscall.Recvfrom(int(fd), buf[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	switch {
	case err != nil || errors.Is(failed, syscall.EAGAIN) || errors.Is(failed, syscall.EINTR):
		return false
	case failed != nil || n == 0:
		return true
	case encrypted:
		return buf[0] == tlsAlert
	}
	return bytes.Equal(buf[:n], farewell)
}

// tlsAlert is the record in which TLS says that it ends.
const tlsAlert = 21

// farewell is COM_QUIT as a packet.
var farewell = []byte{1, 0, 0, 0, wire.ComQuit}
