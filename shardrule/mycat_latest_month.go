package shardrule

import "strconv"

// mycatLatestMonth is Mycat's LatestMonthPartion: of a text that ends in day
// and hour, DDHH, the day's part of the hour.
type mycatLatestMonth struct{ split int }

func mycatLatestMonthFunction() Function {
	return foreignFunction("mycat_latest_month", false, func(a Args, _ int) (nodeFunc, int, error) {
		split, err := a.Int("split", 24, 1, 24)
		return mycatLatestMonth{int(split)}, refusesNull, err
	}, "split")
}

func (m mycatLatestMonth) node(k Key) (int, bool) {
	chars := javaChars(k.Bytes)
	n := len(chars)
	if n < 4 {
		return 0, false
	}
	day, err1 := strconv.ParseInt(javaText(chars[n-4:n-2]), 10, 32)
	hour, err2 := strconv.ParseInt(javaText(chars[n-2:]), 10, 32)
	node := (int(day)-1)*m.split + int(hour)/(24/m.split)
	return node, err1 == nil && err2 == nil && node >= 0
}
