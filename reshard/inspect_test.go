package reshard

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// saidServers answer with the rows that a case gives, by a word of the query.
type saidServers map[string][][][]byte

func (s saidServers) Select(_ context.Context, cluster, sql string) ([][][]byte, error) {
	for word, rows := range s {
		if at, word, _ := strings.Cut(word, " "); at == cluster && strings.Contains(sql, word) {
			return rows, nil
		}
	}
	return nil, fmt.Errorf("%s was asked %s", cluster, sql)
}

// TestServersThatAJobNeeds: what c0, which is read, and c1, which is written, say;
// out comes what is in the way.
func TestServersThatAJobNeeds(t *testing.T) {
	datadriven.RunTest(t, "testdata/servers.txt", func(t *testing.T, d *datadriven.TestData) string {
		said := saidServers{}
		for line := range strings.Lines(d.Input) {
			word, answer, ok := strings.Cut(strings.TrimSpace(line), ": ")
			require.True(t, ok, line)
			var row [][]byte
			for v := range strings.SplitSeq(answer, " | ") {
				row = append(row, []byte(v))
			}
			said[word] = append(said[word], row)
		}
		layout := &Layout{Tables: []*Table{{Sources: []topology.Shard{{Cluster: "c0"}}, Targets: []Target{{Shard: topology.Shard{Cluster: "c1"}}},
			From: &shardrule.Placement{}, To: &shardrule.Placement{}}}}
		p := &planner{servers: said, layout: layout, loads: map[string]*Load{"c0": {Cluster: "c0"}, "c1": {Cluster: "c1", BytesIn: 1000}},
			opt: PlanOptions{Free: func(string, string) int64 { return 2000 }}}
		if d.HasArg("free") {
			p.opt.Free = func(string, string) int64 { return 500 }
		}
		require.NoError(t, p.clusters(t.Context()))
		var out strings.Builder
		for _, o := range p.obstacles {
			fmt.Fprintln(&out, o)
		}
		if out.Len() == 0 {
			return "all is well\n"
		}
		return out.String()
	})
}
