//go:build soak

package integration

import (
	"testing"
	"time"
)

// TestSoakNoCrashLeavesHalfATransaction is the acceptance run: 200 kills of
// Serval and of primaries, the first of them at every step of the protocol.
func TestSoakNoCrashLeavesHalfATransaction(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		faulty := buildFaulty(t)
		m := newTorment(t, s, 2)
		for _, point := range faultPoints {
			for i := range 4 {
				m.at(faulty, point, i%2, i >= 2)
			}
		}
		for m.kills < 200 {
			m.any()
		}
		m.end()
	})
}

// any kills Serval, a primary or both at a random moment.
func (m *torment) any() {
	time.Sleep(time.Duration(m.r.IntN(400)) * time.Millisecond) // a random moment is what is wanted
	what, cluster := m.r.IntN(4), m.r.IntN(2)
	serval, primary := what != 0, what < 2
	if serval {
		m.killServal()
	}
	if primary {
		m.killPrimary(cluster)
		m.restart(cluster)
	}
	if serval { // it would not be ready without the primary
		m.serval = m.serve(m.T, binary)
	}
	m.progress()
}
