package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// unixPrefix marks an address that is a path.
const unixPrefix = "unix:"

// listen opens one address. TCP connections get keep-alive from here and
// TCP_NODELAY from Go's own default.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4,
	}}
	path, isUnix := strings.CutPrefix(addr, unixPrefix)
	if !isUnix {
		ln, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("proxy: listen on %s: %w", addr, err)
		}
		return ln, nil
	}
	if err := removeStaleSocket(ctx, path); err != nil {
		return nil, err
	}
	ln, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("proxy: listen on %s: %w", addr, err)
	}
	// Whoever may connect is decided by the login, as it is on a MySQL server.
	if err := os.Chmod(path, 0o777); err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("proxy: open %s to all users: %w", path, err)
	}
	return ln, nil
}

// removeStaleSocket removes the socket that a killed process left behind. A
// file that is no socket, or one that somebody answers on, is an error.
func removeStaleSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("proxy: listen on %s: %w", path, err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("proxy: listen on %s: a file that is not a socket is there", path)
	}
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("proxy: listen on %s: another process answers there", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("proxy: listen on %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("proxy: remove stale socket: %w", err)
	}
	return nil
}
