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
	_ portioner = (*List)(nil)
	_ portioner = (*Range)(nil)
	_ portioner = (*Time)(nil)
	_ portioner = (*Derived)(nil)
)

// SameRows reports that the rows of shard i of p are those that q puts on its
// shard j; p and q are of the same table. Where that is not known, it is false.
func SameRows(p *Placement, i int, q *Placement, j int) bool {
	if p.Kind != Sharded || q.Kind != Sharded || !slices.EqualFunc(p.Keys(), q.Keys(), strings.EqualFold) {
		return false
	}
	if p.Algorithm.Spec() == q.Algorithm.Spec() {
		return i == j // of the same columns, whatever they are
	}
	if p.Composite() || q.Composite() || !sameKeySpace(p.Column, q.Column) {
		return false
	}
	a, ok := p.Algorithm.(portioner)
	b, also := q.Algorithm.(portioner)
	return ok && also && a.portion(i) == b.portion(j)
}

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

func (m *Time) portion(shard int) string {
	one := *m
	one.periods = m.periods[shard : shard+1]
	return one.Spec()
}

func (d *Derived) portion(shard int) string {
	if inner, ok := d.inner.(portioner); ok {
		return inner.portion(shard) + " of v1 " + d.expr.over("k")
	}
	return fmt.Sprintf("%s shard %d", d.Spec(), shard)
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
