package shardrule

import (
	"strconv"
	"strings"
)

// gaeaPaddingMod is Gaea's mycat_padding_mod: the number filled up with zeros
// to a length, of which a part is taken mod the tables.
type gaeaPaddingMod struct{ n, length, begin, end, from int }

func gaeaPaddingModFunction() Function {
	return foreignFunction("gaea_padding_mod", false, func(a Args, n int) (nodeFunc, int, error) {
		g := gaeaPaddingMod{n: n}
		for _, p := range []struct {
			name      string
			otherwise int64
			to        *int
		}{{"pad_from", 1, &g.from}, {"pad_length", 18, &g.length}, {"mod_begin", 10, &g.begin}, {"mod_end", 16, &g.end}} {
			v, err := a.Int(p.name, p.otherwise, 0, 64)
			if err != nil {
				return nil, 0, err
			}
			*p.to = int(v)
		}
		if g.from > 1 || g.begin >= g.end || g.end > g.length || g.end-g.begin > 18 {
			return nil, 0, paramError("mod_end", "give pad_from 0 or 1, and mod_begin < mod_end <= pad_length", "the digits from %d to %d of %d cannot be taken", g.begin, g.end, g.length)
		}
		return g, refusesNull, nil
	}, "pad_from", "pad_length", "mod_begin", "mod_end")
}

func (g gaeaPaddingMod) node(k Key) (int, bool) {
	n, ok := longOf(k)
	if !ok {
		return 0, false
	}
	text := strconv.FormatInt(n, 10)
	fill := strings.Repeat("0", max(g.length-len(text), 0))
	switch {
	case fill == "":
	case g.from == 0 && n < 0:
		return 0, false
	case g.from == 0:
		text = fill + text
	default:
		text += fill
	}
	part, err := strconv.ParseInt(text[g.begin:g.end], 10, 64)
	return int(max(part, -part) % int64(g.n)), err == nil
}
