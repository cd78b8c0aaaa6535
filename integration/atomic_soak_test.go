//go:build soak

package integration

import "testing"

// TestSoakNoCrashLeavesHalfATransaction is the acceptance run: 200 kills of
// Serval and of primaries, the first of them at every step of the protocol.
func TestSoakNoCrashLeavesHalfATransaction(t *testing.T) {
	faulty := buildFaulty(t)
	eachEngine(t, func(t *testing.T, s *serverSet) {
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
