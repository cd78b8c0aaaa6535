package plan

import (
	"strconv"
	"strings"

	"github.com/servaldb/serval/topology"
)

// Finish answers a query that no shard and no merge can: the rows of each
// table reference are copied into a temporary table on one server, and the
// query is run there. Only the root of a plan.
type Finish struct {
	// Fragments are what is copied, one for each reference: a server cannot
	// open one temporary table twice in a statement. The first has a Route.
	Fragments []*Fragment
	// SQL is the client's text; ChunkScratch i stands for the table of
	// fragment i.
	SQL Template
	// Once are CTEs that are computed before SQL is run, in this order.
	Once []*Once
	// Otherwise does without Once, for where a server does not compute one of
	// them ahead, and for what is only described. Nil where Once is empty.
	Otherwise *Finish
	// Differs, if not nil, refuses to run it on a MySQL server, which would compute
	// a CTE once that here is computed several times, each with other rows.
	Differs error
	// Texts are what else SQL has in the place of the client's words.
	Texts []Replaced
	// Locks: its fragments lock what they read.
	Locks bool
	// Target is where it may run: the rows are copied, so a replica that lags
	// will do.
	Target topology.Target
	// At, where its Cluster is not empty, is the one place it may run.
	At FinishAt
	// Unread: nobody has read the text yet; it may be in error.
	Unread bool
	// Semijoins: it may have semijoins beside outer joins. Copies: it defines a
	// CTE anew for each name. Of both an optimizer may be wrong.
	Semijoins, Copies bool
}

// FinishAt is the place of a query that needs more of a server than its rows: a
// stored function, a named lock, the home's tables.
type FinishAt struct {
	// Database is where the temporary tables are made; it exists on the cluster.
	Cluster, Database string
	// Own: on the connection the session keeps there.
	Own bool
	// Inside: it may read or change tables there, so it is part of the session's
	// transaction and sees its temporary tables.
	Inside bool
}

// Once is a CTE that is named several times: its rows are put into as many
// temporary tables, number First and the following (see FirstOnce).
type Once struct {
	Name         string
	SQL          Template
	First, Count int
}

// FirstOnce is the number of the first table of a Once; the fragments' are below.
const FirstOnce = 100

// Replaced is a text that stands in SQL where the client wrote another.
type Replaced struct{ With, Written string }

// Fragment is the rows of one table reference that can matter.
type Fragment struct {
	// Route selects Columns in their order, as binary strings (see Carry). Nil:
	// the rows are those of the fragment From, which stands before this one and
	// has the same columns. A statement must not see two states of a row, so a
	// table is read once, however often it is named; Route selects what any of
	// its references needs.
	Route *Route
	From  int
	// Reduce, if not nil, has fewer rows of Route read.
	Reduce *Reduce
	// Table is the logical table, Written the reference as the client wrote it,
	// Named what stands for it in SQL behind the temporary table's name.
	Table          TableName
	Written, Named string
	// Verbatim: the temporary table has the table's own name.
	Verbatim bool
	// Columns of the temporary table.
	Columns []FragmentColumn
	// PrimaryKey are the key's columns where all of them are copied: the
	// server must know that they decide the others (ONLY_FULL_GROUP_BY).
	PrimaryKey []string
	// Indexes are further keys that pay where the copy is large, each as the
	// list of its columns in SQL.
	Indexes []string
}

// FragmentColumn is one column of a Fragment.
type FragmentColumn struct {
	// Name as the table has it; Definition is what follows it in a CREATE
	// TABLE.
	Name, Definition string
	Carry            Carry
}

// Carry is how a value travels. All come as strings whose bytes no session's
// character set, time zone or protocol changes.
type Carry uint8

const (
	// CarryText: the value's bytes or its text; it is stored as a string.
	CarryText Carry = iota
	// CarryNumber: the bits of a SET or BIT value as a number.
	CarryNumber
	// CarryEnum: the number of an ENUM value, 0 for one that is not in the list.
	CarryEnum
	// CarryTimestamp: seconds since 1970 in UTC, 0 for the zero date.
	CarryTimestamp
	// CarryCharacters: text in utf8mb4 that is no bytes: JSON, UUID. One byte 0
	// stands for a value whose text is not all of it.
	CarryCharacters
)

// BoundFinish is a Finish with its values.
type BoundFinish struct {
	// Cluster is where it runs, in Database, which exists there; Own: it is
	// Serval's own and may have to be created.
	Cluster, Database string
	Own               bool
	Target            topology.Target
	// SQL is the query over the temporary tables, Once those of Finish.Once.
	SQL     []byte
	Markers []int
	Once    []Task
	// Otherwise binds Finish.Otherwise.
	Otherwise func() (*Bound, error)
	// Rename undoes the temporary tables' names.
	Rename *Rename
}

// ScratchCTE begins the names of a CTE's further definitions.
const ScratchCTE = "serval_fc"

// ScratchName is the temporary table of fragment i.
func ScratchName(i int) string { return "serval_f" + strconv.Itoa(i+1) }

func (*Finish) isNode() {}

// Children of a Finish are its fragments' routes, of those that have one.
func (n *Finish) Children() []Node {
	out := make([]Node, 0, len(n.Fragments))
	for _, f := range n.Fragments {
		if f.Route != nil {
			out = append(out, f.Route)
		}
	}
	return out
}

// ownDatabase is where temporary tables are made on a cluster that has none of
// the query's.
const ownDatabase = "serval_meta"

// finish binds what runs behind the fragments, which are bound: on the cluster
// that is to finish, or on the one most of their tasks are on, for it has a
// database that surely exists.
func (b *binder) finish(n *Finish) {
	if n.At.Cluster != "" {
		b.Finish = b.boundFinish(n, &BoundFinish{Cluster: n.At.Cluster, Database: n.At.Database})
		return
	}
	counts := map[string]int{}
	best := b.Tasks.Of(n.Fragments[0].Route)[0].Cluster
	if b.opt.Finisher != "" {
		best = b.opt.Finisher
	}
	for _, f := range n.Fragments {
		for _, t := range b.Tasks.Of(f.Route) {
			if counts[t.Cluster]++; b.opt.Finisher == "" && counts[t.Cluster] > counts[best] {
				best = t.Cluster
			}
		}
	}
	for _, f := range n.Fragments {
		for _, t := range b.Tasks.Of(f.Route) {
			if t.Cluster == best {
				at := topology.Shard{Index: t.Shard, Cluster: t.Cluster}
				b.Finish = b.boundFinish(n, &BoundFinish{Cluster: best, Database: f.Route.Tables[0].on(&at).Database})
				return
			}
		}
	}
	b.Finish = b.boundFinish(n, &BoundFinish{Cluster: best, Database: ownDatabase, Own: true})
}

// boundFinish renders n for the place in out.
func (b *binder) boundFinish(n *Finish, out *BoundFinish) *BoundFinish {
	out.Target = n.Target
	out.SQL, out.Markers = b.render(nil, nil, n.SQL, at{shard: &topology.Shard{Database: out.Database}})
	for _, o := range n.Once {
		var t Task
		t.SQL, t.Markers = b.render(nil, nil, o.SQL, at{shard: &topology.Shard{Database: out.Database}})
		out.Once = append(out.Once, t)
	}
	if n.Otherwise != nil {
		other, args, opt := *b.Plan, b.Args, b.opt
		other.Root = n.Otherwise
		out.Otherwise = func() (*Bound, error) { return other.Bind(args, opt) }
	}
	out.Rename = &Rename{Database: out.Database, LogicalDatabase: n.Fragments[0].Table.Schema}
	for i, f := range n.Fragments {
		out.Rename.Tables = append(out.Rename.Tables, TableRename{Physical: ScratchName(i), Logical: f.Table.Table})
	}
	return out
}

// BindFinish is the query of a plan that is a Finish, for its columns: it needs
// no values. finisher is as in Options.
func (p *Plan) BindFinish(args Args, finisher string) (*Finish, *BoundFinish) {
	n, ok := p.Root.(*Finish)
	if !ok {
		return nil, nil
	}
	if n.Otherwise != nil {
		n = n.Otherwise
	}
	b := binder{Bound: &Bound{Plan: p, Args: args}, env: Env{Args: args}}
	if n.At.Cluster != "" {
		b.finish(n)
		return n, b.Finish
	}
	f := n.Fragments[0]
	shard := &f.Route.Choice.Shard
	if pl := f.Route.Choice.Placement; pl != nil && f.Route.Choice.Kind != ChooseOne && len(pl.Shards) > 0 {
		shard = &pl.Shards[0]
	}
	if finisher != "" && finisher != shard.Cluster {
		return n, b.boundFinish(n, &BoundFinish{Cluster: finisher, Database: ownDatabase, Own: true})
	}
	return n, b.boundFinish(n, &BoundFinish{Cluster: shard.Cluster, Database: f.Route.Tables[0].on(shard).Database})
}

// Unscratch undoes in a column's label what Finish.SQL has put in the place of
// the tables, where the label is a text of the query.
func (n *Finish) Unscratch(database, label string) string {
	for _, t := range n.Texts {
		label = strings.ReplaceAll(label, t.With, t.Written)
	}
	for i, f := range n.Fragments {
		label = strings.ReplaceAll(label, string(appendScratch(nil, database, i))+f.Named, f.Written)
	}
	return label
}

// Place is where the copy of fragment i is, of a Finish in the database.
func (n *Finish) Place(database string, i int) TableName {
	if f := n.Fragments[i]; f.Verbatim {
		return f.Table
	}
	return TableName{Schema: database, Table: ScratchName(i)}
}

func appendScratch(dst []byte, database string, i int) []byte {
	dst = append(appendQuotedName(dst, database), '.')
	return appendQuotedName(dst, ScratchName(i))
}
