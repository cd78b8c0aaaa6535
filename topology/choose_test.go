package topology

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func replicaView(addr string, change func(*InstanceView)) InstanceView {
	in := InstanceView{Instance: Instance{Addr: addr, Weight: 1}, Role: RoleReplica, Up: true, LagKnown: true}
	if change != nil {
		change(&in)
	}
	return in
}

func TestChooseReplica(t *testing.T) {
	five := Need{MaxLag: 5 * time.Second}
	for name, tc := range map[string]struct {
		instances []InstanceView
		need      Need
		random    uint64
		addr      string
		current   bool
	}{
		"no replica at all": {nil, five, 0, "", false},
		"one that is down does not answer": {
			[]InstanceView{replicaView("r", func(i *InstanceView) { i.Up = false })}, five, 0, "", false},
		"the primary does not answer as a replica": {
			[]InstanceView{replicaView("p", nil)}, five, 0, "", false},
		"a server of no role does not answer": {
			[]InstanceView{replicaView("r", func(i *InstanceView) { i.Role = RoleUnknown })}, five, 0, "", false},
		"one that is too far behind does not answer": {
			[]InstanceView{replicaView("r", func(i *InstanceView) { i.Lag = 6 * time.Second })}, five, 0, "", false},
		"one whose lag is unknown does not answer": {
			[]InstanceView{replicaView("r", func(i *InstanceView) { i.LagKnown = false })}, five, 0, "", false},
		"where lag does not matter, unknown is fine": {
			[]InstanceView{replicaView("r", func(i *InstanceView) { i.LagKnown = false })}, Need{}, 0, "r", true},
		"weight 0 takes no reads": {
			[]InstanceView{replicaView("r", func(i *InstanceView) { i.Weight = 0 })}, five, 0, "", false},
		"one that has just failed is left out": {
			[]InstanceView{replicaView("r", nil), replicaView("s", nil)},
			Need{Skip: func(a string) bool { return a == "r" }}, 0, "s", true},
		"weights share the random numbers: 0-1 the first": {
			[]InstanceView{replicaView("r", func(i *InstanceView) { i.Weight = 2 }), replicaView("s", nil)}, five, 4, "r", true},
		"weights share the random numbers: 2 the second": {
			[]InstanceView{replicaView("r", func(i *InstanceView) { i.Weight = 2 }), replicaView("s", nil)}, five, 5, "s", true},
		"the own zone comes first, whatever the number": {
			[]InstanceView{replicaView("r", nil), replicaView("s", func(i *InstanceView) { i.Zone = "b" })}, Need{Zone: "b"}, 0, "s", true},
		"with nobody in the zone the others answer": {
			[]InstanceView{replicaView("r", nil)}, Need{Zone: "b"}, 0, "r", true},
		"having the session's writes beats the zone": {
			[]InstanceView{
				replicaView("r", func(i *InstanceView) { i.Zone = "b"; i.Executed = "0-1-5" }),
				replicaView("s", func(i *InstanceView) { i.Executed = "0-1-9" }),
			}, Need{Zone: "b", GTID: "0-1-9"}, 0, "s", true},
		"where nobody has them one is named to wait on": {
			[]InstanceView{replicaView("r", func(i *InstanceView) { i.Executed = "0-1-5" })}, Need{GTID: "0-1-9"}, 0, "r", false},
		"what is newer than the view counts": {
			[]InstanceView{replicaView("r", func(i *InstanceView) { i.Executed = "0-1-5" })},
			Need{GTID: "0-1-9", Executed: func(string) string { return "0-1-12" }}, 0, "r", true},
	} {
		t.Run(name, func(t *testing.T) {
			c := &ClusterView{Name: "c0", Primary: "p", Instances: tc.instances}
			addr, current := ChooseReplica(c, tc.need, tc.random)
			require.Equal(t, tc.addr, addr)
			require.Equal(t, tc.current, current)
		})
	}
	addr, _ := ChooseReplica(nil, Need{}, 0)
	require.Empty(t, addr, "an unknown cluster has no replicas")
}

// Over all random numbers each replica answers in proportion to its weight.
func TestChooseReplicaIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &ClusterView{}
		total := 0
		for i, w := range rapid.SliceOfN(rapid.IntRange(0, 5), 1, 20).Draw(t, "weights") {
			c.Instances = append(c.Instances, replicaView(string(rune('a'+i)), func(in *InstanceView) { in.Weight = w }))
			total += w
		}
		got := map[string]int{}
		for r := range total {
			addr, _ := ChooseReplica(c, Need{}, uint64(r))
			got[addr]++
		}
		for _, in := range c.Instances {
			if got[in.Addr] != in.Weight {
				t.Fatalf("%s has weight %d and answered %d of %d", in.Addr, in.Weight, got[in.Addr], total)
			}
		}
	})
}

func BenchmarkChooseReplica(b *testing.B) {
	set := a[:36] + ":1-123456"
	c := &ClusterView{Instances: []InstanceView{
		replicaView("r", func(i *InstanceView) { i.Executed = set }), replicaView("s", func(i *InstanceView) { i.Executed = set })}}
	need := Need{MaxLag: time.Second, GTID: a + ":99999"}
	b.ReportAllocs()
	for b.Loop() {
		ChooseReplica(c, need, 1)
	}
}
