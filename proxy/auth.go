package proxy

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/wire"
)

// Authentication plugins, by the names clients know them by.
const (
	pluginSHA2   = mysql.AUTH_CACHING_SHA2_PASSWORD
	pluginNative = mysql.AUTH_NATIVE_PASSWORD
	pluginClear  = mysql.AUTH_CLEAR_PASSWORD
)

const (
	sha2Size   = sha256.Size
	nativeSize = 20
)

// account is what a client's proof is held against. A user that does not exist
// has one too, with a password nobody knows: the work and the answers are the
// same as for a wrong password.
type account struct {
	user     *catalog.User // nil if there is none
	password []byte
}

func (s *Server) account(name string) account {
	if u := s.cfg.Users(name); u != nil {
		return account{user: u, password: []byte(u.Password)}
	}
	return account{password: []byte(s.decoy)}
}

// proof is how an attempt to authenticate ended.
type proof struct {
	ok bool
	// usedPassword goes into the message of ER_ACCESS_DENIED_ERROR.
	usedPassword bool
}

// newNonce makes the data passwords are scrambled with. Clients take it for a
// C string, old ones for 7-bit text.
func newNonce() ([wire.NonceSize]byte, error) {
	var nonce [wire.NonceSize]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return nonce, fmt.Errorf("proxy: make nonce: %w", err)
	}
	for i, b := range nonce {
		nonce[i] = 1 + b%0x7f
	}
	return nonce, nil
}

// authenticate checks the client's proof with the plugin it chose, or with one
// it is told to switch to.
func (l *login) authenticate(acct account) (proof, error) {
	auth := l.resp.Auth
	canSwitch := l.resp.Capabilities&wire.CapPluginAuth != 0
	plugin := l.resp.Plugin
	if !canSwitch {
		plugin = pluginNative // what clients that do not name one use
	}
	switch {
	case plugin == pluginSHA2 && (len(auth) > 0 || len(acct.password) == 0):
		return l.cachingSHA2(acct, auth)
	case plugin == pluginNative && (len(auth) == nativeSize || !canSwitch):
		return l.native(acct, auth), nil
	case plugin == pluginClear && l.secure && len(auth) > 0:
		return clearText(acct, auth), nil
	case plugin == pluginNative:
		// It waits for a nonce to be made for this plugin.
		auth, err := l.switchTo(pluginNative)
		if err != nil {
			return proof{}, err
		}
		return l.native(acct, auth), nil
	}
	// Another plugin, or a client that answers only when it is asked. One
	// that has no password answers with nothing again.
	auth, err := l.switchTo(pluginSHA2)
	if err != nil {
		return proof{}, err
	}
	return l.cachingSHA2(acct, auth)
}

// switchTo asks for another plugin's proof with a new nonce.
func (l *login) switchTo(plugin string) ([]byte, error) {
	nonce, err := newNonce()
	if err != nil {
		return nil, err
	}
	l.nonce = nonce
	if err := l.send(wire.AppendAuthSwitch(nil, plugin, nonce[:])); err != nil {
		return nil, err
	}
	return l.r.Packet()
}

func (l *login) native(acct account, auth []byte) proof {
	want := mysql.CalcNativePassword(l.nonce[:], acct.password)
	return proof{ok: subtle.ConstantTimeCompare(want, auth) == 1, usedPassword: len(auth) > 0}
}

// cachingSHA2 is caching_sha2_password. Serval knows the passwords, so a right
// scramble is always the fast path, and a wrong one is a wrong password: there
// is nothing to learn from asking for the password itself, and clients without
// TLS and key would report that instead of the wrong password. It is asked of
// clients that sent something else.
func (l *login) cachingSHA2(acct account, auth []byte) (proof, error) {
	switch {
	case len(auth) == 0, len(auth) == 1 && auth[0] == 0:
		return proof{ok: len(acct.password) == 0}, nil
	case len(auth) != sha2Size, l.srv.forceFull.Load():
		return l.fullAuth(acct)
	}
	want := mysql.CalcCachingSha2Password(l.nonce[:], acct.password)
	if subtle.ConstantTimeCompare(want, auth) != 1 {
		return proof{usedPassword: true}, nil
	}
	return proof{ok: true, usedPassword: true}, l.send(wire.AppendAuthMoreData(nil, wire.AuthFastOK))
}

// fullAuth asks for the password itself: in the clear where nobody can
// listen, else encrypted with Serval's RSA key, which the client has or asks
// for.
func (l *login) fullAuth(acct account) (proof, error) {
	if err := l.send(wire.AppendAuthMoreData(nil, wire.AuthFull)); err != nil {
		return proof{}, err
	}
	answer, err := l.r.Packet()
	if err != nil {
		return proof{}, err
	}
	asked := len(answer) == 1 && answer[0] == wire.AuthAskPublicKey
	if l.secure && !asked {
		return clearText(acct, answer), nil
	}
	key, err := l.srv.key()
	if err != nil {
		return proof{}, err
	}
	if asked {
		if err := l.send(wire.AppendAuthMoreData(nil, key.public...)); err != nil {
			return proof{}, err
		}
		if answer, err = l.r.Packet(); err != nil {
			return proof{}, err
		}
	}
	password, ok := key.password(answer, l.nonce[:])
	if !ok {
		return proof{usedPassword: true}, nil
	}
	return samePassword(acct, password), nil
}

// clearText checks a password that came as it is, with a NUL behind it.
func clearText(acct account, answer []byte) proof {
	password, ok := cutNUL(answer)
	if !ok {
		return proof{usedPassword: len(answer) > 0}
	}
	return samePassword(acct, password)
}

// samePassword compares digests, so that the time says nothing of the
// password's length either.
func samePassword(acct account, password []byte) proof {
	want, got := sha256.Sum256(acct.password), sha256.Sum256(password)
	return proof{ok: subtle.ConstantTimeCompare(want[:], got[:]) == 1, usedPassword: len(password) > 0}
}
