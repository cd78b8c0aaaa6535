package shardrule

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// foreignRanges are rules with a range of keys in which they are not trivial.
var foreignRanges = []struct {
	rule   string
	shards int
	span   int64 // integers are drawn from -span to span; 0: dates are
}{
	{"mycat_mod(k)", 7, 1000},
	{"mycat_long(k, partition_count=\"2,1\", partition_length=\"256,512\", fold=false)", 3, 5000},
	{"mycat_long(k, partition_count=8, partition_length=128, fold=true)", 8, 1 << 40},
	{"mycat_string(k, partition_count=8, partition_length=128)", 8, 9000},
	{"mycat_range(k, 0-100=0, 101-200=1, 150-900=2, 400-450=3)", 4, 1000},
	{"mycat_range(k, 0-100=0, 101-200=1, default=2)", 4, 1000},
	{"mycat_enum(k, 1=1, 2=2, 3=0, default=3)", 4, 9},
	{"mycat_enum(k, 1=1, 2=2, 3=0)", 4, 9},
	{"mycat_murmur(k)", 5, 9000},
	{"mycat_crc32slot(k)", 3, 9000},
	{"mycat_jump(k)", 6, 9000},
	{"mycat_hash_mod(k)", 8, 9000},
	{"mycat_pattern(k, pattern_value=64, 0-9=0, 10-30=1, 31-63=2, default=3)", 4, 500},
	{"mycat_prefix_pattern(k, pattern_value=32, prefix_length=5, 0-9=0, 10-31=1)", 2, 9000},
	{"mycat_substring(k, start=0, size=1, count=8, default=5)", 8, 5000},
	{"mycat_range_mod(k, 0-10K=5, 10001-20K=1, 10500-30K=2, default=8)", 9, 40000},
	{"mycat_latest_month(k, split=4)", 124, 4000},
	{"mycat_postfix(k)", 20, 30},
	{"mycat2(k, db_method=MOD_HASH, db_num=2, table_method=MOD_HASH, table_num=3)", 6, 500},
	{"mycat2(k, db_method=RIGHT_SHIFT(2), db_num=4, table_method=UNI_HASH, table_num=3)", 12, 500},
	{"mycat2(k, db_method=YYYYMM, db_num=3, table_method=DD, table_num=4)", 12, 0},
	{"mycat2(k, db_method=YYYYWEEK, db_num=3, table_method=YYYYWEEK, table_num=4, flat=true)", 12, 0},
	{"dble_hash(k, partition_count=\"2,1\", partition_length=\"100,280\")", 3, 2000},
	{"dble_stringhash(k, partition_count=3, partition_length=7)", 3, 2000},
	{"dble_enum(k, 1=1, 2=2, 3=0, default=3)", 4, 9},
	{"dble_numberrange(k, 0-100=0, 101-200=1, default=2)", 4, 1000},
	{"dble_patternrange(k, pattern_value=64, 0-9=0, 10-30=1, 31-63=2)", 4, 500},
	{"dble_jumpstringhash(k)", 4, 500},
	{"kingshard_hash(k)", 6, 500},
	{"kingshard_range(k, table_row_limit=100)", 6, 800},
	{"kingshard_month(k, periods=\"197001-197012\", proxy_zone=Europe/Berlin)", 12, 40000000},
	{"kingshard_year(k, periods=\"1969-1973\", proxy_zone=Asia/Shanghai)", 5, 140000000},
	{"kingshard_day(k, periods=\"19691225-19700110\", proxy_zone=UTC)", 17, 1500000},
	{"gaea_mod(k)", 6, 500},
	{"gaea_string(k, partition_count=8, partition_length=128, hash_slice=\"-2:\")", 8, 500},
	{"gaea_padding_mod(k)", 3, 500},
	{"mycat_date(k, begin=2014-01-01, days=10)", 40, 0},
	{"mycat_date(k, begin=2014-01-01, end=2014-01-31, days=10)", 4, 0},
	{"mycat_date(k, begin=2014-01-01, days=7, proxy_zone=Europe/Berlin)", 60, 0},
	{"mycat_date(k, format=yyyyMMdd, begin=20140101, days=10)", 40, 0},
	{"mycat_date(k, format=yyyyMMdd, begin=20140101, days=10)", 40, 20160101},
	{"dble_date(k, begin=2014-01-01, days=10, default=39)", 40, 0},
	{"dble_date(k, begin=2014-01-01, end=2014-01-31, days=10)", 4, 0},
	{"mycat_day(k)", 31, 0},
	{"mycat_month(k)", 12, 0},
	{"mycat_month(k, begin=2013-05-01)", 20, 0},
	{"mycat_month(k, begin=2013-05-01, end=2013-11-01)", 7, 0},
	{"mycat_year(k, begin=2013-05-01)", 3, 0},
	{"mycat_year(k, begin=2013-05-01, end=2014-05-01)", 2, 0},
	{"mycat_range_date_hash(k, begin=2014-01-01, days=10, group=3)", 60, 0},
	{"kingshard_year(k, periods=\"2013,2015-2016\")", 3, 0},
	{"kingshard_month(k, periods=\"201301-201501\")", 25, 0},
	{"kingshard_day(k, periods=\"20140101-20140228\")", 59, 0},
}

// Every key in a range is on one of the range's shards: 100 ranges in each of
// rapid's 100 checks.
func TestForeignRangesCoverEveryKeyInThem(t *testing.T) {
	for _, r := range foreignRanges {
		t.Run(r.rule, func(t *testing.T) {
			c := Column{Name: "k", Type: TypeInt, Bits: 64}
			if r.span == 0 {
				c = Column{Name: "k", Type: TypeDatetime}
			}
			a := made(t, r.rule, r.shards, &c).(Ranger)
			key := keyAt(r.span)
			rapid.Check(t, func(t *rapid.T) {
				random := rapid.Uint64().Draw(t, "random")
				next := func(n int64) int64 {
					random = random*6364136223846793005 + 1442695040888963407
					return int64(random>>1) % n
				}
				for range 100 {
					checkRange(t, a, key, next)
				}
			})
		})
	}
}

// keyAt is the key of a number from 0 to keys-1, in order.
const keys = 1 << 20

func keyAt(span int64) func(int64) Key {
	if span > 0 {
		return func(n int64) Key { return intKey(-span + n*(2*span/keys+1)%(2*span+1)) }
	}
	from := time.Date(2012, 12, 1, 0, 0, 0, 0, time.UTC)
	return func(n int64) Key {
		return Key{Bytes: []byte(from.Add(time.Duration(n) * 97 * time.Second).Format(time.DateTime))}
	}
}

func checkRange(t require.TestingT, a Ranger, key func(int64) Key, next func(int64) int64) {
	first, length := next(keys), next(1<<next(20))
	last := min(first+length, keys-1)
	lo := Bound{Key: key(first), Open: next(8) == 0, Exclusive: next(3) == 0}
	hi := Bound{Key: key(last), Open: next(8) == 0, Exclusive: next(3) == 0}
	if lo.Key.IsInt && lo.Key.Int > hi.Key.Int {
		lo.Key, hi.Key = hi.Key, lo.Key
	}
	set := a.ShardsOfRange(lo, hi)
	for i := range int64(12) {
		n := first + next(length+1)
		if i < 2 {
			n = []int64{first, last}[i]
		} else if i < 5 {
			n = next(keys)
		}
		k := key(min(n, keys-1))
		if !within(lo, hi, k) {
			continue
		}
		if shard, err := a.ShardOf(k); err == nil {
			require.True(t, set.Has(shard), "%s is on %d, and the range from %s %v to %s %v goes to %s", k.Bytes, shard, lo.Key.Bytes, lo.Open, hi.Key.Bytes, hi.Open, set)
		}
	}
}

func within(lo, hi Bound, k Key) bool {
	less := func(a, b Key) bool {
		if a.IsInt {
			return a.Int < b.Int
		}
		return string(a.Bytes) < string(b.Bytes)
	}
	return (lo.Open || less(lo.Key, k) || !lo.Exclusive && !less(k, lo.Key)) && (hi.Open || less(k, hi.Key) || !hi.Exclusive && !less(hi.Key, k))
}

func TestForeignRangesAreNarrowWhereTheFunctionHasOrder(t *testing.T) {
	at := func(s string) Bound {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return Bound{Key: intKey(n)}
		}
		return Bound{Key: Key{Bytes: []byte(s)}}
	}
	for _, c := range []struct {
		rule   string
		shards int
		typ    ColumnType
		lo, hi string
		want   string
	}{
		{"mycat_mod(k)", 4, TypeInt, "6", "7", "[2-3]"},
		{"mycat_long(k, partition_count=8, partition_length=128, fold=true)", 8, TypeInt, "100", "1100", "[0-7]"}, // Mycat asks node 0 alone
		{"mycat_long(k, partition_count=8, partition_length=128, fold=true)", 8, TypeInt, "100", "130", "[0-1]"},
		{"mycat_range(k, 0-500M=0, 500M1-1000M=1, 1000M1-1500M=2)", 3, TypeInt, "10", "5000002", "[0-1]"},
		{"mycat_range_mod(k, 0-200M=5, 200M1-400M=1)", 6, TypeInt, "1900000", "2000001", "[0-5]"},
		{"mycat_range_mod(k, 0-200M=5, 200M1-400M=1)", 6, TypeInt, "2000001", "4000000", "[5]"},
		{"mycat_date(k, begin=2014-01-01, days=10)", 9, TypeDatetime, "2014-01-01 23:00:00", "2014-01-11 01:00:00", "[0-1]"}, // Mycat asks node 0 alone
		{"mycat_month(k, begin=2014-01-01)", 9, TypeDate, "2014-02-28", "2014-03-01", "[1-2]"},                               // Mycat's ...AndHistory asks node 0 alone
		// 02:40 is not there in Berlin on that day and read as 03:40, where a window begins at 03:30.
		{"mycat_date(k, format='yyyy-MM-dd HH:mm:ss', begin='2014-03-20 02:30:00', days=10, proxy_zone=Europe/Berlin)", 9, TypeDatetime, "2014-03-30 02:40:00", "2014-03-30 03:10:00", "[0-1]"},
		{"mycat_enum(k, 1=1, 2=0)", 2, TypeInt, "2", "100", "[0]"},
		{"kingshard_range(k, table_row_limit=100)", 4, TypeInt, "150", "299", "[1-2]"},
	} {
		column := Column{Name: "k", Type: c.typ, Bits: 64}
		a := made(t, c.rule, c.shards, &column).(Ranger)
		require.Equal(t, c.want, a.ShardsOfRange(at(c.lo), at(c.hi)).String(), c.rule)
	}
}

// Mycat's documentation and tests give these.
func TestForeignFunctionsAnswerAsTheirDocumentationSays(t *testing.T) {
	for _, c := range []struct {
		rule   string
		shards int
		text   string
		want   int
	}{
		{"mycat_jump(k)", 3, "1", 1}, {"mycat_jump(k)", 3, "2", 2}, {"mycat_jump(k)", 3, "10", 0}, {"mycat_jump(k)", 3, "abc", 0},
		{"mycat_range(k, 0-500M=0, 500M1-1000M=1)", 2, "5000001", 1},
		{"mycat_substring(k, start=0, size=2, count=8, default=0)", 8, "05-100000002", 5},
		{"mycat_latest_month(k)", 744, "2014050115", 15},
		{"mycat_prefix_pattern(k, pattern_value=32, prefix_length=5, 1-4=0, 5-8=1, 9-12=2, 13-16=3, 17-20=4, 21-24=5, 25-28=6, 29-32=7, 0-0=7)", 8, "gf89f9a", 0},
	} {
		column := Column{Name: "k", Type: TypeText, Collation: "utf8mb4_bin"}
		k, err := column.KeyToStore(literal(t, "'"+c.text+"'"), utf8Weigher{})
		require.NoError(t, err)
		got, err := made(t, c.rule, c.shards, &column).ShardOf(k)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%s of %s", c.rule, c.text)
	}
}
