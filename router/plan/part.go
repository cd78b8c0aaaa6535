package plan

import (
	"strconv"
	"time"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
)

// Part is a comparison of YEAR(key) or DATE(key): the key is then between two
// moments.
type Part struct {
	// Func is "year" or "date".
	Func string
	// Range is what is said of the function's value.
	Range Range
}

// Shards implements Cond.
func (c Part) Shards(env Env) (shardrule.Set, error) {
	all := shardrule.FullSet(len(env.Placement.Shards))
	if t := env.Placement.Column.Type; t != shardrule.TypeDate && t != shardrule.TypeDatetime {
		return all, nil
	}
	r := Range{Column: c.Range.Column, Lo: Operand{Value: -1, Absent: true}, Hi: Operand{Value: -1, Absent: true}, HiExclusive: true}
	if from, next, ok := c.moments(c.Range.Lo, env); ok {
		if r.Lo = from; c.Range.LoExclusive {
			r.Lo = next
		}
	}
	if from, next, ok := c.moments(c.Range.Hi, env); ok {
		if r.Hi = next; c.Range.HiExclusive {
			r.Hi = from
		}
	}
	if r.Lo.Absent && r.Hi.Absent {
		return all, nil
	}
	return r.Shards(env)
}

// moments are the first moment that has the function's value and the first one
// behind; not ok for a value that is none by itself.
func (c Part) moments(o Operand, env Env) (from, next Operand, ok bool) {
	v, known := o.Resolve(env.Args)
	if !known {
		return from, next, false
	}
	text, years, days := string(v.Text), 0, 1
	switch {
	case c.Func == "year" && v.Kind == sqlval.Int:
		text, years, days = text+"-01-01", 1, 0
	case c.Func != "date" || v.Kind != sqlval.String && v.Kind != sqlval.Temporal:
		return from, next, false
	}
	day, err := time.Parse(time.DateOnly, text)
	behind := day.AddDate(years, 0, days)
	if err != nil || day.Year() < 1000 || behind.Year() > 9999 {
		return from, next, false
	}
	moment := func(t time.Time) Operand {
		return Operand{Value: -1, Const: sqlval.StringValue(t.Format(time.DateTime))}
	}
	return moment(day), moment(behind), true
}

// String implements Cond.
func (c Part) String() string { return c.Range.String() }

// mostEnumerated is how many values of an integer range are hashed one by one.
const mostEnumerated = 64

// enumerated are the shards of a short range of whole numbers; not ok for any
// other.
func enumerated(env Env, lo, hi shardrule.Bound) (shardrule.Set, bool) {
	if lo.Open || hi.Open || !lo.Key.IsInt || !hi.Key.IsInt || env.Placement.Column.Type != shardrule.TypeInt {
		return shardrule.Set{}, false
	}
	set := shardrule.EmptySet(len(env.Placement.Shards))
	if lo.Key.Int > hi.Key.Int {
		return set, true
	}
	if uint64(hi.Key.Int)-uint64(lo.Key.Int) >= mostEnumerated {
		return set, false
	}
	for i := uint64(0); i <= uint64(hi.Key.Int)-uint64(lo.Key.Int); i++ {
		n := lo.Key.Int + int64(i)
		if lo.Exclusive && n == lo.Key.Int || hi.Exclusive && n == hi.Key.Int {
			continue
		}
		value := sqlval.Value{Kind: sqlval.Int, Text: strconv.AppendInt(nil, n, 10)}
		all, err := Equal{Value: Operand{Value: -1, Const: value}}.add(env, set)
		if err != nil || all {
			return set, false
		}
	}
	return set, true
}
