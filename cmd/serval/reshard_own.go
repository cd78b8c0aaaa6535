package main

import (
	"context"
	"time"

	"github.com/servaldb/serval/reshard"
)

// reshards are the jobs in the journals of the clusters that answer at once.
func (p *process) reshards() (out []reshard.Job) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	servers := fleetServers{p.servers.fleet}
	for _, cluster := range servers.Clusters() {
		jobs, err := reshard.FindJobs(ctx, servers, []string{cluster})
		if err != nil {
			p.log.Warn("the journal of reshards could not be read", "cluster", cluster, "err", err)
		}
		out = append(out, jobs...)
	}
	return out
}

// askTime bounds the question whether a table is being moved.
const askTime = 5 * time.Second

// mayDefine is nil where no job moves the table.
func (p *process) mayDefine(ctx context.Context, schema, table string) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return reshard.MayDefine(ctx, fleetServers{p.servers.fleet}, journalClusters(p.current.Load()), schema, table)
}
