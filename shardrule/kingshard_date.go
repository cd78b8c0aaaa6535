package shardrule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// kingshardDate is date_year, date_month and date_day of kingshard and Gaea: a
// table a period, named by its digits. A whole number is a time in seconds since
// 1970 in the zone the proxy ran in; a text begins with a date.
type kingshardDate struct {
	digits  int // of a period: 4, 6 or 8
	zone    *time.Location
	periods []int64
	index   map[int64]int
}

func kingshardYearFunction() Function  { return kingshardDateFunction("kingshard_year", 4) }
func kingshardMonthFunction() Function { return kingshardDateFunction("kingshard_month", 6) }
func kingshardDayFunction() Function   { return kingshardDateFunction("kingshard_day", 8) }

func kingshardDateFunction(name string, digits int) Function {
	return foreignFunction(name, true, func(a Args, n int) (nodeFunc, int, error) {
		d := kingshardDate{digits: digits, index: map[int64]int{}}
		var err error
		if d.zone, err = otherZone(a); err != nil {
			return nil, 0, err
		}
		for part := range strings.SplitSeq(a.Text("periods", ""), ",") {
			if err := d.add(strings.TrimSpace(part)); err != nil {
				return nil, 0, err
			}
		}
		if len(d.periods) != n {
			return nil, 0, paramError("periods", "give one for each of the table's places", "periods are %d, and places %d", len(d.periods), n)
		}
		return d, refusesNull, nil
	}, "periods", "proxy_zone")
}

// add appends a period, or all of a range: 201510-201602.
func (d *kingshardDate) add(text string) error {
	wrong := paramError("periods", `write "2015-2017", "201510-201602" or "20151001-20151031"`, "periods cannot have %q", text)
	low, high, both := strings.Cut(text, "-")
	if !both {
		high = low
	}
	if high < low {
		low, high = high, low
	}
	layout := "20060102"[:d.digits]
	from, err1 := time.Parse(layout, low)
	to, err2 := time.Parse(layout, high)
	if err1 != nil || err2 != nil || to.Sub(from) > 200*366*24*time.Hour {
		return wrong
	}
	for t := from; !t.After(to); t = d.next(t) {
		p := d.periodOf(t)
		if _, twice := d.index[p]; twice {
			return wrong
		}
		d.index[p] = len(d.periods)
		d.periods = append(d.periods, p)
	}
	return nil
}

func (d *kingshardDate) next(t time.Time) time.Time {
	switch d.digits {
	case 4:
		return t.AddDate(1, 0, 0)
	case 6:
		return t.AddDate(0, 1, 0)
	}
	return t.AddDate(0, 0, 1)
}

// periodOf is the number in the name of the time's table.
func (d *kingshardDate) periodOf(t time.Time) int64 {
	n := int64(t.Year())
	if d.digits > 4 {
		n = n*100 + int64(t.Month())
	}
	if d.digits > 6 {
		n = n*100 + int64(t.Day())
	}
	return n
}

func (d kingshardDate) window(k Key) (int64, bool) {
	if k.IsInt {
		return d.periodOf(time.Unix(k.Int, 0).In(d.zone)), true
	}
	text := k.Bytes
	if len(text) < 10 && (d.digits > 4 || len(text) < 4) {
		return 0, false
	}
	var part string
	switch d.digits {
	case 4:
		part = string(text[:4])
	case 6:
		part = string(text[:4]) + string(text[5:7])
	default:
		part = string(text[:4]) + string(text[5:7]) + string(text[8:10])
	}
	n, err := strconv.ParseInt(part, 10, 64)
	return n, err == nil
}

func (d kingshardDate) node(k Key) (int, bool) {
	w, ok := d.window(k)
	node, has := d.index[w]
	return node, ok && has
}

// span implements spanner: seconds are in the order of their periods too.
func (d kingshardDate) span(lo, hi Bound, add func(int)) bool {
	from, ok1 := d.window(lo.Key)
	to, ok2 := d.window(hi.Key)
	for i, p := range d.periods {
		if (lo.Open || p >= from) && (hi.Open || p <= to) {
			add(i)
		}
	}
	return (lo.Open || ok1) && (hi.Open || ok2)
}

func (d kingshardDate) expr(column string, c Column) string {
	if c.Type != TypeDate && c.Type != TypeDatetime {
		return ""
	}
	p := fmt.Sprintf("YEAR(%s)", column)
	switch d.digits {
	case 6:
		p = fmt.Sprintf("YEAR(%s) * 100 + MONTH(%s)", column, column)
	case 8:
		p = fmt.Sprintf("YEAR(%s) * 10000 + MONTH(%s) * 100 + DAYOFMONTH(%s)", column, column, column)
	}
	list := make([]string, len(d.periods))
	for i, p := range d.periods {
		list[i] = strconv.FormatInt(p, 10)
	}
	return "CAST(FIELD(" + p + ", " + strings.Join(list, ", ") + ") AS SIGNED) - 1"
}
