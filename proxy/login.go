package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/proxy/session"
)

// loginLimit is the largest packet before the login is over: nobody has proved
// anything yet.
const loginLimit = 64 << 10

// offered are the capabilities Serval has for clients whatever the
// configuration; compression and query attributes are not among them.
const offered = wire.CapLongPassword | wire.CapFoundRows | wire.CapLongFlag | wire.CapConnectWithDB |
	wire.CapIgnoreSpace | wire.CapProtocol41 | wire.CapInteractive | wire.CapTransactions |
	wire.CapSecureConnection | wire.CapMultiStatements | wire.CapMultiResults | wire.CapPSMultiResults |
	wire.CapPluginAuth | wire.CapConnectAttrs | wire.CapPluginAuthLenEnc | wire.CapSessionTrack |
	wire.CapDeprecateEOF

// login is one connection's way from the greeting to its session.
type login struct {
	srv  *Server
	conn *conn
	// net is what packets go over: conn.raw, or TLS over it.
	net net.Conn
	r   *wire.Reader
	w   *wire.Writer

	greeted, nonce [wire.NonceSize]byte // the first one, and the last
	resp           wire.HandshakeResponse
	secure         bool   // nobody can listen: TLS or a unix socket
	host           string // the client's, as messages name it
}

func newLogin(s *Server, c *conn) *login {
	l := &login{
		srv: s, conn: c, net: c.raw,
		r: wire.NewReader(c.raw, loginLimit), w: wire.NewWriter(c.raw),
		host: "localhost",
	}
	if c.raw.LocalAddr().Network() == "unix" {
		l.secure = true
	} else if host, _, err := net.SplitHostPort(c.raw.RemoteAddr().String()); err == nil {
		l.host = host
	}
	return l
}

// run logs the client in. What is its own fault it has been told when run
// returns; the error is then a *sqlerr.Error.
func (l *login) run(ctx context.Context) (*session.Client, error) {
	client, err := l.steps(ctx)
	if err == nil {
		return client, nil
	}
	if refusal := refusalFor(err); refusal != nil {
		_ = l.send(wire.AppendErr(nil, refusal))
		return nil, refusal
	}
	return nil, err
}

func (l *login) steps(ctx context.Context) (*session.Client, error) {
	if err := l.greet(); err != nil {
		return nil, err
	}
	if err := l.readResponse(ctx); err != nil {
		return nil, err
	}
	user, err := l.checkUser(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.srv.becomeServing(l.conn); err != nil {
		return nil, err
	}
	capabilities := l.resp.Capabilities & l.capabilities()
	if err := l.send(wire.OK{Status: wire.StatusAutocommit}.Append(nil, capabilities, wire.HeaderOK)); err != nil {
		return nil, err
	}
	if err := l.conn.raw.SetWriteDeadline(time.Time{}); err != nil {
		return nil, err
	}
	l.r.SetLimit(l.srv.cfg.MaxPacket)
	return &session.Client{
		ID: l.conn.id, Conn: l.net, Reader: l.r, Writer: l.w, Capabilities: capabilities,
		User: user, Schema: l.resp.Schema, Collation: l.resp.Collation,
		Remote: l.remote(), Attributes: l.resp.Attributes, Draining: l.srv.draining, ChangeUser: l.changeUser,
	}, nil
}

func (l *login) remote() string {
	if l.conn.raw.LocalAddr().Network() == "unix" {
		return "localhost"
	}
	return l.conn.raw.RemoteAddr().String()
}

func (l *login) capabilities() uint32 {
	offer := offered
	if l.srv.cfg.TLS != nil {
		offer |= wire.CapSSL
	}
	if l.srv.cfg.LocalFiles {
		offer |= wire.CapLocalFiles
	}
	return offer
}

func (l *login) greet() error {
	nonce, err := newNonce()
	if err != nil {
		return err
	}
	l.greeted, l.nonce = nonce, nonce
	version := l.srv.cfg.version()
	collation := wire.CollationUTF8MB40900AICI
	if strings.Contains(version, "MariaDB") {
		collation = wire.CollationUTF8MB4General
	}
	h := wire.Handshake{
		ServerVersion: version, ConnectionID: l.conn.id, Nonce: nonce, Capabilities: l.capabilities(),
		Collation: uint8(collation), Status: wire.StatusAutocommit, AuthPlugin: pluginSHA2,
	}
	return l.send(h.Append(nil))
}

// readResponse reads how the client logs in, over TLS if it asks for that.
func (l *login) readResponse(ctx context.Context) error {
	payload, err := l.r.Packet()
	if err != nil {
		return err
	}
	if l.srv.cfg.TLS != nil && wire.IsSSLRequest(payload) {
		if err := l.startTLS(ctx); err != nil {
			return err
		}
		if payload, err = l.r.Packet(); err != nil {
			return err
		}
	}
	if l.resp, err = wire.DecodeHandshakeResponse(payload); err != nil {
		return err
	}
	if l.resp.Capabilities&wire.CapSecureConnection == 0 {
		return errOldAuth()
	}
	if l.srv.cfg.RequireTLS && !l.secure {
		return errInsecure()
	}
	return nil
}

// startTLS encrypts the connection. What the client sent right behind its
// request already belongs to TLS.
func (l *login) startTLS(ctx context.Context) error {
	encrypted := tls.Server(&readAhead{Conn: l.conn.raw, ahead: l.r.Unread()}, l.srv.cfg.TLS)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	l.net, l.secure = encrypted, true
	l.r.Reset(encrypted)
	l.w.Reset(encrypted)
	return nil
}

// readAhead is a connection some of whose bytes have been read already.
type readAhead struct {
	net.Conn
	ahead []byte
}

func (c *readAhead) Read(b []byte) (int, error) {
	if len(c.ahead) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.ahead)
	c.ahead = c.ahead[n:]
	return n, nil
}

// checkUser authenticates the client and checks its database.
func (l *login) checkUser(ctx context.Context) (*catalog.User, error) {
	acct := l.srv.account(l.resp.User)
	proof, err := l.authenticate(acct)
	if err != nil {
		return nil, err
	}
	if !proof.ok || acct.user == nil {
		l.srv.cfg.Hooks.AuthFailed()
		return nil, errDenied(l.resp.User, l.host, proof.usedPassword)
	}
	schema := l.resp.Schema
	if schema == "" {
		return acct.user, nil
	}
	if !mayUse(acct.user, schema) {
		l.srv.cfg.Hooks.AuthFailed()
		return nil, errSchemaDenied(l.resp.User, schema)
	}
	if l.srv.cfg.CheckSchema != nil {
		err = l.srv.cfg.CheckSchema(ctx, acct.user, schema)
	}
	return acct.user, err
}

// mayUse: a user without a list may use every database, and everybody those
// that only describe what he may see.
func mayUse(u *catalog.User, schema string) bool {
	return len(u.Schemas) == 0 || slices.Contains(u.Schemas, schema) ||
		strings.EqualFold(schema, "information_schema") || strings.EqualFold(schema, "serval")
}

// send writes one packet as the next of the exchange.
func (l *login) send(payload []byte) error {
	l.w.SetSeq(l.r.Seq())
	if err := l.w.Packet(payload); err != nil {
		return err
	}
	err := l.w.Flush()
	l.r.SetSeq(l.w.Seq())
	return err
}

// refusalFor is what to tell the client about a failed login, nil where
// nobody is listening any more.
func refusalFor(err error) *sqlerr.Error {
	var e *sqlerr.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, wire.ErrMalformed):
		return errBadHandshake().WithCause(err)
	case errors.Is(err, wire.ErrSequence):
		return sqlerr.New(sqlerr.PacketsOutOfOrder, "Got packets out of order").WithCause(err)
	case errors.Is(err, wire.ErrTooLarge):
		return sqlerr.New(sqlerr.PacketTooLarge, "Got a packet bigger than a login may be").WithCause(err)
	}
	return nil
}
