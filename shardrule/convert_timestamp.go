package shardrule

import (
	"bytes"
	"time"

	"github.com/servaldb/serval/internal/sqlval"
)

// Zoner is a Weigher that knows the session's time_zone; false where it does not.
type Zoner interface {
	Zone() (*time.Location, bool)
}

func zoneOf(w Weigher) (*time.Location, bool) {
	if z, ok := w.(Zoner); ok {
		return z.Zone()
	}
	return nil, false
}

// The moments a TIMESTAMP has, in seconds since 1970.
const (
	firstTimestamp = 1
	lastTimestamp  = 1<<31 - 1
)

func (m moment) utc() time.Time {
	return time.Date(m.year, time.Month(m.month), m.day, m.hour, m.minute, m.second, m.micro*1000, time.UTC)
}

// timestampText is an instant as a TIMESTAMP's key; digits beyond the scale are
// cut.
func (c Column) timestampText(t time.Time) []byte {
	t = t.UTC()
	m := moment{year: t.Year(), month: int(t.Month()), day: t.Day(), hour: t.Hour(), minute: t.Minute(), second: t.Second(), micro: t.Nanosecond() / 1000}
	return m.text(TypeTimestamp, c.Scale)
}

// compareTimestamp: a TIMESTAMP compares with a date as the session's clocks show
// it. A time that they show twice, or never, may be read in more than one way.
func (c Column) compareTimestamp(v sqlval.Value, w Weigher) (Key, Match) {
	zone, known := zoneOf(w)
	m, ok := momentOf(v)
	if !known || !ok || !m.valid() {
		return Key{}, MatchUnknown
	}
	if m.surplus(c.Scale) != 0 {
		return Key{}, MatchUnknown // as in compareTime
	}
	at := instantsShownAs(zone, m.utc())
	if len(at) != 1 {
		return Key{}, MatchUnknown
	}
	return Key{Bytes: c.timestampText(at[0])}, MatchKey
}

func (c Column) storeTimestamp(v sqlval.Value, w Weigher) (Key, error) {
	m, ok := momentOf(v)
	switch {
	case !ok && startsNumber(v.Text):
		return Key{}, c.refuseValue(v, "it is not a form of date that Serval reads", "write it as '2026-11-23 10:00:00'")
	case !ok || !m.valid():
		return Key{}, withState(codeWrongTime, "22007", "Incorrect datetime value: '%s' for column '%s' at row 1", v.Text, c.Name)
	}
	zone, known := zoneOf(w)
	if !known {
		return Key{}, c.refuseValue(v, "which moment it is depends on the session's time_zone, which is the system's of each server", "SET time_zone = '+08:00', or whichever it is")
	}
	at := instantsShownAs(zone, m.utc())
	if len(at) == 0 {
		return Key{}, c.refuseValue(v, "clocks are set forward over it in "+zone.String(), "write a time that clocks show")
	}
	for _, t := range at {
		if t.Unix() < firstTimestamp || t.Unix() > lastTimestamp {
			return Key{}, withState(codeWrongTime, "22007", "Incorrect datetime value: '%s' for column '%s' at row 1", v.Text, c.Name)
		}
	}
	k := Key{Bytes: c.timestampText(at[0])}
	alt := at[len(at)-1]
	if m.surplus(c.Scale) != 0 {
		unit := time.Duration(pow10(6-min(c.Scale, 6))) * time.Microsecond
		alt = alt.Add(unit / 2).Truncate(unit)
	}
	if text := c.timestampText(alt); !bytes.Equal(text, k.Bytes) {
		k.Alt = text
	}
	return k, nil
}
