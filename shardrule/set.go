package shardrule

import (
	"math/bits"
	"strconv"
	"strings"
)

// Set is a set of shard indexes. The zero value is empty. Methods that return
// a Set leave the receiver as it is.
type Set struct {
	n    int // shards there are: members are in [0,n)
	bits []uint64
}

// EmptySet has no members of n possible ones.
func EmptySet(n int) Set { return Set{n: n, bits: make([]uint64, (n+63)/64)} }

// FullSet has all n members.
func FullSet(n int) Set {
	s := EmptySet(n)
	for i := range n {
		s.bits[i/64] |= 1 << (i % 64)
	}
	return s
}

// OneShard has the member i of n.
func OneShard(n, i int) Set {
	s := EmptySet(n)
	s.Add(i)
	return s
}

// Add puts i in. It panics where i is not in [0,n).
func (s Set) Add(i int) {
	if i < 0 || i >= s.n {
		panic("shardrule: shard " + strconv.Itoa(i) + " of " + strconv.Itoa(s.n))
	}
	s.bits[i/64] |= 1 << (i % 64)
}

// Has reports membership.
func (s Set) Has(i int) bool { return i >= 0 && i < s.n && s.bits[i/64]&(1<<(i%64)) != 0 }

// Len is the number of members.
func (s Set) Len() int {
	n := 0
	for _, w := range s.bits {
		n += bits.OnesCount64(w)
	}
	return n
}

// Full reports that every shard is a member.
func (s Set) Full() bool { return s.Len() == s.n }

// Size is the number of shards there are.
func (s Set) Size() int { return s.n }

// And is the intersection.
func (s Set) And(t Set) Set { return s.merge(t, func(a, b uint64) uint64 { return a & b }) }

// Or is the union.
func (s Set) Or(t Set) Set { return s.merge(t, func(a, b uint64) uint64 { return a | b }) }

func (s Set) merge(t Set, f func(a, b uint64) uint64) Set {
	if s.n != t.n {
		panic("shardrule: sets of different sizes")
	}
	r := EmptySet(s.n)
	for i := range r.bits {
		r.bits[i] = f(s.bits[i], t.bits[i])
	}
	return r
}

// Members lists the members in order.
func (s Set) Members() []int {
	m := make([]int, 0, s.Len())
	for i := range s.n {
		if s.Has(i) {
			m = append(m, i)
		}
	}
	return m
}

// String prints the members as runs: [0-3 7].
func (s Set) String() string {
	var b strings.Builder
	b.WriteByte('[')
	m := s.Members()
	for i := 0; i < len(m); {
		j := i
		for j+1 < len(m) && m[j+1] == m[j]+1 {
			j++
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(m[i]))
		if j > i {
			b.WriteString("-" + strconv.Itoa(m[j]))
		}
		i = j + 1
	}
	b.WriteByte(']')
	return b.String()
}
