package rebalance

import "github.com/servaldb/serval/shardrule"

// decision is what was found.
func (d *decider) decision(before shardrule.SlotOwners) *Decision {
	out := &Decision{Before: before, After: d.owner, Shards: make([]Shard, d.n), Mean: d.mean, Total: d.total}
	for slot := range before {
		was, is := &out.Shards[before[slot]], &out.Shards[d.owner[slot]]
		was.Before += d.m.Weight[slot]
		was.CostBefore += d.m.Cost[slot]
		is.After += d.m.Weight[slot]
		is.CostAfter += d.m.Cost[slot]
		if d.hot[slot] {
			out.Hot = append(out.Hot, Hot{Slot: slot, Shard: int(d.owner[slot]), Weight: d.m.Weight[slot]})
		}
		if before[slot] != d.owner[slot] {
			out.moved(slot, int(before[slot]), int(d.owner[slot]), d.m)
		}
	}
	for i := range out.Shards {
		s := &out.Shards[i]
		s.Outside = s.After > d.upper()*(1+tiny) || s.After < d.lower()*(1-tiny)
		out.Bounded = out.Bounded || d.bounded && s.Outside
	}
	return out
}

// moved adds a slot to the moves.
func (out *Decision) moved(slot, from, to int, m *Measure) {
	last := len(out.Moves) - 1
	if last < 0 || out.Moves[last].Last != slot-1 || out.Moves[last].From != from || out.Moves[last].To != to {
		out.Moves = append(out.Moves, Move{First: slot, From: from, To: to})
		last++
	}
	move := &out.Moves[last]
	move.Last = slot
	move.Weight, move.Cost = move.Weight+m.Weight[slot], move.Cost+m.Cost[slot]
	out.Moved, out.Cost = out.Moved+m.Weight[slot], out.Cost+m.Cost[slot]
}

// Untouched are the shards that keep just the slots they have: their tables stay
// as they are.
func (out *Decision) Untouched() (shards []int) {
	touched := make([]bool, len(out.Shards))
	for _, m := range out.Moves {
		touched[m.From], touched[m.To] = true, true
	}
	for shard, t := range touched {
		if !t {
			shards = append(shards, shard)
		}
	}
	return shards
}
