package rebalance

import "github.com/servaldb/serval/shardrule"

// tiny is what sums of floating point numbers may differ by.
const tiny = 1e-9

// alike is the share of a shard's cost below which two ways to move are told apart
// by how many runs they leave: rules are read by people.
const alike = 0.01

// window is a run of slots of one shard that might move.
type window struct {
	first, last  int
	weight, cost float64
	// cuts is how many more runs of slots there would be.
	cuts int
}

// windows calls f with each run of slots that the shard can give: not its hot slot,
// and not all that it has.
func (d *decider) windows(from, to int, f func(w window)) {
	for first := range shardrule.Slots {
		w := window{first: first}
		for slot := first; slot < shardrule.Slots; slot++ {
			if int(d.owner[slot]) != from || d.hot[slot] || slot-first+1 >= d.count[from] {
				break
			}
			w.last = slot
			w.weight, w.cost = w.weight+d.m.Weight[slot], w.cost+d.m.Cost[slot]
			w.cuts = d.cuts(first, slot, from, to)
			f(w)
		}
	}
}

// cuts is how many more runs there would be if the slots changed their shard.
func (d *decider) cuts(first, last, from, to int) int {
	n := 0
	for _, beside := range [2]int{first - 1, last + 1} {
		if beside < 0 || beside >= shardrule.Slots {
			continue
		}
		switch int(d.owner[beside]) {
		case from:
			n++
		case to:
			n--
		}
	}
	return n
}

// window is the cheapest run that weighs at least need, or else the heaviest that
// can be had, and no more than room.
func (d *decider) window(from, to int, need, room float64) (best window, ok bool) {
	grain := d.total / float64(d.n) * alike
	enough := false
	d.windows(from, to, func(w window) {
		if w.weight <= 0 || w.weight > room*(1+tiny) || !d.affords(w.cost) {
			return
		}
		reaches := w.weight >= need*(1-tiny)
		better := !ok || reaches && !enough
		switch {
		case better || enough && !reaches:
		case reaches:
			better = cheaper(w, best, grain)
		default:
			better = w.weight > best.weight*(1+tiny) || w.weight >= best.weight && cheaper(w, best, grain)
		}
		if better {
			best, ok, enough = w, true, reaches
		}
	})
	return best, ok
}

// cheaper: it costs less, or about the same and leaves fewer runs.
func cheaper(a, b window, grain float64) bool {
	if grain > 0 && int64(a.cost/grain) != int64(b.cost/grain) || a.cuts == b.cuts {
		return a.cost < b.cost
	}
	return a.cuts < b.cuts
}

// evening is the run that makes the two shards most alike, where no run brings one
// of them within its bounds.
func (d *decider) evening(from, to int) (best window, ok bool) {
	least := d.load[from] * (1 - alike) // or it is not worth it
	d.windows(from, to, func(w window) {
		if after := max(d.load[from]-w.weight, d.load[to]+w.weight); after < least && d.affords(w.cost) {
			best, ok, least = w, true, after
		}
	})
	return best, ok
}
