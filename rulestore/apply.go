package rulestore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Refused: a Serval could not serve the proposed rules, or hold its statements
// for a cut over in time.
type Refused struct {
	Member, Why string
	Round       Round
}

func (e *Refused) Error() string {
	if e.Round > Asked {
		return fmt.Sprintf("serval %s: %s; nothing was changed", e.Member, e.Why)
	}
	return fmt.Sprintf("serval %s cannot serve these rules: %s; nothing was changed", e.Member, e.Why)
}

// Silent: Servals that may be serving, but did not answer.
type Silent struct {
	Members []string
	// Lost: they have not been heard of for a while; else they are there and
	// did not answer in the time of Within.
	Lost   bool
	Within time.Duration
}

func (e *Silent) Error() string {
	who := strings.Join(e.Members, ", ")
	if e.Lost {
		return fmt.Sprintf("serval %s is not heard of, and may still serve the old rules; start it or end it. "+
			"Once you know that it does not run: serval rules gone %s. Nothing was changed", who, e.Members[0])
	}
	return fmt.Sprintf("serval %s did not answer within %s; nothing was changed", who, e.Within)
}

// Lagging: the new version is in effect, and these do not serve it yet. They
// serve nothing at all meanwhile, or have ended.
type Lagging struct {
	Number  int64
	Members []string
}

func (e *Lagging) Error() string {
	return fmt.Sprintf("version %d is in effect, but serval %s has not taken it within %s; its log says why", e.Number, strings.Join(e.Members, ", "), followWithin)
}

// Apply proposes the rules to every Serval, and puts them in effect if all say
// yes. *Refused, *Silent, *Conflict: nothing was changed. *Lagging: it is in
// effect, but not everywhere.
func (e *Etcd) Apply(ctx context.Context, base int64, v Version) (Version, error) {
	head, headRevision, err := e.head(ctx)
	switch {
	case errors.Is(err, ErrEmpty):
	case err != nil:
		return Version{}, err
	}
	if head != base {
		return Version{}, &Conflict{Base: base, Head: head}
	}
	if v, err = complete(base, v, e.now()); err != nil {
		return Version{}, err
	}
	if base > 0 {
		before, err := e.Version(ctx, base)
		if err != nil {
			return Version{}, err
		}
		v.Floors = before.Floors
	}
	p := proposal{ID: rand.Text(), Number: v.Number, By: v.By, Text: v.Text}
	revision, withdraw, err := e.propose(ctx, &p, headRevision)
	if err != nil {
		return Version{}, err
	}
	defer withdraw()
	if err := e.agreed(ctx, &p, answerWithin); err != nil {
		return Version{}, err
	}
	if err := e.putInEffect(ctx, v, headRevision, revision); err != nil {
		return Version{}, err
	}
	return v, e.followed(ctx, v.Number)
}

// propose writes the proposal, if there is no other and head is unchanged. It
// returns its revision, and what takes it away again.
func (e *Etcd) propose(ctx context.Context, p *proposal, headRevision int64) (revision int64, withdraw func(), err error) {
	data, err := json.Marshal(p)
	if err != nil {
		return 0, nil, err
	}
	lease, err := e.client.Grant(ctx, int64(proposalFor/time.Second))
	if err != nil {
		return 0, nil, e.failed(err)
	}
	withdraw = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialTimeout)
		defer cancel()
		// Best effort: it ends by itself.
		_, _ = e.client.Revoke(ctx, lease.ID)
		_, _ = e.client.Delete(ctx, e.key("answers", p.ID, ""), clientv3.WithPrefix())
	}
	resp, err := e.client.Txn(ctx).If(
		clientv3.Compare(clientv3.ModRevision(e.key("head")), "=", headRevision),
		clientv3.Compare(clientv3.CreateRevision(e.key("proposal")), "=", 0),
		clientv3.Compare(clientv3.CreateRevision(e.key("sealed")), "=", 0),
	).Then(clientv3.OpPut(e.key("proposal"), string(data), clientv3.WithLease(lease.ID))).
		Else(clientv3.OpGet(e.key("proposal"))).Commit()
	if err != nil {
		withdraw()
		return 0, nil, e.failed(err)
	}
	if resp.Succeeded {
		return resp.Header.Revision, withdraw, nil
	}
	withdraw()
	var other proposal
	if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 && json.Unmarshal(kvs[0].Value, &other) == nil {
		return 0, nil, fmt.Errorf("%s is applying version %d at this moment; try again when that is done", other.By, other.Number)
	}
	return 0, nil, errors.New("the rules were changed at this moment; look at the difference again (serval rules diff)")
}

// agreed waits until every member has said yes to the proposal's round.
func (e *Etcd) agreed(ctx context.Context, p *proposal, within time.Duration) error {
	deadline := e.now().Add(within)
	pause := 50 * time.Millisecond
	if p.Round > Asked {
		pause = pollRound
	}
	for {
		members, err := e.Members(ctx)
		if err != nil {
			return err
		}
		if lost := namesOf(members, func(m Member) bool { return !m.Alive }); len(lost) > 0 {
			return &Silent{Members: lost, Lost: true}
		}
		answers, err := e.answers(ctx, p.ID)
		if err != nil {
			return err
		}
		missing, err := judge(p.Round, answers, namesOf(members, func(Member) bool { return true }))
		if err != nil || len(missing) == 0 {
			return err
		}
		if e.now().After(deadline) {
			return &Silent{Members: missing, Within: within}
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

// judge says who has not said yes to the round yet; *Refused: somebody said no.
func judge(r Round, answers map[string]string, members []string) (missing []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		if answer := answers[name]; !strings.HasPrefix(answer, yes) {
			return nil, &Refused{Member: name, Why: answer, Round: r}
		}
	}
	for _, name := range members {
		if answers[name] != yesTo(r) {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

// yes is a member's agreement; any other answer says why not.
const yes = "yes"

func (e *Etcd) answers(ctx context.Context, id string) (map[string]string, error) {
	prefix := e.key("answers", id, "")
	resp, err := e.client.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, e.failed(err)
	}
	out := map[string]string{}
	for _, kv := range resp.Kvs {
		out[strings.TrimPrefix(string(kv.Key), prefix)] = string(kv.Value)
	}
	return out, nil
}

// putInEffect is the one step after which the rules are new: nobody joined
// since the proposal was made, for nobody can while it stands.
func (e *Etcd) putInEffect(ctx context.Context, v Version, headRevision, proposed int64) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	resp, err := e.client.Txn(ctx).If(
		clientv3.Compare(clientv3.ModRevision(e.key("head")), "=", headRevision),
		clientv3.Compare(clientv3.CreateRevision(e.key("proposal")), "=", proposed),
	).Then(
		clientv3.OpPut(e.versionKey(v.Number), string(data)),
		clientv3.OpPut(e.key("head"), strconv.FormatInt(v.Number, 10)),
		clientv3.OpDelete(e.key("proposal")),
	).Commit()
	switch {
	case err != nil:
		return fmt.Errorf("whether version %d is in effect is not known (serval rules history tells): %w", v.Number, e.failed(err))
	case !resp.Succeeded:
		return errors.New("the proposal ran out of time; nothing was changed, try again")
	}
	return nil
}

// followed waits until every member serves the version.
func (e *Etcd) followed(ctx context.Context, number int64) error {
	deadline := e.now().Add(followWithin)
	for {
		members, err := e.Members(ctx)
		if err != nil {
			return err
		}
		behind := namesOf(members, func(m Member) bool { return m.Serves < number })
		if len(behind) == 0 {
			return nil
		}
		if e.now().After(deadline) {
			return &Lagging{Number: number, Members: behind}
		}
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
