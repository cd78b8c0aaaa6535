// Package plan is what to do with a statement, as plain data: the router makes
// it, the executor runs it, EXPLAIN FORMAT='route' and the text cases print it.
// It does no I/O.
package plan

import (
	"sync/atomic"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Plan is one planned statement. Immutable: sessions share it through the plan
// cache and Bind it to their values.
type Plan struct {
	Root Node
	// ReadOnly: it changes nothing and takes no locks, so it may be run again
	// and may go to a replica.
	ReadOnly bool
	// NeedsDB: the SQL has names the server resolves by the current database,
	// so the connection must be in the session's.
	NeedsDB bool
	// Effects of the statement that the session must follow.
	Effects Effects
	// Why says in a few words what decided the route, for EXPLAIN.
	Why string
	// Describe is the statement as the client wrote it, to be prepared on one
	// server for its columns and parameters (COM_STMT_PREPARE). Nil where the
	// plan's first leaf serves.
	Describe *Route
	// Watched: it relies on the servers' foreign keys, so it must not be run with
	// foreign_key_checks off.
	Watched bool
	// Spreads: it may be sent to more than one shard.
	Spreads bool
	// Looks: a condition in it is a Looked or a Followed.
	Looks bool
	// Spread is run instead where a route's key turns out to leave several
	// shards: its Choice.Single is ErrSpread then.
	Spread *Plan
	// Met is run instead where a lookup table tells the shard of the one row that
	// is asked for. If it gives no row the plan itself is run (Bound.Looked).
	Met *Plan
}

// PinNamedLock is the Effects.Pins of GET_LOCK.
const PinNamedLock = "named lock"

// Effects is what a statement does to its session beyond its result.
type Effects struct {
	// UserVars are the user variables it assigns (lower case, without @).
	UserVars []string
	// Pins: it leaves state that only lives on its connection (temporary
	// table, GET_LOCK, …); the text says which.
	Pins string
	// Schema: it changed a table's definition, which must be read again.
	Schema []TableName
	// UsesLastInsertID: it reads LAST_INSERT_ID().
	UsesLastInsertID bool
	// Found is what FOUND_ROWS() is after it.
	Found Found
	// Numbers: LAST_INSERT_ID() is only to be had from the connection it ran on
	// (an INSERT … RETURNING whose rows a server numbers).
	Numbers bool
	// Brings are the numbers that the rows of an INSERT for one server bring
	// themselves, if each does.
	Brings []Operand
	// Meets: the one row of an INSERT for one server may change another one
	// instead; SetsID: which computes LAST_INSERT_ID(expression) then.
	Meets, SetsID bool
}

// TableName is a logical table.
type TableName struct{ Schema, Table string }

// Node is one step of a plan. The closed list is in this file.
type Node interface {
	// Children are the inputs, outermost first.
	Children() []Node
	isNode()
}

// Route is the leaf: one statement, sent to some shards. With one shard and
// nothing above, its answer is relayed undecoded; with several and nothing
// above, rows are concatenated and counts are added.
type Route struct {
	Choice Choice
	Target topology.Target
	SQL    Template
	// Tables are the references in the SQL that get a physical name, by
	// Chunk.Index.
	Tables []TableRef
	// OfCluster is what ChunkOfCluster stands for on each cluster.
	OfCluster map[string]string
	// Hidden is the number of columns at the end of each row that are there
	// for the steps above and are not shown.
	Hidden int
	// Columns is how many columns the answer has, hidden ones included, where
	// the steps above count on it; an answer of another width means that the
	// table is no longer what the catalog says, and is an error. 0: any.
	Columns int
	// Together: all shards' rows must be open at once (a merge-sort is above).
	Together bool
	// Lists: there is a ChunkList in the SQL.
	Lists bool
	// Returns: it changes rows and is answered with them (RETURNING).
	Returns bool
	// Learned is the executor's: what it knows of earlier runs, as text and
	// prepared. It changes how the shards are asked, never what.
	Learned [2]atomic.Value

	cache routeCache
}

// Insert is a multi-row INSERT or REPLACE split by shard: each shard's
// statement is SQL with the Rows chunk replaced by that shard's rows. A Global
// table's copies get all rows each.
// Requires: Table is Sharded or Global.
type Insert struct {
	Table TableRef
	// Key is where each row's sharding key comes from: Rows[i].Key.
	Rows []Row
	// Repeat: Rows has one entry that stands for as many rows as there are
	// values; see Template.
	Repeat *Repeat
	SQL    Template
	// AutoIncrement is the column Serval numbers in the rows that leave it
	// out or give it NULL, 0 or DEFAULT: it stands in SQL, and as a
	// ChunkNumber in each row. Empty if the statement has none.
	AutoIncrement string
	// KeyIsNumber: the sharding key is the AutoIncrement column; of several
	// columns number NumberKey is.
	KeyIsNumber bool
	NumberKey   int
	// Exprs are key expressions only a server can compute (NOW()), which are
	// the same for all rows; see ErrNeedExprs.
	Exprs []Template
	// SetsID: it has LAST_INSERT_ID(expression), so the server says what
	// LAST_INSERT_ID() is afterwards.
	SetsID bool
	// Upsert: it is a REPLACE, or has ON DUPLICATE KEY UPDATE.
	Upsert bool
	// Meets: a row that meets another one is left out or changes that (IGNORE,
	// ON DUPLICATE KEY UPDATE).
	Meets bool
	// Returns: it is answered with its rows (RETURNING).
	Returns bool
}

// Row is one VALUES tuple of an Insert.
type Row struct {
	// SQL is the tuple with its parentheses.
	SQL Template
	Key Operand
	// More are the keys of the other columns of a rule of several.
	More []Operand
	// Number is the value the row gives the AutoIncrement column; Absent
	// where it gives none.
	Number Operand
}

// Repeat says that tuples of the same shape follow each other: tuple r's
// value i is value First + r*Width + i of the statement; values after the last
// tuple are shifted alike. The row count is the statement's (values - Other)
// / Width.
type Repeat struct{ First, Width, Other int }

// MergeSort merges the shards' sorted rows into one sorted stream.
// Requires: each shard's rows are sorted by Keys.
type MergeSort struct {
	Input Node
	Keys  []SortKey
}

// Sort sorts all rows in memory, within the memory budget.
type Sort struct {
	Input Node
	Keys  []SortKey
}

// Aggregate combines the shards' partial aggregates. With Group, the rows must
// come sorted by it (MergeSort below), and groups are combined one at a time.
type Aggregate struct {
	Input Node
	Group []SortKey
	// Outputs are the columns in order. Output i keeps the definition (name,
	// type, decimals) of input column i where i is less than Shown: what is
	// shown comes first in the input, computed from hidden columns behind it.
	// Outputs from Shown on are for a Sort above; they have the definition of
	// their own Column.
	Outputs []Output
	Shown   int
}

// Distinct drops rows equal to the one before. Requires: Input is sorted by Keys.
type Distinct struct {
	Input Node
	Keys  []SortKey
}

// Limit shows Count rows after skipping Offset.
type Limit struct {
	Input         Node
	Count, Offset Operand // a zero Offset means 0
}

// Project keeps the first Keep columns of each row.
type Project struct {
	Input Node
	Keep  int
}

// Union shows its inputs' rows one input after the other (UNION ALL).
type Union struct{ Inputs []Node }

// Sequence runs its steps one after the other, each on all its shards before
// the next begins, and stops at the first error; the last step's answer is the
// statement's, those before are dropped. Used for DDL. Requires: Steps are
// Routes.
type Sequence struct{ Steps []Node }

// Const is a result Serval gives by itself, without a server.
type Const struct {
	Columns []string
	Rows    [][]string
}

// SortKey is one key of an ordering, by its column in the input row.
type SortKey struct {
	Column int
	Desc   bool
	// Weight is the column that holds WEIGHT_STRING of the key, or -1. It is
	// used where the key's column turns out to be text.
	Weight int
	// Pad is how the key's collation treats trailing spaces.
	Pad Pad
	// Label is the key as the plan prints it.
	Label string
}

// Pad is how trailing spaces count in the collation of a text key. A result
// does not tell: its column definitions carry the collation results are sent
// in (seen on MySQL 9.7 and MariaDB 10.11), not the column's own.
type Pad struct {
	// Known: the router knew the collation, so Space says all. Where it did
	// not (an expression), the executor takes the result's collation for it.
	Known bool
	// Space is the weight of a space where trailing spaces do not count, nil
	// where they do.
	Space []byte
}

// Func is a combined aggregate.
type Func uint8

const (
	// FuncKeep: the group's first row's value (a group key, ANY_VALUE).
	FuncKeep Func = iota
	// FuncCount: the sum of the shards' COUNTs, BIGINT, never NULL.
	FuncCount
	// FuncSum: the exact sum of the shards' SUMs.
	FuncSum
	// FuncMin and FuncMax compare as ORDER BY does.
	FuncMin
	FuncMax
	// FuncAvg: SUM by COUNT, with MySQL's scale. Requires: Column is the sum,
	// Column2 the count.
	FuncAvg
	// FuncBitAnd, FuncBitOr and FuncBitXor combine 64 bits, BIGINT UNSIGNED,
	// never NULL.
	FuncBitAnd
	FuncBitOr
	FuncBitXor
)

// Output is one shown column of an Aggregate.
type Output struct {
	Func    Func
	Column  int // input column
	Column2 int // FuncAvg: the count's column
	Weight  int // FuncMin, FuncMax on text: the column of the weight, or -1
	Pad     Pad // of Weight
	// Digits is FuncSum's and FuncAvg's column of the same sum with all digits
	// that the server computes, where Column shows fewer; 0 where there is none.
	// It counts only if Column is a DECIMAL.
	Digits int
	// Label is the output column's name; empty keeps the input column's.
	Label string
	// Text is how the plan prints it.
	Text string
}

func (*Route) isNode()     {}
func (*Insert) isNode()    {}
func (*MergeSort) isNode() {}
func (*Sort) isNode()      {}
func (*Aggregate) isNode() {}
func (*Distinct) isNode()  {}
func (*Limit) isNode()     {}
func (*Project) isNode()   {}
func (*Union) isNode()     {}
func (*Const) isNode()     {}
func (*Sequence) isNode()  {}

// Children of each node.
func (*Route) Children() []Node       { return nil }
func (*Insert) Children() []Node      { return nil }
func (n *MergeSort) Children() []Node { return []Node{n.Input} }
func (n *Sort) Children() []Node      { return []Node{n.Input} }
func (n *Aggregate) Children() []Node { return []Node{n.Input} }
func (n *Distinct) Children() []Node  { return []Node{n.Input} }
func (n *Limit) Children() []Node     { return []Node{n.Input} }
func (n *Project) Children() []Node   { return []Node{n.Input} }
func (n *Union) Children() []Node     { return n.Inputs }
func (*Const) Children() []Node       { return nil }
func (n *Sequence) Children() []Node  { return n.Steps }

// TableRef is one reference to a table in the SQL.
type TableRef struct {
	Placement *shardrule.Placement
	// Alias is to be written after the physical name so that the rest of the
	// statement still finds the table; empty where the statement has its own
	// alias or none is needed.
	Alias string
	// Label is what the client wrote, where a column's name is made of a text
	// that the reference is in.
	Label string
}

// Operand is where a value comes from at Bind: value number Value of the
// statement, negated if Negate; or Const when Value is -1.
type Operand struct {
	Value  int
	Negate bool
	Const  sqlval.Value
	// Absent: there is no operand.
	Absent bool
	// Unknown: an expression; its value is not known before a server has
	// computed it. In an Insert's key, Value is its place in Insert.Exprs.
	Unknown bool
}

// ChunkKind is the kind of a Chunk.
type ChunkKind uint8

const (
	// ChunkText is text as it is.
	ChunkText ChunkKind = iota
	// ChunkValue is the statement's value number Index: the literal as it was
	// written, or a ? whose parameter is sent along.
	ChunkValue
	// ChunkTable is the physical name of Route.Tables[Index].
	ChunkTable
	// ChunkRows is the place of an Insert's rows.
	ChunkRows
	// ChunkLimit is the sum of the Limit's count and offset, which is what
	// each shard is asked for. Index is the count's value, Index2 the
	// offset's, -1 for none. Where the sum passes 64 bits it is the largest
	// number, which is MySQL's own way to say "no limit".
	ChunkLimit
	// ChunkNumber is the row's AutoIncrement column: the number Serval gives,
	// or, where the row has a value of its own, value number Index, or Text
	// when Index is -1.
	ChunkNumber
	// ChunkExpr is the computed value of Insert.Exprs[Index].
	ChunkExpr
	// ChunkDatabase is the quoted name of the database where
	// Tables[Index] stands.
	ChunkDatabase
	// ChunkDatabaseText is the same as an SQL string.
	ChunkDatabaseText
	// ChunkTableOnly is the quoted physical name without its database.
	ChunkTableOnly
	// ChunkConstraint is the quoted name that the constraint Text of
	// Tables[Index] has on the shard (shardrule.ShardConstraint).
	ChunkConstraint
	// ChunkList are the statement's values number Index to Index2, in an IN list
	// over the sharding key: each shard is sent those that may be its own.
	ChunkList
	// ChunkScratch is the temporary table of a Finish's fragment Index.
	ChunkScratch
	// ChunkReduce is Text and the condition of a fragment's Reduce, or nothing.
	// With an Index it is for a Reduce Within: Text is a column there, or empty,
	// and an AND follows.
	ChunkReduce
	// ChunkWritten is value number Index as it was written, within a quoted name:
	// in a label.
	ChunkWritten
	// ChunkArm is nothing in a shard's own text. Where several are put together
	// to one statement each has its number there, as a further column.
	ChunkArm
	// ChunkOfCluster is the text the Route has for the task's cluster.
	ChunkOfCluster
)

// Chunk is a piece of a Template.
type Chunk struct {
	Kind   ChunkKind
	Text   string
	Index  int
	Index2 int
}

// Template is a statement's text with holes for values and names.
type Template []Chunk

// ChoiceKind is how a Route's shards are chosen.
type ChoiceKind uint8

const (
	// ChooseOne: one fixed place. Requires: Shard.
	ChooseOne ChoiceKind = iota
	// ChooseAny: any copy of a global table. Requires: Placement is Global.
	ChooseAny
	// ChooseCopies: every copy of a global table (a write).
	ChooseCopies
	// ChooseByKey: the shards Cond leaves. Requires: Placement is Sharded.
	ChooseByKey
	// ChooseFirst: the first shard, for what is the same on all (SHOW CREATE).
	ChooseFirst
	// ChooseDatabases: one shard in each physical database there is, for what
	// is done to databases. Requires: Placement.
	ChooseDatabases
	// ChooseClusters: each of Clusters.
	ChooseClusters
)

// Choice says which shards a Route goes to.
type Choice struct {
	Kind      ChoiceKind
	Placement *shardrule.Placement
	Shard     topology.Shard
	// Cond over the sharding key; nil means all shards.
	Cond Cond
	// Single: the router relies on one shard being left (a join or a LIMIT that
	// is only right within one); Bind refuses otherwise, with Single as the
	// refusal.
	Single error
	// Clusters of ChooseClusters.
	Clusters []string
}

// Cond is a condition on the sharding key, as far as the router understands
// the WHERE clause: it holds for at least the rows the statement can touch.
type Cond interface {
	// Shards evaluates it to a superset of the shards that can match.
	Shards(Env) (shardrule.Set, error)
	String() string
}
