// Package proxy is the front door: it listens, greets, encrypts,
// authenticates, counts, and drains. A client that got in is handed to a
// session as a session.Client; what the session does with it is not proxy's
// business.
package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/proxy/session"
)

// Defaults of Config.
const (
	DefaultMaxConnections = 10000
	DefaultLoginTimeout   = 10 * time.Second
	DefaultDrainTimeout   = 30 * time.Second
	// DefaultMaxPacket is that of max_allowed_packet.
	DefaultMaxPacket = 64 << 20
	// DefaultVersion is what Serval calls itself while it knows no server.
	DefaultVersion = "8.4.0-Serval"
)

// Config is what a Server needs. Users and Serve must be set.
type Config struct {
	// Listen are the addresses, host:port or unix:/path.
	Listen []string
	// TLS is offered to clients if not nil. ClientAuth decides whether they
	// need a certificate.
	TLS *tls.Config
	// RequireTLS refuses clients that come without TLS, but those over a unix
	// socket. Requires: TLS.
	RequireTLS bool
	// MaxConnections bounds connections, those still logging in included.
	MaxConnections int
	// LoginTimeout bounds everything between accept and the end of the login.
	LoginTimeout time.Duration
	// DrainTimeout is how long Run waits for sessions after its context ended.
	DrainTimeout time.Duration
	// MaxPacket is the largest packet a logged-in client may send, in bytes.
	MaxPacket int
	// LocalFiles offers clients LOAD DATA LOCAL.
	LocalFiles bool

	// Users finds an account, nil if there is none. Called once a login, from
	// many goroutines.
	Users func(name string) *catalog.User
	// CheckSchema, if not nil, is asked about the database of a login before
	// it is told to have succeeded; its error goes to the client
	// (ER_BAD_DB_ERROR).
	CheckSchema func(ctx context.Context, user *catalog.User, schema string) error
	// Version is the server version in the greeting, DefaultVersion if empty.
	Version func() string
	// Serve runs one session until it ends. ctx ends when the connection is
	// closed by force; a drain is told by Client.Draining. The connection is
	// closed when Serve returns.
	Serve func(ctx context.Context, c *session.Client)

	Logger *slog.Logger
	Hooks  Hooks
}

// Hooks are called as things happen, from many goroutines. Any may be nil.
type Hooks struct {
	Accepted   func()
	Refused    func() // over MaxConnections
	AuthFailed func() // wrong user, password or database
	Panicked   func()
	// Open is called with 1 and -1 as connections come and go.
	Open func(delta int)
}

func (c Config) withDefaults() (Config, error) {
	if c.Users == nil || c.Serve == nil {
		return c, errors.New("proxy: Config.Users and Config.Serve must be set")
	}
	if len(c.Listen) == 0 {
		return c, errors.New("proxy: no address to listen on")
	}
	if c.MaxConnections <= 0 {
		c.MaxConnections = DefaultMaxConnections
	}
	if c.LoginTimeout <= 0 {
		c.LoginTimeout = DefaultLoginTimeout
	}
	if c.DrainTimeout <= 0 {
		c.DrainTimeout = DefaultDrainTimeout
	}
	if c.MaxPacket <= 0 {
		c.MaxPacket = DefaultMaxPacket
	}
	if c.Version == nil {
		c.Version = func() string { return "" }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Hooks = c.Hooks.filled()
	return c, nil
}

func (h Hooks) filled() Hooks {
	for _, f := range []*func(){&h.Accepted, &h.Refused, &h.AuthFailed, &h.Panicked} {
		if *f == nil {
			*f = func() {}
		}
	}
	if h.Open == nil {
		h.Open = func(int) {}
	}
	return h
}

// version is the text for the greeting: no NUL, which would end it, and not
// longer than a client expects.
func (c *Config) version() string {
	v := c.Version()
	if v == "" || len(v) > 64 || strings.IndexByte(v, 0) >= 0 {
		return DefaultVersion
	}
	return v
}
