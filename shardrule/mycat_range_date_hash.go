package shardrule

// mycatRangeDateHash is Mycat's PartitionByRangeDateHash: windows of days, each
// with a group of nodes among which the time's milliseconds are hashed.
type mycatRangeDateHash struct {
	mycatDate
	group int
}

func mycatRangeDateHashFunction() Function {
	return foreignFunction("mycat_range_date_hash", true, func(a Args, n int) (nodeFunc, int, error) {
		group, err := a.Int("group", 1, 1, maxNodes)
		if err != nil {
			return nil, 0, err
		}
		f, err := newMycatDate(a, (n+int(group)-1)/int(group))
		f.early = mycatEarly
		return mycatRangeDateHash{f, int(group)}, refusesNull, err
	}, "format", "begin", "days", "group", "proxy_zone")
}

func (m mycatRangeDateHash) forColumn(c Column) nodeFunc {
	m.format.dated = c.Type == TypeDate || c.Type == TypeDatetime
	return m
}

func (m mycatRangeDateHash) node(k Key) (int, bool) {
	at, ok := m.format.moment(k)
	w, _ := m.window(k)
	if !ok || w < -maxNodes || w > maxNodes {
		return 0, false
	}
	node := int(w)*m.group + consistentHash(at.millis(m.zone), m.group)
	return node, node >= 0
}

// span implements spanner.
func (m mycatRangeDateHash) span(lo, hi Bound, add func(int)) bool {
	lo, hi = m.widened(lo, hi)
	return spanWindows(m, lo, hi, add)
}

func (m mycatRangeDateHash) nodes(w int64, add func(int)) {
	for i := range m.group {
		add(int(w)*m.group + i)
	}
}

// bounds implements windowed.
func (m mycatRangeDateHash) bounds() (first, last int64) { return 0, int64(m.n) - 1 }

func (m mycatRangeDateHash) expr(string, Column) string { return "" }
