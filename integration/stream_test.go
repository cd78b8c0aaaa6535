package integration

import (
	"context"
	"database/sql"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// runServal runs one command of the binary to its end.
func runServal(args ...string) (string, error) {
	out, err := exec.Command(binary, args...).CombinedOutput()
	return string(out), err
}

// A scan of a whole sharded table streams: its first row comes at once, and
// memory stays flat.
func TestStreamingSelect(t *testing.T) {
	streaming(t, 100_000)
}

func streaming(t *testing.T, rows int) {
	const growth = 30 << 20 // bytes
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "streaming")
		db := p.open(t, "streaming")
		fillT(t, db, rows)
		s.sync(t)
		conn := oneConn(t, db)
		scan(t, conn, "SELECT * FROM t WHERE id <= 100") // connections are made, plans cached
		for _, query := range []string{"SELECT * FROM t", "SELECT id, name FROM t ORDER BY id"} {
			before := p.rss(t)
			var peak atomic.Int64
			watch, stop := context.WithCancel(t.Context())
			watched := make(chan struct{})
			go func() {
				defer close(watched)
				for watch.Err() == nil {
					if now, err := residentBytes(p.cmd.Process.Pid); err == nil {
						peak.Store(max(peak.Load(), now))
					}
					time.Sleep(5 * time.Millisecond) // a sampling interval
				}
			}()
			first, total, n := scan(t, conn, query)
			stop()
			<-watched
			require.Equal(t, rows, n)
			grown := peak.Load() - before
			t.Logf("%s: %d rows in %v, the first after %v, memory grew by %.1f MB from %.1f", query, n, total.Round(time.Millisecond), first.Round(10*time.Microsecond), float64(grown)/(1<<20), float64(before)/(1<<20))
			require.Less(t, grown, int64(growth), "memory is flat")
			if query == "SELECT * FROM t" {
				require.Less(t, first, max(100*time.Millisecond, total/2), "the first row comes at once (10 ms on a quiet machine)")
			}
		}
	})
}

// scan reads a whole result; it returns the time to the first row and to the end.
func scan(t *testing.T, conn *sql.Conn, query string) (first, total time.Duration, n int) {
	t.Helper()
	began := time.Now()
	rows, err := conn.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if n == 0 {
			first = time.Since(began)
		}
		n++
	}
	require.NoError(t, rows.Err())
	return first, time.Since(began), n
}
