//go:build soak

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSoakAFrozenCommitEndsWhole holds a COMMIT at each step for longer than
// another Serval, which runs all the time, waits before it ends its branches; and
// freezes a primary behind a step for longer than a COMMIT waits for it. Both go
// on afterwards.
func TestSoakAFrozenCommitEndsWhole(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		faulty := buildFaulty(t)
		m := newTorment(t, s, 3)
		text, err := os.ReadFile(m.config)
		require.NoError(t, err)
		beside := filepath.Join(t.TempDir(), "beside.yaml")
		listen, admin := freeAddr(t), freeAddr(t)
		require.NoError(t, os.WriteFile(beside, []byte(strings.NewReplacer(m.listen, listen, m.admin, admin).Replace(string(text))), 0o600))
		other := startProgram(t, binary, nil, listen, admin, "-c", beside)
		for _, point := range faultPoints {
			m.frozen(faulty, point, -1, 9*time.Second)
		}
		for cluster := range 2 {
			for _, point := range []string{"begin-commit", "prepared", "decided"} {
				m.frozen(faulty, point, cluster, 14*time.Second)
			}
		}
		m.end()
		other.stop(t)
	})
}

// frozen holds a COMMIT at the step for that long, or lets it go on while the
// cluster's primary does not.
func (m *torment) frozen(program, point string, cluster int, long time.Duration) {
	m.killServal()
	file := filepath.Join(m.TempDir(), "held")
	m.serval = m.serve(m.T, program, "SERVAL_FAULT="+point+":"+file)
	require.Eventually(m, func() bool { _, err := os.Stat(file); return err == nil }, time.Minute, time.Millisecond, point)
	if cluster < 0 {
		time.Sleep(long)
		require.NoError(m, os.Remove(file))
	} else {
		require.NoError(m, m.clusters[cluster].Primary.Freeze())
		err := os.Remove(file)
		time.Sleep(long)
		require.NoError(m, m.clusters[cluster].Primary.Thaw())
		require.NoError(m, err)
	}
	m.progress()
}
