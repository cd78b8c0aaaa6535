package shardrule

import (
	"bytes"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlval"
)

// domains are values in their column's order, by name.
var domains = map[string]struct {
	column Column
	values func() []sqlval.Value
}{
	"bigint": {Column{Name: "k", Type: TypeInt, Bits: 64}, func() []sqlval.Value {
		values := []sqlval.Value{sqlval.IntValue(math.MinInt64), sqlval.IntValue(math.MinInt64 + 1)}
		for i := int64(-200); i < 400; i++ {
			values = append(values, sqlval.IntValue(i))
		}
		return append(values, sqlval.IntValue(1<<40), sqlval.IntValue(math.MaxInt64-1), sqlval.IntValue(math.MaxInt64))
	}},
	"unsigned": {Column{Name: "k", Type: TypeInt, Bits: 64, Unsigned: true}, func() []sqlval.Value {
		var values []sqlval.Value
		for _, base := range []uint64{0, math.MaxInt64 - 100, math.MaxUint64 - 200} {
			for i := range uint64(200) {
				values = append(values, sqlval.Value{Kind: sqlval.Int, Text: strconv.AppendUint(nil, base+i, 10)})
			}
		}
		return values
	}},
	"decimal": {Column{Name: "k", Type: TypeDecimal, Length: 30, Scale: 2}, func() []sqlval.Value {
		var values []sqlval.Value
		for i := -300; i < 300; i++ {
			values = append(values, sqlval.Value{Kind: sqlval.Decimal, Text: fmt.Appendf(nil, "%.2f", float64(i)/4)})
		}
		return values
	}},
	"text days": {Column{Name: "k", Type: TypeText, Collation: "utf8mb4_bin"}, func() []sqlval.Value { return moments(24*time.Hour, time.DateOnly) }},
	"text dots": {Column{Name: "k", Type: TypeText, Collation: "utf8mb4_0900_ai_ci"}, func() []sqlval.Value {
		values := moments(24*time.Hour, "02.01.2006")
		slices.SortFunc(values, func(a, b sqlval.Value) int { return bytes.Compare(a.Text, b.Text) })
		return values
	}},
	"days of seconds": {Column{Name: "k", Type: TypeInt, Bits: 64}, func() []sqlval.Value {
		var values []sqlval.Value
		for i := int64(-400); i < 400; i++ {
			values = append(values, sqlval.IntValue(i*600))
		}
		return values
	}},
	"date": {Column{Name: "k", Type: TypeDate}, func() []sqlval.Value { return moments(24*time.Hour, time.DateOnly) }},
	"datetime": {Column{Name: "k", Type: TypeDatetime, Scale: 3}, func() []sqlval.Value {
		return moments(7*time.Hour+13*time.Minute, "2006-01-02 15:04:05.000")
	}},
	"whole hours": {Column{Name: "k", Type: TypeDatetime}, func() []sqlval.Value { return moments(time.Hour, time.DateTime) }},
}

func moments(step time.Duration, format string) []sqlval.Value {
	var values []sqlval.Value
	at := time.Date(2025, 11, 23, 0, 0, 0, 0, time.UTC)
	for range 800 {
		values = append(values, sqlval.StringValue(at.Format(format)))
		at = at.Add(step)
	}
	return values
}

// rangeRules are the rules tried with every domain they take.
var rangeRules = []string{
	"hash(k)", "mod(k)", "jump(k)", "murmur(k)",
	"range(k, ..-1: 0, 0-99: 1, 100-250: 2, 300-: 0)",
	"range(k, 5-80: 0, 90-9223372036854775806: 1, 9223372036854775810..: 3, default: 2)",
	"range(k, ..2025-12: 0, 2026-01..2026-03-15: 1, 2026-03-16..: 2)",
	"list(k, 1: 0, 7: 1, 9: 2, 200: 1, default: 3)",
	"list(k, 1: 0, 7: 1)",
	"mod(k div 10)", "mod(-k)", "mod(k % 9)", "hash(k * 3 + 1)", "range(k div 10, ..-1: 0, 0-3: 1, 4-: 2)", "range(100 - k, ..-1: 0, 0-99: 1, 100-: 2)",
	"range(abs(k), 0-50: 0, 51-: 1)", "list(year(k), 2025: 0, 2026: 1, default: 2)", "mod(month(k))", "mod(crc32(k))", "mod(weekday(k))", "hash(left(k, 7))",
	"month(prefix(k, 10), format='%Y-%m-%d') over 202512-202602", "day(k * 2, seconds) over 19691230-19700105",
	"year(k) over 2025-2027", "month(k) over 202512-202602", "week(k) over 2025w48-2026w20", "day(k) over 20251201-20260401", "hour(k) over 2025112400-2025122923",
	"days(k, 10, 2026-01-01) over 20251202-20260401",
	"month(k, format='%Y-%m-%d') over 202512-202602", "day(k, format='%d.%m.%Y') over 20251201-20260401", "day(k, seconds) over 19700101-19700102",
}

// Ten thousand random ranges of every rule and type lead to all shards that
// hold a value in them.
func TestEveryRangeIsRoutedToAllShardsItMeets(t *testing.T) {
	for _, rule := range rangeRules {
		tried := 0
		for name, d := range domains {
			c := d.column
			rule, periods, _ := strings.Cut(rule, " over ")
			r, err := ParseRule(rule, func(string, []string) string { return "" })
			require.NoError(t, err)
			var a Algorithm
			if periods != "" {
				a = overPeriods(t, rule, nil, periods)
			} else {
				a, err = r.Algorithm(7, Periods{})
				require.NoError(t, err)
			}
			if a.Takes(c) != nil {
				continue
			}
			tried++
			t.Run(rule+" of "+name, func(t *testing.T) { coversRanges(t, madeOver(t, rule, 7, &c, nil, periods), c, d.values()) })
		}
		require.NotZero(t, tried, "%s takes no domain", rule)
	}
}

func coversRanges(t *testing.T, a Algorithm, c Column, values []sqlval.Value) {
	keys, shards := make([]Key, len(values)), make([]int, len(values))
	for i, v := range values {
		k, m, err := c.KeyToCompare(v, lowerWeigher{})
		require.NoError(t, err)
		require.Equal(t, MatchKey, m, "%s", v.Text)
		keys[i], shards[i] = k, -1
		if s, err := a.ShardOf(k); err == nil {
			shards[i] = s
		}
	}
	random := rand.New(rand.NewSource(1)) // the same ranges each time
	narrowed := 0
	for range 10_000 {
		from, to := random.Intn(len(keys)), random.Intn(len(keys))
		if random.Intn(3) == 0 {
			to = min(from+random.Intn(10), len(keys)-1)
		}
		lo := Bound{Key: keys[from], Exclusive: random.Intn(2) == 0, Open: random.Intn(10) == 0}
		hi := Bound{Key: keys[to], Exclusive: random.Intn(2) == 0, Open: random.Intn(10) == 0}
		set := FullSet(a.Shards())
		if r, ok := a.(Ranger); ok {
			set = r.ShardsOfRange(lo, hi)
		}
		if set.Full() {
			continue
		}
		narrowed++
		for i, s := range shards {
			in := (lo.Open || i > from || i == from && !lo.Exclusive) && (hi.Open || i < to || i == to && !hi.Exclusive)
			if in && s >= 0 && !set.Has(s) {
				t.Fatalf("%s to %s (%+v %+v): %s is on shard %d, which is not in %s", keys[from].Bytes, keys[to].Bytes, lo.Open, hi.Open, keys[i].Bytes, s, set)
			}
		}
	}
	t.Logf("%d of 10,000 narrowed", narrowed)
}
