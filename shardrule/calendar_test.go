package shardrule

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPeriodsHaveTheirNames(t *testing.T) {
	for _, c := range []struct {
		why      string
		calendar Calendar
		at, name string
	}{
		{"a year", Calendar{Unit: Year}, "2026-12-31 23", "2026"},
		{"a month", Calendar{Unit: Month}, "2026-12-31 23", "202612"},
		{"a week in the middle", Calendar{Unit: Week}, "2026-11-23 13", "2026w48"},
		{"a week ends on Sunday", Calendar{Unit: Week}, "2026-11-22 23", "2026w47"},
		{"the first days of 2027 are of 2026's last week", Calendar{Unit: Week}, "2027-01-03 00", "2026w53"},
		{"the last days of 2024 are of 2025's first week", Calendar{Unit: Week}, "2024-12-30 00", "2025w01"},
		{"a leap day", Calendar{Unit: Day}, "2024-02-29 12", "20240229"},
		{"the day after it", Calendar{Unit: Day}, "2024-03-01 00", "20240301"},
		{"before the epoch", Calendar{Unit: Day}, "1969-12-31 23", "19691231"},
		{"an hour", Calendar{Unit: Hour}, "2026-11-23 13", "2026112313"},
		{"an hour before the epoch", Calendar{Unit: Hour}, "1969-12-31 23", "1969123123"},
		{"a window of ten days", Calendar{Unit: Days, N: 10, Since: dayOf("2026-01-01")}, "2026-01-20 23", "20260111"},
		{"one before the day it is counted from", Calendar{Unit: Days, N: 10, Since: dayOf("2026-01-01")}, "2025-12-31 00", "20251222"},
	} {
		at, err := time.Parse("2006-01-02 15", c.at)
		require.NoError(t, err)
		p := c.calendar.At(at)
		require.Equal(t, c.name, c.calendar.Name(p), c.why)
		named, ok := c.calendar.Named(c.name)
		require.True(t, ok, c.why)
		require.Equal(t, p, named, c.why)
	}
}

func dayOf(text string) int {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return clockOf(at).days()
}

// A hundred thousand hours, each with the calendar of Go's time package.
func TestPeriodsFollowEachOther(t *testing.T) {
	calendars := []Calendar{{Unit: Year}, {Unit: Month}, {Unit: Week}, {Unit: Day}, {Unit: Hour}, {Unit: Days, N: 9, Since: dayOf("2026-01-01")}}
	at := time.Date(1965, 1, 1, 0, 0, 0, 0, time.UTC)
	before := make([]Period, len(calendars))
	for i, c := range calendars {
		before[i] = c.At(at)
	}
	for range 100_000 {
		at = at.Add(time.Hour)
		require.Equal(t, at.Unix(), int64(clockOf(at).days())*86400+int64(at.Hour())*3600)
		for i, c := range calendars {
			p := c.At(at)
			first := c.first(p)
			start := time.Date(first.year, time.Month(first.month), first.day, first.hour, 0, 0, 0, time.UTC)
			require.Equal(t, p == before[i]+1, start.Equal(at), "%v %s", c, at)
			require.Contains(t, []Period{before[i], before[i] + 1}, p, "%v %s", c, at)
			before[i] = p
		}
		if year, week := at.ISOWeek(); at.Hour() == 0 {
			p, ok := calendars[2].Named(fmt.Sprintf("%04dw%02d", year, week))
			require.True(t, ok, at)
			require.Equal(t, calendars[2].At(at), p, at)
		}
	}
}

func TestWhatIsNoPeriodsName(t *testing.T) {
	for unit, names := range map[Unit][]string{
		Year: {"", "26", "20261", "0999", "abcd", "-026"}, Month: {"2026", "202613", "202600", "2026111", "+20261", "20261a"},
		Week: {"2026w54", "2027w53", "2026w00", "202611", "2026W11"}, Day: {"20260230", "202602", "2026022a"}, Hour: {"2026022824", "20260228"},
	} {
		for _, name := range names {
			_, ok := Calendar{Unit: unit}.Named(name)
			require.False(t, ok, "%d %s", unit, name)
		}
	}
	_, ok := Calendar{Unit: Days, N: 10}.Named("19700102")
	require.False(t, ok, "no window begins there")
}

func TestFromIsReadByTheCalendar(t *testing.T) {
	for unit, text := range map[Unit]string{Year: "2024", Month: "2024-01", Week: "2024-01-31", Day: "2024-01-31", Hour: "2024-01-31 13"} {
		c := Calendar{Unit: unit}
		require.Equal(t, text, c.Example())
		p, ok := c.Period(text)
		require.True(t, ok, text)
		require.Equal(t, c.At(time.Date(2024, 1, 31, 13, 0, 0, 0, time.UTC)), p, text)
	}
	_, ok := Calendar{Unit: Month}.Period("202401")
	require.False(t, ok)
}
