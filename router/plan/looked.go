package plan

import (
	"strings"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
)

// Looked is "unique columns = values" or "unique column IN (values)", where a
// lookup table tells the sharding keys of the rows. What it tells may be of
// another moment than the rows: so where it tells of fewer than there may be all
// shards are left, and whoever runs the statement runs it anew on all of them
// where it met fewer (Bound.Looked).
type Looked struct {
	// Read asks the lookup table; its rows are sharding keys.
	Read *Plan
	// Keys are the values that its columns are to equal, Rows how many rows do, if
	// each is there.
	Keys []LookedKey
	Rows int
	// Columns and Table are for EXPLAIN.
	Columns []string
	Table   string
}

// LookedKey is one value of one column.
type LookedKey struct {
	Column shardrule.Column
	Value  Operand
}

// ErrNeedLookup is returned by Bind for a Looked: the caller runs its Read and
// binds again with Options.Found.
type ErrNeedLookup struct{ Looked *Looked }

func (*ErrNeedLookup) Error() string { return "plan: a lookup table must be asked" }

// Lookups are what lookup tables have told.
type Lookups map[*Looked][]LookedRow

// LookedRow is one row's sharding keys, in the order of Placement.Keys.
type LookedRow []sqlval.Value

// Shards implements Cond.
func (c *Looked) Shards(env Env) (shardrule.Set, error) {
	n := len(env.Placement.Shards)
	if env.Found == nil {
		return shardrule.FullSet(n), nil
	}
	if !c.alone(env) {
		return shardrule.FullSet(n), nil
	}
	keys, asked := env.Found[c]
	if !asked {
		return shardrule.EmptySet(n), &ErrNeedLookup{c}
	}
	if len(keys) != c.Rows {
		return shardrule.FullSet(n), nil
	}
	set := shardrule.EmptySet(n)
	for _, k := range keys {
		if env.Placement.Composite() {
			one, err := k.byParts(env.Placement).Shards(env)
			if err != nil {
				return shardrule.FullSet(n), err
			}
			set = set.Or(one)
			continue
		}
		all, err := Equal{Value: Operand{Value: -1, Const: k[0]}, NullSafe: true}.add(env, set)
		if err != nil || all {
			return shardrule.FullSet(n), err
		}
	}
	*env.looked = c.Rows
	return set, nil
}

// byParts says the row's keys of each part of a rule of several columns.
func (r LookedRow) byParts(p *shardrule.Placement) And {
	out := make(And, len(p.Parts))
	for i, part := range p.Parts {
		out[i] = PartOf{Part: p.Part(i), Stride: part.Stride, Index: i, Of: p, Cond: Equal{Value: Operand{Value: -1, Const: r[i]}, NullSafe: true}}
	}
	return out
}

// alone: each value equals one value of its column only, so that one row has it at
// most. Text that is 5 may be many, and then rows could be met without all being met.
func (c *Looked) alone(env Env) bool {
	for i := range c.Keys {
		v, known := c.Keys[i].Value.Resolve(env.Args)
		if !known {
			return false
		}
		if _, match, err := c.Keys[i].Column.KeyToCompare(v, anyWeight{}); err != nil || match != shardrule.MatchKey {
			return false
		}
	}
	return true
}

// anyWeight is for those who do not look at the key.
type anyWeight struct{}

// Weight implements shardrule.Weigher.
func (anyWeight) Weight(_ string, text []byte) ([]byte, bool) { return text, true }

// String implements Cond.
func (c *Looked) String() string {
	return strings.Join(c.Columns, ", ") + pick(c.Rows == 1, "", " IN (…)") + " looked up in " + c.Table
}
