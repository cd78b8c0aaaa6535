package shardrule

import (
	"fmt"
	"time"
)

// mycatDate is Mycat's PartitionByDate and dble's date: windows of days of 24
// hours from a date on. With an end they repeat behind it. Mycat counts a date
// within one window before the beginning to the first.
type mycatDate struct {
	format     javaFormat
	zone       *time.Location
	begin, end int64 // milliseconds since 1970
	window0    int64 // a window's milliseconds
	cycle      int64 // windows until they repeat, 0 for never
	n          int
	// early is the node of dates before the beginning: dble's; -2 counts as
	// Mycat does.
	early int
	// civilBegin is the beginning on the clock, for SQL; steady: the zone's
	// clock was not changed since.
	civilBegin time.Time
	steady     bool
}

const (
	dayMillis  = 86400000
	mycatEarly = -2
)

func mycatDateFunction() Function {
	return foreignFunction("mycat_date", true, func(a Args, n int) (nodeFunc, int, error) {
		f, err := newMycatDate(a, n)
		f.early = mycatEarly
		return f, refusesNull, err
	}, "format", "begin", "end", "days", "proxy_zone")
}

func dbleDateFunction() Function {
	return foreignFunction("dble_date", true, func(a Args, n int) (nodeFunc, int, error) {
		f, err := newMycatDate(a, n)
		if err != nil {
			return nil, 0, err
		}
		f.early, err = defaultNode(a, -1)
		return f, f.early, err
	}, "format", "begin", "end", "days", "proxy_zone", "default")
}

func newMycatDate(a Args, n int) (mycatDate, error) {
	m := mycatDate{n: n}
	var err error
	if m.format, err = parseJavaFormat(a, "yyyy-MM-dd"); err != nil {
		return m, err
	}
	if m.zone, err = otherZone(a); err != nil {
		return m, err
	}
	begin, err := m.format.day(a, "begin")
	if err != nil {
		return m, err
	}
	days, err := a.Int("days", 0, 1, 100000)
	if err != nil {
		return m, err
	}
	if days == 0 {
		return m, paramError("days", "say how many days a window has", "days is missing")
	}
	m.civilBegin, m.begin, m.window0 = begin.civil(), begin.millis(m.zone), days*dayMillis
	m.steady = steady(m.zone, m.civilBegin)
	if a.Text("end", "") == "" {
		return m, nil
	}
	end, err := m.format.day(a, "end")
	if err != nil {
		return m, err
	}
	if m.end = end.millis(m.zone); m.end < m.begin {
		return m, paramError("end", "give a date after begin", "end is before begin")
	}
	m.cycle = (m.end-m.begin)/m.window0 + 1
	return m, nil
}

func (m mycatDate) forColumn(c Column) nodeFunc {
	m.format.dated = c.Type == TypeDate || c.Type == TypeDatetime
	return m
}

// beforeAll is the window of dble's dates before the beginning.
const beforeAll = -1 << 40

func (m mycatDate) window(k Key) (int64, bool) {
	at, ok := m.format.moment(k)
	since := at.millis(m.zone) - m.begin
	if since < 0 && m.early != mycatEarly {
		return beforeAll, ok
	}
	return since / m.window0, ok
}

func (m mycatDate) node(k Key) (int, bool) {
	w, ok := m.window(k)
	if !ok {
		return 0, false
	}
	if w == beforeAll {
		return m.early, m.early >= 0
	}
	if m.cycle > 0 && w >= m.cycle { // behind the end
		w %= m.cycle
	}
	return int(w), w >= 0 && w < maxNodes
}

// span implements spanner.
func (m mycatDate) span(lo, hi Bound, add func(int)) bool {
	if lo.Open || m.early != mycatEarly {
		add(m.early)
	}
	lo, hi = m.widened(lo, hi)
	return spanWindows(m, lo, hi, add)
}

// widened is a range with what a changed clock may have put out of order: a
// time that was left out is read as one behind it.
func (m mycatDate) widened(lo, hi Bound) (Bound, Bound) {
	if m.steady {
		return lo, hi
	}
	return lo.moved(-3 * time.Hour), hi.moved(3 * time.Hour)
}

// moved is the bound at another time; one that is no date stays.
func (b Bound) moved(by time.Duration) Bound {
	if at, ok := parseCanonical(string(b.Key.Bytes)); ok && !b.Open {
		b.Key = Key{Bytes: at.civil().Add(by).AppendFormat(nil, time.DateTime)}
	}
	return b
}

func (m mycatDate) nodes(w int64, add func(int)) {
	if m.cycle > 0 {
		w %= m.cycle
	}
	add(int(w))
}

func (m mycatDate) bounds() (first, last int64) {
	if m.cycle > 0 {
		_, last = everywhere()
		return 0, last
	}
	return 0, int64(m.n) - 1
}

// expr is of columns of dates, where the zone's clock was never changed since
// the beginning.
func (m mycatDate) expr(column string, c Column) string {
	if c.Type != TypeDate && c.Type != TypeDatetime || m.early != mycatEarly || !m.steady {
		return ""
	}
	at := m.format.expr(column)
	if at == "" {
		return ""
	}
	w := fmt.Sprintf("TIMESTAMPDIFF(SECOND, '%s', %s) DIV %d", m.civilBegin.Format(time.DateTime), at, m.window0/1000)
	if m.cycle > 0 {
		w = fmt.Sprintf("IF(%s < %d, %s, (%s) MOD %d)", w, m.cycle, w, w, m.cycle)
	}
	return w
}

// steady: the zone's clock was not changed from a year before this time on.
func steady(zone *time.Location, from time.Time) bool {
	const step, years = 7 * 24 * time.Hour, 80
	want := offset(from, zone)
	for t := from.AddDate(-1, 0, 0); t.Before(from.AddDate(years, 0, 0)); t = t.Add(step) {
		if offset(t, zone) != want {
			return false
		}
	}
	return true
}

// expr is the time the pattern sees of a column of dates, in SQL; empty where
// it is not a date, or one with the whole time of day.
func (f javaFormat) expr(column string) string {
	has := map[byte]bool{}
	for _, p := range f.parts {
		has[p.letter] = true
	}
	switch {
	case !has['y'] || !has['M'] || !has['d'] || has['h'] || has['S']:
		return ""
	case has['H'] && has['m'] && has['s']:
		return column
	case !has['H'] && !has['m'] && !has['s']:
		return "DATE(" + column + ")"
	}
	return ""
}
