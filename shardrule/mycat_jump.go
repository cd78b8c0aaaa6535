package shardrule

// mycatJump is Mycat's PartitionByJumpConsistentHash: jump consistent hash of
// the text's 32-bit hash code.
type mycatJump struct{ buckets int }

func mycatJumpFunction() Function {
	return foreignFunction("mycat_jump", false, func(a Args, n int) (nodeFunc, int, error) {
		buckets, err := a.Int("count", int64(n), 1, maxNodes)
		return mycatJump{int(buckets)}, refusesNull, err
	}, "count")
}

func (m mycatJump) node(k Key) (int, bool) {
	return javaJump(int64(hashCode(k.Bytes)), m.buckets), true
}
