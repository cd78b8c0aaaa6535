package shardrule

import "math"

// windowed is a nodeFunc of time: time is cut in windows, which are numbered
// in order, and each has its nodes.
type windowed interface {
	nodeFunc
	// window is the number of the key's window: a later time never has a lower
	// one.
	window(Key) (int64, bool)
	// nodes adds the nodes of a window.
	nodes(window int64, add func(int))
	// bounds are the windows that have nodes, where they do not repeat.
	bounds() (first, last int64)
}

// spanWindows implements spanner for dates. Integers that are read in a pattern
// are not ordered as their times are.
func spanWindows(w windowed, lo, hi Bound, add func(int)) bool {
	first, last := w.bounds()
	if lo.Key.IsInt || hi.Key.IsInt {
		return false
	}
	if !lo.Open {
		from, ok := w.window(lo.Key)
		if !ok {
			return false
		}
		first = max(first, from)
	}
	if !hi.Open {
		to, ok := w.window(hi.Key)
		if !ok {
			return false
		}
		last = min(last, to)
	}
	if last >= first && uint64(last)-uint64(first) > maxEnumerated {
		return false
	}
	for i := first; i <= last; i++ {
		w.nodes(i, add)
	}
	return true
}

// everywhere are the bounds of windows that repeat.
func everywhere() (first, last int64) { return math.MinInt64 / 2, math.MaxInt64 / 2 }
