package shardrule

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
)

// nodeFunc is a partition function of another proxy. That proxy sees the text
// of the value in the statement, without quotes; here it is the text of the
// column's value.
type nodeFunc interface {
	// node is the number the function gives; false where the proxy refuses
	// the value.
	node(Key) (int, bool)
}

// typedFunc is a nodeFunc that reads text by its column's type.
type typedFunc interface {
	forColumn(Column) nodeFunc
}

// spanner is a nodeFunc that can do better for a range than try each integer.
type spanner interface {
	// span adds the nodes of every key of the range, or says that it cannot
	// tell. No bound is NULL.
	span(lo, hi Bound, add func(node int)) bool
}

// exprFunc is a nodeFunc that MySQL can compute of a column of this type; the
// text is empty where it cannot.
type exprFunc interface {
	expr(column string, c Column) string
}

// Foreign is a partition function of Mycat, dble, kingshard or Gaea over as
// many nodes as the table has, bit for bit as that proxy computes it, but with
// ranges routed right. A value whose node is not there, which that proxy
// refuses, is an error.
type Foreign struct {
	name, spec string
	n          int
	f          nodeFunc
	// null is NULL's node, negative for none.
	null int
	// dates: the function is one of time.
	dates bool
	// ordered: keys of the column it is bound to are ordered as their text is
	// read: integers, DATE and DATETIME.
	ordered bool
	// exact: the rule says that the application writes equal texts alike.
	exact bool
}

var (
	_ Ranger    = (*Foreign)(nil)
	_ SQLTwin   = (*Foreign)(nil)
	_ TextKeyer = (*Foreign)(nil)
	_ Binder    = (*Foreign)(nil)
)

// spelling is the parameter all functions over text have.
var spelling = Param{Name: "spelling"}

// foreignFunction makes the table's line of one: what build makes of the
// parameters, and what a NULL's node is.
func foreignFunction(name string, dates bool, build func(a Args, n int) (nodeFunc, int, error), params ...string) Function {
	f := Function{Name: name}
	for _, p := range params {
		p, isMap := strings.CutSuffix(p, "{}")
		f.Params = append(f.Params, Param{Name: p, Map: isMap})
	}
	f.Params = append(f.Params, spelling)
	f.Counted = func(a Args, n int) (Algorithm, error) {
		node, null, err := build(a, n)
		if err != nil {
			return nil, err
		}
		s := a.Text("spelling", "")
		if s != "" && s != "exact" {
			return nil, paramError("spelling", "write spelling: exact, or leave it out", "spelling cannot be %s", s)
		}
		return &Foreign{name: name, spec: specOf(name, a, n), n: n, f: node, null: null, dates: dates, exact: s != ""}, nil
	}
	return f
}

// The node of NULL where there is none, and where the function says it.
const (
	refusesNull = -1
	asksForNull = -2
)

func specOf(name string, a Args, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s v1 shards=%d", name, n)
	for _, key := range slices.Sorted(maps.Keys(a)) {
		fmt.Fprintf(&b, " %s=%q", key, a[key].Text)
		for _, p := range a[key].Pairs {
			fmt.Fprintf(&b, ",%q:%q", p.Key, p.Value)
		}
	}
	return b.String()
}

// Name implements Algorithm.
func (f *Foreign) Name() string { return f.name }

// Shards implements Algorithm.
func (f *Foreign) Shards() int { return f.n }

// Spec implements Algorithm.
func (f *Foreign) Spec() string { return f.spec }

// ShardOf implements Algorithm.
func (f *Foreign) ShardOf(k Key) (int, error) {
	if k.Null && f.null != asksForNull {
		if f.null < 0 || f.null >= f.n {
			return 0, sqlerr.New(sqlerr.NoPartitionForValue, "%s has no shard for NULL", f.name)
		}
		return f.null, nil
	}
	i, ok := f.f.node(k)
	if !ok || i < 0 || i >= f.n {
		return 0, sqlerr.New(sqlerr.NoPartitionForValue, "%s has no shard for '%s'", f.name, k.Bytes)
	}
	if k.Alt != nil {
		if j, ok := f.f.node(Key{Bytes: k.Alt}); !ok || j != i {
			return 0, ambiguous(k)
		}
	}
	return i, nil
}

// Takes implements Algorithm.
func (f *Foreign) Takes(c Column) error {
	switch c.Type {
	case TypeInt:
		return nil
	case TypeDecimal:
		if c.Scale == 0 {
			return nil
		}
	case TypeText:
		return nil
	case TypeBinary:
		if !c.Fixed {
			return nil
		}
	case TypeDate, TypeDatetime:
		if f.dates {
			return nil
		}
	case TypeTimestamp:
		return fmt.Errorf("%s does not take %s: its text depends on the session's time_zone", f.name, c.typeName())
	case TypeOther:
	}
	takes := "integers, DECIMAL without a fraction, CHAR, VARCHAR, TEXT, VARBINARY and BLOB"
	if f.dates {
		takes = "DATE, DATETIME, " + takes
	}
	return fmt.Errorf("%s does not take %s; it takes %s", f.name, c.typeName(), takes)
}

// TextKey implements TextKeyer.
func (f *Foreign) TextKey() TextKey {
	if f.exact {
		return AlwaysAlike
	}
	return AsWritten
}

// Bind implements Binder.
func (f *Foreign) Bind(c Column, _ Weigher) (Algorithm, error) {
	bound := *f
	bound.ordered = c.Type == TypeInt || c.Type == TypeDate || c.Type == TypeDatetime
	if t, ok := f.f.(typedFunc); ok {
		bound.f = t.forColumn(c)
	}
	return &bound, nil
}

// ShardsOfRange implements Ranger.
func (f *Foreign) ShardsOfRange(lo, hi Bound) Set {
	if !f.ordered || !lo.Open && (lo.Key.Null || lo.Key.Alt != nil) || !hi.Open && (hi.Key.Null || hi.Key.Alt != nil) {
		return FullSet(f.n)
	}
	set := EmptySet(f.n)
	add := func(node int) {
		if node >= 0 && node < f.n {
			set.Add(node)
		}
	}
	if s, ok := f.f.(spanner); ok && s.span(lo, hi, add) {
		return set
	}
	if lo.Open || hi.Open || !lo.Key.IsInt || !hi.Key.IsInt {
		return FullSet(f.n)
	}
	first, last := lo.Key.Int, hi.Key.Int
	if first > last {
		return set
	}
	if uint64(last)-uint64(first) >= maxEnumerated {
		return FullSet(f.n)
	}
	var digits [20]byte
	for i := range uint64(last) - uint64(first) + 1 {
		n := first + int64(i)
		if node, ok := f.f.node(Key{Bytes: strconv.AppendInt(digits[:0], n, 10), Int: n, IsInt: true}); ok {
			add(node)
		}
	}
	return set
}

// ShardExpr implements SQLTwin; it is empty where the servers cannot compute
// the function of this column.
func (f *Foreign) ShardExpr(column string, c Column) string {
	e, ok := f.f.(exprFunc)
	if !ok {
		return ""
	}
	if c.Type == TypeInt {
		column = c.KeyExpr(column)
	}
	text := e.expr(column, c)
	if text == "" || f.null < 0 { // NULL stays NULL: on no shard
		return text
	}
	return "IFNULL(" + text + ", " + strconv.Itoa(f.null) + ")"
}
