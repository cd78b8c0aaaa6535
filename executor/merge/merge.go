// Package merge combines the shards' streams of rows into the one stream the
// client sees: pull iterators over rows as they stand in packets. A row is
// passed on as it came wherever its columns stay; only aggregates and dropped
// columns make a new one.
//
// Rows are compared by keys: each row's sort columns are encoded so that the
// order of the bytes is MySQL's order (key.go). Text is never compared by
// itself: its order is that of its WEIGHT_STRING, which the shards send along.
//
// It does no I/O and knows no connection: the leaves' rows come from the caller.
package merge

import (
	"fmt"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// Rows is a stream of rows, pulled by one goroutine.
type Rows interface {
	// Open reads what comes before the rows and gives their columns, which
	// stay valid. It is called once, before Next.
	Open() ([]wire.Column, error)
	// Next gives the next row's payload, valid until the next call, and io.EOF
	// behind the last. Only columns that Open gave are in it.
	Next() ([]byte, error)
}

// Options of one merge.
type Options struct {
	// Binary: rows are those of a prepared statement.
	Binary bool
	// Limits are the numbers of each Limit node.
	Limits map[*plan.Limit]plan.ResolvedLimit
	// PadWeight gives the weight of a space in a collation by its id, nil
	// where trailing spaces count: for keys whose plan.Pad isn't known. Nil means
	// they always do.
	PadWeight func(collation uint16) []byte
	// Budget bounds what is held in memory; required.
	Budget *Budget
	// Leaf gives a leaf's streams, one a task, in the order of the tasks.
	Leaf func(plan.Node) ([]Rows, error)
}

// Build makes the stream a node stands for. What the shards send only for the
// merge (Route.Hidden) is not in it.
func Build(n plan.Node, opt *Options) (Rows, error) {
	rows, err := build(n, opt)
	if err != nil {
		return nil, err
	}
	if h := hidden(n); h > 0 {
		return newProject(rows, opt.Binary, -h), nil
	}
	return rows, nil
}

func build(n plan.Node, opt *Options) (Rows, error) {
	switch n := n.(type) {
	case *plan.Route, *plan.Insert, *plan.Const:
		parts, err := opt.Leaf(n)
		if err != nil {
			return nil, err
		}
		return newConcat(parts, false, opt.Binary), nil
	case *plan.MergeSort:
		parts, err := streams(n.Input, opt)
		if err != nil {
			return nil, err
		}
		if len(parts) == 1 {
			return parts[0], nil
		}
		return newMergeSort(parts, n.Keys, opt), nil
	case *plan.Told:
		parts, err := opt.Leaf(n.Input)
		if err != nil {
			return nil, err
		}
		return newTold(parts, n, opt), nil
	case *plan.Union:
		parts, err := arms(n, opt)
		if err != nil {
			return nil, err
		}
		return newConcat(parts, true, opt.Binary), nil
	}
	return buildUnary(n, opt)
}

func buildUnary(n plan.Node, opt *Options) (Rows, error) {
	children := n.Children()
	if len(children) != 1 {
		return nil, fmt.Errorf("merge: %T is not known", n)
	}
	in, err := build(children[0], opt)
	if err != nil {
		return nil, err
	}
	switch n := n.(type) {
	case *plan.Sort:
		return newSort(in, n.Keys, opt), nil
	case *plan.Distinct:
		return newDistinct(in, n.Keys, opt), nil
	case *plan.Aggregate:
		return newAggregate(in, n, opt), nil
	case *plan.Limit:
		return newLimit(in, opt.Limits[n]), nil
	case *plan.Project:
		return newProject(in, opt.Binary, n.Keep), nil
	}
	return nil, fmt.Errorf("merge: %T is not known", n)
}

// streams are the separately sorted inputs of a merge-sort.
func streams(n plan.Node, opt *Options) ([]Rows, error) {
	switch n := n.(type) {
	case *plan.Route, *plan.Insert, *plan.Const:
		return opt.Leaf(n)
	case *plan.Union:
		var all []Rows
		for _, in := range n.Inputs {
			parts, err := streams(in, opt)
			if err != nil {
				return nil, err
			}
			all = append(all, parts...)
		}
		return all, nil
	}
	rows, err := build(n, opt)
	if err != nil {
		return nil, err
	}
	return []Rows{rows}, nil
}

func arms(u *plan.Union, opt *Options) ([]Rows, error) {
	var parts []Rows
	for _, in := range u.Inputs {
		rows, err := build(in, opt)
		if err != nil {
			return nil, err
		}
		parts = append(parts, rows)
	}
	return parts, nil
}

// hidden is how many columns at the end of the node's rows are not shown.
func hidden(n plan.Node) int {
	switch n := n.(type) {
	case *plan.Route:
		return n.Hidden
	case *plan.MergeSort, *plan.Sort, *plan.Distinct, *plan.Limit:
		return hidden(n.Children()[0])
	case *plan.Union:
		if len(n.Inputs) > 0 {
			return hidden(n.Inputs[0])
		}
	}
	return 0
}
