package main

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/control"
	"github.com/servaldb/serval/reshard"
	"github.com/servaldb/serval/rulestore"
	"github.com/servaldb/serval/shardrule"
)

// amend gives a job other files: the rules in effect, which were changed since it
// began, and those of --to, where the job moves the same by them.
func (s *reshardSet) amend(ctx context.Context, j *reshard.Job, path string) error {
	from, to, fromText, toText := s.from, s.to, s.fromText, s.toText
	if goesBack(j) { // --to is then where it goes back to
		from, to, fromText, toText = to, from, toText, fromText
	}
	began, err := s.config(s.file, rulestore.Version{Text: j.From})
	if err != nil {
		return err
	}
	ends, err := s.config(s.file, rulestore.Version{Text: j.To})
	if err != nil {
		return err
	}
	was, _, err := s.between(ctx, j, began, ends)
	if err != nil {
		return err
	}
	is, obstacles, err := s.between(ctx, j, from, to)
	if err != nil {
		return err
	}
	for _, o := range obstacles {
		if !o.Remark {
			return fmt.Errorf("job %d cannot go on by the rules of %s: %s", j.ID, path, o)
		}
	}
	if !moveSame(was, is) {
		return fmt.Errorf("job %d moves to other rules than %s, or the rules in effect place its tables in another way than when it began; serval reshard cancel ends it, and start without --to goes on with it", j.ID, path)
	}
	if err := reshard.Amend(ctx, s.jobServers(), j, fromText, toText); err != nil {
		return err
	}
	jobs, err := s.jobs(ctx)
	if err != nil {
		return err
	}
	now := openJob(jobs)
	if now == nil || now.ID != j.ID || now.From != fromText || now.To != toText {
		return fmt.Errorf("job %d has gone on meanwhile; try again", j.ID)
	}
	*j = *now
	s.say("job %d goes on with the rules that are in effect now, and those of %s; it moves the same", j.ID, path)
	return nil
}

// between is what a job moves from one configuration to another, in the direction
// it goes.
func (s *reshardSet) between(ctx context.Context, j *reshard.Job, from, to *config.Config) (*reshard.Layout, []reshard.Obstacle, error) {
	if goesBack(j) {
		from, to = to, from
	}
	both, err := control.ReadBoth(ctx, from, to, s.servers, time.Now())
	if err != nil {
		return nil, nil, err
	}
	layout, obstacles := reshard.Between(both.Old, both.Next)
	return layout, obstacles, nil
}

// moveSame: the same rows go to the same places.
func moveSame(a, b *reshard.Layout) bool {
	if !sameLayout(a, b) {
		return false
	}
	for i, t := range a.Tables {
		if u := b.Tables[i]; !samePlacement(t.From, u.From) || !samePlacement(t.To, u.To) {
			return false
		}
	}
	return true
}

func samePlacement(p, q *shardrule.Placement) bool {
	return p.Kind == q.Kind && p.Text() == q.Text() && reflect.DeepEqual(p.Column, q.Column) && reflect.DeepEqual(p.Algorithm, q.Algorithm) && reflect.DeepEqual(p.Shards, q.Shards)
}
