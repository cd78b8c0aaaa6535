package shardrule

import (
	"strconv"
	"strings"
)

// mycatString is Mycat's PartitionByString: a slice of the text hashed with 31
// in 64 bits, mod 1024, in segments. Gaea's counts an end from the last in
// bytes, and hashes code points.
type mycatString struct {
	segments
	start, end int
	gaea       bool
}

func mycatStringFunction() Function { return stringFunction("mycat_string", false) }

func gaeaStringFunction() Function { return stringFunction("gaea_string", true) }

func stringFunction(name string, gaea bool) Function {
	return foreignFunction(name, false, func(a Args, _ int) (nodeFunc, int, error) {
		s, err := segmentsOf(a, mycatSlots, true)
		if err != nil {
			return nil, 0, err
		}
		start, end, err := hashSlice(a, "0:8")
		return mycatString{s, start, end, gaea}, refusesNull, err
	}, "partition_count", "partition_length", "hash_slice")
}

func (m mycatString) node(k Key) (int, bool) {
	if m.gaea {
		return int(m.of[m.gaeaHash(k.Bytes)%mycatSlots]), true
	}
	return int(m.of[uint64(hash31(javaSlice(javaChars(k.Bytes), m.start, m.end)))%mycatSlots]), true
}

func (m mycatString) gaeaHash(text []byte) uint64 {
	runes, start, end := []rune(string(text)), m.start, m.end
	if start < 0 {
		start = max(len(text)+start, 0)
	}
	if end <= 0 {
		end += len(text)
	}
	var h uint64
	for i := start; i < min(end, len(runes)); i++ {
		h = 31*h + uint64(runes[i])
	}
	return h
}

// hashSlice reads "0:2", "-4:", ":-1", "3" (0 to 3) and "-3" (the last three).
func hashSlice(a Args, otherwise string) (start, end int, err error) {
	text := a.Text("hash_slice", otherwise)
	left, right, both := strings.Cut(text, ":")
	start, err1 := sliceEnd(left)
	end, err2 := sliceEnd(right)
	switch {
	case err1 != nil || err2 != nil || !both && strings.TrimSpace(left) == "":
		return 0, 0, paramError("hash_slice", `write "0:8", "-4:" or ":-1"`, "hash_slice cannot be %q", text)
	case both:
		return start, end, nil
	}
	return min(start, 0), max(start, 0), nil
}

func sliceEnd(text string) (int, error) {
	if text = strings.TrimSpace(text); text == "" {
		return 0, nil
	}
	return strconv.Atoi(text)
}
