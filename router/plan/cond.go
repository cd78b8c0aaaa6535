package plan

import (
	"errors"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
)

// Resolve is the operand's value; false where it is not known here.
func (o Operand) Resolve(args Args) (sqlval.Value, bool) {
	if o.Unknown || o.Absent {
		return sqlval.Value{}, false
	}
	v := o.Const
	if o.Value >= 0 {
		v = args.Value(o.Value)
	}
	if !o.Negate {
		return v, true
	}
	switch v.Kind {
	case sqlval.Null:
		return v, true
	case sqlval.Int, sqlval.Decimal, sqlval.Float:
		if len(v.Text) > 0 && v.Text[0] == '-' {
			return sqlval.Value{Kind: v.Kind, Text: v.Text[1:]}, true
		}
		return sqlval.Value{Kind: v.Kind, Text: append([]byte{'-'}, v.Text...)}, true
	case sqlval.String, sqlval.Binary, sqlval.Temporal:
	}
	return sqlval.Value{}, false
}

// String prints the operand for EXPLAIN; values are numbered from 1.
func (o Operand) String() string {
	switch {
	case o.Absent:
		return "-"
	case o.Unknown:
		return "(expression)"
	}
	s := ""
	if o.Negate {
		s = "-"
	}
	if o.Value >= 0 {
		return s + "?" + strconv.Itoa(o.Value+1)
	}
	return s + string(o.Const.AppendSQL(nil, false))
}

// hit is what one comparison leaves of the shards.
type hit uint8

const (
	hitNone hit = iota
	hitOne
	hitAll
)

// Equal is "key = value", or "key <=> value" with NullSafe.
type Equal struct {
	Column   string
	Value    Operand
	NullSafe bool
}

// shard is the one shard, where there is one. An unknown value leaves all.
func (e Equal) shard(env Env) (int, hit, error) {
	v, known := e.Value.Resolve(env.Args)
	if !known {
		return 0, hitAll, nil
	}
	if v.Kind == sqlval.Null {
		if e.NullSafe {
			return shardOf(env, shardrule.Key{Null: true})
		}
		return 0, hitNone, nil
	}
	key, match, err := env.Placement.Column.KeyToCompare(v, env.Weigher)
	if err != nil {
		return 0, hitAll, err
	}
	switch match {
	case shardrule.MatchKey:
		return shardOf(env, key)
	case shardrule.MatchNone:
		return 0, hitNone, nil
	case shardrule.MatchUnknown:
	}
	return 0, hitAll, nil
}

// shardOf is the key's shard. A key no shard is for (a period without a table)
// has no rows.
func shardOf(env Env, key shardrule.Key) (int, hit, error) {
	if env.Placement.Follows() != nil {
		return 0, hitAll, nil
	}
	i, err := env.Placement.Algorithm.ShardOf(key)
	if err == nil {
		env.Placement.Traffic.Count(key)
		return i, hitOne, nil
	}
	var e *sqlerr.Error
	if errors.As(err, &e) && e.Code == sqlerr.NoPartitionForValue {
		if _, foreign := env.Placement.Algorithm.(*shardrule.Foreign); foreign && key.Null {
			return 0, hitAll, nil // another proxy may have put it anywhere
		}
		return 0, hitNone, nil
	}
	return 0, hitAll, err
}

func (e Equal) add(env Env, set shardrule.Set) (all bool, err error) {
	i, h, err := e.shard(env)
	if err != nil {
		return false, err
	}
	if h == hitOne {
		set.Add(i)
	}
	return h == hitAll, nil
}

// Shards implements Cond.
func (e Equal) Shards(env Env) (shardrule.Set, error) {
	return In{Column: e.Column, Values: []Operand{e.Value}, NullSafe: e.NullSafe}.Shards(env)
}

// String implements Cond.
func (e Equal) String() string {
	if e.NullSafe {
		return e.Column + " <=> " + e.Value.String()
	}
	return e.Column + " = " + e.Value.String()
}

// In is "key IN (values)".
type In struct {
	Column   string
	Values   []Operand
	NullSafe bool
}

// Shards implements Cond.
func (c In) Shards(env Env) (shardrule.Set, error) {
	set := shardrule.EmptySet(len(env.Placement.Shards))
	for _, v := range c.Values {
		all, err := Equal{Value: v, NullSafe: c.NullSafe}.add(env, set)
		if err != nil {
			return set, err
		}
		if all {
			return shardrule.FullSet(len(env.Placement.Shards)), nil
		}
	}
	return set, nil
}

// String implements Cond.
func (c In) String() string {
	var s []string
	for _, v := range c.Values {
		s = append(s, v.String())
	}
	return c.Column + " IN (" + strings.Join(s, ", ") + ")"
}

// Range is "lo <= key <= hi"; an absent operand leaves its side open.
type Range struct {
	Column                   string
	Lo, Hi                   Operand
	LoExclusive, HiExclusive bool
}

// Shards implements Cond.
func (c Range) Shards(env Env) (shardrule.Set, error) {
	n := len(env.Placement.Shards)
	lo, loNone, err := c.bound(env, c.Lo, c.LoExclusive)
	if err != nil {
		return shardrule.FullSet(n), err
	}
	hi, hiNone, err := c.bound(env, c.Hi, c.HiExclusive)
	if err != nil {
		return shardrule.FullSet(n), err
	}
	if loNone || hiNone {
		return shardrule.EmptySet(n), nil
	}
	if c.mixed(env) {
		return shardrule.FullSet(n), nil
	}
	if set, ok := enumerated(env, lo, hi); ok {
		return set, nil
	}
	ranger, ok := env.Placement.Algorithm.(shardrule.Ranger)
	if !ok || lo.Open && hi.Open {
		return shardrule.FullSet(n), nil
	}
	return ranger.ShardsOfRange(lo, hi), nil
}

// mixed: one end is a number and the other one none. Servers compare all of
// "at BETWEEN 0.5 AND '70-01-01'" in one way, a time as text.
func (c Range) mixed(env Env) bool {
	lo, known := c.Lo.Resolve(env.Args)
	hi, both := c.Hi.Resolve(env.Args)
	return known && both && numeric(lo.Kind) != numeric(hi.Kind)
}

func numeric(k sqlval.Kind) bool {
	return k == sqlval.Int || k == sqlval.Decimal || k == sqlval.Float
}

// bound converts one end. What has no exact key in the column's type leaves
// the side open, which can only add shards; NULL matches nothing.
func (c Range) bound(env Env, o Operand, exclusive bool) (bd shardrule.Bound, none bool, err error) {
	open := shardrule.Bound{Open: true}
	v, known := o.Resolve(env.Args)
	if !known {
		return open, false, nil
	}
	if v.Kind == sqlval.Null {
		return open, true, nil
	}
	key, match, err := env.Placement.Column.KeyToCompare(v, env.Weigher)
	if err != nil || match != shardrule.MatchKey {
		return open, false, err
	}
	return shardrule.Bound{Key: key, Exclusive: exclusive}, false, nil
}

// String implements Cond.
func (c Range) String() string {
	var s []string
	if !c.Lo.Absent {
		s = append(s, c.Column+pick(c.LoExclusive, " > ", " >= ")+c.Lo.String())
	}
	if !c.Hi.Absent {
		s = append(s, c.Column+pick(c.HiExclusive, " < ", " <= ")+c.Hi.String())
	}
	return strings.Join(s, " AND ")
}

func pick(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// IsNull is "key IS NULL".
type IsNull struct{ Column string }

// Shards implements Cond.
func (c IsNull) Shards(env Env) (shardrule.Set, error) {
	return In{Values: []Operand{{Value: -1}}, NullSafe: true}.Shards(env)
}

// String implements Cond.
func (c IsNull) String() string { return c.Column + " IS NULL" }

// And holds where all parts hold.
type And []Cond

// Shards implements Cond.
func (c And) Shards(env Env) (shardrule.Set, error) {
	set := shardrule.FullSet(len(env.Placement.Shards))
	for _, part := range c {
		s, err := part.Shards(env)
		if err != nil {
			return set, err
		}
		set = set.And(s)
	}
	if r, ok := c.between(); ok {
		s, err := r.Shards(env)
		if err != nil {
			return set, err
		}
		set = set.And(s)
	}
	return set, nil
}

// between is "key >= lo AND key <= hi" as one range, which is less than both.
func (c And) between() (Range, bool) {
	lo, hi := -1, -1
	for i, part := range c {
		r, ok := part.(Range)
		switch {
		case ok && r.Hi.Absent:
			lo = i
		case ok && r.Lo.Absent:
			hi = i
		}
	}
	if lo < 0 || hi < 0 {
		return Range{}, false
	}
	r, top := c[lo].(Range), c[hi].(Range)
	r.Hi, r.HiExclusive = top.Hi, top.HiExclusive
	return r, r.Column == top.Column
}

// String implements Cond.
func (c And) String() string { return join(c, " AND ") }

// Or holds where one part holds.
type Or []Cond

// Shards implements Cond.
func (c Or) Shards(env Env) (shardrule.Set, error) {
	set := shardrule.EmptySet(len(env.Placement.Shards))
	for _, part := range c {
		s, err := part.Shards(env)
		if err != nil {
			return set, err
		}
		set = set.Or(s)
	}
	return set, nil
}

// String implements Cond.
func (c Or) String() string { return join(c, " OR ") }

func join(parts []Cond, by string) string {
	var s []string
	for _, p := range parts {
		t := p.String()
		switch p.(type) {
		case And, Or:
			t = "(" + t + ")"
		}
		s = append(s, t)
	}
	return strings.Join(s, by)
}

// None holds for no row.
type None struct{}

// Shards implements Cond.
func (None) Shards(env Env) (shardrule.Set, error) {
	return shardrule.EmptySet(len(env.Placement.Shards)), nil
}

// String implements Cond.
func (None) String() string { return "no row" }

// Shard is one shard by its number: a hint's shard=2.
type Shard int

// Shards implements Cond.
func (c Shard) Shards(env Env) (shardrule.Set, error) {
	return shardrule.OneShard(len(env.Placement.Shards), int(c)), nil
}

// String implements Cond.
func (c Shard) String() string { return "shard " + strconv.Itoa(int(c)) }

// Of evaluates a condition with the column of another placement than the
// route's: a colocated table whose key is declared wider or narrower.
type Of struct {
	Placement *shardrule.Placement
	Cond      Cond
}

// Shards implements Cond.
func (c Of) Shards(env Env) (shardrule.Set, error) {
	env.Placement = c.Placement
	return c.Cond.Shards(env)
}

// String implements Cond.
func (c Of) String() string { return c.Placement.Table + ": " + c.Cond.String() }
