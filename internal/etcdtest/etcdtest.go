// Package etcdtest runs an etcd server within a test's process.
package etcdtest

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/server/v3/embed"
)

// Server is a running etcd of one member on 127.0.0.1.
type Server struct {
	// URL is it for store:, without a path.
	URL  string
	dir  string
	addr url.URL
	etcd *embed.Etcd
}

// Start runs a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{dir: t.TempDir(), addr: url.URL{Scheme: "http", Host: "127.0.0.1:0"}}
	s.run(t)
	t.Cleanup(s.Stop)
	return s
}

func (s *Server) run(t testing.TB) {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel = s.dir, "panic"
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{s.addr}, []url.URL{s.addr}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.UnsafeNoFsync = true // nothing here outlives the machine
	etcd, err := embed.StartEtcd(cfg)
	require.NoError(t, err)
	select {
	case <-etcd.Server.ReadyNotify():
	case <-time.After(20 * time.Second):
		t.Fatal("etcd is not ready after 20 s")
	}
	s.etcd = etcd
	s.addr.Host = etcd.Clients[0].Addr().String()
	s.URL = "etcd://" + s.addr.Host
}

// Stop ends the server; what it holds stays.
func (s *Server) Stop() {
	if s.etcd != nil {
		s.etcd.Close()
		s.etcd = nil
	}
}

// Restart runs a stopped server again at its address.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.run(t)
}
