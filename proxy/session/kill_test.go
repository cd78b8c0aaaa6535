package session

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// A command that comes right behind a KILL may be read though the deadline is
// over: a goroutine that the deadline wakes finds the bytes there. It is not
// answered, or a COMMIT behind a KILL could be.
func TestACommandBehindAKillIsNotRun(t *testing.T) {
	server, client := net.Pipe()
	defer client.Close()
	registry := NewRegistry()
	deaf := &deafConn{Conn: server, asked: make(chan struct{}, 1)}
	s := New(Deps{Catalog: catalog.NewStore(&catalog.Catalog{}), Registry: registry, Weights: NewWeights()}, &Client{
		ID: 7, Conn: deaf, Reader: wire.NewReader(deaf, 1<<20), Writer: wire.NewWriter(deaf), Capabilities: wire.CapProtocol41 | wire.CapDeprecateEOF,
		User: &catalog.User{Name: "app"}, Collation: 45, Remote: "127.0.0.1:9", Draining: make(chan struct{}),
	})
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background()) }()
	<-deaf.asked // it waits for a command
	require.NoError(t, registry.Kill(7, true, ""))
	require.NoError(t, client.SetDeadline(time.Now().Add(10*time.Second)))
	w := wire.NewWriter(client)
	require.NoError(t, w.Packet([]byte{wire.ComPing}))
	require.NoError(t, w.Flush())
	r := wire.NewReader(client, 1<<20)
	r.SetSeq(1)
	answer, err := r.Packet()
	require.NoError(t, err)
	e, err := wire.DecodeErr(answer)
	require.NoError(t, err)
	require.EqualValues(t, sqlerr.ServerShutdown, e.Code)
	require.NoError(t, <-served)
}

// deafConn reads though its deadline is over.
type deafConn struct {
	net.Conn
	asked chan struct{}
}

func (c *deafConn) SetReadDeadline(time.Time) error {
	select {
	case c.asked <- struct{}{}:
	default:
	}
	return nil
}
