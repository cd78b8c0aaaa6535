package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/reshard"
)

func reshardStart(o *reshardOptions) *cobra.Command {
	var w workOptions
	var until string
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Make the new tables, copy the rows, follow what is written",
		Long: `Does what plan shows, up to the cut over: makes the new tables as serval_new_… beside those that
serve, copies the rows while applications write, and follows the binlogs until it is told to end.
What plan has in the way is refused.

The job is written down in serval_meta.reshards. Ctrl-C, a crash, a lost server end the work and not
the job: start again, without --to, goes on where it was, here or on another machine. Only one
process works at it; status, verify and cancel are run beside it.

It reads the primaries and writes to the new tables' primaries. --rate bounds the copy; it also
waits while a replica of a cluster it writes to is behind more than replicas: max_lag.

With --until following it ends, for scripts, when all rows are copied and what was written meanwhile
is taken over. What is written after that comes over with the next command, cutover included.`,
		Example: `  serval reshard start -c serval.yaml --to new.yaml
  serval reshard start -c serval.yaml                       goes on with the job there is
  serval reshard start -c serval.yaml --to new.yaml --rate 5000
  serval reshard start -c serval.yaml --to new.yaml --until following && serval reshard cutover -c serval.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var then reshard.Then
			switch until {
			case "":
			case string(reshard.Following):
				then = func(ctx context.Context, m *reshard.Mover) error { return m.CatchUp(ctx) }
			default:
				return fmt.Errorf("--until %s: only following can be waited for", until)
			}
			return o.with(cmd.Context(), cmd, func(s *reshardSet) error {
				j, err := o.begin(cmd.Context(), s)
				if err != nil {
					return err
				}
				w.told, w.log = s.progress(cmd.OutOrStdout()), newLogger(cmd.ErrOrStderr(), config.Defaults().Log)
				err = s.work(cmd.Context(), j, &w, then)
				s.say("")
				switch {
				case err == nil:
					s.say("job %d is %s, and has all that was written until now", j.ID, j.Stage)
				case errors.Is(err, reshard.ErrStopWished):
					s.say("another process takes job %d over", j.ID)
				case cmd.Context().Err() != nil:
					s.say("stopped; job %d is %s, and serval reshard start -c %s goes on with it", j.ID, j.Stage, s.file)
				default:
					return err
				}
				if until == "" {
					return nil
				}
				return err // a script is not to go on
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "file with the new rules (default: those of the job under way)")
	f.StringVar(&until, "until", "", "following: end when all is copied and caught up with (default: go on until stopped)")
	f.IntVar(&w.rate, "rate", 0, "rows a second to copy at most; 0: as many as the servers take")
	return cmd
}

// progress shows a job's state: a line that is written over, or, for programs, an
// object a second.
func (s *reshardSet) progress(out io.Writer) func(reshard.Job, reshard.Progress) {
	if s.output == "json" {
		return func(j reshard.Job, _ reshard.Progress) { _ = printJSON(out, j) } // who reads it is gone, or not
	}
	var rate speed
	return func(j reshard.Job, _ reshard.Progress) {
		perSecond := rate.of(time.Now(), j.Rows)
		fmt.Fprintf(out, "\r%-100s", progressLine(&j, perSecond))
	}
}

// speed is the rows a second, over the last seconds.
type speed struct {
	at   []time.Time
	rows []int64
}

func (s *speed) of(now time.Time, rows int64) float64 {
	s.at, s.rows = append(s.at, now), append(s.rows, rows)
	if len(s.at) > 10 {
		s.at, s.rows = s.at[1:], s.rows[1:]
	}
	seconds := now.Sub(s.at[0]).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(rows-s.rows[0]) / seconds
}

// barWidth is the progress bar's.
const barWidth = 20

// progressLine is a job's state in one line.
func progressLine(j *reshard.Job, perSecond float64) string {
	behind := fmt.Sprintf("%s behind, %d keys wait", j.Behind.Round(100*time.Millisecond), j.Dirty)
	if j.Detail != "" {
		behind += "; " + j.Detail
	}
	if j.Stage != reshard.Copying || j.Total == 0 {
		return fmt.Sprintf("%s: %d rows copied, %s", j.Stage, j.Rows, behind)
	}
	part := min(float64(j.Rows)/float64(j.Total), 1)
	done := int(part * barWidth)
	left := ""
	if perSecond >= 1 && j.Rows < j.Total { // the total is an estimate
		left = ", " + time.Duration(float64(j.Total-j.Rows)/perSecond*float64(time.Second)).Round(time.Second).String() + " left"
	}
	return fmt.Sprintf("copying [%s%s] %3.0f %% of %d rows, %.0f rows/s%s, %s", strings.Repeat("#", done), strings.Repeat(".", barWidth-done), 100*part, j.Total, perSecond, left, behind)
}

func reshardStatus(o *reshardOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say how far the job is",
		Long: `Lists the jobs in the journals of the configuration's clusters, the latest first, and of the one that
has not ended: its stage, how much is copied, how far behind it follows, who works at it and when
that one last said so, why it stopped, and what may be done now.`,
		Example: "  serval reshard status -c serval.yaml\n  serval reshard status -c serval.yaml -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
			defer cancel()
			return o.with(ctx, cmd, func(s *reshardSet) error {
				jobs, err := s.jobs(ctx)
				if err != nil {
					return err
				}
				if j := openJob(jobs); j != nil && j.Stage == reshard.Reversing {
					if why := s.cannotGoBack(ctx, *j); why != nil {
						j.Trouble = "it cannot go back: " + why.Error()
					}
				}
				if o.output == "json" {
					if jobs == nil {
						jobs = []reshard.Job{}
					}
					return printJSON(cmd.OutOrStdout(), jobs)
				}
				printJobs(cmd.OutOrStdout(), jobs)
				return nil
			})
		},
	}
}

// goBackWithin bounds the question whether a job can still go back.
const goBackWithin = 10 * time.Second

// cannotGoBack is why the tables that serve cannot be taken back to those before any
// more: somebody changed their definition past Serval. It is nil where that cannot be
// asked.
func (s *reshardSet) cannotGoBack(ctx context.Context, j reshard.Job) error {
	ctx, cancel := context.WithTimeout(ctx, goBackWithin)
	defer cancel()
	if err := s.take(ctx, &j); err != nil {
		return nil //nolint:nilerr // a cluster that is away says nothing of the tables
	}
	layout, err := s.moves(ctx, &j)
	if err != nil {
		return nil //nolint:nilerr // the same
	}
	_, err = reshard.NewMover(ctx, reshard.MoverConfig{Layout: layout, Servers: s.jobServers()})
	if err == nil || ctx.Err() != nil || reshard.Passing(err) {
		return nil
	}
	return fmt.Errorf("%w; make the tables that serve and those before alike, or finish the job", err)
}

func printJobs(w io.Writer, jobs []reshard.Job) {
	if len(jobs) == 0 {
		fmt.Fprintln(w, "there was never a job")
		return
	}
	t := newTable(w, "job", "stage", "tables", "rows", "of about", "begun (UTC)", "by")
	for i := range jobs {
		j := &jobs[i]
		t.AppendRow(table.Row{j.ID, string(j.Stage), j.Tables, j.Rows, j.Total, j.Created, j.By})
	}
	t.Render()
	j := openJob(jobs)
	if j == nil {
		return
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, progressLine(j, 0))
	switch {
	case j.Idle < 0:
		fmt.Fprintln(w, "nobody has worked at it yet")
	case j.Idle < 5*time.Second:
		fmt.Fprintln(w, "at work: "+j.Worker)
	default:
		fmt.Fprintf(w, "nobody is at work; %s was, %s ago\n", j.Worker, j.Idle.Round(time.Second))
	}
	if j.Trouble != "" {
		fmt.Fprintln(w, "trouble: "+j.Trouble)
	}
	if j.Verified != "" {
		fmt.Fprintln(w, "compared: "+j.Verified)
	}
	fmt.Fprintln(w, j.Stage.May())
}

func reshardVerify(o *reshardOptions) *cobra.Command {
	var opt reshard.VerifyOptions
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compare every row of the old tables with the new ones",
		Long: `Compares the tables that serve with those that are filled, row by row, by checksums that the servers
compute; where they differ, down to the keys, which are looked at again when what was written
meanwhile has come over. It also sees rows on a shard where the new rule does not look.

While start works at the job, that process compares, all of it, and this command waits for what it
finds; else this command works at the job itself, until it is done. With --repair rows that differ
are taken over once more: a target that lost its last writes in a failover gets them back.

Exit status 1 if there are differences.`,
		Example: "  serval reshard verify -c serval.yaml\n  serval reshard verify -c serval.yaml --sample 0.01\n  serval reshard verify -c serval.yaml --repair",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.with(cmd.Context(), cmd, func(s *reshardSet) error {
				j, err := o.existing(cmd.Context(), s)
				if err != nil {
					return err
				}
				found, err := s.verify(cmd, j, opt)
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), found)
				if !strings.HasSuffix(found, reshard.NoDifference) {
					return errFindings
				}
				return nil
			})
		},
	}
	cmd.Flags().Float64Var(&opt.Sample, "sample", 0, "compare this part of the key ranges only, 0.01 is a hundredth (only while start is not running)")
	cmd.Flags().BoolVar(&opt.Repair, "repair", false, "take rows that differ over once more (only while start is not running)")
	return cmd
}

// verify compares here, or has the worker do it.
func (s *reshardSet) verify(cmd *cobra.Command, j *reshard.Job, opt reshard.VerifyOptions) (string, error) {
	ctx := cmd.Context()
	found := ""
	err := s.work(ctx, j, &workOptions{log: newLogger(cmd.ErrOrStderr(), config.Defaults().Log)}, func(ctx context.Context, m *reshard.Mover) error {
		if err := m.CatchUp(ctx); err != nil {
			return err
		}
		v, err := m.Verify(ctx, opt)
		if err == nil {
			found = v.Text()
		}
		return err
	})
	if !errors.Is(err, reshard.ErrBusy) {
		return found, err
	}
	if opt.Sample != 0 || opt.Repair {
		return "", errors.New("another process works at the job, and compares all; leave out --sample and --repair, or end that one")
	}
	if err := reshard.Ask(ctx, s.jobServers(), j, reshard.WishVerify); err != nil {
		return "", err
	}
	for {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
		jobs, err := s.jobs(ctx)
		if err != nil {
			return "", err
		}
		now := openJob(jobs)
		switch {
		case now == nil || now.ID != j.ID:
			return "", errors.New("the job has ended meanwhile")
		case now.Idle > takeOver:
			return "", fmt.Errorf("nobody works at the job any more (%s); serval reshard status says more", now.Worker)
		case now.Verified != "":
			return now.Verified, nil
		}
	}
}

func reshardCancel(o *reshardOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel",
		Short: "End the job before its cut over, as if it had not been",
		Long: `Ends the process that works at the job, drops the tables and databases that the job has made, of which
it has a list, and closes it in the journal. Nothing else was touched. After the cut over it is
refused: reverse goes back then.`,
		Example: "  serval reshard cancel -c serval.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return o.with(ctx, cmd, func(s *reshardSet) error {
				j, err := o.existing(ctx, s)
				if err != nil {
					return err
				}
				if _, err := j.Stage.After(reshard.Cancel); err != nil && j.Stage != reshard.Cancelling {
					return err
				}
				log, err := s.hold(ctx, j, true)
				if err != nil {
					return err
				}
				defer log.Close()
				if err := reshard.Undo(ctx, s.jobServers(), log, j); err != nil {
					return err
				}
				s.say("job %d is cancelled; what it had made is dropped", j.ID)
				return nil
			})
		},
	}
}
