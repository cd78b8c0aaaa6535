package reshard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// TestStages: events in, a line each; crash is the worker's end at that point.
// Out come the stages, and what the next worker does.
func TestStages(t *testing.T) {
	datadriven.RunTest(t, "testdata/stages.txt", func(t *testing.T, d *datadriven.TestData) string {
		var out strings.Builder
		s := Planned
		for line := range strings.Lines(d.Input) {
			line = strings.TrimSpace(line)
			if line == "crash" {
				fmt.Fprintf(&out, "crash: start finds it %s: %s\n", s, s.Work())
				continue
			}
			to, err := s.After(Event(line))
			if err != nil {
				fmt.Fprintf(&out, "%s: refused: %s\n", line, err)
				continue
			}
			fmt.Fprintf(&out, "%s: %s\n", line, to)
			s = to
		}
		return out.String()
	})
}

func TestEveryStageHasAWayToAnEnd(t *testing.T) {
	ends := func(s Stage) bool {
		seen := map[Stage]bool{}
		var walk func(Stage) bool
		walk = func(s Stage) bool {
			if s.Ended() {
				return true
			}
			seen[s] = true
			for _, to := range next[s] {
				if !seen[to] && walk(to) {
					return true
				}
			}
			return false
		}
		return walk(s)
	}
	for s := range next {
		require.True(t, ends(s), s)
		require.NotEqual(t, "nothing", s.Work(), s)
	}
}
