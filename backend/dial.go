package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/topology"
)

// backendCaps are the capabilities every connection has: dial refuses a server
// that lacks one of them, so decoders need not ask.
const backendCaps = wire.CapProtocol41 | wire.CapSessionTrack | wire.CapDeprecateEOF | wire.CapMultiResults

const (
	baseCollation = "utf8mb4_general_ci" // exists on MySQL and MariaDB alike
	netTimeout    = "600"                // seconds; a slow client must not make the server hang up
)

// baseline is what a connection has after its init statement and a plain
// DEFAULT (the global value) would not bring back. MySQL's DEFAULT of the two
// checks is OFF, whatever their global value (seen on 9.7).
var baseline = map[string]string{
	"character_set_client":           "utf8mb4",
	"character_set_connection":       "utf8mb4",
	"character_set_results":          "utf8mb4",
	"collation_connection":           baseCollation,
	"foreign_key_checks":             "@@GLOBAL.foreign_key_checks",
	"net_read_timeout":               netTimeout,
	"net_write_timeout":              netTimeout,
	"session_track_gtids":            "OWN_GTID",
	"session_track_schema":           "1",
	"session_track_state_change":     "1",
	"session_track_system_variables": "'*'",
	"unique_checks":                  "@@GLOBAL.unique_checks",
}

// noWayBack are variables that, once set, no SET gives the fresh connection's
// value again: they have no DEFAULT, or taking them back needs a privilege.
var noWayBack = []string{"insert_id", "rand_seed1", "rand_seed2", "require_row_format"}

// Dial opens one connection outside any pool; foundRows makes affected rows
// the rows matched (CLIENT_FOUND_ROWS). Discard closes it. Errors are
// *sqlerr.Error and SafeToRetry.
func Dial(ctx context.Context, addr string, cfg Config, foundRows bool) (*Conn, error) {
	return dial(ctx, addr, cfg.withDefaults(), foundRows)
}

func dial(ctx context.Context, addr string, cfg Config, foundRows bool) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	gc, socket, err := authenticate(ctx, addr, cfg, foundRows)
	if err != nil {
		return nil, connectError(ctx, addr, err)
	}
	c := newConn(addr, gc, socket, cfg)
	c.foundRows, c.noKill = foundRows, true
	if err := c.initialize(ctx); err != nil {
		c.close()
		return nil, connectError(ctx, addr, err)
	}
	c.noKill = false
	return c, nil
}

// authenticate logs in with go-mysql and also gives the socket beneath TLS.
// Whatever ends ctx ends the attempt.
func authenticate(ctx context.Context, addr string, cfg Config, foundRows bool) (gc *client.Conn, socket net.Conn, err error) {
	stop := func() bool { return true }
	defer func() {
		// go-mysql indexes into a handshake without checking its length; a
		// server that sends rubbish must not end the process.
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: the server's handshake is malformed (%v)", wire.ErrMalformed, r)
		}
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if err != nil && socket != nil {
			_ = socket.Close()
		}
	}()
	network, address := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, address = "unix", path
	}
	dialer := func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4}}
		nc, err := d.DialContext(ctx, network, address)
		if err == nil {
			socket = nc
			stop = context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
		}
		return nc, err
	}
	gc, err = client.ConnectWithDialer(ctx, network, address, cfg.User, cfg.Password, "", dialer, dialOptions(addr, cfg, foundRows)...)
	if err != nil {
		return nil, socket, err
	}
	return gc, socket, checkCapabilities(gc)
}

func dialOptions(addr string, cfg Config, foundRows bool) []client.Option {
	opts := []client.Option{
		func(c *client.Conn) error {
			c.UnsetCapability(mysql.CLIENT_QUERY_ATTRIBUTES) // changes the form of COM_QUERY
			c.UnsetCapability(mysql.CLIENT_MULTI_STATEMENTS)
			c.SetAttributes(map[string]string{"program_name": "serval"})
			if cfg.TLS != nil {
				c.SetTLSConfig(tlsFor(addr, cfg.TLS))
			}
			return c.SetCollation(baseCollation)
		},
	}
	caps := []uint32{mysql.CLIENT_SESSION_TRACK, mysql.CLIENT_MULTI_RESULTS, mysql.CLIENT_PS_MULTI_RESULTS}
	if foundRows {
		caps = append(caps, mysql.CLIENT_FOUND_ROWS)
	}
	for _, capability := range caps {
		opts = append(opts, func(c *client.Conn) error { return c.SetCapability(capability) })
	}
	return opts
}

// tlsFor names the server a certificate is checked against, where the config
// does not.
func tlsFor(addr string, cfg *tls.Config) *tls.Config {
	host, _, err := net.SplitHostPort(addr)
	if cfg.ServerName != "" || cfg.InsecureSkipVerify || err != nil {
		return cfg
	}
	cfg = cfg.Clone()
	cfg.ServerName = host
	return cfg
}

func checkCapabilities(gc *client.Conn) error {
	have := gc.CapabilityString()
	for _, name := range []string{"CLIENT_SESSION_TRACK", "CLIENT_DEPRECATE_EOF"} {
		if !strings.Contains(have, name) {
			return fmt.Errorf("version %q has no %s; Serval needs MySQL 5.7 or MariaDB 10.2, or later", gc.GetServerVersion(), name)
		}
	}
	return nil
}

// flavorOf reads the flavor out of a version string ("10.11.6-MariaDB-log").
func flavorOf(version string) topology.Flavor {
	if strings.Contains(strings.ToLower(version), "mariadb") {
		return topology.FlavorMariaDB
	}
	return topology.FlavorMySQL
}

// initialize brings a fresh connection to the baseline and asks whether the
// server takes writes; both statements go in one write.
func (c *Conn) initialize(ctx context.Context) error {
	disarm := c.Arm(ctx)
	defer disarm()
	set := "SET session_track_system_variables='*', session_track_schema=1, session_track_state_change=1," +
		" net_write_timeout=" + netTimeout + ", net_read_timeout=" + netTimeout
	if c.flavor == topology.FlavorMySQL {
		set += ", session_track_gtids=OWN_GTID"
	}
	c.Query([]byte(set))
	c.Query([]byte("SELECT @@global.read_only"))
	if err := c.Flush(); err != nil {
		return err
	}
	if _, err := c.Header(); err != nil {
		return err
	}
	_, rows, err := c.collect()
	if err != nil {
		return err
	}
	c.readOnly = len(rows) == 1 && len(rows[0]) == 1 && !isOff(rows[0][0])
	c.setHave(zeroState)
	c.changed = false // by the init statement, which is what "fresh" means
	return nil
}

// isOff reads a boolean system variable, which newer MariaDB spells OFF.
func isOff(v []byte) bool { return string(v) == "0" || strings.EqualFold(string(v), "off") }

// connectError is what a client is told when addr can't be logged in to. No
// byte of any statement was sent, so it may always be tried elsewhere.
func connectError(ctx context.Context, addr string, err error) error {
	var my *mysql.MyError
	var own *sqlerr.Error
	switch {
	case errors.As(err, &my):
		e := &sqlerr.Error{Code: my.Code, State: my.State, Message: "Server " + addr + " refused Serval's login: " + my.Message}
		return e.WithCause(err).Retryable()
	case errors.As(err, &own) && own.Code != sqlerr.ServerLost:
		return own.Retryable()
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return sqlerr.From(ctx.Err()).Retryable()
	case ctx.Err() != nil:
		err = errors.New("no answer in time")
	case errors.Is(err, io.EOF):
		err = errors.New("it closed the connection during login")
	}
	return sqlerr.New(sqlerr.CannotConnect, "Can't connect to MySQL server on '%s': %s", addr, cause(err)).WithCause(err).Retryable()
}

// cause strips go-mysql's chain of prefixes down to what happened.
func cause(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	text := err.Error()
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	return text
}
