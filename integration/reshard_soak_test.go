//go:build soak

package integration

import "testing"

func TestSoakTablesMoveWhileTheyAreWritten(t *testing.T) { moveTables(t, soakMoves) }
