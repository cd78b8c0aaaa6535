package integration

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/etcdtest"
)

// rulesRun is `serval rules …`, its output and whether it ended with 0.
func rulesRun(t *testing.T, args ...string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, append([]string{"rules"}, args...)...).CombinedOutput()
	return string(out), err == nil
}

// edited is a copy of a configuration with something replaced.
func edited(t *testing.T, file string, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	changed := strings.NewReplacer(replace...).Replace(string(text))
	require.NotEqual(t, string(text), changed)
	out := filepath.Join(t.TempDir(), "new.yaml")
	require.NoError(t, os.WriteFile(out, []byte(changed), 0o600))
	return out
}

// The rules of one Serval: a change is shown, refused where it would strand
// rows, taken by the running Serval, kept, and undone.
func TestRulesOfAFile(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		dropSchema(t, s.Clusters(t), "ruled")
		p := startServal(t, s, settings{Schema: "ruled", Tables: "t: {shard: hash(id), shards: 4, on: [c0, c1]}\ne: {shard: hash(id), shards: 4, on: [c0, c1]}"})
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), "ruled") })
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE ruled", "CREATE TABLE ruled.t (id INT PRIMARY KEY)", "CREATE TABLE ruled.e (id INT PRIMARY KEY)",
			"INSERT INTO ruled.t VALUES (1), (2), (3)")

		strands := edited(t, p.Config, "t: {shard: hash(id), shards: 4", "t: {shard: hash(id), shards: 8")
		for _, verb := range []string{"diff", "apply"} {
			out, ok := rulesRun(t, verb, "-c", p.Config, "--to", strands)
			require.False(t, ok, out)
			require.Contains(t, out, "table ruled.t")
			require.Contains(t, out, "they would be stranded")
			require.Contains(t, out, "serval reshard plan -c "+p.Config+" --to "+strands)
		}
		// The other table is empty, and a feature has no rows at all.
		empty := edited(t, p.Config, "e: {shard: hash(id), shards: 4", "e: {shard: hash(id), shards: 8", "home: c0\nclusters", "features: {scatter: off}\nhome: c0\nclusters")
		out, ok := rulesRun(t, "apply", "-c", p.Config, "--to", empty, "--note", "wider e")
		require.True(t, ok, out)
		require.Contains(t, out, "version 2 is in effect")
		_, err := db.ExecContext(t.Context(), "SELECT COUNT(*) FROM ruled.t")
		require.ErrorContains(t, err, "features: {scatter: off} forbids that")
		require.Equal(t, "2", one(t, db, "SELECT id FROM ruled.t WHERE id = 2"))

		out, ok = rulesRun(t, "history", "-c", p.Config)
		require.True(t, ok, out)
		require.Regexp(t, `(?s)2 .*wider e.*1 .*found at start`, out)
		out, ok = rulesRun(t, "rollback", "-c", p.Config, "1")
		require.True(t, ok, out)
		require.Contains(t, out, "version 3 is in effect")
		require.Equal(t, "3", one(t, db, "SELECT COUNT(*) FROM ruled.t"))
		out, ok = rulesRun(t, "history", "-c", p.Config, "1")
		require.True(t, ok, out)
		text, err := os.ReadFile(p.Config)
		require.NoError(t, err)
		require.Equal(t, string(text), out, "the file is what it was")

		bad := edited(t, p.Config, "home: c0\nclusters", "home: c7\nclusters")
		out, ok = rulesRun(t, "apply", "-c", p.Config, "--to", bad)
		require.False(t, ok, out)
		require.Contains(t, out, bad+":")
		require.Contains(t, out, "c7, which does not exist")
	})
}

// served is one answer: which rules gave it, and when.
type servedAt struct {
	serval        int
	scatter       bool // a statement over all shards was allowed
	asked, answer time.Time
}

// Two Servals share their rules. Clients of both ask all the time for what one
// version allows and the next forbids: no answer by old rules comes later than
// the hand-over allows after the first answer by new ones. One is cut off and
// killed meanwhile.
func TestTwoServalsNeverServeTwoVersionsForLong(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		etcd := etcdtest.Start(t)
		dropSchema(t, s.Clusters(t), "tworules")
		t.Cleanup(func() { dropSchema(t, s.Clusters(t), "tworules") })
		cfg := settings{Schema: "tworules", Tables: "t: {shard: hash(id), shards: 4, on: [c0, c1]}", Extra: "store: " + etcd.URL + "/serval/shared"}
		servals := []*serval{startServal(t, s, cfg), startServal(t, s, cfg)}
		mustExec(t, servals[0].open(t, ""), "CREATE DATABASE tworules", "CREATE TABLE tworules.t (id INT PRIMARY KEY)")
		eventually(t, 15*time.Second, func() error {
			_, err := servals[1].open(t, "tworules").ExecContext(t.Context(), "SELECT COUNT(*) FROM t")
			return err
		})
		h := watchRules(t, "tworules", servals)
		var changes []ruleSwitch
		on := servals[0].Config
		off := edited(t, on, "home: c0\nclusters", "features: {scatter: off}\nhome: c0\nclusters")
		for i := range 8 {
			to := []string{off, on}[i%2]
			begun := time.Now()
			changes = append(changes, ruleSwitch{begun: begun, scatter: i%2 == 1})
			out, ok := rulesRun(t, "apply", "-c", servals[i%2].Config, "--to", to)
			require.True(t, ok, out)
			require.Contains(t, out, fmt.Sprintf("version %d is in effect on every Serval", i+2))
			require.Less(t, time.Since(begun), 10*time.Second)
			time.Sleep(500 * time.Millisecond) // each version is to be served by both for a while
		}
		// A file that was edited in one place does nothing to what all share.
		edit, err := os.ReadFile(edited(t, servals[1].Config, "home: c0\nclusters", "features: {scatter: off}\nhome: c0\nclusters"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(servals[1].Config, edit, 0o600))
		require.NoError(t, servals[1].cmd.Process.Signal(syscall.SIGHUP))
		eventually(t, 10*time.Second, func() error {
			if !strings.Contains(servals[1].log.String(), "configuration reloaded") {
				return errors.New("the signal has not been answered")
			}
			return nil
		})
		h.stop()
		worst, follow := overlap(h.answers, changes)
		t.Logf("%d answers; old rules were served for at most %v after new ones, and %v after a change was asked for", len(h.answers), worst, follow)
		require.Less(t, worst, 500*time.Millisecond)
		require.Less(t, follow, 5*time.Second)
		require.Greater(t, len(h.answers), 1000)

		crashed(t, servals, on, off)
	})
}

// ruleSwitch is a change of the rules: when it was asked for, and to what.
type ruleSwitch struct {
	begun   time.Time
	scatter bool
}

// crashed: a Serval that was killed keeps changes from being made until it is
// said to be gone; started again it serves what is in effect.
func crashed(t *testing.T, servals []*serval, on, off string) {
	t.Helper()
	require.NoError(t, servals[1].cmd.Process.Kill())
	<-servals[1].done
	name := ""
	eventually(t, 20*time.Second, func() error {
		out, _ := rulesRun(t, "servals", "-c", on, "-o", "json")
		var members []struct {
			Name  string
			Alive bool
		}
		if err := json.Unmarshal([]byte(out), &members); err != nil {
			return err
		}
		i := slices.IndexFunc(members, func(m struct {
			Name  string
			Alive bool
		}) bool {
			return !m.Alive
		})
		if len(members) != 2 || i < 0 {
			return fmt.Errorf("the killed one still counts as alive: %s", out)
		}
		name = members[i].Name
		return nil
	})
	out, ok := rulesRun(t, "apply", "-c", on, "--to", off)
	require.False(t, ok, out)
	require.Contains(t, out, "serval rules gone "+name)
	out, ok = rulesRun(t, "gone", "-c", on, name)
	require.True(t, ok, out)
	out, ok = rulesRun(t, "apply", "-c", on, "--to", off)
	require.True(t, ok, out)
	again := startServe(t, servals[1].Addr, servals[1].Admin, "-c", servals[1].Config)
	_, err := again.open(t, "tworules").ExecContext(t.Context(), "SELECT COUNT(*) FROM t")
	require.ErrorContains(t, err, "scatter: off", "the store's rules go before the file's")
}

// ruleHistory is what clients of several Servals were answered.
type ruleHistory struct {
	mu      sync.Mutex
	answers []servedAt
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

func watchRules(t *testing.T, schema string, servals []*serval) *ruleHistory {
	ctx, cancel := context.WithCancel(t.Context())
	h := &ruleHistory{cancel: cancel}
	for i, p := range servals {
		db := p.open(t, schema)
		for range 2 {
			h.done.Go(func() { h.ask(ctx, t, i, db) })
		}
	}
	t.Cleanup(h.stop)
	return h
}

func (h *ruleHistory) stop() {
	h.cancel()
	h.done.Wait()
}

func (h *ruleHistory) ask(ctx context.Context, t *testing.T, i int, db *sql.DB) {
	for ctx.Err() == nil {
		a := servedAt{serval: i, asked: time.Now()}
		var n int
		err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM t").Scan(&n)
		a.answer, a.scatter = time.Now(), err == nil
		if err != nil && !strings.Contains(err.Error(), "scatter: off") {
			if ctx.Err() == nil {
				t.Errorf("serval %d: %v", i, err)
			}
			return
		}
		h.mu.Lock()
		h.answers = append(h.answers, a)
		h.mu.Unlock()
		time.Sleep(2 * time.Millisecond) // a history of some thousand answers will do
	}
}

// overlap is the longest time for which questions asked after the first answer
// by new rules were still answered by the old ones, and the longest from asking
// for a change to the last question that was answered by the old ones.
func overlap(answers []servedAt, changes []ruleSwitch) (worst, follow time.Duration) {
	for i, c := range changes {
		var first, last time.Time
		for _, a := range answers {
			switch {
			case a.asked.Before(c.begun) || i+1 < len(changes) && a.answer.After(changes[i+1].begun):
			case a.scatter != c.scatter && a.asked.After(last):
				last = a.asked
			case a.scatter == c.scatter && (first.IsZero() || a.answer.Before(first)):
				first = a.answer
			}
		}
		if !first.IsZero() && !last.IsZero() {
			worst, follow = max(worst, last.Sub(first)), max(follow, last.Sub(c.begun))
		}
	}
	return worst, follow
}

func TestOverlapSeesOldAnswersAfterNewOnes(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	answers := []servedAt{
		{0, true, at(0), at(1)}, {1, true, at(0), at(2)}, // old
		{0, false, at(20), at(21)}, {1, true, at(20), at(30)}, // the second was asked before the first new answer
		{1, true, at(40), at(41)}, {1, false, at(50), at(51)},
		{0, true, at(120), at(121)}, {1, true, at(125), at(126)},
	}
	worst, follow := overlap(answers, []ruleSwitch{{at(10), false}, {at(100), true}})
	require.Equal(t, 19*time.Millisecond, worst)
	require.Equal(t, 30*time.Millisecond, follow)
}
