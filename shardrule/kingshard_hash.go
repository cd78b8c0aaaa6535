package shardrule

import (
	"hash/crc32"
	"strconv"
)

// kingshardHash is the hash of kingshard and Gaea: a number, taken as unsigned,
// mod the tables; of text that is no number its CRC-32. Early kingshards take
// the CRC-32 of all text.
type kingshardHash struct {
	n int
	// allText: digits are text too; ofText: the column is one of text.
	allText, ofText bool
}

func kingshardHashFunction() Function {
	return foreignFunction("kingshard_hash", false, func(a Args, n int) (nodeFunc, int, error) {
		switch digits := a.Text("digits", "number"); digits {
		case "number", "text":
			return kingshardHash{n: n, allText: digits == "text"}, refusesNull, nil
		default:
			return nil, 0, paramError("digits", "write digits: number, or digits: text for early releases", "digits cannot be %s", digits)
		}
	}, "digits")
}

func (h kingshardHash) forColumn(c Column) nodeFunc {
	h.ofText = c.Type == TypeText || c.Type == TypeBinary
	return h
}

func (h kingshardHash) node(k Key) (int, bool) {
	if n, ok := longOf(k); ok && !h.ofText {
		return int(uint64(n) % uint64(h.n)), true
	}
	n, err := strconv.ParseUint(string(k.Bytes), 10, 64)
	if err != nil || h.allText && h.ofText {
		n = uint64(crc32.ChecksumIEEE(k.Bytes))
	}
	return int(n % uint64(h.n)), true
}

func (h kingshardHash) expr(column string, c Column) string {
	if c.Type != TypeInt {
		return ""
	}
	return "CAST(" + column + " AS UNSIGNED) MOD " + strconv.Itoa(h.n)
}
