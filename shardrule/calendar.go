package shardrule

import (
	"fmt"
	"strconv"
	"time"
)

// Period is one span of a Calendar, counted: the next one is one more.
type Period int

// Unit is what a Calendar cuts time into.
type Unit uint8

const (
	// Year is the calendar's year.
	Year Unit = iota
	// Month is the calendar's month; its Period is year*12 + month.
	Month
	// Week begins on Monday and has its number by ISO 8601: the first week of
	// a year has its first Thursday.
	Week
	// Day is the calendar's day.
	Day
	// Hour is an hour as clocks show it: one that a clock shows twice is one.
	Hour
	// Days are windows of N days, one of which begins on the day Since.
	Days
)

// Calendar cuts time, as clocks and calendars show it, into periods.
type Calendar struct {
	Unit Unit
	// N and Since are of Days: how many, and a first day in days since
	// 1970-01-01.
	N, Since int
}

// clock is a moment as a calendar and a clock show it, to the hour.
type clock struct{ year, month, day, hour int }

func clockOf(t time.Time) clock {
	return clock{t.Year(), int(t.Month()), t.Day(), t.Hour()}
}

// valid: years of four digits.
func (k clock) valid() bool { return k.year >= 1000 && k.year <= 9999 }

// days since 1970-01-01 of the proleptic Gregorian calendar.
func (k clock) days() int {
	y, m := k.year, k.month
	if m <= 2 { // years begin in March, so that a leap day is a year's last
		y, m = y-1, m+12
	}
	return 365*y + floorDiv(y, 4) - floorDiv(y, 100) + floorDiv(y, 400) + (153*(m-3)+2)/5 + k.day - 1 - daysBefore1970
}

// daysBefore1970 from 0000-03-01.
const daysBefore1970 = 719468

// mysqlDay1970 is TO_DAYS('1970-01-01').
const mysqlDay1970 = 719528

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func dayClock(days int) clock {
	return clockOf(time.Unix(int64(days)*86400, 0).UTC())
}

// at is the period of a moment.
func (c Calendar) at(k clock) Period {
	switch c.Unit {
	case Year:
		return Period(k.year)
	case Month:
		return Period(k.year*12 + k.month)
	case Week:
		return Period(floorDiv(k.days()+3, 7)) // 1970-01-01 was a Thursday
	case Day:
		return Period(k.days())
	case Hour:
		return Period(k.days()*24 + k.hour)
	case Days:
		return Period(floorDiv(k.days()-c.Since, c.N))
	}
	return 0
}

// At is the period of a time in its own zone.
func (c Calendar) At(t time.Time) Period { return c.at(clockOf(t)) }

// first is the period's first moment.
func (c Calendar) first(p Period) clock {
	switch c.Unit {
	case Year:
		return clock{int(p), 1, 1, 0}
	case Month:
		return clock{floorDiv(int(p)-1, 12), (int(p)-1)%12 + 1, 1, 0}
	case Week:
		return dayClock(int(p)*7 - 3)
	case Day:
		return dayClock(int(p))
	case Hour:
		k := dayClock(floorDiv(int(p), 24))
		k.hour = int(p) - floorDiv(int(p), 24)*24
		return k
	case Days:
		return dayClock(int(p)*c.N + c.Since)
	}
	return clock{}
}

// Name is the period as a table's name ends: 2026, 202611, 2026w48, 20261123,
// 2026112313; of Days the first day.
func (c Calendar) Name(p Period) string {
	k := c.first(p)
	switch c.Unit {
	case Year:
		return fmt.Sprintf("%04d", k.year)
	case Month:
		return fmt.Sprintf("%04d%02d", k.year, k.month)
	case Week:
		year, week := time.Unix(int64(k.days())*86400, 0).UTC().ISOWeek()
		return fmt.Sprintf("%04dw%02d", year, week)
	case Day, Days:
		return fmt.Sprintf("%04d%02d%02d", k.year, k.month, k.day)
	case Hour:
		return fmt.Sprintf("%04d%02d%02d%02d", k.year, k.month, k.day, k.hour)
	}
	return strconv.Itoa(int(p))
}

// Named is the period of that Name, false where none has it.
func (c Calendar) Named(name string) (Period, bool) {
	k := clock{month: 1, day: 1}
	var ok bool
	switch {
	case c.Unit == Week && len(name) == 7 && name[4] == 'w':
		var week int
		if k.year, week, ok = number2(name[:4], name[5:]); ok {
			k.day = 4 // always in the first week
			k = dayClock(k.days() + 7*(week-1))
		}
	case c.Unit == Year && len(name) == 4:
		k.year, _, ok = number2(name, "0")
	case len(name) >= 6:
		k.year, k.month, ok = number2(name[:4], name[4:6])
		if ok && len(name) >= 8 {
			k.day, k.hour, ok = number2(name[6:8], "0"+name[8:])
		}
	}
	if !ok || k.month < 1 || k.month > 12 || !k.valid() {
		return 0, false
	}
	p := c.at(k)
	return p, c.Name(p) == name
}

func number2(a, b string) (x, y int, ok bool) {
	x, err := strconv.Atoi(a)
	y, err2 := strconv.Atoi(b)
	return x, y, err == nil && err2 == nil && x >= 0 && y >= 0 && a[0] != '+' && b[0] != '+'
}

// forms of a period in from:, by Unit.
var periodForms = [...]string{Year: "2006", Month: "2006-01", Week: "2006-01-02", Day: "2006-01-02", Hour: "2006-01-02 15", Days: "2006-01-02"}

// Period reads a period as from: gives it: 2024, 2024-01, 2024-01-31 or
// 2024-01-31 13; of weeks and windows a day in it.
func (c Calendar) Period(text string) (Period, bool) {
	t, err := time.Parse(periodForms[c.Unit], text)
	if err != nil || !clockOf(t).valid() {
		return 0, false
	}
	return c.At(t), true
}

// Example is a period as from: gives it.
func (c Calendar) Example() string {
	return time.Date(2024, 1, 31, 13, 0, 0, 0, time.UTC).Format(periodForms[c.Unit])
}

// expr is at in SQL, over the expressions of a date and of its hour.
func (c Calendar) expr(date, hour string) string {
	days := func(from int) string { return "(TO_DAYS(" + date + ") - " + strconv.Itoa(mysqlDay1970+from) + ")" }
	switch c.Unit {
	case Year:
		return "YEAR(" + date + ")"
	case Month:
		return "YEAR(" + date + ") * 12 + MONTH(" + date + ")"
	case Week:
		return "FLOOR(" + days(-3) + " / 7)"
	case Day:
		return days(0)
	case Hour:
		return days(0) + " * 24 + " + hour
	case Days:
		return "FLOOR(" + days(c.Since) + " / " + strconv.Itoa(c.N) + ")"
	}
	return "NULL"
}
