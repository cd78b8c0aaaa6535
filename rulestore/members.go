package rulestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Member is a Serval that serves the rules of this store.
type Member struct {
	// Name is host:port, or what name: in its configuration says.
	Name string `json:"name"`
	// Listen is where it serves, Since when it began.
	Listen string    `json:"listen"`
	Since  time.Time `json:"since"`
	// Serves is the version it serves.
	Serves int64 `json:"version"`
	// Alive: it was heard of within the last seconds.
	Alive bool `json:"alive"`
}

// Members are the Servals of this store, by name.
func (e *Etcd) Members(ctx context.Context) ([]Member, error) {
	resp, err := e.client.Txn(ctx).Then(
		clientv3.OpGet(e.key("members", ""), clientv3.WithPrefix()),
		clientv3.OpGet(e.key("alive", ""), clientv3.WithPrefix(), clientv3.WithKeysOnly()),
	).Commit()
	if err != nil {
		return nil, e.failed(err)
	}
	alive := map[string]bool{}
	for _, kv := range resp.Responses[1].GetResponseRange().Kvs {
		alive[strings.TrimPrefix(string(kv.Key), e.key("alive", ""))] = true
	}
	out := []Member{}
	for _, kv := range resp.Responses[0].GetResponseRange().Kvs {
		var m Member
		if err := json.Unmarshal(kv.Value, &m); err != nil {
			return nil, e.failed(fmt.Errorf("%s: %w", kv.Key, err))
		}
		m.Alive = alive[m.Name]
		out = append(out, m)
	}
	return out, nil
}

func namesOf(members []Member, which func(Member) bool) []string {
	var out []string
	for _, m := range members {
		if which(m) {
			out = append(out, m.Name)
		}
	}
	return out
}

// Forget takes a Serval that is gone off the list, so that changes do not wait
// for it. One that is alive is an error.
func (e *Etcd) Forget(ctx context.Context, name string) error {
	resp, err := e.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(e.key("alive", name)), "=", 0)).
		Then(clientv3.OpDelete(e.key("members", name))).Commit()
	switch {
	case err != nil:
		return e.failed(err)
	case !resp.Succeeded:
		return fmt.Errorf("serval %s is alive; end it first", name)
	case resp.Responses[0].GetResponseDeleteRange().Deleted == 0:
		return fmt.Errorf("there is no serval %s on the list (serval rules servals shows it)", name)
	}
	return nil
}

// Follower serves the rules.
type Follower interface {
	// Check says whether this Serval could serve these rules.
	Check(ctx context.Context, v Version) error
	// Look reads from the servers what the tables are like.
	Look(ctx context.Context) error
	// Take serves them from now on.
	Take(ctx context.Context, v Version) error
	// Hold keeps new statements waiting until Release; why is for those who
	// wait too long.
	Hold(why string)
	Release()
	// Until is Hold from then on, whatever the process does meanwhile; the zero
	// time takes it back.
	Until(at time.Time, why string)
	// Pause holds for a cut over of these tables (schema.table): writes, or
	// everything; it returns when nothing is under way any more that does not
	// wait, or with what still is when ctx ends. The hold lasts until Release.
	Pause(ctx context.Context, tables []string, everything bool) error
	// Finish renames the tables of a cut over whose maker is gone.
	Finish(ctx context.Context, text string, finish []byte) (floors map[string]string, err error)
}

// Membership is a Serval's part in the hand-over.
type Membership struct {
	etcd  *Etcd
	self  Member
	lease clientv3.LeaseID
	// state is Run's alone once it runs.
	state member
	log   *slog.Logger
}

// Join puts a Serval on the list and returns the rules it is to serve; first
// are those it brings where the store is empty. It waits while a change is
// under way. The caller serves them, then calls Run, and at last Leave.
func (e *Etcd) Join(ctx context.Context, self Member, first Version, log *slog.Logger) (*Membership, Version, error) {
	if err := e.begin(ctx, first); err != nil {
		return nil, Version{}, err
	}
	m := &Membership{etcd: e, self: self, log: log}
	m.self.Since = e.now().UTC().Truncate(time.Second)
	if err := m.claim(ctx); err != nil {
		return nil, Version{}, err
	}
	for {
		head, revision, err := e.head(ctx)
		if err != nil {
			return nil, Version{}, err
		}
		m.self.Serves = head
		data, err := json.Marshal(m.self)
		if err != nil {
			return nil, Version{}, err
		}
		resp, err := e.client.Txn(ctx).If(
			clientv3.Compare(clientv3.ModRevision(e.key("head")), "=", revision),
			clientv3.Compare(clientv3.CreateRevision(e.key("proposal")), "=", 0),
			clientv3.Compare(clientv3.CreateRevision(e.key("sealed")), "=", 0),
		).Then(clientv3.OpPut(e.key("members", self.Name), string(data))).Commit()
		if err != nil {
			return nil, Version{}, e.failed(err)
		}
		if resp.Succeeded {
			m.state = member{serves: head, heard: e.now()}
			v, err := e.Version(ctx, head)
			return m, v, err
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return nil, Version{}, fmt.Errorf("a change of the rules is under way in %s: %w", e.url, err)
		}
	}
}

// begin stores the first version where there is none.
func (e *Etcd) begin(ctx context.Context, first Version) error {
	_, _, err := e.head(ctx)
	if !errors.Is(err, ErrEmpty) {
		return err
	}
	if first.Text == "" {
		return fmt.Errorf("store %s: %w; the first Serval's file must hold them, or: serval rules apply", e.url, err)
	}
	v, err := complete(0, first, e.now())
	if err != nil {
		return err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = e.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(e.key("head")), "=", 0)).
		Then(clientv3.OpPut(e.versionKey(1), string(data)), clientv3.OpPut(e.key("head"), strconv.FormatInt(1, 10))).Commit()
	if err != nil {
		return e.failed(err)
	}
	return nil
}

// claim takes the name. One that another Serval has is waited for as long as it
// takes to know whether that one is alive.
func (m *Membership) claim(ctx context.Context) error {
	e := m.etcd
	lease, err := e.client.Grant(ctx, int64(aliveFor/time.Second))
	if err != nil {
		return e.failed(err)
	}
	deadline := e.now().Add(2 * aliveFor)
	for {
		resp, err := e.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(e.key("alive", m.self.Name)), "=", 0)).
			Then(clientv3.OpPut(e.key("alive", m.self.Name), m.self.Listen, clientv3.WithLease(lease.ID))).Commit()
		if err != nil {
			return e.failed(err)
		}
		if resp.Succeeded {
			m.lease = lease.ID
			return nil
		}
		if e.now().After(deadline) {
			return fmt.Errorf("another Serval with the name %s is running; give one of them another name: in its configuration", m.self.Name)
		}
		if _, err := e.client.KeepAliveOnce(ctx, lease.ID); err != nil {
			return e.failed(err)
		}
		if err := wait(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// Leave takes the Serval off the list, once it serves nobody any more.
func (m *Membership) Leave(ctx context.Context) error {
	e := m.etcd
	_, err := e.client.Txn(ctx).Then(clientv3.OpDelete(e.key("members", m.self.Name)), clientv3.OpDelete(e.key("alive", m.self.Name))).Commit()
	if err != nil {
		return e.failed(err)
	}
	return nil
}

// lookWithin bounds one look, so that a lost store is noticed.
const lookWithin = 500 * time.Millisecond

// Run follows the store until ctx ends. A store that does not answer is asked
// again and again.
func (m *Membership) Run(ctx context.Context, f Follower) {
	watch := m.etcd.client.Watch(clientv3.WithRequireLeader(ctx), m.etcd.key(""), clientv3.WithPrefix(),
		clientv3.WithFilterDelete())
	quiet := true
	for ctx.Err() == nil {
		l, err := m.look(ctx)
		if ctx.Err() != nil {
			break
		}
		if (err == nil) != quiet {
			quiet = err == nil
			m.logStore(err)
		}
		m.act(ctx, f, l)
		timer := time.NewTimer(m.state.pause())
		select {
		case <-ctx.Done():
		case <-timer.C:
		case _, open := <-watch:
			if !open { // polling goes on
				watch = nil
			}
		}
		timer.Stop()
	}
}

func (m *Membership) logStore(err error) {
	if err == nil {
		m.log.Info("the rules' store answers again", "store", m.etcd.url)
		return
	}
	m.log.Error("the rules' store does not answer; the rules stay as they are", "store", m.etcd.url, "err", err)
}

// look reads head and proposal, and says that this Serval is alive.
func (m *Membership) look(ctx context.Context) (look, error) {
	l := look{asked: m.etcd.now()}
	within, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	e := m.etcd
	state := []clientv3.Op{clientv3.OpGet(e.key("head")), clientv3.OpGet(e.key("proposal")), clientv3.OpGet(e.key("sealed"))}
	resp, err := e.client.Txn(within).If(clientv3.Compare(clientv3.LeaseValue(e.key("alive", m.self.Name)), "=", m.lease)).
		Then(state...).Else(state...).Commit()
	if err != nil {
		return l, e.failed(err)
	}
	head := resp.Responses[0].GetResponseRange().Kvs
	if len(head) == 0 {
		return l, e.failed(ErrEmpty)
	}
	if l.head, err = strconv.ParseInt(string(head[0].Value), 10, 64); err != nil {
		return l, e.failed(err)
	}
	kvs := resp.Responses[1].GetResponseRange().Kvs
	if sealed := resp.Responses[2].GetResponseRange().Kvs; len(sealed) > 0 {
		l.orphan = len(kvs) == 0
		kvs = sealed
	}
	if len(kvs) > 0 {
		l.open = &proposal{}
		if err := json.Unmarshal(kvs[0].Value, l.open); err != nil {
			return l, e.failed(err)
		}
	}
	l.answered = true
	if !resp.Succeeded {
		return l, m.revive(within)
	}
	_, err = e.client.KeepAliveOnce(within, m.lease)
	if err != nil {
		return l, e.failed(err)
	}
	return l, nil
}

// revive is alive again after a silence, on the list too if it was taken off.
func (m *Membership) revive(ctx context.Context) error {
	e := m.etcd
	lease, err := e.client.Grant(ctx, int64(aliveFor/time.Second))
	if err != nil {
		return e.failed(err)
	}
	data, err := json.Marshal(m.self)
	if err != nil {
		return err
	}
	_, err = e.client.Txn(ctx).Then(
		clientv3.OpPut(e.key("alive", m.self.Name), m.self.Listen, clientv3.WithLease(lease.ID)),
		clientv3.OpPut(e.key("members", m.self.Name), string(data)),
	).Commit()
	if err != nil {
		return e.failed(err)
	}
	m.lease = lease.ID
	return nil
}

// act does what step decides.
func (m *Membership) act(ctx context.Context, f Follower, l look) {
	a := m.state.step(l)
	if a.hold {
		f.Hold(m.untold())
	}
	if a.take {
		m.take(ctx, f, l.head)
	}
	if a.release {
		f.Release()
	}
	m.promise(f)
	switch {
	case a.answer != nil:
		m.answer(ctx, f, a.answer)
	case a.pause != nil:
		m.pause(ctx, f, a.pause)
	case a.finish != nil:
		m.finish(ctx, f, a.finish)
	}
}

func (m *Membership) untold() string {
	return "the rules are being changed, and the store " + m.etcd.url + " does not say to which"
}

// promise says until when the rules may be served: a process that is stopped and
// goes on later must not serve old ones before it has looked at the store.
func (m *Membership) promise(f Follower) {
	until := time.Time{}
	if m.state.agreed != "" && !m.state.byRounds {
		until = m.state.heard.Add(Promise)
	}
	f.Until(until, m.untold())
}

func (m *Membership) take(ctx context.Context, f Follower, head int64) {
	v, err := m.etcd.Version(ctx, head)
	if err == nil {
		err = f.Take(ctx, v)
	}
	if err != nil {
		m.log.Error("the rules in effect cannot be taken; statements wait", "version", head, "err", err)
		return
	}
	m.state.took(head)
	f.Release()
	m.self.Serves = head
	m.log.Info("rules taken", "version", head, "by", v.By, "note", v.Note)
	data, err := json.Marshal(m.self)
	if err == nil {
		_, err = m.etcd.client.Put(ctx, m.etcd.key("members", m.self.Name), string(data))
	}
	if err != nil {
		m.log.Warn("the store could not be told which rules are served", "version", head, "err", err)
	}
}

func (m *Membership) answer(ctx context.Context, f Follower, p *proposal) {
	within, cancel := context.WithTimeout(ctx, answerWithin/2)
	defer cancel()
	text := yes
	if err := check(within, f, p); err != nil {
		text = err.Error()
	}
	m.log.Info("a change of the rules was proposed", "version", p.Number, "by", p.By, "answer", text)
	// Before the answer is written: from then on it may be in effect.
	m.state.answering(p, text == yes)
	m.promise(f)
	m.say(within, p, text)
}

func (m *Membership) say(ctx context.Context, p *proposal, text string) {
	if _, err := m.etcd.client.Put(ctx, m.etcd.key("answers", p.ID, m.self.Name), text, clientv3.WithLease(m.lease)); err != nil {
		m.log.Warn("the answer could not be written", "err", err)
	}
}

// pause holds what the round says. Where that fails the hold stays until the cut
// over is withdrawn, which the answer makes it.
func (m *Membership) pause(ctx context.Context, f Follower, p *proposal) {
	m.state.pausing(p)
	m.say(ctx, p, paused(ctx, f, p))
}

// paused does what a round asks and is the answer to it. A no with its reason
// is to be there before the maker gives up, who began to count when it posted.
func paused(ctx context.Context, f Follower, p *proposal) string {
	within, cancel := context.WithTimeout(ctx, max(p.Within-pollOpen-answerTakes, p.Within/2))
	defer cancel()
	if err := f.Pause(within, p.Tables, p.Round == AllHeld); err != nil {
		return err.Error()
	}
	return yesTo(p.Round)
}

// finish ends a cut over in place of its maker, unless another Serval does.
func (m *Membership) finish(ctx context.Context, f Follower, p *proposal) {
	e := m.etcd
	resp, err := e.client.Txn(ctx).If(
		clientv3.Compare(clientv3.CreateRevision(e.key("finisher")), "=", 0),
		clientv3.Compare(clientv3.CreateRevision(e.key("proposal")), "=", 0),
		clientv3.Compare(clientv3.CreateRevision(e.key("sealed")), "!=", 0),
	).Then(clientv3.OpPut(e.key("finisher"), m.self.Name, clientv3.WithLease(m.lease))).Commit()
	if err != nil || !resp.Succeeded {
		return // the next look says how it stands
	}
	within, cancel := context.WithTimeout(ctx, renameWithin)
	defer cancel()
	m.log.Warn("a cut over whose maker is gone is ended", "version", p.Number, "by", p.By)
	if p.Floors, err = f.Finish(within, p.Text, p.Finish); err == nil {
		err = e.effectSealed(within, p)
	}
	if err != nil {
		m.log.Error("the cut over could not be ended yet; statements wait", "version", p.Number, "err", err)
	}
	if _, err := e.client.Delete(ctx, e.key("finisher")); err != nil {
		m.log.Warn("the store could not be told", "err", err) // it ends with this Serval
	}
}
