package plan

import (
	"strings"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
)

// Looked is "unique columns = values", where a lookup table tells the sharding
// key of the row. What it tells may be of another moment than the row: so where
// it tells nothing all shards are left, and whoever runs the statement runs it
// anew on all of them where it met no row (Bound.Looked).
type Looked struct {
	// Read asks the lookup table; its rows are sharding keys.
	Read *Plan
	// Columns and Table are for EXPLAIN.
	Columns []string
	Table   string
}

// ErrNeedLookup is returned by Bind for a Looked: the caller runs its Read and
// binds again with Options.Found.
type ErrNeedLookup struct{ Looked *Looked }

func (*ErrNeedLookup) Error() string { return "plan: a lookup table must be asked" }

// Lookups are what lookup tables have told.
type Lookups map[*Looked][]sqlval.Value

// Shards implements Cond.
func (c *Looked) Shards(env Env) (shardrule.Set, error) {
	n := len(env.Placement.Shards)
	if env.Found == nil {
		return shardrule.FullSet(n), nil
	}
	keys, asked := env.Found[c]
	if !asked {
		return shardrule.EmptySet(n), &ErrNeedLookup{c}
	}
	set := shardrule.EmptySet(n)
	for _, k := range keys {
		all, err := Equal{Value: Operand{Value: -1, Const: k}, NullSafe: true}.add(env, set)
		if err != nil || all {
			return shardrule.FullSet(n), err
		}
	}
	if len(set.Members()) == 0 {
		return shardrule.FullSet(n), nil
	}
	*env.looked = true
	return set, nil
}

// String implements Cond.
func (c *Looked) String() string { return strings.Join(c.Columns, ", ") + " looked up in " + c.Table }
