package failover

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/topology"
)

// The cases read:
//
//	cluster primary=a     (or: cluster servers) and the servers, one a line
//	observe               one probe a line: what was seen; the answer is what changed
//	state                 what is believed
//
// A probe's line is the server's name and what it is: writable, read_only,
// down ("why"), signaled, source=<name>, group=primary|secondary, gtid=<set>.
func TestFailover(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var cfg Config
		var s State
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "cluster":
				cfg, s = Config{}, State{}
				d.MaybeScanArgs(t, "primary", &cfg.Cluster.Primary)
				for _, addr := range strings.Fields(d.Input) {
					cfg.Cluster.Instances = append(cfg.Cluster.Instances, topology.Instance{Addr: addr, Weight: 1})
				}
				return ""
			case "observe":
				var out strings.Builder
				for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
					var actions []Action
					s, actions = Step(cfg, s, observation(t, line))
					for _, a := range actions {
						fmt.Fprintln(&out, strings.TrimSpace(fmt.Sprintf("%s %s %s", a.Kind, a.Addr, why(a.Why))))
					}
				}
				return out.String()
			case "state":
				return show(cfg, s)
			}
			t.Fatalf("unknown command %q", d.Cmd)
			return ""
		})
	})
}

func why(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

func observation(t *testing.T, line string) Observation {
	fields := strings.Fields(line)
	o := Observation{Addr: fields[0], ID: "id-" + fields[0], Reachable: true}
	for _, f := range fields[1:] {
		key, value, _ := strings.Cut(f, "=")
		switch key {
		case "writable":
		case "read_only":
			o.ReadOnly = true
		case "down":
			o = Observation{Addr: o.Addr, Signaled: o.Signaled, Why: "connection refused"}
		case "signaled":
			o.Signaled = true
		case "source":
			o.Replicating, o.Source = true, "id-"+value
		case "source_addr":
			o.Replicating, o.Source = true, value
		case "group":
			o.Group = map[string]GroupRole{"primary": GroupPrimary, "secondary": GroupSecondary}[value]
		case "gtid":
			o.Executed = value
		default:
			t.Fatalf("unknown word %q in %q", f, line)
		}
	}
	return o
}

func show(cfg Config, s State) string {
	var out strings.Builder
	if s.Primary != "" {
		fmt.Fprintf(&out, "primary %s\n", s.Primary)
	} else {
		fmt.Fprintf(&out, "no primary: %s\n", s.Why)
	}
	for _, in := range cfg.Cluster.Instances {
		up := "down"
		if s.Instances[in.Addr].Up {
			up = "up"
		}
		fmt.Fprintf(&out, "%s %s %s\n", in.Addr, up, s.Role(in.Addr))
	}
	return out.String()
}

// Whatever is observed: the primary is a server of the cluster that was last
// seen up and writable, and there is a reason wherever there is none.
func TestPrimaryIsAlwaysWritable(t *testing.T) {
	addrs := []string{"a", "b", "c"}
	obs := rapid.Custom(func(t *rapid.T) Observation {
		o := Observation{
			Addr: rapid.SampledFrom(append(addrs, "stranger")).Draw(t, "addr"), Reachable: rapid.Bool().Draw(t, "up"),
			ReadOnly: rapid.Bool().Draw(t, "ro"), Signaled: rapid.Bool().Draw(t, "sig"),
			Group: GroupRole(rapid.IntRange(0, 2).Draw(t, "group")), Executed: rapid.SampledFrom([]string{"", "0-1-1", "0-1-2"}).Draw(t, "gtid"),
		}
		o.ID = "id-" + o.Addr
		if o.Replicating = rapid.Bool().Draw(t, "repl"); o.Replicating {
			o.Source = "id-" + rapid.SampledFrom(addrs).Draw(t, "source")
		}
		return o
	})
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{Cluster: topology.Cluster{Primary: rapid.SampledFrom([]string{"", "a"}).Draw(t, "primary")}}
		for _, addr := range addrs {
			cfg.Cluster.Instances = append(cfg.Cluster.Instances, topology.Instance{Addr: addr})
		}
		var s State
		for _, o := range rapid.SliceOfN(obs, 1, 30).Draw(t, "observations") {
			before := fmt.Sprintf("%+v", s)
			next, actions := Step(cfg, s, o)
			if fmt.Sprintf("%+v", s) != before {
				t.Fatal("Step changed its argument")
			}
			if again, _ := Step(cfg, s, o); fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", next) {
				t.Fatal("Step does not repeat itself")
			}
			if next.Primary == "" && next.Why == "" {
				t.Fatal("no primary, and no reason")
			}
			if in := next.Instances[next.Primary]; next.Primary != "" && (!in.Up || in.Last.ReadOnly) {
				t.Fatalf("primary %s does not take writes: %+v", next.Primary, in)
			}
			for _, a := range actions {
				if a.Addr == "stranger" {
					t.Fatal("acted on a server that is not of the cluster")
				}
			}
			s = next
		}
	})
}

func TestForgetsServersNoLongerConfigured(t *testing.T) {
	cfg := Config{Cluster: topology.Cluster{Instances: []topology.Instance{{Addr: "a"}, {Addr: "b"}}}}
	s, _ := Step(cfg, State{}, Observation{Addr: "a", Reachable: true}, Observation{Addr: "b", Reachable: true, ReadOnly: true})
	require.Equal(t, "a", s.Primary)
	cfg.Cluster.Instances = cfg.Cluster.Instances[1:]
	s, actions := Step(cfg, s)
	require.Empty(t, s.Primary)
	require.Len(t, s.Instances, 1)
	require.Equal(t, NoPrimary, actions[0].Kind)
}
