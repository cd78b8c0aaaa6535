//go:build soak

package integration

import "testing"

// TestSoakTPCH is the acceptance run: the 22 queries over 300,000 line items.
func TestSoakTPCH(t *testing.T) {
	for _, e := range []string{"mysql", "mariadb"} { // one after the other: it is also a measurement
		t.Run(e, func(t *testing.T) {
			for engine, s := range sets {
				if engine.String() == e {
					runTPCH(t, s, 0.05)
				}
			}
		})
	}
}
