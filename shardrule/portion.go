package shardrule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// portioner is an Algorithm that can say which keys are one shard's. Portion is
// equal for two shards of two algorithms only where the same keys are theirs.
type portioner interface{ portion(shard int) string }

var (
	_ portioner = Hash{}
	_ portioner = (*List)(nil)
	_ portioner = (*Range)(nil)
	_ portioner = (*Time)(nil)
	_ portioner = (*Derived)(nil)
)

// SameRows reports that the rows of shard i of p are those that q puts on its
// shard j; p and q are of the same table. Where that is not known, it is false. It
// is the same the other way round.
func SameRows(p *Placement, i int, q *Placement, j int) bool {
	if p.Kind != Sharded || q.Kind != Sharded {
		return false
	}
	if f, g := p.Follows(), q.Follows(); f != nil || g != nil {
		return followAlike(p, q) && SameRows(f.Parent, i, g.Parent, j)
	}
	if slices.EqualFunc(p.Keys(), q.Keys(), strings.EqualFold) && p.Algorithm.Spec() == q.Algorithm.Spec() {
		return i == j // of the same columns, whatever they are
	}
	a, ok := p.portion(i)
	b, also := q.portion(j)
	return ok && also && a == b
}

// followAlike: by both a row is where the same row of the same table is.
func followAlike(p, q *Placement) bool {
	f, g := p.Follows(), q.Follows()
	return f != nil && g != nil && strings.EqualFold(p.Column.Name, q.Column.Name) && strings.EqualFold(f.To, g.To) && f.Parent.Table == g.Parent.Table
}

// terms are the parts of the rule in the groups of which each says the same.
func (p *Placement) terms() (groups [][]Part) {
	if !p.Composite() {
		return [][]Part{{{Column: p.Column, Algorithm: p.Algorithm, Stride: 1}}}
	}
	for _, part := range p.Parts {
		if part.Or {
			groups[len(groups)-1] = append(groups[len(groups)-1], part)
		} else {
			groups = append(groups, []Part{part})
		}
	}
	return groups
}

// portion is which rows are a shard's: the keys of each column, in an order that
// does not depend on how the rule is written. It is false where a column's type is
// not known.
func (p *Placement) portion(shard int) (string, bool) {
	var all []string
	for _, group := range p.terms() {
		var same []string
		for _, part := range group {
			if part.Column.Type == TypeOther {
				return "", false
			}
			same = append(same, part.Column.space()+" "+portionOf(part.Algorithm, shard/part.Stride%part.Algorithm.Shards()))
		}
		slices.Sort(same)
		all = append(all, strings.Join(same, " or "))
	}
	slices.Sort(all)
	return strings.Join(all, ", "), true
}

// space is the column and how its values are keys: see sameKeySpace.
func (c Column) space() string {
	return fmt.Sprintf("%q %d %d %q %d", strings.ToLower(c.Name), c.Type, c.Scale, c.Collation, c.TextKey)
}

func portionOf(a Algorithm, place int) string {
	if in, ok := a.(portioner); ok {
		return in.portion(place)
	}
	return a.Spec() + " shard " + strconv.Itoa(place)
}

// Splits reports that each shard of q has rows of one shard of p only; p and q are
// of the same table. Where that is not known, it is false.
func Splits(p, q *Placement) bool {
	if p.Kind != Sharded || q.Kind != Sharded {
		return false
	}
	if f, g := p.Follows(), q.Follows(); f != nil || g != nil {
		return followAlike(p, q) && Splits(f.Parent, g.Parent)
	}
	for _, group := range p.terms() {
		found := slices.ContainsFunc(group, func(a Part) bool {
			return slices.ContainsFunc(q.terms(), func(other []Part) bool {
				return slices.ContainsFunc(other, func(b Part) bool {
					return strings.EqualFold(a.Column.Name, b.Column.Name) && sameKeySpace(a.Column, b.Column) && splits(a.Algorithm, b.Algorithm)
				})
			})
		})
		if !found {
			return false
		}
	}
	return true
}

// splits: the keys of each place of b are of one place of a, or of none.
func splits(a, b Algorithm) bool {
	if a.Spec() == b.Spec() {
		return true
	}
	switch a := a.(type) {
	case Hash:
		b, ok := b.(Hash)
		return ok && b.splits(a)
	case *Time:
		b, ok := b.(*Time)
		return ok && a.as(b.periods).Spec() == b.Spec()
	case *Derived:
		b, ok := b.(*Derived)
		return ok && a.expr.over("k") == b.expr.over("k") && splits(a.inner, b.inner)
	case DerivedTwin:
		b, ok := b.(DerivedTwin)
		return ok && splits(a.Derived, b.Derived)
	}
	return false
}

func (h Hash) portion(shard int) string { return "hash v1 slots=" + h.Owners().text(shard) }

func (l *List) portion(shard int) string {
	var mine, others []string
	for _, v := range l.values {
		if v.shard == shard {
			mine = append(mine, strconv.Quote(v.value))
		} else {
			others = append(others, strconv.Quote(v.value))
		}
	}
	return "list v1" + l.rest.portion(shard, mine, others)
}

func (r *Range) portion(shard int) string {
	var mine, others []string
	for _, s := range r.spans {
		text := fmt.Sprintf("%v..%v %q..%q", s.lo, s.hi, s.from, s.to)
		if s.shard == shard {
			mine = append(mine, text)
		} else {
			others = append(others, text)
		}
	}
	return "range v1" + r.rest.portion(shard, mine, others)
}

// portion is a shard that has these values, and what is in no list where it is
// the one for that: all but the others'.
func (r rest) portion(shard int, mine, others []string) string {
	slices.Sort(mine)
	slices.Sort(others)
	text := fmt.Sprintf(" nulls=%t", r.nulls == shard)
	if r.otherwise == shard {
		return text + " all but " + strings.Join(others, ",")
	}
	return text + " only " + strings.Join(mine, ",")
}

func (m *Time) portion(shard int) string { return m.as(m.periods[shard : shard+1]).Spec() }

// as is the same function over other periods, for its Spec only.
func (m *Time) as(periods []Period) *Time {
	one := *m
	one.periods = periods
	return &one
}

func (d *Derived) portion(shard int) string {
	return portionOf(d.inner, shard) + " of v1 " + d.expr.over("k")
}

// splits: the slots of each shard of h are of one shard of a.
func (h Hash) splits(a Hash) bool {
	of := make([]int, h.n) // 1 more than the shard of a
	for slot := range Slots {
		mine, theirs := h.ShardOfSlot(slot), a.ShardOfSlot(slot)+1
		if of[mine] != 0 && of[mine] != theirs {
			return false
		}
		of[mine] = theirs
	}
	return true
}

// PeriodOf is the period that a rule of time puts a key in, whether there is a
// shard for it or not; false where the algorithm is no such rule, or the key no
// moment.
func PeriodOf(a Algorithm, k Key) (Period, bool) {
	m, ok := a.(*Time)
	if !ok || k.Null {
		return 0, false
	}
	return m.periodOf(k, k.Bytes)
}
