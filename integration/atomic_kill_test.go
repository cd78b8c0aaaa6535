package integration

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// No crash of a server leaves half a transaction either: a primary is killed
// while Serval is at each step of the commit protocol, and goes on or is killed
// too. (Random moments are TestSoakNoCrashLeavesHalfATransaction's.)
func TestNoCrashOfAServerLeavesHalfATransaction(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		faulty := buildFaulty(t)
		m := newTorment(t, s, 1)
		for i, point := range faultPoints {
			m.at(faulty, point, i%2, i == 1 || i == 2)
		}
		m.end()
	})
}

// torment is a bank whose customers never stop, while things are killed.
type torment struct {
	*testing.T
	*bank
	r       *rand.Rand
	serval  *serval
	stop    func()
	kills   int
	slowest time.Duration
}

func newTorment(t *testing.T, s *serverSet, seed uint64) *torment {
	t.Helper()
	clusters := s.Own(t)
	m := &torment{T: t, bank: newBank(t, clusters, "bank"), r: rand.New(rand.NewPCG(seed, seed))}
	m.serval = m.serve(t, binary)
	ctx, cancel := context.WithCancel(t.Context())
	db := m.serval.open(t, m.schema)
	var workers sync.WaitGroup
	for w := range uint64(4) {
		r := rand.New(rand.NewPCG(w, seed))
		workers.Go(func() {
			for ctx.Err() == nil {
				// One in four is in a hurry, and may vanish at any moment.
				limit := 20 * time.Second
				if r.IntN(4) == 0 {
					limit = time.Duration(1+r.IntN(40)) * time.Millisecond
				}
				each, done := context.WithTimeout(ctx, limit)
				if err := m.transfer(each, db, r); err != nil && !deadlock(err) {
					time.Sleep(5 * time.Millisecond) // something is killed just now
				}
				done()
			}
		})
	}
	m.stop = sync.OnceFunc(func() { cancel(); workers.Wait() })
	t.Cleanup(m.stop)
	return m
}

// at holds a Serval at the point of its protocol and kills a primary there,
// then lets it go on, or kills it too.
func (m *torment) at(program, point string, cluster int, both bool) {
	m.killServal()
	file := filepath.Join(m.TempDir(), "held")
	m.serval = m.serve(m.T, program, "SERVAL_FAULT="+point+":"+file)
	require.Eventually(m, func() bool { _, err := os.Stat(file); return err == nil }, 20*time.Second, time.Millisecond, point)
	m.killPrimary(cluster)
	if both {
		m.killServal()
	}
	require.NoError(m, os.Remove(file))
	m.restart(cluster)
	if both {
		m.serval = m.serve(m.T, binary)
	}
	m.progress()
}

func (m *torment) killServal() {
	_ = m.serval.cmd.Process.Kill()
	m.serval.awaitKilled(m.T)
	m.kills++
}

func (m *torment) killPrimary(cluster int) {
	require.NoError(m, m.clusters[cluster].Primary.Kill9())
	m.kills++
}

func (m *torment) restart(cluster int) {
	require.NoError(m, m.clusters[cluster].Primary.Restart(m.Context()))
}

// progress waits until something is acknowledged again.
func (m *torment) progress() {
	began, before := time.Now(), m.acknowledged()
	require.Eventually(m, func() bool { return m.acknowledged() > before+8 }, 40*time.Second, 5*time.Millisecond,
		"nothing is committed any more\n%s", m.serval.log)
	m.slowest = max(m.slowest, time.Since(began))
}

func (b *bank) acknowledged() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.acked)
}

func (m *torment) end() {
	m.stop()
	m.serval.stop(m.T)
	m.check(m.T)
	m.Logf("%d kills; at most %v until the first commits afterwards", m.kills, m.slowest.Round(time.Millisecond))
}
