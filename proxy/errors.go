package proxy

import (
	"errors"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
)

// Errors of the login alone (MySQL Server Error Message Reference).
const (
	codeHandshake = 1043 // ER_HANDSHAKE_ERROR
	codeOldAuth   = 1251 // ER_NOT_SUPPORTED_AUTH_MODE
	codeInsecure  = 3159 // ER_SECURE_TRANSPORT_REQUIRED
)

// errTLS marks a TLS handshake that failed: a wrong or missing certificate, or
// a client that gave up.
var errTLS = errors.New("proxy: TLS handshake")

// maxShownName bounds what of a client's own text comes back in a message.
const maxShownName = 128

func errBadHandshake() *sqlerr.Error {
	return &sqlerr.Error{Code: codeHandshake, State: "08S01", Message: "Bad handshake"}
}

func errInsecure() *sqlerr.Error {
	return &sqlerr.Error{
		Code: codeInsecure, State: "HY000",
		Message: "Connections using insecure transport are prohibited while --require_secure_transport=ON.",
	}
}

func errOldAuth() *sqlerr.Error {
	return &sqlerr.Error{
		Code: codeOldAuth, State: "08004",
		Message: "Client does not support authentication protocol requested by server; consider upgrading MySQL client",
	}
}

func errDenied(user, host string, usedPassword bool) *sqlerr.Error {
	using := "NO"
	if usedPassword {
		using = "YES"
	}
	return sqlerr.New(sqlerr.AccessDenied, "Access denied for user '%s'@'%s' (using password: %s)", shown(user), host, using)
}

func errSchemaDenied(user, schema string) *sqlerr.Error {
	return sqlerr.New(sqlerr.DBAccessDenied, "Access denied for user '%s'@'%%' to database '%s'", shown(user), shown(schema))
}

// shown is a name as it goes into messages and logs: valid, short, on one line.
func shown(name string) string {
	if len(name) > maxShownName {
		name = name[:maxShownName]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
}
