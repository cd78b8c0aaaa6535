package reshard

import (
	"context"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/topology"
)

// Servers is the way to the clusters' primaries. *backend.Fleet has all but Login.
type Servers interface {
	// Acquire gives connections to a cluster's primary; it waits for one while
	// there is none.
	Acquire(ctx context.Context, want backend.Want) ([]*backend.Conn, error)
	// View says which server is a cluster's primary now.
	View() *topology.View
	// Login is the account of a cluster, for the binlog's connection, which is none
	// of a pool.
	Login(cluster string) backend.Config
}

// Journal keeps how far a job is, so that it can go on after a crash. What was
// saved before a crash may be older than what was done: doing it twice is right.
type Journal interface {
	SavePart(ctx context.Context, p Part) error
	// SavePosition: every change of the cluster up to this GTID set has been taken over.
	SavePosition(ctx context.Context, cluster, gtids string) error
}

// Doubter is a Journal that can note that rows may differ, so that all are compared
// before they are relied on. With another one the mover stops where changes are gone.
type Doubter interface {
	Doubt(ctx context.Context, why string) error
}

// Part is how far the copy of one source table is.
type Part struct {
	// Schema and Table are the logical names, Source is where it is.
	Schema, Table string
	Source        topology.Shard
	// Last is the last key copied, as only this package reads it; empty before the first.
	Last        string
	Rows, Bytes int64
	Done        bool
}

// Resume is what the journal has.
type Resume struct {
	Parts []Part
	// Positions by cluster.
	Positions map[string]string
}
