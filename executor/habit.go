package executor

import (
	"bytes"
	"math"
	"sync"
	"time"

	"github.com/servaldb/serval/internal/wire"
)

const (
	// unitedTime is up to which a run is short, whatever it takes the other way:
	// a little above what a statement takes that reads some rows by an index.
	// Runs that take up to triedTime are tried together.
	unitedTime, triedTime = 4 * time.Millisecond, 50 * time.Millisecond
	// unitedBytes is the most an answer had.
	unitedBytes = 256 << 10
	// tries of each way, taking turns, come before one of them is chosen.
	tries = 4
	// probeRuns is after how many runs the other way has one; more, the longer
	// that takes. Each that speaks for the choice doubles it, probeDoubled times
	// at most, until the level has become another by levelMoved.
	probeRuns, probeDoubled, levelMoved = 32, 4, 3
	// keepWay is how much worse than its limit the way that was chosen may seem:
	// single runs vary.
	keepWay = 1.1
	// restRuns is how many runs nothing is tried after a failure, 16 times as
	// many for each further one up to restMost.
	restRuns, restMost = 16, 1 << 16
)

// habit is what is known of a route's earlier runs, of all sessions. Safe for
// concurrent use.
//
// Times say little by themselves: on a busy machine both ways take many times as
// long. What is learned is the ratio of both, each run of the other way compared
// with those of the chosen one around it. Together takes fewer steps but has one
// server's shards in turn: of n of them (o + n·w) instead of n·(o + w), where o
// is a statement's own cost and w a shard's work. On a busy machine these are
// what counts; on an idle one who asks alone waits (o + n·w) instead of (o + w).
// It is done where w ≤ o, however fast the machine is: where it takes up to
// (n+1)/2 times as long as apart.
type habit struct {
	spares sync.Pool // of *spare

	mu sync.Mutex
	// all below are guarded by mu
	columns []wire.Column
	bytes   int
	// apart and united are the runs of either way, up to tries, and the least
	// time of these: the first ones find caches cold and nothing prepared.
	apart, united       int
	apartMin, unitedMin time.Duration
	// Then level is about what a run apart takes at the moment, in nanoseconds,
	// and ratio how many times as long one together takes.
	level, ratio float64
	chosen       bool    // together
	since        int     // runs since the other way had one
	steady       int     // probes since one spoke against the choice
	probed       float64 // the level at the last one
	limit        float64 // the ratio up to which together is chosen
	rest         int     // runs for which together is not tried
	failed       int     // rest of the last failure
	// shortRest is for how many runs arms are asked for the whole LIMIT, and
	// shortFailed what it was after the last run that had asked for too little.
	shortRest, shortFailed int
	// alone: the text was looked at, and has no query within a query.
	looked, alone bool
}

// together decides the next run of a route of which at most n shards are on one
// server.
func (h *habit) together(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rest > 0 {
		h.rest--
		return false
	}
	if h.apart == 0 || h.bytes > unitedBytes {
		return false
	}
	if h.united < tries {
		return h.level <= float64(triedTime) && h.united < h.apart
	}
	h.ratio = min(h.ratio, float64(n)) // more is chance
	limit, short := float64(n+1)/2, float64(unitedTime)
	if h.chosen {
		limit, short = limit*keepWay, short*keepWay
	}
	h.limit = limit
	if was := h.chosen; was != (h.ratio <= limit || h.level*h.ratio <= short) {
		h.chosen, h.steady = !was, 0
	}
	if h.level > h.probed*levelMoved || h.level < h.probed/levelMoved {
		h.steady = 0
	}
	every := probeRuns << min(h.steady, probeDoubled)
	if !h.chosen {
		if h.level > float64(triedTime) {
			return false
		}
		every = int(float64(every) * (1 + h.ratio))
	}
	if h.since++; h.since >= every {
		h.since, h.probed = 0, h.level
		h.steady++
		return !h.chosen
	}
	return h.chosen
}

// noteApart follows a run that succeeded.
func (h *habit) noteApart(took time.Duration, columns []wire.Column, bytes int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.columns, h.bytes = columns, bytes
	switch {
	case h.united < tries:
		if h.apart++; h.apart == 1 || took < h.apartMin {
			h.apartMin = took
		}
		h.level = toward(h.level, float64(took), h.apart)
	case h.chosen:
		h.probe(h.level * h.ratio / float64(max(took, 1)))
	default:
		h.level = toward(h.level, float64(took), tries)
	}
}

// noteUnited follows a run that succeeded.
func (h *habit) noteUnited(took time.Duration, bytes int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bytes, h.failed = bytes, 0
	switch {
	case h.united < tries:
		if h.united++; h.united == 1 || took < h.unitedMin {
			h.unitedMin = took
		}
		h.ratio = float64(max(h.unitedMin, 1)) / float64(max(h.apartMin, 1))
	case h.chosen:
		h.level = toward(h.level, float64(took)/h.ratio, tries)
	default:
		h.probe(float64(max(took, 1)) / h.level)
	}
}

// probe takes the ratio that a run of the other way had.
func (h *habit) probe(ratio float64) {
	if (ratio <= h.limit) != h.chosen {
		h.steady = 0
	}
	h.ratio = toward(h.ratio, ratio, tries)
}

// toward moves a typical value by an eighth towards a new one, which is the
// run-th; what is far off counts for no more than the double or the half.
func toward(typical, value float64, run int) float64 {
	if run == 1 {
		return value
	}
	return typical * math.Pow(max(0.5, min(value/typical, 2)), 0.125)
}

// noteFailed follows a run together that has to be done again.
func (h *habit) noteFailed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed = min(max(restRuns, 16*h.failed), restMost)
	h.rest = max(h.rest, h.failed)
}

// shown are the columns a shard's answer has.
func (h *habit) shown() []wire.Column {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.columns
}

// noteText looks at a shard's text, the first that comes: all have the same
// words. What a server has resolved once it runs again and again; where there
// are queries within the query servers have had too many faults at that.
func (h *habit) noteText(sql []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.looked {
		h.looked, h.alone = true, bytes.Count(bytes.ToUpper(sql), []byte("SELECT")) == 1
	}
}

// plain reports that the text may be prepared under a name.
func (h *habit) plain() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.alone
}
