package session

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/topology"
)

// cannedServer logs anybody in and answers every SELECT with the same row, the
// rest with OK, without allocating, so that what a benchmark counts is the
// session's.
func cannedServer(b *testing.B) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go serveCanned(c)
		}
	}()
	b.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return ln.Addr().String()
}

const cannedCaps = wire.CapProtocol41 | wire.CapTransactions | wire.CapSecureConnection | wire.CapPluginAuth | wire.CapMultiResults |
	wire.CapPSMultiResults | wire.CapSessionTrack | wire.CapDeprecateEOF | wire.CapConnectWithDB | wire.CapLongPassword | wire.CapLongFlag |
	wire.CapFoundRows | wire.CapConnectAttrs

func serveCanned(c net.Conn) {
	defer c.Close()
	r, w := wire.NewReader(c, 1<<20), wire.NewWriter(c)
	hello := wire.Handshake{
		ServerVersion: "9.7.0-canned", ConnectionID: 1, Nonce: [wire.NonceSize]byte([]byte("01234567890123456789")), Capabilities: cannedCaps,
		Collation: 45, Status: wire.StatusAutocommit, AuthPlugin: "mysql_native_password",
	}
	_ = w.Packet(hello.Append(nil))
	_ = w.Flush()
	r.SetSeq(1)
	if _, err := r.Packet(); err != nil {
		return
	}
	ok := wire.OK{Status: wire.StatusAutocommit}
	okPacket := ok.Append(nil, cannedCaps, wire.HeaderOK)
	w.SetSeq(2)
	_ = w.Packet(okPacket)
	_ = w.Flush()
	col := wire.Column{Name: []byte("a"), Type: wire.TypeVarString, Charset: 45}
	colPacket, end := col.Append(nil), ok.AppendEnd(nil, cannedCaps)
	prepared := wire.PrepareOK{StatementID: 1, Columns: 1, Params: 1}.Append(nil)
	for {
		r.SetSeq(0)
		p, err := r.Packet()
		if err != nil || len(p) == 0 || p[0] == wire.ComQuit {
			return
		}
		w.SetSeq(1)
		switch {
		case p[0] == wire.ComQuery && string(p[1:min(len(p), 7)]) == "SELECT", p[0] == wire.ComStmtExecute:
			row := []byte("\x010")
			if p[0] == wire.ComStmtExecute {
				row = []byte("\x00\x00\x010")
			}
			_ = w.Packet([]byte{1})
			_ = w.Packet(colPacket)
			_ = w.Packet(row)
			_ = w.Packet(end)
		case p[0] == wire.ComStmtPrepare:
			_ = w.Packet(prepared)
			_ = w.Packet(colPacket)
			_ = w.Packet(colPacket)
		default:
			_ = w.Packet(okPacket)
		}
		if w.Flush() != nil {
			return
		}
	}
}

// benchSession is a session whose client is the benchmark.
func benchSession(b *testing.B) (client net.Conn, in *wire.Reader, out *wire.Writer) {
	addr := cannedServer(b)
	var clusters []backend.ClusterConfig
	view := &topology.View{Clusters: map[string]*topology.ClusterView{}}
	for _, name := range []string{"c0", "c1"} {
		i := topology.Instance{Addr: addr, Weight: 1}
		clusters = append(clusters, backend.ClusterConfig{
			Cluster: topology.Cluster{Name: name, Primary: addr, Instances: []topology.Instance{i}}, Config: backend.Config{User: "u"}})
		view.Clusters[name] = &topology.ClusterView{Name: name, Primary: addr, Instances: []topology.InstanceView{{Instance: i, Role: topology.RolePrimary, Up: true}}}
	}
	fleet := backend.NewFleet(backend.FleetConfig{Clusters: clusters})
	fleet.Publish(view)
	cat := scriptCatalog(b)
	server, client := net.Pipe()
	s := New(Deps{Catalog: catalog.NewStore(cat), Plans: NewPlans(100), Fleet: fleet, Weights: NewWeights(), Registry: NewRegistry()}, &Client{
		ID: 1, Conn: server, Reader: wire.NewReader(server, 1<<20), Writer: wire.NewWriter(server), Capabilities: scriptCaps,
		User: &catalog.User{Name: "app"}, Schema: "shop", Collation: 45, Draining: make(chan struct{}),
	})
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background()) }()
	b.Cleanup(func() {
		_ = client.Close()
		<-served
		fleet.Close()
		time.Sleep(time.Millisecond) // goleak: the canned connections end by themselves
	})
	return client, wire.NewReader(client, 1<<20), wire.NewWriter(client)
}

func exchange(b *testing.B, in *wire.Reader, out *wire.Writer, command []byte, packets int) {
	out.SetSeq(0)
	_ = out.Packet(command)
	if err := out.Flush(); err != nil {
		b.Fatal(err)
	}
	in.SetSeq(1)
	for range packets {
		p, err := in.Packet()
		if err != nil && !errors.Is(err, io.EOF) || wire.IsErr(p) {
			b.Fatalf("%v %q", err, p)
		}
	}
}

func BenchmarkPointSelect(b *testing.B) {
	_, in, out := benchSession(b)
	sql := append([]byte{wire.ComQuery}, "SELECT name FROM users WHERE id = 12345"...)
	exchange(b, in, out, sql, 4)
	b.ReportAllocs()
	for b.Loop() {
		exchange(b, in, out, sql, 4)
	}
}

func BenchmarkPreparedPointSelect(b *testing.B) {
	_, in, out := benchSession(b)
	exchange(b, in, out, append([]byte{wire.ComStmtPrepare}, "SELECT name FROM users WHERE id = ?"...), 3)
	param := []wire.Param{{Type: wire.TypeLongLong, Value: []byte{1, 0, 0, 0, 0, 0, 0, 0}}}
	execute := wire.AppendExecute(nil, 1, param)
	exchange(b, in, out, execute, 4)
	b.ReportAllocs()
	for b.Loop() {
		exchange(b, in, out, execute, 4)
	}
}

func BenchmarkTransaction(b *testing.B) {
	_, in, out := benchSession(b)
	begin, commit := []byte("\x03BEGIN"), []byte("\x03COMMIT")
	update := append([]byte{wire.ComQuery}, "UPDATE users SET name = 'x' WHERE id = 12345"...)
	b.ReportAllocs()
	for b.Loop() {
		exchange(b, in, out, begin, 1)
		exchange(b, in, out, update, 1)
		exchange(b, in, out, commit, 1)
	}
}
