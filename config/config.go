// Package config reads serval.yaml: YAML to validated structs. It is strict,
// reports everything it finds at once, each with its line and what to do, and
// knows nothing of servers.
package config

import (
	"time"

	"github.com/servaldb/serval/shardrule"
)

// Config is one valid configuration. Immutable after Load.
type Config struct {
	// Path is where its rules came from: the file, or a version of the store.
	// Empty for Quick.
	Path string
	// Store keeps the rules' versions: etcd://host:2379/path for several
	// Servals, empty for a folder beside the file.
	Store string
	// Name is this Serval's among those of the store; empty: host:port.
	Name string
	// Listen are the addresses of the MySQL protocol: host:port or unix:/path.
	Listen []string
	// Admin is the HTTP side's host:port; empty: there is none.
	Admin string
	// TLS of client connections; nil: no TLS is offered.
	TLS *TLS
	// Users may log in.
	Users []User
	// FromFlags: the configuration is Quick's; its one user is the backend
	// account itself.
	FromFlags bool
	// Backend is the account on the servers; a cluster may have its own.
	Backend Account
	// Home is the cluster of databases that no schema names, empty if there
	// is none.
	Home string
	// Clusters and Schemas in the file's order.
	Clusters []Cluster
	Schemas  []Schema

	Log        Log
	Limits     Limits
	Pool       Pool
	Replicas   Replicas
	HoldWrites HoldWrites
	Finisher   Finisher
	// LocalInfile allows LOAD DATA LOCAL, by which a client sends a file.
	LocalInfile bool
	Off         Off
	// base is the configuration that With made this one of, with given; nil: none.
	base  *Config
	given []Given
	lost  []Lost
	// sections are the file's keys, for Changes.
	sections []section
}

// Off are the parts that features: turns off; the zero value has all on.
type Off struct {
	// Scatter: statements over more than one shard are refused.
	Scatter bool
	// Finisher: statements whose rows would have to be brought together are
	// refused, StagedWrites those whose rows would have to be read first.
	Finisher, StagedWrites bool
	// DDL: definitions of tables with a rule are refused.
	DDL bool
	// ReplicaReads: every read goes to the primary.
	ReplicaReads bool
	// Periods: Serval makes and drops no period's tables by itself.
	Periods bool
	// DeadlockDetection: deadlocks over clusters end by their lock waits' timeout.
	DeadlockDetection bool
}

// TLS files, as paths.
type TLS struct {
	Cert, Key string
	// ClientCA, if not empty: a client must show a certificate of it.
	ClientCA string
	// Required: a client without TLS is refused.
	Required bool
}

// Account is a user on the servers.
type Account struct {
	User, Password string
	// TLS of the connections to the servers.
	TLS BackendTLS
}

// BackendTLS says how to reach servers.
type BackendTLS struct {
	// Mode is disabled (the default: servers are near, and TLS costs a relay most of its
	// speed), required (encrypted, any certificate) or verify.
	Mode string
	// CA is the file of the authority for verify; empty: the system's.
	CA string
	// Cert and Key are Serval's own certificate, if the servers ask for one.
	Cert, Key string
}

// Modes of BackendTLS.
const (
	TLSDisabled = "disabled"
	TLSRequired = "required"
	TLSVerify   = "verify"
)

// User may log in to Serval.
type User struct {
	Name, Password string
	// Schemas the user may use; empty: all.
	Schemas  []string
	ReadOnly bool
	Line     int
}

// Cluster is one primary and its replicas.
type Cluster struct {
	Name string
	// Primary is its configured address; empty where the primary is to be
	// found by itself (servers:).
	Primary string
	// Instances are all of it, the primary first where it is configured.
	Instances []Instance
	// Account is Backend, or the cluster's own.
	Account Account
	Line    int
}

// Instance is one server.
type Instance struct {
	Addr string // host:port or unix:/path
	// Weight is its share of the reads; 0: none. The primary's is 0 unless
	// given.
	Weight int
	Zone   string
}

// Schema is one logical database.
type Schema struct {
	Name string
	// Home is the cluster of its tables without a rule.
	Home   string
	Tables []Table
	// NewTables is the rule that tables get which are created through Serval and
	// have none; nil: they live in Home.
	NewTables *Table
	Line      int
}

// Layout is where a sharded table's shards stand.
type Layout uint8

const (
	// LayoutDatabases: shard i is the table of the same name in a database of
	// its own: shop_3.orders, shop_202611.payment_logs. The default.
	LayoutDatabases Layout = iota
	// LayoutTables: shard i is a table with its number in the name, in the
	// schema's database: shop.orders_3, shop.payment_logs_202611. The default
	// of time rules.
	LayoutTables
)

// String is the layout as the file spells it.
func (l Layout) String() string {
	if l == LayoutTables {
		return "tables"
	}
	return "databases"
}

// TableKind is what kind of rule a table has.
type TableKind uint8

const (
	// Whole: in one place.
	Whole TableKind = iota
	// Global: a full copy on each cluster of On.
	Global
	// Sharded: by Rule.
	Sharded
)

// Table is one table's rule. What like: says is filled in already.
type Table struct {
	Name string
	Kind TableKind
	// Rule is what shard: and its parameters say, of Sharded.
	Rule shardrule.Rule
	// On are its clusters in order; one for Whole.
	On []string
	// Places, if not empty, are where its shards, copies or itself stand.
	Places []Place
	// Shards is how many a function has that does not say so itself.
	Shards int
	Layout Layout
	// Like is the table whose shards it has, empty if not said.
	Like string
	// Through is the column by which its rows follow those of table Like, to whose
	// column References it refers; empty for a table with a rule of its own.
	Through, References string
	// AutoIncrement is the column Serval numbers, empty if not said.
	AutoIncrement string
	// Snowflake: by time and Serval, not from blocks: auto_increment:
	// snowflake(column).
	Snowflake bool
	// Keep and Ahead are a time rule's periods before (this one included) and
	// after now; Keep 0: all there are.
	Keep, Ahead int
	// From is its first period as its Calendar reads it, empty if not said.
	From string
	// Zone is the time zone in which its column is written, or its moments are
	// shown, so in which a period begins; nil: UTC.
	Zone *time.Location
	// DropOld: periods before Keep are dropped.
	DropOld bool
	// Unique are the keys without the sharding column that are unique over all
	// shards, each by its columns.
	Unique [][]string
	// LookupOf is the table whose key LookupKey this one keeps unique: a rule
	// that Serval makes of unique:, with no line of its own. Empty for others.
	LookupOf  string
	LookupKey []string
	Line      int
}

// Log is what is logged and how.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // text, json
	// Slow: statements that take longer are logged; 0: none are.
	Slow time.Duration
}

// Limits bound what clients can use up. A duration of 0 is no limit.
type Limits struct {
	MaxConnections int // clients at once
	MaxPacket      int // bytes, both ways
	// StatementTimeout bounds a statement, MemoryPerStatement what merging
	// may hold for one, in bytes.
	StatementTimeout   time.Duration
	MemoryPerStatement int64
	// LoginTimeout bounds the handshake, IdleTimeout a session's silence
	// (wait_timeout), DrainTimeout the end after SIGTERM.
	LoginTimeout, IdleTimeout, DrainTimeout time.Duration
	// PlanCache is the number of plans kept, PreparedStatements those one
	// session may have open.
	PlanCache, PreparedStatements int
}

// Pool bounds the connections to each server.
type Pool struct {
	Max                            int
	ConnectTimeout, AcquireTimeout time.Duration
	IdleTimeout, MaxLifetime       time.Duration
	// Statements is how many prepared statements one connection keeps.
	Statements int
}

// Replicas is how they are watched and used.
type Replicas struct {
	// MaxLag: a replica further behind takes no reads.
	MaxLag time.Duration
	// Probe is the time between two looks at each server, ProbeTimeout bounds one.
	Probe, ProbeTimeout time.Duration
	// Consistency is the sessions' default: eventual, session, global.
	Consistency string
	// WaitForGTID is how long a read waits for a replica to have the
	// session's writes before it goes to the primary.
	WaitForGTID time.Duration
	// Zone, if not empty, is the zone whose replicas are preferred.
	Zone string
}

// HoldWrites bounds the writes kept waiting while a cluster has no primary.
type HoldWrites struct {
	Timeout time.Duration
	Max     int // statements at once over all clusters
}

// Finisher is where, and how much at most, rows of several shards are brought
// together to finish a statement on one server.
type Finisher struct {
	// Cluster is empty for the one most of a statement's shards are on.
	Cluster string
	// MaxRows and MaxBytes bound what one statement moves.
	MaxRows, MaxBytes int64
}

// Defaults are the values of keys a file leaves out.
func Defaults() Config {
	return Config{
		Listen: []string{"127.0.0.1:3307"},
		Log:    Log{Level: "info", Format: "text", Slow: time.Second},
		Limits: Limits{
			MaxConnections: 2000, MaxPacket: 64 << 20, StatementTimeout: time.Hour, MemoryPerStatement: 64 << 20,
			LoginTimeout: 10 * time.Second, IdleTimeout: 8 * time.Hour, DrainTimeout: 30 * time.Second,
			PlanCache: 10000, PreparedStatements: 16382,
		},
		Pool: Pool{
			Max: 100, ConnectTimeout: 3 * time.Second, AcquireTimeout: 5 * time.Second,
			IdleTimeout: 5 * time.Minute, MaxLifetime: time.Hour, Statements: 512,
		},
		Replicas: Replicas{
			MaxLag: 10 * time.Second, Probe: time.Second, ProbeTimeout: 2 * time.Second,
			Consistency: "session", WaitForGTID: 50 * time.Millisecond,
		},
		HoldWrites: HoldWrites{Timeout: 10 * time.Second, Max: 1000},
		Finisher:   Finisher{MaxRows: 1_000_000, MaxBytes: 1 << 30},
	}
}

// Cluster finds a cluster by name, nil if there is none.
func (c *Config) Cluster(name string) *Cluster {
	for i := range c.Clusters {
		if c.Clusters[i].Name == name {
			return &c.Clusters[i]
		}
	}
	return nil
}
