package shardrule

import "bytes"

// mycatHashMod is Mycat's PartitionByHashMod: Wang and Jenkins' mix of the
// text's hash code mod count.
type mycatHashMod struct{ count int }

func mycatHashModFunction() Function {
	return foreignFunction("mycat_hash_mod", false, func(a Args, n int) (nodeFunc, int, error) {
		count, err := a.Int("count", int64(n), 1, maxNodes)
		return mycatHashMod{int(count)}, refusesNull, err
	}, "count")
}

func (m mycatHashMod) node(k Key) (int, bool) {
	if bytes.IndexByte(k.Bytes, '\'') >= 0 || len(bytes.TrimSpace(k.Bytes)) < len(k.Bytes) {
		return 0, false // releases differ in whether they take spaces and quotes away
	}
	h := hashCode(k.Bytes)
	h = ^h + h<<21
	h ^= h >> 24
	h = h + h<<3 + h<<8
	h ^= h >> 14
	h = h + h<<2 + h<<4
	h ^= h >> 28
	h += h << 31
	n := int64(h)
	return int(max(n, -n) % int64(m.count)), true
}
