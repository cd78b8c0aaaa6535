package config

import (
	"fmt"
	"sort"
	"strings"
)

// Finding is one thing that is wrong: where, what, and what to do about it.
type Finding struct {
	File string
	Line int // 0: the file as a whole
	What string
	Do   string
}

// String is the finding in one line.
func (f Finding) String() string {
	where := f.File
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	if f.Do == "" {
		return where + ": " + f.What
	}
	return where + ": " + f.What + "; " + f.Do
}

// Findings are all that is wrong with a file, by line. It is the error of Load.
type Findings []Finding

// Error has one line a finding.
func (f Findings) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "\n")
}

func (f Findings) sorted() Findings {
	sort.SliceStable(f, func(i, j int) bool { return f[i].Line < f[j].Line })
	return f
}

// nearest is the known name that is closest to the wrong one, empty where none
// is close. Of equally close ones it is the first in the alphabet.
func nearest(wrong string, known []string) string {
	sort.Strings(known)
	best, bestAt := "", 1+max(2, len(wrong)/3)
	for _, k := range known {
		if d := distance(strings.ToLower(wrong), k); d < bestAt {
			best, bestAt = k, d
		}
	}
	return best
}

// distance is how many letters must be put in, taken out, replaced or swapped
// with their neighbour (optimal string alignment).
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	last := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

func didYouMean(wrong string, known []string) string {
	if n := nearest(wrong, known); n != "" {
		return "did you mean " + n + "?"
	}
	return "known are " + strings.Join(known, ", ")
}

// OrNil is f as an error, nil where there are no findings.
func (f Findings) OrNil() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
