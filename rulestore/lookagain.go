package rulestore

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
)

// LookAgain is a cut over that is always withdrawn, for tables that have got
// something beside them which every change must keep from now on: asked, every
// Serval reads from the servers what tables are like; then it ends what it began
// knowing less, with new writes held.

// lookPause is the time between two tries where transactions did not end.
const lookPause = 200 * time.Millisecond

// LookAgain returns once every Serval knows the tables (schema.table) as they are
// now, and has ended all transactions and changes that it began before that. Statements are held for at most hold at a time, and
// it is tried again until ctx ends. servals is how many answered; where there is
// none, nothing was asked.
func (e *Etcd) LookAgain(ctx context.Context, tables []string, hold time.Duration) (servals int, err error) {
	return lookAgain(ctx, hold, func() (board, *proposal, int, error) {
		members, err := e.Members(ctx)
		if err != nil {
			return nil, nil, 0, err
		}
		head, revision, err := e.head(ctx)
		if err != nil {
			return nil, nil, 0, err
		}
		v, err := e.Version(ctx, head)
		return &etcdBoard{Etcd: e, headRevision: revision}, lookProposal(v, tables), len(members), err
	})
}

// LookAgain is as that of Etcd.
func (f *Folder) LookAgain(ctx context.Context, tables []string, hold time.Duration) (servals int, err error) {
	return lookAgain(ctx, hold, func() (board, *proposal, int, error) {
		members, err := f.serving()
		if err != nil || len(members) == 0 {
			return nil, nil, 0, err
		}
		head, err := f.head()
		if err != nil {
			return nil, nil, 0, err
		}
		v, err := f.Version(ctx, head)
		if err != nil {
			return nil, nil, 0, err
		}
		unlock, err := f.lockFree(ctx)
		return unlocking{folderBoard{f}, unlock}, lookProposal(v, tables), len(members), err
	})
}

// unlocking is a folder's board that unlocks it at its end.
type unlocking struct {
	folderBoard
	unlock func()
}

func (u unlocking) withdraw(ctx context.Context, p *proposal) {
	u.folderBoard.withdraw(ctx, p)
	u.unlock()
}

// lookProposal proposes what is in effect.
func lookProposal(v Version, tables []string) *proposal {
	return &proposal{ID: rand.Text(), Number: v.Number + 1, By: v.By, Text: v.Text, Tables: tables, Look: true}
}

// Looker is a store whose Servals can be asked to look again.
type Looker interface {
	LookAgain(ctx context.Context, tables []string, hold time.Duration) (servals int, err error)
}

var _, _ Looker = (*Etcd)(nil), (*Folder)(nil)

func lookAgain(ctx context.Context, hold time.Duration, begin func() (board, *proposal, int, error)) (int, error) {
	var refused *Refused // why it is tried again
	for {
		b, p, servals, err := begin()
		if err == nil && servals == 0 {
			return 0, nil
		}
		if err == nil {
			err = lookOnce(ctx, b, p, hold)
		}
		again := errors.As(err, &refused) && refused.Round == WritesHeld
		if again && wait(ctx, lookPause) == nil {
			continue
		}
		if ctx.Err() != nil && refused != nil {
			return servals, refused
		}
		return servals, err
	}
}

func lookOnce(ctx context.Context, b board, p *proposal, hold time.Duration) error {
	defer func() {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialTimeout)
		defer cancel()
		b.withdraw(within, p)
	}()
	if err := postRound(ctx, b, p, Asked, answerWithin, nil); err != nil {
		return err
	}
	p.Within = hold
	return postRound(ctx, b, p, WritesHeld, 2*hold, nil)
}

// check is what a Serval does when it is asked.
func check(ctx context.Context, f Follower, p *proposal) error {
	if p.Look {
		return f.Look(ctx)
	}
	return f.Check(ctx, Version{Number: p.Number, By: p.By, Text: p.Text, Sum: SumOf(p.Text)})
}
