package reshard

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/topology"
)

// evaluate computes the conditions that behind writes: columns a, b, c, integers,
// >, <, >=, <=, =, AND, OR and parentheses.
func evaluate(t *rapid.T, cond string, row map[string]int) bool {
	p := &condition{t: t, words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(cond)), row: row}
	v := p.or()
	require.Empty(t, p.words, cond)
	return v
}

type condition struct {
	t     *rapid.T
	words []string
	row   map[string]int
}

func (p *condition) next() string {
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

func (p *condition) or() bool {
	v := p.and()
	for len(p.words) > 0 && p.words[0] == "OR" {
		p.next()
		v = p.and() || v
	}
	return v
}

func (p *condition) and() bool {
	v := p.term()
	for len(p.words) > 0 && p.words[0] == "AND" {
		p.next()
		v = p.term() && v
	}
	return v
}

func (p *condition) term() bool {
	switch w := p.next(); w {
	case "TRUE":
		return true
	case "(":
		v := p.or()
		require.Equal(p.t, ")", p.next())
		return v
	default:
		a := p.row[strings.Trim(w, "`")]
		op := p.next()
		b, err := strconv.Atoi(p.next())
		require.NoError(p.t, err)
		switch op {
		case ">":
			return a > b
		case "<":
			return a < b
		case ">=":
			return a >= b
		case "<=":
			return a <= b
		default:
			require.Equal(p.t, "=", op)
			return a == b
		}
	}
}

// Chunks one behind the other, by their conditions, have every row once.
func TestRangesOfKeysCoverEveryRowOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3).Draw(t, "columns")
		mv := &moving{}
		for i := range n {
			mv.columns = append(mv.columns, column{name: string(rune('a' + i)), dataType: "int"})
			mv.key = append(mv.key, i)
		}
		tuple := rapid.SliceOfN(rapid.IntRange(-2, 2), n, n)
		rows := rapid.SliceOfDistinct(tuple, func(v []int) string { return fmt.Sprint(v) }).Draw(t, "rows")
		bounds := rapid.SliceOfDistinct(tuple, func(v []int) string { return fmt.Sprint(v) }).Draw(t, "bounds")
		slices.SortFunc(bounds, slices.Compare)
		key := func(v []int) string {
			parts := make([]string, n)
			for i := range v {
				parts[i] = strconv.Itoa(v[i])
			}
			return strings.Join(parts, ",")
		}
		var ranges []keyRange
		last := ""
		for _, b := range bounds {
			ranges = append(ranges, keyRange{last, key(b)})
			last = key(b)
		}
		ranges = append(ranges, keyRange{last, ""})
		for _, r := range rows {
			values := map[string]int{}
			for i, v := range r {
				values[string(rune('a'+i))] = v
			}
			times := 0
			for _, in := range ranges {
				if evaluate(t, mv.within(in), values) {
					times++
				}
			}
			require.Equal(t, 1, times, "row %v in %v", r, ranges)
		}
	})
}

// Whatever the last chunk took, the next one is within its bounds, and smaller
// after a slow one.
func TestChunksFollowTheTimeTheyTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(leastChunk, mostChunk).Draw(t, "size")
		took := time.Duration(rapid.IntRange(0, 100_000).Draw(t, "ms")) * time.Millisecond
		next := nextSize(size, took, rapid.IntRange(0, 1<<30).Draw(t, "bytes"))
		require.GreaterOrEqual(t, next, leastChunk)
		require.LessOrEqual(t, next, mostChunk)
		if took > chunkTime {
			require.LessOrEqual(t, next, max(size, leastChunk))
		}
	})
	require.Equal(t, leastChunk, nextSize(1000, chunkTime, 1<<30), "rows of a megabyte")
	require.Equal(t, 2000, nextSize(1000, time.Millisecond, 1000))
}

// The position stays before the oldest prepared transaction.
func TestPositionStaysBeforeWhatIsPrepared(t *testing.T) {
	require.Equal(t, "0-1-9", positionBefore("0-1-9", nil))
	require.Equal(t, "0-1-4", positionBefore("0-1-9", map[string]*parked{
		"a": {before: "0-1-7", order: 2}, "b": {before: "0-1-4", order: 1}, "c": {before: "0-1-8", order: 3},
	}))
}

func TestMariaDBPositionHasOneGTIDADomain(t *testing.T) {
	set, err := parseGTIDs(topology.FlavorMariaDB, "1-7-3, 0-1-5")
	require.NoError(t, err)
	set.maria[0] = mysql.MariadbGTID{DomainID: 0, ServerID: 2, SequenceNumber: 6} // after a failover
	require.Equal(t, "0-2-6,1-7-3", set.String())
	_, err = parseGTIDs(topology.FlavorMariaDB, "0-1")
	require.Error(t, err)
	_, err = parseGTIDs(topology.FlavorMySQL, "nonsense")
	require.Error(t, err)
}

func TestStatementsOfTheBinlog(t *testing.T) {
	for _, c := range []struct {
		name, sql, current string
		want               effect
		stops              bool
	}{
		{"a transaction begins", "BEGIN", "", beginsTransaction, false},
		{"an XA transaction begins", "XA START X'6731',X'',1", "", beginsTransaction, false},
		{"an XA transaction ends before it is prepared", "XA END X'6731',X'',1", "", inTransaction, false},
		{"a savepoint", "SAVEPOINT `a`", "", inTransaction, false},
		{"back to a savepoint", "ROLLBACK TO `a`", "", inTransaction, false},
		{"a rollback", "ROLLBACK", "", endsTransaction, false},
		{"a prepared transaction is committed", "XA COMMIT X'6731',X'6231',7", "", commitsXA, false},
		{"a prepared transaction is rolled back", "XA ROLLBACK X'6731',X'',1", "", rollsBackXA, false},
		{"the table in its database", "ALTER TABLE orders ADD x INT", "shop_0", defines, true},
		{"the table with its database", "alter table `shop_0`.`orders` add x int", "other", defines, true},
		{"the table of another database", "ALTER TABLE shop_1.orders ADD x INT", "shop_0", defines, false},
		{"another database's table of that name", "ALTER TABLE orders ADD x INT", "shop_1", defines, false},
		{"a comment before it", "/* hi */ TRUNCATE /*!50100 TABLE */ orders", "shop_0", defines, true},
		{"a comment at the end", "DROP TABLE `orders` /* generated by server */", "shop_0", defines, true},
		{"another table, made like it", "CREATE TABLE shop_0.serval_new_orders LIKE shop_0.orders", "", defines, false},
		{"another table, made of it", "CREATE TABLE x AS SELECT * FROM orders", "shop_0", defines, false},
		{"the table of a new period, which was not there before", "CREATE TABLE IF NOT EXISTS shop_0.orders (a INT)", "", defines, false},
		{"the table made again", "CREATE OR REPLACE TABLE orders (a INT)", "shop_0", defines, true},
		{"an index of it", "CREATE UNIQUE INDEX i ON orders (a)", "shop_0", defines, true},
		{"a trigger on it", "CREATE DEFINER=`a`@`%` TRIGGER t BEFORE INSERT ON orders FOR EACH ROW SET @a = 1", "shop_0", defines, true},
		{"a view of it", "CREATE ALGORITHM=UNDEFINED VIEW v AS SELECT * FROM orders", "shop_0", harmless, false},
		{"a right on it", "GRANT SELECT ON shop_0.orders TO a", "", harmless, false},
		{"a temporary table of its name", "CREATE TEMPORARY TABLE orders (a INT)", "shop_0", harmless, false},
		{"its database dropped", "DROP DATABASE shop_0", "", defines, true},
		{"another database dropped", "DROP DATABASE shop_1", "shop_0", defines, false},
		{"rows by statement", "INSERT INTO orders VALUES (1)", "shop_0", writes, true},
		{"rows of another table by statement", "UPDATE items SET a = 'orders.x'", "shop_0", writes, false},
		{"several tables renamed", "RENAME TABLE a TO b, shop_0.orders TO shop_0.o", "", defines, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := words(c.sql, mostWords)
			require.Equal(t, c.want, effectOf(w))
			why := forbids(w, effectOf(w), c.current, "shop_0", "orders")
			require.Equal(t, c.stops, why != "", why)
		})
	}
}

// A DECIMAL as the servers store it: 1234567890.1234 is 0x81 0x0DFB38D2 0x04D2
// (from MySQL's manual of its formats), and of its negative all bits are turned.
func TestDecimalsOfTheBinlog(t *testing.T) {
	stored := []byte{0x81, 0x0D, 0xFB, 0x38, 0xD2, 0x04, 0xD2}
	require.Equal(t, len(stored), decimalSize(14, 4))
	require.Equal(t, "01234567890.1234", string(decimalText(stored, 14, 4)))
	for i := range stored {
		stored[i] = ^stored[i]
	}
	require.Equal(t, "-01234567890.1234", string(decimalText(stored, 14, 4)))
	require.Equal(t, "0007", string(decimalText([]byte{0x80, 7}, 3, 0)))
}
