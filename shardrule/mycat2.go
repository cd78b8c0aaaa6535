package shardrule

import (
	"strconv"
	"strings"
	"time"
)

// mycat2 is Mycat2's placement by a method for the database and one for the
// table, of the same column: shard db*table_num+table. Where both methods are
// the same, Mycat2 numbers all tables through (flat), and some methods count
// over all of them.
type mycat2 struct {
	db, table       mycat2Method
	dbNum, tableNum int64
	flat            bool
	// ofText: the column is one of text.
	ofText bool
}

// mycat2Method is a method with its numbers: RIGHT_SHIFT(4).
type mycat2Method struct {
	name string
	args []int64
}

// mycat2Methods are the methods there are, and how many numbers they take.
var mycat2Methods = map[string]int{
	"": 0, "MOD_HASH": 0, "UNI_HASH": 0, "RIGHT_SHIFT": 1, "STR_HASH": 4,
	"YYYYMM": 0, "YYYYDD": 0, "YYYYWEEK": 0, "MM": 0, "DD": 0, "MMDD": 0, "WEEK": 0,
}

func mycat2Function() Function {
	return foreignFunction("mycat2", true, func(a Args, n int) (nodeFunc, int, error) {
		var m mycat2
		var err error
		if m.db, err = mycat2MethodOf(a, "db_method"); err != nil {
			return nil, 0, err
		}
		if m.table, err = mycat2MethodOf(a, "table_method"); err != nil {
			return nil, 0, err
		}
		if m.dbNum, err = a.Int("db_num", 1, 1, maxNodes); err != nil {
			return nil, 0, err
		}
		if m.tableNum, err = a.Int("table_num", 1, 1, maxNodes); err != nil {
			return nil, 0, err
		}
		if m.flat, err = a.yes("flat"); err != nil {
			return nil, 0, err
		}
		switch {
		case m.db.name == "" && m.table.name == "":
			return nil, 0, paramError("db_method", "write db_method: MOD_HASH, table_method: MOD_HASH", "mycat2 has no method")
		case m.dbNum*m.tableNum != int64(n):
			return nil, 0, paramError("db_num", "make db_num times table_num the table's shards", "%d times %d are not its %d shards", m.dbNum, m.tableNum, n)
		case m.flat && (m.db.name != m.table.name || m.db.name == "STR_HASH"):
			return nil, 0, paramError("flat", "leave flat: out", "flat is for two methods that are the same")
		}
		return m, asksForNull, nil
	}, "db_method", "db_num", "table_method", "table_num", "flat")
}

func mycat2MethodOf(a Args, param string) (mycat2Method, error) {
	text := strings.ToUpper(strings.TrimSpace(a.Text(param, "")))
	wrong := paramError(param, "write MOD_HASH, UNI_HASH, RIGHT_SHIFT(4), STR_HASH(0,8,0,31), YYYYMM, YYYYDD, YYYYWEEK, MM, DD, MMDD or WEEK", "%s cannot be %q", param, text)
	name, inside, called := strings.Cut(text, "(")
	m := mycat2Method{name: strings.TrimSpace(name)}
	if m.name == "HASH" {
		m.name = "MOD_HASH"
	}
	count, known := mycat2Methods[m.name]
	if !known {
		return m, wrong
	}
	if m.name == "STR_HASH" && !called {
		m.args = []int64{-1, -1, 0, 31}
		return m, nil
	}
	if inside = strings.TrimSuffix(inside, ")"); inside != "" {
		for part := range strings.SplitSeq(inside, ",") {
			v, err := strconv.ParseInt(strings.TrimSpace(part), 10, 32)
			if err != nil {
				return m, wrong
			}
			m.args = append(m.args, v)
		}
	}
	if len(m.args) != count || m.name == "RIGHT_SHIFT" && (m.args[0] < 0 || m.args[0] > 63) {
		return m, wrong
	}
	return m, nil
}

func (m mycat2) forColumn(c Column) nodeFunc {
	m.ofText = c.Type == TypeText || c.Type == TypeBinary
	return m
}

func (m mycat2) node(k Key) (int, bool) {
	if m.flat {
		switch m.db.name {
		case "UNI_HASH", "RIGHT_SHIFT":
			core, ok := m.value(m.db, k, m.dbNum)
			return int(core*m.tableNum + core%m.tableNum), ok
		}
		n, ok := m.value(m.db, k, m.dbNum*m.tableNum)
		return int(n), ok
	}
	db, ok1 := m.value(m.db, k, m.dbNum)
	table, ok2 := m.value(m.table, k, m.tableNum)
	return int(db*m.tableNum + table), ok1 && ok2 && db >= 0 && table >= 0
}

// value is a method's number of so many; 0 where there is no method.
func (m mycat2) value(f mycat2Method, k Key, num int64) (int64, bool) {
	if k.Null {
		k = m.null(f)
	}
	switch f.name {
	case "":
		return 0, true
	case "MOD_HASH", "UNI_HASH":
		n, ok := m.number(k)
		if m.ofText {
			n, ok = int64(hashCode(k.Bytes)), true
		}
		return absolute(n % num), ok
	case "RIGHT_SHIFT":
		n, ok := m.number(k)
		return absolute((n >> f.args[0]) % num), ok
	case "STR_HASH":
		return strHash(f.args, k, num)
	}
	if k.Null {
		return 0, true
	}
	day, ok := parseCanonical(string(k.Bytes))
	if m.ofText {
		ok = ok && len(k.Bytes) == len(time.DateOnly)
	}
	return absolute(f.ofDay(day.civil()) % num), ok
}

// null is what a method takes NULL for: the text null, or 0; times leave it.
func (m mycat2) null(f mycat2Method) Key {
	switch {
	case f.name == "STR_HASH" || m.ofText && (f.name == "MOD_HASH" || f.name == "UNI_HASH" || f.name == "RIGHT_SHIFT"):
		return Key{Bytes: []byte("null")}
	case f.name == "MOD_HASH" || f.name == "UNI_HASH":
		return Key{Bytes: zeroText, IsInt: true}
	}
	return Key{Null: true}
}

// number is the key as Java's longValue has it; unsigned ones wrap.
func (m mycat2) number(k Key) (int64, bool) {
	if n, ok := longOf(k); ok {
		return n, true
	}
	u, err := strconv.ParseUint(string(k.Bytes), 10, 64)
	return int64(u), err == nil && !m.ofText
}

func absolute(n int64) int64 { return max(n, -n) }

// ofDay is the number that a method of time makes of a day.
func (f mycat2Method) ofDay(t time.Time) int64 {
	year, month, day := int64(t.Year()), int64(t.Month()), int64(t.YearDay())
	switch f.name {
	case "YYYYMM":
		return year*12 + month
	case "YYYYDD":
		return year*366 + day
	case "YYYYWEEK":
		_, week := t.ISOWeek()
		return year*54 + int64(week)
	case "MM":
		return month
	case "DD":
		return int64(t.Day())
	case "MMDD":
		return day
	}
	return int64(t.Weekday()+6)%7 + 1 // WEEK: Monday is 1
}

// strHash is STR_HASH(start, end, type, seed): a part of the text, hashed with
// the seed (type 0) or read as a number (type 1).
func strHash(args []int64, k Key, num int64) (int64, bool) {
	chars := javaChars(k.Bytes)
	start, end, n := int(args[0]), int(args[1]), len(chars)
	switch {
	case start >= 0 && end > start:
		chars = chars[min(n, start):min(n, end)]
	case start == -1 && end >= 0 && n >= end:
		chars = chars[end:]
	case start >= 0 && end == -1 && n >= start:
		chars = chars[:start]
	}
	if args[2] == 1 {
		v, ok := longOf(Key{Bytes: []byte(javaText(chars))})
		return absolute(v % num), ok
	}
	var h int32
	for _, c := range chars {
		h = int32(args[3])*h + int32(c)
	}
	return int64(h) % num, h >= 0 || int64(h)%num == 0 // Mycat2 has no table of a negative number
}

// span implements spanner for dates: each day in turn.
func (m mycat2) span(lo, hi Bound, add func(int)) bool {
	if lo.Open || hi.Open || lo.Key.IsInt || hi.Key.IsInt {
		return false
	}
	from, ok1 := parseCanonical(string(lo.Key.Bytes))
	to, ok2 := parseCanonical(string(hi.Key.Bytes))
	first, last := from.civil().Truncate(24*time.Hour), to.civil()
	if !ok1 || !ok2 || last.Sub(first) > maxEnumerated*24*time.Hour {
		return false
	}
	for day := first; !day.After(last); day = day.AddDate(0, 0, 1) {
		if node, ok := m.node(Key{Bytes: day.AppendFormat(nil, time.DateOnly)}); ok {
			add(node)
		}
	}
	return true
}
