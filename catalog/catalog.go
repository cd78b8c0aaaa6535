// Package catalog is what the data plane knows: schemas, tables and their
// placements, users, clusters. A Catalog is immutable; the control plane
// publishes a new one through the Store.
package catalog

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Catalog is one version of everything. Immutable once published.
type Catalog struct {
	// Version grows with every publication; cached plans carry it.
	Version  uint64
	Clusters map[string]*topology.Cluster
	Schemas  map[string]*Schema
	Users    map[string]*User
	// Home is the cluster of databases that no schema names.
	Home string
	// FoldNames: the servers compare table names in lower case
	// (lower_case_table_names is not 0).
	FoldNames bool
	// Collations by name, as the servers list them.
	Collations map[string]Collation
	// Zone is the time_zone of sessions that set none, an offset or a name;
	// empty where it is not known, or not the same on all servers.
	Zone string
	// Information is what the servers' information_schema holds, nil while no
	// server has been asked.
	Information *Information
	// Plain are the tables and views without a rule whose columns are known, by
	// database and name: those at the schemas' homes, and on the cluster Home
	// those of databases that no schema names. Their Placement is nil.
	Plain map[string]map[string]*Table
	// Beside are a reshard's tables, that nobody is to see.
	Beside Beside
	// Views are the logical views.
	Views map[ViewName]*View
	// Strays are what must not run where it stands.
	Strays Strays
	// Off are the parts that are turned off.
	Off Off
}

// Off are the parts of the data plane that the rules turn off; the zero value
// has all on.
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
}

// Information are the tables of information_schema by name in upper case, with
// their columns, whose names are in upper case, in order.
type Information struct {
	Flavor topology.Flavor
	Tables map[string]*Table
}

// Collation is what a merge must know to order text exactly.
type Collation struct {
	Name    string
	Charset string
	ID      uint16
	// PadSpace: trailing spaces do not count in comparisons.
	PadSpace bool
	// PadWeight is the weight string of one space, with which the shorter
	// weight string is padded; nil unless PadSpace.
	PadWeight []byte
	// Default: it is its character set's default collation.
	Default bool
}

// Schema is one logical database.
type Schema struct {
	Name string
	// Home is the cluster of its tables that no rule names, in the database
	// of the same name.
	Home string
	// Tables by name (lower case where FoldNames).
	Tables map[string]*Table
	// NewTables is by what a table gets a rule that has none when it is created;
	// nil: it lives in Home.
	NewTables *NewTables
}

// NewTables is the sharding column of tables to come.
type NewTables struct {
	// Column they must have; empty: the one of their primary key.
	Column string
}

// Table is one logical table that has a rule, or whose columns are known.
type Table struct {
	Name      string
	Placement *shardrule.Placement
	// Columns in order; empty while no server has the table yet.
	Columns []Column
	// PrimaryKey is the key's column names in order, empty if there is none.
	PrimaryKey []string
	// UniqueKeys are the other unique keys' columns.
	UniqueKeys [][]string
	// Uniques are the unique keys that are so over all shards, by tables that
	// Serval keeps; those whose table is not there are not among them.
	Uniques []Unique
	// WantsUnique are the keys that the rule has under unique:, whether their
	// lookup tables are there or not.
	WantsUnique [][]string
	// Followers are the tables whose rows follow this one's (shardrule.Follow).
	Followers []*Table
	// LookupOf is the table whose key LookupKey this one keeps unique, else empty.
	LookupOf  string
	LookupKey []string
	// Indexes are all keys that a server can look values up in, the unique ones
	// among them, without the primary key.
	Indexes []Index
	// AutoIncrement is the column that takes numbers by itself, or empty.
	AutoIncrement string
	// Snowflake: its numbers are times, not of a block.
	Snowflake bool
	// NewShardsAhead and KeepPeriods are the time rules' ahead: and keep:, 0
	// if not said.
	NewShardsAhead, KeepPeriods int
}

// Unique is a unique key that does not have the sharding column. Its lookup table
// has a row for each row of the table whose key has no NULL: the key's columns,
// which are its primary key, and the row's sharding column.
type Unique struct {
	// Key is the index's name, as the table's servers have it.
	Key string
	// Columns in the index's order.
	Columns []string
	// Lookup is the table of the same schema, sharded by one of Columns.
	Lookup *Table
	// Ready: it has a row for each row of the table, so it may be read. It is
	// written in any case.
	Ready bool
}

// Index is a key of columns in their order; one with an expression in it is
// not known.
type Index []IndexColumn

// IndexColumn is one column of an Index; of text only its first Prefix
// characters or bytes where that is not 0.
type IndexColumn struct {
	Name   string
	Prefix int
}

// Column is one column as information_schema.COLUMNS describes it.
type Column struct {
	shardrule.Column
	// Default is the default as an SQL expression, empty if none.
	Default   string
	Generated bool
	// AutoIncrement: the server numbers it by itself.
	AutoIncrement bool
	// OnUpdate: a change of the row sets it to the time.
	OnUpdate bool
	// Invisible: SELECT * does not show it.
	Invisible bool
	// JSON: a MariaDB longtext that is JSON, checked by json_valid; its JSON
	// functions take it as such, and other text as a string.
	JSON bool
	// DataType is the bare type name in lower case: int, varchar, datetime, enum.
	DataType string
}

// User may log in to Serval.
type User struct {
	Name     string
	Password string
	// Schemas the user may use; empty means all.
	Schemas []string
	// ReadOnly: only statements that change nothing.
	ReadOnly bool
}

// Table finds a table with a rule or known columns; nil means it is a plain
// table at the schema's home (or does not exist). Names are compared as the
// servers do (FoldNames). It does not allocate.
func (c *Catalog) Table(schema, table string) *Table {
	s := c.Schema(schema)
	if s == nil {
		return nil
	}
	return find(s.Tables, table, c.FoldNames)
}

// PlainTable finds a table or view without a rule; nil means that its columns
// are not known, or that it has a rule or does not exist.
func (c *Catalog) PlainTable(schema, table string) *Table {
	if c.FoldNames {
		schema, table = strings.ToLower(schema), strings.ToLower(table)
	}
	return c.Plain[schema][table]
}

// Schema finds a schema that has rules, nil if it has none.
func (c *Catalog) Schema(name string) *Schema { return find(c.Schemas, name, c.FoldNames) }

// HomeOf is the cluster of a database's tables that have no rule.
func (c *Catalog) HomeOf(schema string) string {
	if s := c.Schema(schema); s != nil && s.Home != "" {
		return s.Home
	}
	return c.Home
}

// maxName is the longest name of a table or database, in bytes: 64 characters
// of UTF-8.
const maxName = 256

// find looks a name up, in lower case where fold is set.
func find[V any](m map[string]*V, name string, fold bool) *V {
	if !fold || len(name) > maxName {
		return m[name]
	}
	var buf [maxName]byte
	for i := range len(name) {
		b := name[i]
		switch {
		case b >= utf8.RuneSelf:
			return m[strings.ToLower(name)]
		case 'A' <= b && b <= 'Z':
			b += 'a' - 'A'
		}
		buf[i] = b
	}
	return m[string(buf[:len(name)])]
}

// Store holds the current Catalog. Load is what every statement calls and
// takes no lock.
type Store struct {
	current atomic.Pointer[Catalog]
	held    atomic.Pointer[Hold]
	promise atomic.Pointer[promise]
	mu      struct {
		sync.Mutex
		subscribers []chan struct{}
	}
}

// NewStore holds c, which may be empty but not nil.
func NewStore(c *Catalog) *Store {
	s := &Store{}
	s.current.Store(c)
	return s
}

// Load is the current catalog.
func (s *Store) Load() *Catalog { return s.current.Load() }

// Publish makes c current and gives it the next version. Only the control
// plane calls it, one call at a time.
func (s *Store) Publish(c *Catalog) {
	c.Version = s.current.Load().Version + 1
	s.current.Store(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ch := range s.mu.subscribers {
		select {
		case ch <- struct{}{}:
		default: // it has a signal waiting already
		}
	}
}

// Subscribe returns a channel that is signalled after a publication; several
// publications may be one signal. There is no way to unsubscribe: call it once
// for each long-lived part of the process.
func (s *Store) Subscribe() <-chan struct{} {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.subscribers = append(s.mu.subscribers, ch)
	return ch
}

// Hold keeps statements waiting: because it is not known which rules are in
// effect, or because tables change their place.
type Hold struct {
	// Why is for those who wait too long.
	Why string
	// Writes: only new transactions and changes outside of one wait; what reads
	// outside of a transaction goes on, and so do transactions that are open.
	Writes bool
	// Over is closed when those who wait look again: there may be another Hold,
	// or a Catalog to plan by anew.
	Over chan struct{}
}

// Held is the hold there is, nil for none. It takes no lock.
func (s *Store) Held() *Hold {
	h := s.held.Load()
	if h == nil || h.Writes {
		if p := s.promise.Load(); p != nil && time.Now().After(p.until) {
			return &p.hold
		}
	}
	return h
}

// promise is until when statements go on by the rules as they are.
type promise struct {
	until time.Time
	hold  Hold
}

// Until holds everything from then on, unless it is called again before: also in
// a process that was stopped meanwhile and could not hold by itself. The zero time
// is no end. Only the control plane calls it, one call at a time.
func (s *Store) Until(at time.Time, why string) {
	old := s.promise.Load()
	switch {
	case at.IsZero() && old == nil || old != nil && old.until.Equal(at):
		return
	case at.IsZero():
		s.promise.Store(nil)
	default:
		s.promise.Store(&promise{at, Hold{Why: why, Over: make(chan struct{})}})
	}
	if old != nil {
		close(old.hold.Over)
	}
}

// Hold begins one of everything, or makes one of writes that. Only the control
// plane calls it.
func (s *Store) Hold(why string) {
	next := &Hold{Why: why, Over: make(chan struct{})}
	for {
		h := s.held.Load()
		if h != nil && !h.Writes {
			return
		}
		if s.held.CompareAndSwap(h, next) {
			if h != nil {
				close(h.Over)
			}
			return
		}
	}
}

// HoldWrites begins a hold of writes, if there is none of any kind. Only the
// control plane calls it.
func (s *Store) HoldWrites(why string) {
	s.held.CompareAndSwap(nil, &Hold{Why: why, Writes: true, Over: make(chan struct{})})
}

// Release ends the hold, if there is one.
func (s *Store) Release() {
	if h := s.held.Swap(nil); h != nil {
		close(h.Over)
	}
}
