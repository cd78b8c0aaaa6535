package shardrule

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// overlap is longer than any change of a clock: two instants that far apart are
// never shown in the other order.
const overlap = 48 * time.Hour

// instants are the first and the last period of a range of instants.
func (m *Time) instants(lo, hi Bound) (first, last *Period) {
	a, okA := m.boundInstant(lo)
	b, okB := m.boundInstant(hi)
	if okB && hi.Exclusive {
		b = b.Add(-1)
	}
	if okA {
		end := a.Add(overlap)
		if okB && b.Before(end) {
			end = b
		}
		p := m.calendar.At(a.In(m.zone))
		for _, t := range transitions(m.zone, a, end) {
			p = min(p, m.calendar.At(t.In(m.zone)))
		}
		first = &p
	}
	if okB {
		start := b.Add(-overlap)
		if okA && a.After(start) {
			start = a
		}
		p := m.calendar.At(b.In(m.zone))
		for _, t := range transitions(m.zone, start, b) {
			p = max(p, m.calendar.At(t.Add(-1).In(m.zone)))
		}
		last = &p
	}
	return first, last
}

// boundInstant is the bound's moment, false where it does not bound.
func (m *Time) boundInstant(b Bound) (time.Time, bool) {
	if b.Open || b.Key.Null || b.Key.Alt != nil {
		return time.Time{}, false
	}
	t, ok := m.instant(b.Key, b.Key.Bytes)
	return t, ok && clockOf(t).valid()
}

// transitions are the instants after from, to the end, at which the zone's clocks
// are set.
func transitions(zone *time.Location, from, end time.Time) []time.Time {
	var all []time.Time
	for {
		_, next := from.In(zone).ZoneBounds()
		if next.IsZero() || next.After(end) {
			return all
		}
		all = append(all, next)
		from = next
	}
}

// instantsShownAs are the instants at which the zone's clocks show the time that
// wall has in UTC: two where clocks are set back, none where they are set
// forward, else one.
func instantsShownAs(zone *time.Location, wall time.Time) []time.Time {
	var all []time.Time
	for _, near := range []time.Duration{-overlap / 2, 0, overlap / 2} {
		_, offset := wall.Add(near).In(zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		_, really := at.In(zone).Zone()
		if really == offset && !slices.ContainsFunc(all, at.Equal) {
			all = append(all, at)
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// step is a second since 1970 from which on instants are on a shard; -1: on none.
type step struct {
	from  int64
	shard int
}

// steps are all steps, the first of them with the first shard there is.
func (m *Time) steps() []step {
	var edges []time.Time
	for i, p := range m.periods {
		ends := []Period{p}
		if i+1 == len(m.periods) || m.periods[i+1] != p+1 {
			ends = append(ends, p+1)
		}
		for _, e := range ends {
			k := m.calendar.first(e)
			wall := time.Date(k.year, time.Month(k.month), k.day, k.hour, 0, 0, 0, time.UTC)
			edges = append(edges, instantsShownAs(m.zone, wall)...)
			edges = append(edges, transitions(m.zone, wall.Add(-overlap), wall.Add(overlap))...)
		}
	}
	slices.SortFunc(edges, time.Time.Compare)
	var all []step
	for _, t := range edges {
		shard, ok := m.shardOf(m.calendar.At(t.In(m.zone)))
		if !ok {
			shard = -1
		}
		if n := len(all); n == 0 && ok || n > 0 && all[n-1].shard != shard {
			all = append(all, step{t.Unix(), shard})
		}
	}
	return all
}

// stepsExpr is the shard of a second since 1970 in SQL.
func (m *Time) stepsExpr(second string) string {
	var from, shards strings.Builder
	for _, s := range m.steps() {
		from.WriteString(", " + strconv.FormatInt(s.from, 10))
		shards.WriteString(", " + strconv.Itoa(s.shard))
	}
	return "CAST(ELT(INTERVAL(" + second + from.String() + ") + 1, -1" + shards.String() + ") AS SIGNED)"
}
