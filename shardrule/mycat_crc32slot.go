package shardrule

import (
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// mycatCRC32Slot is Mycat's PartitionByCRC32PreSlot: CRC-32 of the text mod
// 102400 is a slot, and nodes own ranges of slots: equal ones, or those that
// its file ruledata/<rule>.properties says.
type mycatCRC32Slot struct {
	count int
	// owned are the ranges in the order they are searched; what none has goes
	// by equal ranges.
	owned []longRange
}

const crc32Slots = 102400

func mycatCRC32SlotFunction() Function {
	return foreignFunction("mycat_crc32slot", false, func(a Args, n int) (nodeFunc, int, error) {
		count, err := a.Int("count", int64(n), 1, crc32Slots)
		if err != nil {
			return nil, 0, err
		}
		m := mycatCRC32Slot{count: int(count)}
		for _, p := range a["slots"].Pairs {
			node, err := strconv.Atoi(p.Key)
			if err != nil || node < 0 {
				return nil, 0, paramError("slots", "write node: ranges, 0: 0-51199", "slots cannot have %s: %s", p.Key, p.Value)
			}
			for part := range strings.SplitSeq(p.Value, ",") {
				low, high, ok := strings.Cut(part, "-")
				if !ok {
					high = low
				}
				from, err1 := strconv.ParseInt(strings.TrimSpace(low), 10, 32)
				to, err2 := strconv.ParseInt(strings.TrimSpace(high), 10, 32)
				if err1 != nil || err2 != nil {
					return nil, 0, paramError("slots", "write node: ranges, 0: 0-51199", "slots cannot have %s: %s", p.Key, p.Value)
				}
				m.owned = append(m.owned, longRange{from, to, int64(node)})
			}
		}
		return m, refusesNull, nil
	}, "count", "slots{}")
}

func (m mycatCRC32Slot) node(k Key) (int, bool) {
	slot := int64(crc32.ChecksumIEEE(k.Bytes) % crc32Slots)
	for _, r := range m.owned {
		if slot >= r.from && slot <= r.to {
			return int(r.value), true
		}
	}
	return min(int(slot)/(crc32Slots/m.count), m.count-1), true
}

func (m mycatCRC32Slot) expr(column string, c Column) string {
	if c.Type != TypeInt { // which is a number already
		column = c.KeyExpr(column)
	}
	slot := "CRC32(" + column + ") MOD " + strconv.Itoa(crc32Slots)
	equal := fmt.Sprintf("LEAST((%s) DIV %d, %d)", slot, crc32Slots/m.count, m.count-1)
	if len(m.owned) == 0 {
		return equal
	}
	var b strings.Builder
	b.WriteString("CASE")
	for _, r := range m.owned {
		fmt.Fprintf(&b, " WHEN %s BETWEEN %d AND %d THEN %d", slot, r.from, r.to, r.value)
	}
	return b.String() + " ELSE " + equal + " END"
}
