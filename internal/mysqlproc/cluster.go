package mysqlproc

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// ClusterOptions of one primary and its replicas.
type ClusterOptions struct {
	Engine Engine
	// Dir is an existing folder; each server gets one below it.
	Dir string
	// Name is used for the servers' folders and must differ within Dir.
	Name string
	// Replicas is how many follow the primary.
	Replicas int
	// FirstID is the primary's server id; replicas count on from it. 0 means 1.
	FirstID uint32
	// Extra are further arguments of every server.
	Extra []string
}

// Cluster is a primary and replicas that follow it by GTID.
type Cluster struct {
	Name     string
	Primary  *Server
	Replicas []*Server
}

// StartCluster starts the servers at once, joins them, and returns when every
// replica replicates. On error nothing is left running.
func StartCluster(ctx context.Context, opt ClusterOptions) (*Cluster, error) {
	servers := make([]*Server, 1+opt.Replicas)
	err := each(len(servers), func(i int) error {
		var err error
		servers[i], err = Start(ctx, Options{
			Engine:   opt.Engine,
			Dir:      filepath.Join(opt.Dir, fmt.Sprintf("%s-%d", opt.Name, i)),
			ServerID: max(opt.FirstID, 1) + uint32(i),
			ReadOnly: i > 0,
			Extra:    opt.Extra,
		})
		return err
	})
	c := &Cluster{Name: opt.Name, Primary: servers[0], Replicas: servers[1:]}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	err = each(len(c.Replicas), func(i int) error { return c.Replicas[i].Follow(ctx, c.Primary) })
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// StartClusters starts n clusters of one primary and one replica at once,
// named c0, c1, ... On error nothing is left running.
func StartClusters(ctx context.Context, engine Engine, dir string, n int) ([]*Cluster, error) {
	// The template first, so that the servers do not all make it.
	programs, err := Find(ctx, engine)
	if err != nil {
		return nil, err
	}
	if _, err := template(ctx, programs); err != nil {
		return nil, err
	}
	clusters := make([]*Cluster, n)
	err = each(n, func(i int) error {
		var err error
		clusters[i], err = StartCluster(ctx, ClusterOptions{
			Engine: engine, Dir: dir, Name: fmt.Sprintf("c%d", i), Replicas: 1, FirstID: uint32(10*i + 1),
		})
		return err
	})
	if err != nil {
		return nil, errors.Join(err, CloseAll(clusters))
	}
	return clusters, nil
}

// CloseAll closes clusters at once; nil ones are allowed.
func CloseAll(clusters []*Cluster) error {
	return each(len(clusters), func(i int) error {
		if clusters[i] == nil {
			return nil
		}
		return clusters[i].Close()
	})
}

// Servers are all servers of the cluster, the primary first.
func (c *Cluster) Servers() []*Server { return append([]*Server{c.Primary}, c.Replicas...) }

// Close ends every server.
func (c *Cluster) Close() error {
	servers := c.Servers()
	return each(len(servers), func(i int) error {
		if servers[i] == nil {
			return nil
		}
		return servers[i].Close()
	})
}

// Sync waits until every running replica has executed what the primary has.
func (c *Cluster) Sync(ctx context.Context) error {
	return each(len(c.Replicas), func(i int) error {
		if c.Replicas[i].PID() == 0 {
			return nil
		}
		return c.Replicas[i].CatchUp(ctx, c.Primary)
	})
}

// Promote makes a replica the primary, as an operator's tool does: the old
// primary, if it still runs, becomes read-only and follows; so do the others.
// The replica must be one of c.Replicas.
func (c *Cluster) Promote(ctx context.Context, replica *Server) error {
	old := c.Primary
	if old.PID() != 0 {
		if err := old.SetReadOnly(ctx, true); err != nil {
			return err
		}
		if err := replica.CatchUp(ctx, old); err != nil {
			return err
		}
	}
	if err := replica.Unfollow(ctx); err != nil {
		return err
	}
	if err := replica.SetReadOnly(ctx, false); err != nil {
		return err
	}
	c.Primary = replica
	for i, r := range c.Replicas {
		if r == replica {
			c.Replicas[i] = old
		}
	}
	for _, r := range c.Replicas {
		if r.PID() == 0 {
			continue
		}
		if err := r.Follow(ctx, replica); err != nil {
			return err
		}
	}
	return nil
}

// Follow makes the server a replica of primary by GTID and returns when both
// replication threads run.
func (s *Server) Follow(ctx context.Context, primary *Server) error {
	statements := []string{
		"STOP REPLICA",
		fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=%d, SOURCE_USER='%s', SOURCE_PASSWORD='%s', SOURCE_AUTO_POSITION=1, SOURCE_CONNECT_RETRY=1, SOURCE_RETRY_COUNT=100000, GET_SOURCE_PUBLIC_KEY=1",
			primary.port, replicationUser, replicationPassword),
		"START REPLICA",
	}
	if s.Engine() == MariaDB {
		statements = []string{
			"STOP SLAVE",
			// A former primary's own transactions count as replicated ones.
			"SET GLOBAL gtid_slave_pos = @@gtid_current_pos",
			fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=%d, MASTER_USER='%s', MASTER_PASSWORD='%s', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1",
				primary.port, replicationUser, replicationPassword),
			"START SLAVE",
		}
	}
	if err := s.Exec(ctx, statements...); err != nil {
		return err
	}
	return s.waitReplicating(ctx)
}

// Unfollow ends replication and forgets the primary.
func (s *Server) Unfollow(ctx context.Context) error {
	if s.Engine() == MariaDB {
		return s.Exec(ctx, "STOP SLAVE", "RESET SLAVE ALL")
	}
	return s.Exec(ctx, "STOP REPLICA", "RESET REPLICA ALL")
}

// Delay makes the replica apply what it receives d later (whole seconds); 0
// ends the delay.
func (s *Server) Delay(ctx context.Context, d time.Duration) error {
	seconds := int(d / time.Second)
	if s.Engine() == MariaDB {
		return s.Exec(ctx, "STOP SLAVE", fmt.Sprintf("CHANGE MASTER TO MASTER_DELAY=%d", seconds), "START SLAVE")
	}
	return s.Exec(ctx, "STOP REPLICA SQL_THREAD", fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_DELAY=%d", seconds), "START REPLICA SQL_THREAD")
}

// PauseApply stops the replica from applying; ResumeApply lets it go on.
func (s *Server) PauseApply(ctx context.Context) error {
	return s.Exec(ctx, "STOP "+s.replica()+" SQL_THREAD")
}

// ResumeApply ends PauseApply.
func (s *Server) ResumeApply(ctx context.Context) error {
	return s.Exec(ctx, "START "+s.replica()+" SQL_THREAD")
}

func (s *Server) replica() string {
	if s.Engine() == MariaDB {
		return "SLAVE"
	}
	return "REPLICA"
}

// SetReadOnly turns super_read_only (MariaDB: read_only) on or off.
func (s *Server) SetReadOnly(ctx context.Context, on bool) error {
	value := "OFF"
	if on {
		value = "ON"
	}
	if s.Engine() == MariaDB || !on {
		return s.Exec(ctx, "SET GLOBAL read_only = "+value)
	}
	return s.Exec(ctx, "SET GLOBAL super_read_only = "+value)
}

// GTID is the set of transactions the server has executed, in its own spelling.
func (s *Server) GTID(ctx context.Context) (string, error) {
	query := "SELECT @@GLOBAL.gtid_executed"
	if s.Engine() == MariaDB {
		query = "SELECT @@GLOBAL.gtid_current_pos"
	}
	var set string
	if err := s.db.QueryRowContext(ctx, query).Scan(&set); err != nil {
		return "", fmt.Errorf("GTIDs of %s: %w", s.Addr(), err)
	}
	return set, nil
}

// CatchUp waits until the server has executed all that other has executed at
// this moment; at most until ctx ends, or 30 seconds.
func (s *Server) CatchUp(ctx context.Context, other *Server) error {
	const seconds = 30
	set, err := other.GTID(ctx)
	if err != nil || set == "" {
		return err
	}
	query, missed := "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?)", int64(1)
	if s.Engine() == MariaDB {
		query, missed = "SELECT MASTER_GTID_WAIT(?, ?)", -1
	}
	var result int64
	if err := s.db.QueryRowContext(ctx, query, set, seconds).Scan(&result); err != nil {
		return fmt.Errorf("wait for %s on %s: %w", set, s.Addr(), err)
	}
	if result == missed {
		return fmt.Errorf("%s has not executed %s within %d s: %s", s.Addr(), set, seconds, s.replicating(ctx))
	}
	return nil
}

// waitReplicating returns when both threads of the replica run.
func (s *Server) waitReplicating(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		status, err := s.replicaStatus(ctx)
		if err != nil {
			return err
		}
		if status["io"] == "Yes" && status["sql"] == "Yes" {
			return nil
		}
		if status["error"] != "" && status["sql"] != "Yes" {
			return fmt.Errorf("replication on %s: %s", s.Addr(), status["error"])
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("replication on %s does not run (%v): %w", s.Addr(), status, ctx.Err())
		case <-tick.C:
		}
	}
}

// replicaStatus is SHOW REPLICA STATUS, its names told the same for both
// engines: io, sql, error.
func (s *Server) replicaStatus(ctx context.Context) (map[string]string, error) {
	rows, err := s.db.QueryContext(ctx, "SHOW REPLICA STATUS")
	if err != nil {
		return nil, fmt.Errorf("replication on %s: %w", s.Addr(), err)
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	names, err := rows.Columns()
	if err != nil {
		return nil, fmt.Errorf("replication on %s: %w", s.Addr(), err)
	}
	status := map[string]string{}
	if !rows.Next() {
		return status, rows.Err()
	}
	values, into := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, fmt.Errorf("replication on %s: %w", s.Addr(), err)
	}
	for i, name := range names {
		switch name {
		case "Replica_IO_Running", "Slave_IO_Running":
			status["io"] = values[i].String
		case "Replica_SQL_Running", "Slave_SQL_Running":
			status["sql"] = values[i].String
		case "Last_IO_Error", "Last_SQL_Error":
			status["error"] += values[i].String
		}
	}
	return status, rows.Err()
}
