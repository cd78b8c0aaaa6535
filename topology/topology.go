// Package topology holds the value types every other package speaks in:
// instances, clusters, roles, shards, and the View of what is known about
// them right now. It does no I/O and reads no clock.
package topology

import "time"

// Role is what an instance does in its cluster.
type Role uint8

const (
	// RoleUnknown: not seen yet, or it said neither.
	RoleUnknown Role = iota
	// RolePrimary: accepts writes (read_only is off).
	RolePrimary
	// RoleReplica: follows a primary.
	RoleReplica
)

// String names the role as metrics and admin tables show it.
func (r Role) String() string {
	switch r {
	case RolePrimary:
		return "primary"
	case RoleReplica:
		return "replica"
	case RoleUnknown:
		return "unknown"
	}
	return "invalid"
}

// Flavor is the kind of server an instance runs. Statements that ask for
// GTIDs and lag differ between the two.
type Flavor uint8

const (
	// FlavorUnknown: the server has not been reached yet.
	FlavorUnknown Flavor = iota
	// FlavorMySQL: Oracle MySQL, Percona Server.
	FlavorMySQL
	// FlavorMariaDB: MariaDB.
	FlavorMariaDB
)

// String names the flavor.
func (f Flavor) String() string {
	switch f {
	case FlavorMySQL:
		return "mysql"
	case FlavorMariaDB:
		return "mariadb"
	case FlavorUnknown:
		return "unknown"
	}
	return "invalid"
}

// Target says which instances of a cluster may answer a statement.
type Target uint8

const (
	// TargetPrimary: writes, locking reads, everything in a transaction.
	TargetPrimary Target = iota
	// TargetReplica: plain reads; the primary answers when no replica may.
	TargetReplica
)

// String names the target as plans print it.
func (t Target) String() string {
	if t == TargetReplica {
		return "replica"
	}
	return "primary"
}

// Instance is one server as configured. Addr is its identity:
// host:port, or unix:/path.
type Instance struct {
	Addr string
	// Weight is its share of replica reads relative to its siblings; 0 means
	// it takes none.
	Weight int
	// Zone is the data centre it stands in, empty if not said.
	Zone string
}

// Cluster is one primary and its replicas.
type Cluster struct {
	Name string
	// Primary is the configured primary's address, empty where it is to be
	// found by itself (config key servers:).
	Primary   string
	Instances []Instance
}

// Shard is one physical place of a table: a table in a database of a cluster.
// Index is its number within its table's placement, 0-based.
type Shard struct {
	Index    int
	Cluster  string
	Database string
	Table    string
}

// InstanceView is what is known of one instance at one moment.
type InstanceView struct {
	Instance
	Role   Role
	Flavor Flavor
	// Up: the last probe succeeded.
	Up bool
	// Lag is how far the replica is behind; 0 for a primary. Meaningless
	// unless LagKnown.
	Lag      time.Duration
	LagKnown bool
	// Executed is the GTID set the instance had executed at the last probe,
	// in the server's own spelling.
	Executed string
	// Version is the server's version string.
	Version string
	// Why is the last probe's error, empty when Up.
	Why string
}

// ClusterView is what is known of one cluster at one moment.
type ClusterView struct {
	Name string
	// Primary is the address writes go to, empty while there is none.
	Primary string
	// Why there is no primary, for errors and admin tables; empty while there is.
	Why       string
	Instances []InstanceView
}

// View is a snapshot of all clusters. Immutable once published.
type View struct {
	Clusters map[string]*ClusterView
}

// Cluster returns the view of one cluster, nil if it is not known.
func (v *View) Cluster(name string) *ClusterView {
	if v == nil {
		return nil
	}
	return v.Clusters[name]
}
