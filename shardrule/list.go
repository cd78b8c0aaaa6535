package shardrule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
)

// List places the keys it names. Values are compared as the column compares
// them: 'cn' is 'CN' in a collation that says so. Any other key is on the shard
// default: names, NULL on that of nulls:, else default:; where there is none it
// is an error. It has no order.
type List struct {
	values []listed
	rest
	n int
	// keys are the values' shards by their Key.Bytes, nil until Bind.
	keys map[string]int
}

type listed struct {
	value string
	shard int
}

var (
	_ Ranger  = (*List)(nil)
	_ SQLTwin = (*List)(nil)
	_ Binder  = (*List)(nil)
	_ Texter  = (*List)(nil)
)

func listFunction() Function {
	return Function{Name: "list", Params: []Param{{Name: "values", Map: true}, {Name: "default"}, {Name: "nulls"}},
		Listed: func(a Args) (Algorithm, error) { return newList(a) }}
}

func newList(a Args) (*List, error) {
	if len(a["values"].Pairs) == 0 {
		return nil, paramError("values", "write values: {cn: 0, us: 1}: a value and its shard's number", "list names no values")
	}
	l := &List{}
	var err error
	if l.rest, err = restOf(a); err != nil {
		return nil, err
	}
	shards := []int{l.otherwise, l.nulls}
	for _, p := range a["values"].Pairs {
		shard, err := shardNumber("values", p)
		if err != nil {
			return nil, err
		}
		shards = append(shards, shard)
		l.values = append(l.values, listed{p.Key, shard})
	}
	l.n, err = countShards("values", shards)
	return l, err
}

// Name implements Algorithm.
func (*List) Name() string { return "list" }

// Shards implements Algorithm.
func (l *List) Shards() int { return l.n }

// Spec implements Algorithm.
func (l *List) Spec() string {
	var b strings.Builder
	b.WriteString("list v1 values=")
	for i, v := range l.values {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%d", v.value, v.shard)
	}
	return b.String() + l.spec()
}

// Takes implements Algorithm.
func (l *List) Takes(c Column) error {
	if err := takesAnyText("list", c); err != nil {
		return err
	}
	if c.Type == TypeText {
		return nil
	}
	_, err := l.bind(c, nil)
	return err
}

// Texts implements Texter.
func (l *List) Texts() []string {
	texts := make([]string, len(l.values))
	for i, v := range l.values {
		texts[i] = v.value
	}
	return texts
}

// Bind implements Binder.
func (l *List) Bind(c Column, w Weigher) (Algorithm, error) { return l.bind(c, w) }

func (l *List) bind(c Column, w Weigher) (*List, error) {
	bound := *l
	bound.keys = make(map[string]int, len(l.values))
	names := make(map[string]string, len(l.values))
	for _, v := range l.values {
		k, err := c.KeyToStore(sqlval.StringValue(v.value), w)
		var need *WeightNeeded
		switch {
		case errors.As(err, &need):
			return nil, err
		case err != nil || k.Alt != nil:
			return nil, fmt.Errorf("list has the value %s, which %s cannot have", v.value, c.typeName())
		}
		if other, ok := bound.keys[string(k.Bytes)]; ok && other != v.shard {
			return nil, fmt.Errorf("list has %s and %s, which are the same in %s", names[string(k.Bytes)], v.value, c.typeName())
		}
		bound.keys[string(k.Bytes)], names[string(k.Bytes)] = v.shard, v.value
	}
	return &bound, nil
}

// ShardOf implements Algorithm.
func (l *List) ShardOf(k Key) (int, error) {
	if k.Null {
		return l.nullShard("list")
	}
	shard := l.find(k.Bytes)
	if k.Alt != nil && l.find(k.Alt) != shard {
		return 0, ambiguous(k)
	}
	if shard < 0 {
		return 0, sqlerr.New(sqlerr.NoPartitionForValue, "The table is sharded by list and the value is not in it; add it to values:, or give the rule default:")
	}
	return shard, nil
}

// find is the key's shard, -1 for none.
func (l *List) find(text []byte) int {
	if shard, ok := l.keys[string(text)]; ok {
		return shard
	}
	return l.otherwise
}

// ShardsOfRange implements Ranger: of integers the values in the range are
// known.
func (l *List) ShardsOfRange(lo, hi Bound) Set {
	set := EmptySet(l.n)
	for text, shard := range l.keys {
		v, err := strconv.ParseInt(text, 10, 64)
		if err == nil && (below(v, lo) || above(v, hi)) {
			continue
		}
		set.Add(shard)
	}
	if l.otherwise >= 0 {
		set.Add(l.otherwise)
	}
	return set
}

// below: the integer is surely before the range.
func below(v int64, lo Bound) bool {
	return !lo.Open && lo.Key.IsInt && (v < lo.Key.Int || lo.Exclusive && v == lo.Key.Int)
}

// above: the integer is surely behind the range.
func above(v int64, hi Bound) bool {
	return !hi.Open && hi.Key.IsInt && (v > hi.Key.Int || hi.Exclusive && v == hi.Key.Int)
}

// ShardExpr implements SQLTwin; a key that has no place is -1.
func (l *List) ShardExpr(column string, c Column) string {
	var b strings.Builder
	b.WriteString("CASE WHEN " + column + " IS NULL THEN " + strconv.Itoa(l.nulls))
	for _, v := range l.values {
		b.WriteString(" WHEN " + column + " = " + literalFor(c, v.value) + " THEN " + strconv.Itoa(v.shard))
	}
	return b.String() + " ELSE " + strconv.Itoa(l.otherwise) + " END"
}

// literalFor is SQL for a value that the column has.
func literalFor(c Column, value string) string {
	switch c.Type {
	case TypeText:
		return fmt.Sprintf("_utf8mb4 x'%X'", value)
	case TypeBinary:
		if c.Fixed && len(value) < c.Length {
			value += strings.Repeat("\x00", c.Length-len(value))
		}
		return fmt.Sprintf("x'%X'", value)
	case TypeInt, TypeDecimal:
		if d, ok := parseNumber([]byte(value)); ok {
			return string(d.text())
		}
	case TypeDate, TypeDatetime, TypeTimestamp, TypeOther:
	}
	return "'" + strings.ReplaceAll(value, "'", "''") + "'"
}
