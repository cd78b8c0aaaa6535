package shardrule

import "fmt"

// mycatMod is Mycat's PartitionByMod: the absolute value mod count. Releases
// since December 2020 place what is no number by its hash code.
type mycatMod struct {
	count int
	text  bool
}

func mycatModFunction() Function {
	return foreignFunction("mycat_mod", false, func(a Args, n int) (nodeFunc, int, error) {
		count, err := a.Int("count", int64(n), 1, maxNodes)
		if err != nil {
			return nil, 0, err
		}
		text, err := a.yes("text")
		return mycatMod{int(count), text}, refusesNull, err
	}, "count", "text")
}

func (m mycatMod) node(k Key) (int, bool) {
	if n, ok := absMod(k.Bytes, m.count); ok {
		return n, true
	}
	if !m.text {
		return 0, false
	}
	h := int64(hashCode(k.Bytes))
	return int(max(h, -h) % int64(m.count)), true
}

func (m mycatMod) expr(column string, c Column) string {
	if c.Type != TypeInt {
		return ""
	}
	if c.Unsigned {
		return fmt.Sprintf("%s MOD %d", column, m.count)
	}
	return fmt.Sprintf("ABS(%s MOD %d)", column, m.count) // ABS of the least BIGINT does not fit
}
