package backend

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/wire"
)

// BenchmarkRelay is a point select from queue to the client's bytes; the
// server side is canned. allocs/op are the relay's own and the fake server's.
func BenchmarkRelay(b *testing.B) {
	s := mysqltest.Start(b, nil)
	c, err := Dial(context.Background(), s.Addr, Config{User: "u"}, false)
	require.NoError(b, err)
	defer c.Discard()
	canned := pointSelect(b)
	here, there := net.Pipe()
	defer func() { _, _ = here.Close(), there.Close() }()
	_ = c.sock.Close()
	loop := &replay{answer: canned}
	c.sock, c.r, c.w = here, wire.NewReader(loop, 1<<24), wire.NewWriter(loop)
	out := wire.NewWriter(io.Discard)
	sql := []byte("SELECT c FROM sbtest1 WHERE id=?")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		disarm := c.Arm(ctx)
		c.Want(zeroState)
		c.Query(sql)
		if err := c.Flush(); err != nil {
			b.Fatal(err)
		}
		out.SetSeq(1)
		if _, _, err := c.Relay(out, RelayOptions{DeprecateEOF: true}); err != nil {
			b.Fatal(err)
		}
		_ = out.Flush()
		disarm()
	}
	c.broken = errClosed
}

// replay answers every write with the same bytes.
type replay struct{ answer, left []byte }

func (r *replay) Write(b []byte) (int, error) { r.left = r.answer; return len(b), nil }
func (r *replay) Read(b []byte) (int, error) {
	n := copy(b, r.left)
	r.left = r.left[n:]
	return n, nil
}

func pointSelect(b *testing.B) []byte {
	here, there := net.Pipe()
	go func() {
		s := &mysqltest.Session{Conn: there, W: wire.NewWriter(there)}
		s.W.SetSeq(1)
		s.Result([]string{"c"}, []string{"83868641912-28773972837-60736120486-75162659906-27563526494-20381887404-41576422241-93426793964-56405065102-33518432330"})
		s.Flush()
		_ = there.Close()
	}()
	out, err := io.ReadAll(here)
	require.NoError(b, err)
	return out
}

func BenchmarkPeek(b *testing.B) {
	s := mysqltest.Start(b, nil)
	c, err := Dial(context.Background(), s.Addr, Config{User: "u"}, false)
	require.NoError(b, err)
	defer c.Discard()
	b.ReportAllocs()
	for b.Loop() {
		if !c.peek.ok() {
			b.Fatal("not alive")
		}
	}
}

func BenchmarkAcquire(b *testing.B) {
	s := mysqltest.Start(b, nil)
	p := NewPool(s.Addr, Config{User: "u"})
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		c, err := p.Acquire(context.Background(), 1, false)
		if err != nil {
			b.Fatal(err)
		}
		c[0].Release(nil)
	}
}
