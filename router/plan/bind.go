package plan

import (
	"errors"
	"math"
	"strconv"

	"github.com/servaldb/serval/internal/sqlerr"
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
	// Found and Places are as in Options; looked is set where they decided.
	Found  Lookups
	Places Places
	looked *int
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
	// Tuples are the numbers of the rows an Insert that Returns has here.
	Tuples []int
	// Arm is where a further column goes in SQL, 0 for nowhere (ChunkArm).
	Arm int
	// Rename undoes the physical names in the answer: column definitions and
	// error messages. Nil where names are as the client knows them.
	Rename *Rename
}

// Rename maps a shard's physical names back to the logical ones.
type Rename struct {
	Database, LogicalDatabase string
	Tables                    []TableRename
	// Labels are references as they were sent and as the client wrote them, of
	// names that a server makes of an expression's text.
	Labels []TableRename
}

// TableRename is one table of a Rename.
type TableRename struct{ Physical, Logical string }

// LeafTasks are the tasks of one leaf (Route, Insert).
type LeafTasks struct {
	Leaf  Node
	Tasks []Task
}

// Tasks are those of all leaves that have any, in the order they were bound. A
// list: most statements have one leaf, for which a map is dear.
type Tasks []LeafTasks

// Of are the tasks of a leaf, nil for none.
func (t Tasks) Of(leaf Node) []Task {
	for i := range t {
		if t[i].Leaf == leaf {
			return t[i].Tasks
		}
	}
	return nil
}

// Add gives a leaf tasks, behind those it has.
func (t *Tasks) Add(leaf Node, tasks []Task) {
	for i := range *t {
		if (*t)[i].Leaf == leaf {
			(*t)[i].Tasks = append((*t)[i].Tasks, tasks...)
			return
		}
	}
	*t = append(*t, LeafTasks{leaf, tasks})
}

// Bound is a plan with its values: what each leaf (Route, Insert) sends.
// It is used once.
type Bound struct {
	Plan  *Plan
	Args  Args
	Tasks Tasks
	// Limits are the resolved counts and offsets by Limit node.
	Limits map[*Limit]ResolvedLimit
	// FirstNumber is the first auto-increment number the statement's rows
	// got, 0 if they got none: what LAST_INSERT_ID() is afterwards.
	FirstNumber uint64
	// KeepsID: each row brings its own number, so LAST_INSERT_ID() stays what it
	// was, while the OK of such an INSERT tells the number it brought.
	KeepsID bool
	// Given are the numbers of rows that may not all be inserted, nil where they
	// are or none was given; FirstNumber is 0 then.
	Given *Given
	// MaxNumber is the largest value the rows gave the auto-increment column
	// themselves, 0 if none: Serval's sequence must go on above it.
	MaxNumber uint64

	// RowShards are the shards of an Insert's rows, nil where all are on one
	// table.
	RowShards []int

	// Finish is what runs behind the fragments of a plan that is a Finish,
	// else nil.
	Finish *BoundFinish
	// Staged is what a plan that is a Staged does, else nil.
	Staged *BoundStaged
	// Looked, if not 0, is how many rows are met on the shards that a lookup table
	// chose. If fewer are, it is to be bound again without.
	Looked int
	// Placed: an Insert's rows are where their parents were found. Where one is
	// not there the foreign key says so.
	Placed bool

	weigher shardrule.Weigher // of the Bind

	one  [1]Task
	leaf [1]LeafTasks
	// listed are the shards of values in lists, by their number, or noShard or
	// anyShard.
	listed map[int]int
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
	// Above is the largest number that rows before the last of them bring
	// themselves: theirs are to be larger, as on one server.
	Above uint64
}

func (*ErrNeedNumbers) Error() string { return "plan: auto-increment numbers are needed" }

// ErrNeedExprs is returned by Bind for an Insert whose key is an expression:
// the caller runs SQL (a SELECT of one row, over no table) on a primary in the
// session's state and binds again with its row as Options.Exprs.
type ErrNeedExprs struct {
	SQL     []byte
	Markers []int
	// Cluster is where the first shard is: any server will do.
	Cluster string
}

func (*ErrNeedExprs) Error() string { return "plan: expressions must be computed by a server" }

// ErrSpread is the Choice.Single of a plan that has a Spread: "key = value" is
// one shard unless the value can only be compared by a server (text with 7).
var ErrSpread = errors.New("plan: one shard was expected")

// Options of one Bind.
type Options struct {
	Weigher shardrule.Weigher
	// FirstNumber is the first of the reserved auto-increment numbers, 0 if
	// none were.
	FirstNumber uint64
	// Exprs are the values ErrNeedExprs asked for.
	Exprs []sqlval.Value
	// ZeroIsValue: sql_mode has NO_AUTO_VALUE_ON_ZERO.
	ZeroIsValue bool
	// Prefer is the cluster to read a global table from where it has a copy
	// (the one a transaction is on already); Pick spreads the other reads
	// over the copies (a connection's number will do).
	Prefer string
	Pick   uint32
	// Found is what lookup tables told so far; nil: none is to be asked.
	Found Lookups
	// Places are the parents that were looked up so far.
	Places Places
	// Onto, if not 0, is the shard, counted from 1, that an Insert's rows are
	// sent to whatever their keys: one of them meets a row there.
	Onto int
	// Finisher is the cluster on which queries are finished; empty for the one
	// most of their rows' shards are on.
	Finisher string
}

// binder is one Bind at work.
type binder struct {
	*Bound
	opt Options
	env Env
	arm int // where the ChunkArm rendered last stands
}

// Bind resolves the plan with its values: which shards, and the SQL of each.
// Errors: *sqlerr.Error for what the client must see; *shardrule.WeightNeeded,
// *ErrNeedNumbers, *ErrNeedExprs and *ErrNeedPlaces for what the caller is to fetch before it
// binds again; *ErrNeedLookup where Options.Found is not nil.
func (p *Plan) Bind(args Args, opt Options) (*Bound, error) {
	if p.Met != nil && opt.Found != nil {
		if b, err := p.Met.Bind(args, opt); !errors.Is(err, ErrSpread) {
			return b, err
		}
	}
	b := binder{Bound: &Bound{Plan: p, Args: args, weigher: opt.Weigher}, opt: opt}
	b.env = Env{Args: args, Weigher: opt.Weigher, Found: opt.Found, Places: opt.Places, looked: &b.Looked}
	b.Tasks = b.leaf[:0]
	if err := b.node(p.Root); err != nil {
		if errors.Is(err, ErrSpread) && p.Spread != nil {
			return p.Spread.Bind(args, opt)
		}
		return nil, err
	}
	if len(p.Effects.Brings) > 0 {
		b.KeepsID = b.brought(p.Effects.Brings)
	}
	if l, ok := p.Root.(*Limit); ok && p.ReadOnly && p.Describe != nil && b.Limits[l].Count == 0 {
		// No row is wanted: one server says what the columns are, of the
		// statement as it came.
		none := *b.Bound
		none.Plan = &Plan{Root: p.Describe, ReadOnly: true, NeedsDB: p.NeedsDB, Effects: p.Effects, Why: p.Why}
		none.Tasks = Tasks{{p.Describe, []Task{b.describe(p.Describe)}}}
		return &none, nil
	}
	return b.Bound, nil
}

// BindDescribe is the one task whose prepared form has the statement's columns
// and parameters. It needs no values but their count and their markers.
func (p *Plan) BindDescribe(args Args) (Task, bool) {
	b := binder{Bound: &Bound{Plan: p, Args: args}, env: Env{Args: args}}
	if p.Describe != nil {
		return b.describe(p.Describe), true
	}
	if _, ok := p.Root.(*Finish); ok {
		return Task{}, false // see BindFinish
	}
	for n := p.Root; n != nil; {
		switch leaf := n.(type) {
		case *Route:
			return b.describe(leaf), true
		case *Insert:
			return b.describeInsert(leaf), true
		}
		c := n.Children()
		if len(c) == 0 {
			break
		}
		n = c[0]
	}
	return Task{}, false
}

func (b *binder) node(n Node) error {
	switch n := n.(type) {
	case *Route:
		return b.route(n)
	case *Insert:
		return b.insert(n)
	case *Staged:
		b.staged(n)
		return nil
	case *Limit:
		if err := b.limit(n); err != nil {
			return err
		}
	}
	switch n := n.(type) { // Children would allocate
	case *Limit:
		return b.node(n.Input)
	case *MergeSort:
		return b.node(n.Input)
	case *Project:
		return b.node(n.Input)
	}
	for _, c := range n.Children() {
		if err := b.node(c); err != nil {
			return err
		}
	}
	if f, ok := n.(*Finish); ok {
		b.finish(f)
	}
	return nil
}

func (b *binder) limit(l *Limit) error {
	count, err := limitNumber(l.Count, b.Args)
	if err != nil {
		return err
	}
	offset, err := limitNumber(l.Offset, b.Args)
	if err != nil {
		return err
	}
	if b.Limits == nil {
		b.Limits = make(map[*Limit]ResolvedLimit, 1)
	}
	b.Limits[l] = ResolvedLimit{Count: count, Offset: offset}
	return nil
}

// limitNumber is a LIMIT operand's number. An absent one is 0; one that is no
// unsigned number is ER_WRONG_ARGUMENTS, as MySQL says it.
func limitNumber(o Operand, args Args) (uint64, error) {
	if o.Absent {
		return 0, nil
	}
	v, known := o.Resolve(args)
	if !known {
		return 0, sqlerr.New(sqlerr.WrongArguments, "Incorrect arguments to LIMIT")
	}
	if v.Kind == sqlval.Null && o.Value == -1 {
		return 0, nil // the zero Operand with Value -1: no offset
	}
	n, err := strconv.ParseUint(string(v.Text), 10, 64)
	if err != nil {
		if errors.Is(err, strconv.ErrRange) && v.Kind == sqlval.Int && v.Text[0] != '-' {
			return math.MaxUint64, nil
		}
		return 0, sqlerr.New(sqlerr.WrongArguments, "Incorrect arguments to LIMIT")
	}
	return n, nil
}

// route finds the shards and makes a task of each.
func (b *binder) route(r *Route) error {
	if r.Choice.Kind == ChooseByKey {
		return b.byKey(r)
	}
	switch shards := b.fixed(r.Choice); len(shards) {
	case 0:
		return sqlerr.New(sqlerr.NoPartitionForValue, "table %s has no shards", r.Choice.Placement.Table)
	case 1:
		b.single(r, shards[0])
	default:
		b.several(r, shards)
	}
	return nil
}

// byKey is route for a sharded placement; the common case of one key makes no
// set.
func (b *binder) byKey(r *Route) error {
	p := r.Choice.Placement
	b.env.Placement = p
	if e, ok := r.Choice.Cond.(Equal); ok {
		shard, hit, err := e.shard(b.env)
		if err != nil {
			return err
		}
		if hit != hitAll {
			b.single(r, &p.Shards[shard]) // no row: shard 0 answers with none
			return nil
		}
	}
	set, err := b.shardSet(r.Choice)
	if err != nil {
		return err
	}
	members := set.Members()
	if r.Choice.Single != nil && len(members) > 1 {
		return r.Choice.Single
	}
	switch len(members) {
	case 0: // no row can match, yet columns and counts must come from a server
		b.single(r, &p.Shards[0])
	case 1:
		b.single(r, &p.Shards[members[0]])
	default:
		shards := make([]*topology.Shard, len(members))
		for i, m := range members {
			shards[i] = &p.Shards[m]
		}
		b.several(r, shards)
	}
	return nil
}

func (b *binder) shardSet(c Choice) (shardrule.Set, error) {
	if c.Cond == nil {
		return shardrule.FullSet(len(c.Placement.Shards)), nil
	}
	return c.Cond.Shards(b.env)
}

// fixed is the shards of a choice that needs no value.
func (b *binder) fixed(c Choice) []*topology.Shard {
	switch c.Kind {
	case ChooseOne:
		return []*topology.Shard{&c.Shard}
	case ChooseAny:
		return []*topology.Shard{b.anyCopy(c.Placement)}
	case ChooseFirst:
		if len(c.Placement.Shards) == 0 {
			return nil
		}
		return []*topology.Shard{&c.Placement.Shards[0]}
	case ChooseCopies, ChooseByKey:
		all := make([]*topology.Shard, len(c.Placement.Shards))
		for i := range all {
			all[i] = &c.Placement.Shards[i]
		}
		return all
	case ChooseDatabases:
		return oneADatabase(c.Placement)
	case ChooseClusters:
		all := make([]*topology.Shard, len(c.Clusters))
		for i, name := range c.Clusters {
			all[i] = &topology.Shard{Index: -1, Cluster: name}
		}
		return all
	}
	return nil
}

func (b *binder) anyCopy(p *shardrule.Placement) *topology.Shard {
	if b.opt.Prefer != "" {
		for i := range p.Shards {
			if p.Shards[i].Cluster == b.opt.Prefer {
				return &p.Shards[i]
			}
		}
	}
	return &p.Shards[int(b.opt.Pick)%len(p.Shards)]
}

func oneADatabase(p *shardrule.Placement) []*topology.Shard {
	var out []*topology.Shard
	type place struct{ cluster, database string }
	seen := map[place]bool{}
	for i := range p.Shards {
		at := place{p.Shards[i].Cluster, p.Shards[i].Database}
		if !seen[at] {
			seen[at] = true
			out = append(out, &p.Shards[i])
		}
	}
	return out
}

// single makes r's only task.
func (b *binder) single(r *Route, s *topology.Shard) {
	tasks := b.one[:]
	if len(b.Tasks) > 0 { // another leaf has it
		tasks = make([]Task, 1)
	}
	tasks[0] = b.task(r, s)
	b.Tasks.Add(r, tasks)
}

func (b *binder) several(r *Route, shards []*topology.Shard) {
	tasks := make([]Task, len(shards))
	for i, s := range shards {
		tasks[i] = b.task(r, s)
	}
	b.Tasks.Add(r, tasks)
}
