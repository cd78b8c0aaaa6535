package merge

import (
	"fmt"

	"github.com/servaldb/serval/internal/sqlerr"
)

// Budget bounds what one statement holds in memory. Not for concurrent use.
type Budget struct {
	// Limit is in bytes.
	Limit int64
	used  int64
}

// Used is how many bytes are held.
func (b *Budget) Used() int64 { return b.used }

// Take counts n more bytes held for what, a step of the statement in the
// client's words. Past the limit it is error 1038 and nothing is counted.
func (b *Budget) Take(n int, what string) error {
	if b.used+int64(n) > b.Limit {
		return sqlerr.New(sqlerr.OutOfMemory, "Serval holds at most %s in memory for one statement, and %s needs more: "+
			"narrow it with WHERE or LIMIT", size(b.Limit), what)
	}
	b.used += int64(n)
	return nil
}

// Give counts n bytes as no longer held.
func (b *Budget) Give(n int) { b.used -= int64(n) }

func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
