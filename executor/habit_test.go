package executor

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A model of servers: a statement costs its own and each shard's work, all
// times as much as the machine is busy, and then by chance.
func TestWhichWayIsChosen(t *testing.T) {
	const us = time.Microsecond
	quiet := func(int) float64 { return 1 }
	for name, c := range map[string]struct {
		own, shard time.Duration
		n          int
		busy       func(run int) float64
		first      float64 // what the first runs of a way take besides
		least      float64 // share of the last half of the runs that are together
		most       float64
	}{
		"little to do, on a quiet machine":                         {300 * us, 150 * us, 4, quiet, 1, 0.95, 1},
		"little to do, on a busy machine":                          {300 * us, 150 * us, 4, func(int) float64 { return 30 }, 1, 0.95, 1},
		"little to do, two shards a server, on a busy machine":     {300 * us, 50 * us, 2, func(int) float64 { return 30 }, 1, 0.95, 1},
		"little to do, preparing takes long":                       {300 * us, 150 * us, 4, func(int) float64 { return 10 }, 20, 0.95, 1},
		"little to do, the first second was busy":                  {300 * us, 150 * us, 4, func(run int) float64 { return 1 + 200*math.Exp(-float64(run)/100) }, 1, 0.95, 1},
		"little to do, busy and quiet in turn":                     {300 * us, 150 * us, 4, func(run int) float64 { return 1 + 30*float64(run/200%2) }, 1, 0.8, 1},
		"much to do, on a quiet machine":                           {300 * us, 10_000 * us, 4, quiet, 1, 0, 0.02},
		"much to do, two shards a server":                          {300 * us, 10_000 * us, 2, quiet, 1, 0, 0.03},
		"much to do, on a busy machine":                            {300 * us, 1_500 * us, 8, func(int) float64 { return 10 }, 1, 0, 0.02},
		"much to do, busy and quiet in turn":                       {300 * us, 10_000 * us, 8, func(run int) float64 { return 1 + 3*float64(run/200%2) }, 1, 0, 0.2},
		"so much to do that it is not even tried":                  {300 * us, 60_000 * us, 4, quiet, 1, 0, 0.001},
		"so much to do only while the machine is busy: tried then": {300 * us, 150 * us, 4, func(run int) float64 { return 1 + 400*math.Exp(-float64(run)/20) }, 1, 0.95, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 3))
			h := &habit{}
			const runs = 4000
			together, firsts := 0, map[bool]int{}
			for run := range runs {
				united := h.together(c.n)
				took := c.own + c.shard
				if united {
					took += time.Duration(c.n-1) * c.shard
				}
				took = time.Duration(float64(took) * c.busy(run) * math.Exp(r.NormFloat64()/2))
				if firsts[united]++; firsts[united] <= 2 {
					took = time.Duration(float64(took) * c.first)
				}
				if united {
					h.noteUnited(took, 100)
				} else {
					h.noteApart(took, nil, 100)
				}
				if united && run >= runs/2 {
					together++
				}
			}
			share := float64(together) / (runs / 2)
			require.GreaterOrEqual(t, share, c.least)
			require.LessOrEqual(t, share, c.most)
		})
	}
}

func TestFailuresMakeTriesRarer(t *testing.T) {
	h := &habit{}
	h.noteApart(time.Millisecond, nil, 1)
	var tried []int
	for run := range 6000 {
		if h.together(4) {
			h.noteFailed()
			tried = append(tried, run)
		} else {
			h.noteApart(time.Millisecond, nil, 1)
		}
	}
	require.Equal(t, []int{0, 17, 274, 4371}, tried)
	h.rest = 0
	h.noteUnited(time.Millisecond, 1)
	require.True(t, h.together(4), "what worked is no failure any more")
}
