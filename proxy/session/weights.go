package session

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/shardrule"
)

// maxWeights bounds the cache, in entries; maxWeightText what is worth keeping.
const (
	maxWeights    = 100_000
	maxWeightText = 1024
)

// Weights remembers weight strings that servers have computed, for sharding
// keys that are collated text. Safe for concurrent use. A weight string never
// changes, so entries are dropped only for room: all of the older half.
type Weights struct {
	mu         sync.RWMutex
	young, old map[weightKey][]byte // guarded by mu
	zones      zones
}

type weightKey struct{ charset, collation, text string }

// NewWeights makes an empty cache.
func NewWeights() *Weights {
	return &Weights{young: map[weightKey][]byte{}, old: map[weightKey][]byte{}}
}

func (w *Weights) lookup(k weightKey) ([]byte, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if v, ok := w.young[k]; ok {
		return v, true
	}
	v, ok := w.old[k]
	return v, ok
}

func (w *Weights) store(k weightKey, weight []byte) {
	if len(k.text) > maxWeightText {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.young) >= maxWeights/2 {
		w.old, w.young = w.young, map[weightKey][]byte{}
	}
	w.young[k] = weight
}

// asker runs a query on any server; the session gives its own.
type asker interface {
	ask(ctx context.Context, sql string) (rows [][][]byte, err error)
}

// weigher is Weights seen with one statement's character set: the same bytes
// in two character sets are two texts. Texts too long to cache are kept for
// the statement.
type weigher struct {
	shared  *Weights
	charset string
	// session is of whom Zone is asked; otherwise is the servers' own zone.
	session   *settings
	otherwise string
	long      map[weightKey][]byte
}

var (
	_ shardrule.Weigher    = (*weigher)(nil)
	_ shardrule.Charsetter = (*weigher)(nil)
	_ shardrule.Zoner      = (*weigher)(nil)
)

// Weight implements shardrule.Weigher.
func (w *weigher) Weight(collation string, text []byte) ([]byte, bool) {
	k := w.key(collation, text)
	if v, ok := w.long[k]; ok {
		return v, true
	}
	return w.shared.lookup(k)
}

// Charset implements shardrule.Charsetter.
func (w *weigher) Charset() string { return w.charset }

func (w *weigher) key(collation string, text []byte) weightKey {
	k := weightKey{collation: collation, text: string(text)}
	if !ascii(text) {
		k.charset = w.charset
	}
	return k
}

// learn asks a server for one weight string.
func (w *weigher) learn(ctx context.Context, a asker, need *shardrule.WeightNeeded) error {
	sql := fmt.Sprintf("SELECT WEIGHT_STRING(CONVERT(_%s x'%s' USING %s) COLLATE %s)",
		w.charset, hex.EncodeToString(need.Text), collationCharset(need.Collation), need.Collation)
	rows, err := a.ask(ctx, sql)
	if err != nil {
		return err
	}
	if len(rows) != 1 || len(rows[0]) != 1 || rows[0][0] == nil {
		return sqlerr.New(sqlerr.UnknownError, "Serval: the server gave no weight string in %s", need.Collation)
	}
	k := w.key(need.Collation, need.Text)
	if len(k.text) > maxWeightText {
		if w.long == nil {
			w.long = map[weightKey][]byte{}
		}
		w.long[k] = rows[0][0]
		return nil
	}
	w.shared.store(k, rows[0][0])
	return nil
}

// collationCharset is the character set a collation belongs to: its name's
// first part, on MySQL and MariaDB (uca1400 collations are named without one
// only where the character set is implied, and are utf8mb4 here).
func collationCharset(collation string) string {
	cs, _, _ := strings.Cut(collation, "_")
	if cs == "uca1400" {
		return "utf8mb4"
	}
	return cs
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
