//go:build soak

package integration

import "testing"

// All functions of others on each engine, of which TestForeignAlgorithms has half.
func TestSoakForeignAlgorithms(t *testing.T) { runAlgorithms(t, "falgosoak", foreignCases) }
