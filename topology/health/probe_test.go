package health

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/topology/failover"
)

// mysql answers a probe of a MySQL replica; refuse makes the status a refusal,
// role is the member's in a group, empty for none.
type mysql struct {
	refuse atomic.Bool
	role   atomic.Value
}

func (m *mysql) handle(s *mysqltest.Session, _ byte, arg []byte) error {
	q := string(arg)
	role, _ := m.role.Load().(string)
	switch {
	case strings.HasPrefix(q, "SELECT @@global.read_only, @@global.super_read_only"):
		s.Result([]string{"a", "b", "c", "d"}, []string{"0", "1", "uuid-r", "uuid-p:1-9,\nuuid-q:1"})
	case q == "SHOW REPLICA STATUS" && m.refuse.Load():
		s.Err(1227, "Access denied; you need (at least one of) the SUPER, REPLICATION CLIENT privilege(s) for this operation")
	case q == "SHOW REPLICA STATUS":
		s.Result([]string{"Replica_IO_Running", "Replica_SQL_Running", "Source_UUID", "Seconds_Behind_Source"}, []string{"Yes", "Yes", "uuid-p", "3"})
	case q == groupQuery && role != "":
		s.Result([]string{"r", "n"}, []string{role, "7"})
	case q == groupQuery:
		s.Result([]string{"r", "n"})
	default:
		s.OK(wire.OK{Status: wire.StatusAutocommit})
	}
	return nil
}

func TestProbeOfAServer(t *testing.T) {
	m := &mysql{}
	s := mysqltest.Start(t, m.handle)
	p := NewProber(s.Addr, backend.Config{ConnectTimeout: time.Second})
	defer p.Close()
	ctx := context.Background()

	got, err := p.Probe(ctx)
	require.NoError(t, err)
	require.True(t, got.ReadOnly, "super_read_only counts")
	require.Equal(t, "uuid-p:1-9,uuid-q:1", got.Executed, "on one line")
	require.Equal(t, "uuid-p", got.Source)
	require.Equal(t, 3*time.Second, got.Lag)
	require.True(t, got.LagKnown)

	m.refuse.Store(true)
	got, err = p.Probe(ctx)
	require.NoError(t, err, "a server that does not say how far it is behind is up")
	require.False(t, got.LagKnown)
	require.True(t, got.Replicating, "read_only passes for a replica")
	require.Contains(t, got.Why, "REPLICATION CLIENT", "and says what is missing")

	m.role.Store("SECONDARY")
	got, err = p.Probe(ctx)
	require.NoError(t, err)
	require.Equal(t, failover.GroupSecondary, got.Group)
	require.False(t, got.LagKnown, "seven transactions wait")

	require.Equal(t, 1, s.Logins(), "one connection for all probes")
	s.HangUpAll()
	_, err = p.Probe(ctx)
	require.NoError(t, err, "a restart between two probes is no failure")
	s.Close()
	_, err = p.Probe(ctx)
	require.ErrorContains(t, err, s.Addr)
}
