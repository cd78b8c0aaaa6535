package executor

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// keptConns gives the same connections again and again, as a pool does.
type keptConns struct {
	conns map[string][]*backend.Conn
}

func (k *keptConns) Acquire(_ context.Context, cluster string, _ topology.Target, n int) ([]*backend.Conn, error) {
	return k.conns[cluster][:n], nil
}

func (k *keptConns) Release(*backend.Conn, error) {}

func benchmarkRun(b *testing.B, prepared bool, tasks ...plan.Task) {
	s := newScripted(b)
	k := &keptConns{conns: map[string][]*backend.Conn{}}
	for range tasks {
		c, err := backend.Dial(context.Background(), s.server.Addr, backend.Config{User: "u"}, false)
		require.NoError(b, err)
		defer c.Discard()
		k.conns["c0"] = append(k.conns["c0"], c)
	}
	root := &plan.Route{}
	req := Request{Conns: k, Out: wire.NewWriter(io.Discard), DeprecateEOF: true, Bound: &plan.Bound{
		Plan: &plan.Plan{Root: root, ReadOnly: true}, Tasks: plan.Tasks{{Leaf: root, Tasks: tasks}}}}
	if prepared {
		req.Params = scriptedParams{}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := Run(context.Background(), &req); err != nil {
			b.Fatal(err)
		}
		_ = req.Out.Flush()
	}
}

const benchSQL = "rows id int,s text / 1|hello / 2|world"

// The scripted server's own allocations count too: compare, don't read.
func BenchmarkRelay(b *testing.B) { benchmarkRun(b, false, oneTask("c0", benchSQL)) }

func BenchmarkRelayRenamed(b *testing.B) {
	t := oneTask("c0", benchSQL)
	t.Rename = &plan.Rename{Database: "shop_0", LogicalDatabase: "shop"}
	benchmarkRun(b, false, t)
}

func BenchmarkRelayPrepared(b *testing.B) { benchmarkRun(b, true, oneTask("c0", benchSQL)) }

func BenchmarkScatter4(b *testing.B) {
	t := oneTask("c0", benchSQL+" /*+ one by one */")
	benchmarkRun(b, false, t, t, t, t)
}
