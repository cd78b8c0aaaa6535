package shardrule

import (
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
)

const (
	// Slots is how many slots Hash has; each shard owns a run of them.
	Slots = 1024
	// maxEnumerated is the longest integer range whose keys are tried one by one.
	// A longer range almost surely meets every shard.
	maxEnumerated = 4096
)

// Hash places a key by the CRC-32 of its text: slot = crc32 mod 1024, and slot
// s belongs to shard s*n/1024, rounded down. So shard i of n owns the slots
// from i*1024/n, rounded up, to the next shard's first: runs that differ by at
// most one slot, and twice the shards cut each run in two. NULL has slot 0.
type Hash struct {
	n int
	// owners is slots:, nil for equal runs.
	owners *SlotOwners
}

var (
	_ Ranger  = Hash{}
	_ SQLTwin = Hash{}
)

func hashFunction() Function {
	return Function{Name: "hash", Params: []Param{{Name: "slots", List: true}}, Counted: func(a Args, shards int) (Algorithm, error) {
		h, err := NewHash(shards)
		if err != nil || !a.Has("slots") {
			return h, err
		}
		owners, err := ownersOf(a["slots"].Pairs, shards)
		if err != nil {
			return nil, err
		}
		return h.With(owners), nil
	}}
}

// With is the hash whose slots belong to those shards, all of which are its.
func (h Hash) With(owners *SlotOwners) Hash {
	h.owners = owners
	if *owners == *equalOwners(h.n) {
		h.owners = nil // it is the same rule
	}
	return h
}

// Owners are the shards of all slots.
func (h Hash) Owners() *SlotOwners {
	if h.owners == nil {
		return equalOwners(h.n)
	}
	return h.owners
}

// NewHash is a Hash over n shards, 1 to Slots.
func NewHash(n int) (Hash, error) {
	if n < 1 || n > Slots {
		return Hash{}, fmt.Errorf("hash takes 1 to %d shards, not %d", Slots, n)
	}
	return Hash{n: n}, nil
}

// Name implements Algorithm.
func (Hash) Name() string { return "hash" }

// Shards implements Algorithm.
func (h Hash) Shards() int { return h.n }

// Spec implements Algorithm.
func (h Hash) Spec() string {
	spec := "hash v1 shards=" + strconv.Itoa(h.n)
	if h.owners != nil {
		spec += " slots=" + strings.Join(h.owners.Lists(h.n), "|")
	}
	return spec
}

// Slot is the key's slot, 0 to Slots-1.
func (Hash) Slot(k Key) int {
	if k.Null {
		return 0
	}
	return slotOf(k.Bytes)
}

func slotOf(text []byte) int { return int(crc32.ChecksumIEEE(text) % Slots) }

// ShardOfSlot is the shard that owns the slot.
func (h Hash) ShardOfSlot(slot int) int {
	if h.owners != nil {
		return int(h.owners[slot])
	}
	return slot * h.n / Slots
}

// ShardOf implements Algorithm.
func (h Hash) ShardOf(k Key) (int, error) {
	shard := h.ShardOfSlot(h.Slot(k))
	if k.Alt != nil && h.ShardOfSlot(slotOf(k.Alt)) != shard {
		return 0, ambiguous(k)
	}
	return shard, nil
}

// ambiguous refuses a key whose two readings have different places.
func ambiguous(k Key) error {
	return sqlerr.Refuse("the sharding key",
		fmt.Sprintf("a server stores it as '%s' or as '%s', by its version and sql_mode or by a clock set back, and they have different shards", k.Bytes, k.Alt),
		"give it no more digits after the second than the column has, and a moment that no clock shows twice")
}

// Takes implements Algorithm.
func (Hash) Takes(c Column) error {
	switch c.Type {
	case TypeInt, TypeDecimal, TypeText, TypeBinary, TypeDate, TypeDatetime:
		return nil
	case TypeTimestamp:
		return fmt.Errorf("hash does not take %s: its text depends on the session's time_zone; use DATETIME", c.typeName())
	case TypeOther:
	}
	return fmt.Errorf("hash does not take %s; it takes integers, DECIMAL, CHAR, VARCHAR, TEXT, BINARY, VARBINARY, BLOB, DATE and DATETIME", c.typeName())
}

func (c Column) typeName() string {
	if c.SQLType == "" {
		return "column " + c.Name
	}
	return "column " + c.Name + " of type " + c.SQLType
}

// ShardsOfRange implements Ranger. The hash has no order, so only a range of
// one key or of a few integers narrows.
func (h Hash) ShardsOfRange(lo, hi Bound) Set {
	if lo.Open || hi.Open || lo.Key.Null || hi.Key.Null || lo.Key.Alt != nil || hi.Key.Alt != nil {
		return FullSet(h.n)
	}
	if lo.Key.IsInt && hi.Key.IsInt {
		var digits [20]byte
		return fewIntegers(h.n, lo, hi, func(i int64) int { return h.ShardOfSlot(slotOf(strconv.AppendInt(digits[:0], i, 10))) })
	}
	if string(lo.Key.Bytes) == string(hi.Key.Bytes) && !lo.Exclusive && !hi.Exclusive {
		return OneShard(h.n, h.ShardOfSlot(h.Slot(lo.Key)))
	}
	return FullSet(h.n)
}

// ShardExpr implements SQLTwin.
func (h Hash) ShardExpr(column string, c Column) string {
	if h.owners != nil {
		return h.owners.expr(h.SlotExpr(column, c))
	}
	slot := slotExpr(column, c)
	if h.n != Slots {
		slot += " * " + strconv.Itoa(h.n) + " DIV " + strconv.Itoa(Slots)
	}
	return "IFNULL(" + slot + ", 0)"
}

// SlotExpr is the SQL of a row's slot, never NULL.
func (Hash) SlotExpr(column string, c Column) string { return "IFNULL(" + slotExpr(column, c) + ", 0)" }

func slotExpr(column string, c Column) string {
	return "CRC32(" + c.KeyExpr(column) + ") MOD " + strconv.Itoa(Slots)
}
