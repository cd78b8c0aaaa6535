package plan

import "github.com/servaldb/serval/shardrule"

// PartOf is what a condition on one column of a rule of several leaves of the
// shards: those that have one of its places.
type PartOf struct {
	// Part is the column's function as a placement of its own, Stride how many
	// shards each of its places makes.
	Part   *shardrule.Placement
	Stride int
	// Index is the part's number, Of the placement it is a part of.
	Index int
	Of    *shardrule.Placement
	Cond  Cond
}

// Shards implements Cond.
func (c PartOf) Shards(env Env) (shardrule.Set, error) {
	n := len(env.Placement.Shards)
	env.Placement = c.Part
	set, err := c.Cond.Shards(env)
	if err != nil {
		return shardrule.FullSet(n), err
	}
	return set.Widen(c.Stride, n), nil
}

// String implements Cond.
func (c PartOf) String() string { return c.Cond.String() }
