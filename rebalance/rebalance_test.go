package rebalance_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/rebalance"
	"github.com/servaldb/serval/shardrule"
)

// TestDecisions: lines like 0-255: 4000 rows 100 in, for a run of slots that has so
// much weight and so many rows together (rows: as many, where it does not say);
// out come the shards before and after, what moves, and which slots are hot.
func TestDecisions(t *testing.T) {
	datadriven.RunTest(t, "testdata/decide.txt", func(t *testing.T, d *datadriven.TestData) string {
		n, tolerance, most := 4, 5, 100
		d.MaybeScanArgs(t, "shards", &n)
		d.MaybeScanArgs(t, "tolerance", &tolerance)
		d.MaybeScanArgs(t, "at-most", &most)
		h, err := shardrule.NewHash(n)
		require.NoError(t, err)
		var m rebalance.Measure
		for line := range strings.Lines(d.Input) {
			addLine(t, &m, strings.TrimSpace(line))
		}
		return decisionText(rebalance.Decide(*h.Owners(), n, &m, rebalance.Options{Tolerance: float64(tolerance) / 100, MoveAtMost: float64(most) / 100}))
	})
}

func addLine(t *testing.T, m *rebalance.Measure, line string) {
	t.Helper()
	run, what, ok := strings.Cut(line, ": ")
	require.True(t, ok, line)
	low, high, isRun := strings.Cut(run, "-")
	if !isRun {
		high = low
	}
	number := func(text string) float64 {
		f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		require.NoError(t, err, line)
		return f
	}
	weight, rows, given := strings.Cut(what, " rows ")
	if !given {
		rows = weight
	}
	slots := number(high) - number(low) + 1
	for slot := int(number(low)); slot <= int(number(high)); slot++ {
		m.Weight[slot] += number(weight) / slots
		m.Cost[slot] += number(rows) / slots
	}
}

func decisionText(d *rebalance.Decision) string {
	var b strings.Builder
	lists := d.After.Lists(len(d.Shards))
	for i, s := range d.Shards {
		outside := ""
		if s.Outside {
			outside = " outside"
		}
		fmt.Fprintf(&b, "shard %d  %.0f -> %.0f%s  slots %s\n", i, s.Before, s.After, outside, lists[i])
	}
	for _, m := range d.Moves {
		fmt.Fprintf(&b, "slots %d-%d from %d to %d: %.0f, %.0f rows\n", m.First, m.Last, m.From, m.To, m.Weight, m.Cost)
	}
	for _, h := range d.Hot {
		fmt.Fprintf(&b, "hot: slot %d on shard %d has %.0f\n", h.Slot, h.Shard, h.Weight)
	}
	fmt.Fprintf(&b, "moved %.0f of %.0f rows, untouched %d", d.Cost, d.Total, d.Untouched())
	if d.Bounded {
		b.WriteString(", more may not move")
	}
	return b.String() + "\n"
}

func TestDecisionsKeepWhatTheyPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "shards")
		var before shardrule.SlotOwners
		perm := rapid.SliceOfN(rapid.IntRange(0, n-1), shardrule.Slots, shardrule.Slots).Draw(t, "owners")
		for slot, shard := range perm {
			before[slot] = uint16(shard)
		}
		for shard := range n {
			before[shard] = uint16(shard)
		}
		var m rebalance.Measure
		for slot, w := range rapid.SliceOfN(rapid.IntRange(0, 1000), shardrule.Slots, shardrule.Slots).Draw(t, "weights") {
			m.Weight[slot], m.Cost[slot] = float64(w), float64(1000-w)
		}
		if rapid.Bool().Draw(t, "hot") {
			m.Weight[rapid.IntRange(0, shardrule.Slots-1).Draw(t, "slot")] = rapid.Float64Range(0, 1e6).Draw(t, "its weight")
		}
		opt := rebalance.Options{Tolerance: 0.05, MoveAtMost: rapid.SampledFrom([]float64{0, 0.01, 0.1, 1}).Draw(t, "at most")}
		d := rebalance.Decide(before, n, &m, opt)

		require.LessOrEqual(t, d.Cost, d.Total*opt.MoveAtMost+0.001, "no more moves than may")
		worst, was := 0.0, 0.0
		sum := make([]float64, n)
		for slot, shard := range d.After {
			sum[shard] += m.Weight[slot]
		}
		for i, s := range d.Shards {
			require.InDelta(t, sum[i], s.After, 0.01)
			require.NotEmpty(t, d.After.Lists(n)[i], "every shard has a slot")
			worst, was = max(worst, s.After), max(was, s.Before)
		}
		require.LessOrEqual(t, worst, was+0.001, "the fullest shard has no more than before")
		for _, move := range d.Moves {
			for slot := move.First; slot <= move.Last; slot++ {
				require.EqualValues(t, move.From, before[slot])
				require.EqualValues(t, move.To, d.After[slot])
				before[slot] = d.After[slot]
			}
		}
		require.Equal(t, d.After, before, "the moves are all there is")
	})
}

// What has to move is what shards have too much, or what others lack, whichever
// is more; a run of slots is as fine as its slots are.
func TestLittleMoreMovesThanHasTo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 8).Draw(t, "shards")
		h, err := shardrule.NewHash(n)
		require.NoError(t, err)
		var m rebalance.Measure
		skew := rapid.SliceOfN(rapid.Float64Range(0.3, 3), n, n).Draw(t, "skew")
		total, largest := 0.0, 0.0
		for slot, shard := range h.Owners() {
			m.Weight[slot] = skew[shard] * (1 + float64(slot%7)/10)
			m.Cost[slot] = m.Weight[slot]
			total, largest = total+m.Weight[slot], max(largest, m.Weight[slot])
		}
		d := rebalance.Decide(*h.Owners(), n, &m, rebalance.Options{Tolerance: 0.05, MoveAtMost: 1})
		mean := total / float64(n)
		over, under := 0.0, 0.0
		for _, s := range d.Shards {
			require.False(t, s.Outside, "%+v", d.Shards)
			over, under = over+max(0, s.Before-mean*1.05), under+max(0, mean*0.95-s.Before)
		}
		require.LessOrEqual(t, d.Moved, max(over, under)+float64(n)*(largest+mean*0.02))
	})
}
