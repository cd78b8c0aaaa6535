package admin

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

const (
	digestParts = 16
	// maxDigests bounds the statements that are told apart, each with its text
	// of at most maxDigestText bytes; what comes when all places are taken is
	// counted together under an empty text, as performance_schema does.
	maxDigests    = 4096
	maxDigestText = 1024
)

// Digest is what was counted of the statements that are alike but for their
// literals, since the start.
type Digest struct {
	Schema, Text string
	Count        uint64
	Errors       uint64
	// Total and Max are execution times.
	Total, Max time.Duration
	// Rows were sent to clients, where they were counted; Tasks ran on servers.
	Rows, Tasks uint64
	FirstSeen   time.Time
	LastSeen    time.Time
}

// Digests counts statements by digest. Safe for concurrent use.
type Digests struct {
	seed  maphash.Seed
	parts [digestParts]digestPart
}

type digestPart struct {
	mu   sync.Mutex
	byID map[uint64]*Digest // guarded by mu
}

// NewDigests makes an empty one.
func NewDigests() *Digests {
	d := &Digests{seed: maphash.MakeSeed()}
	for i := range d.parts {
		d.parts[i].byID = map[uint64]*Digest{}
	}
	return d
}

// Observe counts one statement. text is valid during the call only; rows below
// 0 were not counted.
func (d *Digests) Observe(schema string, text []byte, took time.Duration, rows int64, tasks int, failed bool, now time.Time) {
	text = text[:min(len(text), maxDigestText)]
	id := maphash.Bytes(d.seed, text) ^ maphash.String(d.seed, schema)
	p := &d.parts[id%digestParts]
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.byID[id]
	if g == nil {
		if len(p.byID) >= maxDigests/digestParts {
			id, schema, text = 0, "", nil
			g = p.byID[id]
		}
		if g == nil {
			g = &Digest{Schema: schema, Text: string(text), FirstSeen: now}
			p.byID[id] = g
		}
	}
	g.Count++
	g.Total += took
	g.Max = max(g.Max, took)
	g.Tasks += uint64(max(tasks, 0))
	g.Rows += uint64(max(rows, 0))
	g.LastSeen = now
	if failed {
		g.Errors++
	}
}

// Top are the n digests that took longest together.
func (d *Digests) Top(n int) []Digest {
	var out []Digest
	for i := range d.parts {
		p := &d.parts[i]
		p.mu.Lock()
		for _, g := range p.byID {
			out = append(out, *g)
		}
		p.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b Digest) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Schema, b.Schema))
	})
	return out[:min(n, len(out))]
}
