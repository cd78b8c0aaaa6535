package rulestore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// In the folder a cut over is cutover.json, whose maker holds the folder's lock as
// long as it lives; cutover.yes.NAME is a Serval's answer, serving.NAME a file it
// holds a lock of while it serves these rules.

// Cutover implements Cutter.
func (f *Folder) Cutover(ctx context.Context, base int64, v Version, c Cutover) (Version, error) {
	unlock, err := f.lockFree(ctx)
	if err != nil {
		return Version{}, err
	}
	defer unlock()
	head, err := f.head()
	if err != nil {
		return Version{}, err
	}
	if head != base {
		return Version{}, &Conflict{Base: base, Head: head}
	}
	if v, err = complete(base, v, f.now()); err != nil {
		return Version{}, err
	}
	p := &proposal{ID: rand.Text(), Number: v.Number, By: v.By, Note: v.Note, Text: v.Text, Tables: c.Tables, Finish: c.Finish, Within: c.Within}
	if err := cutOver(ctx, folderBoard{f}, p, c); err != nil {
		return Version{}, err
	}
	return v, nil
}

// EndOrphan implements Cutter.
func (f *Folder) EndOrphan(ctx context.Context, finish Finisher) error {
	p, err := f.open()
	if err != nil || p == nil || p.Round != Renaming {
		return err
	}
	return f.endOrphan(ctx, p.ID, finish)
}

// lockFree locks the folder when no cut over is left in the middle.
func (f *Folder) lockFree(ctx context.Context) (unlock func(), err error) {
	if err := os.Mkdir(f.dir(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if unlock, err = f.lock(ctx); err != nil {
		return nil, err
	}
	p, err := f.open()
	switch {
	case err == nil && p != nil && p.Round == Renaming:
		err = errors.New("a cut over was interrupted while tables were renamed; a running Serval ends it, or: serval reshard cutover")
	case err == nil && p != nil:
		err = f.clear() // its maker is gone, and nothing has happened
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// open is the cut over there is, nil for none.
func (f *Folder) open() (*proposal, error) {
	data, err := os.ReadFile(filepath.Join(f.dir(), "cutover.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, err
	}
	p := &proposal{}
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("%s/cutover.json: %w", f.dir(), err)
	}
	return p, nil
}

func (f *Folder) clear() error {
	err := os.Remove(filepath.Join(f.dir(), "cutover.json"))
	answers, _ := filepath.Glob(filepath.Join(f.dir(), "cutover.yes.*")) // the pattern is a good one
	for _, answer := range answers {
		_ = os.Remove(answer) // of a cut over that is no more: nobody reads it
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// folderBoard is a cut over whose maker holds the folder's lock.
type folderBoard struct{ *Folder }

func (b folderBoard) post(_ context.Context, p *proposal) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(b.dir(), "cutover.json"), data, 0o600)
}

func (b folderBoard) heard(ctx context.Context, p *proposal, within time.Duration) error {
	deadline := b.now().Add(within)
	for {
		members, err := b.serving()
		if err != nil {
			return err
		}
		answers := map[string]string{}
		for _, name := range members {
			data, err := os.ReadFile(b.answer(name))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if id, text, _ := strings.Cut(string(data), " "); id == p.ID {
				answers[name] = text
			}
		}
		missing, err := judge(p.Round, answers, members)
		if err != nil || len(missing) == 0 {
			return err
		}
		if b.now().After(deadline) {
			return &Silent{Members: missing, Within: within}
		}
		if err := wait(ctx, pollRound); err != nil {
			return err
		}
	}
}

func (b folderBoard) renew(context.Context) error { return nil } // the lock is held

func (b folderBoard) effect(_ context.Context, p *proposal) error { return b.effectSealed(p) }

func (b folderBoard) withdraw(context.Context, *proposal) { _ = b.clear() } // else the lock's end says so

func (b folderBoard) leave() {}

// effectSealed puts a cut over in effect whose tables are renamed. The lock is
// held.
func (f *Folder) effectSealed(p *proposal) error {
	v, err := complete(p.Number-1, Version{By: p.By, Note: p.Note, Text: p.Text, Floors: p.Floors}, f.now())
	if err != nil {
		return err
	}
	head, err := f.head()
	if err == nil && head < v.Number {
		err = f.put(v, true)
	}
	if err != nil {
		return err
	}
	return f.clear()
}

func (f *Folder) answer(name string) string { return filepath.Join(f.dir(), "cutover.yes."+name) }

// serving are the Servals that serve these rules.
func (f *Folder) serving() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(f.dir(), "serving.*"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, path := range files {
		held, err := locked(path)
		if err != nil {
			return nil, err
		}
		if held {
			out = append(out, strings.TrimPrefix(filepath.Base(path), "serving."))
			continue
		}
		_ = os.Remove(path) // of a Serval that is gone; Attend sees it if that one was just beginning
	}
	return out, nil
}

// locked: another process has the file's lock.
func locked(path string) (bool, error) {
	l, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = l.Close() }() // closing ends the lock
	switch err := syscall.Flock(int(l.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); {
	case err == nil:
		return false, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		return true, nil
	default:
		return false, err
	}
}

// FolderMember is a Serval's part in the cut overs of a folder. It is not safe
// for concurrent use.
type FolderMember struct {
	folder *Folder
	name   string
	lock   *os.File
	state  member
	log    *slog.Logger
}

// Attend takes part from version serves on, until Leave. The name tells this
// Serval from others that use the folder.
func (f *Folder) Attend(name string, serves int64, log *slog.Logger) (*FolderMember, error) {
	name = strings.ReplaceAll(name, "/", "_")
	path := filepath.Join(f.dir(), "serving."+name)
	var l *os.File
	for tries := 20; ; tries-- {
		var err error
		if l, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
			return nil, err
		}
		// Who looks for Servals locks the file for a moment, and may have taken it
		// away before it was locked here.
		err = syscall.Flock(int(l.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && isFile(path, l) {
			break
		}
		_ = l.Close() // nothing was written
		if err != nil && tries <= 0 {
			return nil, fmt.Errorf("another Serval %s serves from %s: %w", name, f.dir(), err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return &FolderMember{folder: f, name: name, lock: l, state: member{serves: serves, heard: f.now()}, log: log}, nil
}

// isFile: the path leads to the open file.
func isFile(path string, l *os.File) bool {
	have, err := l.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(have, there)
}

// Leave ends it, once nobody is served any more.
func (m *FolderMember) Leave() {
	_ = os.Remove(m.lock.Name())
	_ = m.lock.Close() // closing ends the lock
}

// Serves says which version is served, taken otherwise than by Step.
func (m *FolderMember) Serves(number int64) { m.state.serves = number }

// Busy: it has agreed to a cut over, whose version Step takes.
func (m *FolderMember) Busy() bool { return m.state.agreed != "" || m.state.held }

// Step does what the folder asks of this Serval: what becomes of a change without
// a cut over is the caller's. It returns the version it took, nil for none, and
// after how long it is to be called again.
func (m *FolderMember) Step(ctx context.Context, f Follower) (took *Version, again time.Duration) {
	l, err := m.look()
	if err != nil {
		m.log.Error("the rules' folder cannot be read", "folder", m.folder.dir(), "err", err)
		return nil, pollOpen
	}
	a := m.state.step(l)
	if a.take {
		took = m.take(ctx, f, l.head)
	}
	if a.release {
		f.Release()
	}
	switch {
	case a.answer != nil:
		m.answer(ctx, f, a.answer)
	case a.pause != nil:
		m.state.pausing(a.pause)
		m.say(a.pause, paused(ctx, f, a.pause))
	case a.finish != nil:
		m.finish(ctx, f, a.finish)
	}
	if m.Busy() {
		return took, pollRound
	}
	return took, pollOpen
}

func (m *FolderMember) look() (look, error) {
	l := look{asked: m.folder.now(), answered: true, head: m.state.serves}
	p, err := m.folder.open()
	if err != nil {
		return l, err
	}
	if p == nil || m.state.agreed != "" {
		// What was agreed to may be in effect: that is stored before p goes.
		head, err := m.folder.head()
		if err != nil {
			return l, err
		}
		if m.state.agreed != "" {
			l.head = head
		}
	}
	if p == nil {
		return l, nil
	}
	alive, err := locked(filepath.Join(m.folder.dir(), "lock"))
	if err != nil {
		return l, err
	}
	switch {
	case alive:
		l.open = p
	case p.Round == Renaming:
		l.open, l.orphan = p, true
	}
	return l, nil
}

func (m *FolderMember) take(ctx context.Context, f Follower, head int64) *Version {
	v, err := m.folder.Version(ctx, head)
	if err == nil {
		err = f.Take(ctx, v)
	}
	if err != nil {
		m.log.Error("the rules in effect cannot be taken; statements wait", "version", head, "err", err)
		return nil
	}
	m.state.took(head)
	f.Release()
	m.log.Info("rules taken", "version", head, "by", v.By, "note", v.Note)
	return &v
}

func (m *FolderMember) answer(ctx context.Context, f Follower, p *proposal) {
	text := yes
	if err := check(ctx, f, p); err != nil {
		text = err.Error()
	}
	m.log.Info("a cut over was proposed", "version", p.Number, "by", p.By, "answer", text)
	m.state.answering(p, text == yes)
	m.say(p, text)
}

func (m *FolderMember) say(p *proposal, text string) {
	if err := writeFile(m.folder.answer(m.name), []byte(p.ID+" "+text), 0o600); err != nil {
		m.log.Warn("the answer could not be written", "err", err)
	}
}

// finish ends a cut over in place of its maker, unless another Serval does.
func (m *FolderMember) finish(ctx context.Context, f Follower, p *proposal) {
	within, cancel := context.WithTimeout(ctx, renameWithin)
	defer cancel()
	if err := m.folder.endOrphan(within, p.ID, f.Finish); err != nil {
		m.log.Error("a cut over whose maker is gone could not be ended yet; statements wait", "version", p.Number, "err", err)
	}
}

// endOrphan ends a cut over in place of its maker, where nobody else has.
func (f *Folder) endOrphan(ctx context.Context, id string, finish Finisher) error {
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	p, err := f.open()
	if err != nil || p == nil || p.ID != id {
		return err
	}
	if p.Floors, err = finish(ctx, p.Text, p.Finish); err != nil {
		return err
	}
	return f.effectSealed(p)
}
