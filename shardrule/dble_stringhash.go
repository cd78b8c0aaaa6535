package shardrule

import "strings"

// dbleStringHash is dble's stringhash: a slice of the text hashed with 31 in 64
// bits, mod the sum of all segments. NULL has the first node; the text 'null'
// none, for releases differ in whether it is one.
type dbleStringHash struct {
	segments
	start, end int
}

func dbleStringHashFunction() Function {
	return foreignFunction("dble_stringhash", false, func(a Args, _ int) (nodeFunc, int, error) {
		s, err := segmentsOf(a, dbleSlots, false)
		if err != nil {
			return nil, 0, err
		}
		start, end, err := hashSlice(a, "0:8")
		return dbleStringHash{s, start, end}, 0, err
	}, "partition_count", "partition_length", "hash_slice")
}

func (d dbleStringHash) node(k Key) (int, bool) {
	if strings.EqualFold(string(k.Bytes), "null") {
		return 0, false
	}
	return int(d.of[floorMod(hash31(javaSlice(javaChars(k.Bytes), d.start, d.end)), len(d.of))]), true
}
