package rulestore

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryServalLooksAgainAndEndsWhatItBegan(t *testing.T) {
	eachStore(t, func(t *testing.T, r *rig) {
		store := r.store.(Looker)
		servals, err := store.LookAgain(t.Context(), []string{"shop.users"}, time.Second)
		require.NoError(t, err)
		require.Equal(t, len(r.servals), servals)
		for _, p := range r.servals {
			p.mu.Lock()
			require.Equal(t, 1, p.looked)
			require.Equal(t, []pausedFor{{[]string{"shop.users"}, false}}, p.paused)
			p.busy = errors.New("a transaction is open")
			p.mu.Unlock()
			require.Eventually(t, func() bool { serves, held := p.state(); return serves == 1 && !held }, 10*time.Second, time.Millisecond)
		}
		within, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = store.LookAgain(within, []string{"shop.users"}, 50*time.Millisecond)
		require.ErrorContains(t, err, "a transaction is open")
		for _, p := range r.servals {
			p.mu.Lock()
			require.Greater(t, len(p.paused), 2, "it is tried again")
			p.mu.Unlock()
			require.Eventually(t, func() bool { serves, held := p.state(); return serves == 1 && !held }, 10*time.Second, time.Millisecond)
		}
	})
}

func TestWhereNobodyServesNobodyIsAsked(t *testing.T) {
	servals, err := NewFolder(filepath.Join(t.TempDir(), "serval.yaml")).LookAgain(t.Context(), nil, time.Second)
	require.NoError(t, err)
	require.Zero(t, servals)
}
