package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// TestManySessionsFinishAtOnce: 64 sessions on a small pool wait for each other's connections, all
// get the answer, and a second round leaves no more behind than the first did.
func TestManySessionsFinishAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const sessions, rows = 64, 400
		proxy := boundedShop(t, s, "boundedmany", rows, "pool: {max: 8, acquire_timeout: 60s}\n")
		round := func() {
			db := proxy.open(t, "boundedmany")
			var all errgroup.Group
			for range sessions {
				all.Go(func() error {
					var n int
					err := db.QueryRowContext(t.Context(), "SELECT COUNT(DISTINCT b.id) * 10 + COUNT(DISTINCT s.id) FROM big b LEFT JOIN small s ON s.v = b.v").Scan(&n)
					if err == nil && n != rows*10+3 {
						t.Errorf("%d", n)
					}
					return err
				})
			}
			require.NoError(t, all.Wait())
			require.NoError(t, db.Close())
			noFinishing(t, s)
		}
		round()
		goroutines, files := proxy.goroutines(t), proxy.files(t)
		round()
		require.Eventually(t, func() bool {
			return proxy.goroutines(t) <= goroutines+10 && proxy.files(t) <= files+10
		}, 10*time.Second, 50*time.Millisecond, "of goroutines there were %d and are %d, of files %d and %d", goroutines, proxy.goroutines(t), files, proxy.files(t))
	})
}

func (p *serval) goroutines(t *testing.T) int {
	found := regexp.MustCompile(`(?m)^go_goroutines (\d+)$`).FindStringSubmatch(p.get(t, "/metrics"))
	require.NotNil(t, found)
	n, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	return n
}

func (p *serval) files(t *testing.T) int {
	open, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "fd"))
	require.NoError(t, err)
	return len(open)
}
