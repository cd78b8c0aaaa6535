//go:build soak

package integration

import "testing"

// TestSoakInsertID is TestInsertID for tables of every kind.
func TestSoakInsertID(t *testing.T) {
	all := []string{"home", "away", "byk", "uq", "copies"}
	runInsertIDs(t, [2][]string{all, all})
}
