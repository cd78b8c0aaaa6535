package shardrule

import (
	"fmt"
	"strconv"
	"strings"
)

// SlotOwners says of each slot of a Hash which shard has it.
type SlotOwners [Slots]uint16

// equalOwners are equal runs of slots for n shards.
func equalOwners(n int) *SlotOwners {
	var o SlotOwners
	for slot := range o {
		o[slot] = uint16(slot * n / Slots) // below n, which is at most Slots
	}
	return &o
}

// Lists are the slots of each of n shards, as slots: has them: runs with commas
// between.
func (o *SlotOwners) Lists(n int) []string {
	out := make([]string, n)
	for shard := range out {
		out[shard] = o.text(shard)
	}
	return out
}

// text is the shard's runs of slots: 0-299,700.
func (o *SlotOwners) text(shard int) string {
	var b strings.Builder
	o.runs(func(first, last, owner int) {
		if owner != shard {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(slotRun(first, last))
	})
	return b.String()
}

// runs calls f with each run of slots of one shard.
func (o *SlotOwners) runs(f func(first, last, shard int)) {
	first := 0
	for slot := 1; slot <= Slots; slot++ {
		if slot == Slots || o[slot] != o[first] {
			f(first, slot-1, int(o[first]))
			first = slot
		}
	}
}

func slotRun(first, last int) string {
	if first == last {
		return strconv.Itoa(first)
	}
	return strconv.Itoa(first) + "-" + strconv.Itoa(last)
}

// ownersOf reads slots: over n shards. The error is a *RuleError.
func ownersOf(given []Pair, n int) (*SlotOwners, error) {
	const do = "give each shard its runs, as slots: [0-299, 300-511, '512-700,900', …]; there are the slots 0 to 1023"
	if len(given) != n {
		return nil, paramError("slots", do, "slots has %d entries for %d shards", len(given), n)
	}
	var owned [Slots]bool
	var o SlotOwners
	for _, p := range given {
		shard, err := strconv.Atoi(p.Key)
		if err != nil || shard < 0 || shard >= n {
			return nil, paramError("slots", do, "slots cannot have an entry of shard %s", p.Key)
		}
		for part := range strings.SplitSeq(p.Value, ",") {
			first, last, ok := readRun(strings.TrimSpace(part))
			if !ok {
				return nil, paramError("slots", do, "slots cannot have %q for shard %d", p.Value, shard)
			}
			for slot := first; slot <= last; slot++ {
				if owned[slot] {
					return nil, paramError("slots", "take it out of one of them", "slot %d is in slots twice, for shard %d and shard %d", slot, o[slot], shard)
				}
				owned[slot], o[slot] = true, uint16(shard)
			}
		}
	}
	return &o, missing(&owned)
}

// missing says which slots no shard has.
func missing(owned *[Slots]bool) error {
	for slot := range owned {
		if owned[slot] {
			continue
		}
		last := slot
		for last+1 < Slots && !owned[last+1] {
			last++
		}
		what := "slots " + slotRun(slot, last) + " are"
		if slot == last {
			what = "slot " + slotRun(slot, last) + " is"
		}
		return paramError("slots", "give each of the slots 0 to 1023 to one shard", "%s no shard's", what)
	}
	return nil
}

// readRun reads 7 or 0-299.
func readRun(text string) (first, last int, ok bool) {
	low, high, isRun := strings.Cut(text, "-")
	if !isRun {
		high = low
	}
	first, err1 := strconv.Atoi(strings.TrimSpace(low))
	last, err2 := strconv.Atoi(strings.TrimSpace(high))
	return first, last, err1 == nil && err2 == nil && first >= 0 && first <= last && last < Slots
}

// expr is the SQL of the shard of a slot, an SQL expression that is never NULL.
func (o *SlotOwners) expr(slot string) string {
	var starts, shards []string
	inOrder := true
	o.runs(func(first, _, shard int) {
		inOrder = inOrder && shard == len(shards)
		starts, shards = append(starts, strconv.Itoa(first)), append(shards, strconv.Itoa(shard))
	})
	if inOrder {
		// INTERVAL(n, a, b) is how many of a and b are at most n.
		return fmt.Sprintf("INTERVAL(%s, %s)", slot, strings.Join(starts[1:], ", "))
	}
	return fmt.Sprintf("CAST(ELT(INTERVAL(%s, %s), %s) AS SIGNED)", slot, strings.Join(starts, ", "), strings.Join(shards, ", "))
}

// BySlot is the rule of an algorithm by a Hash with a shard for each slot, which
// servers can compute; false where it is by another function.
func BySlot(a Algorithm) (SQLTwin, bool) {
	switch d := a.(type) {
	case Hash:
		return Hash{n: Slots}, true
	case DerivedTwin:
		inner, ok := BySlot(d.inner)
		return DerivedTwin{&Derived{expr: d.expr, inner: inner, column: d.column}}, ok
	}
	return nil, false
}
