package shardrule

import (
	"math"
	"strconv"
	"unicode/utf16"
)

// What Java does with text and numbers, for functions written in it.

// javaChars are the UTF-16 units of a string, Java's char.
func javaChars(text []byte) []uint16 { return utf16.Encode([]rune(string(text))) }

// javaText is the text of a string's units.
func javaText(chars []uint16) string { return string(utf16.Decode(chars)) }

// hashCode is Java's String.hashCode.
func hashCode(text []byte) int32 {
	var h int32
	for _, u := range javaChars(text) {
		h = 31*h + int32(u)
	}
	return h
}

// longOf is Long.parseLong of the key's text.
func longOf(k Key) (int64, bool) {
	if k.IsInt {
		return k.Int, true
	}
	n, err := strconv.ParseInt(string(k.Bytes), 10, 64)
	return n, err == nil
}

// absMod is |text| mod n for a whole number of any length.
func absMod(text []byte, n int) (int, bool) {
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		text = text[1:]
	}
	if len(text) == 0 {
		return 0, false
	}
	var rest uint64
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		rest = (rest*10 + uint64(c-'0')) % uint64(n)
	}
	return int(rest), true
}

// javaSlice is Java's substring(start, end) with the ends counted as hashSlice
// counts: a negative one from the end of the text, and 0 as end is the end.
func javaSlice(u []uint16, start, end int) []uint16 {
	if start < 0 {
		start = max(len(u)+start, 0)
	}
	if end <= 0 {
		end += len(u)
	}
	end = min(end, len(u))
	if start >= end {
		return nil
	}
	return u[start:end]
}

// hash31 is hashCode in 64 bits.
func hash31(u []uint16) int64 {
	var h int64
	for _, c := range u {
		h = 31*h + int64(c)
	}
	return h
}

// javaJump is Lamping and Veach's jump consistent hash as Java computes it.
func javaJump(key int64, buckets int) int {
	k, b, j := uint64(key), int64(-1), int64(0)
	for j < int64(buckets) {
		b = j
		k = k*2862933555777941757 + 1
		j = int64(float64(b+1) * (float64(int64(1)<<31) / float64(k>>33+1)))
	}
	return int(b)
}

// consistentHash is Guava's Hashing.consistentHash.
func consistentHash(input int64, buckets int) int {
	state, candidate := uint64(input), 0
	for {
		state = state*2862933555777941757 + 1
		next := float64(candidate+1) / (float64(int32(state>>33)+1) / (1 << 31))
		if math.IsInf(next, 0) || next <= -1 || next >= float64(buckets) {
			return candidate
		}
		candidate = int(next)
	}
}

// javaMurmur is Guava's murmur3_32 of a string's chars.
func javaMurmur(seed uint32, chars []uint16) int32 {
	text := make([]byte, 0, 2*len(chars))
	for _, c := range chars {
		text = append(text, byte(c), byte(c>>8))
	}
	return int32(murmur3(text, seed))
}
