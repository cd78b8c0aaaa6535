package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSharesAreReadWithAndWithoutPercent(t *testing.T) {
	for text, want := range map[string]float64{"10%": 0.1, "0.25": 0.25, "100%": 1, "0": 0, "1": 1} {
		got, err := shareOf("--tolerance", text)
		require.NoError(t, err, text)
		require.InDelta(t, want, got, 1e-12, text)
	}
	for _, text := range []string{"", "x", "10", "-1%", "101%", "NaN", "5 %"} {
		_, err := shareOf("--tolerance", text)
		require.ErrorContains(t, err, "write a share like 10%", text)
	}
}
