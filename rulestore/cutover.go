package rulestore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A cut over is a change of the rules with which tables change their place: their
// rows are in new tables, and those are renamed in one moment in which no Serval
// uses either. It is proposed like any change, and then goes by rounds, each of
// which every Serval answers:
//
//	Asked       could you serve these rules?
//	WritesHeld  no new transaction and no change outside of one; open ones end
//	AllHeld     no new statement at all; those that read the tables end
//	Renaming    written down where it outlives its maker; then renamed; then in effect
//
// Up to AllHeld whatever goes wrong withdraws it, and statements go on by the old
// rules. From Renaming on it only goes forward, unless its maker takes all
// renames back: where that one is gone, a Serval ends it.

// Round is how far a cut over has come.
type Round int

// The rounds, in order.
const (
	Asked Round = iota
	WritesHeld
	AllHeld
	Renaming
)

// Cutover is what goes with the new rules.
type Cutover struct {
	// Tables change their place, as schema.table.
	Tables []string
	// Within bounds how long statements may be held before the renames.
	Within time.Duration
	// Finish is what a Serval needs to do Rename in place of its maker.
	Finish []byte
	// Caught is called once writes are held everywhere, and returns when the new
	// tables have all there is.
	Caught func(context.Context) error
	// Rename is called when nobody uses the tables, and returns Version.Floors. It
	// may be called again, and by others at the same time.
	Rename func(context.Context) (floors map[string]string, err error)
	// Undo takes back what a Rename that failed has done.
	Undo func(context.Context) error
	// Progress, if not nil, is told of each round that is reached.
	Progress func(Round)
}

// Cutter is a store with which tables can change their place.
type Cutter interface {
	// Cutover makes v the version after base, as c says. *Interrupted means that
	// it is not known whether the tables were renamed, and that a Serval goes on
	// with it; on *Lagging the new rules are in effect; on any other error
	// nothing has changed.
	Cutover(ctx context.Context, base int64, v Version, c Cutover) (Version, error)
	// EndOrphan ends a cut over that was left in the middle of its renames by its
	// maker, and that no Serval has ended yet; where there is none it does
	// nothing. finish is given the new rules and what Cutover.Finish was.
	EndOrphan(ctx context.Context, finish Finisher) error
}

// Finisher renames the tables of an orphan and returns Version.Floors.
type Finisher func(ctx context.Context, text string, finish []byte) (floors map[string]string, err error)

var _, _ Cutter = (*Etcd)(nil), (*Folder)(nil)

// Interrupted: the renames were begun, and their maker could not end them.
type Interrupted struct{ Cause error }

func (e *Interrupted) Error() string {
	return "the tables were being renamed when this happened, and Serval goes on with it by itself (serval rules history tells when it is done): " + e.Cause.Error()
}

func (e *Interrupted) Unwrap() error { return e.Cause }

const (
	// renameWithin bounds the renames, undoWithin taking them back, which must be
	// done before anybody takes their maker for gone (makerFor).
	renameWithin = 20 * time.Second
	undoWithin   = 2 * time.Second
	// pollRound is the time between two looks at the answers to a round.
	pollRound = 5 * time.Millisecond
)

// board is where a cut over is written up.
type board interface {
	// post makes the proposal, or its next round, known. From Renaming on it
	// outlives its maker.
	post(ctx context.Context, p *proposal) error
	// heard returns nil once every Serval has said yes to p's round; *Refused or
	// *Silent else.
	heard(ctx context.Context, p *proposal, within time.Duration) error
	// renew makes sure that its maker is not taken for gone within makerFor.
	renew(ctx context.Context) error
	// effect makes p the rules.
	effect(ctx context.Context, p *proposal) error
	// withdraw takes it off; it does nothing once p is in effect.
	withdraw(ctx context.Context, p *proposal)
	// leave leaves it to the Servals.
	leave()
}

// cutOver goes through the rounds.
func cutOver(ctx context.Context, b board, p *proposal, c Cutover) error {
	left := false
	defer func() {
		if left {
			b.leave()
			return
		}
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialTimeout)
		defer cancel()
		b.withdraw(within, p)
	}()
	if err := postRound(ctx, b, p, Asked, answerWithin, c.Progress); err != nil {
		return err
	}
	if err := c.hold(ctx, b, p); err != nil {
		return err
	}
	// Whoever asked for it may go now; it is ended all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renameWithin)
	defer cancel()
	p.Round = Renaming
	if err := b.post(ctx, p); err != nil {
		return err
	}
	floors, err := c.Rename(ctx)
	if err != nil {
		if undone := c.undo(ctx, b); undone != nil {
			left = true
			return &Interrupted{errors.Join(err, undone)}
		}
		return err
	}
	p.Floors = floors
	if err := b.effect(ctx, p); err != nil {
		left = true
		return &Interrupted{err}
	}
	return nil
}

// hold goes through the rounds in which statements are held.
func (c *Cutover) hold(ctx context.Context, b board, p *proposal) error {
	ctx, cancel := context.WithTimeout(ctx, c.Within)
	defer cancel()
	p.Within = c.Within
	deadline, _ := ctx.Deadline()
	err := postRound(ctx, b, p, WritesHeld, c.Within, c.Progress)
	if err == nil {
		err = c.Caught(ctx)
	}
	if err == nil {
		p.Within = time.Until(deadline)
		err = postRound(ctx, b, p, AllHeld, c.Within, c.Progress)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("statements would have been held for longer than %s; nothing was changed: %w", c.Within, err)
	}
	return err
}

func postRound(ctx context.Context, b board, p *proposal, r Round, within time.Duration, progress func(Round)) error {
	p.Round = r
	if err := b.post(ctx, p); err != nil {
		return err
	}
	if err := b.heard(ctx, p, within); err != nil {
		return err
	}
	if progress != nil {
		progress(r)
	}
	return nil
}

func (c *Cutover) undo(ctx context.Context, b board) error {
	ctx, cancel := context.WithTimeout(ctx, undoWithin)
	defer cancel()
	if err := b.renew(ctx); err != nil {
		return err
	}
	return c.Undo(ctx)
}

// yesTo is a Serval's answer when it has done what the round asks.
func yesTo(r Round) string {
	if r == Asked {
		return yes
	}
	return fmt.Sprintf("%s %d", yes, r)
}
