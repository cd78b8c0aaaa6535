// Package session is one client connection after its login: the command loop,
// the session's state, prepared statements, transactions, and the way of each
// statement from text to answer (docs/statement.md).
package session

import (
	"context"
	"net"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/wire"
)

// Client is a logged-in client connection, handed over by proxy.
type Client struct {
	// ID is the connection id Serval told the client; unique in this process.
	ID   uint32
	Conn net.Conn
	// Reader and Writer are positioned behind the login's last packet.
	Reader *wire.Reader
	Writer *wire.Writer
	// Capabilities are those both sides have.
	Capabilities uint32
	User         *catalog.User
	// Schema is the database asked for at login, not checked yet; may be empty.
	Schema string
	// Collation is the id from the handshake response.
	Collation uint16
	// Remote is the client's address for logs and SHOW PROCESSLIST.
	Remote string
	// Attributes are the connection attributes, bounded by proxy.
	Attributes map[string]string
	// Draining is closed when the server shuts down: the session ends as soon
	// as it has no statement running and no transaction open. Right after
	// closing it proxy sets a read deadline in the past on Conn, so a session
	// that waits for a command wakes with os.ErrDeadlineExceeded. A session
	// that sets read deadlines itself looks at Draining after each setting.
	Draining <-chan struct{}
	// ChangeUser logs in again, as COM_CHANGE_USER's body asks, over Reader and
	// Writer; what it returns is who the client is now. After an error, which
	// the client has not been told, the connection must end. Nil where there is
	// no login.
	ChangeUser func(ctx context.Context, body []byte) (Identity, error)
}

// Identity is who a client is, and what it asked for when it said so.
type Identity struct {
	User       *catalog.User
	Schema     string // checked; may be empty
	Collation  uint16 // 0: not said
	Attributes map[string]string
}
