package rulestore

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/servaldb/serval/internal/etcdtest"
)

// proxy is a Serval that serves rules and nothing else.
type proxy struct {
	mu     sync.Mutex
	serves int64
	held   bool
	refuse error
	// busy is why it cannot hold its statements.
	busy error
	// stays is busy of a round that is waited for until time is up.
	stays    map[bool]error
	paused   []pausedFor
	finished []string
	// checked, if not nil, is told of each Check.
	checked chan struct{}
	looked  int
}

func (p *proxy) Check(_ context.Context, _ Version) error {
	if p.checked != nil {
		p.checked <- struct{}{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refuse
}

func (p *proxy) Take(_ context.Context, v Version) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serves = v.Number
	return nil
}

func (p *proxy) Look(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked++
	return nil
}

func (p *proxy) Hold(string)             { p.set(true) }
func (p *proxy) Until(time.Time, string) {}
func (p *proxy) Release()                { p.set(false) }

func (p *proxy) Pause(ctx context.Context, tables []string, everything bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
	p.paused = append(p.paused, pausedFor{tables, everything})
	if why := p.stays[everything]; why != nil {
		<-ctx.Done()
		return why
	}
	return p.busy
}

func (p *proxy) Finish(_ context.Context, _ string, finish []byte) (map[string]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished = append(p.finished, string(finish))
	return map[string]string{"c0": "0-1-9"}, nil
}

type pausedFor struct {
	tables     []string
	everything bool
}

func (p *proxy) set(held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
}

func (p *proxy) state() (serves int64, held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.serves, p.held
}

func open(t *testing.T, s *etcdtest.Server) *Etcd {
	t.Helper()
	e, err := OpenEtcd(s.URL + "/serval/shop")
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// join runs a Serval on the store until the test ends or stop is called, which
// is a crash unless it says that it leaves.
func join(t *testing.T, e *Etcd, name string, p *proxy) (stop func(leave bool)) {
	t.Helper()
	m, v, err := e.Join(t.Context(), Member{Name: name, Listen: "127.0.0.1:1"}, Version{Text: "first", By: name}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	p.serves = v.Number
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Run(ctx, p)
	}()
	stop = func(leave bool) {
		cancel()
		<-done
		if leave {
			require.NoError(t, m.Leave(t.Context()))
		}
	}
	t.Cleanup(func() { stop(false) })
	return stop
}

func eventually(t *testing.T, within time.Duration, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, within, 10*time.Millisecond, what)
}

func TestServalsChangeOverTogether(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	one, two := open(t, etcd), open(t, etcd)
	_, err := one.Head(t.Context())
	require.ErrorIs(t, err, ErrEmpty)
	a, b := &proxy{}, &proxy{}
	join(t, one, "a", a)
	stopB := join(t, two, "b", b)
	head, err := one.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, "first", head.Text)

	v, err := one.Apply(t.Context(), 1, Version{Text: "second", By: "dba", Note: "why"})
	require.NoError(t, err)
	require.Equal(t, int64(2), v.Number)
	for _, p := range []*proxy{a, b} { // Apply waits for both
		serves, held := p.state()
		require.Equal(t, int64(2), serves)
		require.False(t, held)
	}

	_, err = two.Apply(t.Context(), 1, Version{Text: "made from the first"})
	var conflict *Conflict
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, Conflict{Base: 1, Head: 2}, *conflict)

	b.refuse = errors.New("line 3: $PASSWORD is not set here")
	_, err = one.Apply(t.Context(), 2, Version{Text: "third"})
	var refused *Refused
	require.ErrorAs(t, err, &refused)
	require.Equal(t, Refused{Member: "b", Why: "line 3: $PASSWORD is not set here"}, *refused)
	head, err = one.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(2), head.Number, "nobody took what one refused")

	stopB(true)
	_, err = one.Apply(t.Context(), 2, Version{Text: "third"})
	require.NoError(t, err, "one that has left is not asked")
	history, err := two.History(t.Context(), 2)
	require.NoError(t, err)
	require.Len(t, history, 2)
	require.Equal(t, []int64{3, 2}, []int64{history[0].Number, history[1].Number})
	require.Equal(t, "why", history[1].Note)
	require.Empty(t, history[1].Text)
	old, err := two.Version(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, "second", old.Text)
	_, err = two.Version(t.Context(), 9)
	require.ErrorContains(t, err, "no version 9 of the rules; the newest is 3")
}

func TestAServalThatCrashedIsWaitedForUntilSomebodySaysItIsGone(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	e := open(t, etcd)
	a, b := &proxy{}, &proxy{}
	join(t, e, "a", a)
	join(t, e, "b", b)(false)
	require.ErrorContains(t, e.Forget(t.Context(), "a"), "is alive")
	require.ErrorContains(t, e.Forget(t.Context(), "c"), "no serval c")
	eventually(t, 3*aliveFor, "b is not heard of", func() bool {
		members, err := e.Members(t.Context())
		return err == nil && len(members) == 2 && !members[1].Alive
	})
	_, err := e.Apply(t.Context(), 1, Version{Text: "second"})
	var silent *Silent
	require.ErrorAs(t, err, &silent)
	require.Equal(t, Silent{Members: []string{"b"}, Lost: true}, *silent)
	require.NoError(t, e.Forget(t.Context(), "b"))
	_, err = e.Apply(t.Context(), 1, Version{Text: "second"})
	require.NoError(t, err)

	join(t, e, "b", b)
	serves, _ := b.state()
	require.Equal(t, int64(2), serves, "it begins with the rules in effect")
}

func TestAServalThatAgreedAndLostTheStoreHoldsItsStatements(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	e := open(t, etcd)
	a, b := &proxy{}, &proxy{}
	join(t, e, "a", a)
	stopB := join(t, e, "b", b)
	stopB(false) // alive for some seconds still: the proposal waits for its answer
	a.checked = make(chan struct{})
	applying := make(chan error, 1)
	go func() {
		_, err := e.Apply(t.Context(), 1, Version{Text: "second"})
		applying <- err
	}()
	<-a.checked
	// Its answer is on its way: looks go on, so that the next one shows it.
	require.Eventually(t, func() bool {
		resp, err := e.client.Get(t.Context(), e.key("answers"), clientv3.WithPrefix())
		return err == nil && resp.Count == 1
	}, 2*time.Second, 5*time.Millisecond)
	etcd.Stop()
	eventually(t, 3*Promise, "statements wait", func() bool { _, held := a.state(); return held })
	etcd.Restart(t)
	eventually(t, 20*time.Second, "the proposal came to nothing, and statements go on", func() bool {
		serves, held := a.state()
		return !held && serves == 1
	})
	require.Error(t, <-applying)
}

func TestAStoreThatIsDownStopsNobody(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	e := open(t, etcd)
	a := &proxy{}
	join(t, e, "a", a)
	etcd.Stop()
	require.Never(t, func() bool { _, held := a.state(); return held }, Promise+lookWithin+500*time.Millisecond, 50*time.Millisecond)
	etcd.Restart(t)
	eventually(t, 20*time.Second, "changes can be made again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := e.Apply(ctx, 1, Version{Text: "second"})
		return err == nil
	})
}

func TestTwoServalsOfOneNameAreOneTooMany(t *testing.T) {
	t.Parallel()
	e := open(t, etcdtest.Start(t))
	stop := join(t, e, "a", &proxy{})
	now := time.Now()
	e.now = func() time.Time { now = now.Add(time.Second); return now } // its patience is ten seconds
	_, _, err := e.Join(t.Context(), Member{Name: "a"}, Version{}, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "another Serval with the name a is running")
	e.now = time.Now
	stop(false)
}

func TestStoreURLs(t *testing.T) {
	t.Parallel()
	cfg, prefix, err := etcdURL("etcd://u:secret@h:2379,i:2379/a/b/")
	require.NoError(t, err)
	require.Equal(t, "/a/b", prefix)
	require.Equal(t, []string{"http://h:2379", "http://i:2379"}, cfg.Endpoints)
	require.Equal(t, "u", cfg.Username)
	require.Equal(t, "secret", cfg.Password)
	cfg, prefix, err = etcdURL("etcds://h:2379")
	require.NoError(t, err)
	require.Equal(t, "/serval", prefix)
	require.Equal(t, []string{"https://h:2379"}, cfg.Endpoints)
	for _, raw := range []string{"", "etcd://", "redis://h:1", "etcd://h:1/?a=b", "etcd://h:%zz"} {
		_, err := OpenEtcd(raw)
		require.ErrorContains(t, err, "write etcd://", raw)
	}
}
