package shardrule

// mycatYear is PartitionByYear of some releases of Mycat: years from a date on;
// with an end they repeat, both ways.
type mycatYear struct {
	format       javaFormat
	first, cycle int64
	n            int
}

func mycatYearFunction() Function {
	return foreignFunction("mycat_year", true, func(a Args, n int) (nodeFunc, int, error) {
		m := mycatYear{n: n}
		var err error
		if m.format, err = parseJavaFormat(a, "yyyy-MM-dd"); err != nil {
			return nil, 0, err
		}
		begin, err := m.format.day(a, "begin")
		if err != nil {
			return nil, 0, err
		}
		m.first = int64(begin.civil().Year())
		if a.Text("end", "") != "" {
			end, err := m.format.day(a, "end")
			if err != nil {
				return nil, 0, err
			}
			if m.cycle = int64(end.civil().Year()) - m.first + 1; m.cycle < 1 {
				return nil, 0, paramError("end", "give a date after begin", "end is before begin")
			}
		}
		return m, refusesNull, nil
	}, "format", "begin", "end")
}

func (m mycatYear) forColumn(c Column) nodeFunc {
	m.format.dated = c.Type == TypeDate || c.Type == TypeDatetime
	return m
}

func (m mycatYear) window(k Key) (int64, bool) {
	at, ok := m.format.moment(k)
	return int64(at.civil().Year()) - m.first, ok
}

func (m mycatYear) node(k Key) (int, bool) {
	w, ok := m.window(k)
	if m.cycle > 0 {
		w = int64(floorMod(w, int(m.cycle)))
	}
	return int(w), ok && w >= 0
}

// span implements spanner.
func (m mycatYear) span(lo, hi Bound, add func(int)) bool { return spanWindows(m, lo, hi, add) }

func (m mycatYear) nodes(w int64, add func(int)) {
	if m.cycle > 0 {
		w = int64(floorMod(w, int(m.cycle)))
	}
	add(int(w))
}

func (m mycatYear) bounds() (first, last int64) {
	if m.cycle > 0 {
		return everywhere()
	}
	return 0, int64(m.n) - 1
}
