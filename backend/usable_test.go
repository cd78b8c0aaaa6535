package backend

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqltest"
)

// Branches are made to stay with their connection once, which leaves no state
// that a session would have to undo; MariaDB has nothing to set.
func TestAttachBranches(t *testing.T) {
	for version, want := range map[string]int{"9.7.0": 1, "5.5.5-10.11.6-MariaDB": 0} {
		t.Run(version, func(t *testing.T) {
			ctx := context.Background()
			s := mysqltest.Start(t, nil)
			s.SetVersion(version)
			c, err := Dial(ctx, s.Addr, Config{}, false)
			require.NoError(t, err)
			defer c.Discard()
			before := c.have
			c.AttachBranches(ctx)
			c.AttachBranches(ctx)
			require.True(t, c.Usable())
			require.False(t, c.changed)
			require.Same(t, before, c.have)
			require.Equal(t, want, strings.Count(strings.Join(s.Log(), "\n"), "xa_detach_on_prepare"))
		})
	}
}
