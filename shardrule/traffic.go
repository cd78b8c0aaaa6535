package shardrule

import "sync/atomic"

// Traffic counts how often each slot of a hash rule is asked for or written to by
// its key. Safe for concurrent use; a nil one counts nothing.
type Traffic struct {
	by    SQLTwin // the rule with a shard for each slot
	slots [Slots]atomic.Uint64
}

// NewTraffic is for the rows of a placement; nil where it is not by one hash, or the
// column's type is not known.
func NewTraffic(p *Placement) *Traffic {
	if p.Kind != Sharded || p.Composite() || p.Column.Type == TypeOther {
		return nil
	}
	by, ok := BySlot(p.Algorithm)
	if !ok {
		return nil
	}
	return &Traffic{by: by}
}

// Takes reports that what was counted for t may go on for other: the slots of keys
// are the same.
func (t *Traffic) Takes(other *Traffic) bool {
	return t != nil && other != nil && t.by.Spec() == other.by.Spec()
}

// Count adds one for the key's slot.
func (t *Traffic) Count(k Key) {
	if t == nil {
		return
	}
	if slot, err := t.by.ShardOf(k); err == nil {
		t.slots[slot].Add(1)
	}
}

// Slots are the counts so far, by slot.
func (t *Traffic) Slots() (counts [Slots]uint64) {
	if t == nil {
		return counts
	}
	for i := range counts {
		counts[i] = t.slots[i].Load()
	}
	return counts
}
