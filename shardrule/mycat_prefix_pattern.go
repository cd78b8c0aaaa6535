package shardrule

import "math"

// mycatPrefixPattern is Mycat's PartitionByPrefixPattern: the sum of the first
// characters' codes mod patternValue in ranges.
type mycatPrefixPattern struct {
	modulus int64
	length  int
	ranges  []longRange
}

func mycatPrefixPatternFunction() Function {
	return foreignFunction("mycat_prefix_pattern", false, func(a Args, _ int) (nodeFunc, int, error) {
		modulus, err := a.Int("pattern_value", 1024, 1, math.MaxInt32)
		if err != nil {
			return nil, 0, err
		}
		length, err := a.Int("prefix_length", 0, 0, 1<<20)
		if err != nil {
			return nil, 0, err
		}
		ranges, err := longRanges(a, "ranges", true)
		return mycatPrefixPattern{modulus, int(length), ranges}, refusesNull, err
	}, "pattern_value", "prefix_length", "ranges{}")
}

func (m mycatPrefixPattern) node(k Key) (int, bool) {
	chars := javaChars(k.Bytes)
	var sum int64
	for _, c := range chars[:min(m.length, len(chars))] {
		sum += int64(c)
	}
	return rangeOf(m.ranges, sum%m.modulus)
}
