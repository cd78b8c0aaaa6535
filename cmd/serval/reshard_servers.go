package main

import (
	"context"
	"errors"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/ddl"
	"github.com/servaldb/serval/reshard"
)

// reshardServers is the fleet as a job's worker asks it.
type reshardServers struct {
	fleetServers
	cfg *config.Config
}

var _ interface {
	reshard.JobServers
	reshard.Servers
} = reshardServers{}

// Exec implements reshard.JobServers.
func (f reshardServers) Exec(ctx context.Context, cluster, sql string) error {
	return f.ExecIn(ctx, cluster, ddl.Settings{Vars: [][2]string{
		{"sql_mode", "'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"}, {"foreign_key_checks", "0"}}}, sql)
}

// Lock implements reshard.JobServers.
func (f reshardServers) Lock(ctx context.Context, cluster, name string, wait time.Duration) (reshard.Holder, error) {
	h, err := f.fleetServers.Lock(ctx, cluster, name, wait)
	if h == nil || err != nil {
		return nil, err
	}
	return h, nil
}

// Login implements reshard.Servers.
func (f reshardServers) Login(cluster string) backend.Config {
	all, err := clusterConfigs(f.cfg)
	if err != nil {
		return backend.Config{} // they were made of the same before
	}
	for _, c := range all {
		if c.Name == cluster {
			return c.Config
		}
	}
	return backend.Config{}
}

// lagging is why a copy waits: a replica of a cluster that is written to is
// further behind than reads may find it.
func (s *reshardSet) lagging(layout *reshard.Layout) func() string {
	written := map[string]bool{}
	for _, t := range layout.Tables {
		for _, x := range t.Targets {
			written[x.Shard.Cluster] = true
		}
	}
	return func() string {
		view := s.servers.View()
		for name := range written {
			c := view.Cluster(name)
			if c == nil {
				continue
			}
			for _, in := range c.Instances {
				if in.Up && in.LagKnown && in.Lag > s.from.Replicas.MaxLag {
					return "replica " + in.Addr + " of cluster " + name + " is " + in.Lag.Round(time.Second).String() + " behind"
				}
			}
		}
		return ""
	}
}

// errNoJob: there is none that has not ended.
var errNoJob = errors.New("there is no job; serval reshard start begins one")
