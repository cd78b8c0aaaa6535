package shardrule

// mycatDay is Mycat's PartitionByDate with sNaturalDay: the day of the month,
// from 0.
type mycatDay struct{ format javaFormat }

func mycatDayFunction() Function {
	return foreignFunction("mycat_day", true, func(a Args, _ int) (nodeFunc, int, error) {
		f, err := parseJavaFormat(a, "yyyy-MM-dd")
		return mycatDay{f}, refusesNull, err
	}, "format")
}

func (m mycatDay) forColumn(c Column) nodeFunc {
	m.format.dated = c.Type == TypeDate || c.Type == TypeDatetime
	return m
}

func (m mycatDay) window(k Key) (int64, bool) {
	at, ok := m.format.moment(k)
	return at.civil().Unix() / 86400, ok // dates before 1970 share a window: span gives up on them
}

func (m mycatDay) node(k Key) (int, bool) {
	at, ok := m.format.moment(k)
	return at.civil().Day() - 1, ok
}

// span implements spanner: the days of a month at most.
func (m mycatDay) span(lo, hi Bound, add func(int)) bool {
	from, ok1 := m.window(lo.Key)
	to, ok2 := m.window(hi.Key)
	if lo.Open || hi.Open || !ok1 || !ok2 || from < 1 || to-from > 31 || lo.Key.IsInt || hi.Key.IsInt {
		return false
	}
	return spanWindows(m, lo, hi, add)
}

func (m mycatDay) nodes(w int64, add func(int)) {
	add(moment{year: 1970, month: 1, day: 1 + int(w)}.civil().Day() - 1)
}

func (m mycatDay) bounds() (first, last int64) { return everywhere() }

func (m mycatDay) expr(column string, c Column) string {
	if c.Type != TypeDate && c.Type != TypeDatetime {
		return ""
	}
	return "DAYOFMONTH(" + column + ") - 1"
}
