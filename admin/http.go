// Package admin is Serval's side door for people and programs: /metrics,
// /healthz, /readyz, the admin page and the JSON behind it. It reads what the
// other packages know and changes nothing.
package admin

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sort"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/topology"
)

//go:embed page.html
var page []byte

// PoolStat is one server's pool.
type PoolStat struct {
	Addr       string `json:"addr"`
	Busy, Idle int
	Waits      uint64
}

// SessionStat is one client connection, in the words of SHOW PROCESSLIST.
type SessionStat struct {
	ID      uint32  `json:"id"`
	User    string  `json:"user"`
	Host    string  `json:"host"`
	DB      string  `json:"db"`
	Command string  `json:"command"`
	Seconds float64 `json:"time"`
	State   string  `json:"state"`
	Pinned  string  `json:"pinned,omitempty"`
}

// RulesStat is the version of the rules that is served.
type RulesStat struct {
	// Version is 0 where no history is kept.
	Version int64     `json:"version"`
	Sum     string    `json:"sum"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	// Refused is why the last change was not taken, empty if it was.
	Refused string `json:"refused,omitempty"`
	// Text is the YAML, which holds secrets.
	Text string `json:"-"`
}

// Sources is where the admin side reads. All functions are safe for concurrent
// use and never nil.
type Sources struct {
	View     func() *topology.View
	Catalog  func() *catalog.Catalog
	Pools    func() []PoolStat
	Sessions func() []SessionStat
	// Digests are the statements counted so far.
	Digests func() []Digest
	// Rules is the version that is served.
	Rules func() RulesStat
	// Prepared is how many prepared branches were seen last, by cluster.
	Prepared func() map[string]int
	// Ready is nil when clients may be sent here, else the reason not.
	Ready func() error
}

// Handler serves the admin side.
func Handler(src Sources, m *Metrics) http.Handler {
	m.registry.MustRegister(collector{src})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := src.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	})
	mux.HandleFunc("GET /api/clusters", answer(func() any { return clusters(src.View()) }))
	mux.HandleFunc("GET /api/tables", answer(func() any { return tables(src.Catalog()) }))
	mux.HandleFunc("GET /api/slots", answer(func() any { return slots(src.Catalog()) }))
	mux.HandleFunc("GET /api/sessions", answer(func() any { return src.Sessions() }))
	mux.HandleFunc("GET /api/rules", answer(func() any { return src.Rules() }))
	mux.HandleFunc("GET /api/digests", answer(func() any { return src.Digests() }))
	mux.HandleFunc("GET /api/pools", answer(func() any { return src.Pools() }))
	// Profiles of the running process, for go tool pprof.
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	return mux
}

func answer(f func() any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		_ = enc.Encode(f()) // the client went away; there is nobody to tell
	}
}

type clusterJSON struct {
	Name      string         `json:"name"`
	Primary   string         `json:"primary"`
	Instances []instanceJSON `json:"instances"`
}

type instanceJSON struct {
	Addr    string   `json:"addr"`
	Role    string   `json:"role"`
	Up      bool     `json:"up"`
	Lag     *float64 `json:"seconds_behind_source"`
	Weight  int      `json:"weight"`
	Zone    string   `json:"zone,omitempty"`
	Version string   `json:"version"`
	Why     string   `json:"why,omitempty"`
}

func clusters(v *topology.View) []clusterJSON {
	out := []clusterJSON{}
	for _, c := range v.Clusters {
		cj := clusterJSON{Name: c.Name, Primary: c.Primary, Instances: []instanceJSON{}}
		for _, in := range c.Instances {
			ij := instanceJSON{
				Addr: in.Addr, Role: in.Role.String(), Up: in.Up, Weight: in.Weight,
				Zone: in.Zone, Version: in.Version, Why: in.Why,
			}
			if in.LagKnown {
				s := in.Lag.Seconds()
				ij.Lag = &s
			}
			cj.Instances = append(cj.Instances, ij)
		}
		out = append(out, cj)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

type tableJSON struct {
	Schema string      `json:"schema"`
	Table  string      `json:"table"`
	Rule   string      `json:"rule"`
	Shards []shardJSON `json:"shards"`
}

type shardJSON struct {
	Shard    int    `json:"shard"`
	Cluster  string `json:"cluster"`
	Database string `json:"database"`
	Table    string `json:"table"`
}

func tables(c *catalog.Catalog) []tableJSON {
	out := []tableJSON{}
	for _, s := range c.Schemas {
		for _, t := range s.Tables {
			if t.Placement == nil {
				continue
			}
			tj := tableJSON{Schema: s.Name, Table: t.Name, Rule: ruleText(t), Shards: []shardJSON{}}
			for _, sh := range t.Placement.Shards {
				tj.Shards = append(tj.Shards, shardJSON{sh.Index, sh.Cluster, sh.Database, sh.Table})
			}
			out = append(out, tj)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Schema != out[j].Schema {
			return out[i].Schema < out[j].Schema
		}
		return out[i].Table < out[j].Table
	})
	return out
}

// Serve answers HTTP on addr until ctx ends, then finishes what is running for
// at most five seconds.
func Serve(ctx context.Context, addr string, h http.Handler, log *slog.Logger) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	log.Info("admin listens", "addr", ln.Addr().String())
	select {
	case err = <-done:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = srv.Shutdown(stop)
	if serveErr := <-done; !errors.Is(serveErr, http.ErrServerClosed) {
		return serveErr
	}
	return err
}
