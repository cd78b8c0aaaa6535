package sqlerr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestALostConnectionNeverPassesForTheEndOfRows(t *testing.T) {
	for _, cause := range []error{io.EOF, fmt.Errorf("read tcp: %w", io.EOF)} {
		err := New(ServerLost, "Lost connection").WithCause(cause)
		require.NotErrorIs(t, err, io.EOF)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Contains(t, errors.Unwrap(err).Error(), cause.Error(), "the log still has it")
	}
	other := errors.New("reset by peer")
	require.ErrorIs(t, New(ServerLost, "Lost connection").WithCause(other), other)
}

func TestRetryIsSafeOnlyWhereItWasSaid(t *testing.T) {
	err := New(CannotConnect, "no")
	require.False(t, SafeToRetry(err))
	require.True(t, SafeToRetry(fmt.Errorf("wrapped: %w", err.Retryable())))
	require.False(t, SafeToRetry(err), "the error itself is not changed")
	require.False(t, SafeToRetry(errors.New("unknown")))
}

func TestWhichErrorsMayEndATransaction(t *testing.T) {
	for err, want := range map[error]bool{
		nil:                             false,
		New(1062, "Duplicate entry"):    false,
		New(Deadlock, "deadlock"):       true,
		New(LockWaitTimeout, "waited"):  true,
		New(QueryTimeout, "took long"):  false,
		context.Canceled:                false,
		errors.New("not of a server's"): false,
	} {
		require.Equal(t, want, MayEndTransaction(err), "%v", err)
	}
	require.True(t, MayEndTransaction(fmt.Errorf("wrapped: %w", New(StatementTimeout, "MariaDB"))))
}

func TestAnyErrorBecomesOneAClientCanRead(t *testing.T) {
	require.Equal(t, uint16(QueryTimeout), From(context.DeadlineExceeded).Code)
	require.Equal(t, uint16(QueryInterrupted), From(context.Canceled).Code)
	require.Equal(t, uint16(UnknownError), From(errors.New("odd")).Code)
	refused := Refuse("this", "why", "instead")
	require.Same(t, refused, From(fmt.Errorf("wrapped: %w", refused)))
	require.Equal(t, "ERROR 1235 (42000): Serval refuses this: why; instead", refused.Error())
}
