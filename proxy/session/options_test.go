package session

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDefaultConsistencyIsTheConfiguredOne(t *testing.T) {
	o := newOptions("eventual")
	require.Equal(t, "eventual", o.consistency)
	require.NoError(t, o.set("serval_consistency", "global"))
	require.Equal(t, "global", o.consistency)
	require.NoError(t, o.set("serval_consistency", "DEFAULT"))
	require.Equal(t, "eventual", o.consistency)
	require.Equal(t, "session", newOptions("").consistency)
}
