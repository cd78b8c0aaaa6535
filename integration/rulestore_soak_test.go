//go:build soak

package integration

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/etcdtest"
)

const (
	historyServals = 5
	historyChanges = 24
	// handOver is what two versions may be served at once for: a Serval that agreed
	// holds by itself after two seconds. The rest is the client's.
	handOver = 2*time.Second + 500*time.Millisecond
	// followsIn is the same where every Serval runs.
	followsIn = time.Second
)

// Five Servals share their rules while clients of each ask all the time. Every
// other change one of them is stopped (SIGSTOP) at some moment of it and goes on
// seconds later: no question that is asked after an answer by new rules is
// answered by old ones for longer than the hand-over allows.
func TestSoakRulesHistory(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "ruleshistory"
		etcd := etcdtest.Start(t)
		dropSchema(t, s.Clusters(t), schema)
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
		cfg := settings{Schema: schema, Tables: "t: {shard: hash(id), shards: 4, on: [c0, c1]}", Extra: "store: " + etcd.URL + "/serval/history"}
		var servals []*serval
		for range historyServals {
			servals = append(servals, startServal(t, s, cfg))
		}
		mustExec(t, servals[0].open(t, ""), "CREATE DATABASE "+schema, "CREATE TABLE "+schema+".t (id INT PRIMARY KEY)")
		for _, p := range servals {
			eventually(t, 15*time.Second, func() error {
				_, err := p.open(t, schema).ExecContext(t.Context(), "SELECT COUNT(*) FROM t")
				return err
			})
		}
		files := []string{servals[0].Config, edited(t, servals[0].Config, "home: c0\nclusters", "features: {scatter: off}\nhome: c0\nclusters")}
		h := watchRules(t, schema, servals)
		random := rand.New(rand.NewPCG(1, 7))
		var calm, stopped []ruleSwitch
		var spans []time.Duration
		refused := 0
		for i := 1; i <= historyChanges; i++ {
			change := ruleSwitch{begun: time.Now(), scatter: i%2 == 0}
			var woken chan struct{}
			if i%2 == 0 {
				woken = stopFor(t, servals[random.IntN(len(servals))], time.Duration(random.IntN(600))*time.Millisecond, 3*time.Second)
			}
			out, ok := rulesRun(t, "apply", "-c", servals[random.IntN(len(servals))].Config, "--to", files[i%2])
			if woken != nil {
				<-woken
			}
			for !ok { // one was silent
				refused++
				require.Contains(t, out, "nothing was changed", out)
				change.begun = time.Now()
				out, ok = rulesRun(t, "apply", "-c", servals[0].Config, "--to", files[i%2])
			}
			spans = append(spans, time.Since(change.begun))
			if time.Sleep(700 * time.Millisecond); woken == nil { // each version is to be served by all for a while
				calm = append(calm, change)
			} else {
				stopped = append(stopped, change)
			}
		}
		h.stop()
		between := func(changes []ruleSwitch) (worst time.Duration) {
			for _, c := range changes {
				one, _ := overlap(until(h.answers, c, append(calm[:len(calm):len(calm)], stopped...)), []ruleSwitch{c})
				worst = max(worst, one)
			}
			return worst
		}
		t.Logf("%d answers of %d servals, %d changes, %d refused for a silent one; old rules after new ones: at most %v, with one stopped %v; a change takes %v",
			len(h.answers), len(servals), historyChanges, refused, between(calm), between(stopped), spans)
		require.Less(t, between(calm), followsIn)
		require.Less(t, between(stopped), handOver)
		require.Greater(t, len(h.answers), 1000*historyServals)
	})
}

// stopFor stops a Serval after a while, and for a while.
func stopFor(t *testing.T, p *serval, after, length time.Duration) chan struct{} {
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		time.Sleep(after)
		_ = p.cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(length)
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Signal(syscall.SIGCONT) })
	return woken
}

// until are the answers up to the change behind c.
func until(answers []servedAt, c ruleSwitch, changes []ruleSwitch) (out []servedAt) {
	end := time.Now()
	for _, other := range changes {
		if other.begun.After(c.begun) && other.begun.Before(end) {
			end = other.begun
		}
	}
	for _, a := range answers {
		if a.asked.Before(end) && a.answer.Before(end) {
			out = append(out, a)
		}
	}
	return out
}
