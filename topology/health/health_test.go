package health

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/topology"
	"github.com/servaldb/serval/topology/failover"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a Checker whose probes and clock the test owns: a probe happens
// when it is let, and sees what the test says.
type bench struct {
	*Checker
	views chan *topology.View
	ticks chan time.Time

	mu   sync.Mutex
	seen map[string]func() (Measurement, error)
}

func (b *bench) set(addr string, m Measurement, err error) {
	b.mu.Lock()
	b.seen[addr] = func() (Measurement, error) { return m, err }
	b.mu.Unlock()
}

type fakeProber struct {
	b    *bench
	addr string
}

func (p fakeProber) Probe(context.Context) (Measurement, error) {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	return p.b.seen[p.addr]()
}
func (fakeProber) Close() {}

func primary() Measurement {
	return Measurement{Observation: failover.Observation{ID: "p", Executed: "0-1-9"}}
}

func replica(lag time.Duration) Measurement {
	return Measurement{Observation: failover.Observation{ID: "r", ReadOnly: true, Replicating: true, Source: "p"}, Lag: lag, LagKnown: true}
}

func start(t *testing.T, p, r Measurement) *bench {
	b := &bench{views: make(chan *topology.View), ticks: make(chan time.Time), seen: map[string]func() (Measurement, error){}}
	b.set("p", p, nil)
	b.set("r", r, nil)
	b.Checker = New(Config{
		Clusters: []topology.Cluster{{Name: "c0", Instances: []topology.Instance{{Addr: "p"}, {Addr: "r", Weight: 1}}}},
		Prober:   func(_ string, in topology.Instance) Prober { return fakeProber{b, in.Addr} },
		Publish:  func(v *topology.View) { b.views <- v },
		After:    func(time.Duration) <-chan time.Time { return b.ticks },
	})
	t.Cleanup(func() {
		go func() {
			for range b.views {
			}
		}()
		b.Close()
		close(b.views)
	})
	return b
}

// round lets two probes happen and gives the view after the second.
func (b *bench) round() *topology.ClusterView {
	<-b.views
	return (<-b.views).Cluster("c0")
}

func (b *bench) tick() *topology.ClusterView {
	b.ticks <- time.Time{}
	return (<-b.views).Cluster("c0")
}

func instance(c *topology.ClusterView, addr string) topology.InstanceView {
	for _, in := range c.Instances {
		if in.Addr == addr {
			return in
		}
	}
	return topology.InstanceView{}
}

func TestViewSaysWhoIsWho(t *testing.T) {
	b := start(t, primary(), replica(3*time.Second))
	c := b.round()
	require.Equal(t, "p", c.Primary)
	p, r := instance(c, "p"), instance(c, "r")
	require.Equal(t, topology.RolePrimary, p.Role)
	require.True(t, p.LagKnown)
	require.Equal(t, "0-1-9", p.Executed)
	require.Equal(t, topology.RoleReplica, r.Role)
	require.Equal(t, 3*time.Second, r.Lag)
	require.Equal(t, uint64(2), b.Changes())
}

func TestFailuresAreCountedBeforeAServerIsDown(t *testing.T) {
	b := start(t, primary(), replica(0))
	b.round()
	b.set("p", Measurement{}, errors.New("refused"))
	for {
		if in := instance(b.tick(), "p"); in.Why == "refused" {
			require.True(t, in.Up, "once is not enough")
			break
		}
	}
	for {
		if c := b.tick(); !instance(c, "p").Up {
			require.Empty(t, c.Primary)
			require.Contains(t, c.Why, "p is down (refused)")
			return
		}
	}
}

func TestASignalProbesAtOnceAndOneFailureIsEnough(t *testing.T) {
	b := start(t, primary(), replica(0))
	b.round()
	b.set("p", Measurement{}, errors.New("refused"))
	b.Signal("p")
	b.Signal("p") // a flood is one
	b.Signal("somebody else")
	c := (<-b.views).Cluster("c0")
	require.False(t, instance(c, "p").Up)
	require.Empty(t, c.Primary)
}

// While the primary is gone a replica's lag can't be known; what it was then
// stands, so that reads go on.
func TestLagIsKeptWhileThePrimaryIsGone(t *testing.T) {
	b := start(t, primary(), replica(2*time.Second))
	b.round()
	b.set("p", Measurement{}, errors.New("refused"))
	lost := replica(0)
	lost.LagKnown, lost.SourceLost = false, true
	b.set("r", lost, nil)
	b.Signal("p")
	<-b.views
	b.Signal("r")
	c := (<-b.views).Cluster("c0")
	require.Empty(t, c.Primary)
	require.True(t, instance(c, "r").LagKnown)
	require.Equal(t, 2*time.Second, instance(c, "r").Lag)
}

func TestReadChannel(t *testing.T) {
	row := func(pairs ...string) channel {
		var c channel
		for i := 0; i < len(pairs); i += 2 {
			c.columns = append(c.columns, wire.Column{Name: []byte(pairs[i])})
			var v []byte
			if pairs[i+1] != "NULL" {
				v = []byte(pairs[i+1])
			}
			c.row = append(c.row, v)
		}
		return c
	}
	t.Run("MySQL 8.0.22 and later", func(t *testing.T) {
		var m Measurement
		readChannel(&m, row("Replica_IO_Running", "Yes", "Replica_SQL_Running", "Yes", "Source_UUID", "u1", "Seconds_Behind_Source", "4"))
		require.True(t, m.Replicating && m.LagKnown)
		require.Equal(t, "u1", m.Source)
		require.Equal(t, 4*time.Second, m.Lag)
	})
	t.Run("MariaDB and older MySQL", func(t *testing.T) {
		var m Measurement
		readChannel(&m, row("Slave_IO_Running", "Yes", "Slave_SQL_Running", "Yes", "Master_Server_Id", "11", "Seconds_Behind_Master", "0"))
		require.True(t, m.Replicating && m.LagKnown)
		require.Equal(t, "11", m.Source)
	})
	t.Run("a source never reached is known by its address", func(t *testing.T) {
		var m Measurement
		readChannel(&m, row("Replica_IO_Running", "Connecting", "Replica_SQL_Running", "Yes", "Source_UUID", "", "Source_Host", "h", "Source_Port", "3306",
			"Seconds_Behind_Source", "NULL", "Last_IO_Error", "refused"))
		require.Equal(t, "h:3306", m.Source)
		require.False(t, m.LagKnown)
		require.True(t, m.SourceLost)
		require.Equal(t, "lag unknown: replication I/O Connecting, SQL Yes: refused", m.Why)
	})
	t.Run("stopped replication is none, and says why it stopped", func(t *testing.T) {
		var m Measurement
		readChannel(&m, row("Replica_IO_Running", "No", "Replica_SQL_Running", "No", "Last_SQL_Error", "duplicate key"))
		require.False(t, m.Replicating)
		require.Equal(t, "replication is stopped: duplicate key", m.Why)
	})
	t.Run("of two channels the slower counts, and a broken one makes it unknown", func(t *testing.T) {
		var m Measurement
		ok := func(lag string) channel {
			return row("Slave_IO_Running", "Yes", "Slave_SQL_Running", "Yes", "Seconds_Behind_Master", lag)
		}
		readChannel(&m, ok("2"))
		readChannel(&m, ok("9"))
		readChannel(&m, ok("1"))
		require.Equal(t, 9*time.Second, m.Lag)
		readChannel(&m, row("Slave_IO_Running", "Yes", "Slave_SQL_Running", "No", "Seconds_Behind_Master", "NULL"))
		readChannel(&m, ok("1"))
		require.False(t, m.LagKnown)
	})
}

func TestStatusQuery(t *testing.T) {
	for version, want := range map[string]string{
		"5.7.44-log": "SHOW SLAVE STATUS", "8.0.21": "SHOW SLAVE STATUS", "8.0.22": "SHOW REPLICA STATUS",
		"8.4.0": "SHOW REPLICA STATUS", "9.7.4-2": "SHOW REPLICA STATUS",
	} {
		require.Equal(t, want, statusQuery(topology.FlavorMySQL, version), version)
	}
	require.Equal(t, "SHOW ALL SLAVES STATUS", statusQuery(topology.FlavorMariaDB, "10.11.19-MariaDB"))
}
