// Vectors prints the cases of testdata/foreign: what the partition functions of
// Mycat, dble, kingshard and Gaea answer, computed by a Java runtime and Guava
// from their descriptions, and nothing of Serval.
//
//   java -cp /usr/share/java/guava.jar Vectors.java mycat > foreign/mycat.txt
//   java -cp /usr/share/java/guava.jar Vectors.java others > foreign/others.txt
//   java -cp /usr/share/java/guava.jar Vectors.java mycat2 > foreign/mycat2.txt
//   java -cp /usr/share/java/guava.jar Vectors.java dates > foreign/dates.txt
//
// rows prints a row a line of the tables of importer/testdata/mycat: table, node
// and key, where that configuration puts it.
//
//   java -cp /usr/share/java/guava.jar Vectors.java rows > ../../importer/testdata/mycat-rows.txt

import com.google.common.hash.Hashing;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.text.SimpleDateFormat;
import java.time.LocalDate;
import java.time.temporal.WeekFields;
import java.util.*;
import java.util.function.Function;
import java.util.zip.CRC32;

public class Vectors {
    interface Rule { Integer node(String v) throws Exception; }

    static final String BIGINT = "type=(bigint)", UNSIGNED = "type=(bigint unsigned)", TEXT = "type=varchar length=99 collation=utf8mb4_0900_bin";
    static final Random random = new Random(20261123);

    static List<String> integers() {
        List<String> v = new ArrayList<>(List.of("0", "1", "-1", "2", "-2", "9", "10", "11", "127", "128", "255", "256", "511", "512", "1023", "1024", "1025", "-1023", "-1024", "-1025",
            "2879", "2880", "2881", "2147483647", "2147483648", "-2147483648", "-2147483649", "4294967295", "4294967296", "4294967297", "-4294967296",
            "1099511627776", "9223372036854775807", "-9223372036854775807", "-9223372036854775808"));
        for (int bits = 4; bits < 64; bits += 7) {
            v.add(Long.toString(random.nextLong() >> bits));
        }
        return v;
    }

    static List<String> unsigned() {
        return List.of("0", "1", "1023", "1024", "4294967295", "4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551614", "18446744073709551615");
    }

    static List<String> texts() {
        List<String> v = new ArrayList<>(List.of("''", "'a'", "'b'", "'ab'", "'abc'", "'1'", "'2'", "'10'", "'0123456789'", "'-7'", "'+7'", "'007'", "'7.5'", "'Ann'", "'ann'", "'ANN'", "'nUll'",
            "'order-20261123-0001'", "'f47ac10b-58cc-4372-a567-0e02b2c3d479'", "'张三'", "'北京市朝阳区'", "'é'", "'naïve'", "'😀'", "'a😀b'", "'😀😀😀😀'",
            "'99999999999999999999999999999'", "'-99999999999999999999999999999'", "'polynomial'", "'abcdefghijklmnopqrstuvwxyz'"));
        for (int i = 0; i < 12; i++) {
            StringBuilder b = new StringBuilder();
            for (int n = 1 + random.nextInt(20); n > 0; n--) {
                b.append((char) (i % 2 == 0 ? '0' + random.nextInt(10) : 'a' + random.nextInt(26)));
            }
            v.add("'" + b + "'");
        }
        return v;
    }

    static List<String> days() {
        List<String> v = new ArrayList<>(List.of("'2013-12-21'", "'2013-12-22'", "'2013-12-31'", "'2014-01-01'", "'2014-01-10'", "'2014-01-11'", "'2014-01-31'", "'2014-02-01'", "'2014-12-31'",
            "'2015-01-01'", "'2015-03-29'", "'2015-10-25'", "'2016-02-29'", "'2000-02-29'", "'1999-12-31'", "'2026-11-23'", "'2038-01-19'"));
        for (int i = 0; i < 6; i++) {
            v.add(String.format("'%04d-%02d-%02d'", 2012 + random.nextInt(6), 1 + random.nextInt(12), 1 + random.nextInt(28)));
        }
        return v;
    }

    static List<String> datetimes() {
        List<String> v = new ArrayList<>(List.of("'2013-12-31 23:59:59'", "'2014-01-01 00:00:00'", "'2014-01-10 23:59:59'", "'2014-01-11 00:00:00'", "'2014-01-31 23:00:00'",
            "'2015-03-29 01:59:59'", "'2015-03-29 02:30:00'", "'2015-03-29 03:00:00'", "'2015-10-25 01:59:59'", "'2015-10-25 02:30:00'", "'2015-10-25 03:00:00'", "'2015-10-25 12:00:00'"));
        for (int i = 0; i < 8; i++) {
            v.add(String.format("'%04d-%02d-%02d %02d:%02d:%02d'", 2013 + random.nextInt(4), 1 + random.nextInt(12), 1 + random.nextInt(28), random.nextInt(24), random.nextInt(60), random.nextInt(60)));
        }
        return v;
    }

    static void emit(String column, int shards, String rule, List<String> values, Rule f) {
        System.out.printf("shards shards=%d %s%n%s%n", shards, column, rule);
        values.forEach(System.out::println);
        System.out.println("----");
        for (String v : values) {
            Integer node = null;
            try {
                node = f.node(v.equals("NULL") ? null : v.startsWith("'") ? v.substring(1, v.length() - 1) : v);
            } catch (Exception e) {
                // the proxy refuses the value
            }
            String s = node == null || node < 0 || node >= shards ? "none" : node.toString();
            System.out.println(v + " " + s);
        }
        System.out.println();
    }

    // the run of n in runs of these lengths
    static int run(long n, int... lengths) {
        int i = 0;
        for (int l : lengths) {
            if (n < l) {
                return i;
            }
            n -= l;
            i++;
        }
        throw new IllegalStateException();
    }

    static long hash31(String s) {
        BigInteger h = BigInteger.ZERO;
        for (char c : s.toCharArray()) {
            h = h.multiply(BigInteger.valueOf(31)).add(BigInteger.valueOf(c));
        }
        return h.longValue(); // the low 64 bits
    }

    // part of a text with the ends of hashSlice
    static String part(String s, int start, int end) {
        int from = Math.max(start >= 0 ? start : s.length() + start, 0);
        int to = Math.min(end > 0 ? end : s.length() + end, s.length());
        return from < to ? s.substring(from, to) : "";
    }

    static long crc32(String s) {
        CRC32 c = new CRC32();
        c.update(s.getBytes(StandardCharsets.UTF_8));
        return c.getValue();
    }

    // Lamping and Veach, as their paper has it
    static int jump(long key, int buckets) {
        long b = -1, j = 0;
        while (j < buckets) {
            b = j;
            key = key * 2862933555777941757L + 1;
            j = (long) ((b + 1) * (double) (1L << 31) / ((key >>> 33) + 1));
        }
        return (int) b;
    }

    static Rule murmur(int seed, int count, int times, Map<Integer, Integer> weights) {
        TreeMap<Integer, Integer> ring = new TreeMap<>();
        for (int i = 0; i < count; i++) {
            String name = "SHARD-" + i;
            for (int n = 0; n < times * weights.getOrDefault(i, 1); n++) {
                name += "-NODE-" + n;
                ring.put(Hashing.murmur3_32(seed).hashUnencodedChars(name).asInt(), i);
            }
        }
        return v -> {
            Map.Entry<Integer, Integer> e = ring.ceilingEntry(Hashing.murmur3_32(seed).hashUnencodedChars(v).asInt());
            return (e == null ? ring.firstEntry() : e).getValue();
        };
    }

    static int mix(int key) {
        key = ~key + (key << 21);
        key = key ^ key >> 24;
        key = key + (key << 3) + (key << 8);
        key = key ^ key >> 14;
        key = key + (key << 2) + (key << 4);
        key = key ^ key >> 28;
        return key + (key << 31);
    }

    static void mycat() {
        System.out.println("# Answers of a Java runtime, see ../Vectors.java.\n");
        for (String column : List.of(BIGINT, TEXT)) {
            List<String> values = column == TEXT ? texts() : integers();
            emit(column, 3, "mycat_mod(k)", values, v -> new BigInteger(v).abs().mod(BigInteger.valueOf(3)).intValue());
            emit(column, 8, "mycat_mod(k, count=5, text=true)", values, v -> {
                try {
                    return new BigInteger(v).abs().mod(BigInteger.valueOf(5)).intValue();
                } catch (NumberFormatException e) {
                    return (int) (Math.abs((long) v.hashCode()) % 5);
                }
            });
            for (boolean fold : new boolean[] {false, true}) {
                emit(column, 3, "mycat_long(k, partition_count=\"2,1\", partition_length=\"256,512\", fold=" + fold + ")", values, v -> {
                    long n = fold || v.startsWith("-") ? Long.parseLong(v) : Long.parseUnsignedLong(v);
                    return run((fold ? n >>> 32 ^ n : n) & 1023, 256, 256, 512);
                });
            }
            emit(column, 8, "mycat_range(k, default=7, 0-500M=0, 500M-1000M=1, 2K5-200000000M=2)", values, v -> {
                long n = Long.parseLong(v);
                return n >= 0 && n <= 5000000 ? 0 : n >= 5000000 && n <= 10000000 ? 1 : n >= 2005 && n <= 2000000000000L ? 2 : 7;
            });
            emit(column, 4, "mycat_range(k, 10-1023=3, 0-9=1)", values, v -> {
                long n = Long.parseLong(v);
                return n >= 10 && n <= 1023 ? Integer.valueOf(3) : n >= 0 && n <= 9 ? Integer.valueOf(1) : null;
            });
            emit(column, 4, "mycat_enum(k, 1=1, 10=2, -2=3)", values, v -> Map.of(1, 1, 10, 2, -2, 3).get(Integer.valueOf(v)));
            emit(column, 4, "mycat_enum(k, 1=1, 10=2, -2=3, default=0)", values, v -> Map.of(1, 1, 10, 2, -2, 3).getOrDefault(Integer.valueOf(v), 0));
            emit(column, 4, "mycat_enum(k, type=text, 1=1, abc=2, 张三=3, default=0)", values, v -> Map.of("1", 1, "abc", 2, "张三", 3).getOrDefault(v, 0));
            emit(column, 2, "mycat_murmur(k)", values, murmur(0, 2, 160, Map.of()));
            emit(column, 5, "mycat_murmur(k, seed=7, virtual_buckets=20, 1=3)", values, murmur(7, 5, 20, Map.of(1, 3)));
            emit(column, 2, "mycat_crc32slot(k)", values, v -> (int) (crc32(v) % 102400 / 51200));
            emit(column, 7, "mycat_crc32slot(k)", values, v -> (int) Math.min(crc32(v) % 102400 / 14628, 6));
            emit(column, 3, "mycat_crc32slot(k, count=2, 0=0-40000, 1=\"60000-102399\", 2=\"40001-50000,50001-59999\")", values, v -> {
                long slot = crc32(v) % 102400;
                return slot <= 40000 ? 0 : slot >= 60000 ? 1 : 2;
            });
            emit(column, 3, "mycat_jump(k)", values, v -> jump(v.hashCode(), 3));
            emit(column, 100, "mycat_jump(k)", values, v -> jump(v.hashCode(), 100));
            for (int count : new int[] {8, 11}) {
                emit(column, count, "mycat_hash_mod(k)", values, v -> (int) (Math.abs((long) mix(v.hashCode())) % count));
            }
            emit(column, 4, "mycat_pattern(k, pattern_value=256, 1-32=0, 33-64=1, 65-96=2, 97-255=3, default=2)", values, v ->
                !v.matches("[0-9]*") ? Integer.valueOf(2) : patternNode(Long.parseLong(v) % 256));
            emit(column, 4, "mycat_prefix_pattern(k, pattern_value=32, prefix_length=5, 1-4=0, 5-8=1, 9-20=2, 21-31=3)", values, v -> {
                int sum = v.chars().limit(5).sum() % 32;
                return sum == 0 ? null : sum <= 4 ? Integer.valueOf(0) : sum <= 8 ? Integer.valueOf(1) : sum <= 20 ? Integer.valueOf(2) : Integer.valueOf(3);
            });
            emit(column, 8, "mycat_substring(k, start=0, size=2, count=8, default=5)", values, v -> {
                int n = Integer.parseInt(v.substring(0, 2));
                return n >= 8 ? 5 : n;
            });
            emit(column, 8, "mycat_substring(k, start=1, size=1, count=0)", values, v -> Integer.parseInt(v.substring(1, 2)));
            emit(column, 9, "mycat_range_mod(k, 0-200M=5, 200M1-400M=1, 400M1-600M=2, default=8)", values, v -> {
                long n = Long.parseLong(v);
                return n < 0 || n > 6000000 ? 8 : n <= 2000000 ? (int) (n % 5) : n <= 4000000 ? 5 : (int) (6 + n % 2);
            });
            emit(column, 744, "mycat_latest_month(k)", values, v -> latest(v, 24));
            emit(column, 124, "mycat_latest_month(k, split=4)", values, v -> latest(v, 4));
            emit(column, 12, "mycat_postfix(k)", values, v -> Integer.parseInt(v) - 1);
        }
        emit(UNSIGNED, 3, "mycat_mod(k)", unsigned(), v -> new BigInteger(v).mod(BigInteger.valueOf(3)).intValue());
        emit(UNSIGNED, 8, "mycat_long(k, partition_count=8, partition_length=128, fold=true)", unsigned(), v -> {
            long n = Long.parseLong(v);
            return (int) (((n >>> 32 ^ n) & 1023) / 128);
        });
        for (String[] slice : new String[][] {{"0:8", "0", "8"}, {"0:2", "0", "2"}, {":-1", "0", "-1"}, {"-4:", "-4", "0"}, {"1:", "1", "0"}, {"5", "0", "5"}, {"-3", "-3", "0"}, {"0:0", "0", "0"}, {"-3:-1", "-3", "-1"}}) {
            int start = Integer.parseInt(slice[1]), end = Integer.parseInt(slice[2]);
            emit(TEXT, 8, "mycat_string(k, partition_count=8, partition_length=128, hash_slice=\"" + slice[0] + "\")", texts(), v -> (int) ((hash31(part(v, start, end)) & 1023) / 128));
        }
        emit(BIGINT, 2, "mycat_string(k, partition_count=\"1,1\", partition_length=\"1000,24\")", integers(), v -> run(hash31(part(v, 0, 8)) & 1023, 1000, 24));
    }

    static Integer patternNode(long n) {
        return n == 0 ? null : n <= 32 ? Integer.valueOf(0) : n <= 64 ? Integer.valueOf(1) : n <= 96 ? Integer.valueOf(2) : Integer.valueOf(3);
    }

    static int latest(String v, int split) {
        int day = Integer.parseInt(v.substring(v.length() - 4, v.length() - 2)), hour = Integer.parseInt(v.substring(v.length() - 2));
        return (day - 1) * split + hour / (24 / split);
    }

    static void others() {
        System.out.println("# Answers of a Java runtime, see ../Vectors.java.\n");
        for (String column : List.of(BIGINT + " null", TEXT + " null")) {
            List<String> values = new ArrayList<>(column.startsWith(TEXT) ? texts() : integers());
            values.add("NULL");
            emit(column, 4, "dble_hash(k, partition_count=\"2,1,1\", partition_length=\"1000,480,400\")", values, v -> v == null ? 0 : run(Math.floorMod(Long.parseLong(v), 2880), 1000, 1000, 480, 400));
            emit(column, 4, "dble_hash(k, partition_count=4, partition_length=256)", values, v -> v == null ? 0 : (int) (Long.parseLong(v) & 1023) / 256);
            emit(column, 3, "dble_stringhash(k, partition_count=3, partition_length=7, hash_slice=\"0:0\")", values, v ->
                v == null ? Integer.valueOf(0) : v.equalsIgnoreCase("null") ? null : Integer.valueOf(Math.floorMod(hash31(part(v, 0, 0)), 21) / 7));
            emit(column, 4, "dble_jumpstringhash(k, hash_slice=\"0:2\")", values, v -> v == null || v.equalsIgnoreCase("null") ? 0 : jump(hash31(part(v, 0, 2)), 4));
            emit(column, 4, "dble_jumpstringhash(k)", values, v -> v == null || v.equalsIgnoreCase("null") ? 0 : jump(hash31(part(v, 0, -1)), 4));
            emit(column, 4, "dble_enum(k, 1=1, 10=2, default=3)", values, v -> v == null ? 3 : Map.of(1, 1, 10, 2).getOrDefault(Integer.valueOf(v), 3));
            emit(column, 4, "dble_numberrange(k, 0-9=0, 10-1023=1, default=2)", values, v -> {
                long n = v == null ? -1 : Long.parseLong(v);
                return n >= 0 && n <= 9 ? 0 : n >= 10 && n <= 1023 ? 1 : 2;
            });
            emit(column, 4, "dble_patternrange(k, pattern_value=256, 1-32=0, 33-64=1, 65-96=2, 97-255=3)", values, v -> v == null || !v.matches("[0-9]*") ? null : patternNode(Long.parseLong(v) % 256));
            emit(column, 7, "kingshard_range(k, table_row_limit=1000)", values, v -> (int) Math.floorDiv(Long.parseLong(v), 1000L));
            emit(column, 5, "gaea_mod(k)", values, v -> (int) (Math.abs(Long.parseLong(v)) % 5));
            emit(column, 4, "gaea_padding_mod(k, pad_from=1, pad_length=18, mod_begin=10, mod_end=16)", values, v -> padded(v, false));
            emit(column, 4, "gaea_padding_mod(k, pad_from=0, pad_length=18, mod_begin=10, mod_end=16)", values, v -> padded(v, true));
        }
        emit(BIGINT, 8, "kingshard_hash(k)", integers(), v -> (int) Long.remainderUnsigned(Long.parseLong(v), 8));
        emit(BIGINT, 5, "kingshard_hash(k)", integers(), v -> (int) Long.remainderUnsigned(Long.parseLong(v), 5));
        emit(UNSIGNED, 5, "kingshard_hash(k)", unsigned(), v -> (int) Long.remainderUnsigned(Long.parseUnsignedLong(v), 5));
        emit(TEXT, 5, "kingshard_hash(k)", texts(), v -> (int) Long.remainderUnsigned(v.matches("[0-9]{1,20}") && new BigInteger(v).bitLength() <= 64 ? Long.parseUnsignedLong(v) : crc32(v), 5));
        emit(TEXT, 5, "kingshard_hash(k, digits=text)", texts(), v -> (int) (crc32(v) % 5));
        emit(TEXT, 8, "gaea_string(k, partition_count=8, partition_length=128, hash_slice=\"-3:\")", texts(), v -> {
            int[] points = v.codePoints().toArray();
            long h = 0;
            int bytes = v.getBytes(StandardCharsets.UTF_8).length; // which it takes for the length
            for (int i = Math.max(bytes - 3, 0); i < Math.min(bytes, points.length); i++) {
                h = h * 31 + points[i];
            }
            return (int) (h & 1023) / 128;
        });
    }

    static int padded(String v, boolean left) {
        String s = Long.toString(Long.parseLong(v));
        if (s.length() < 18 && left && s.startsWith("-")) {
            throw new IllegalArgumentException();
        }
        while (s.length() < 18) {
            s = left ? "0" + s : s + "0";
        }
        return (int) (Math.abs(Long.parseLong(s.substring(10, 16))) % 4);
    }

    static SimpleDateFormat format(String pattern, String zone) {
        SimpleDateFormat f = new SimpleDateFormat(pattern);
        f.setTimeZone(TimeZone.getTimeZone(zone));
        return f;
    }

    static int field(String pattern, String v, int field) throws Exception {
        Calendar c = Calendar.getInstance(TimeZone.getTimeZone("UTC"));
        c.setTime(format(pattern, "UTC").parse(v));
        return c.get(field);
    }

    static int months(String pattern, String v) throws Exception {
        return field(pattern, v, Calendar.YEAR) * 12 + field(pattern, v, Calendar.MONTH);
    }

    static Integer window(String pattern, String zone, String begin, String end, int days, String v) throws Exception {
        SimpleDateFormat f = format(pattern, zone);
        long b = f.parse(begin).getTime(), t = f.parse(v).getTime(), size = days * 86400000L;
        int w = (int) ((t - b) / size);
        if (end != null && t > f.parse(end).getTime()) {
            w %= (int) ((f.parse(end).getTime() - b) / size) + 1;
        }
        return w;
    }

    static void dates(String column, List<String> values, String pattern, Function<String, String> written, Function<String, String> start) {
        for (String zone : column.contains("datetime") ? List.of("Asia/Shanghai", "Europe/Berlin") : List.of("UTC")) {
            String args = "format=\"" + pattern + "\", proxy_zone=" + zone + ", begin=\"" + start.apply("2014-01-01 00:00:00") + "\"";
            emit(column, 120, "mycat_date(k, " + args + ", days=10)", values, v -> window(pattern, zone, start.apply("2014-01-01 00:00:00"), null, 10, written.apply(v)));
            emit(column, 4, "mycat_date(k, " + args + ", end=\"" + start.apply("2014-01-31 00:00:00") + "\", days=10)", values, v ->
                window(pattern, zone, start.apply("2014-01-01 00:00:00"), start.apply("2014-01-31 00:00:00"), 10, written.apply(v)));
            emit(column, 120, "dble_date(k, " + args + ", days=10, default=119)", values, v -> {
                SimpleDateFormat f = format(pattern, zone);
                return f.parse(written.apply(v)).before(f.parse(start.apply("2014-01-01 00:00:00"))) ? 119 : window(pattern, zone, start.apply("2014-01-01 00:00:00"), null, 10, written.apply(v));
            });
            emit(column, 300, "mycat_range_date_hash(k, " + args + ", days=10, group=6)", values, v ->
                window(pattern, zone, start.apply("2014-01-01 00:00:00"), null, 10, written.apply(v)) * 6 + Hashing.consistentHash(format(pattern, zone).parse(written.apply(v)).getTime(), 6));
        }
        String args = "format=\"" + pattern + "\"", begin = start.apply("2014-06-01 00:00:00"), end = start.apply("2015-10-01 00:00:00");
        emit(column, 31, "mycat_day(k, " + args + ")", values, v -> field(pattern, written.apply(v), Calendar.DAY_OF_MONTH) - 1);
        emit(column, 12, "mycat_month(k, " + args + ")", values, v -> field(pattern, written.apply(v), Calendar.MONTH));
        emit(column, 60, "mycat_month(k, " + args + ", begin=\"" + begin + "\")", values, v -> Math.max(months(pattern, written.apply(v)) - months(pattern, begin), 0));
        emit(column, 17, "mycat_month(k, " + args + ", begin=\"" + begin + "\", end=\"" + end + "\")", values, v -> Math.floorMod(months(pattern, written.apply(v)) - months(pattern, begin), 17));
        emit(column, 30, "mycat_year(k, " + args + ", begin=\"" + begin + "\")", values, v -> field(pattern, written.apply(v), Calendar.YEAR) - 2014);
        emit(column, 2, "mycat_year(k, " + args + ", begin=\"" + begin + "\", end=\"" + end + "\")", values, v -> Math.floorMod(field(pattern, written.apply(v), Calendar.YEAR) - 2014, 2));
    }

    static Rule pair(int dbNum, Rule db, int tableNum, Rule table) {
        return v -> {
            int d = db.node(v), t = table.node(v);
            return d < 0 || t < 0 ? -1 : Math.floorMod(d, dbNum) * tableNum + Math.floorMod(t, tableNum);
        };
    }

    static Rule mod2(boolean text, int num) {
        return v -> (int) Math.abs((text ? v.hashCode() : new BigInteger(v).longValue()) % num);
    }

    static Rule shift(int by, int num) {
        return v -> (int) Math.abs((Long.parseLong(v) >> by) % num);
    }

    static Rule ofDay(Function<LocalDate, Integer> f, int num) {
        return v -> Math.abs(f.apply(LocalDate.parse(v.substring(0, 10))) % num);
    }

    static void mycat2() {
        System.out.println("# Answers of a Java runtime, see ../Vectors.java.\n");
        for (String column : List.of(BIGINT, UNSIGNED, TEXT)) {
            boolean text = column.equals(TEXT);
            List<String> values = text ? texts() : column.equals(UNSIGNED) ? unsigned() : integers();
            emit(column + " null", 4, "mycat2(k, table_method=MOD_HASH, table_num=4)", List.of("NULL"), v -> text ? Math.abs("null".hashCode() % 4) : 0);
            emit(column, 6, "mycat2(k, db_method=MOD_HASH, db_num=2, table_method=MOD_HASH, table_num=3, flat=true)", values, mod2(text, 6));
            emit(column, 6, "mycat2(k, db_method=hash, db_num=2, table_method=MOD_HASH, table_num=3)", values, pair(2, mod2(text, 2), 3, mod2(text, 3)));
            emit(column, 12, "mycat2(k, db_method=UNI_HASH, db_num=4, table_method=UNI_HASH, table_num=3, flat=true)", values, v -> mod2(text, 4).node(v) * 3 + mod2(text, 4).node(v) % 3);
            emit(column, 4, "mycat2(k, table_method=MOD_HASH, table_num=4)", values, mod2(text, 4));
            if (!column.equals(UNSIGNED)) {
                emit(column, 6, "mycat2(k, db_method=RIGHT_SHIFT(4), db_num=2, table_method=RIGHT_SHIFT(4), table_num=3)", values, pair(2, shift(4, 2), 3, shift(4, 3)));
                emit(column, 6, "mycat2(k, db_method=RIGHT_SHIFT(4), db_num=2, table_method=RIGHT_SHIFT(4), table_num=3, flat=true)", values, v -> shift(4, 2).node(v) * 3 + shift(4, 2).node(v) % 3);
            }
        }
        emit(TEXT, 4, "mycat2(k, db_method=\"STR_HASH(0,3,0,31)\", db_num=4)", texts(), v -> v.substring(0, Math.min(v.length(), 3)).hashCode() % 4);
        emit(TEXT, 4, "mycat2(k, db_method=STR_HASH, db_num=4)", texts(), v -> v.hashCode() % 4);
        emit(TEXT, 4, "mycat2(k, table_method=\"STR_HASH(-1,2,1,31)\", table_num=4)", texts(), v -> (int) Math.abs(Long.parseLong(v.length() < 2 ? v : v.substring(2)) % 4));
        for (String column : List.of("type=(date)", "type=(datetime)")) {
            List<String> values = column.contains("time") ? datetimes() : days();
            Function<LocalDate, Integer> month = d -> d.getYear() * 12 + d.getMonthValue(), day = d -> d.getYear() * 366 + d.getDayOfYear(),
                week = d -> d.getYear() * 54 + d.get(WeekFields.ISO.weekOfWeekBasedYear());
            emit(column, 12, "mycat2(k, db_method=YYYYMM, db_num=3, table_method=YYYYMM, table_num=4, flat=true)", values, ofDay(month, 12));
            emit(column, 12, "mycat2(k, db_method=YYYYDD, db_num=3, table_method=YYYYDD, table_num=4, flat=true)", values, ofDay(day, 12));
            emit(column, 12, "mycat2(k, db_method=YYYYWEEK, db_num=3, table_method=YYYYWEEK, table_num=4, flat=true)", values, ofDay(week, 12));
            emit(column, 24, "mycat2(k, db_method=YYYYMM, db_num=2, table_method=MM, table_num=12)", values, pair(2, ofDay(month, 2), 12, ofDay(LocalDate::getMonthValue, 12)));
            emit(column, 31, "mycat2(k, table_method=DD, table_num=31)", values, ofDay(LocalDate::getDayOfMonth, 31));
            emit(column, 7, "mycat2(k, table_method=WEEK, table_num=7)", values, ofDay(d -> d.getDayOfWeek().getValue(), 7));
            emit(column, 366, "mycat2(k, table_method=MMDD, table_num=366)", values, ofDay(LocalDate::getDayOfYear, 366));
        }
    }

    static String day(String v) { return v.substring(0, 10); }

    static void times() {
        System.out.println("# Answers of a Java runtime, see ../Vectors.java. Applications write dates as the\n# rule's format has them, whatever the column's own form.\n");
        dates("type=(date)", days(), "yyyy-MM-dd", v -> v, Vectors::day);
        dates("type=(date)", days(), "yyyyMMdd", v -> v.replace("-", ""), v -> day(v).replace("-", ""));
        dates("type=(datetime)", datetimes(), "yyyy-MM-dd", v -> v, Vectors::day);
        dates("type=(datetime)", datetimes(), "yyyy-MM-dd HH:mm:ss", v -> v, v -> v);
        dates("type=(datetime)", datetimes(), "yyyy/MM/dd HH", v -> v.replace("-", "/"), v -> v.replace("-", "/").substring(0, 13));
        List<String> texts = List.of("'2014-01-05'", "'2014-1-5'", "'2014-01-05 junk'", "'2014-13-45'", "'2014-02-30'", "'14-02-03'", "' 2014-03-04'", "'2014/01/05'", "'2014-01'", "'abc'", "''", "'2015-010-0009'");
        dates(TEXT, texts, "yyyy-MM-dd", v -> v, Vectors::day);
        List<String> hours = List.of("2014010100", "2014010123", "2014011000", "2014011023", "2014123123", "2015032902", "2015102502", "2016022912", "20160229", "201602291");
        dates(BIGINT, hours, "yyyyMMddHH", v -> v, v -> v.replace("-", "").replace(" ", "").substring(0, 10));
        for (String zone : List.of("UTC", "Asia/Shanghai")) {
            List<String> seconds = List.of("1446303599", "1446303600", "1446332399", "1446332400", "1451577599", "1451577600", "1451606399", "1451606400", "0", "-1");
            for (String[] p : new String[][] {{"kingshard_year", "yyyy", "2015-2016", "2"}, {"kingshard_month", "yyyyMM", "201510-201602", "5"}, {"kingshard_day", "yyyyMMdd", "20151031-20151101", "2"}}) {
                SimpleDateFormat f = format(p[1], zone);
                List<String> periods = p[1].equals("yyyy") ? List.of("2015", "2016") : p[1].equals("yyyyMM") ? List.of("201510", "201511", "201512", "201601", "201602") : List.of("20151031", "20151101");
                emit(BIGINT, Integer.parseInt(p[3]), p[0] + "(k, periods=\"" + p[2] + "\", proxy_zone=" + zone + ")", seconds, v -> periods.indexOf(f.format(new Date(Long.parseLong(v) * 1000))));
                List<String> days = List.of("'2015-10-31'", "'2015-11-01'", "'2016-02-29'", "'2014-12-31'", "'2015-12-31'");
                emit("type=(date)", Integer.parseInt(p[3]), p[0] + "(k, periods=\"" + p[2] + "\")", days, v -> periods.indexOf(v.replace("-", "").substring(0, p[1].length())));
            }
        }
    }

    static void place(String table, int nodes, List<String> values, Rule f) {
        for (String v : values) {
            try {
                String s = v.startsWith("'") ? v.substring(1, v.length() - 1) : v;
                Integer node = f.node(s);
                if (node != null && node >= 0 && node < nodes && !s.isEmpty()) {
                    System.out.println(table + "\t" + node + "\t" + s);
                }
            } catch (Exception e) {
                // Mycat refuses the row
            }
        }
    }

    static Rule mod(int n) {
        return v -> new BigInteger(v).abs().mod(BigInteger.valueOf(n)).intValue();
    }

    static Rule fold(int... lengths) {
        return v -> run((Long.parseLong(v) >>> 32 ^ Long.parseLong(v)) & 1023, lengths);
    }

    static void rows() {
        String zone = "Asia/Shanghai", day = "yyyy-MM-dd", second = "yyyy-MM-dd HH:mm:ss";
        place("t_mod", 3, integers(), mod(3));
        place("t_item", 3, integers(), mod(3));
        place("t_sub", 4, integers(), mod(4));
        place("t_dealt", 5, integers(), mod(5));
        place("t_long", 8, integers(), fold(128, 128, 128, 128, 128, 128, 128, 128));
        place("t_long_uneven", 3, integers(), fold(256, 256, 512));
        place("t_string", 8, texts(), v -> (int) ((hash31(part(v, -4, 0)) & 1023) / 128));
        place("t_range", 3, integers(), v -> {
            long n = Long.parseLong(v);
            return n >= 0 && n <= 5000000 ? 0 : n >= 5000001 && n <= 10000000 ? 1 : 2;
        });
        for (String table : List.of("t_enum", "t_enum2")) {
            place(table, 2, List.of("10000", "10010", "10020"), v -> Map.of("10000", 0, "10010", 1).get(v));
        }
        List<String> provinces = new ArrayList<>(List.of("beijing", "北京", "shanghai", "上海", "x"));
        place("t_province", 3, provinces, v -> Map.of("beijing", 0, "北京", 0, "shanghai", 1).getOrDefault(v, 2));
        place("t_murmur", 2, texts(), murmur(0, 2, 160, Map.of()));
        place("t_weighted", 3, integers(), murmur(7, 3, 40, Map.of(0, 2)));
        place("t_slot", 3, texts(), v -> (int) Math.min(crc32(v) % 102400 / 34133, 2));
        place("t_slot_moved", 3, integers(), v -> {
            long slot = crc32(v) % 102400;
            return slot <= 40000 ? 0 : slot >= 60000 ? 1 : 2;
        });
        place("t_jump", 3, texts(), v -> jump(v.hashCode(), 3));
        place("t_hash_mod", 7, integers(), v -> (int) (Math.abs((long) mix(v.hashCode())) % 7));
        place("t_pattern", 4, integers(), v -> !v.matches("[0-9]*") ? Integer.valueOf(2) : Long.parseLong(v) % 256 == 0 ? Integer.valueOf(3) : patternNode(Long.parseLong(v) % 256));
        place("t_prefix", 4, texts(), v -> {
            int sum = v.chars().limit(5).sum() % 32;
            return sum == 0 ? 3 : sum <= 4 ? 0 : sum <= 8 ? 1 : sum <= 20 ? 2 : 3;
        });
        place("t_substring", 8, texts(), v -> Math.min(Integer.parseInt(v.substring(0, 2)), 8) == 8 ? 5 : Integer.parseInt(v.substring(0, 2)));
        place("t_range_mod", 8, integers(), v -> {
            long n = Long.parseLong(v);
            return n < 0 || n > 6000000 ? -1 : n <= 2000000 ? (int) (n % 5) : n <= 4000000 ? 5 : (int) (6 + n % 2);
        });
        place("t_day", 8, days(), v -> window(day, zone, "2014-01-01", null, 10, v));
        place("t_day_cycle", 4, datetimes(), v -> window(second, zone, "2014-01-01 00:00:00", "2014-01-31 00:00:00", 10, v));
        place("t_natural_day", 31, days(), v -> field("yyyyMMdd", v.replace("-", ""), Calendar.DAY_OF_MONTH) - 1);
        place("t_month", 20, days(), v -> Math.max(months(day, v) - months(day, "2014-01-01"), 0));
        place("t_month_cycle", 3, days(), v -> Math.floorMod(months(day, v) - months(day, "2014-01-01"), 3));
        place("t_calendar", 12, datetimes(), v -> field(day, v, Calendar.MONTH));
        place("t_history", 3, days(), v -> Math.floorMod(months(day, v) - months(day, "2014-01-01"), 3));
        place("t_hour", 31, List.of("2014010100", "2014010123", "2014053123", "2014021512", "2014122507"), v -> latest(v, 1));
        place("t_range_date", 12, datetimes(), v -> window(second, zone, "2014-01-01 00:00:00", null, 10, v) * 3 + Hashing.consistentHash(format(second, zone).parse(v).getTime(), 3));
    }

    public static void main(String[] args) {
        switch (args[0]) {
            case "mycat" -> mycat();
            case "others" -> others();
            case "mycat2" -> mycat2();
            case "rows" -> rows();
            default -> times();
        }
    }
}
