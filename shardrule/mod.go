package shardrule

import (
	"fmt"
	"strconv"
)

// Mod places a whole number by its remainder, 0 to n-1 also where the number
// is negative: -1 mod 4 is 3. Of a DECIMAL the largest whole number that is not
// above it counts. NULL is on shard 0. It is cyclic: numbers next to each other
// are on shards next to each other, so n of them meet every shard.
type Mod struct{ n int }

var (
	_ Ranger  = Mod{}
	_ SQLTwin = Mod{}
)

func modFunction() Function {
	return Function{Name: "mod", Counted: func(_ Args, shards int) (Algorithm, error) { return NewMod(shards) }}
}

// NewMod is a Mod over n shards, 1 to 1024.
func NewMod(n int) (Mod, error) {
	if n < 1 || n > Slots {
		return Mod{}, fmt.Errorf("mod takes 1 to %d shards, not %d", Slots, n)
	}
	return Mod{n: n}, nil
}

// Name implements Algorithm.
func (Mod) Name() string { return "mod" }

// Shards implements Algorithm.
func (m Mod) Shards() int { return m.n }

// Spec implements Algorithm.
func (m Mod) Spec() string { return "mod v1 shards=" + strconv.Itoa(m.n) }

// Takes implements Algorithm.
func (Mod) Takes(c Column) error {
	if c.Type == TypeInt || c.Type == TypeDecimal {
		return nil
	}
	return fmt.Errorf("mod does not take %s; it takes integers and DECIMAL", c.typeName())
}

// ShardOf implements Algorithm.
func (m Mod) ShardOf(k Key) (int, error) {
	switch {
	case k.Null:
		return 0, nil
	case k.IsInt:
		return floorMod(k.Int, m.n), nil
	}
	d, ok := parseNumber(k.Bytes)
	if !ok {
		return 0, fmt.Errorf("mod of %q, which is no number", k.Bytes)
	}
	return d.floorMod(m.n), nil
}

func floorMod(v int64, n int) int {
	r := v % int64(n)
	if r < 0 {
		r += int64(n)
	}
	return int(r)
}

// floorMod is the remainder of the largest whole number not above d.
func (d decimal) floorMod(n int) int {
	r := 0
	for _, c := range d.whole {
		r = (r*10 + int(c-'0')) % n
	}
	if !d.neg {
		return r
	}
	if !allZero(d.frac) {
		r++
	}
	return floorMod(-int64(r), n)
}

// ShardsOfRange implements Ranger: as many integers in a row as there are shards
// meet them all.
func (m Mod) ShardsOfRange(lo, hi Bound) Set {
	return fewIntegers(m.n, lo, hi, func(i int64) int { return floorMod(i, m.n) })
}

// ShardExpr implements SQLTwin. MySQL's remainder has the sign of the number;
// one of an unsigned column cannot be negative, nor be computed so.
func (m Mod) ShardExpr(column string, c Column) string {
	n := strconv.Itoa(m.n)
	if c.Type == TypeDecimal {
		column = "FLOOR(" + column + ")"
	}
	if c.Unsigned {
		return "IFNULL(" + column + " MOD " + n + ", 0)"
	}
	return "IFNULL((" + column + " MOD " + n + " + " + n + ") MOD " + n + ", 0)"
}
