package plan

import (
	"errors"
	"strconv"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
)

// WhyWatched is why a statement is refused while foreign_key_checks is off.
const WhyWatched = "with foreign_key_checks off nothing would keep rows on the shards of the rows they follow"

// PlaceKey is a parent's value: a Follow and the value in its column's type.
type PlaceKey struct {
	Follow *shardrule.Follow
	Value  string
}

// Places are the shards of parents, NoParent of one that was not found.
type Places map[PlaceKey]int

// NoParent is the place of a value that no parent has.
const NoParent = -1

// ErrNeedPlaces is returned by Bind where rows follow others: the caller looks
// the parents up and binds again with Options.Places.
type ErrNeedPlaces struct {
	Follow *shardrule.Follow
	Wanted []Wanted
}

// Wanted is one parent to be looked up.
type Wanted struct {
	Key PlaceKey
	// Value is what the lookup table has, At its shard there.
	Value sqlval.Value
	At    int
}

func (*ErrNeedPlaces) Error() string { return "plan: parents must be looked up" }

// Followed is "key = value" of a table that follows another one. What is looked
// up may be of another moment than the row, so whoever runs the statement runs
// it anew on all shards where it met no row (Bound.Looked).
type Followed struct {
	Placement *shardrule.Placement
	Value     Operand
}

// Shards implements Cond.
func (c Followed) Shards(env Env) (shardrule.Set, error) {
	n := len(c.Placement.Shards)
	v, known := c.Value.Resolve(env.Args)
	if env.Found == nil || !known || v.Kind == sqlval.Null {
		return shardrule.FullSet(n), nil
	}
	key, match, err := c.Placement.Column.KeyToCompare(v, env.Weigher)
	if err != nil || match != shardrule.MatchKey {
		return shardrule.FullSet(n), err
	}
	f := c.Placement.Follows()
	place, asked := env.Places[placeKey(f, key)]
	if !asked {
		w, err := wanted(f, key, v, env)
		if weight := (*shardrule.WeightNeeded)(nil); errors.As(err, &weight) {
			return shardrule.FullSet(n), err
		} else if err != nil {
			return shardrule.FullSet(n), nil //nolint:nilerr // what cannot be stored is met by no row, and which warns the servers say
		}
		return shardrule.EmptySet(n), &ErrNeedPlaces{Follow: f, Wanted: []Wanted{w}}
	}
	if place == NoParent {
		return shardrule.FullSet(n), nil
	}
	*env.looked = 1
	return shardrule.OneShard(n, place), nil
}

// String implements Cond.
func (c Followed) String() string {
	return c.Placement.Column.Name + " = " + c.Value.String() + " where its " + c.Placement.Follows().Parent.Table + " is"
}

func placeKey(f *shardrule.Follow, k shardrule.Key) PlaceKey {
	if k.IsInt {
		return PlaceKey{f, strconv.FormatInt(k.Int, 10)}
	}
	return PlaceKey{f, string(k.Bytes)}
}

// wanted is a parent by its value; v is what was written, which may be of another
// type than the column.
func wanted(f *shardrule.Follow, k shardrule.Key, v sqlval.Value, env Env) (Wanted, error) {
	w := Wanted{Key: placeKey(f, k)}
	switch f.Lookup.Column.Type {
	case shardrule.TypeInt, shardrule.TypeDecimal:
		w.Value = sqlval.Value{Kind: sqlval.Decimal, Text: []byte(w.Key.Value)}
	case shardrule.TypeText, shardrule.TypeBinary:
		if v.Kind != sqlval.String && v.Kind != sqlval.Binary {
			v = sqlval.StringValue(string(v.Text))
		}
		w.Value = v
	case shardrule.TypeDate, shardrule.TypeDatetime:
		w.Value = sqlval.StringValue(w.Key.Value)
	case shardrule.TypeTimestamp, shardrule.TypeOther:
		return w, sqlerr.Refuse("a row that follows one of "+f.Parent.Table, "its key "+f.To+" has a type by which it cannot be looked up", "")
	}
	env.Placement = f.Lookup
	key, err := f.Lookup.Column.KeyToStore(v, env.Weigher)
	if err == nil {
		w.At, err = f.Lookup.Algorithm.ShardOf(key)
	}
	return w, err
}

// followShards are the shards of an Insert's rows that follow others. A row
// without a parent is sent to the first shard, whose foreign key takes NULL and
// refuses all else.
func (b *binder) followShards(r rows, f *shardrule.Follow) ([]int, error) {
	p := r.Table.Placement
	if f.Unready != "" {
		return nil, sqlerr.Refuse("an INSERT into "+p.Table, "its rows follow those of "+f.Parent.Table+", and "+f.Unready, "")
	}
	shards := make([]int, r.count)
	var need *ErrNeedPlaces
	for i := range shards {
		row, shift := r.row(i)
		v, err := b.keyValue(r, row.Key.shifted(shift))
		if err != nil {
			return nil, err
		}
		key, err := p.Column.KeyToStore(v, b.env.Weigher)
		if err != nil {
			return nil, err
		}
		if key.Null {
			continue
		}
		place, asked := b.opt.Places[placeKey(f, key)]
		if shards[i] = max(place, 0); asked {
			continue
		}
		if need == nil {
			need = &ErrNeedPlaces{Follow: f}
		}
		w, err := wanted(f, key, v, b.env)
		if err != nil {
			return nil, err
		}
		need.Wanted = append(need.Wanted, w)
	}
	if need != nil {
		return nil, need
	}
	b.Placed = true
	return shards, nil
}
