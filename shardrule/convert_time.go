package shardrule

import (
	"bytes"
	"time"

	"github.com/servaldb/serval/internal/sqlval"
)

// moment is a date and a time of day as written, without a zone.
type moment struct {
	year, month, day     int
	hour, minute, second int
	micro                int
	// fracDigits after the second were written, 0 to 6.
	fracDigits int
}

func (m moment) midnight() bool { return m.hour|m.minute|m.second|m.micro == 0 }

// valid: a day of the calendar, not one of the zero dates that sql_mode
// allows or not.
func (m moment) valid() bool {
	if m.year < 1 || m.month < 1 || m.month > 12 || m.day < 1 || m.hour > 23 || m.minute > 59 || m.second > 59 {
		return false
	}
	return m.day <= time.Date(m.year, time.Month(m.month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// parseMoment reads the forms of a date that MySQL and MariaDB read alike:
// delimited by -, / or . with a year of two or four digits, and optionally,
// after a space or T, hour:minute[:second[.fraction]] or just the hour; or 6,
// 8, 12 or 14 digits in a row. False is any other form, right or wrong.
func parseMoment(text []byte) (m moment, ok bool) {
	if n := leadingDigits(text); n == len(text) {
		return parseCompact(text)
	}
	p := timeParser{rest: text, ok: true}
	var digits int
	m.year, digits = p.number(4)
	if digits == 2 {
		m.year = fullYear(m.year)
	} else if digits != 4 {
		return m, false
	}
	delimiter := p.delimiter("-/.")
	m.month, _ = p.number(2)
	if p.delimiter("-/.") != delimiter {
		return m, false
	}
	m.day, _ = p.number(2)
	if p.ok && len(p.rest) > 0 {
		p.timeOfDay(&m)
	}
	return m, p.ok && len(p.rest) == 0
}

// timeParser takes a text apart; once it fails ok stays false.
type timeParser struct {
	rest []byte
	ok   bool
}

// number takes 1 to most digits.
func (p *timeParser) number(most int) (n, digits int) {
	for digits < len(p.rest) && digits < most && p.rest[digits]-'0' <= 9 {
		n = n*10 + int(p.rest[digits]-'0')
		digits++
	}
	p.rest = p.rest[digits:]
	p.ok = p.ok && digits > 0
	return n, digits
}

// delimiter takes one of these bytes.
func (p *timeParser) delimiter(any string) byte {
	if len(p.rest) == 0 || bytes.IndexByte([]byte(any), p.rest[0]) < 0 {
		p.ok = false
		return 0
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	return b
}

func (p *timeParser) timeOfDay(m *moment) {
	p.delimiter(" T")
	m.hour, _ = p.number(2)
	if !p.ok || len(p.rest) == 0 {
		return
	}
	p.delimiter(":")
	m.minute, _ = p.number(2)
	if !p.ok || len(p.rest) == 0 {
		return
	}
	p.delimiter(":")
	m.second, _ = p.number(2)
	if !p.ok || len(p.rest) == 0 {
		return
	}
	p.delimiter(".")
	m.micro, m.fracDigits = p.number(6)
	for range 6 - m.fracDigits {
		m.micro *= 10
	}
}

// parseCompact reads YYMMDD, YYYYMMDD, YYMMDDhhmmss and YYYYMMDDhhmmss.
func parseCompact(text []byte) (m moment, ok bool) {
	p := timeParser{rest: text, ok: true}
	switch len(text) {
	case 8, 14:
		m.year, _ = p.number(4)
	case 6, 12:
		m.year, _ = p.number(2)
		m.year = fullYear(m.year)
	default:
		return m, false
	}
	m.month, _ = p.number(2)
	m.day, _ = p.number(2)
	if len(text) >= 12 {
		m.hour, _ = p.number(2)
		m.minute, _ = p.number(2)
		m.second, _ = p.number(2)
	}
	return m, p.ok
}

// fullYear is MySQL's reading of a year of two digits.
func fullYear(y int) int {
	if y < 70 {
		return 2000 + y
	}
	return 1900 + y
}

// text is the moment as a column of this type and scale gives it back; digits
// beyond the scale are cut.
func (m moment) text(t ColumnType, scale int) []byte {
	b := make([]byte, 0, len("2026-11-23 10:00:00.123456"))
	b = appendPadded(b, m.year, 4)
	b = appendPadded(append(b, '-'), m.month, 2)
	b = appendPadded(append(b, '-'), m.day, 2)
	if t == TypeDate {
		return b
	}
	b = appendPadded(append(b, ' '), m.hour, 2)
	b = appendPadded(append(b, ':'), m.minute, 2)
	b = appendPadded(append(b, ':'), m.second, 2)
	if scale == 0 {
		return b
	}
	b = appendPadded(append(b, '.'), m.micro, 6)
	return b[:len(b)-6+min(scale, 6)]
}

func appendPadded(b []byte, n, width int) []byte {
	for div := pow10(width - 1); div > 0; div /= 10 {
		b = append(b, byte('0'+n/div%10))
	}
	return b
}

func pow10(n int) int {
	p := 1
	for range n {
		p *= 10
	}
	return p
}

// surplus is what the fraction has beyond scale digits, in microseconds.
func (m moment) surplus(scale int) int { return m.micro % pow10(6-min(scale, 6)) }

// rounded is the moment rounded to scale digits, half up; false where that
// passes the year 9999.
func (m moment) rounded(scale int) (moment, bool) {
	unit := time.Duration(pow10(6-min(scale, 6))) * time.Microsecond
	t := time.Date(m.year, time.Month(m.month), m.day, m.hour, m.minute, m.second, m.micro*1000, time.UTC)
	t = t.Add(unit / 2).Truncate(unit)
	r := moment{year: t.Year(), month: int(t.Month()), day: t.Day(), hour: t.Hour(), minute: t.Minute(), second: t.Second()}
	r.micro = t.Nanosecond() / 1000
	return r, r.year <= 9999
}

// momentOf reads a value that can be a date.
func momentOf(v sqlval.Value) (moment, bool) {
	switch v.Kind {
	case sqlval.String, sqlval.Temporal:
		return parseMoment(v.Text)
	case sqlval.Int:
		if d, ok := parseNumber(v.Text); ok && !d.neg {
			return parseCompact(d.whole)
		}
	case sqlval.Null, sqlval.Decimal, sqlval.Float, sqlval.Binary:
	}
	return moment{}, false
}

// compareTime: DATE and DATETIME compare with a date as DATETIMEs.
func (c Column) compareTime(v sqlval.Value) (Key, Match) {
	m, ok := momentOf(v)
	if !ok || !m.valid() {
		return Key{}, MatchUnknown
	}
	if c.Type == TypeDate && !m.midnight() {
		if v.Kind == sqlval.Int || m.surplus(0) != 0 {
			return Key{}, MatchUnknown // MySQL 9.7 and MariaDB 10.11 differ: the date only, or all of it
		}
		return Key{}, MatchNone
	}
	if m.surplus(c.Scale) != 0 {
		return Key{}, MatchUnknown // by an index both find a second for a part of it, MySQL 9.7 the nearest, MariaDB 10.11 the one before
	}
	return Key{Bytes: m.text(c.Type, c.Scale)}, MatchKey
}

func (c Column) storeTime(v sqlval.Value) (Key, error) {
	kind := "datetime"
	if c.Type == TypeDate {
		kind = "date"
	}
	m, ok := momentOf(v)
	switch {
	case !ok && startsNumber(v.Text):
		return Key{}, c.refuseValue(v, "it is not a form of date that Serval reads", "write it as '2026-11-23 10:00:00'")
	case !ok || !m.valid():
		return Key{}, withState(codeWrongTime, "22007", "Incorrect %s value: '%s' for column '%s' at row 1", kind, v.Text, c.Name)
	}
	k := Key{Bytes: m.text(c.Type, c.Scale)}
	if m.surplus(c.Scale) == 0 {
		return k, nil
	}
	r, ok := m.rounded(c.Scale)
	if !ok {
		return Key{}, c.refuseValue(v, "rounded it is past the year 9999", "give it fewer digits after the second")
	}
	if alt := r.text(c.Type, c.Scale); !bytes.Equal(alt, k.Bytes) {
		k.Alt = alt
	}
	return k, nil
}
