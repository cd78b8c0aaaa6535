package session

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAClientThatIsGoneIsSeen(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	for name, c := range map[string]struct {
		do   func(client net.Conn)
		gone bool
	}{
		"waiting for its answer":         {func(net.Conn) {}, false},
		"having sent the next statement": {func(c net.Conn) { _, _ = c.Write([]byte{5, 0, 0, 0, 3, 'D', 'O', ' ', '1'}) }, false},
		"having closed":                  {func(c net.Conn) { _ = c.Close() }, true},
		"having said goodbye":            {func(c net.Conn) { _, _ = c.Write(farewell) }, true},
		"having reset the connection":    {func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := net.Dial("tcp", listener.Addr().String())
			require.NoError(t, err)
			defer client.Close()
			server, err := listener.Accept()
			require.NoError(t, err)
			defer server.Close()
			c.do(client)
			if !c.gone {
				require.False(t, hasGone(server))
				return
			}
			require.Eventually(t, func() bool { return hasGone(server) }, 10*time.Second, time.Millisecond)
		})
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	require.False(t, hasGone(a), "what is no socket cannot be asked")
}
