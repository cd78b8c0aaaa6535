package reshard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Worker takes a job from stage to stage, up to following. Its journal's lock
// makes it the only one.
type Worker struct {
	Log     *JobLog
	Job     *Job
	Layout  *Layout
	Servers JobServers
	// Primaries are for the Mover.
	Primaries     Servers
	RowsPerSecond int
	Pause         func() string
	// Told is called each second with the job as it is and what has been said since;
	// nil is nobody.
	Told func(Job, Progress)
	// Changed is asked now and then whether the layout has changed; nil never.
	Changed func(ctx context.Context) (bool, error)
	// Said is told what a person should know; nil is nobody.
	Said func(string)
	Logs *slog.Logger

	// known are the servers that are read and written to, by cluster; suspect says why
	// rows may be missing there, empty where they are whole.
	known   map[string]string
	suspect string
}

// Then is what is to be done with a Mover that has copied all.
type Then func(ctx context.Context, m *Mover) error

// beatEvery is how often the journal is told that the worker lives.
const beatEvery = time.Second

// lookEvery is how many beats go by between two looks at the layout.
const lookEvery = 20

// ErrStopWished: another process asked the worker to end.
var ErrStopWished = errors.New("another process takes the job over")

// ErrChanged: the layout is not the one that the worker began with any more (a
// period has been added): it is to begin anew with the new one.
var ErrChanged = errors.New("the tables to be moved have changed")

// ErrJournal: the journal could not be written, so the lock may be lost.
var ErrJournal = errors.New("the journal")

// Run works until ctx ends or another process wishes the end (ErrStopWished), or it
// cannot go on. The job can be taken up again in any case. then, if not nil,
// is called once all is copied, while changes are followed, and Run ends with it.
func (w *Worker) Run(ctx context.Context, then Then) error {
	err := w.run(ctx, then)
	var misplaced *MisplacedError
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrStopWished) && !errors.As(err, &misplaced) {
		w.Job.Trouble = err.Error()
		w.beat(context.WithoutCancel(ctx))
	}
	return err
}

func (w *Worker) run(ctx context.Context, then Then) error {
	fresh := w.Job.Stage == Planned || w.Job.Stage == Creating
	if w.Job.Stage == Planned {
		if err := w.Log.Become(ctx, w.Job, Begin); err != nil {
			return err
		}
	}
	if w.Job.Stage == Reversing {
		if err := w.meetPrimaries(ctx, false); err != nil {
			return err
		}
		return w.follow(ctx, then)
	}
	if w.Job.Stage != Creating && w.Job.Stage != Copying && w.Job.Stage != Following {
		return fmt.Errorf("the job is %s; %s", w.Job.Stage, w.Job.Stage.May())
	}
	w.Job.Detail = "making the new tables"
	w.beat(ctx)
	// Also of a job that has made its tables: a period may have been added.
	if err := create(ctx, w.Servers, w.Log, w.Job, w.Layout); err != nil {
		return err
	}
	if err := w.meetPrimaries(ctx, fresh); err != nil {
		return err
	}
	if w.Job.Stage == Creating {
		if err := w.Log.Become(ctx, w.Job, Created); err != nil {
			return err
		}
	}
	resume, err := w.Log.Resume(ctx, w.Job, w.Layout)
	if err != nil {
		return err
	}
	m, err := NewMover(ctx, MoverConfig{Layout: w.Layout, Servers: w.Primaries, Journal: w.Log.Parts(w.Job), Resume: resume,
		RowsPerSecond: w.RowsPerSecond, Pause: w.Pause, Log: w.Logs})
	if err != nil {
		return err
	}
	return w.move(ctx, m, then)
}

// follow takes what is written to the tables that serve now back to those before.
func (w *Worker) follow(ctx context.Context, then Then) error {
	if err := adopt(ctx, w.Servers, w.Log, w.Job, w.Layout); err != nil {
		return err
	}
	resume, err := w.Log.Resume(ctx, w.Job, w.Layout)
	if err != nil {
		return err
	}
	m, err := NewMover(ctx, MoverConfig{Layout: w.Layout, Servers: w.Primaries, Journal: w.Log.Parts(w.Job), Resume: resume, Follow: true,
		RowsPerSecond: w.RowsPerSecond, Pause: w.Pause, Log: w.Logs})
	if err != nil {
		return err
	}
	return w.move(ctx, m, then)
}

// move runs the mover, and beside it what has to be done while it runs.
func (w *Worker) move(ctx context.Context, m *Mover, then Then) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer func() {
		cancel(nil)
		running.Wait()
	}()
	ended := make(chan error, 1)
	running.Go(func() { ended <- m.Run(ctx) })
	var did, mended chan error
	goOn := func() {
		if then != nil {
			did = make(chan error, 1)
			running.Go(func() { did <- then(ctx, m) })
		}
	}
	running.Go(func() { w.watchPrimaries(ctx, cancel) })
	if w.Changed != nil {
		running.Go(func() { w.look(ctx, cancel) })
	}
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	copied := m.Copied()
	for {
		select {
		case err := <-ended:
			err = whyEnded(ctx, err)
			if did == nil {
				return err
			}
			cancel(err)
			if <-did == nil {
				return nil // a cut over ends the streams: they meet its renames
			}
			return err
		case <-copied:
			copied = nil
			if w.Job.Stage == Copying {
				if err := w.Log.Become(ctx, w.Job, Copied); err != nil {
					return err
				}
			}
			if w.suspect == "" {
				goOn()
				continue
			}
			mended = make(chan error, 1)
			running.Go(func() { mended <- w.mend(ctx, m) })
		case err := <-mended:
			if err != nil {
				return whyEnded(ctx, err)
			}
			mended, w.suspect = nil, ""
			goOn()
		case err := <-did:
			return whyEnded(ctx, err)
		case <-tick.C:
			wish, err := w.report(ctx, m)
			switch {
			case err != nil:
				return err
			case wish == WishStop:
				cancel(ErrStopWished)
			case wish == WishVerify && did == nil && mended == nil && copied == nil:
				if err := w.Log.Granted(ctx, w.Job); err != nil {
					return err
				}
				running.Go(func() { w.verify(ctx, m) })
			}
		}
	}
}

// whyEnded is the reason that somebody gave for the end, or else the error.
func whyEnded(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && (errors.Is(cause, ErrStopWished) || errors.Is(cause, ErrChanged) || errors.Is(cause, ErrPrimaries)) {
		return cause
	}
	return err
}

// look ends the work when the layout is another one.
func (w *Worker) look(ctx context.Context, end context.CancelCauseFunc) {
	every(ctx, lookEvery*beatEvery, func() bool {
		changed, err := w.Changed(ctx)
		if err != nil && ctx.Err() == nil {
			w.Logs.Warn("whether the tables to be moved have changed could not be asked", "err", err)
		}
		if changed {
			end(ErrChanged)
		}
		return !changed
	})
}

// every calls f each time that so long has passed, until ctx ends or f says no.
func every(ctx context.Context, d time.Duration, f func() bool) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !f() {
			return
		}
	}
}

// report writes down how far the job is.
func (w *Worker) report(ctx context.Context, m *Mover) (Wish, error) {
	p := m.Progress()
	j := w.Job
	j.Rows, j.Dirty, j.Behind, j.Detail = 0, 0, 0, p.Waiting
	if w.suspect != "" {
		j.Detail = w.suspect + "; all rows are compared once they are copied"
	}
	for _, part := range p.Parts {
		j.Rows += part.Rows
	}
	for _, s := range p.Streams {
		j.Dirty += int64(s.Dirty)
		j.Behind = max(j.Behind, s.Behind)
		if s.Why != "" {
			j.Detail = "cluster " + s.Cluster + ": " + s.Why
		}
	}
	if w.Told != nil {
		w.Told(*j, p)
	}
	return w.Log.Beat(ctx, j)
}

func (w *Worker) beat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := w.Log.Beat(ctx, w.Job); err != nil {
		w.Logs.Warn("the journal could not be written", "err", err)
	}
}

// verify compares for another process, which reads the end in the journal.
func (w *Worker) verify(ctx context.Context, m *Mover) {
	v, err := m.Verify(ctx, VerifyOptions{})
	text := ""
	if err != nil {
		text = "failed: " + err.Error()
	} else {
		text = v.Text()
	}
	if ctx.Err() != nil {
		return // who asked will ask again
	}
	if err := w.Log.Found(ctx, w.Job, text); err != nil {
		w.Logs.Warn("what the comparison found could not be written down", "err", err)
	}
}

// Undo drops what the job has made, and closes it.
func Undo(ctx context.Context, servers JobServers, log *JobLog, j *Job) error {
	if j.Stage != Cancelling {
		if err := log.Become(ctx, j, Cancel); err != nil {
			return err
		}
	}
	if err := dropMade(ctx, servers, log, j); err != nil {
		return err
	}
	return log.Become(ctx, j, Dropped)
}

// NoDifference is how Verified.Text ends where there is none.
const NoDifference = ": no difference"

// Text is what a comparison found, for people.
func (r *Verified) Text() string {
	s := fmt.Sprintf("%d rows compared in %d ranges", r.Rows, r.Ranges)
	if r.Skipped > 0 {
		s += fmt.Sprintf(", %d ranges left out", r.Skipped)
	}
	if r.Repaired > 0 {
		s += fmt.Sprintf(", %d keys taken over once more", r.Repaired)
	}
	if r.Unsteady > 0 {
		s += fmt.Sprintf(", %d keys changed at each look", r.Unsteady)
	}
	if len(r.Differing) == 0 {
		return s + NoDifference
	}
	more := ""
	if r.More {
		more = " and more"
	}
	s += fmt.Sprintf(": %d keys%s differ", len(r.Differing), more)
	for _, d := range r.Differing {
		s += "\n" + d.String()
	}
	return s
}
