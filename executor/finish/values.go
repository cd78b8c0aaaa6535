package finish

import (
	"bytes"
	"slices"

	"github.com/servaldb/serval/router/plan"
)

// column is a column of a fragment.
type column struct{ fragment, column int }

// watched are the columns whose values reduce other fragments, with those there
// have been; nil once they are too many.
func watched(n *plan.Finish) map[column]map[string]struct{} {
	var all map[column]map[string]struct{}
	for _, f := range n.Fragments {
		if f.Reduce == nil || f.Route == nil {
			continue
		}
		if all == nil {
			all = map[column]map[string]struct{}{}
		}
		all[column{f.Reduce.From, f.Reduce.Column}] = map[string]struct{}{}
	}
	return all
}

// watch notes a value that is not NULL.
func (l *Load) watch(fragment, i int, v []byte) {
	at := column{fragment, i}
	values := l.values[at]
	if values == nil {
		return
	}
	if _, there := values[string(v)]; there {
		return
	}
	if len(values) == plan.MaxReduceValues {
		l.values[at] = nil
		return
	}
	values[string(v)] = struct{}{}
}

// Values are the different values of a fragment's column that reduces others,
// without NULL, each as it was carried; known is false where they are too many.
// The fragment has been read.
func (l *Load) Values(fragment, i int) (values [][]byte, known bool) {
	set := l.values[column{fragment, i}]
	for v := range set {
		values = append(values, []byte(v))
	}
	slices.SortFunc(values, bytes.Compare) // the same statement for the same values
	return values, set != nil
}
