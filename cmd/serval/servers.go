package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/control"
	"github.com/servaldb/serval/proxy/session"
	"github.com/servaldb/serval/topology"
	"github.com/servaldb/serval/topology/health"
)

// servers is the fleet and the probes that feed it.
type servers struct {
	fleet *backend.Fleet
	log   *slog.Logger

	mu      sync.RWMutex
	checker *health.Checker         // guarded by mu
	watched []backend.ClusterConfig // what checker probes; guarded by mu
}

// newServers starts the pools and the probes of a configuration's clusters.
func newServers(cfg *config.Config, log *slog.Logger) (*servers, error) {
	clusters, err := clusterConfigs(cfg)
	if err != nil {
		return nil, err
	}
	s := &servers{log: log}
	s.fleet = backend.NewFleet(backend.FleetConfig{
		Clusters: clusters, HoldTimeout: cfg.HoldWrites.Timeout, HoldMax: cfg.HoldWrites.Max,
		MaxLag: cfg.Replicas.MaxLag, WaitForGTID: cfg.Replicas.WaitForGTID, Lost: s.signal,
	})
	s.watch(cfg, clusters)
	return s, nil
}

// update takes over a new configuration's clusters.
func (s *servers) update(cfg *config.Config) error {
	clusters, err := clusterConfigs(cfg)
	if err != nil {
		return err
	}
	s.mu.Lock()
	same := reflect.DeepEqual(clusters, s.watched)
	s.mu.Unlock()
	if same {
		return nil
	}
	s.fleet.Update(clusters)
	s.watch(cfg, clusters)
	return nil
}

// watch replaces the probes. The old ones end first, so that no view of the
// old clusters is published after one of the new.
func (s *servers) watch(cfg *config.Config, clusters []backend.ClusterConfig) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.checker != nil {
		s.checker.Close()
	}
	accounts := map[string]backend.Config{}
	var watched []topology.Cluster
	for _, c := range clusters {
		accounts[c.Name] = c.Config
		watched = append(watched, c.Cluster)
	}
	s.watched = clusters
	s.checker = health.New(health.Config{
		Clusters: watched, Interval: cfg.Replicas.Probe, Timeout: cfg.Replicas.ProbeTimeout,
		Prober: func(cluster string, in topology.Instance) health.Prober {
			return health.NewProber(in.Addr, accounts[cluster])
		},
		Publish: s.fleet.Publish, Log: s.log,
	})
}

func (s *servers) signal(addr string) {
	// Never wait here: watch holds the lock while probes end, and a probe's
	// end may be waiting for a statement that signals.
	if !s.mu.TryRLock() {
		return
	}
	defer s.mu.RUnlock()
	if s.checker != nil {
		s.checker.Signal(addr)
	}
}

// close ends the probes, then the pools.
func (s *servers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checker.Close()
	s.fleet.Close()
}

func clusterConfigs(cfg *config.Config) ([]backend.ClusterConfig, error) {
	var out []backend.ClusterConfig
	for _, c := range cfg.Clusters {
		tlsConfig, err := backendTLS(c.Account.TLS)
		if err != nil {
			return nil, fmt.Errorf("cluster %s: %w", c.Name, err)
		}
		cluster := topology.Cluster{Name: c.Name, Primary: c.Primary}
		for _, in := range c.Instances {
			cluster.Instances = append(cluster.Instances, topology.Instance{Addr: in.Addr, Weight: in.Weight, Zone: in.Zone})
		}
		out = append(out, backend.ClusterConfig{Cluster: cluster, Config: backend.Config{
			User: c.Account.User, Password: c.Account.Password, TLS: tlsConfig,
			MaxConns: cfg.Pool.Max, ConnectTimeout: cfg.Pool.ConnectTimeout, AcquireTimeout: cfg.Pool.AcquireTimeout,
			IdleTimeout: cfg.Pool.IdleTimeout, MaxLifetime: cfg.Pool.MaxLifetime,
			MaxPacket: cfg.Limits.MaxPacket, MaxStatements: cfg.Pool.Statements,
		}})
	}
	return out, nil
}

func backendTLS(t config.BackendTLS) (*tls.Config, error) {
	if t.Mode == config.TLSDisabled || t.Mode == "" {
		return nil, nil //nolint:nilnil // no TLS is a valid answer
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.Mode != config.TLSVerify} //nolint:gosec // required means encrypted, verify means trusted
	if t.CA != "" {
		pool, err := certPool(t.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs = pool
	}
	if t.Cert != "" {
		cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// frontTLS is what clients are offered; nil: nothing.
func frontTLS(t *config.TLS) (*tls.Config, error) {
	if t == nil {
		return nil, nil //nolint:nilnil // no TLS is a valid answer
	}
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	if t.ClientCA != "" {
		if c.ClientCAs, err = certPool(t.ClientCA); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c, nil
}

func certPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New(file + ": no certificate in it")
	}
	return pool, nil
}

// fleetServers is the fleet as control asks it: nothing is held, for a cluster
// without a primary must not keep the others' tables from being read.
type fleetServers struct{ *backend.Fleet }

// Select runs one query on the cluster's primary.
func (f fleetServers) Select(ctx context.Context, cluster, sql string) (rows [][][]byte, err error) {
	conns, err := f.Acquire(ctx, backend.Want{Cluster: cluster, N: 1, NoHold: true})
	if err != nil {
		return nil, err
	}
	defer func() { conns[0].Release(err) }()
	conns[0].Want(&backend.State{})
	_, rows, err = conns[0].Select(ctx, sql)
	return rows, err
}

// Each runs one query on the cluster's primary and gives its rows one by one.
func (f fleetServers) Each(ctx context.Context, cluster, sql string, row func([][]byte) error) (err error) {
	conns, err := f.Acquire(ctx, backend.Want{Cluster: cluster, N: 1, NoHold: true})
	if err != nil {
		return err
	}
	defer func() { conns[0].Release(err) }()
	conns[0].Want(&backend.State{})
	return conns[0].Each(ctx, sql, row)
}

// Clusters are the names of all clusters.
func (f fleetServers) Clusters() []string {
	view := f.View()
	names := make([]string, 0, len(view.Clusters))
	for name := range view.Clusters {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Exec runs one statement on the cluster's primary.
func (f fleetServers) Exec(ctx context.Context, cluster, sql string) (err error) {
	conns, err := f.Acquire(ctx, backend.Want{Cluster: cluster, N: 1, NoHold: true})
	if err != nil {
		return err
	}
	defer func() { conns[0].Release(err) }()
	conns[0].Want(&backend.State{})
	_, err = conns[0].Exec(ctx, sql)
	return err
}

// openServers is newServers for a command: without a log, and the primaries are
// waited for, as long as startTimeout.
func openServers(ctx context.Context, cfg *config.Config) (*servers, error) {
	log := slog.New(slog.DiscardHandler)
	srv, err := newServers(cfg, log)
	if err != nil {
		return nil, err
	}
	p := &process{cfg: cfg, log: log, servers: srv}
	within, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	p.awaitPrimaries(within)
	return srv, nil
}

// loadedProcess is a process that serves nobody: its catalog is what the servers
// tell now.
func loadedProcess(ctx context.Context, cfg *config.Config, srv *servers) (*process, error) {
	p := &process{cfg: cfg, log: slog.New(slog.DiscardHandler), servers: srv, store: catalog.NewStore(&catalog.Catalog{}), registry: session.NewRegistry(), started: time.Now()}
	var err error
	if p.control, err = control.New(cfg, fleetServers{srv.fleet}, p.store, p.log); err != nil {
		return nil, err
	}
	return p, p.control.Load(ctx)
}
