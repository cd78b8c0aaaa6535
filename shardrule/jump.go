package shardrule

import (
	"fmt"
	"hash/fnv"
	"strconv"
)

// Jump is jump consistent hashing (Lamping and Veach, 2014): a change from n to
// n+1 shards moves one row in n+1, all of them to the new shard. An integer
// below 2^63 is hashed itself, any other key by the FNV-1a of its bytes. NULL is on
// shard 0. It has no order, and MySQL cannot compute it.
type Jump struct{ n int }

var _ Ranger = Jump{}

func jumpFunction() Function {
	return Function{Name: "jump", Counted: func(_ Args, shards int) (Algorithm, error) { return NewJump(shards) }}
}

// NewJump is a Jump over n shards, 1 to 1024.
func NewJump(n int) (Jump, error) {
	if n < 1 || n > Slots {
		return Jump{}, fmt.Errorf("jump takes 1 to %d shards, not %d", Slots, n)
	}
	return Jump{n: n}, nil
}

// Name implements Algorithm.
func (Jump) Name() string { return "jump" }

// Shards implements Algorithm.
func (j Jump) Shards() int { return j.n }

// Spec implements Algorithm.
func (j Jump) Spec() string { return "jump v1 shards=" + strconv.Itoa(j.n) }

// Takes implements Algorithm.
func (Jump) Takes(c Column) error { return takesAnyText("jump", c) }

// takesAnyText: the types whose key has one text whoever writes it.
func takesAnyText(name string, c Column) error {
	if err := (Hash{}).Takes(c); err != nil {
		return fmt.Errorf("%s%s", name, err.Error()[len("hash"):])
	}
	return nil
}

// ShardOf implements Algorithm.
func (j Jump) ShardOf(k Key) (int, error) {
	if k.Null {
		return 0, nil
	}
	shard := jump(jumpKey(k, k.Bytes), j.n)
	if k.Alt != nil && jump(jumpKey(k, k.Alt), j.n) != shard {
		return 0, ambiguous(k)
	}
	return shard, nil
}

func jumpKey(k Key, text []byte) uint64 {
	if k.IsInt {
		return uint64(k.Int)
	}
	h := fnv.New64a()
	_, _ = h.Write(text) // it cannot fail
	return h.Sum64()
}

// jump is the last of the shards 0 to n-1 that the key jumps to.
func jump(key uint64, n int) int {
	at, next := int64(-1), int64(0)
	for next < int64(n) {
		at = next
		key = key*2862933555777941757 + 1
		next = int64(float64(at+1) * (float64(int64(1)<<31) / float64(key>>33+1)))
	}
	return int(at)
}

// ShardsOfRange implements Ranger: only a range of few integers narrows.
func (j Jump) ShardsOfRange(lo, hi Bound) Set {
	return fewIntegers(j.n, lo, hi, func(i int64) int { return jump(uint64(i), j.n) })
}

// fewIntegers are the shards of an integer range whose keys can be tried one by
// one; all shards of any other.
func fewIntegers(n int, lo, hi Bound, shard func(int64) int) Set {
	if lo.Open || hi.Open || !lo.Key.IsInt || !hi.Key.IsInt {
		return FullSet(n)
	}
	first, last := lo.Key.Int, hi.Key.Int
	switch {
	case first > last:
		return EmptySet(n)
	case uint64(last)-uint64(first) >= maxEnumerated: // the true distance, also where last-first overflows
		return FullSet(n)
	}
	set := EmptySet(n)
	for i := range last - first + 1 {
		if i == 0 && lo.Exclusive || i == last-first && hi.Exclusive {
			continue
		}
		set.Add(shard(first + i))
	}
	return set
}
