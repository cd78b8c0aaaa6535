package advise

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/servaldb/serval/parser"
)

const (
	// maxDigests bounds the statements that are told apart; what comes later is
	// counted in Workload.Dropped.
	maxDigests = 20_000
	// maxSamples of each digest's texts are kept, of transactions maxTransactions
	// with maxStatements each.
	maxSamples      = 64
	maxTransactions = 2_000
	maxStatements   = 100
	// maxOpen bounds the connections whose transactions are followed at once.
	maxOpen = 10_000
)

// Digest is the statements that are alike but for their literals.
type Digest struct {
	DB string
	// Text is the statement with ? for literals.
	Text  string
	Count uint64
	// Seconds in all and at most, 0 where the log does not say.
	Seconds, Slowest float64
	// samples are statements with their values, picked evenly.
	samples []string
}

// Workload is what an application asks. Not safe for concurrent use.
type Workload struct {
	digests map[digestKey]*Digest
	// Dropped counts statements of digests that had no place.
	Dropped uint64
	// Unread counts texts that no statement could be made of.
	Unread uint64

	transactions [][]statement
	ended        int // transactions there were
	open         map[uint64][]statement
	pick         *rand.Rand
	lexer        parser.Lexer
	fp           parser.Fingerprint
}

type digestKey struct{ db, key string }

type statement struct{ db, sql string }

// NewWorkload is empty. Which samples are kept depends on nothing but what is
// added.
func NewWorkload() *Workload {
	return &Workload{digests: map[digestKey]*Digest{}, open: map[uint64][]statement{}, pick: rand.New(rand.NewPCG(1, 2))}
}

// Add counts one statement of a log.
func (w *Workload) Add(e Event) {
	if err := w.lexer.Fingerprint([]byte(e.SQL), 0, &w.fp); err != nil {
		w.Unread++ // a log may hold what no server took
		return
	}
	d := w.digest(e.DB, string(w.fp.Key))
	if d == nil {
		w.Dropped++
		return
	}
	d.Count++
	d.Seconds += e.Seconds
	d.Slowest = max(d.Slowest, e.Seconds)
	if len(d.samples) < maxSamples {
		d.samples = append(d.samples, e.SQL)
	} else if i := w.pick.Uint64N(d.Count); i < maxSamples {
		d.samples[i] = e.SQL
	}
	w.follow(e, w.fp.Verb)
}

// AddDigest counts statements of which only the text with ? is known.
func (w *Workload) AddDigest(d Digest) {
	known := w.digest(d.DB, d.Text)
	if known == nil {
		w.Dropped += d.Count
		return
	}
	known.Count += d.Count
	known.Seconds += d.Seconds
	known.Slowest = max(known.Slowest, d.Slowest)
}

func (w *Workload) digest(db, key string) *Digest {
	k := digestKey{db, key}
	d := w.digests[k]
	if d == nil && len(w.digests) < maxDigests {
		d = &Digest{DB: db, Text: key}
		w.digests[k] = d
	}
	return d
}

// follow keeps the statements between BEGIN and COMMIT of a connection.
func (w *Workload) follow(e Event, verb string) {
	switch verb {
	case "BEGIN", "START":
		w.end(e.Thread)
		if len(w.open) < maxOpen {
			w.open[e.Thread] = []statement{}
		}
	case "COMMIT":
		w.end(e.Thread)
	case "ROLLBACK":
		if !strings.Contains(strings.ToUpper(e.SQL), " TO ") {
			delete(w.open, e.Thread)
		}
	default:
		if own, open := w.open[e.Thread]; open && len(own) < maxStatements {
			w.open[e.Thread] = append(own, statement{e.DB, e.SQL})
		}
	}
}

// end is a transaction's COMMIT.
func (w *Workload) end(thread uint64) {
	own := w.open[thread]
	delete(w.open, thread)
	if len(own) == 0 {
		return
	}
	w.ended++
	if len(w.transactions) < maxTransactions {
		w.transactions = append(w.transactions, own)
	} else if i := w.pick.IntN(w.ended); i < maxTransactions {
		w.transactions[i] = own
	}
}

// Digests are those there are, the most frequent first.
func (w *Workload) Digests() []*Digest {
	out := make([]*Digest, 0, len(w.digests))
	for _, d := range w.digests {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b *Digest) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.DB, b.DB), strings.Compare(a.Text, b.Text))
	})
	return out
}
