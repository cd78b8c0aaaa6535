//go:build soak

package integration

import (
	"math/rand/v2"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// killedJob is a job whose commands are killed while applications write.
type killedJob struct {
	*serval
	t      *testing.T
	to     string
	load   *movedLoad
	random *rand.Rand
	// stages are those in which a command was killed, by command.
	stages map[string]map[string]int
}

// run starts a command, kills it at some moment up to so long after, and gives the
// stage of the job then.
func (k *killedJob) run(upTo time.Duration, command ...string) string {
	k.t.Helper()
	cmd := exec.Command(binary, append([]string{"reshard", command[0], "-c", k.Config}, command[1:]...)...)
	out := &safeBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(k.t, cmd.Start())
	time.Sleep(time.Duration(k.random.Int64N(int64(upTo))))
	_ = cmd.Process.Kill() // it may have ended
	_ = cmd.Wait()         // it was killed
	k.load.requireNoError(k.t)
	stage := k.stage()
	if k.stages[command[0]] == nil {
		k.stages[command[0]] = map[string]int{}
	}
	k.stages[command[0]][stage]++
	return stage
}

func (k *killedJob) stage() string {
	k.t.Helper()
	if j := lastJob(k.t, k.Config); j != nil {
		return j.Stage
	}
	return "none"
}

// start kills `reshard start` at some moment up to so long after its beginning.
func (k *killedJob) start(upTo time.Duration) string {
	k.t.Helper()
	command := []string{"start", "--rate", "800"}
	if slices.Contains([]string{"none", "cancelled", "finished"}, k.stage()) {
		command = append(command, "--to", k.to)
	}
	return k.run(upTo, command...)
}

// until kills a command again and again until the job is at a stage.
func (k *killedJob) until(stage string, upTo time.Duration, command ...string) {
	k.t.Helper()
	for range 100 {
		if k.run(upTo, command...) == stage {
			return
		}
	}
	k.t.Fatalf("the job is never %s", stage)
}

// Whatever works at a job is killed at every stage of it, while applications write:
// no statement fails, no row is lost or there twice, and what is given up leaves no
// trace.
func TestSoakAReshardThatIsKilledAtEveryStage(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "everystage"
		p, db, to := movable(t, s, schema, "{shard: hash(user_id), shards: 4, on: [c0, c1]}", "{shard: hash(id), shards: 6, on: [c1, c0]}")
		k := &killedJob{serval: p, t: t, to: to,
			load: startMoved(t, p, schema, schema+".orders", 4), random: rand.New(rand.NewPCG(uint64(len(s.engine.String())), 5)), stages: map[string]map[string]int{}}
		t.Cleanup(func() {
			_ = exec.Command(binary, "reshard", "cancel", "-c", p.Config).Run() // it may be over
			t.Logf("killed at: %v", k.stages)
		})

		for range 3 {
			for n := 0; n < 5; n++ {
				if k.start(3*time.Second) == "none" {
					n-- // it was not quick enough
				}
			}
			k.until("cancelled", time.Second, "cancel")
			require.Empty(t, left(t, s, schema))
		}
		for k.start(4*time.Second) != "following" {
		}
		for range 5 {
			k.killBeside(t)
		}
		for range 5 {
			k.run(1500*time.Millisecond, "cutover", "--unverified")
		}
		k.turn("cutover", "reversing")
		for range 5 {
			k.start(2 * time.Second)
		}
		k.turn("reverse", "following")
		k.start(2 * time.Second)
		k.turn("cutover", "reversing")
		k.until("finished", time.Second, "finish", "--pause", "50ms")
		k.load.end()
		k.load.requireNoError(t)
		s.sync(t)
		k.load.requireRows(t, db)
		require.Empty(t, left(t, s, schema))
	})
}

// killBeside compares while `start` works, and kills one of the two.
func (k *killedJob) killBeside(t *testing.T) {
	t.Helper()
	r := startReshard(t, "-c", k.Config)
	awaitStage(t, r, k.Config, "following")
	if k.random.IntN(2) == 0 {
		k.run(2*time.Second, "verify")
		r.end(t, syscall.SIGKILL)
		return
	}
	verify := exec.Command(binary, "reshard", "verify", "-c", k.Config)
	require.NoError(t, verify.Start())
	time.Sleep(time.Duration(k.random.Int64N(int64(time.Second))))
	r.end(t, syscall.SIGKILL)
	_ = verify.Process.Kill() // it may have ended
	_ = verify.Wait()         // it was killed
}

// turn goes there or back, also from where a killed one left it.
func (k *killedJob) turn(verb, stage string) {
	k.t.Helper()
	for range 5 {
		if out, ok := reshardRun(k.t, verb, "-c", k.Config); !ok {
			k.t.Log(out)
		}
		if k.stage() == stage {
			return
		}
	}
	k.t.Fatalf("%s does not get to %s", verb, stage)
}
