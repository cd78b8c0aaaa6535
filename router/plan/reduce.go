package plan

import (
	"bytes"
	"encoding/hex"
	"strings"
	"time"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/topology"
)

// Reduce is a fragment that is read after another one, and only as far as its
// rows can meet that one's: "column IN (the other's values)" is added to its
// conditions, and where the column is the sharding key the shards are narrowed.
// Where there are more values than MaxReduceValues it is read whole.
type Reduce struct {
	// From is the fragment that is read before, in its column number Column.
	From, Column int
	// Name is this fragment's column, SQL how its text names it.
	Name, SQL string
	// Kind is what the values are; in this fragment and in the other the columns
	// compare alike.
	Kind ReduceKind
	// Charset of ReduceText.
	Charset string
	// Key: it is the sharding key.
	Key bool
	// Within: the condition is not on the rows read, but on what they must meet
	// on their shard (see ChunkReduce).
	Within bool
}

// ReduceKind is how the values of a Reduce are written.
type ReduceKind uint8

const (
	// ReduceNumber: exact numbers, as digits.
	ReduceNumber ReduceKind = iota
	// ReduceText: the bytes of a text in its column's character set, to be
	// compared in the column's collation.
	ReduceText
	// ReduceDate: dates.
	ReduceDate
)

const (
	// MaxReduceValues bounds the list, reduceBytes its length in SQL.
	MaxReduceValues = 20_000
	// maxReduceTexts bounds a list of texts: from 1000 values on MariaDB makes a
	// table of a list (in_predicate_conversion_threshold), with a collation of
	// its own.
	maxReduceTexts = 999
	reduceBytes    = 256 << 10
)

// Stages are the fragments with a Route in the order they are read: those of a
// stage at once, each behind the one that reduces it.
func (n *Finish) Stages() [][]int {
	var out [][]int
	stage := make([]int, len(n.Fragments))
	var of func(i int) int
	of = func(i int) int {
		if stage[i] == 0 {
			stage[i] = 1
			if r := n.Fragments[i].Reduce; r != nil {
				stage[i] = of(r.From) + 1
			}
		}
		return stage[i]
	}
	for i, f := range n.Fragments {
		if f.Route == nil {
			continue
		}
		for s := of(i); len(out) < s; {
			out = append(out, nil)
		}
		out[of(i)-1] = append(out[of(i)-1], i)
	}
	return out
}

// Reduced are the tasks of a fragment's route, of those it was bound to, that
// are left where its column must have one of the values, each as it was carried
// (see Carry). ok is false where that cannot be written: then all its tasks are
// to be run as they are.
func (b *Bound) Reduced(f *Fragment, values [][]byte) (tasks []Task, ok bool) {
	list, ok := f.Reduce.list(values)
	if !ok {
		return nil, false
	}
	bind := binder{Bound: b, env: Env{Args: b.Args, Weigher: b.weigher, Placement: f.Route.Choice.Placement}}
	left := func(int) bool { return true }
	// Of a text only a server knows what its bytes are in the session's character set.
	if f.Reduce.Key && f.Reduce.Kind == ReduceNumber {
		if set, err := f.Reduce.cond(values).Shards(bind.env); err == nil {
			left = set.Has
		}
	}
	for _, t := range b.Tasks.Of(f.Route) {
		if t.Shard >= 0 && !left(t.Shard) {
			continue
		}
		place := at{tables: f.Route.Tables, shard: &topology.Shard{Index: t.Shard, Cluster: t.Cluster}, reduce: f.Reduce, values: list}
		if f.Route.Lists {
			place.list = f.Route.Choice.Placement
		}
		t.SQL, t.Markers = bind.render(nil, nil, f.Route.SQL, place)
		tasks = append(tasks, t)
	}
	return tasks, true
}

// cond is what the list says of the sharding key.
func (r *Reduce) cond(values [][]byte) Cond {
	in := In{Column: r.Name}
	for _, v := range values {
		kind := sqlval.Int
		if bytes.IndexByte(v, '.') >= 0 {
			kind = sqlval.Decimal
		}
		in.Values = append(in.Values, Operand{Value: -1, Const: sqlval.Value{Kind: kind, Text: v}})
	}
	return in
}

// list is the condition behind the column; false where a value is none of its kind.
func (r *Reduce) list(values [][]byte) ([]byte, bool) {
	if len(values) == 0 || len(values) > MaxReduceValues || r.Kind == ReduceText && len(values) > maxReduceTexts {
		return nil, false
	}
	b := []byte(" IN (")
	for i, v := range values {
		if i > 0 {
			b = append(b, ", "...)
		}
		switch r.Kind {
		case ReduceNumber:
			if !isNumber(v) {
				return nil, false
			}
			b = append(b, v...)
		case ReduceText:
			b = append(append(b, '_'), r.Charset...)
			b = append(hex.AppendEncode(append(b, " x'"...), v), '\'')
		case ReduceDate:
			// What is no day is nothing to compare with: servers make an error of it.
			if _, err := time.Parse(time.DateOnly, string(v)); err != nil {
				return nil, false
			}
			b = append(append(append(b, '\''), v...), '\'')
		}
	}
	return append(b, ')'), len(b) < reduceBytes
}

// isNumber: an optional sign, digits, and perhaps a point and digits.
func isNumber(v []byte) bool {
	v = bytes.TrimPrefix(v, []byte("-"))
	whole, fraction, point := bytes.Cut(v, []byte("."))
	return allDigits(whole) && (!point || allDigits(fraction))
}

func allDigits(v []byte) bool {
	return len(v) > 0 && strings.Trim(string(v), "0123456789") == ""
}
