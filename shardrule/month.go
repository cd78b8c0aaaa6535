package shardrule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
)

// Period is a month as year*100+month: 202611.
type Period int

// PeriodOf is the month of a year and a month 1 to 12.
func PeriodOf(year, month int) Period { return Period(year*100 + month) }

// Valid: its month is 1 to 12 and its year has four digits.
func (p Period) Valid() bool { return p >= 100001 && p <= 999912 && p%100 >= 1 && p%100 <= 12 }

// Add is the month n months later, or earlier where n is negative.
func (p Period) Add(n int) Period {
	months := p.Number() + n
	return PeriodOf(months/12, months%12+1)
}

// Number counts months: that of the next month is one more.
func (p Period) Number() int { return int(p/100)*12 + int(p%100) - 1 }

// String is six digits, as a table's name ends.
func (p Period) String() string { return strconv.Itoa(int(p)) }

// Month places a key by the month of its date: one shard for each period there
// is. It is monotone: a later date is never on an earlier shard. A date in a
// period it has not is an error, and NULL too.
type Month struct {
	table   string
	periods []Period
	// first is the number of periods[0]; index[m-first] the shard of month m,
	// -1 for a gap.
	first int
	index []int32
}

var (
	_ Ranger  = (*Month)(nil)
	_ SQLTwin = (*Month)(nil)
)

func monthFunction() Function {
	return Function{Name: "month", Periodic: func(_ Args, table string, periods []Period) (Algorithm, error) { return NewMonth(table, periods) }}
}

// maxMonths bounds the months from the first period to the last.
const maxMonths = 12 * 1000

// NewMonth is a Month over these periods, ascending. table is its table's
// name, for error messages.
func NewMonth(table string, periods []Period) (*Month, error) {
	if len(periods) == 0 {
		return nil, fmt.Errorf("month for table %s needs at least one period", table)
	}
	m := &Month{table: table, periods: slices.Clone(periods), first: periods[0].Number()}
	last := periods[len(periods)-1].Number()
	if last-m.first < 0 || last-m.first >= maxMonths {
		return nil, fmt.Errorf("month for table %s: periods from %s to %s", table, periods[0], periods[len(periods)-1])
	}
	m.index = make([]int32, last-m.first+1)
	for i := range m.index {
		m.index[i] = -1
	}
	for i, p := range periods {
		if !p.Valid() || i > 0 && p <= periods[i-1] {
			return nil, fmt.Errorf("month for table %s: period %s is not a month, or not after the one before", table, p)
		}
		m.index[p.Number()-m.first] = int32(i)
	}
	return m, nil
}

// Name implements Algorithm.
func (*Month) Name() string { return "month" }

// Shards implements Algorithm.
func (m *Month) Shards() int { return len(m.periods) }

// Periods are the months by shard. The caller does not change them.
func (m *Month) Periods() []Period { return m.periods }

// Spec implements Algorithm.
func (m *Month) Spec() string {
	b := []byte("month v1 periods=")
	for i := 0; i < len(m.periods); {
		j := i
		for j+1 < len(m.periods) && m.periods[j+1] == m.periods[j].Add(1) {
			j++
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(m.periods[i]), 10)
		if j > i {
			b = append(b, '-')
			b = strconv.AppendInt(b, int64(m.periods[j]), 10)
		}
		i = j + 1
	}
	return string(b)
}

// ShardOf implements Algorithm.
func (m *Month) ShardOf(k Key) (int, error) {
	if k.Null {
		return 0, sqlerr.New(sqlerr.NoPartitionForValue,
			"Table %s is sharded by month and has no place for NULL; give the row a date", m.table)
	}
	p, ok := periodOfText(k.Bytes)
	if !ok {
		return 0, sqlerr.New(sqlerr.NoPartitionForValue, "Table %s is sharded by month and '%s' is not a date", m.table, k.Bytes)
	}
	if alt, _ := periodOfText(k.Alt); k.Alt != nil && alt != p {
		return 0, ambiguous(k)
	}
	i, ok := m.shardOf(p)
	if !ok {
		return 0, sqlerr.New(sqlerr.NoPartitionForValue,
			"Table %s has no place for %s: its months are %s to %s; create the table of that month (see from: and ahead: of its rule)",
			m.table, p, m.periods[0], m.periods[len(m.periods)-1])
	}
	return i, nil
}

func (m *Month) shardOf(p Period) (int, bool) {
	at := p.Number() - m.first
	if at < 0 || at >= len(m.index) || m.index[at] < 0 {
		return 0, false
	}
	return int(m.index[at]), true
}

// periodOfText reads the month of canonical text ("2026-11-23 …").
func periodOfText(text []byte) (Period, bool) {
	if len(text) < 7 || text[4] != '-' {
		return 0, false
	}
	n := 0
	for _, i := range [...]int{0, 1, 2, 3, 5, 6} {
		d := text[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + int(d)
	}
	return Period(n), Period(n).Valid()
}

// Takes implements Algorithm.
func (*Month) Takes(c Column) error {
	switch c.Type {
	case TypeDate, TypeDatetime:
		return nil
	case TypeTimestamp:
		return fmt.Errorf("month does not take %s: which month a row is in depends on the session's time_zone; use DATETIME", c.typeName())
	case TypeInt, TypeDecimal, TypeText, TypeBinary, TypeOther:
	}
	return fmt.Errorf("month does not take %s; it takes DATE and DATETIME", c.typeName())
}

// ShardsOfRange implements Ranger.
func (m *Month) ShardsOfRange(lo, hi Bound) Set {
	from, to := m.periods[0], m.periods[len(m.periods)-1]
	if p, ok := lo.period(); ok && p > from {
		from = p
	}
	if p, ok := hi.period(); ok {
		if hi.Exclusive && startsMonth(hi.Key.Bytes) {
			p = p.Add(-1)
		}
		to = min(to, p)
	}
	set := EmptySet(len(m.periods))
	for i, p := range m.periods {
		if p >= from && p <= to {
			set.Add(i)
		}
	}
	return set
}

// period is the bound's month, false where it does not bound.
func (b Bound) period() (Period, bool) {
	if b.Open || b.Key.Null || b.Key.Alt != nil {
		return 0, false
	}
	return periodOfText(b.Key.Bytes)
}

// startsMonth: no moment of the month is before it.
func startsMonth(text []byte) bool {
	if len(text) < 10 || text[8] != '0' || text[9] != '1' {
		return false
	}
	for _, c := range text[10:] {
		if c >= '1' && c <= '9' {
			return false
		}
	}
	return true
}

// ShardExpr implements SQLTwin; a date in a period that has no shard is -1.
func (m *Month) ShardExpr(column string, _ Column) string {
	list := make([]string, len(m.periods))
	for i, p := range m.periods {
		list[i] = p.String()
	}
	return "CAST(FIELD(YEAR(" + column + ") * 100 + MONTH(" + column + "), " + strings.Join(list, ", ") + ") AS SIGNED) - 1"
}
