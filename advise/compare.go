package advise

import (
	"cmp"
	"slices"

	"github.com/servaldb/serval/catalog"
)

// Change is a digest that would run another way under other rules.
type Change struct {
	DB, Digest string
	Count      uint64
	From, To   Way
	// Why it is refused then, empty where it is not.
	Why string
}

// Changes are the digests of a workload that run another way under next than
// under old; those that get worse first, then by how often they are asked.
func Changes(old, next *catalog.Catalog, w *Workload) (out []Change) {
	for _, d := range w.Digests() {
		c := Change{DB: d.DB, Digest: d.Text, Count: d.Count}
		for _, sql := range d.tried(triedInReport) {
			before, after := judge(old, d.DB, sql), judge(next, d.DB, sql)
			c.From = max(c.From, before.way)
			if c.To = max(c.To, after.way); after.way == Refused {
				c.Why = after.why
			}
		}
		if c.From != c.To {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(x, y Change) int {
		return cmp.Or(-cmp.Compare(worse(x), worse(y)), -cmp.Compare(x.Count, y.Count))
	})
	return out
}

func worse(c Change) int {
	if c.To > c.From {
		return 1
	}
	return 0
}
