// Package shardrule says where rows live: algorithms from a key's value to a
// shard (one a file), from a range of values to shards, and the same in SQL;
// and the Placement of one table. All of it is pure.
package shardrule

import (
	"fmt"

	"github.com/servaldb/serval/topology"
)

// ColumnType is the part of a column's type that decides how values compare
// and how they are stored.
type ColumnType uint8

const (
	// TypeOther: a type no algorithm takes (FLOAT, JSON, ENUM, spatial, …).
	TypeOther ColumnType = iota
	// TypeInt: TINYINT … BIGINT, BOOL.
	TypeInt
	// TypeDecimal: DECIMAL, NUMERIC.
	TypeDecimal
	// TypeText: CHAR, VARCHAR, TEXT with a collation.
	TypeText
	// TypeBinary: BINARY, VARBINARY, BLOB.
	TypeBinary
	// TypeDate is DATE.
	TypeDate
	// TypeDatetime is DATETIME.
	TypeDatetime
	// TypeTimestamp is TIMESTAMP: its text depends on the session's time_zone;
	// its Key is in UTC.
	TypeTimestamp
)

// Column is a sharding column as the servers define it.
type Column struct {
	Name string
	Type ColumnType
	// Bits is an integer's width: 8, 16, 24, 32, 64.
	Bits     int
	Unsigned bool
	// Scale is the digits after the point of DECIMAL, or of the seconds.
	Scale int
	// Length is CHAR(n), VARCHAR(n), BINARY(n) and so on, in characters; of
	// the TEXT and BLOB types in bytes; of DECIMAL all its digits. 0 is unknown.
	Length int
	// Fixed: CHAR, which loses trailing spaces, or BINARY, which is filled up
	// with zero bytes.
	Fixed bool
	// Bytes: Length counts bytes (TEXT types).
	Bytes bool
	// Collation is the text column's collation name; PadSpace whether it
	// ignores trailing spaces, and then PadWeight is one space's weight
	// string: other characters may weigh the same (no-break space in
	// utf8mb4_unicode_ci), so a key loses trailing PadWeights.
	Collation string
	PadSpace  bool
	PadWeight string
	// TextKey is what the table's algorithm takes of text.
	TextKey  TextKey
	Nullable bool
	// SQLType is the type as SHOW CREATE TABLE prints it.
	SQLType string
}

// Key is a sharding key's value in the column's type, ready for an Algorithm.
// For collated text, Bytes is the weight string or the characters, as the
// column's TextKey says; else the value's canonical text as the column would
// give it back. A Key may borrow the Value's bytes.
type Key struct {
	Null  bool
	Bytes []byte
	// Alt, if not nil, is what the servers may store instead: MySQL rounds
	// surplus digits of a second, MariaDB cuts them, and sql_mode changes
	// both; and a clock that is set back shows a time twice. An Algorithm
	// refuses a key whose two readings are on two shards.
	Alt []byte
	// Int is the value when the column is an integer that fits int64.
	Int   int64
	IsInt bool
}

// Bound is one end of a range, in the column's type. Open means there is no
// bound on this side.
type Bound struct {
	Open      bool
	Key       Key
	Exclusive bool
}

// Algorithm places a key among n shards.
type Algorithm interface {
	// Name is the algorithm as the rule spells it, e.g. "hash".
	Name() string
	// Shards is the number of shards, 1 or more.
	Shards() int
	// ShardOf is the index of the key's shard. A key that has none (a period
	// with no table) is an *sqlerr.Error with code NoPartitionForValue.
	ShardOf(Key) (int, error)
	// Takes says whether a column of this type can be sharded by it; the
	// error says which types can.
	Takes(Column) error
	// Spec is the algorithm and all its parameters in one line. Two
	// placements whose Spec, clusters and column types are the same keep
	// equal keys on the same shard.
	Spec() string
}

// Ranger is an Algorithm that can do better than "all shards" for a range.
type Ranger interface {
	Algorithm
	// ShardsOfRange returns every shard that may hold a key in the range, and
	// maybe more, never fewer.
	ShardsOfRange(lo, hi Bound) Set
}

// Binder is an Algorithm that depends on its column: Bind is what it is for a
// column it takes. The error is *WeightNeeded, or says why not.
type Binder interface {
	Algorithm
	Bind(c Column, w Weigher) (Algorithm, error)
}

// Texter is a Binder whose rule names texts: in a collation their weights are
// needed.
type Texter interface {
	Binder
	Texts() []string
}

// SQLTwin is an Algorithm MySQL can compute.
type SQLTwin interface {
	Algorithm
	// ShardExpr is an SQL expression over the quoted column that gives the
	// shard's index on MySQL and MariaDB; empty where they cannot compute it
	// of this column.
	ShardExpr(column string, c Column) string
}

// Kind is how a table is placed.
type Kind uint8

const (
	// Whole: the table is in one place. Requires: one shard.
	Whole Kind = iota
	// Global: a full copy on each of several clusters. Requires: one shard a
	// cluster.
	Global
	// Sharded: rows are spread by an Algorithm. Requires: Algorithm, Column,
	// as many shards as the Algorithm says.
	Sharded
)

// Placement is where one table's rows live. Immutable.
type Placement struct {
	// Schema and Table are the logical names.
	Schema, Table string
	Kind          Kind
	Algorithm     Algorithm
	// Column is the sharding column; the zero Column where there are Parts.
	Column Column
	// Parts are the columns of a rule of several; Algorithm is then a Composite.
	Parts []Part
	// Shards by index. For Global one a cluster, in config order.
	Shards []topology.Shard
	// Traffic counts by slot what goes to single shards; nil counts nothing.
	Traffic *Traffic
}

// Colocated reports that equal keys of p and q are always on the same shard
// index, in the same cluster, so a join on the keys stays local.
func (p *Placement) Colocated(q *Placement) bool {
	if p.Kind == Sharded && !p.GroupsWhole() || q.Kind == Sharded && !q.GroupsWhole() {
		return false
	}
	if p == q {
		return true
	}
	if p.Kind != Sharded || q.Kind != Sharded || p.Algorithm.Spec() != q.Algorithm.Spec() ||
		len(p.Shards) != len(q.Shards) || len(p.Parts) != len(q.Parts) || !sameKeySpace(p.Column, q.Column) && !p.Composite() {
		return false
	}
	for i := range p.Parts {
		if !sameKeySpace(p.Parts[i].Column, q.Parts[i].Column) {
			return false
		}
	}
	for i := range p.Shards {
		if p.Shards[i].Cluster != q.Shards[i].Cluster {
			return false
		}
	}
	return true
}

// sameKeySpace: values that compare equal between the two columns have the
// same Key. Of a column whose type is not known nothing is sure.
func sameKeySpace(a, b Column) bool {
	return a.Type == b.Type && a.Type != TypeOther && a.Scale == b.Scale && a.Collation == b.Collation && a.TextKey == b.TextKey
}

// OnCluster is the shard of a Global or Whole placement that stands on the
// cluster, or false.
func (p *Placement) OnCluster(cluster string) (topology.Shard, bool) {
	for _, s := range p.Shards {
		if s.Cluster == cluster {
			return s, true
		}
	}
	return topology.Shard{}, false
}

// WeightNeeded is returned by the conversions when a text key's weight string
// is not known yet: the caller asks a server for it (WEIGHT_STRING of Text in
// Collation), remembers it, and converts again.
type WeightNeeded struct {
	Collation string
	Text      []byte
}

func (e *WeightNeeded) Error() string {
	return fmt.Sprintf("weight string of %q in %s is not known", e.Text, e.Collation)
}

// Weigher knows weight strings. Weight returns false when it does not know
// this one. Text comes with trailing spaces removed where the collation pads.
type Weigher interface {
	Weight(collation string, text []byte) ([]byte, bool)
}

// Match is what a comparison "column = value" says about keys.
type Match uint8

const (
	// MatchKey: exactly the rows of one key match.
	MatchKey Match = iota
	// MatchNone: no row matches (NULL, a value outside the column's type).
	MatchNone
	// MatchUnknown: rows of several keys may match ('abc' compared with a
	// number): every shard must be asked.
	MatchUnknown
)
