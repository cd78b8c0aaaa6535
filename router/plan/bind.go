package plan

import (
	"errors"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Args are the values of one execution, numbered as they stand in the
// statement's text: literals and ? alike.
type Args interface {
	Len() int
	// Value is value i for routing.
	Value(i int) sqlval.Value
	// AppendSQL appends value i as it is to stand in the SQL: a literal as it
	// was written. For a ? of a prepared statement it appends "?" and reports
	// marker.
	AppendSQL(dst []byte, i int) (out []byte, marker bool)
}

// Env is what a Cond is evaluated in.
type Env struct {
	Placement *shardrule.Placement
	Args      Args
	Weigher   shardrule.Weigher
}

// Task is one statement for one shard.
type Task struct {
	// Shard is the index within the route's placement, -1 where there is none.
	Shard   int
	Cluster string
	Target  topology.Target
	SQL     []byte
	// Markers are the numbers of the values whose ? stand in SQL, in order.
	Markers []int
	// Rename undoes the physical names in the answer: column definitions and
	// error messages. Nil where names are as the client knows them.
	Rename *Rename
}

// Rename maps a shard's physical names back to the logical ones.
type Rename struct {
	Database, LogicalDatabase string
	Tables                    []TableRename
}

// TableRename is one table of a Rename.
type TableRename struct{ Physical, Logical string }

// Bound is a plan with its values: what each leaf (Route, Insert) sends.
// It is used once.
type Bound struct {
	Plan *Plan
	Args Args
	// Tasks by leaf.
	Tasks map[Node][]Task
	// Limits are the resolved counts and offsets by Limit node.
	Limits map[*Limit]ResolvedLimit
}

// ResolvedLimit is a Limit with its numbers.
type ResolvedLimit struct{ Count, Offset uint64 }

// ErrNeedNumbers is returned by Bind for an Insert that leaves its
// auto-increment column to Serval: the caller reserves Rows numbers and binds
// again with Options.FirstNumber.
type ErrNeedNumbers struct {
	Table  TableName
	Column string
	Rows   int
}

func (*ErrNeedNumbers) Error() string { return "plan: auto-increment numbers are needed" }

// Options of one Bind.
type Options struct {
	Weigher shardrule.Weigher
	// FirstNumber is the first of the reserved auto-increment numbers, 0 if
	// none were.
	FirstNumber uint64
}

// Bind resolves the plan with its values: which shards, and the SQL of each.
// Errors: *sqlerr.Error for what the client must see; *shardrule.WeightNeeded
// and *ErrNeedNumbers for what the caller is to fetch before it binds again.
func (p *Plan) Bind(args Args, opt Options) (*Bound, error) {
	return nil, errors.New("not built")
}
