package shardrule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// parse reads the text of shard:, a case a line.
func TestRules(t *testing.T) {
	near := func(name string, known []string) string {
		return fmt.Sprintf("is it one of %d?", min(3, len(known)))
	}
	datadriven.RunTest(t, "testdata/rule.txt", func(t *testing.T, d *datadriven.TestData) string {
		t.Helper()
		var b strings.Builder
		for line := range strings.Lines(d.Input) {
			line = strings.TrimRight(line, "\n")
			fmt.Fprintf(&b, "%-40s ", line)
			r, err := ParseRule(line, near)
			if err != nil {
				b.WriteString("error: " + err.Error() + "\n")
				continue
			}
			b.WriteString(r.Name + " of " + strings.Join(r.Columns, ", "))
			for _, t := range append([]Term{{Rule: r}}, r.Terms...) {
				for _, name := range slices.Sorted(maps.Keys(t.Args)) {
					fmt.Fprintf(&b, " %s=%s%v", name, t.Args[name].Text, t.Args[name].Pairs)
				}
				if t.Count > 0 {
					fmt.Fprintf(&b, " x %d", t.Count)
				}
			}
			b.WriteString("\n")
		}
		return b.String()
	})
}

func TestEveryFunctionIsMadeInOneWayAndHasItsOwnName(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range functions() {
		require.False(t, seen[f.Name], f.Name)
		seen[f.Name] = true
		ways := 0
		for _, set := range []bool{f.Counted != nil, f.Listed != nil, f.Periodic != nil} {
			if set {
				ways++
			}
		}
		require.Equal(t, 1, ways, f.Name)
		require.Equal(t, strings.ToLower(f.Name), f.Name, "names are compared in lower case")
	}
}
