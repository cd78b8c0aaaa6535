package reshard

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// slowHolder answers when it is released.
type slowHolder struct{ asked, release chan struct{} }

func (h slowHolder) Exec(ctx context.Context, _ string) error {
	close(h.asked)
	<-h.release
	return ctx.Err()
}

func (h slowHolder) Select(ctx context.Context, sql string) ([][][]byte, error) {
	return nil, h.Exec(ctx, sql)
}

func (slowHolder) Close() {}

func TestAStatementOfTheJournalIsNotKilledWithTheWork(t *testing.T) {
	h := slowHolder{make(chan struct{}), make(chan struct{})}
	l := &JobLog{held: h}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.exec(ctx, "UPDATE jobs") }()
	<-h.asked
	cancel()
	close(h.release)
	require.NoError(t, <-done)
}
