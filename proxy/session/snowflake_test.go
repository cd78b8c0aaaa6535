package session

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSnowflake(t *testing.T) {
	at := snowflakeEpoch.Add(1000 * time.Millisecond)
	now := func() time.Time { return at }
	renewals := 0
	renew := func(_ context.Context, f *snowflake) error {
		renewals++
		f.leased, f.worker, f.good = true, 5, at.Add(leaseUse)
		f.limit = max(uint64(at.Sub(snowflakeEpoch).Milliseconds()), f.last) + 100
		return nil
	}
	f := newSnowflake()
	take := func(n int) uint64 {
		first, err := f.reserve(t.Context(), n, now, renew)
		require.NoError(t, err)
		return first
	}
	require.EqualValues(t, 1000<<22|5<<12, take(3))
	require.EqualValues(t, 1000<<22|5<<12|3, take(4093), "the rest of the millisecond")
	require.EqualValues(t, 1001<<22|5<<12, take(1), "the next one, though the clock is not there yet")
	require.EqualValues(t, 1002<<22|5<<12, take(4096), "a statement's numbers are in a row")
	at = at.Add(-time.Hour)
	require.EqualValues(t, 1003<<22|5<<12, take(1), "a clock that goes back takes nothing back")
	require.Equal(t, 1, renewals)
	at = snowflakeEpoch.Add(time.Hour)
	require.EqualValues(t, 3600000<<22|5<<12, take(1))
	require.Equal(t, 2, renewals, "the lease is over")
	_, err := f.reserve(t.Context(), 4097, now, renew)
	require.ErrorContains(t, err, "4096")
	at = at.Add(2 * time.Minute)
	_, err = f.reserve(t.Context(), 1, now, func(context.Context, *snowflake) error { return errors.New("no primary") })
	require.ErrorContains(t, err, "no primary")
}
