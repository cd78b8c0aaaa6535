package proxy

import (
	"context"
	"crypto/subtle"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/proxy/session"
)

// changeUser is COM_CHANGE_USER: the client proves who it is as at login, with
// the nonce it has: libmariadb and libmysqlclient use no other for the plugin
// they begin with, even if they are sent one. Called by the session's goroutine,
// which alone reads and writes then.
func (l *login) changeUser(ctx context.Context, body []byte) (session.Identity, error) {
	if err := l.net.SetReadDeadline(time.Now().Add(l.srv.cfg.LoginTimeout)); err != nil {
		return session.Identity{}, err
	}
	resp, err := wire.DecodeChangeUser(body, l.resp.Capabilities)
	if err != nil {
		return session.Identity{}, err
	}
	if l.greetedWith(resp.Auth, l.srv.account(resp.User).password) {
		l.nonce = l.greeted
	}
	l.resp = resp
	l.r.SetLimit(loginLimit)
	user, err := l.checkUser(ctx)
	l.r.SetLimit(l.srv.cfg.MaxPacket)
	if err != nil {
		if refusal := refusalFor(err); refusal != nil {
			err = refusal
		}
		return session.Identity{}, err
	}
	return session.Identity{User: user, Schema: resp.Schema, Collation: resp.Collation, Attributes: resp.Attributes}, nil
}

// greetedWith reports a proof made with the greeting's nonce. Clients that were
// sent another at login differ in which they keep.
func (l *login) greetedWith(auth, password []byte) bool {
	return subtle.ConstantTimeCompare(auth, mysql.CalcNativePassword(l.greeted[:], password)) == 1 ||
		subtle.ConstantTimeCompare(auth, mysql.CalcCachingSha2Password(l.greeted[:], password)) == 1
}
