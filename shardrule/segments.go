package shardrule

import (
	"strconv"
	"strings"
)

// maxNodes bounds what a table may have.
const maxNodes = 100000

// segments cut the numbers from 0 to the last bound in runs: run i ends before
// ends[i]. Mycat and dble write them as counts and lengths: "2,1" and "256,512"
// are two runs of 256 and one of 512.
type segments struct {
	ends []int
	// of says the run of each number.
	of []int32
}

// segmentsOf reads partition_count and partition_length. total is what they
// must come to, or the most, where not exactly.
func segmentsOf(a Args, total int, exactly bool) (segments, error) {
	count, err := a.ints("partition_count")
	if err != nil {
		return segments{}, err
	}
	length, err := a.ints("partition_length")
	if err != nil {
		return segments{}, err
	}
	if len(count) != len(length) {
		return segments{}, paramError("partition_length", "give as many lengths as counts", "partition_count has %d numbers and partition_length %d", len(count), len(length))
	}
	var s segments
	for i := range count {
		for range count[i] {
			run := len(s.ends)
			for range length[i] {
				if len(s.of) == total {
					return segments{}, wrongTotal(total, exactly)
				}
				s.of = append(s.of, int32(run))
			}
			s.ends = append(s.ends, len(s.of))
		}
	}
	if exactly && len(s.of) != total || len(s.of) == 0 {
		return segments{}, wrongTotal(total, exactly)
	}
	return s, nil
}

func wrongTotal(total int, exactly bool) error {
	most := "at most "
	if exactly {
		most = ""
	}
	return paramError("partition_length", "make the sum of counts times lengths "+most+strconv.Itoa(total), "partition_count and partition_length do not come to %s%d", most, total)
}

// expr is the run of an SQL expression's value.
func (s segments) expr(number string) string {
	ends := make([]string, len(s.ends))
	for i, e := range s.ends {
		ends[i] = strconv.Itoa(e)
	}
	return "INTERVAL(" + number + ", " + strings.Join(ends, ", ") + ")"
}

// ints is a list of whole numbers, 0 or more: "2,1".
func (a Args) ints(name string) ([]int, error) {
	var out []int
	for _, part := range strings.Split(a.Text(name, ""), ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 0 || n > maxNodes {
			return nil, paramError(name, `write numbers with commas, "2,1"`, "%s cannot be %q", name, a.Text(name, ""))
		}
		out = append(out, n)
	}
	return out, nil
}

// yes is a parameter that is true or false; false where it is not given.
func (a Args) yes(name string) (bool, error) {
	switch v := a.Text(name, "false"); v {
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, paramError(name, "write true or false", "%s cannot be %s", name, v)
	}
}
