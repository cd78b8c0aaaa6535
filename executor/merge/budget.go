package merge

import (
	"fmt"

	"github.com/servaldb/serval/internal/sqlerr"
)

// Budget bounds what one statement holds in memory. Not for concurrent use.
type Budget struct {
	// Limit is in bytes, MaxRows in rows; MaxRows 0 is no limit.
	Limit, MaxRows int64
	used, rows     int64
}

// Used is how many bytes are held.
func (b *Budget) Used() int64 { return b.used }

// Take counts a row more, of n bytes, held for what, a step of the statement in
// the client's words. Past a limit it is error 1038 and nothing is counted.
func (b *Budget) Take(n int, what string) error {
	if b.used+int64(n) > b.Limit {
		return sqlerr.New(sqlerr.OutOfMemory, "Serval holds at most %s in memory for one statement, and %s needs more: "+
			"narrow it with WHERE or LIMIT", size(b.Limit), what)
	}
	if b.MaxRows > 0 && b.rows == b.MaxRows {
		return sqlerr.New(sqlerr.OutOfMemory, "Serval holds at most %d rows for one statement (serval_max_rows), and %s needs more: "+
			"narrow it with WHERE or LIMIT, or SET serval_max_rows", b.MaxRows, what)
	}
	b.used, b.rows = b.used+int64(n), b.rows+1
	return nil
}

// Give counts rows of n bytes as no longer held.
func (b *Budget) Give(n, rows int) { b.used, b.rows = b.used-int64(n), b.rows-int64(rows) }

func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
