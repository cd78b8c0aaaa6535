package rulestore

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/servaldb/serval/internal/etcdtest"
)

// rig is a store with Servals that follow it.
type rig struct {
	store interface {
		Store
		Cutter
	}
	servals []*proxy
	// abandon leaves a cut over that is being renamed as a killed maker does.
	abandon func(t *testing.T, p *proposal)
}

// eachStore runs a test on a folder with one Serval and on etcd with two.
func eachStore(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Run("folder", func(t *testing.T) { test(t, folderRig(t)) })
	t.Run("etcd", func(t *testing.T) { test(t, etcdRig(t)) })
}

func folderRig(t *testing.T) *rig {
	file := filepath.Join(t.TempDir(), "serval.yaml")
	require.NoError(t, os.WriteFile(file, []byte("one"), 0o600))
	f := NewFolder(file)
	_, err := f.Record(t.Context(), Version{Text: "one"})
	require.NoError(t, err)
	p := &proxy{serves: 1}
	m, err := f.Attend("s1", 1, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			_, again := m.Step(ctx, p)
			if wait(ctx, again) != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done; m.Leave() })
	return &rig{store: f, servals: []*proxy{p}, abandon: func(t *testing.T, p *proposal) {
		t.Helper()
		unlock, err := f.lock(t.Context())
		require.NoError(t, err)
		asked := *p
		asked.Round = Asked
		require.NoError(t, folderBoard{f}.post(t.Context(), &asked))
		require.NoError(t, folderBoard{f}.heard(t.Context(), &asked, answerWithin))
		require.NoError(t, folderBoard{f}.post(t.Context(), p))
		unlock()
	}}
}

func etcdRig(t *testing.T) *rig {
	s := etcdtest.Start(t)
	r := &rig{}
	for _, name := range []string{"s1", "s2"} {
		e := open(t, s)
		m, v, err := e.Join(t.Context(), Member{Name: name}, Version{Text: "one"}, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		p := &proxy{serves: v.Number}
		r.servals = append(r.servals, p)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); m.Run(ctx, p) }()
		t.Cleanup(func() { cancel(); <-done })
	}
	e := open(t, s)
	r.store = e
	r.abandon = func(t *testing.T, p *proposal) {
		t.Helper()
		_, head, err := e.head(t.Context())
		require.NoError(t, err)
		b := &etcdBoard{Etcd: e, headRevision: head}
		asked := *p
		asked.Round = Asked
		require.NoError(t, b.post(t.Context(), &asked))
		require.NoError(t, b.heard(t.Context(), &asked, answerWithin))
		require.NoError(t, b.post(t.Context(), p))
		b.leave()
		_, err = e.client.Revoke(t.Context(), b.lease)
		require.NoError(t, err)
	}
	return r
}

func (r *rig) requireAll(t *testing.T, serves int64, held bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, p := range r.servals {
			if s, h := p.state(); s != serves || h != held {
				return false
			}
		}
		return true
	}, 10*time.Second, 5*time.Millisecond)
}

// plain is a cut over in which nothing goes wrong.
func plain() Cutover {
	nothing := func(context.Context) error { return nil }
	return Cutover{Tables: []string{"shop.users"}, Within: 5 * time.Second, Finish: []byte("renames"), Caught: nothing, Undo: nothing,
		Rename: func(context.Context) (map[string]string, error) { return map[string]string{"c0": "0-1-9"}, nil }}
}

func TestACutOverHoldsInRoundsAndEndsWithTheNewRules(t *testing.T) {
	eachStore(t, func(t *testing.T, r *rig) {
		c := plain()
		var rounds []Round
		c.Progress = func(round Round) { rounds = append(rounds, round) }
		c.Caught = func(context.Context) error {
			for _, p := range r.servals {
				_, held := p.state()
				require.True(t, held, "writes are held everywhere")
			}
			return nil
		}
		c.Rename = func(context.Context) (map[string]string, error) {
			for _, p := range r.servals {
				p.mu.Lock()
				require.Equal(t, []pausedFor{{[]string{"shop.users"}, false}, {[]string{"shop.users"}, true}}, p.paused)
				require.EqualValues(t, 1, p.serves)
				p.mu.Unlock()
			}
			return map[string]string{"c0": "0-1-9"}, nil
		}
		v, err := r.store.Cutover(t.Context(), 1, Version{Text: "two", By: "me"}, c)
		require.NoError(t, err)
		require.EqualValues(t, 2, v.Number)
		r.requireAll(t, 2, false)
		require.Equal(t, []Round{Asked, WritesHeld, AllHeld}, rounds)
		head, err := r.store.Head(t.Context())
		require.NoError(t, err)
		require.Equal(t, "two", head.Text)
		require.Equal(t, map[string]string{"c0": "0-1-9"}, head.Floors)
		v, err = r.store.Apply(t.Context(), 2, Version{Text: "three"})
		require.NoError(t, err, "nothing is in its way")
		require.Equal(t, head.Floors, v.Floors, "a replica may be as far behind by later rules")
	})
}

func TestACutOverThatFailsBeforeTheRenamesChangesNothing(t *testing.T) {
	broken := errors.New("no")
	cases := map[string]func(*rig, *Cutover){
		"a Serval cannot serve the rules": func(r *rig, _ *Cutover) { r.servals[0].refuse = broken },
		"a transaction stays open":        func(r *rig, _ *Cutover) { r.servals[0].busy = broken },
		"the rows do not catch up":        func(_ *rig, c *Cutover) { c.Caught = func(context.Context) error { return broken } },
		"it would take too long": func(_ *rig, c *Cutover) {
			c.Within = 50 * time.Millisecond
			c.Caught = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		},
		"a rename fails and is taken back": func(_ *rig, c *Cutover) {
			c.Rename = func(context.Context) (map[string]string, error) { return nil, broken }
		},
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, r *rig) {
				c := plain()
				spoil(r, &c)
				_, err := r.store.Cutover(t.Context(), 1, Version{Text: "two"}, c)
				require.Error(t, err)
				r.requireAll(t, 1, false)
				for _, p := range r.servals {
					p.refuse, p.busy = nil, nil
				}
				_, err = r.store.Cutover(t.Context(), 1, Version{Text: "two"}, plain())
				require.NoError(t, err, "it may be tried again")
				r.requireAll(t, 2, false)
			})
		})
	}
}

func TestWhoKeepsACutOverFromHappeningIsTold(t *testing.T) {
	for _, everything := range []bool{false, true} {
		eachStore(t, func(t *testing.T, r *rig) {
			why := "session 7 of app has a transaction open"
			for _, p := range r.servals {
				p.mu.Lock()
				p.stays = map[bool]error{everything: errors.New(why)}
				p.mu.Unlock()
			}
			c := plain()
			c.Within = 800 * time.Millisecond // --hold, if nobody says another
			_, err := r.store.Cutover(t.Context(), 1, Version{Text: "two"}, c)
			require.ErrorContains(t, err, why)
			var refused *Refused
			require.ErrorAs(t, err, &refused)
			r.requireAll(t, 1, false)
		})
	}
}

func TestRenamesThatCannotBeTakenBackAreEndedByAServal(t *testing.T) {
	eachStore(t, func(t *testing.T, r *rig) {
		c := plain()
		c.Rename = func(context.Context) (map[string]string, error) { return nil, errors.New("lost") }
		c.Undo = func(context.Context) error { return errors.New("lost too") }
		_, err := r.store.Cutover(t.Context(), 1, Version{Text: "two"}, c)
		var interrupted *Interrupted
		require.ErrorAs(t, err, &interrupted)
		r.requireAll(t, 2, false)
		requireFinishedOnce(t, r)
	})
}

func requireFinishedOnce(t *testing.T, r *rig) {
	t.Helper()
	var all []string
	for _, p := range r.servals {
		p.mu.Lock()
		all = append(all, p.finished...)
		p.mu.Unlock()
	}
	require.Equal(t, []string{"renames"}, all)
}

func TestAMakerThatDiesWhileTablesAreRenamedIsReplaced(t *testing.T) {
	eachStore(t, func(t *testing.T, r *rig) {
		r.abandon(t, &proposal{ID: "x", Number: 2, Text: "two", Round: Renaming, Finish: []byte("renames"), Within: time.Second})
		r.requireAll(t, 2, false)
		requireFinishedOnce(t, r)
		require.NoError(t, r.store.EndOrphan(t.Context(), func(context.Context, string, []byte) (map[string]string, error) {
			t.Fatal("there is none any more")
			return nil, nil
		}))
	})
}

func TestAnOrphanThatNoServalSeesIsEndedByHand(t *testing.T) {
	s := etcdtest.Start(t)
	e := open(t, s)
	_, err := e.Apply(t.Context(), 0, Version{Text: "one"})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "serval.yaml")
	require.NoError(t, os.WriteFile(file, []byte("one"), 0o600))
	f := NewFolder(file)
	_, err = f.Record(t.Context(), Version{Text: "one"})
	require.NoError(t, err)
	p := &proposal{ID: "x", Number: 2, Text: "two", Round: Renaming, Finish: []byte("renames")}
	require.NoError(t, folderBoard{f}.post(t.Context(), p))
	_, head, err := e.head(t.Context())
	require.NoError(t, err)
	b := &etcdBoard{Etcd: e, headRevision: head}
	require.NoError(t, b.post(t.Context(), &proposal{ID: "x", Number: 2}))
	require.NoError(t, b.post(t.Context(), p))
	b.leave()
	_, err = e.client.Revoke(t.Context(), b.lease)
	require.NoError(t, err)
	for _, store := range []interface {
		Store
		Cutter
	}{e, f} {
		_, err := store.Apply(t.Context(), 1, Version{Text: "other"})
		require.Error(t, err, "the tables have the new names already, maybe")
		var calls atomic.Int32
		require.NoError(t, store.EndOrphan(t.Context(), func(_ context.Context, text string, finish []byte) (map[string]string, error) {
			calls.Add(1)
			require.Equal(t, "two renames", text+" "+string(finish))
			return map[string]string{"c0": "0-1-9"}, nil
		}))
		require.EqualValues(t, 1, calls.Load())
		v, err := store.Head(t.Context())
		require.NoError(t, err)
		require.Equal(t, "two", v.Text)
	}
}

func TestTwoServalsOfAFolderAreBothAsked(t *testing.T) {
	f := NewFolder(filepath.Join(t.TempDir(), "serval.yaml"))
	require.NoError(t, os.WriteFile(f.file, []byte("one"), 0o600))
	_, err := f.Record(t.Context(), Version{Text: "one"})
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	one, err := f.Attend("s1", 1, log)
	require.NoError(t, err)
	_, err = f.Attend("s1", 1, log)
	require.ErrorContains(t, err, "another Serval s1")
	two, err := f.Attend("s2", 1, log)
	require.NoError(t, err)
	serving, err := f.serving()
	require.NoError(t, err)
	require.Equal(t, []string{"s1", "s2"}, serving)
	require.NoError(t, two.lock.Close()) // as a crash does
	serving, err = f.serving()
	require.NoError(t, err)
	require.Equal(t, []string{"s1"}, serving)
	require.NoFileExists(t, filepath.Join(f.dir(), "serving.s2"))
	one.Leave()
}

func TestAServalThatJoinsWaitsForACutOver(t *testing.T) {
	s := etcdtest.Start(t)
	e := open(t, s)
	_, err := e.Apply(t.Context(), 0, Version{Text: "one"})
	require.NoError(t, err)
	_, err = e.client.Put(t.Context(), e.key("sealed"), "{}")
	require.NoError(t, err)
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, _, err = e.Join(short, Member{Name: "s1"}, Version{}, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = e.client.Delete(t.Context(), e.key("sealed"))
	require.NoError(t, err)
	_, err = e.client.Delete(t.Context(), e.key("alive", "s1"), clientv3.WithPrefix())
	require.NoError(t, err)
	_, v, err := e.Join(t.Context(), Member{Name: "s1"}, Version{}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.EqualValues(t, 1, v.Number)
}

func TestSilentServalsAreNamedWithTheTimeTheyHad(t *testing.T) {
	require.EqualError(t, &Silent{Members: []string{"a", "b"}, Within: 800 * time.Millisecond}, "serval a, b did not answer within 800ms; nothing was changed")
}
