package shardrule

// mycatLong is Mycat's PartitionByLong: the number mod 1024 in segments.
// Releases since 1.6.7.5 (2020) fold the upper 32 bits into the lower first, so
// they place negative numbers and those of 2^32 and more elsewhere.
type mycatLong struct {
	segments
	fold bool
}

// mycatSlots is how many numbers Mycat's segments are of.
const mycatSlots = 1024

func mycatLongFunction() Function {
	return foreignFunction("mycat_long", false, func(a Args, _ int) (nodeFunc, int, error) {
		s, err := segmentsOf(a, mycatSlots, true)
		if err != nil {
			return nil, 0, err
		}
		if !a.Has("fold") {
			return nil, 0, paramError("fold", "write fold: true for Mycat 1.6.7.5 and newer, fold: false for older ones and Gaea", "mycat_long does not say which release placed the rows")
		}
		fold, err := a.yes("fold")
		return mycatLong{s, fold}, refusesNull, err
	}, "partition_count", "partition_length", "fold")
}

func (m mycatLong) node(k Key) (int, bool) {
	n, ok := longOf(k)
	if !ok {
		return 0, false
	}
	h := uint64(n)
	if m.fold {
		h ^= h >> 32
	}
	return int(m.of[h%mycatSlots]), true
}

func (m mycatLong) expr(column string, c Column) string {
	if c.Type != TypeInt {
		return ""
	}
	h := column
	if m.fold {
		h = "((" + column + " >> 32) ^ " + column + ")" // where ^ binds closer than >>
	}
	return notLong(column, c, m.segments.expr(h+" & 1023"))
}
