package integration

import "testing"

const (
	longNumbers = "0 1 127 256 1024 -1 -1024 4294967296 -4294967297 9223372036854775807 -9223372036854775808 '007'"
	binTexts    = "'' 'a' 'A' 'abc' 'ABC' '10' '007' '13800001111' 'zebra' '北京' 'naïve' '😀x'"
	// asciiTexts are what can be stored in a collation that ignores case.
	asciiTexts = "'a' 'abc' 'ABC' '10' '007' '13800001111' 'zebra' '北京'"
	manyDays   = "'2013-12-31' '2014-01-01' '2014-01-11' '2014-02-28' '2014-12-31' '2015-03-29' '2016-02-29'"
	manyTimes  = "'2013-12-31 23:59:59' '2014-01-01' '2014-01-10 23:59:59' '2014-01-11' '2014-01-31 12:00:00' '2015-10-25 02:30:00'"
)

// foreignCases are functions of other proxies over the kinds of columns they
// take, those that servers can compute among them; the rest the import tests have.
var foreignCases = []algorithmCase{
	{rule: "shard: mycat_mod(k), shards: 3", column: "BIGINT", values: split(longNumbers), refused: split("NULL")},
	{rule: "shard: mycat_mod(k), shards: 3", column: "BIGINT UNSIGNED", values: split("0 1 9223372036854775808 18446744073709551615")},
	{rule: "shard: mycat_mod(k), shards: 4, text: true", column: "VARCHAR(20) COLLATE utf8mb4_bin", values: split(binTexts)},
	{rule: "shard: mycat_mod(k), shards: 5", column: "DECIMAL(30,0)", values: split("0 1 -1 123456789012345678901234567890")},
	{rule: "shard: mycat_long(k), shards: 3, partition_count: '2,1', partition_length: '256,512', fold: false", column: "BIGINT", values: split(longNumbers)},
	{rule: "shard: mycat_long(k), shards: 8, partition_count: 8, partition_length: 128, fold: true", column: "BIGINT", values: split(longNumbers)},
	{rule: "shard: mycat_long(k), shards: 8, partition_count: 8, partition_length: 128, fold: true, layout: tables", column: "INT(8) ZEROFILL", values: split("0 1 42 1000 4000000000")},
	{rule: "shard: mycat_string(k), shards: 4, partition_count: 4, partition_length: 256, hash_slice: ':-1'", column: "VARCHAR(20) COLLATE utf8mb4_general_ci", values: split(asciiTexts)},
	{rule: "shard: mycat_string(k), shards: 4, partition_count: 4, partition_length: 256", column: "VARBINARY(40)", values: split(binTexts)},
	{rule: "shard: mycat_range(k), shards: 3, ranges: {0-99: 0, 100-10K: 1}, default: 2", column: "BIGINT", values: split(longNumbers)},
	{rule: "shard: mycat_range(k), shards: 3, ranges: {0-99: 0, 100-10K: 1}, default: 2", column: "BIGINT UNSIGNED", values: split("0 99 100 9223372036854775807"), refused: split("9223372036854775808")},
	{rule: "shard: mycat_enum(k), shards: 3, values: {1: 0, 2: 1, -7: 2}", column: "BIGINT", values: split("1 2 -7"), refused: split("3 4294967297")},
	{rule: "shard: mycat_enum(k), shards: 3, type: text, values: {a: 0, 北京: 1}, default: 2", column: "VARCHAR(20) COLLATE utf8mb4_bin", values: split(binTexts)},
	{rule: "shard: mycat_murmur(k), shards: 4, spelling: exact", column: "VARCHAR(20) COLLATE utf8mb4_general_ci", values: split("'a' 'abc' '10' '007' 'zebra' '北京'")},
	{rule: "shard: mycat_crc32slot(k), shards: 5", column: "VARCHAR(20) COLLATE utf8mb4_bin", values: split(binTexts)},
	{rule: "shard: mycat_crc32slot(k), shards: 3, slots: {0: 0-40000, 1: 60000-102399, 2: '40001-59999'}", column: "BIGINT", values: split(longNumbers)},
	{rule: "shard: mycat_jump(k), shards: 3", column: "CHAR(20) COLLATE utf8mb4_unicode_ci", values: split(asciiTexts)},
	{rule: "shard: mycat_pattern(k), shards: 4, pattern_value: 64, ranges: {0-9: 0, 10-30: 1, 31-63: 2}, default: 3", column: "BIGINT", values: split(longNumbers)},
	{rule: "shard: mycat_substring(k), shards: 8, start: 0, size: 1, count: 8, default: 5", column: "VARCHAR(20) COLLATE utf8mb4_bin", values: split("'1a' '7b' '9c' '13800001111'"), refused: split("'abc' ''")},
	{rule: "shard: mycat_range_mod(k), shards: 8, groups: {0-99: 5, 100-10K: 1}, default: 7", column: "BIGINT", values: split(longNumbers)},
	{rule: "shard: mycat_date(k), shards: 8, begin: 2014-01-01, days: 100, proxy_zone: Asia/Shanghai", column: "DATE", values: split(manyDays[len("'2013-12-31' "):])},
	{rule: "shard: mycat_date(k), shards: 4, format: 'yyyy-MM-dd HH:mm:ss', begin: 2014-01-01 00:00:00, end: 2014-01-31 00:00:00, days: 10", column: "DATETIME", values: split(manyTimes)},
	{rule: "shard: mycat_date(k), shards: 7, begin: 2014-01-01, days: 100, proxy_zone: Europe/Berlin", column: "DATETIME(3)", values: split(manyTimes)},
	{rule: "shard: mycat_day(k), shards: 31, format: yyyyMMdd", column: "DATE", values: split(manyDays)},
	{rule: "shard: mycat_month(k), shards: 3, begin: 2015-08-01", column: "DATETIME", values: split(manyTimes)},
	{rule: "shard: mycat_month(k), shards: 3, begin: 2014-01-01, end: 2014-03-01", column: "DATE", values: split(manyDays)},
	{rule: "shard: mycat_month(k), shards: 12", column: "VARCHAR(20) COLLATE utf8mb4_bin", values: split(manyDays)},
	{rule: "shard: mycat_year(k), shards: 4, begin: 2013-01-01", column: "DATE", values: split(manyDays)},
	{rule: "shard: dble_hash(k), shards: 3, partition_count: '2,1', partition_length: '100,280'", column: "BIGINT", values: split(longNumbers + " NULL")},
	{rule: "shard: dble_numberrange(k), shards: 3, ranges: {0-99: 0, 100-10K: 1}, default: 2", column: "BIGINT", values: split(longNumbers + " NULL")},
	{rule: "shard: dble_jumpstringhash(k), shards: 4, hash_slice: '0:2'", column: "VARCHAR(20) COLLATE utf8mb4_bin", values: split(binTexts + " NULL")},
	{rule: "shard: kingshard_hash(k), shards: 6", column: "BIGINT", values: split(longNumbers)},
	{rule: "shard: kingshard_hash(k), shards: 6", column: "VARCHAR(20) COLLATE utf8mb4_bin", values: split(binTexts)},
	{rule: "shard: kingshard_range(k), shards: 4, table_row_limit: 300", column: "INT", values: split("0 299 300 1199"), refused: split("1200 -1")},
	{rule: "shard: kingshard_month(k), shards: 7, periods: '201312-201402,201412,201503-201504,201602'", column: "DATE", values: split(manyDays)},
	{rule: "shard: kingshard_day(k), shards: 3, periods: '20151031-20151102', proxy_zone: Asia/Shanghai", column: "INT", values: split("1446303600 1446307200 1446393600"), refused: split("0")},
	{rule: "shard: gaea_mod(k), shards: 5", column: "INT", values: split("0 1 -1 7 -7 2147483647 -2147483648")},
}

func TestForeignAlgorithms(t *testing.T) {
	runAlgorithmsOf(t, "falgo", func(s *serverSet) []algorithmCase { return halfOf(s, foreignCases) })
}
