package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/servaldb/serval/control"
	"github.com/servaldb/serval/reshard"
	"github.com/servaldb/serval/rulestore"
	"github.com/servaldb/serval/topology"
)

// cutoverOptions are those of cutover and reverse.
type cutoverOptions struct {
	*reshardOptions
	hold, within time.Duration
	unverified   bool
}

func reshardCutover(o *reshardOptions) *cobra.Command {
	return turnCommand(&cutoverOptions{reshardOptions: o}, reshard.Following, &cobra.Command{
		Use:   "cutover",
		Short: "Put the new rules in effect, on every Serval at once",
		Long: `Takes over what has been written until now, compares all rows if that has not been done, and then: no new
transaction and no change outside of one begins; those under way end; the last changes are taken
over; statements that read the tables end; the tables are renamed; the new rules are in effect.
Nothing fails meanwhile, statements wait. What is not done in the time of --hold is undone, and tried
again, until --within has passed.

The old tables are kept. serval reshard reverse goes back with everything written since, for as long
as the binlogs since then are kept; serval reshard start takes it over all the time until finish.`,
		Example: "  serval reshard cutover -c serval.yaml\n  serval reshard cutover -c serval.yaml --hold 300ms --within 10m",
	})
}

func reshardReverse(o *reshardOptions) *cobra.Command {
	return turnCommand(&cutoverOptions{reshardOptions: o}, reshard.Reversing, &cobra.Command{
		Use:   "reverse",
		Short: "Put the rules before the cut over in effect again, with everything written since",
		Long: `The cut over the other way: takes what has been written since over to the old tables, compares all
rows, holds statements for a moment and renames the tables back. The new tables are kept and may be
followed (start), cut over to again or dropped (cancel).`,
		Example: "  serval reshard reverse -c serval.yaml",
	})
}

func turnCommand(o *cutoverOptions, from reshard.Stage, cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return o.with(cmd.Context(), cmd, func(s *reshardSet) error { return o.turn(cmd.Context(), s, from) })
	}
	f := cmd.Flags()
	f.DurationVar(&o.hold, "hold", 800*time.Millisecond, "how long statements may be held")
	f.DurationVar(&o.within, "within", time.Minute, "how long to try again")
	f.BoolVar(&o.unverified, "unverified", false, "do not compare the rows first")
	f.StringVar(&o.to, "to", "", "the file to go to, where the rules in effect were changed since the job began and it has those changes, too")
	return cmd
}

// goesBack: the new rules are in effect, or were when the turn began.
func goesBack(j *reshard.Job) bool {
	return j.Stage == reshard.Reversing || j.Stage == reshard.Returning || j.Stage == reshard.Finishing
}

// turnEvent is what begins a turn from a stage.
func turnEvent(from reshard.Stage) reshard.Event {
	if from == reshard.Reversing {
		return reshard.Return
	}
	return reshard.Cut
}

// turn takes over the job, and turns it when it is where it should be.
func (o *cutoverOptions) turn(ctx context.Context, s *reshardSet, from reshard.Stage) error {
	j, err := o.existing(ctx, s)
	if err != nil {
		return err
	}
	if from == reshard.Reversing && !goesBack(j) && j.Stage != reshard.Cutting || from == reshard.Following && j.Stage == reshard.Reversing {
		_, err := j.Stage.After(turnEvent(from))
		return err
	}
	turned := false
	quiet := slog.New(slog.DiscardHandler)
	err = s.work(ctx, j, &workOptions{ask: true, log: quiet}, func(ctx context.Context, m *reshard.Mover) error {
		if j.Stage != from {
			_, err := j.Stage.After(turnEvent(from))
			return err
		}
		s.job.Stage = j.Stage // it may have been copying when it was taken over
		err := o.turnWith(ctx, s, m)
		turned = err == nil
		return err
	})
	if turned {
		return nil // the streams end at the renames
	}
	return err
}

// turnWith turns a job whose rows are all taken over.
func (o *cutoverOptions) turnWith(ctx context.Context, s *reshardSet, m *reshard.Mover) error {
	j, log := s.job, s.journal
	text, event := j.To, reshard.Cut
	if goesBack(&j) {
		text, event = j.From, reshard.Return
	}
	head, err := s.store.Head(ctx)
	if err != nil && !errors.Is(err, rulestore.ErrEmpty) {
		return err
	}
	if want := map[bool]string{false: j.From, true: j.To}[goesBack(&j)]; err == nil && head.Text != want {
		return fmt.Errorf("version %d of the rules is in effect, and it is not that of the job: rules were applied since. Make the same change in the file that the job "+
			"goes to and give it once more (--to FILE), or roll them back (serval rules rollback %d …) and apply them again when it is done", head.Number, head.Number-1)
	}
	if err := o.ready(ctx, s, m); err != nil {
		return err
	}
	if err := log.Become(ctx, &j, event); err != nil {
		return err
	}
	floors, err := o.try(ctx, s, m, head.Number, rulestore.Version{Text: text, By: whoami(), Note: fmt.Sprintf("reshard job %d: %s", j.ID, j.Stage)})
	// The streams end at the renames, and ctx with them.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var interrupted *rulestore.Interrupted
	if errors.As(err, &interrupted) {
		return err // whoever takes the job looks what became of it
	}
	if err != nil {
		if now, unknown := s.store.Head(ctx); unknown != nil || now.Text == text {
			return errors.Join(err, unknown) // so it is here
		}
		return errors.Join(err, log.Become(ctx, &j, reshard.BackedOut))
	}
	primaries, err := reshard.PrimariesOf(ctx, s.jobServers(), s.moved)
	if err != nil {
		primaries = nil // the next worker compares
	}
	if err := log.Turn(ctx, &j, floors, primaries); err != nil {
		return fmt.Errorf("the rules are in effect, but the journal could not be written; the next command sets it right: %w", err)
	}
	if j.Stage == reshard.Reversing {
		s.say("the new rules are in effect; serval reshard reverse goes back, serval reshard finish drops the old tables")
		return nil
	}
	s.say("the rules are those before the job again; serval reshard cutover goes forward, serval reshard cancel drops the new tables")
	return nil
}

// ready waits until hardly anything is left to take over, and has the rows compared.
func (o *cutoverOptions) ready(ctx context.Context, s *reshardSet, m *reshard.Mover) error {
	// First, for it gives up behind a table that somebody has locked.
	if err := o.catchUp(ctx, m); err != nil {
		return err
	}
	if !o.unverified && !strings.HasSuffix(s.job.Verified, reshard.NoDifference) {
		s.say("comparing the rows")
		v, err := o.compare(ctx, m)
		if err != nil {
			return err
		}
		s.say("%s", v.Text())
		if !strings.HasSuffix(v.Text(), reshard.NoDifference) {
			return errors.New("the rows differ; nothing was changed")
		}
	}
	const near, far = 200 * time.Millisecond, 10 * time.Minute
	within, cancel := context.WithTimeout(ctx, far)
	defer cancel()
	for {
		began := time.Now()
		if err := o.catchUp(within, m); err != nil {
			return err
		}
		if time.Since(began) < near {
			return nil
		}
	}
}

// comparedWithin is how long the comparison of one range of keys may take, where
// --within is less.
const comparedWithin = 30 * time.Second

// compare is Verify, which gives up when it does not get on.
func (o *cutoverOptions) compare(ctx context.Context, m *reshard.Mover) (*reshard.Verified, error) {
	bound := max(o.within, comparedWithin)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stuck := time.AfterFunc(bound, func() {
		cancel(fmt.Errorf("no row could be compared for %v; nothing was changed. A session may have LOCK TABLES or an ALTER TABLE under way", bound))
	})
	defer stuck.Stop()
	v, err := m.Verify(ctx, reshard.VerifyOptions{Progress: func(reshard.Verified) { stuck.Reset(bound) }})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return v, err
}

// stuckAfter is how long nothing at all may be taken over, where --within is less.
const stuckAfter = 5 * time.Second

// catchUp takes over what has been written until now, for as long as it takes; it
// gives up when none of it could be taken over in the time of --within.
func (o *cutoverOptions) catchUp(ctx context.Context, m *reshard.Mover) error {
	for {
		before := settledBy(m)
		within, cancel := context.WithTimeout(ctx, max(o.within, stuckAfter))
		err := m.CatchUp(within)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
		if settledBy(m) == before {
			return fmt.Errorf("%w; nothing was changed. A session there may have LOCK TABLES or an ALTER TABLE under way", err)
		}
	}
}

// settledBy is how far each binlog is taken over.
func settledBy(m *reshard.Mover) string {
	var at []string
	for _, s := range m.Progress().Streams {
		at = append(at, s.Settled)
	}
	return strings.Join(at, " ")
}

// try cuts over, again and again where statements under way are in its way.
func (o *cutoverOptions) try(ctx context.Context, s *reshardSet, m *reshard.Mover, base int64, v rulestore.Version) (floors map[string]string, err error) {
	cutter, ok := s.store.(rulestore.Cutter)
	if !ok {
		return nil, errors.New("the rules' store knows no cut over")
	}
	renames := reshard.RenamesOf(s.moved)
	finish, err := renames.Text()
	if err != nil {
		return nil, err
	}
	var began time.Time
	c := rulestore.Cutover{
		Tables: s.moved.Names(), Within: o.hold, Finish: finish,
		Caught: func(ctx context.Context) error { return s.caught(ctx, m) },
		Rename: func(ctx context.Context) (map[string]string, error) {
			var err error
			floors, err = renames.Do(ctx, s.servers)
			return floors, err
		},
		Undo: func(ctx context.Context) error { return renames.Undo(ctx, s.servers) },
		Progress: func(r rulestore.Round) {
			if r == rulestore.Asked {
				began = time.Now()
			}
		},
	}
	deadline := time.Now().Add(o.within)
	for attempt := 1; ; attempt++ {
		err := o.rehearse(ctx, s, m)
		if err == nil {
			_, err = cutter.Cutover(ctx, base, v, c)
		}
		var lagging *rulestore.Lagging
		switch {
		case err == nil:
			s.say("statements were held for %s", time.Since(began).Round(time.Millisecond))
			return floors, nil
		case errors.As(err, &lagging):
			s.say("%v", err)
			return floors, nil
		case !passing(err) || time.Now().After(deadline) || ctx.Err() != nil:
			return nil, err
		}
		s.say("attempt %d was taken back: %v", attempt, err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(min(attempt, 5)) * 400 * time.Millisecond):
		}
	}
}

// rehearse does what is done while writes are held, so that less is left to do then,
// and no connection has to be made.
func (o *cutoverOptions) rehearse(ctx context.Context, s *reshardSet, m *reshard.Mover) error {
	ctx, cancel := context.WithTimeout(ctx, max(o.within, stuckAfter))
	defer cancel()
	return s.caught(ctx, m)
}

// caught returns when the new tables have all there is, and may serve. With writes
// held, nothing comes after that: what need not wait for something else is done
// beside it.
func (s *reshardSet) caught(ctx context.Context, m *reshard.Mover) error {
	beside, within := errgroup.WithContext(ctx)
	beside.Go(func() error { return m.CatchUp(within) })
	beside.Go(func() error { return s.unchanged(within) })
	if err := beside.Wait(); err != nil {
		return err
	}
	beside, within = errgroup.WithContext(ctx)
	beside.Go(func() error {
		return reshard.SamePrimaries(within, s.jobServers(), s.journal, &s.job, s.moved)
	})
	beside.Go(func() error { return reshard.RaiseSequences(within, s.jobServers(), s.moved, s.homeOf) })
	return beside.Wait()
}

// unchanged: no period has been added since the layout was looked at, whose table
// would be left behind with its rows. The error is ErrChanged.
func (s *reshardSet) unchanged(ctx context.Context) error {
	rules := s.from
	if goesBack(&s.job) {
		rules = s.to
	}
	for _, t := range s.moved.Tables {
		now, err := control.PeriodShards(ctx, rules, s.servers, s.moved.FoldNames, control.TableName{Schema: t.Schema, Table: t.Name})
		if err != nil {
			return err
		}
		for _, at := range now {
			if !slices.ContainsFunc(t.From.Shards, func(s topology.Shard) bool {
				return s.Cluster == at.Cluster && s.Database == at.Database && s.Table == at.Table
			}) {
				return fmt.Errorf("%w: %s.%s on cluster %s has been made", reshard.ErrChanged, at.Database, at.Table, at.Cluster)
			}
		}
	}
	return nil
}

// homeOf is the cluster that keeps a schema's sequences: the same by both rules.
func (s *reshardSet) homeOf(schema string) string {
	for i := range s.from.Schemas {
		if at := &s.from.Schemas[i]; strings.EqualFold(at.Name, schema) && at.Home != "" {
			return at.Home
		}
	}
	return s.from.Home
}

// passing: trying again may help.
func passing(err error) bool {
	var refused *rulestore.Refused
	var silent *rulestore.Silent
	var conflict *rulestore.Conflict
	var interrupted *rulestore.Interrupted
	switch {
	case errors.As(err, &refused):
		return refused.Round > rulestore.Asked
	case errors.As(err, &silent):
		return !silent.Lost
	}
	return !errors.As(err, &conflict) && !errors.As(err, &interrupted) && !errors.Is(err, reshard.ErrStopped) && !errors.Is(err, reshard.ErrChanged)
}

// settleTurn ends what a crash has left in the middle of a turn: the store knows
// which rules are in effect.
func (s *reshardSet) settleTurn(ctx context.Context, j *reshard.Job, log *reshard.JobLog) error {
	if j.Stage != reshard.Cutting && j.Stage != reshard.Returning {
		return nil
	}
	cutter, ok := s.store.(rulestore.Cutter)
	if !ok {
		return errors.New("the rules' store knows no cut over")
	}
	err := cutter.EndOrphan(ctx, func(ctx context.Context, _ string, finish []byte) (map[string]string, error) {
		renames, err := reshard.DecodeRenames(finish)
		if err != nil {
			return nil, err
		}
		return renames.Do(ctx, s.servers)
	})
	if err != nil {
		return err
	}
	head, err := s.store.Head(ctx)
	if err != nil && !errors.Is(err, rulestore.ErrEmpty) {
		return err
	}
	if turned := map[bool]string{false: j.To, true: j.From}[goesBack(j)]; head.Text == turned {
		return log.Turn(ctx, j, head.Floors, nil)
	}
	return log.Become(ctx, j, reshard.BackedOut)
}

func reshardFinish(o *reshardOptions) *cobra.Command {
	var pause time.Duration
	cmd := &cobra.Command{
		Use:   "finish",
		Short: "Drop the old tables; there is no way back then",
		Long: `After the cut over: drops the tables that the new ones have replaced, one after the other with a pause
between, and ends the job.`,
		Example: "  serval reshard finish -c serval.yaml --pause 10s",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.with(cmd.Context(), cmd, func(s *reshardSet) error { return o.finish(cmd.Context(), s, pause) })
		},
	}
	cmd.Flags().DurationVar(&pause, "pause", time.Second, "between two tables")
	return cmd
}

func (o *reshardOptions) finish(ctx context.Context, s *reshardSet, pause time.Duration) error {
	j, err := o.existing(ctx, s)
	if err != nil {
		return err
	}
	log, err := s.hold(ctx, j, true)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := s.settleTurn(ctx, j, log); err != nil {
		return err
	}
	if j.Stage != reshard.Finishing {
		if _, err := j.Stage.After(reshard.Finish); err != nil {
			return err
		}
	}
	layout, err := s.moves(ctx, j)
	if err != nil {
		return err
	}
	return reshard.DropOld(ctx, s.jobServers(), log, j, layout, pause, func(table string) { s.say("dropped %s", table) })
}
