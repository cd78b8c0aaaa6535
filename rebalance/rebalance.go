// Package rebalance decides which slots of hash-sharded tables change their shard
// so that no shard has much more to do than another, and few rows move. It is
// pure: what slots weigh is measured elsewhere.
package rebalance

import (
	"cmp"
	"slices"

	"github.com/servaldb/serval/shardrule"
)

// Measure is what slots weigh.
type Measure struct {
	// Weight is what is to be evened: rows, bytes, or statements a second. None is
	// negative.
	Weight [shardrule.Slots]float64
	// Cost is what it costs to move the slot: its rows.
	Cost [shardrule.Slots]float64
}

// Options bound a Decision.
type Options struct {
	// Tolerance is how far from the mean a shard may be, 0.05 for 5 %.
	Tolerance float64
	// MoveAtMost is the share of all Cost that may move, 1 for no bound.
	MoveAtMost float64
}

// Decision is which shard has each slot from now on.
type Decision struct {
	Before shardrule.SlotOwners `json:"-"`
	After  shardrule.SlotOwners `json:"-"`
	Shards []Shard              `json:"shards"`
	// Moves are the runs of slots that change their shard, in their order.
	Moves []Move `json:"moves"`
	// Hot are slots that alone weigh more than a shard should: no plan evens them.
	Hot []Hot `json:"hot"`
	// Mean is what a shard without a hot slot would have, were all of them even.
	Mean float64 `json:"mean"`
	// Moved and Cost are the sums over what moves, Total that of all Cost.
	Moved float64 `json:"moved"`
	Cost  float64 `json:"cost"`
	Total float64 `json:"total_cost"`
	// Bounded: MoveAtMost kept more from moving.
	Bounded bool `json:"bounded"`
}

// Shard is one shard before and after. Outside: it is further from the mean
// afterwards than it should be.
type Shard struct {
	Before     float64 `json:"before"`
	After      float64 `json:"after"`
	CostBefore float64 `json:"cost_before"`
	CostAfter  float64 `json:"cost_after"`
	Outside    bool    `json:"outside"`
}

// Move is a run of slots that changes its shard.
type Move struct {
	First  int     `json:"first"`
	Last   int     `json:"last"`
	From   int     `json:"from"`
	To     int     `json:"to"`
	Weight float64 `json:"weight"`
	Cost   float64 `json:"cost"`
}

// Hot is a slot and the shard that has it afterwards.
type Hot struct {
	Slot   int     `json:"slot"`
	Shard  int     `json:"shard"`
	Weight float64 `json:"weight"`
}

// Decide finds the new owners of n shards. Where nothing need move After is Before.
func Decide(before shardrule.SlotOwners, n int, m *Measure, opt Options) *Decision {
	d := &decider{m: m, opt: opt, n: n, owner: before, load: make([]float64, n), count: make([]int, n), hotOf: make([]int, n)}
	for slot, shard := range before {
		d.load[shard] += m.Weight[slot]
		d.count[shard]++
		d.total += m.Cost[slot]
	}
	d.budget = d.total * opt.MoveAtMost
	d.findHot()
	d.partHot()
	d.unload()
	d.fill()
	return d.decision(before)
}

// none is no slot.
const none = -1

// decider is one Decide at work.
type decider struct {
	m     *Measure
	opt   Options
	n     int
	owner shardrule.SlotOwners
	// load and count are of each shard: its weight, and how many slots it has.
	load  []float64
	count []int
	// mean is that of the shards without hot slots; hot says which slots are, and
	// hotOf is the heaviest one of each shard, or none.
	mean  float64
	hot   [shardrule.Slots]bool
	hotOf []int
	// budget is what may still be moved, of total.
	budget, total float64
	bounded       bool
}

func (d *decider) upper() float64 { return d.mean * (1 + d.opt.Tolerance) }
func (d *decider) lower() float64 { return d.mean * (1 - d.opt.Tolerance) }

// findHot: a slot that weighs more than a shard should has a shard for itself, and
// the others share what is left.
func (d *decider) findHot() {
	order := make([]int, shardrule.Slots)
	rest := 0.0
	for slot := range order {
		order[slot] = slot
		rest += d.m.Weight[slot]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(d.m.Weight[b], d.m.Weight[a]) })
	shards := d.n
	d.mean = rest / float64(shards)
	for _, slot := range order {
		if shards == 1 || d.m.Weight[slot] <= d.upper() {
			return
		}
		d.hot[slot] = true
		rest -= d.m.Weight[slot]
		shards--
		d.mean = rest / float64(shards)
	}
}

// partHot leaves a shard its heaviest hot slot only.
func (d *decider) partHot() {
	for shard := range d.n {
		d.hotOf[shard] = none
	}
	for slot := range d.hot {
		shard := int(d.owner[slot])
		if d.hot[slot] && (d.hotOf[shard] == none || d.m.Weight[slot] > d.m.Weight[d.hotOf[shard]]) {
			d.hotOf[shard] = slot
		}
	}
	for slot := range d.hot {
		if from := int(d.owner[slot]); d.hot[slot] && d.hotOf[from] != slot {
			to := d.least(func(shard int) bool { return d.hotOf[shard] == none }, func(shard int) float64 { return d.load[shard] })
			if to != none && d.affords(d.m.Cost[slot]) {
				d.move(slot, slot, to)
				d.hotOf[to] = slot
			}
		}
	}
}

// most is what a shard may have.
func (d *decider) most(shard int) float64 {
	if hot := d.hotOf[shard]; hot != none {
		return max(d.upper(), d.m.Weight[hot])
	}
	return d.upper()
}

// least is the shard of which f is least, none where no shard will do.
func (d *decider) least(will func(int) bool, f func(int) float64) int {
	best := none
	for shard := range d.n {
		if will(shard) && (best == none || f(shard) < f(best)) {
			best = shard
		}
	}
	return best
}

// unload takes from shards that have too much, the fullest first, and gives it to
// those with the most room.
func (d *decider) unload() {
	stuck := make([]bool, d.n)
	for range 4 * shardrule.Slots { // each round moves a slot or sticks
		from := d.least(func(s int) bool { return !stuck[s] && d.load[s] > d.most(s)*(1+tiny) },
			func(s int) float64 { return d.most(s) - d.load[s] })
		if from == none {
			return
		}
		to := d.least(func(s int) bool { return s != from }, func(s int) float64 { return d.load[s] - d.most(s) })
		if to == none {
			return
		}
		need, room := d.load[from]-d.most(from), d.most(to)-d.load[to]
		if w, ok := d.window(from, to, need, room); ok {
			d.move(w.first, w.last, to)
			continue
		}
		if w, ok := d.evening(from, to); ok {
			d.move(w.first, w.last, to)
			continue
		}
		stuck[from] = true
	}
}

// fill gives to shards that have too little what others can spare.
func (d *decider) fill() {
	stuck := make([]bool, d.n)
	for range 4 * shardrule.Slots {
		to := d.least(func(s int) bool { return !stuck[s] && d.hotOf[s] == none && d.load[s] < d.lower()*(1-tiny) },
			func(s int) float64 { return d.load[s] })
		if to == none {
			return
		}
		from := d.least(func(s int) bool { return s != to && d.hotOf[s] == none }, func(s int) float64 { return -d.load[s] })
		if from == none {
			return
		}
		spare := min(d.load[from]-d.lower(), d.most(to)-d.load[to])
		w, ok := d.window(from, to, d.lower()-d.load[to], spare)
		if !ok {
			stuck[to] = true
			continue
		}
		d.move(w.first, w.last, to)
	}
}

func (d *decider) affords(cost float64) bool {
	if cost > d.budget*(1+tiny) {
		d.bounded = true
		return false
	}
	return true
}

func (d *decider) move(first, last, to int) {
	for slot := first; slot <= last; slot++ {
		from := d.owner[slot]
		d.load[from] -= d.m.Weight[slot]
		d.load[to] += d.m.Weight[slot]
		d.count[from]--
		d.count[to]++
		d.budget -= d.m.Cost[slot]
		d.owner[slot] = uint16(to) // a shard's number, below 1024
	}
}
