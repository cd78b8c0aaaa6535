//go:build soak

package integration

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// rebalanced is what of serval rebalance's JSON is looked at.
type rebalanced []struct {
	Tables   []string
	Slots    []string
	Decision struct {
		Shards []struct {
			Before, After float64
			Outside       bool
		}
		Moves []struct{ First, Last, From, To int }
	}
}

func rebalance(t *testing.T, args ...string) (out rebalanced) {
	t.Helper()
	text, err := runServal(append([]string{"rebalance", "-o", "json"}, args...)...)
	require.NoError(t, err, text)
	require.NoError(t, json.Unmarshal([]byte(text), &out), text)
	return out
}

// Customers of one shard have most of the rows: the file that rebalance writes is
// resharded to while applications write, and then the shards are even.
func TestSoakShardsAreEvened(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		own(t, s.engine.String(), reshardJobs)
		const schema = "evened"
		dropSchema(t, s.Clusters(t), schema)
		p := startServal(t, s, settings{Schema: schema, Tables: "orders: {shard: hash(user_id), shards: 4, on: [c0, c1]} # by customer\npeople: {shard: hash(user_id), like: orders}"})
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE "+schema, movedTable(schema+".orders"), "CREATE TABLE "+schema+".people (user_id BIGINT PRIMARY KEY, name VARCHAR(20))")
		fillMoved(t, db, schema+".orders")
		want := []int{9000, 1000, 5000, 5000} // of each shard
		people := 0
		text := ""
		for user := 1_000_000; want[0]+want[1]+want[2]+want[3] > 0; user++ {
			shard := crc32.ChecksumIEEE([]byte(strconv.Itoa(user))) % 1024 / 256
			if want[shard] == 0 {
				continue
			}
			want[shard]--
			people++
			text += fmt.Sprintf(",(%d, 'n')", user)
			if people%1000 == 0 {
				mustExec(t, db, "INSERT INTO "+schema+".people VALUES "+text[1:])
				text = ""
			}
		}
		s.sync(t)
		to := filepath.Join(t.TempDir(), "new.yaml")
		groups := rebalance(t, "-c", p.Config, "--write", to)
		require.Len(t, groups, 1, "they share their shards")
		require.Equal(t, []string{schema + ".orders", schema + ".people"}, groups[0].Tables)
		require.NotEmpty(t, groups[0].Decision.Moves)
		for _, shard := range groups[0].Decision.Shards {
			require.False(t, shard.Outside, "%+v", groups[0].Decision.Shards)
		}
		load := startMoved(t, p, schema, schema+".orders", 4)
		start := startReshard(t, "-c", p.Config, "--to", to)
		awaitStage(t, start, p.Config, "following")
		for _, verb := range []string{"verify", "cutover", "reverse", "cutover"} {
			reshardOK(t, verb, "-c", p.Config)
			load.requireNoError(t)
		}
		load.end()
		load.requireNoError(t)
		s.sync(t)
		load.requireRows(t, db)
		require.Equal(t, strconv.Itoa(people), one(t, db, "SELECT COUNT(DISTINCT user_id) FROM "+schema+".people"))
		require.Equal(t, "9000", one(t, db, "SELECT COUNT(*) FROM "+schema+".people WHERE CRC32(user_id) MOD 1024 < 256"))
		out, err := runServal("check", "-c", p.Config, "--live", "--placement")
		require.NoError(t, err, out)
		reshardOK(t, "finish", "-c", p.Config, "--pause", "0s")
		again := rebalance(t, "-c", p.Config, "--tolerance", "15%") // some were written since
		require.Empty(t, again[0].Decision.Moves, "%+v", again[0].Decision.Shards)
		require.Equal(t, groups[0].Slots, again[0].Slots)
		require.Empty(t, left(t, s, schema))
	})
}
