package shardrule

import (
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
)

// FollowName is the name of Follow.
const FollowName = "follow"

// Follow places a row where the row of another table is that its key refers to.
// No value says by itself where that is: it is looked up.
type Follow struct {
	// Parent is the table that is followed; its shards are the follower's.
	Parent *Placement
	// To is its column that the key refers to, unique over its shards by the
	// table Lookup, which has To and the sharding column of Parent.
	To     string
	Lookup *Placement
	// Unready is why rows need not be where their parents are; empty where each
	// server sees to it by a foreign key.
	Unready string
}

var _ Algorithm = (*Follow)(nil)

// Name implements Algorithm.
func (*Follow) Name() string { return FollowName }

// Shards implements Algorithm.
func (f *Follow) Shards() int { return len(f.Parent.Shards) }

// ShardOf implements Algorithm: of no key is it known.
func (f *Follow) ShardOf(Key) (int, error) {
	return 0, sqlerr.Refuse("a row that follows one of "+f.Parent.Table, "where that is must be looked up", "")
}

// Takes implements Algorithm. What a foreign key takes the servers say.
func (*Follow) Takes(Column) error { return nil }

// Spec implements Algorithm.
func (f *Follow) Spec() string {
	return FollowName + " v1 of " + f.Parent.Schema + "." + f.Parent.Table + " by " + f.To + ": " + f.Parent.Algorithm.Spec()
}

// Follows is the Follow of a table that follows another one, nil for any other.
func (p *Placement) Follows() *Follow {
	if p == nil {
		return nil
	}
	f, _ := p.Algorithm.(*Follow)
	return f
}

// FollowsTo reports that p's rows are where the rows of q are to whose column
// they refer.
func (p *Placement) FollowsTo(q *Placement, column string) bool {
	f := p.Follows()
	return f != nil && f.Unready == "" && f.Parent == q && strings.EqualFold(f.To, column)
}

// GroupsWhole reports that rows with equal keys, NULL among them, are on one
// shard.
func (p *Placement) GroupsWhole() bool {
	if f := p.Follows(); f != nil && (f.Unready != "" || p.Column.Nullable) {
		return false // ON DELETE SET NULL leaves a row where it is
	}
	for i := range p.Parts {
		if !p.Parts[i].Column.EqualKeysTogether() {
			return false
		}
	}
	return p.Column.EqualKeysTogether()
}
