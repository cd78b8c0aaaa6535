package shardrule

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
)

// Murmur is a consistent hash: each shard has points on a ring of 32 bits, and a
// key is on the shard of the first point at or behind its MurmurHash3. A further
// shard takes its rows from all others in equal parts, and no others move. NULL
// is on shard 0. It has no order, and MySQL cannot compute it.
type Murmur struct {
	n             int
	seed, virtual uint32
	// ring are the points in order; of two at one place the lower shard's is
	// first, and counts.
	ring []ringPoint
}

type ringPoint struct {
	at    uint32
	shard int
}

var _ Ranger = (*Murmur)(nil)

// defaultVirtual is how many points each shard has if not said.
const defaultVirtual = 160

func murmurFunction() Function {
	return Function{Name: "murmur", Params: []Param{{Name: "seed"}, {Name: "virtual"}},
		Counted: func(a Args, shards int) (Algorithm, error) {
			seed, err := a.Int("seed", 0, 0, 1<<32-1)
			if err != nil {
				return nil, err
			}
			virtual, err := a.Int("virtual", defaultVirtual, 1, 10_000)
			if err != nil {
				return nil, err
			}
			return NewMurmur(shards, uint32(seed), uint32(virtual))
		}}
}

// NewMurmur is a Murmur over n shards, 1 to 1024, each with virtual points.
func NewMurmur(n int, seed, virtual uint32) (*Murmur, error) {
	if n < 1 || n > Slots || virtual < 1 {
		return nil, fmt.Errorf("murmur takes 1 to %d shards, not %d", Slots, n)
	}
	m := &Murmur{n: n, seed: seed, virtual: virtual}
	for shard := range n {
		for i := range virtual {
			name := strconv.Itoa(shard) + "-" + strconv.Itoa(int(i))
			m.ring = append(m.ring, ringPoint{murmur3([]byte(name), seed), shard})
		}
	}
	slices.SortFunc(m.ring, func(a, b ringPoint) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.shard, b.shard)) })
	return m, nil
}

// Name implements Algorithm.
func (*Murmur) Name() string { return "murmur" }

// Shards implements Algorithm.
func (m *Murmur) Shards() int { return m.n }

// Spec implements Algorithm.
func (m *Murmur) Spec() string {
	return fmt.Sprintf("murmur v1 shards=%d seed=%d virtual=%d", m.n, m.seed, m.virtual)
}

// Takes implements Algorithm.
func (*Murmur) Takes(c Column) error { return takesAnyText("murmur", c) }

// ShardOf implements Algorithm.
func (m *Murmur) ShardOf(k Key) (int, error) {
	if k.Null {
		return 0, nil
	}
	shard := m.shardOf(k.Bytes)
	if k.Alt != nil && m.shardOf(k.Alt) != shard {
		return 0, ambiguous(k)
	}
	return shard, nil
}

func (m *Murmur) shardOf(text []byte) int {
	i, _ := slices.BinarySearchFunc(m.ring, murmur3(text, m.seed), func(p ringPoint, at uint32) int { return cmp.Compare(p.at, at) })
	return m.ring[i%len(m.ring)].shard
}

// ShardsOfRange implements Ranger: only a range of few integers narrows.
func (m *Murmur) ShardsOfRange(lo, hi Bound) Set {
	var digits [20]byte
	return fewIntegers(m.n, lo, hi, func(i int64) int { return m.shardOf(strconv.AppendInt(digits[:0], i, 10)) })
}

// murmur3 is MurmurHash3 of 32 bits (x86_32).
func murmur3(data []byte, seed uint32) uint32 {
	const c1, c2 = 0xcc9e2d51, 0x1b873593
	mix := func(k uint32) uint32 { return bits.RotateLeft32(k*c1, 15) * c2 }
	h, rest := seed, data
	for ; len(rest) >= 4; rest = rest[4:] {
		h = bits.RotateLeft32(h^mix(binary.LittleEndian.Uint32(rest)), 13)*5 + 0xe6546b64
	}
	var tail uint32
	for i, b := range rest {
		tail |= uint32(b) << (8 * i)
	}
	h ^= mix(tail) // mix(0) is 0
	h ^= uint32(len(data))
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}
