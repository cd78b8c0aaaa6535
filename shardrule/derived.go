package shardrule

import (
	"bytes"

	"github.com/servaldb/serval/internal/sqlerr"
)

// Derived is an algorithm of an expression over the key: mod(user_id DIV 1000),
// hash(prefix(code, 3)). NULL is the algorithm's NULL. It has the algorithm's order
// where the expression goes with the column.
type Derived struct {
	expr  *Expr
	inner Algorithm
	// column is the sharding column, from Bind.
	column Column
}

// DerivedTwin is a Derived whose algorithm MySQL can compute.
type DerivedTwin struct{ *Derived }

var (
	_ Ranger    = (*Derived)(nil)
	_ Binder    = (*Derived)(nil)
	_ TextKeyer = (*Derived)(nil)
	_ SQLTwin   = DerivedTwin{}
)

func newDerived(e *Expr, inner Algorithm) Algorithm { return (&Derived{expr: e, inner: inner}).twin() }

func (d *Derived) twin() Algorithm {
	if _, ok := d.inner.(SQLTwin); ok {
		return DerivedTwin{d}
	}
	return d
}

// Periodic reports whether an algorithm has one shard a period of time.
func Periodic(a Algorithm) bool {
	switch d := a.(type) {
	case *Time:
		return true
	case DerivedTwin:
		return Periodic(d.inner)
	}
	return false
}

// HashOf is the Hash that places rows by an algorithm's key, of the column or of
// an expression over it; false where it is another function.
func HashOf(a Algorithm) (Hash, bool) {
	switch d := a.(type) {
	case Hash:
		return d, true
	case DerivedTwin:
		return HashOf(d.inner)
	}
	return Hash{}, false
}

// KeyText is what an algorithm places rows by: the column's name, or an
// expression over it.
func KeyText(a Algorithm, column string) string {
	switch d := a.(type) {
	case *Derived:
		return d.expr.over(column)
	case DerivedTwin:
		return d.expr.over(column)
	case *Follow:
		return column + " = " + d.Parent.Table + "." + d.To
	}
	return column
}

// Name implements Algorithm.
func (d *Derived) Name() string { return d.inner.Name() }

// Shards implements Algorithm.
func (d *Derived) Shards() int { return d.inner.Shards() }

// Spec implements Algorithm.
func (d *Derived) Spec() string { return d.inner.Spec() + " of v1 " + d.expr.over("k") }

// TextKey implements TextKeyer.
func (*Derived) TextKey() TextKey { return ByCharacters }

// Takes implements Algorithm.
func (d *Derived) Takes(c Column) error {
	out, err := d.expr.column(c)
	if err != nil {
		return err
	}
	return d.inner.Takes(out)
}

// Bind implements Binder.
func (d *Derived) Bind(c Column, w Weigher) (Algorithm, error) {
	bound := &Derived{expr: d.expr, inner: d.inner, column: c}
	out, err := d.expr.column(c)
	if b, ok := d.inner.(Binder); ok && err == nil {
		bound.inner, err = b.Bind(out, w)
	}
	if err != nil {
		return nil, err
	}
	return bound.twin(), nil
}

// ShardOf implements Algorithm.
func (d *Derived) ShardOf(k Key) (int, error) {
	in, ok := d.key(k)
	if !ok {
		return 0, sqlerr.New(sqlerr.NoPartitionForValue, "The table is sharded by %s of %s, which has no value for '%s'", d.Name(), d.expr.over(d.column.Name), k.Bytes)
	}
	return d.inner.ShardOf(in)
}

// key is the algorithm's key.
func (d *Derived) key(k Key) (Key, bool) {
	if k.Null {
		return k, true
	}
	in, ok := d.expr.value(k, k.Bytes, d.column)
	if d.column.PadSpace && !in.IsInt {
		in.Bytes = bytes.TrimRight(in.Bytes, " ") // a part may end in spaces that the whole did not
	}
	if k.Alt == nil || !ok {
		return in, ok
	}
	alt, ok := d.expr.value(k, k.Alt, d.column)
	if !bytes.Equal(alt.Bytes, in.Bytes) {
		in.Alt, in.IsInt = alt.Bytes, false
	}
	return in, ok
}

// ShardsOfRange implements Ranger.
func (d *Derived) ShardsOfRange(lo, hi Bound) Set {
	all := FullSet(d.Shards())
	inner, ranges := d.inner.(Ranger)
	order := d.expr.order()
	if ranges && (order == 1 || order == -1) && d.column.Type != TypeText {
		lo, hi = d.bound(lo), d.bound(hi)
		if order < 0 {
			lo, hi = hi, lo
		}
		if !lo.Open || !hi.Open {
			all = all.And(inner.ShardsOfRange(lo, hi))
		}
	}
	return all
}

// bound is where the expression's values end, the end included: several keys have
// one value.
func (d *Derived) bound(b Bound) Bound {
	open := Bound{Open: true}
	if b.Open || b.Key.Null || b.Key.Alt != nil {
		return open
	}
	k, ok := d.key(b.Key)
	if !ok {
		return open
	}
	return Bound{Key: k}
}

// ShardExpr implements SQLTwin.
func (d DerivedTwin) ShardExpr(column string, c Column) string {
	out, _ := d.expr.column(c) // Bind has tried it
	return d.inner.(SQLTwin).ShardExpr(d.expr.sql(column, c), out)
}
