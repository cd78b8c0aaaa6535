package shardrule

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/topology"
)

func intKey(n int64) Key {
	return Key{Bytes: strconv.AppendInt(nil, n, 10), Int: n, IsInt: true}
}

func hashOver(t require.TestingT, n int) Hash {
	h, err := NewHash(n)
	require.NoError(t, err)
	return h
}

func TestHashTakesOneToAThousandShards(t *testing.T) {
	for _, n := range []int{-1, 0, 1025} {
		_, err := NewHash(n)
		require.ErrorContains(t, err, "1 to 1024 shards", n)
	}
	require.Equal(t, 1024, hashOver(t, 1024).Shards())
}

// SELECT CRC32(x) MOD 1024 on MySQL 9.7 and MariaDB 10.11.
func TestSlotsAreMySQLs(t *testing.T) {
	for text, slot := range map[string]int{"": 0, "1": 951, "42": 136, "-7": 287, "18446744073709551615": 282, "2026-11-23": 519} {
		require.Equal(t, slot, Hash{}.Slot(Key{Bytes: []byte(text)}), text)
	}
	require.Equal(t, 0, Hash{}.Slot(Key{Null: true}), "NULL has slot 0")
}

func TestShardsOwnEqualRunsOfSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, Slots).Draw(t, "shards")
		h := hashOver(t, n)
		owned := make([]int, n)
		last := 0
		for slot := range Slots {
			shard := h.ShardOfSlot(slot)
			require.GreaterOrEqual(t, shard, last, "a run is in one piece")
			last = shard
			owned[shard]++
		}
		for _, slots := range owned {
			require.GreaterOrEqual(t, slots, Slots/n)
			require.LessOrEqual(t, slots, Slots/n+1)
		}
	})
}

func TestTwiceTheShardsCutEachRunInTwo(t *testing.T) {
	for n := 1; n <= Slots/2; n *= 2 {
		for slot := range Slots {
			require.Equal(t, hashOver(t, n).ShardOfSlot(slot), hashOver(t, 2*n).ShardOfSlot(slot)/2)
		}
	}
}

func TestHashRangesCoverEveryKeyInThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := hashOver(t, rapid.SampledFrom([]int{1, 4, 100, 1024}).Draw(t, "shards"))
		if rapid.Bool().Draw(t, "slots:") {
			var o SlotOwners
			for slot := range o {
				o[slot] = uint16(slot * 7 % h.Shards())
			}
			h = h.With(&o)
		}
		first := rapid.Int64().Draw(t, "first")
		last := first + rapid.Int64Range(-3, 5000).Draw(t, "length")
		lo := Bound{Key: intKey(first), Exclusive: rapid.Bool().Draw(t, "lo exclusive"), Open: rapid.IntRange(0, 9).Draw(t, "lo open") == 0}
		hi := Bound{Key: intKey(last), Exclusive: rapid.Bool().Draw(t, "hi exclusive"), Open: rapid.IntRange(0, 9).Draw(t, "hi open") == 0}
		set := h.ShardsOfRange(lo, hi)
		for i := range int64(5000) {
			n := first + i
			if n < first || n > last { // also where first+i overflows
				break
			}
			if lo.Exclusive && n == first && !lo.Open || hi.Exclusive && n == last && !hi.Open {
				continue
			}
			shard, err := h.ShardOf(intKey(n))
			require.NoError(t, err)
			require.True(t, set.Has(shard), "key %d of [%d,%d]", n, first, last)
		}
	})
}

func TestHashNarrowsWhatItCan(t *testing.T) {
	h := hashOver(t, 8)
	at := func(k Key) int { s, err := h.ShardOf(k); require.NoError(t, err); return s }
	text := Bound{Key: Key{Bytes: []byte("abc")}}
	require.Equal(t, []int{at(text.Key)}, h.ShardsOfRange(text, text).Members(), "a range of one key")
	require.Equal(t, []int{at(intKey(7))}, h.ShardsOfRange(Bound{Key: intKey(6), Exclusive: true}, Bound{Key: intKey(7)}).Members())
	require.Equal(t, 0, h.ShardsOfRange(Bound{Key: intKey(7)}, Bound{Key: intKey(6)}).Len(), "nothing is between")
	require.True(t, h.ShardsOfRange(Bound{Key: intKey(-1 << 63)}, Bound{Key: intKey(1<<63 - 1)}).Full(), "all integers")
	require.True(t, h.ShardsOfRange(Bound{Open: true}, Bound{Key: intKey(7)}).Full(), "an open end")
	require.True(t, h.ShardsOfRange(Bound{Key: Key{Null: true}}, Bound{Key: intKey(7)}).Full())
	require.True(t, h.ShardsOfRange(text, Bound{Key: Key{Bytes: []byte("abd")}}).Full(), "text has no next")
}

func TestAKeyWithTwoReadingsMustHaveOneShard(t *testing.T) {
	k := Key{Bytes: []byte("2026-11-23 10:00:00"), Alt: []byte("2026-11-23 10:00:01")}
	_, err := hashOver(t, 1).ShardOf(k)
	require.NoError(t, err)
	_, err = hashOver(t, 1024).ShardOf(k)
	require.ErrorContains(t, err, "no more digits after the second than the column has")
}

// Each expression was run on MySQL 9.7 and MariaDB 10.11 over a hundred values
// of its type and gave ShardOf of each.
func TestShardExprIsTheSameInSQL(t *testing.T) {
	for _, c := range []struct {
		column Column
		n      int
		want   string
	}{
		{Column{Type: TypeInt}, 8, "IFNULL(CRC32(`k`) MOD 1024 * 8 DIV 1024, 0)"},
		{Column{Type: TypeInt}, 1024, "IFNULL(CRC32(`k`) MOD 1024, 0)"},
		{Column{Type: TypeInt, SQLType: "int(6) unsigned zerofill"}, 8, "IFNULL(CRC32(`k` + 0) MOD 1024 * 8 DIV 1024, 0)"},
		{Column{Type: TypeText}, 8, "IFNULL(CRC32(WEIGHT_STRING(`k`)) MOD 1024 * 8 DIV 1024, 0)"},
		{Column{Type: TypeText, PadSpace: true}, 8, "IFNULL(CRC32(WEIGHT_STRING(RTRIM(`k`))) MOD 1024 * 8 DIV 1024, 0)"},
		{Column{Type: TypeText, PadSpace: true, PadWeight: "\x02\x09"}, 8,
			"IFNULL(CRC32(TRIM(TRAILING x'0209' FROM WEIGHT_STRING(RTRIM(`k`)))) MOD 1024 * 8 DIV 1024, 0)"},
		{Column{Type: TypeDatetime}, 8, "IFNULL(CRC32(`k`) MOD 1024 * 8 DIV 1024, 0)"},
	} {
		require.Equal(t, c.want, hashOver(t, c.n).ShardExpr("`k`", c.column))
	}
}

func TestAlgorithmsSayWhatTheyTake(t *testing.T) {
	m := timeOver(t, "month(k)", nil, "202611")
	hours := timeOver(t, "hour(k)", nil, "2026112313")
	seconds := timeOver(t, "month(k, seconds)", nil, "202611")
	written := timeOver(t, "month(k, format='%Y%m')", nil, "202611")
	for _, c := range []struct {
		a    Algorithm
		typ  ColumnType
		want string // empty: it takes it
	}{
		{Hash{n: 1}, TypeInt, ""}, {Hash{n: 1}, TypeText, ""}, {Hash{n: 1}, TypeDecimal, ""}, {Hash{n: 1}, TypeDatetime, ""},
		{Hash{n: 1}, TypeTimestamp, "time_zone; use DATETIME"}, {Hash{n: 1}, TypeOther, "it takes integers, DECIMAL"},
		{m, TypeDate, ""}, {m, TypeDatetime, ""}, {m, TypeTimestamp, ""}, {hours, TypeDate, "a DATE has no hour"},
		{m, TypeInt, "add epoch: seconds"}, {m, TypeText, "add format:"}, {m, TypeDecimal, "it takes DATE, DATETIME"},
		{seconds, TypeInt, ""}, {written, TypeText, "use a _bin collation"},
	} {
		err := c.a.Takes(Column{Name: "k", Type: c.typ, SQLType: "thing"})
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, "column k of type thing")
	}
}

func TestSetsAreSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(t, "n")
		draw := func(name string) (Set, map[int]bool) {
			s, m := EmptySet(n), map[int]bool{}
			for _, i := range rapid.SliceOf(rapid.IntRange(0, n-1)).Draw(t, name) {
				s.Add(i)
				m[i] = true
			}
			return s, m
		}
		a, inA := draw("a")
		b, inB := draw("b")
		for i := range n {
			require.Equal(t, inA[i], a.Has(i))
			require.Equal(t, inA[i] && inB[i], a.And(b).Has(i))
			require.Equal(t, inA[i] || inB[i], a.Or(b).Has(i))
		}
		require.Len(t, a.Members(), len(inA))
		require.Equal(t, len(inA) == n, a.Full())
	})
	require.False(t, EmptySet(3).Has(3))
	require.Panics(t, func() { EmptySet(3).Add(3) })
}

func TestColocatedTablesHaveEqualKeysOnTheSameCluster(t *testing.T) {
	place := func(n int, c Column, clusters ...string) *Placement {
		p := &Placement{Kind: Sharded, Algorithm: hashOver(t, n), Column: c}
		for i, cluster := range clusters {
			p.Shards = append(p.Shards, topology.Shard{Index: i, Cluster: cluster})
		}
		return p
	}
	integer := Column{Type: TypeInt, Bits: 32}
	text := Column{Type: TypeText, Collation: "utf8mb4_bin"}
	one := place(2, integer, "c0", "c1")
	for why, c := range map[string]struct {
		other *Placement
		want  bool
	}{
		"itself":                   {one, true},
		"the same rule":            {place(2, integer, "c0", "c1"), true},
		"a wider integer":          {place(2, Column{Type: TypeInt, Bits: 64}, "c0", "c1"), true},
		"another count":            {place(4, integer, "c0", "c0", "c1", "c1"), false},
		"other clusters":           {place(2, integer, "c1", "c0"), false},
		"text against a number":    {place(2, text, "c0", "c1"), false},
		"a type that is not known": {place(2, Column{}, "c0", "c1"), false},
		"a whole table":            {&Placement{Kind: Whole}, false},
	} {
		require.Equal(t, c.want, one.Colocated(c.other), why)
	}
	other := Column{Type: TypeText, Collation: "utf8mb4_general_ci"}
	require.False(t, place(1, text, "c0").Colocated(place(1, other, "c0")), "another collation")
	require.False(t, place(1, Column{}, "c0").Colocated(place(1, Column{}, "c0")), "neither type is known")
}
