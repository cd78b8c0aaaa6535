package shardrule

// dbleHash is dble's hash: the number mod the sum of all segments, 2880 at
// most; a negative one is brought up to a positive. NULL has the first node.
type dbleHash struct{ segments }

// dbleSlots is the most numbers dble's segments are of.
const dbleSlots = 2880

func dbleHashFunction() Function {
	return foreignFunction("dble_hash", false, func(a Args, _ int) (nodeFunc, int, error) {
		s, err := segmentsOf(a, dbleSlots, false)
		return dbleHash{s}, 0, err
	}, "partition_count", "partition_length")
}

func (d dbleHash) node(k Key) (int, bool) {
	n, ok := longOf(k)
	if !ok {
		return 0, false
	}
	return int(d.of[floorMod(n, len(d.of))]), true
}

func (d dbleHash) expr(column string, c Column) string {
	if c.Type != TypeInt {
		return ""
	}
	return notLong(column, c, d.segments.expr(Mod{n: len(d.of)}.ShardExpr(column, c)))
}
