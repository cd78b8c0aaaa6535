package shardrule

import "strings"

// dbleJump is dble's jumpstringhash: jump consistent hash of a slice's 64-bit
// hash with 31. NULL has the first node, and so has the text 'null'.
type dbleJump struct{ count, start, end int }

func dbleJumpFunction() Function {
	return foreignFunction("dble_jumpstringhash", false, func(a Args, n int) (nodeFunc, int, error) {
		count, err := a.Int("count", int64(n), 1, maxNodes)
		if err != nil {
			return nil, 0, err
		}
		start, end, err := hashSlice(a, "0:-1")
		return dbleJump{int(count), start, end}, 0, err
	}, "count", "hash_slice")
}

func (d dbleJump) node(k Key) (int, bool) {
	if strings.EqualFold(string(k.Bytes), "null") {
		return 0, true
	}
	return javaJump(hash31(javaSlice(javaChars(k.Bytes), d.start, d.end)), d.count), true
}
