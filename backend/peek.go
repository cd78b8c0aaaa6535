//go:build unix

package backend

import (
	"net"
	"syscall"
)

// peeker looks whether an idle connection is still one, without waiting.
type peeker struct {
	raw   syscall.RawConn
	probe func(fd uintptr) bool // made once, so that a look allocates nothing
	alive *bool
}

func newPeeker(nc net.Conn) peeker {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return peeker{}
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return peeker{}
	}
	alive, buf := new(bool), make([]byte, 1)
	probe := func(fd uintptr) bool {
		// Anything but "nothing there" ends an idle connection: EOF, an error,
		// or words nobody asked for (a server says why it hangs up).
		_, _, err := syscall.Recvfrom(int(fd), buf, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		*alive = err == syscall.EAGAIN || err == syscall.EINTR
		return true
	}
	return peeker{raw: raw, probe: probe, alive: alive}
}

// ok reports whether the server has neither hung up nor said anything.
func (p peeker) ok() bool {
	if p.raw == nil {
		return true
	}
	return p.raw.Read(p.probe) == nil && *p.alive
}
