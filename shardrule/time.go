package shardrule

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
)

// Time places a key by the period of a Calendar its moment is in: one shard for
// each period there is. DATE, DATETIME and text are moments as written; TIMESTAMP
// and numbers of seconds or milliseconds since 1970 are moments of the rule's
// zone. A moment in a period that has no shard is an error, and NULL too. It is
// monotone, but where clocks are set back over the beginning of a period.
type Time struct {
	name     string
	calendar Calendar
	epoch    int64 // how many of a number make a second; 0: numbers are not taken
	format   *timeFormat
	table    string
	zone     *time.Location
	periods  []Period
	// index is the shard of period periods[0]+i, -1 for a gap.
	index []int32
	// kind is how the column has its moments, from Bind.
	kind momentKind
}

// momentKind is how a column has its moments.
type momentKind uint8

const (
	asDate    momentKind = iota // DATE and DATETIME
	asUTC                       // TIMESTAMP: the key is in UTC
	asNumber                    // integers
	asWritten                   // text of a format
)

// Periods are what a rule of time is made over.
type Periods struct {
	// Table is for messages.
	Table string
	// List are the periods there are, ascending.
	List []Period
	// Zone is that of periods of instants; nil is UTC.
	Zone *time.Location
}

var (
	_ Ranger    = (*Time)(nil)
	_ SQLTwin   = (*Time)(nil)
	_ Binder    = (*Time)(nil)
	_ TextKeyer = (*Time)(nil)
)

// maxPeriods bounds the periods from the first to the last.
const maxPeriods = 12 * 1000

// timeFunction is a function of time whose calendar needs no parameters.
func timeFunction(name string, unit Unit) Function {
	return Function{Name: name, Params: []Param{{Name: "epoch"}, {Name: "format"}},
		Periodic: func(Args) (Calendar, error) { return Calendar{Unit: unit}, nil }}
}

// daysFunction is windows of days.
func daysFunction() Function {
	return Function{Name: "days", Params: []Param{{Name: "days"}, {Name: "since"}, {Name: "epoch"}, {Name: "format"}},
		Periodic: func(a Args) (Calendar, error) {
			if !a.Has("days") {
				return Calendar{}, paramError("days", "write days(at, 7), or days: 7 beside it", "days does not say how many days a window has")
			}
			n, err := a.Int("days", 1, 1, 3660)
			if err != nil {
				return Calendar{}, err
			}
			since, err := time.Parse(time.DateOnly, a.Text("since", "1970-01-01"))
			if err != nil || !clockOf(since).valid() {
				return Calendar{}, paramError("since", "write a day on which a window begins, like 2026-01-01", "since cannot be %s", a.Text("since", ""))
			}
			return Calendar{Unit: Days, N: int(n), Since: clockOf(since).days()}, nil
		}}
}

// NewTime is a Time over periods; name is its function's.
func NewTime(name string, c Calendar, a Args, over Periods) (*Time, error) {
	m := &Time{name: name, calendar: c, table: over.Table, zone: over.Zone, periods: slices.Clone(over.List)}
	if m.zone == nil {
		m.zone = time.UTC
	}
	switch unit := a.Text("epoch", ""); unit {
	case "":
	case "seconds":
		m.epoch = 1
	case "milliseconds":
		m.epoch = 1000
	default:
		return nil, paramError("epoch", "it is seconds or milliseconds", "epoch cannot be %s", unit)
	}
	if a.Has("format") {
		var err error
		if m.format, err = parseFormat(a.Text("format", ""), c.Unit); err != nil {
			return nil, err
		}
	}
	return m, m.number()
}

// number numbers the periods.
func (m *Time) number() error {
	if len(m.periods) == 0 {
		return fmt.Errorf("%s for table %s needs at least one period", m.name, m.table)
	}
	first, last := m.periods[0], m.periods[len(m.periods)-1]
	if last-first < 0 || last-first >= maxPeriods {
		return fmt.Errorf("%s for table %s: periods from %s to %s", m.name, m.table, m.calendar.Name(first), m.calendar.Name(last))
	}
	m.index = slices.Repeat([]int32{-1}, int(last-first)+1)
	for i, p := range m.periods {
		if !m.calendar.first(p).valid() || i > 0 && p <= m.periods[i-1] {
			return fmt.Errorf("%s for table %s: period %s is none, or not after the one before", m.name, m.table, m.calendar.Name(p))
		}
		m.index[p-first] = int32(i)
	}
	return nil
}

// Name implements Algorithm.
func (m *Time) Name() string { return m.name }

// Shards implements Algorithm.
func (m *Time) Shards() int { return len(m.periods) }

// TextKey implements TextKeyer.
func (*Time) TextKey() TextKey { return ByCharacters }

// Spec implements Algorithm.
func (m *Time) Spec() string {
	b := []byte(m.name + " v1")
	if m.calendar.Unit == Days {
		b = fmt.Appendf(b, " days=%d since=%d", m.calendar.N, m.calendar.Since)
	}
	if m.epoch > 0 || m.kind == asUTC {
		b = fmt.Appendf(b, " epoch=%d zone=%s", m.epoch, m.zone)
	}
	if m.format != nil {
		b = fmt.Appendf(b, " format=%q", m.format.text)
	}
	b = append(b, " periods="...)
	for i := 0; i < len(m.periods); {
		j := i
		for j+1 < len(m.periods) && m.periods[j+1] == m.periods[j]+1 {
			j++
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, m.calendar.Name(m.periods[i])...)
		if j > i {
			b = append(append(b, '-'), m.calendar.Name(m.periods[j])...)
		}
		i = j + 1
	}
	return string(b)
}

// Takes implements Algorithm.
func (m *Time) Takes(c Column) error {
	no := func(why string) error { return fmt.Errorf("%s does not take %s%s", m.name, c.typeName(), why) }
	switch c.Type {
	case TypeDate:
		if m.calendar.Unit == Hour {
			return no(": a DATE has no hour")
		}
		return nil
	case TypeDatetime, TypeTimestamp:
		return nil
	case TypeInt:
		if m.epoch == 0 {
			return no(": add epoch: seconds or epoch: milliseconds to the rule")
		}
		return nil
	case TypeText:
		switch {
		case m.format == nil:
			return no(": add format: to the rule, like format: '%Y-%m-%d'")
		case !c.charactersKnown():
			return no(": which texts are equal in " + c.Collation + " is not known; use a _bin collation")
		}
		return nil
	case TypeDecimal, TypeBinary, TypeOther:
	}
	return no("; it takes DATE, DATETIME, TIMESTAMP, integers with epoch: and text with format:")
}

// Bind implements Binder.
func (m *Time) Bind(c Column, _ Weigher) (Algorithm, error) {
	bound := *m
	switch c.Type {
	case TypeTimestamp:
		bound.kind = asUTC
	case TypeInt:
		bound.kind = asNumber
	case TypeText:
		bound.kind = asWritten
		if c.foldsCase() {
			bound.format = m.format.folded()
		}
	case TypeDate, TypeDatetime, TypeDecimal, TypeBinary, TypeOther:
	}
	return &bound, nil
}

// ShardOf implements Algorithm.
func (m *Time) ShardOf(k Key) (int, error) {
	if k.Null {
		return 0, sqlerr.New(sqlerr.NoPartitionForValue,
			"Table %s is sharded by %s and has no place for NULL; give the row a date", m.table, m.name)
	}
	p, ok := m.periodOf(k, k.Bytes)
	if !ok {
		return 0, sqlerr.New(sqlerr.NoPartitionForValue, "Table %s is sharded by %s and '%s' is no moment%s", m.table, m.name, k.Bytes, m.formatText())
	}
	if k.Alt != nil {
		if alt, _ := m.periodOf(k, k.Alt); alt != p {
			return 0, ambiguous(k)
		}
	}
	i, ok := m.shardOf(p)
	if !ok {
		return 0, sqlerr.New(sqlerr.NoPartitionForValue,
			"Table %s has no place for %s: its periods are %s to %s; create the table of that period (see from: and ahead: of its rule)",
			m.table, m.calendar.Name(p), m.calendar.Name(m.periods[0]), m.calendar.Name(m.periods[len(m.periods)-1]))
	}
	return i, nil
}

func (m *Time) formatText() string {
	if m.kind != asWritten || m.format == nil {
		return ""
	}
	return " as " + m.format.text + " has it"
}

func (m *Time) shardOf(p Period) (int, bool) {
	at := p - m.periods[0]
	if at < 0 || int(at) >= len(m.index) || m.index[at] < 0 {
		return 0, false
	}
	return int(m.index[at]), true
}

// periodOf is the period of a key, false where it is no moment.
func (m *Time) periodOf(k Key, text []byte) (Period, bool) {
	var at clock
	ok := false
	switch m.kind {
	case asDate:
		at, ok = clockOfText(text)
	case asWritten:
		at, ok = m.format.clock(text)
	case asUTC, asNumber:
		var t time.Time
		if t, ok = m.instant(k, text); ok {
			at = clockOf(t.In(m.zone))
		}
	}
	if !ok || !at.valid() {
		return 0, false
	}
	return m.calendar.at(at), true
}

// clockOfText reads canonical text: 2026-11-23, with a time of day behind it or
// not.
func clockOfText(text []byte) (k clock, ok bool) {
	if len(text) < len("2026-11-23") || text[4] != '-' || text[7] != '-' {
		return k, false
	}
	ok = digits(text[:4], &k.year) && digits(text[5:7], &k.month) && digits(text[8:10], &k.day)
	if ok && len(text) >= len("2026-11-23 10") {
		ok = digits(text[11:13], &k.hour)
	}
	return k, ok && k.month >= 1 && k.month <= 12 && k.day >= 1
}

func digits(text []byte, n *int) bool {
	*n = 0
	for _, c := range text {
		if c-'0' > 9 {
			return false
		}
		*n = *n*10 + int(c-'0')
	}
	return true
}

// instant is the moment of a TIMESTAMP or of a number.
func (m *Time) instant(k Key, text []byte) (time.Time, bool) {
	if m.kind == asNumber {
		if !k.IsInt || m.epoch == 0 {
			return time.Time{}, false
		}
		if m.epoch == 1 {
			return time.Unix(k.Int, 0), k.Int > -1<<38 && k.Int < 1<<38 // the year 9999 and a little
		}
		return time.UnixMilli(k.Int), k.Int > -1<<48 && k.Int < 1<<48
	}
	t, err := time.Parse("2006-01-02 15:04:05", string(text))
	return t, err == nil
}

// ShardsOfRange implements Ranger.
func (m *Time) ShardsOfRange(lo, hi Bound) Set {
	from, to := m.periods[0], m.periods[len(m.periods)-1]
	first, last, ok := m.meets(lo, hi)
	if ok && first != nil {
		from = max(from, *first)
	}
	if ok && last != nil {
		to = min(to, *last)
	}
	set := EmptySet(len(m.periods))
	for i, p := range m.periods {
		if p >= from && p <= to {
			set.Add(i)
		}
	}
	return set
}

// meets are the first and the last period of a range; nil: no end is known, and
// not ok: neither.
func (m *Time) meets(lo, hi Bound) (first, last *Period, ok bool) {
	switch m.kind {
	case asUTC, asNumber:
		first, last = m.instants(lo, hi)
		return first, last, true
	case asWritten:
		if !m.format.ordered {
			return nil, nil, false
		}
	case asDate:
	}
	if p, known := m.boundPeriod(lo); known {
		first = &p
	}
	if p, known := m.boundPeriod(hi); known {
		if hi.Exclusive && m.begins(hi.Key.Bytes, p) {
			p--
		}
		last = &p
	}
	return first, last, true
}

// boundPeriod is the bound's period, false where it does not bound.
func (m *Time) boundPeriod(b Bound) (Period, bool) {
	if b.Open || b.Key.Null || b.Key.Alt != nil {
		return 0, false
	}
	return m.periodOf(b.Key, b.Key.Bytes)
}

// begins: no key of the period is before this one.
func (m *Time) begins(text []byte, p Period) bool {
	if m.kind != asDate {
		return false // a text may say more than the calendar needs
	}
	k, _ := clockOfText(text)
	if first := m.calendar.first(p); k != first {
		return false
	}
	return len(text) <= len("2026-11-23 10") || !bytes.ContainsAny(text[len("2026-11-23 10"):], "123456789")
}

// ShardExpr implements SQLTwin; a moment in a period that has no shard is -1.
func (m *Time) ShardExpr(column string, c Column) string {
	switch c.Type {
	case TypeTimestamp:
		return m.stepsExpr("FLOOR(UNIX_TIMESTAMP(" + column + "))")
	case TypeInt:
		if m.epoch > 1 {
			column = "FLOOR(" + column + " / " + strconv.FormatInt(m.epoch, 10) + ")"
		}
		return m.stepsExpr(column)
	case TypeText:
		return m.fieldExpr(m.calendar.expr(m.format.dateExpr(column), m.format.hourExpr(column)))
	case TypeDate, TypeDatetime, TypeDecimal, TypeBinary, TypeOther:
	}
	return m.fieldExpr(m.calendar.expr(column, "HOUR("+column+")"))
}

// fieldExpr is the shard of a period in SQL.
func (m *Time) fieldExpr(period string) string {
	list := make([]string, len(m.periods))
	for i, p := range m.periods {
		list[i] = strconv.Itoa(int(p))
	}
	return "CAST(FIELD(" + period + ", " + strings.Join(list, ", ") + ") AS SIGNED) - 1"
}
