package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/proxy/session"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
)

// login leaves k as a logged-in client.
func (c *raw) login() *raw {
	c.t.Helper()
	g := c.greeting()
	c.send(response(plainCaps, pluginNative, gomysql.CalcNativePassword(g.nonce, []byte("s3cret"))))
	c.requireOK()
	return c
}

func (c *raw) query(text string) {
	c.t.Helper()
	c.r.SetSeq(0)
	c.send(append([]byte{wire.ComQuery}, text...))
}

func TestADrainEndsIdleSessionsAndLogins(t *testing.T) {
	r := start(t, nil)
	idle, half := dial(t, r).login(), dial(t, r)
	half.greeting()
	done := make(chan error, 1)
	go func() { done <- r.Shutdown(context.Background()) }()
	idle.requireClosed()
	half.requireClosed()
	require.NoError(t, <-done)
	_, err := net.Dial("tcp", r.addr)
	require.Error(t, err, "nobody listens any more")
	require.NoError(t, r.Shutdown(context.Background()), "a second shutdown has nothing to do")
}

func TestADrainWaitsForTheBusy(t *testing.T) {
	for name, overTLS := range map[string]bool{"plain": false, "over TLS": true} {
		t.Run(name, func(t *testing.T) { drainWithOneBusy(t, overTLS) })
	}
}

func drainWithOneBusy(t *testing.T, overTLS bool) {
	woken, finish := make(chan struct{}), make(chan struct{})
	r := start(t, func(cfg *Config) {
		cfg.TLS = serverTLS(t)
		cfg.Serve = func(ctx context.Context, c *session.Client) {
			_, err := c.Reader.Packet() // until the drain wakes it
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			<-c.Draining
			// As in a transaction: it takes the wake-up back and reads on.
			if c.Conn.SetReadDeadline(time.Time{}) != nil {
				return
			}
			close(woken)
			<-finish
			c.Reader.SetSeq(0)
			last, err := c.Reader.Packet()
			if err != nil || ctx.Err() != nil { // a drain does not end what sessions do
				return
			}
			c.Writer.SetSeq(1)
			_ = c.Writer.Packet(last)
			_ = c.Writer.Flush()
		}
	})
	k := dial(t, r)
	g := k.greeting()
	caps := plainCaps
	if overTLS {
		caps |= wire.CapSSL
		k.send(response(caps, "", nil)[:32])
		over := tls.Client(k.conn, &tls.Config{InsecureSkipVerify: true})
		k.r.Reset(over)
		k.w.Reset(over)
	}
	k.send(response(caps, pluginNative, gomysql.CalcNativePassword(g.nonce, []byte("s3cret"))))
	k.read()
	r.stop() // Run's context: the same as Shutdown
	<-r.Draining()
	<-woken
	close(finish)
	k.r.SetSeq(0)
	k.send([]byte("commit"))
	require.Equal(t, "commit", string(k.read()))
	k.requireClosed()
}

func TestADrainThatTakesTooLongClosesTheRest(t *testing.T) {
	r := start(t, nil)
	k := dial(t, r).login()
	k.query("wait")
	<-r.clients
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.NoError(t, r.Shutdown(ctx))
	k.requireClosed()
}

func TestAClientThatComesDuringADrainIsTold(t *testing.T) {
	r := start(t, nil)
	k := dial(t, r)
	g := k.greeting()
	// The drain has begun, but its wake-up has not come to this login.
	r.mu.Lock()
	r.mu.drain = true
	r.mu.Unlock()
	k.send(response(plainCaps, pluginNative, gomysql.CalcNativePassword(g.nonce, []byte("s3cret"))))
	k.requireErr(sqlerr.ServerShutdown)
	late := dial(t, r)
	late.requireErr(sqlerr.ServerShutdown)
	r.mu.Lock()
	r.mu.drain = false // so that the test's own end is a real one
	r.mu.Unlock()
}

func TestShutdownOfAServerThatNeverRan(t *testing.T) {
	s, err := New(Config{Listen: []string{"127.0.0.1:0"}, Users: usersOfTests, Serve: answer})
	require.NoError(t, err)
	require.NoError(t, s.Listen(t.Context()))
	require.NoError(t, s.Shutdown(t.Context()))
	require.NoError(t, s.Run(t.Context()))
	require.ErrorContains(t, s.Run(t.Context()), "twice")
}

func TestConnectionIDsGoRoundPastThoseInUse(t *testing.T) {
	s, err := New(Config{Listen: []string{"127.0.0.1:0"}, Users: usersOfTests, Serve: answer})
	require.NoError(t, err)
	add := func() uint32 {
		here, there := net.Pipe()
		t.Cleanup(func() { _, _ = here.Close(), there.Close() })
		c := &conn{raw: here}
		require.Nil(t, s.track(c))
		return c.id
	}
	require.EqualValues(t, 1, add())
	s.mu.nextID = 1<<32 - 1
	require.EqualValues(t, 1<<32-1, add())
	require.EqualValues(t, 2, add())
}

// FuzzLogin sends anything for the client's side of a login.
func FuzzLogin(f *testing.F) {
	frame := func(seq byte, p []byte) []byte {
		return append([]byte{byte(len(p)), byte(len(p) >> 8), byte(len(p) >> 16), seq}, p...)
	}
	f.Add(frame(1, response(plainCaps, pluginSHA2, make([]byte, 32))))
	f.Add(frame(1, response(plainCaps|wire.CapConnectWithDB|wire.CapConnectAttrs, pluginNative, make([]byte, 20))))
	f.Add(append(frame(1, response(plainCaps, pluginSHA2, []byte("?"))), append(frame(3, []byte{2}), frame(5, make([]byte, 256))...)...))
	f.Add(append(frame(1, response(plainCaps, "x", nil)), frame(3, make([]byte, 32))...))
	one := func(name string) *catalog.User { // guest would get in
		if name == "app" {
			return testUsers[name]
		}
		return nil
	}
	s, err := New(Config{Listen: []string{"127.0.0.1:0"}, Users: one, Serve: answer})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, sent []byte) {
		c := &conn{raw: &script{in: bytes.NewReader(sent)}}
		require.Nil(t, s.track(c))
		defer s.untrack(c)
		client, err := newLogin(s, c).run(t.Context())
		require.Error(t, err, "nobody guesses a scramble of a nonce")
		require.Nil(t, client)
	})
}

// script is a connection whose client has said everything already.
type script struct {
	net.Conn
	in io.Reader
}

func (s *script) Read(b []byte) (int, error)       { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error)      { return len(b), nil }
func (s *script) Close() error                     { return nil }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

func BenchmarkLogin(b *testing.B) {
	s, err := New(Config{Listen: []string{"127.0.0.1:0"}, Users: usersOfTests, Serve: answer})
	require.NoError(b, err)
	sent := append([]byte{byte(len(response(plainCaps, pluginSHA2, make([]byte, 32)))), 0, 0, 1}, response(plainCaps, pluginSHA2, make([]byte, 32))...)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = newLogin(s, &conn{raw: &script{in: bytes.NewReader(sent)}}).run(b.Context())
	}
}
