package shardrule

import "fmt"

// mycatMonth is Mycat's PartitionByMonth and PartitionByMonthAndHistory: months
// from a date on, of which those before it have the first node; with an end
// they repeat, both ways. Without dates it is the month of the year.
type mycatMonth struct {
	format javaFormat
	// first is the number of the first month, cycle how many there are; 0 for
	// no end.
	first, cycle int64
	n            int
}

func mycatMonthFunction() Function {
	return foreignFunction("mycat_month", true, func(a Args, n int) (nodeFunc, int, error) {
		m := mycatMonth{n: n, cycle: 12}
		var err error
		if m.format, err = parseJavaFormat(a, "yyyy-MM-dd"); err != nil {
			return nil, 0, err
		}
		if a.Text("begin", "") == "" && a.Text("end", "") == "" {
			return m, refusesNull, nil
		}
		begin, err := m.format.day(a, "begin")
		if err != nil {
			return nil, 0, err
		}
		m.first, m.cycle = monthNumber(begin), 0
		if a.Text("end", "") != "" {
			end, err := m.format.day(a, "end")
			if err != nil {
				return nil, 0, err
			}
			if m.cycle = monthNumber(end) - m.first + 1; m.cycle < 1 {
				return nil, 0, paramError("end", "give a date after begin", "end is before begin")
			}
		}
		return m, refusesNull, nil
	}, "format", "begin", "end")
}

// monthNumber counts months from year 0.
func monthNumber(m moment) int64 {
	t := m.civil()
	return int64(t.Year())*12 + int64(t.Month()) - 1
}

func (m mycatMonth) forColumn(c Column) nodeFunc {
	m.format.dated = c.Type == TypeDate || c.Type == TypeDatetime
	return m
}

func (m mycatMonth) window(k Key) (int64, bool) {
	at, ok := m.format.moment(k)
	w := monthNumber(at) - m.first
	if m.cycle == 0 {
		w = max(w, 0)
	}
	return w, ok
}

func (m mycatMonth) node(k Key) (int, bool) {
	w, ok := m.window(k)
	if m.cycle > 0 {
		w = int64(floorMod(w, int(m.cycle)))
	}
	return int(w), ok && w < maxNodes
}

// span implements spanner.
func (m mycatMonth) span(lo, hi Bound, add func(int)) bool { return spanWindows(m, lo, hi, add) }

func (m mycatMonth) nodes(w int64, add func(int)) {
	if m.cycle > 0 {
		w = int64(floorMod(w, int(m.cycle)))
	}
	add(int(w))
}

func (m mycatMonth) bounds() (first, last int64) {
	if m.cycle > 0 {
		return everywhere()
	}
	return 0, int64(m.n) - 1
}

func (m mycatMonth) expr(column string, c Column) string {
	if c.Type != TypeDate && c.Type != TypeDatetime {
		return ""
	}
	w := fmt.Sprintf("CAST(YEAR(%s) * 12 + MONTH(%s) - 1 AS SIGNED) - %d", column, column, m.first)
	if m.cycle == 0 {
		return "GREATEST(" + w + ", 0)"
	}
	return fmt.Sprintf("((%s) MOD %d + %d) MOD %d", w, m.cycle, m.cycle, m.cycle)
}
