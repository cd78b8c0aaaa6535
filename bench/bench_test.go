package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

func TestParseStat(t *testing.T) {
	for name, c := range map[string]struct {
		stat string
		want float64
		bad  bool
	}{
		"user and system ticks":           {stat: "12 (serval) S 1 12 12 0 -1 4194560 1 0 0 0 250 150 0 0 20 0 8 0 1", want: 4},
		"a name with spaces and brackets": {stat: "12 (a ) b) S 1 12 12 0 -1 4194560 1 0 0 0 100 0 0 0 20 0 8 0 1", want: 1},
		"too short":                       {stat: "12 (x) S 1 2", bad: true},
		"no name":                         {stat: "nonsense", bad: true},
		"no number":                       {stat: "12 (x) S 1 12 12 0 -1 4194560 1 0 0 0 u 150 0 0 20", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat(c.stat)
			require.Equal(t, c.bad, err != nil, "%v", err)
			require.InDelta(t, c.want, got, 1e-9)
		})
	}
}

func TestCPUSecondsOfThisProcessGrow(t *testing.T) {
	before, err := cpuSeconds(os.Getpid())
	require.NoError(t, err)
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); {
	}
	after, err := cpuSeconds(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, after, before)
	none, err := cpuSeconds(0)
	require.NoError(t, err)
	require.Zero(t, none)
}

func TestMedian(t *testing.T) {
	of := func(v ...float64) float64 {
		var results []result
		for _, x := range v {
			results = append(results, result{perSecond: x})
		}
		return medianResult(results).perSecond
	}
	require.Zero(t, of())
	require.Equal(t, 2.0, of(3, 1, 2))
	require.Equal(t, 2.5, of(4, 1, 2, 3))
	require.Equal(t, 5.0, of(5, 5, 900))
}

// The direct way and Router's are measured for a moment: the benchmark runs,
// counts rows, and charges CPU to Router only.
func TestDirectAndRouter(t *testing.T) {
	dir, err := mysqlproc.NewTempDir()
	require.NoError(t, err)
	defer func() { require.NoError(t, dir.Remove()) }()
	server, err := mysqlproc.Start(t.Context(), mysqlproc.Options{Engine: mysqlproc.MySQL, Dir: filepath.Join(dir.Path, "s"), NoBinlog: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	router, err := startRouter(t.Context(), dir.Path, server)
	require.NoError(t, err)
	ways := []*way{{name: "direct", addr: server.Addr()}, router}
	defer func() { require.NoError(t, stopWays(ways)) }()
	require.NoError(t, fill(t.Context(), server.Addr(), wholeSchema))
	for _, w := range ways {
		w.db, err = open(w.addr, wholeSchema)
		require.NoError(t, err)
		for _, q := range queries {
			r, err := measure(t.Context(), w, q, 4, time.Second) // CPU time comes in ticks of 10 ms
			require.NoError(t, err, "%s %s", w.name, q.name)
			require.Greater(t, r.perSecond, 50.0)
			require.GreaterOrEqual(t, r.p99, r.p50)
			require.Equal(t, w.pid != 0, r.cpuPer10k > 0, "%s: %v", w.name, r.cpuPer10k)
		}
	}
	_, err = measure(t.Context(), ways[0], query{"wrong", "SELECT c FROM sbtest1 WHERE id = ?", true, 2, false}, 1, 100*time.Millisecond)
	require.ErrorContains(t, err, "1 rows instead of 2", "a wrong answer is no result")
}
