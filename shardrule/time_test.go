package shardrule

import (
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
)

// timeOver is a rule of time over periods of these names; a-b are all from a to b.
func timeOver(t require.TestingT, rule string, zone *time.Location, names ...string) *Time {
	return overPeriods(t, rule, zone, names...).(*Time)
}

// overPeriods is timeOver for a rule over an expression too.
func overPeriods(t require.TestingT, rule string, zone *time.Location, names ...string) Algorithm {
	r, err := ParseRule(rule, func(string, []string) string { return "" })
	require.NoError(t, err)
	c, err := r.Calendar()
	require.NoError(t, err)
	over := Periods{Table: "logs", Zone: zone}
	for _, name := range names {
		first, last, run := strings.Cut(name, "-")
		p, ok := c.Named(first)
		require.True(t, ok, first)
		over.List = append(over.List, p)
		for run && c.Name(over.List[len(over.List)-1]) != last {
			over.List = append(over.List, over.List[len(over.List)-1]+1)
		}
	}
	a, err := r.Algorithm(0, over)
	require.NoError(t, err)
	return a
}

func months(t require.TestingT, names ...string) *Time { return timeOver(t, "month(k)", nil, names...) }

func TestMonthFindsTheShardOfADate(t *testing.T) {
	m := months(t, "202511", "202512", "202602")
	require.Equal(t, "month v1 periods=202511-202512,202602", m.Spec())
	for text, want := range map[string]int{
		"2025-11-01": 0, "2025-12-31 23:59:59.999": 1, "2026-02-28 00:00:00": 2,
	} {
		got, err := m.ShardOf(Key{Bytes: []byte(text)})
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
	for why, c := range map[string]struct {
		key  Key
		want string
	}{
		"a gap":     {Key{Bytes: []byte("2026-01-05")}, "logs has no place for 202601: its periods are 202511 to 202602; create the table"},
		"before":    {Key{Bytes: []byte("2025-10-31")}, "no place for 202510"},
		"after":     {Key{Bytes: []byte("2026-03-01")}, "no place for 202603"},
		"NULL":      {Key{Null: true}, "has no place for NULL"},
		"no date":   {Key{Bytes: []byte("abc")}, "'abc' is no moment"},
		"two ways":  {Key{Bytes: []byte("2025-11-30 23:59:59"), Alt: []byte("2025-12-01 00:00:00")}, "Serval refuses the sharding key"},
		"no letter": {Key{Bytes: []byte("2025-1x-01")}, "is no moment"},
	} {
		_, err := m.ShardOf(c.key)
		require.ErrorContains(t, err, c.want, why)
		if why != "two ways" {
			require.Equal(t, uint16(sqlerr.NoPartitionForValue), sqlerr.From(err).Code, why)
		}
	}
	_, err := m.ShardOf(Key{Bytes: []byte("2025-11-30 23:59:58"), Alt: []byte("2025-11-30 23:59:59")})
	require.NoError(t, err, "two readings of one month")
}

func TestTimeRefusesPeriodsThatAreNone(t *testing.T) {
	for _, p := range [][]Period{nil, {24000, 23999}, {24000, 24000}, {1, 2}, {12000, 119999}} {
		_, err := NewTime("month", Calendar{Unit: Month}, nil, Periods{Table: "logs", List: p})
		require.Error(t, err, p)
	}
}

func TestMonthRangesCoverEveryDateInThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var periods []string
		calendar := Calendar{Unit: Month}
		for p := Period(2025*12 + 1); p <= 2026*12+12; p++ {
			if rapid.IntRange(0, 3).Draw(t, "has") > 0 {
				periods = append(periods, calendar.Name(p))
			}
		}
		if len(periods) == 0 {
			return
		}
		m := months(t, periods...)
		var days []string
		for p := Period(2024*12 + 12); p <= 2027*12+1; p++ {
			for _, d := range []string{"-01 00:00:00", "-01 00:00:01", "-15 12:00:00", "-28 23:59:59"} {
				days = append(days, calendar.Name(p)[:4]+"-"+calendar.Name(p)[4:]+d)
			}
		}
		bound := func(name string) Bound {
			return Bound{
				Key:  Key{Bytes: []byte(rapid.SampledFrom(days).Draw(t, name))},
				Open: rapid.IntRange(0, 4).Draw(t, name+" open") == 0, Exclusive: rapid.Bool().Draw(t, name+" exclusive"),
			}
		}
		lo, hi := bound("lo"), bound("hi")
		set := m.ShardsOfRange(lo, hi)
		for _, d := range days {
			in := lo.Open || d > string(lo.Key.Bytes) || d == string(lo.Key.Bytes) && !lo.Exclusive
			in = in && (hi.Open || d < string(hi.Key.Bytes) || d == string(hi.Key.Bytes) && !hi.Exclusive)
			shard, err := m.ShardOf(Key{Bytes: []byte(d)})
			if in && err == nil {
				require.True(t, set.Has(shard), "%s in %v %v", d, lo, hi)
			}
		}
	})
}

func TestMonthRangesAreNarrow(t *testing.T) {
	m := months(t, "202601-202604")
	at := func(s string) Bound { return Bound{Key: Key{Bytes: []byte(s)}} }
	before := func(s string) Bound { b := at(s); b.Exclusive = true; return b }
	require.Equal(t, "[1]", m.ShardsOfRange(at("2026-02-01"), before("2026-03-01")).String())
	require.Equal(t, "[1-2]", m.ShardsOfRange(at("2026-02-01"), at("2026-03-01")).String())
	require.Equal(t, "[2-3]", m.ShardsOfRange(at("2026-03-31"), Bound{Open: true}).String())
	require.Equal(t, "[0]", m.ShardsOfRange(Bound{Open: true}, before("2026-02-01 00:00:00.000")).String())
	require.Equal(t, "[]", m.ShardsOfRange(at("2027-01-01"), Bound{Open: true}).String())
}

// zones are chosen for what their clocks did: a common change; one of half an
// hour; set back from just behind midnight, so that a day came twice; set back at
// midnight; a day left out; none.
var zones = map[string]string{
	"Europe/Berlin": "2026-10-24 00:00:00", "Australia/Lord_Howe": "2026-04-04 00:00:00", "America/St_Johns": "2006-10-28 00:00:00",
	"America/Sao_Paulo": "2018-02-17 00:00:00", "Pacific/Apia": "2011-12-29 00:00:00", "UTC": "2026-10-24 00:00:00",
}

// Instants of five days around a change of the clocks: where a row lives is the
// hour that the zone's clocks show; ranges lead to all rows; and the steps, which
// MySQL is given, say the same second by second.
func TestInstantsInZones(t *testing.T) {
	for name, around := range zones {
		zone, err := time.LoadLocation(name)
		require.NoError(t, err)
		start, err := time.Parse(time.DateTime, around)
		require.NoError(t, err)
		for _, rule := range []string{"hour(k, seconds)", "day(k, milliseconds)", "hour(k)"} {
			t.Run(name+" "+rule, func(t *testing.T) {
				r, err := ParseRule(rule, nil)
				require.NoError(t, err)
				c, err := r.Calendar()
				require.NoError(t, err)
				m := timeOver(t, rule, zone, c.Name(c.At(start))+"-"+c.Name(c.At(start.Add(96*time.Hour))))
				column := Column{Name: "k", Type: TypeInt, Bits: 64}
				if rule == "hour(k)" {
					column.Type = TypeTimestamp
				}
				a, err := m.Bind(column, nil)
				require.NoError(t, err)
				instantsAreCovered(t, a.(*Time), start.Add(-30*time.Hour), 170*time.Hour)
			})
		}
	}
}

func instantsAreCovered(t *testing.T, m *Time, start time.Time, length time.Duration) {
	var keys []Key
	var shards []int
	steps := m.steps()
	for at := start; at.Before(start.Add(length)); at = at.Add(10 * time.Minute) {
		k := Key{Bytes: []byte(at.Format(time.DateTime))}
		if m.kind == asNumber {
			k = intKey(at.Unix() * m.epoch)
		}
		want, stepped := -1, -1
		if i, ok := m.shardOf(m.calendar.At(at.In(m.zone))); ok {
			want = i
		}
		got, err := m.ShardOf(k)
		if err != nil {
			got = -1
		}
		require.Equal(t, want, got, at)
		for _, s := range steps {
			if at.Unix() >= s.from {
				stepped = s.shard
			}
		}
		require.Equal(t, want, stepped, at)
		keys, shards = append(keys, k), append(shards, want)
	}
	random := rand.New(rand.NewSource(1)) // the same ranges each time
	for range 1000 {
		from := random.Intn(len(keys))
		to := min(from+random.Intn(60), len(keys)-1)
		lo, hi := Bound{Key: keys[from], Exclusive: random.Intn(2) == 0}, Bound{Key: keys[to], Exclusive: random.Intn(2) == 0}
		lo.Open, hi.Open = random.Intn(20) == 0, random.Intn(20) == 0
		set := m.ShardsOfRange(lo, hi)
		for i, s := range shards {
			in := (lo.Open || i > from || i == from && !lo.Exclusive) && (hi.Open || i < to || i == to && !hi.Exclusive)
			if in && s >= 0 && !set.Has(s) {
				t.Fatalf("%s to %s: %s is on shard %d, which is not in %s", keys[from].Bytes, keys[to].Bytes, keys[i].Bytes, s, set)
			}
		}
	}
}

func TestInstantRangesAreNarrow(t *testing.T) {
	m := timeOver(t, "day(k, seconds)", nil, "20261101-20261130")
	bound, err := m.Bind(Column{Type: TypeInt, Bits: 64}, nil)
	require.NoError(t, err)
	at := func(text string, exclusive bool) Bound {
		d, err := time.Parse(time.DateTime, text)
		require.NoError(t, err)
		return Bound{Key: intKey(d.Unix()), Exclusive: exclusive}
	}
	require.Equal(t, "[0]", bound.(Ranger).ShardsOfRange(at("2026-11-01 00:00:00", false), at("2026-11-02 00:00:00", true)).String())
	require.Equal(t, "[0-1]", bound.(Ranger).ShardsOfRange(at("2026-11-01 00:00:00", false), at("2026-11-02 00:00:00", false)).String())
	require.Equal(t, "[29]", bound.(Ranger).ShardsOfRange(at("2026-11-30 23:59:59", false), Bound{Open: true}).String())
}

// inZone is a session with a time_zone.
type inZone struct {
	lowerWeigher
	zone *time.Location
}

func (z inZone) Zone() (*time.Location, bool) { return z.zone, z.zone != nil }

// A TIMESTAMP is read by the session's time_zone: what its clocks show twice or
// never is not one key.
func TestTimestampsAreReadByTheSessionsZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	c := Column{Name: "k", Type: TypeTimestamp, SQLType: "timestamp"}
	for _, x := range []struct{ why, text, compare, store string }{
		{"summer time", "2026-07-01 10:00:00", "2026-07-01 08:00:00", "2026-07-01 08:00:00"},
		{"winter time", "2026-12-01 10:00:00", "2026-12-01 09:00:00", "2026-12-01 09:00:00"},
		{"before the clock is set back", "2026-10-25 01:59:59", "2026-10-24 23:59:59", "2026-10-24 23:59:59"},
		{"shown twice", "2026-10-25 02:00:00", "unknown", "2026-10-25 00:00:00 or 2026-10-25 01:00:00"},
		{"after it was", "2026-10-25 03:00:00", "2026-10-25 02:00:00", "2026-10-25 02:00:00"},
		{"never shown", "2026-03-29 02:30:00", "unknown", "clocks are set forward over it in Europe/Berlin"},
		{"before 1970", "1970-01-01 01:00:00", "1970-01-01 00:00:00", "Incorrect datetime value"},
		{"a day", "2026-12-01", "2026-11-30 23:00:00", "2026-11-30 23:00:00"},
		{"more digits than it has", "2026-12-01 10:00:00.7", "unknown", "2026-12-01 09:00:00 or 2026-12-01 09:00:01"},
		{"no moment", "abc", "unknown", "Incorrect datetime value"},
	} {
		k, m, err := c.KeyToCompare(sqlval.StringValue(x.text), inZone{zone: berlin})
		require.NoError(t, err)
		require.Equal(t, x.compare, strings.Trim(matchText(k, m), `"`), x.why)
		k, err = c.KeyToStore(sqlval.StringValue(x.text), inZone{zone: berlin})
		if err != nil {
			require.ErrorContains(t, err, x.store, x.why)
			continue
		}
		require.Equal(t, x.store, strings.ReplaceAll(matchText(k, MatchKey), `"`, ""), x.why)
	}
	for _, w := range []Weigher{lowerWeigher{}, inZone{}} {
		_, m, err := c.KeyToCompare(sqlval.StringValue("2026-07-01"), w)
		require.NoError(t, err)
		require.Equal(t, MatchUnknown, m)
		_, err = c.KeyToStore(sqlval.StringValue("2026-07-01"), w)
		require.ErrorContains(t, err, "SET time_zone = ")
	}
}
