package shardrule

import (
	"math"
	"slices"
	"sort"
	"strconv"
)

// mycatMurmur is Mycat's PartitionByMurmurHash: a ring of virtual buckets,
// whose hashes are of a text that grows with each bucket of a node:
// SHARD-0-NODE-0, SHARD-0-NODE-0-NODE-1, …
type mycatMurmur struct {
	seed uint32
	// hashes ascend; owners are their nodes.
	hashes []int32
	owners []int
}

// mostBuckets bounds the work of making the ring: its texts grow.
const mostBuckets = 1 << 16

func mycatMurmurFunction() Function {
	return foreignFunction("mycat_murmur", false, newMycatMurmur, "count", "seed", "virtual_buckets", "weights{}")
}

func newMycatMurmur(a Args, n int) (nodeFunc, int, error) {
	count, err := a.Int("count", int64(n), 1, maxNodes)
	if err != nil {
		return nil, 0, err
	}
	seed, err := a.Int("seed", 0, math.MinInt32, math.MaxInt32)
	if err != nil {
		return nil, 0, err
	}
	times, err := a.Int("virtual_buckets", 160, 1, 10000)
	if err != nil {
		return nil, 0, err
	}
	weights := map[string]int{}
	for _, p := range a["weights"].Pairs {
		w, err := strconv.Atoi(p.Value)
		if _, bad := strconv.Atoi(p.Key); err != nil || bad != nil || w > 1000 {
			return nil, 0, paramError("weights", "write node: weight, 0: 2", "weights cannot have %s: %s", p.Key, p.Value)
		}
		weights[p.Key] = max(w, 1)
	}
	m := &mycatMurmur{seed: uint32(int32(seed))}
	ring, made := map[int32]int{}, 0
	for node := range int(count) {
		buckets := int(times) * max(weights[strconv.Itoa(node)], 1)
		if made += buckets; made > mostBuckets {
			return nil, 0, paramError("virtual_buckets", "take fewer", "mycat_murmur has more than %d virtual buckets", mostBuckets)
		}
		name := javaChars([]byte("SHARD-" + strconv.Itoa(node)))
		for i := range buckets {
			name = append(name, javaChars([]byte("-NODE-"+strconv.Itoa(i)))...)
			ring[javaMurmur(m.seed, name)] = node // a later one wins
		}
	}
	for h := range ring {
		m.hashes = append(m.hashes, h)
	}
	slices.Sort(m.hashes)
	for _, h := range m.hashes {
		m.owners = append(m.owners, ring[h])
	}
	return m, refusesNull, nil
}

func (m *mycatMurmur) node(k Key) (int, bool) {
	h := javaMurmur(m.seed, javaChars(k.Bytes))
	i := sort.Search(len(m.hashes), func(i int) bool { return m.hashes[i] >= h })
	return m.owners[i%len(m.owners)], true
}
