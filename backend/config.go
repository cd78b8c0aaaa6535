package backend

import (
	"crypto/tls"
	"time"
)

// Config is how to reach a server and how many connections to keep. Zero
// fields mean the defaults said at each.
type Config struct {
	User, Password string
	TLS            *tls.Config
	// MaxConns bounds the connections to one server, busy and idle. Default 64.
	MaxConns int
	// ConnectTimeout bounds dial and authentication, AcquireTimeout the wait
	// for a free connection. Default 5 s and 10 s.
	ConnectTimeout, AcquireTimeout time.Duration
	// IdleTimeout and MaxLifetime: a connection older than that is closed
	// when it comes back. Default 5 min and 1 h.
	IdleTimeout, MaxLifetime time.Duration
	// MaxPacket is the largest packet accepted from the server where it has to
	// be held whole, in bytes. Default 64 MiB. A relayed row may be longer.
	MaxPacket int
	// MaxStatements bounds the prepared statements kept on one connection;
	// the least recently used goes first. Default 256.
	MaxStatements int
	// Now is the clock that idle time and lifetime are measured with; nil is
	// time.Now.
	Now func() time.Time
	// OnLost is told the address of a server that refused a connection, lost
	// one, or refused a write because it is read-only. It must not block; nil
	// is nobody.
	OnLost func(addr string)
}

func (cfg Config) withDefaults() Config {
	def := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	defInt := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&cfg.ConnectTimeout, 5*time.Second)
	def(&cfg.AcquireTimeout, 10*time.Second)
	def(&cfg.IdleTimeout, 5*time.Minute)
	def(&cfg.MaxLifetime, time.Hour)
	defInt(&cfg.MaxConns, 64)
	defInt(&cfg.MaxPacket, 64<<20)
	defInt(&cfg.MaxStatements, 256)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.OnLost == nil {
		cfg.OnLost = func(string) {}
	}
	return cfg
}
