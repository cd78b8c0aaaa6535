package shardrule

import (
	"strings"
	"time"
)

// javaFormat is a pattern of Java's SimpleDateFormat made of numbers, as
// configurations of Mycat have it. It parses leniently: 13 months are a year
// and one, and what stands behind the pattern is left.
type javaFormat struct {
	parts []formatPart
	// abutting: two numbers stand side by side, so widths count.
	abutting bool
	// dated: texts are 2026-11-23 10:00:00 whatever the pattern, so that of them
	// are taken the numbers the pattern has.
	dated bool
}

// formatPart is a number (letter and how often it stands) or a literal.
type formatPart struct {
	letter  byte
	count   int
	literal string
}

// parseJavaFormat reads a pattern of y, M, d, H, h, m, s, S and literals.
func parseJavaFormat(a Args, otherwise string) (javaFormat, error) {
	text := a.Text("format", otherwise)
	wrong := paramError("format", "use yyyy, MM, dd, HH, hh, mm, ss, SSS and separators", "format cannot be %q", text)
	var f javaFormat
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\'':
			end := strings.IndexByte(text[i+1:], '\'')
			if end < 0 {
				return f, wrong
			}
			literal := text[i+1 : i+1+end]
			if literal == "" {
				literal = "'"
			}
			f.parts = append(f.parts, formatPart{literal: literal})
			i += end + 2
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			n := len(text) - i - len(strings.TrimLeft(text[i:], string(c)))
			if strings.IndexByte("yMdHhmsS", c) < 0 || c == 'y' && n < 3 || c == 'M' && n > 2 {
				return f, wrong
			}
			if len(f.parts) > 0 && f.parts[len(f.parts)-1].letter != 0 {
				f.abutting = true
			}
			f.parts = append(f.parts, formatPart{letter: c, count: n})
			i += n
		default:
			f.parts = append(f.parts, formatPart{literal: string(c)})
			i++
		}
	}
	if len(f.parts) == 0 {
		return f, wrong
	}
	return f, nil
}

// parse reads the beginning of a text. What the pattern does not have is that
// of 1970-01-01 00:00:00.
func (f javaFormat) parse(text string) (moment, bool) {
	m := moment{year: 1970, month: 1, day: 1}
	for i, p := range f.parts {
		if p.letter == 0 {
			var ok bool
			if text, ok = strings.CutPrefix(text, p.literal); !ok {
				return m, false
			}
			continue
		}
		text = strings.TrimLeft(text, " \t")
		width := leadingDigits([]byte(text))
		if i+1 < len(f.parts) && f.parts[i+1].letter != 0 {
			if width < p.count {
				return m, false
			}
			width = p.count
		}
		if width == 0 || width > 9 {
			return m, false
		}
		n := 0
		for _, d := range []byte(text[:width]) {
			n = n*10 + int(d-'0')
		}
		m.set(p.letter, n)
		text = text[width:]
	}
	return m, true
}

// set is one number of a pattern. Milliseconds go into micro.
func (m *moment) set(letter byte, n int) {
	switch letter {
	case 'y':
		m.year = n
	case 'M':
		m.month = n
	case 'd':
		m.day = n
	case 'H':
		m.hour = n
	case 'h':
		if m.hour = n; n == 12 {
			m.hour = 0
		}
	case 'm':
		m.minute = n
	case 's':
		m.second = n
	case 'S':
		m.micro = n * 1000
	}
}

// moment is the time the pattern sees in the key's text.
func (f javaFormat) moment(k Key) (moment, bool) {
	text := string(k.Bytes)
	if !f.dated {
		return f.parse(text)
	}
	if m, ok := f.parse(text); ok && !f.abutting {
		return m, true
	}
	c, ok := parseCanonical(text)
	m := moment{year: 1970, month: 1, day: 1}
	for _, p := range f.parts {
		switch p.letter {
		case 'y':
			m.set('y', c.year)
		case 'M':
			m.set('M', c.month)
		case 'd':
			m.set('d', c.day)
		case 'H', 'h':
			m.set(p.letter, c.hour)
		case 'm':
			m.set('m', c.minute)
		case 's':
			m.set('s', c.second)
		case 'S':
			m.micro = c.micro / 1000 * 1000
		}
	}
	return m, ok
}

// parseCanonical reads the text of a DATE or DATETIME as a column gives it.
func parseCanonical(text string) (moment, bool) {
	layout := time.DateOnly
	if len(text) > len(layout) {
		layout = time.DateTime // takes a fraction too
	}
	t, err := time.Parse(layout, text)
	return moment{year: t.Year(), month: int(t.Month()), day: t.Day(), hour: t.Hour(), minute: t.Minute(), second: t.Second(), micro: t.Nanosecond() / 1000}, err == nil
}

// civil is the moment as if its clock were UTC's, with numbers past their
// bounds carried over.
func (m moment) civil() time.Time {
	return time.Date(m.year, time.Month(m.month), m.day, m.hour, m.minute, m.second, m.micro*1000, time.UTC)
}

// millis is the moment's time in a zone since 1970, as Java's calendar has it:
// an hour that is there twice, or not at all, is read in standard time.
func (m moment) millis(zone *time.Location) int64 {
	civil := m.civil()
	before, after := offset(civil.Add(-14*time.Hour), zone), offset(civil.Add(14*time.Hour), zone)
	at := before
	if before != after {
		validBefore := offset(civil.Add(-time.Duration(before)*time.Second), zone) == before
		validAfter := offset(civil.Add(-time.Duration(after)*time.Second), zone) == after
		if validBefore == validAfter {
			at = min(before, after)
		} else if validAfter {
			at = after
		}
	}
	return civil.UnixMilli() - int64(at)*1000
}

// offset is a zone's seconds east of UTC.
func offset(t time.Time, zone *time.Location) int {
	_, seconds := t.In(zone).Zone()
	return seconds
}

// otherZone is the zone the other proxy ran in; UTC where not given.
func otherZone(a Args) (*time.Location, error) {
	name := a.Text("proxy_zone", "UTC")
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, paramError("proxy_zone", "write a name like UTC or Asia/Shanghai", "proxy_zone cannot be %q", name)
	}
	return zone, nil
}

// day is a parameter that is a date in the format.
func (f javaFormat) day(a Args, name string) (moment, error) {
	m, ok := f.moment(Key{Bytes: []byte(a.Text(name, ""))})
	if !ok {
		return m, paramError(name, "write it in the rule's format", "%s cannot be %q", name, a.Text(name, ""))
	}
	return m, nil
}
