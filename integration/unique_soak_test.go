//go:build soak

package integration

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Many sessions insert, change and delete rows with the same emails: whoever is
// told that it is in has it alone.
func TestSoakUniqueAmongManySessions(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		h := newResidents(t, s)
		p := h.serve(t, binary)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		h.work(ctx, t, p, 1, func() {})
		h.check(t, p)
		require.NotZero(t, h.counts["1062"])
		require.NotZero(t, h.counts["read"])
		h.rows = map[int64]string{}
		takeOver(t, p, h.schema)
		c := oneConn(t, p.open(t, h.schema))
		mustExec(t, c, "SET serval_consistency = 'global'")
		requireKept(t, c, "rows were taken over")
		emails := allRows(t, c, "SELECT email FROM members WHERE email IS NOT NULL")
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(emails))), len(emails))
	})
}
